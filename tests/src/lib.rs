//! Whole-product harness: the shipped programs, the network between them and what they leave.
#![forbid(unsafe_code)]

pub mod demo;
pub mod document;
pub mod front_door;
pub mod program;
pub mod stage;
