//! Wire types, transport and seal.
#![forbid(unsafe_code)]

pub mod certificate;
pub mod code;
pub mod commit;
pub mod desired;
pub mod entry_points;
pub mod est;
#[cfg(feature = "fuzz")]
pub mod fuzz;
pub mod http;
pub mod outcomes;
pub mod posture;
pub mod problem;
pub mod receipt;
pub mod reports;
pub mod retry;
pub mod schedule;
pub mod seal;
#[cfg(test)]
mod testing;
pub mod text;
pub mod tls;
pub mod upload;
pub mod wire;
