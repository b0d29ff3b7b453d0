//! Wire types, transport and seal.
#![forbid(unsafe_code)]

pub mod wire;
