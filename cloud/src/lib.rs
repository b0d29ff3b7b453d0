//! cloud.
#![forbid(unsafe_code)]

pub mod jpeg;
pub mod name_pattern;
pub mod pdf;
