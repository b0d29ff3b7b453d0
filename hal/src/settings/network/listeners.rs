//! Who listens, as SNMP tells it: `tcpListenerTable` (RFC 4022) and `udpEndpointTable` (RFC 4113);
//! of devices that do not have them the older `tcpConnTable` and `udpTable`, which know IPv4 alone.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::access::Access;
use super::snmp::{ObjectId, Value};
use super::wire::Wire;

/// Most rows of a table that are asked for, each with a question of its own.
const ROWS_MAX: usize = 128;

/// What the tables tell.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Listeners {
    /// Who answers from the network, such as `tcp/631`.
    pub(super) exposed: BTreeSet<String>,
    /// The same, and who listens on loopback alone.
    pub(super) all: BTreeSet<String>,
    /// Why that is not all; `None`: the tables were read to their ends.
    pub(super) missing: Option<&'static str>,
}

/// A column whose cells are named by what listens.
struct Table {
    entry: [u32; 9],
    column: u32,
    /// What a cell says; `None`: not understood.
    socket: fn(&[u32], &Value) -> Option<Socket>,
}

struct Socket {
    is_loopback: bool,
    port: u32,
    /// Not a connection with one peer.
    listens: bool,
}

const TCP_LISTENER: Table = Table {
    entry: [1, 3, 6, 1, 2, 1, 6, 20, 1],
    column: 4,
    socket: |index, _process| {
        let (is_loopback, rest) = inet(index)?;
        let [port] = *rest else { return None };
        Some(Socket {
            is_loopback,
            port,
            listens: true,
        })
    },
};

const UDP_ENDPOINT: Table = Table {
    entry: [1, 3, 6, 1, 2, 1, 7, 7, 1],
    column: 8,
    socket: |index, _process| {
        let (is_loopback, rest) = inet(index)?;
        let (port, rest) = rest.split_first()?;
        let (_peer, rest) = inet(rest)?;
        let [peer_port, _instance] = *rest else {
            return None;
        };
        Some(Socket {
            is_loopback,
            port: *port,
            listens: peer_port == 0,
        })
    },
};

const TCP_CONNECTION: Table = Table {
    entry: [1, 3, 6, 1, 2, 1, 6, 13, 1],
    column: 1,
    socket: |index, state| {
        const LISTEN: i64 = 2;
        let (address, rest) = index.split_at_checked(4)?;
        let [port, _, _, _, _, _] = *rest else {
            return None;
        };
        Some(Socket {
            is_loopback: is_loopback(address)?,
            port,
            listens: *state == Value::Integer(LISTEN),
        })
    },
};

const UDP_LISTENER: Table = Table {
    entry: [1, 3, 6, 1, 2, 1, 7, 5, 1],
    column: 2,
    socket: |index, _port| {
        let (address, rest) = index.split_at_checked(4)?;
        let [port] = *rest else { return None };
        Some(Socket {
            is_loopback: is_loopback(address)?,
            port,
            listens: true,
        })
    },
};

/// Walks the tables.
pub(super) fn read(wire: &mut dyn Wire, access: &Access<'_>) -> Listeners {
    let mut found = Listeners::default();
    for (protocol, newer, older) in [
        ("tcp", TCP_LISTENER, TCP_CONNECTION),
        ("udp", UDP_ENDPOINT, UDP_LISTENER),
    ] {
        if !found.take(protocol, &newer, wire, access) {
            let is_there = found.take(protocol, &older, wire, access);
            let _first = found.missing.get_or_insert(match is_there {
                true => "the device's older tables tell of IPv4 alone",
                false => "a table that is empty tells nothing",
            });
        }
    }
    found
}

impl Listeners {
    /// Takes a table in; whether it has rows.
    fn take(
        &mut self,
        protocol: &str,
        table: &Table,
        wire: &mut dyn Wire,
        access: &Access<'_>,
    ) -> bool {
        let walked = access.walk(wire, &table.entry, &[table.column], ROWS_MAX);
        let column = ObjectId::new(&[&table.entry[..], &[table.column]].concat());
        for (name, values) in &walked.rows {
            let index = name.below(&column).unwrap_or_default();
            let socket = values.first().and_then(|it| (table.socket)(&index, it));
            let Some(socket) = socket.filter(|it| it.port <= u32::from(u16::MAX)) else {
                self.missing = Some("a row of the tables is not understood");
                continue;
            };
            if socket.listens {
                let word = format!("{protocol}/{}", socket.port);
                if !socket.is_loopback {
                    let _new = self.exposed.insert(word.clone());
                }
                let _new = self.all.insert(word);
            }
        }
        let is_there = !walked.rows.is_empty();
        if is_there && !walked.is_whole {
            self.missing = Some("the tables were not read to their ends");
        }
        is_there
    }
}

/// The address at the front of an index (RFC 4001: type, length, bytes): whether it is loopback,
/// and what follows.
fn inet(index: &[u32]) -> Option<(bool, &[u32])> {
    let [_kind, length, rest @ ..] = index else {
        return None;
    };
    let (address, rest) = rest.split_at_checked(usize::try_from(*length).ok()?)?;
    Some((is_loopback(address)?, rest))
}

/// No address at all means any. A zone may follow the bytes.
fn is_loopback(address: &[u32]) -> Option<bool> {
    let byte = |it: &u32| u8::try_from(*it).ok();
    let bytes: Vec<u8> = address.iter().map(byte).collect::<Option<_>>()?;
    let address: IpAddr = match *bytes.as_slice() {
        [] => return Some(false),
        [a, b, c, d] | [a, b, c, d, _, _, _, _] => Ipv4Addr::new(a, b, c, d).into(),
        _ => {
            let v6 = bytes.first_chunk::<16>()?;
            matches!(bytes.len(), 16 | 20).then(|| Ipv6Addr::from(*v6).into())?
        }
    };
    Some(address.to_canonical().is_loopback())
}
