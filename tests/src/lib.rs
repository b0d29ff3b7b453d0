//! Whole-product harness.
#![forbid(unsafe_code)]
