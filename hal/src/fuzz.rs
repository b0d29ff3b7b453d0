//! Everything here that reads outside bytes, for `tests/fuzz`.

use crate::settings::{network, vendor};

/// A decoder and its name.
pub type Target = (&'static str, fn(&[u8]));

/// Every decoder. None may panic, whatever it is given.
pub const TARGETS: &[Target] = &[
    ("settings-certificate", network::fuzz::certificate),
    ("settings-ipp", network::fuzz::ipp),
    ("settings-snmp", network::fuzz::snmp),
    ("settings-tls", network::fuzz::tls),
    ("settings-vendor", vendor::fuzz),
];
