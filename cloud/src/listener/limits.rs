//! Every limit of the device listener, each with its reason.
//!
//! Times are fixed: they follow from the protocol. Counts depend on the machine and on who sits
//! behind one address, so that an operator may set them (`scantrip-cloud serve --help`).

use std::net::IpAddr;
use std::time::Duration;

/// From accepting a connection to the end of its handshake: two round trips and a signature, also
/// on a bad line.
pub(crate) const HANDSHAKE: Duration = Duration::from_secs(5);
/// From the first byte of a request's head to its last; a head fits into one or two packets.
pub(crate) const HEAD: Duration = Duration::from_secs(10);
/// Request line and headers. The longest of ours has some 600 bytes.
pub(crate) const HEAD_BYTES: usize = 16 * 1024;
/// A device's connection between two requests: longer than the longest poll (60 s) and the default
/// time between two polls, so that a connection is used again.
pub(crate) const IDLE: Duration = Duration::from_secs(120);
/// The same without a certificate: enrolling asks three times in a row.
pub(crate) const IDLE_UNPROVEN: Duration = Duration::from_secs(10);
/// Bodies and answers move at least this fast on average: slower, a page takes a quarter of an
/// hour. Mobile networks at their edge are ten times faster.
pub(crate) const FLOOR_BYTES_PER_SECOND: u32 = 1024;
/// How long a body or an answer may stand still at its start.
pub(crate) const GRACE: Duration = Duration::from_secs(10);
/// The most stillness that can be saved up by having been fast: a line that hangs for longer is
/// better opened anew.
pub(crate) const CREDIT_MAX: Duration = Duration::from_secs(30);
/// What the kernel may buffer of answers for one connection. They are small; a client that does
/// not read shall hold little memory and be seen soon.
pub(crate) const SEND_BUFFER_BYTES: u32 = 64 * 1024;
/// The kernel gives a peer up that takes nothing for so long, also after we have closed.
pub(crate) const UNACKNOWLEDGED_MS: u32 = 30_000;
/// Connections that the kernel may keep until we accept them: a burst of one second.
pub(crate) const BACKLOG: u32 = 4096;
/// Between two tries to accept when the system has no more file descriptors or memory.
pub(crate) const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// Requests under way may end; held polls are answered at once.
pub(crate) const SHUTDOWN: Duration = Duration::from_secs(20);

/// So many a second on average, and so many at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// On average.
    pub per_second: u32,
    /// At once, after a pause.
    pub burst: u32,
}

impl Rate {
    /// `per_second` with a burst of ten times as many: people and devices come in bursts.
    #[must_use]
    pub const fn per_second(per_second: u32) -> Self {
        Self {
            per_second,
            burst: per_second.saturating_mul(10),
        }
    }
}

/// What an operator may set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Connections at once. Idle ones take some 16 KB each. Others are closed before the handshake.
    pub connections: u32,
    /// Connections at once of one address (IPv6: of one /64). Many devices may share one address
    /// behind NAT.
    pub connections_per_address: u32,
    /// Of these, how many may be without a device certificate or before their handshake's end.
    pub unproven_per_address: u32,
    /// Connections at once of one device. The agent uses up to four.
    pub connections_per_device: u32,
    /// Connections at once of one tenant, so that one cannot crowd out the others.
    pub connections_per_tenant: u32,
    /// New connections of one address: each may cost a full handshake.
    pub connects_per_address: Rate,
    /// Requests without a certificate of one address.
    pub requests_per_address: Rate,
    /// Requests of one device. An upload of a page is one request, a poll is one a minute.
    pub requests_per_device: Rate,
    /// Requests of one tenant.
    pub requests_per_tenant: Rate,
    /// Our own front doors: everybody comes from their addresses, so that nothing is counted there.
    pub front_doors: Vec<IpAddr>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections: 20_000,
            connections_per_address: 4096,
            unproven_per_address: 256,
            connections_per_device: 16,
            connections_per_tenant: 10_000,
            connects_per_address: Rate::per_second(200),
            requests_per_address: Rate::per_second(50),
            requests_per_device: Rate::per_second(100),
            requests_per_tenant: Rate::per_second(5000),
            front_doors: Vec::new(),
        }
    }
}

impl Limits {
    /// No more connections than there are file descriptors for.
    #[must_use]
    pub fn within(mut self, descriptors: u64) -> Self {
        /// For the store, objects being written, logs and sockets of our own.
        const OTHERS: u64 = 256;
        let room = descriptors.saturating_sub(OTHERS).max(descriptors / 2);
        self.connections = self
            .connections
            .min(u32::try_from(room).unwrap_or(u32::MAX));
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_operators_page_tells_the_defaults() {
        let page = include_str!("../../../docs/operations/limits.md");
        let limits = Limits::default();
        let rows = [
            ("connections", limits.connections),
            ("connections-per-address", limits.connections_per_address),
            ("unproven-per-address", limits.unproven_per_address),
            ("connections-per-device", limits.connections_per_device),
            ("connections-per-tenant", limits.connections_per_tenant),
            (
                "connects-per-address",
                limits.connects_per_address.per_second,
            ),
            (
                "requests-per-address",
                limits.requests_per_address.per_second,
            ),
            ("requests-per-device", limits.requests_per_device.per_second),
            ("requests-per-tenant", limits.requests_per_tenant.per_second),
        ];
        for (option, default) in rows {
            let row = format!("| `--{option}` | {default} |");
            assert!(page.contains(&row), "{row}");
        }
    }

    #[test]
    fn there_are_never_more_connections_than_file_descriptors() {
        let within = |descriptors| Limits::default().within(descriptors).connections;
        assert_eq!(within(1024), 768);
        assert_eq!(within(300), 150);
        assert_eq!(within(1 << 20), 20_000);
    }
}
