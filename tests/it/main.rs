//! The one integration binary: rules of the repository and the whole product.

#![expect(
    clippy::indexing_slicing,
    clippy::string_slice,
    clippy::panic,
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a test's helper fails loudly and says what it did"
)]

mod attack;
mod bad_input;
mod enrollment;
mod escl;
mod formats;
mod full_disk;
mod fuzz;
mod journey;
mod posture;
mod power;
mod secrets;
mod tidy;
mod tls;
mod wild;
mod world;
