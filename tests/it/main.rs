//! The one integration binary: rules of the repository and the whole product.

mod bad_input;
mod enrollment;
mod journey;
mod power;
mod secrets;
mod tidy;
mod tls;
mod world;
