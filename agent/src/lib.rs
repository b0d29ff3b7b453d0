//! The ScanTrip agent: turns a multifunction printer into a safe on-ramp to the cloud.
#![forbid(unsafe_code)]

pub mod api;
mod commands;
pub mod compose;
pub mod drivers;
pub mod engine;
pub mod event_buffer;
#[cfg(feature = "fault")]
mod fault;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod job_id;
pub mod journal;
pub mod local_api;
mod logging;
pub mod redact;
mod render;
pub mod runtime;
pub mod spool;
pub mod store;

pub use commands::{Exit, main_with};
