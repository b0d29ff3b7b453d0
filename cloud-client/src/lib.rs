//! Wire types, transport and seal.
#![forbid(unsafe_code)]

pub mod problem;
pub mod seal;
pub mod wire;
