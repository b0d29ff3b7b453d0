//! What listens to the network: `net.listening_ports`, `net.discovery_services`, `net.ftp`,
//! `net.telnet` and `net.tftp`, from `/proc/net`. Who listens on loopback alone is not exposed.

use std::collections::BTreeSet;

use super::{Reading, Root, Unread};

const EVIDENCE: &str = "/proc/net/tcp, tcp6, udp, udp6";
/// The state of a TCP socket that listens, and of a UDP socket without a peer.
const LISTEN: &str = "0A";
const UNCONNECTED: &str = "07";

pub(super) fn ports(root: &Root) -> Result<Reading, Unread> {
    Ok(Reading::set(exposed(root)?, EVIDENCE))
}

pub(super) fn discovery(root: &Root) -> Result<Reading, Unread> {
    const SERVICES: &[(&str, &str)] = &[
        ("udp/427", "slp"),
        ("udp/1900", "ssdp"),
        ("udp/3702", "ws-discovery"),
        ("udp/5353", "mdns"),
        ("udp/5355", "llmnr"),
    ];
    let open = exposed(root)?;
    let found = SERVICES.iter().filter(|(port, _)| open.contains(*port));
    Ok(Reading::set(found.map(|(_, name)| *name), EVIDENCE))
}

pub(super) fn ftp(root: &Root) -> Result<Reading, Unread> {
    Ok(Reading::bool(listens(root, "tcp/21")?, EVIDENCE))
}

pub(super) fn telnet(root: &Root) -> Result<Reading, Unread> {
    Ok(Reading::bool(listens(root, "tcp/23")?, EVIDENCE))
}

pub(super) fn tftp(root: &Root) -> Result<Reading, Unread> {
    Ok(Reading::bool(listens(root, "udp/69")?, EVIDENCE))
}

fn listens(root: &Root, port: &str) -> Result<bool, Unread> {
    Ok(exposed(root)?.contains(port))
}

/// Every port that answers from the network, such as `tcp/22`.
pub(super) fn exposed(root: &Root) -> Result<BTreeSet<String>, Unread> {
    // The first process has the network of the device, even where the reader has one of its own.
    let tables = match root.has("/proc/1/net/tcp") {
        true => "/proc/1/net",
        false => "/proc/net",
    };
    let mut ports = BTreeSet::new();
    for (protocol, state) in [("tcp", LISTEN), ("udp", UNCONNECTED)] {
        let mut take = |line: &str| {
            let found = socket(line).filter(|socket| socket.state == state && !socket.loopback);
            ports.extend(found.map(|socket| format!("{protocol}/{}", socket.port)));
        };
        root.each_line(&format!("{tables}/{protocol}"), &mut take)?;
        let v6 = format!("{tables}/{protocol}6");
        if root.has(&v6) {
            root.each_line(&v6, &mut take)?;
        }
    }
    Ok(ports)
}

struct Socket<'a> {
    port: u16,
    loopback: bool,
    state: &'a str,
}

fn socket(line: &str) -> Option<Socket<'_>> {
    let mut columns = line.split_whitespace().skip(1);
    let (address, port) = columns.next()?.split_once(':')?;
    Some(Socket {
        port: u16::from_str_radix(port, 16).ok()?,
        loopback: is_loopback(address)?,
        state: columns.nth(1)?,
    })
}

/// Each 32-bit word of an address is printed as a number of this machine.
fn is_loopback(address: &str) -> Option<bool> {
    let mut bytes = Vec::with_capacity(16);
    for word in address.as_bytes().chunks(8) {
        let word = u32::from_str_radix(str::from_utf8(word).ok()?, 16).ok()?;
        bytes.extend_from_slice(&word.to_ne_bytes());
    }
    if let Ok(v4) = <[u8; 4]>::try_from(bytes.as_slice()) {
        return Some(std::net::Ipv4Addr::from(v4).is_loopback());
    }
    let v6 = std::net::Ipv6Addr::from(<[u8; 16]>::try_from(bytes.as_slice()).ok()?);
    let mapped = v6.to_ipv4_mapped().is_some_and(|it| it.is_loopback());
    Some(v6.is_loopback() || mapped)
}
