//! The whole product in one thread: agents, cloud, network, disks and people over virtual months.
//!
//! What runs is the code that ships: engine, drivers, spool, journal, the HTTP client, the cloud's
//! core and its workflow runner. Simulated are the disks ([`SimDisk`](scantrip_hal::sim::disk)),
//! the network, the clocks, randomness, paper and people; a seed decides all of it, so that a seed
//! replays a run to the byte. Each run has two halves: faults of all kinds, then none, and
//! everything must come to rest. What must hold is in `sim/model.rs`: nothing lost, nothing twice,
//! nothing altered, nothing readable, nothing over its budget, nobody stuck.

mod agent;
mod clock;
mod cloud;
mod cloud_ports;
mod crew;
mod logs;
mod model;
mod network;
mod options;
mod paper;
mod report;
mod server;
mod shared;
mod user;
mod world;

pub use report::{Outcome, Totals};

/// Runs one seed; `loud` prints its trace.
#[must_use]
pub fn run(seed: u64, loud: bool) -> Outcome {
    logs::install();
    let caught = std::panic::catch_unwind(|| world::World::new(seed, loud).run());
    logs::leave();
    caught.unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Outcome::panicked(seed, &text.unwrap_or_default())
    })
}

/// Seeds that once showed a bug of the product; they run always.
///
/// - 7: a device whose clock was set right while its certificate had ended kept the skew that it
///   had measured before, and refused every new certificate.
/// - 695471763: a device whose certificate was revoked and had expired asked once an hour to renew
///   it, was never refused three times within 15 minutes, and so never told anybody.
pub const FIXED: &[u64] = &[7, 695_471_763];
