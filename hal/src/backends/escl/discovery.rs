//! Who answers on the network: DNS-SD over multicast (RFC 6763, 6762), asked at 0, 1, 2 and 4 s.
//!
//! `Browser` knows neither sockets nor clocks. Questions go out from a port of our own, so that
//! answers come back to us alone and nothing else on this machine is disturbed.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV6, UdpSocket};
use std::sync::Arc;
use std::time::Duration;

use super::dns::{self, Data, Name, Record, Type};
use super::url::DeviceUrl;
use crate::clock::Clock;
use crate::sorted::sorted;

/// When to ask: devices sleep, and datagrams get lost.
const ASK_AT_MS: [u64; 4] = [0, 1000, 2000, 4000];
/// When to stop.
const END_MS: u64 = 5000;
/// When to stop if every device that answered is known in full.
const EARLY_END_MS: u64 = 2500;
/// Services and hosts that are kept: an office has fewer.
const KEPT_MAX: usize = 128;
/// Addresses of one host.
const ADDRESSES_MAX: usize = 8;
/// The largest datagram on Ethernet with jumbo frames.
const DATAGRAM_BYTES_MAX: usize = 9000;

/// A scanner that answered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its name on the network.
    pub name: String,
    /// Maker and model.
    pub model: String,
    /// Where it stands, as somebody has entered it.
    pub place: String,
    /// Its UUID.
    pub uuid: String,
    /// Where its eSCL service is.
    pub url: DeviceUrl,
    /// The same by its other addresses, to be tried when there is no way to the first.
    pub others: Vec<DeviceUrl>,
}

/// What has been heard so far.
#[derive(Debug, Default)]
pub(crate) struct Browser {
    services: BTreeMap<Name, Service>,
    /// Each address with the interface that leads to it, for those of a link; else 0.
    hosts: BTreeMap<Name, Vec<(IpAddr, u32)>>,
}

#[derive(Debug, Default)]
struct Service {
    tls: bool,
    label: String,
    host: Option<(Name, u16)>,
    text: Option<BTreeMap<String, String>>,
}

fn kinds() -> [(Name, bool); 2] {
    [
        (Name::new("_uscans._tcp.local"), true),
        (Name::new("_uscan._tcp.local"), false),
    ]
}

impl Browser {
    /// The question to send: who is there, and what is missing of those who answered.
    pub(crate) fn question(&self) -> Vec<u8> {
        let kinds = kinds();
        let mut questions: Vec<(&Name, Type)> =
            kinds.iter().map(|(name, _)| (name, Type::Ptr)).collect();
        for (name, service) in &self.services {
            if service.host.is_none() {
                questions.push((name, Type::Srv));
            }
            if service.text.is_none() {
                questions.push((name, Type::Txt));
            }
            if let Some((host, _)) = &service.host
                && !self.hosts.contains_key(host)
            {
                questions.extend([(host, Type::A), (host, Type::Aaaa)]);
            }
        }
        // More would not fit into a datagram.
        questions.truncate(16);
        dns::query(&questions)
    }

    /// Takes an answer that came over this interface, 0 when that is not known; anything else is
    /// passed over.
    pub(crate) fn handle(&mut self, datagram: &[u8], interface: u32) {
        let Ok(mut records) = dns::answer(datagram) else {
            return;
        };
        for record in records.extract_if(.., |record| record.is_goodbye) {
            self.forget(&record);
        }
        for record in &records {
            let kind = kinds().into_iter().find(|(kind, _)| *kind == record.name);
            if let (Some((kind, tls)), Data::Pointer(instance, labels)) = (kind, &record.data)
                && instance.is_below(&kind)
                && self.services.len() < KEPT_MAX
            {
                let service = self.services.entry(instance.clone()).or_default();
                service.tls = tls;
                // One label, but some announcers take the dots in it for the ends of labels.
                let own = labels.len().saturating_sub(kind.len());
                service.label = labels.get(..own).unwrap_or_default().join(".");
            }
        }
        for record in records {
            match record.data {
                Data::Service(host, port) => {
                    if let Some(service) = self.services.get_mut(&record.name) {
                        service.host = Some((host, port));
                    }
                }
                Data::Strings(strings) => {
                    if let Some(service) = self.services.get_mut(&record.name) {
                        service.text = Some(strings.iter().filter_map(|it| pair(it)).collect());
                    }
                }
                Data::Address(address) if self.hosts.len() < KEPT_MAX => {
                    let known = self.hosts.entry(record.name).or_default();
                    let way = match address {
                        IpAddr::V6(address) if address.is_unicast_link_local() => interface,
                        _ => 0,
                    };
                    if !known.contains(&(address, way)) && known.len() < ADDRESSES_MAX {
                        known.push((address, way));
                    }
                }
                Data::Address(_) | Data::Pointer(..) => {}
            }
        }
    }

    /// Somebody takes back what was said.
    fn forget(&mut self, record: &Record) {
        match &record.data {
            Data::Pointer(instance, _) => drop(self.services.remove(instance)),
            Data::Service(..) => drop(self.services.remove(&record.name)),
            Data::Address(address) => {
                if let Some(known) = self.hosts.get_mut(&record.name) {
                    known.retain(|(it, _)| it != address);
                }
            }
            Data::Strings(_) => {}
        }
    }

    /// Whether somebody answered, and nothing is missing of anybody.
    pub(crate) fn is_complete(&self) -> bool {
        !self.services.is_empty()
            && self.services.values().all(|service| {
                let host = service.host.as_ref();
                service.text.is_some()
                    && host.is_some_and(|(host, _)| self.hosts.contains_key(host))
            })
    }

    /// The scanners that can be reached, each once, by TLS where it has that.
    pub(crate) fn found(&self) -> Vec<Found> {
        let mut all: Vec<Found> = Vec::new();
        let (tls, clear): (Vec<_>, Vec<_>) = self.services.values().partition(|it| it.tls);
        let services = tls.into_iter().chain(clear);
        for found in services.filter_map(|it| self.reachable(it)) {
            let same = |known: &Found| match known.uuid.is_empty() || found.uuid.is_empty() {
                true => known.name == found.name,
                false => known.uuid == found.uuid,
            };
            if !all.iter().any(same) {
                let at = all.partition_point(|it| it.name <= found.name);
                all.insert(at, found);
            }
        }
        all
    }

    fn reachable(&self, service: &Service) -> Option<Found> {
        let (host, port) = service.host.as_ref()?;
        let addresses = self.hosts.get(host)?;
        // An address of a link leads nowhere without its interface.
        let hosts = |(address, interface): &(IpAddr, u32)| match address {
            IpAddr::V4(address) => (!address.is_unspecified()).then(|| (0, address.to_string())),
            IpAddr::V6(address) if !address.is_unicast_link_local() => {
                Some((1, address.to_string()))
            }
            IpAddr::V6(_) if *interface == 0 => None,
            IpAddr::V6(address) => Some((2, format!("{address}%{interface}"))),
        };
        let found: Vec<(u8, String)> = addresses.iter().filter_map(hosts).collect();
        let of = |order| found.iter().filter(move |(it, _)| *it == order);
        let hosts: Vec<&(u8, String)> = (0..=2).flat_map(of).collect();
        let value = |key: &str| {
            let text = service.text.as_ref();
            let value = text.and_then(|text| text.get(key)).cloned();
            value.unwrap_or_default()
        };
        let root = encoded(&value("rs"));
        let mut urls = hosts
            .iter()
            .filter_map(|(_, host)| DeviceUrl::new(service.tls, host, *port, &root));
        Some(Found {
            url: urls.next()?,
            others: urls.collect(),
            name: service.label.clone(),
            model: value("ty"),
            place: value("note"),
            uuid: value("uuid").to_ascii_lowercase(),
        })
    }
}

/// A root with what a path cannot hold percent-encoded (RFC 3986, section 3.3); what is encoded already
/// stays.
fn encoded(root: &str) -> String {
    let mut path = String::with_capacity(root.len());
    for byte in root.bytes() {
        if byte.is_ascii_alphanumeric() || b"/%-._~!$&'()*+,;=:@".contains(&byte) {
            path.push(byte.into());
        } else {
            path.push_str(&format!("%{byte:02X}"));
        }
    }
    path
}

/// A string of a TXT record; keys are the same in any case.
fn pair(text: &str) -> Option<(String, String)> {
    let (key, value) = text.split_once('=')?;
    Some((key.to_ascii_lowercase(), value.to_owned()))
}

/// Asks the network and waits for the answers, at most 5 s.
///
/// # Errors
/// When there is no network to ask.
pub fn discover(clock: &Arc<dyn Clock>, sleep: &dyn Fn(Duration)) -> Result<Vec<Found>, io::Error> {
    browse(clock, sleep, sockets()?)
}

/// As [`discover`], over these sockets to these addresses.
fn browse(
    clock: &Arc<dyn Clock>,
    sleep: &dyn Fn(Duration),
    sockets: Vec<(UdpSocket, SocketAddr)>,
) -> Result<Vec<Found>, io::Error> {
    let mut browser = Browser::default();
    let start = clock.boot();
    let mut asked = 0;
    let mut buffer = vec![0; DATAGRAM_BYTES_MAX];
    loop {
        let now_ms = u64::try_from(clock.boot().since(start).as_millis()).unwrap_or(END_MS);
        if now_ms >= END_MS || (now_ms >= EARLY_END_MS && browser.is_complete()) {
            return Ok(browser.found());
        }
        if ASK_AT_MS.get(asked).is_some_and(|at| now_ms >= *at) {
            asked += 1;
            let question = browser.question();
            let sent = sockets
                .iter()
                .map(|(socket, to)| socket.send_to(&question, to));
            let results: Vec<io::Result<usize>> = sent.collect();
            if results.iter().all(Result::is_err) && asked == 1 {
                let first = results.into_iter().find_map(Result::err);
                return Err(first.unwrap_or_else(|| io::ErrorKind::NotConnected.into()));
            }
        }
        for (socket, _) in &sockets {
            while let Ok((count, from)) = socket.recv_from(&mut buffer) {
                let interface = match from {
                    SocketAddr::V6(from) => from.scope_id(),
                    SocketAddr::V4(_) => 0,
                };
                browser.handle(buffer.get(..count).unwrap_or_default(), interface);
            }
        }
        sleep(Duration::from_millis(20));
    }
}

/// One socket for each network that this machine is in, and where to ask there.
fn sockets() -> io::Result<Vec<(UdpSocket, SocketAddr)>> {
    let to = SocketAddr::from((Ipv4Addr::new(224, 0, 0, 251), 5353));
    let mut all = Vec::new();
    let mut open = |from: SocketAddr, to: SocketAddr| -> io::Result<()> {
        let socket = UdpSocket::bind(from)?;
        socket.set_nonblocking(true)?;
        all.push((socket, to));
        Ok(())
    };
    let text = std::fs::read_to_string("/proc/net/fib_trie").unwrap_or_default();
    for address in local_addresses(&text) {
        // An address may have gone since.
        let _opened = open((address, 0).into(), to);
    }
    let text = std::fs::read_to_string("/proc/net/if_inet6").unwrap_or_default();
    for interface in link_interfaces(&text) {
        let group = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0xfb);
        let to = SocketAddrV6::new(group, 5353, 0, interface);
        let _opened = open((Ipv6Addr::UNSPECIFIED, 0).into(), to.into());
    }
    if all.is_empty() {
        let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
        socket.set_nonblocking(true)?;
        all.push((socket, to));
    }
    Ok(all)
}

/// This machine's own IPv4 addresses in Linux' `/proc/net/fib_trie`, without loopback.
fn local_addresses(text: &str) -> Vec<Ipv4Addr> {
    let mut all = Vec::new();
    let mut last = None;
    for line in text.lines() {
        if let Some((_, address)) = line.split_once("|-- ") {
            last = address.trim().parse::<Ipv4Addr>().ok();
        } else if line.contains("/32 host LOCAL")
            && let Some(address) = last.take()
            && !address.is_loopback()
            && !all.contains(&address)
        {
            all.push(address);
        }
    }
    all.truncate(16);
    all
}

/// Interfaces with an IPv6 address of the link in Linux' `/proc/net/if_inet6`.
fn link_interfaces(text: &str) -> Vec<u32> {
    let lines = text.lines().filter(|line| line.starts_with("fe80"));
    let index = |line: &str| u32::from_str_radix(line.split_whitespace().nth(1)?, 16).ok();
    let mut all = sorted(lines.filter_map(index));
    all.truncate(16);
    all
}

#[cfg(test)]
mod tests;
