//! cloud.
#![forbid(unsafe_code)]
