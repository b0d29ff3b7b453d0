//! The ScanTrip agent.
#![forbid(unsafe_code)]
