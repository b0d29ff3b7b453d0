//! The thin cloud that ScanTrip agents talk to.
//!
//! Everything below the listener is synchronous and reaches the world through [`ports`].
#![forbid(unsafe_code)]

pub mod blobs;
pub mod core;
pub mod durable;
pub mod jpeg;
pub mod keys;
pub mod name_pattern;
pub mod pdf;
pub mod ports;
pub mod runner;
pub mod sealed_store;
pub mod steps;
pub mod store;
pub mod workflow;

#[cfg(test)]
pub mod testing;
