//! `net.firewall`: whether what comes in is dropped unless a rule lets it through (nftables).
//!
//! Asked by netlink, as `nft list chains` does. Filters of the older iptables are not listed
//! there; where they are in use the setting stays unknown.

use std::io;

use super::{Reading, Root, Unread, Why};

const EVIDENCE: &str = "netlink: chains of nftables at hook input";
const HEADER: usize = 16;
const ERROR: u16 = 2;
const DONE: u16 = 3;
const NEW_TABLE: u16 = 10 << 8;
const TABLE_FLAGS: u16 = 2;
const NEW_CHAIN: u16 = 10 << 8 | 3;
const HOOK: u16 = 4;
const POLICY: u16 = 5;
const RULES: u16 = 6;
const HOOK_NUMBER: u16 = 1;
/// Families of nftables.
const INET: u8 = 1;
const IPV4: u8 = 2;
const IPV6: u8 = 10;

/// A chain that sees what comes in.
struct Chain {
    family: u8,
    drops: bool,
    rules: bool,
}

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let answer = match root.kernel.nft_chains() {
        Ok(answer) => answer,
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let detail = "the agent may not ask for nftables (CAP_NET_ADMIN)";
            return Ok(Reading::unknown(Why::NoRight, detail, EVIDENCE));
        }
        Err(error) => {
            let detail = format!("the kernel does not list nftables: {}", error.kind());
            return Ok(Reading::unknown(Why::NotSupported, detail, EVIDENCE));
        }
    };
    let chains: Vec<Chain> = messages(&answer).filter_map(chain).collect();
    let drops = |family: u8| {
        let covers = |chain: &&Chain| chain.family == INET || chain.family == family;
        chains.iter().filter(covers).any(|chain| chain.drops)
    };
    let ipv6 = root.has("/proc/net/if_inet6");
    if drops(IPV4) && (!ipv6 || drops(IPV6)) {
        // Its chains are listed as all others, but see nothing.
        if messages(&answer).any(is_dormant) {
            let detail = "a table of nftables is dormant, perhaps the one that filters";
            return Ok(Reading::unknown(Why::NotSupported, detail, EVIDENCE));
        }
        return Ok(Reading::value("filter", EVIDENCE));
    }
    if chains.iter().any(|chain| chain.drops || chain.rules) {
        let detail = "there are rules, but not everything else is dropped";
        return Ok(Reading::unknown(Why::NotSupported, detail, EVIDENCE));
    }
    const OLD: &str = "/proc/net/ip_tables_names";
    if root
        .optional_text(OLD)?
        .is_some_and(|names| !names.is_empty())
    {
        let detail = "iptables is in use, whose rules are not read";
        return Ok(Reading::unknown(Why::NotSupported, detail, OLD));
    }
    Ok(Reading::value("off", EVIDENCE))
}

/// Whether a piece of the kernel's answer is its last.
pub(super) fn ends(part: &[u8]) -> io::Result<bool> {
    for (kind, body) in messages(part) {
        if kind == ERROR {
            let code = body
                .first_chunk()
                .map_or(0, |code| i32::from_ne_bytes(*code));
            return match code {
                0 => Ok(true),
                code => Err(io::Error::from_raw_os_error(code.wrapping_neg())),
            };
        }
        if kind == DONE {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Messages with their type.
fn messages(mut bytes: &[u8]) -> impl Iterator<Item = (u16, &[u8])> {
    std::iter::from_fn(move || {
        let length = u32::from_ne_bytes(*bytes.first_chunk()?) as usize;
        let kind = u16::from_ne_bytes(*bytes.get(4..)?.first_chunk()?);
        let body = bytes.get(HEADER..length)?;
        bytes = bytes.get(length.next_multiple_of(4)..).unwrap_or_default();
        Some((kind, body))
    })
}

fn is_dormant((kind, body): (u16, &[u8])) -> bool {
    const DORMANT: u32 = 1;
    let flags = body.get(4..).and_then(|it| attribute(it, TABLE_FLAGS));
    let flags = flags.and_then(|it| it.first_chunk());
    kind == NEW_TABLE && flags.is_some_and(|it| u32::from_be_bytes(*it) & DORMANT != 0)
}

fn chain((kind, body): (u16, &[u8])) -> Option<Chain> {
    if kind != NEW_CHAIN {
        return None;
    }
    let (family, attributes) = (*body.first()?, body.get(4..)?);
    let number = |attributes, kind| {
        let value = attribute(attributes, kind)?;
        Some(u32::from_be_bytes(*value.first_chunk()?))
    };
    const LOCAL_IN: u32 = 1;
    const DROP: u32 = 0;
    let hook = attribute(attributes, HOOK)?;
    (number(hook, HOOK_NUMBER)? == LOCAL_IN).then(|| Chain {
        family,
        drops: number(attributes, POLICY) == Some(DROP),
        rules: number(attributes, RULES).is_some_and(|rules| rules > 0),
    })
}

fn attribute(mut bytes: &[u8], wanted: u16) -> Option<&[u8]> {
    const KIND: u16 = 0x3fff;
    loop {
        let length = usize::from(u16::from_ne_bytes(*bytes.first_chunk()?));
        let kind = u16::from_ne_bytes(*bytes.get(2..)?.first_chunk()?) & KIND;
        let value = bytes.get(4..length)?;
        if kind == wanted {
            return Some(value);
        }
        bytes = bytes.get(length.next_multiple_of(4)..)?;
    }
}
