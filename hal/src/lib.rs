//! What a multifunction printer (MFP) can do, as small traits and value types.
//!
//! The traits and types need neither `std` nor an operating system, so that a vendor's firmware
//! can implement them. Feature `std` adds the backends of a Linux system (files, key file, clock,
//! entropy); feature `sim` adds a whole simulated MFP with faults on demand.
#![cfg_attr(not(feature = "std"), no_std)]
#![deny(unsafe_code)]

extern crate alloc;

#[cfg(feature = "std")]
pub mod backends;
pub mod clock;
#[cfg(feature = "sim")]
pub mod conformance;
pub mod disk;
pub mod entropy;
#[cfg(feature = "sim")]
pub mod fault;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod identity;
pub mod keys;
pub mod printer;
pub mod scanner;
pub mod settings;
#[cfg(feature = "sim")]
pub mod sim;
#[cfg(feature = "std")]
mod sorted;
pub mod storage;
#[cfg(feature = "std")]
pub mod web;
