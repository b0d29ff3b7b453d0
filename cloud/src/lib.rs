//! The thin cloud that ScanTrip agents talk to.
//!
//! Everything below the listener is synchronous and reaches the world through [`ports`].
#![forbid(unsafe_code)]

pub mod admin;
pub mod blobs;
mod cli;
pub mod core;
pub mod data;
pub mod durable;
#[cfg(feature = "fault")]
mod fault;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod jpeg;
pub mod keys;
pub mod listener;
pub mod logger;
pub mod metrics_listener;
pub mod name_pattern;
pub mod pdf;
pub mod ports;
pub mod runner;
pub mod sealed_store;
pub mod serve;
pub mod shedding;
pub mod steps;
pub mod store;
pub mod tiff;
pub mod workflow;

pub use cli::main_with;

#[cfg(test)]
mod testing;
