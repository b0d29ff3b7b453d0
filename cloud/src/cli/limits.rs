//! `serve`'s limits, as an operator sets them.

use std::net::IpAddr;

use crate::listener::{Limits, Rate};

/// Limits against slow and greedy clients. What is over a limit is closed before the handshake or
/// answered with 429.
#[derive(Debug, clap::Args)]
pub(super) struct Options {
    /// Connections at once; never more than the system has file descriptors for.
    #[arg(long, value_name = "N", value_parser = positive())]
    connections: Option<u32>,
    /// Connections at once of one address (IPv6: one /64); mind offices behind NAT.
    #[arg(long, value_name = "N", value_parser = positive())]
    connections_per_address: Option<u32>,
    /// Of these, without a device certificate.
    #[arg(long, value_name = "N", value_parser = positive())]
    unproven_per_address: Option<u32>,
    /// Connections at once of one device.
    #[arg(long, value_name = "N", value_parser = positive())]
    connections_per_device: Option<u32>,
    /// Connections at once of one tenant's devices.
    #[arg(long, value_name = "N", value_parser = positive())]
    connections_per_tenant: Option<u32>,
    /// New connections a second of one address; ten times as many at once.
    #[arg(long, value_name = "N", value_parser = positive())]
    connects_per_address: Option<u32>,
    /// Requests a second without a certificate of one address; ten times as many at once.
    #[arg(long, value_name = "N", value_parser = positive())]
    requests_per_address: Option<u32>,
    /// Requests a second of one device; ten times as many at once.
    #[arg(long, value_name = "N", value_parser = positive())]
    requests_per_device: Option<u32>,
    /// Requests a second of one tenant's devices; ten times as many at once.
    #[arg(long, value_name = "N", value_parser = positive())]
    requests_per_tenant: Option<u32>,
    /// Address of a front door of our own, through which many devices come: not counted.
    #[arg(long = "front-door", value_name = "ADDR")]
    front_doors: Vec<IpAddr>,
}

fn positive() -> clap::builder::RangedI64ValueParser<u32> {
    clap::value_parser!(u32).range(1..)
}

impl Options {
    /// The limits: what was set, else the defaults.
    pub(super) fn limits(self) -> Limits {
        let default = Limits::default();
        let rate = |set: Option<u32>, default| set.map_or(default, Rate::per_second);
        let count = |set: Option<u32>, default| set.unwrap_or(default);
        Limits {
            connections: count(self.connections, default.connections),
            connections_per_address: count(
                self.connections_per_address,
                default.connections_per_address,
            ),
            unproven_per_address: count(self.unproven_per_address, default.unproven_per_address),
            connections_per_device: count(
                self.connections_per_device,
                default.connections_per_device,
            ),
            connections_per_tenant: count(
                self.connections_per_tenant,
                default.connections_per_tenant,
            ),
            connects_per_address: rate(self.connects_per_address, default.connects_per_address),
            requests_per_address: rate(self.requests_per_address, default.requests_per_address),
            requests_per_device: rate(self.requests_per_device, default.requests_per_device),
            requests_per_tenant: rate(self.requests_per_tenant, default.requests_per_tenant),
            front_doors: self.front_doors,
        }
    }
}
