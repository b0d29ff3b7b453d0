//! The ScanTrip agent: turns a multifunction printer into a safe on-ramp to the cloud.
#![forbid(unsafe_code)]

pub mod api;
pub mod job_id;
pub mod journal;
pub mod local_api;
pub mod spool;
pub mod store;
