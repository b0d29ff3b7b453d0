//! Settings that the device tells over the network: IPP, SNMP, TLS, open ports.
//!
//! Only the device's own addresses are asked, never a range, five questions a second at most.
//! Nothing is written: SNMP is asked with `get`, IPP with questions that create nothing, TLS with
//! hellos that end before any key is made and with one handshake for the certificate, and a printing
//! port sees a connection without a byte.
//! Each run is named in the log under `scantrip::audit`.

mod access;
mod ask;
mod certificate;
mod community;
mod http;
mod inquiry;
mod ipp;
mod listeners;
mod mib;
mod printer;
mod revision;
mod rows;
mod snmp;
mod tls;
mod tlv;
mod trust;
mod wire;

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, ToSocketAddrs as _, UdpSocket};
use std::time::Duration;

pub use self::community::{Community, CommunityError};
pub use self::trust::TlsOptions;
use self::wire::{LiveWire, Wire};
use super::{Reading, Revision, Row, Setting, SettingsSource, Verdict, Why};
use crate::backends::system::SystemClock;
use crate::clock::Clock as _;
use crate::printer::PrinterStatus;
use crate::sorted::sorted;

/// What is asked, and where.
pub struct NetworkOptions {
    /// Host name or address to ask. Default: that of the device, else this machine's own on the
    /// network, else loopback.
    pub address: Option<String>,
    /// Host of the device, when it is another machine than this one.
    pub device: Option<String>,
    /// The community that tables of SNMP are read with, where it is not that of the factory.
    pub community: Option<Community>,
    /// Where services are looked for.
    pub ports: Ports,
    /// Between one question and the next. Default: five a second.
    pub pace: Duration,
    /// TLS beyond a hello. Default: none; IPP is then asked in clear alone, and nobody is known to
    /// vouch for a certificate.
    pub tls: Option<TlsOptions>,
}

impl Default for NetworkOptions {
    fn default() -> Self {
        Self {
            address: None,
            device: None,
            community: None,
            ports: Ports::default(),
            pace: Duration::from_millis(200),
            tls: None,
        }
    }
}

/// Where services are looked for, when not at their well-known ports.
#[derive(Clone, Debug)]
pub struct Ports {
    /// The web page in clear.
    pub http: u16,
    /// IPP.
    pub ipp: u16,
    /// SNMP, over UDP.
    pub snmp: u16,
    /// Services over TLS.
    pub tls: Vec<u16>,
    /// The vendor's interface for applications.
    pub vendor_api: u16,
}

impl Default for Ports {
    fn default() -> Self {
        Self {
            http: 80,
            ipp: 631,
            snmp: 161,
            tls: vec![443, 631],
            vendor_api: 50001,
        }
    }
}

/// The settings that the device tells over the network.
pub struct NetworkSource {
    options: NetworkOptions,
}

/// Most addresses of one name that are asked.
const ADDRESSES_MAX: usize = 2;

impl NetworkSource {
    /// Asks as the options say.
    #[must_use]
    pub const fn new(options: NetworkOptions) -> Self {
        Self { options }
    }

    /// The addresses to ask, each one the device's own.
    fn addresses(&self) -> Result<Vec<IpAddr>, &'static str> {
        let device = self.options.device.as_deref();
        let Some(name) = self.options.address.as_deref().or(device) else {
            let mut found = own_addresses();
            if found.is_empty() {
                found.push(Ipv4Addr::LOCALHOST.into());
            }
            return Ok(found);
        };
        let of_device = device.map(resolve).unwrap_or_default();
        let found = resolve(name);
        if found.is_empty() {
            return Err("the name of the device's address is not known");
        }
        let is_own = |it: &IpAddr| of_device.contains(it) || is_here(*it);
        if !found.iter().all(is_own) {
            return Err("settings.address is not an address of this device: not asked");
        }
        let mut found = with_a_way(found);
        found.truncate(ADDRESSES_MAX);
        Ok(found)
    }
}

/// Those that this machine has a way to, if there are any: without IPv6 here, the device's addresses
/// of it can tell nothing.
fn with_a_way(addresses: Vec<IpAddr>) -> Vec<IpAddr> {
    let (near, none): (Vec<_>, Vec<_>) = addresses
        .into_iter()
        .partition(|address| own_address(*address).is_some());
    if near.is_empty() { none } else { near }
}

/// Whether this host is another machine than this one; in doubt it is.
pub(super) fn is_beside(host: &str) -> bool {
    let found = resolve(host);
    found.is_empty() || !found.into_iter().all(is_here)
}

/// Only an address of this machine can be bound to.
fn is_here(address: IpAddr) -> bool {
    UdpSocket::bind((address, 0)).is_ok()
}

/// Addresses of a host name.
fn resolve(name: &str) -> Vec<IpAddr> {
    let found = (name, 0).to_socket_addrs();
    found.map_or_else(|_| Vec::new(), |all| all.map(|it| it.ip()).collect())
}

/// The address that this machine would use to reach another. Nothing is sent to find it.
fn own_address(other: IpAddr) -> Option<IpAddr> {
    let any: IpAddr = match other {
        IpAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        IpAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((other, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

/// This machine's addresses on the network: those that it would use to reach far away.
fn own_addresses() -> Vec<IpAddr> {
    let far: [IpAddr; 2] = [
        Ipv4Addr::new(192, 0, 2, 1).into(),
        Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1).into(),
    ];
    far.into_iter().filter_map(own_address).collect()
}

/// Which settings are wanted, by id.
type Wanted<'a> = &'a dyn Fn(&str) -> bool;

impl SettingsSource for NetworkSource {
    fn read(&mut self, each: &mut dyn FnMut(Setting)) {
        self.read_wanted(&|_id| true, each);
    }

    fn read_some(&mut self, ids: &[&str], each: &mut dyn FnMut(Setting)) {
        // Nothing is asked when nothing of it is wanted.
        if rows::ROWS.iter().any(|(id, ..)| ids.contains(id)) {
            self.read_wanted(&|id| ids.contains(&id), each);
        }
    }

    fn printer(&mut self) -> Option<PrinterStatus> {
        let addresses = self.addresses().ok()?;
        addresses.into_iter().find_map(|address| {
            log::info!(
                target: "scantrip::audit",
                "printer status: asks {address}, an address of this device, over IPP (in clear, else over TLS) and SNMP; writes nothing"
            );
            let mut wire = self.wire(address);
            printer::ask(&mut wire, &self.options, &host(address))
        })
    }

    fn revision(&mut self) -> Revision {
        let addresses = self.addresses().unwrap_or_default();
        let asked = addresses.into_iter().map(|address| {
            log::info!(
                target: "scantrip::audit",
                "restarts and changes: asks {address}, an address of this device, over IPP and SNMP; writes nothing"
            );
            let mut wire = self.wire(address);
            revision::ask(&mut wire, &self.options, &host(address))
        });
        asked
            .into_iter()
            .find(|it| *it != Revision::default())
            .unwrap_or_default()
    }
}

impl NetworkSource {
    fn wire(&self, address: IpAddr) -> LiveWire {
        LiveWire {
            address,
            pace: self.options.pace,
            tls: self.options.tls.clone(),
        }
    }

    fn read_wanted(&self, wanted: Wanted<'_>, each: &mut dyn FnMut(Setting)) {
        let now = SystemClock::new().wall().as_seconds();
        let addresses = match self.addresses() {
            Ok(addresses) => addresses,
            Err(reason) => return unasked(reason, wanted, each),
        };
        let mut settings = BTreeMap::new();
        for address in addresses {
            log::info!(
                target: "scantrip::audit",
                "security settings: asks {address}, an address of this device, over TCP, SNMP, IPP and TLS; writes nothing"
            );
            let mut wire = self.wire(address);
            let options = &self.options;
            let mut told = BTreeMap::new();
            read_address(&mut wire, options, (address, now), wanted, &mut |it| {
                super::merge(&mut told, it);
            });
            for setting in told.into_values() {
                merge_address(&mut settings, setting);
            }
        }
        settings.into_values().for_each(each);
    }
}

/// Takes in what another address tells: what is not known of one is worse than what is good of the
/// other.
fn merge_address(settings: &mut BTreeMap<&'static str, Setting>, setting: Setting) {
    let doubts = |doubt: &Setting, good: &Setting| {
        matches!(doubt.verdict, Verdict::Unknown(_)) && good.verdict == Verdict::Secure
    };
    match settings.get_mut(setting.id) {
        Some(before) if doubts(before, &setting) => {}
        Some(before) if doubts(&setting, before) => *before = setting,
        _ => super::merge(settings, setting),
    }
}

/// What is wanted of the network is unknown.
fn unasked(reason: &str, wanted: Wanted<'_>, each: &mut dyn FnMut(Setting)) {
    let mut settings = BTreeMap::new();
    for (id, (method, ..)) in rows_of(wanted) {
        if let Some(row) = Row::find(id) {
            let reading = Reading::unknown(Why::NotSupported, reason, "settings.address");
            super::merge(&mut settings, reading.setting(row, *method, 0));
        }
    }
    settings.into_values().for_each(each);
}

fn rows_of(wanted: Wanted<'_>) -> impl Iterator<Item = &'static rows::Row> {
    rows::ROWS.iter().filter(move |(id, ..)| wanted(id))
}

/// An address as it stands in a URL.
fn host(address: IpAddr) -> String {
    match address {
        IpAddr::V4(it) => it.to_string(),
        IpAddr::V6(it) => format!("[{it}]"),
    }
}

fn read_address(
    wire: &mut dyn Wire,
    options: &NetworkOptions,
    (address, now): (IpAddr, u64),
    wanted: Wanted<'_>,
    each: &mut dyn FnMut(Setting),
) {
    let host = host(address);
    let topics = sorted(rows_of(wanted).map(|(_, (_, topic, _))| *topic));
    let (ports, community) = (&options.ports, options.community.as_ref());
    let facts = ask::Facts {
        now,
        ..ask::ask(wire, ports, community, &host, &topics)
    };
    let up = facts.is_up();
    for (id, (method, _, read)) in rows_of(wanted) {
        let Some(row) = Row::find(id) else { continue };
        let reading = match up {
            true => read(&facts, ports),
            false => Some(Reading::unknown(
                Why::NotAnswered,
                "the address does not answer at all",
                host.clone(),
            )),
        };
        if let Some(reading) = reading {
            each(reading.setting(row, *method, now));
        }
    }
}

#[cfg(feature = "fuzz")]
pub(crate) mod fuzz;
#[cfg(test)]
mod tests;
