//! The one integration binary: rules of the repository and the whole product.

mod peer;
mod tidy;
mod tls;
mod world;
