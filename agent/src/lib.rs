//! The ScanTrip agent: turns a multifunction printer into a safe on-ramp to the cloud.
#![forbid(unsafe_code)]

pub mod api;
