//! Whole-product harness: the shipped programs, the network between them and what they leave.
#![forbid(unsafe_code)]
#![expect(
    clippy::indexing_slicing,
    clippy::missing_panics_doc,
    clippy::panic,
    reason = "a harness fails loudly, like the tests that it is part of"
)]

pub mod attack;
pub mod bench;
pub mod demo;
pub mod descriptors;
pub mod document;
pub mod escl;
pub mod front_door;
pub mod herd;
pub mod images;
pub mod lossy_disk;
pub mod mutate;
pub mod peer;
pub mod program;
pub mod seeded;
pub mod sim;
pub mod stage;
pub mod tls_front;
