//! The questions that one address is asked, and what it answered. Nothing is written to the
//! device, and nothing but the connection itself is ever sent to the printing ports.

use std::collections::{BTreeMap, BTreeSet};

use super::community::Community;
use super::mib::{self, SnmpFacts};
use super::trust::Trust;
use super::wire::{Connected, Lost, Wire, exchange};
use super::{Ports, certificate, http, inquiry, ipp, tls};
use crate::sorted::sorted;

/// Ports that are connected to.
const WELL_KNOWN: &[u16] = &[21, 22, 23, 139, SMB, 515, 8080, 9100, 9101, 9102];
const SMB: u16 = 445;

/// How a port answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    Open,
    Closed,
    Silent,
}

/// What one address answered.
#[derive(Debug, Default)]
pub(super) struct Facts {
    /// When this was asked, Unix time in seconds.
    pub(super) now: u64,
    pub(super) ports: BTreeMap<u16, State>,
    pub(super) http: Option<http::Answer>,
    /// `None`: not answered.
    pub(super) smb1: Option<bool>,
    /// `None`: not answered.
    pub(super) vendor_api_tls: Option<bool>,
    pub(super) tls: Vec<TlsFacts>,
    pub(super) ipp: IppFacts,
    pub(super) snmp: SnmpFacts,
}

impl Facts {
    pub(super) fn port(&self, port: u16) -> State {
        self.ports.get(&port).copied().unwrap_or(State::Silent)
    }

    pub(super) fn speaks_tls(&self, port: u16) -> bool {
        let mut speaking = self.tls.iter().filter(|it| it.oldest.is_some());
        speaking.any(|it| it.port == port)
    }

    /// Whether the host is there at all, so that silence of a service says something.
    pub(super) fn is_up(&self) -> bool {
        let answers = |state: &State| *state != State::Silent;
        self.ports.values().any(answers) || self.snmp.is_there() || self.snmp.is_refused()
    }
}

/// What a port that speaks TLS, or may do so, agrees to.
#[derive(Debug)]
pub(super) struct TlsFacts {
    pub(super) port: u16,
    pub(super) oldest: Option<tls::Version>,
    /// Whether it agrees to none that is older.
    pub(super) is_oldest_sure: bool,
    pub(super) weak: BTreeSet<&'static str>,
    /// Whether it agrees to no others.
    pub(super) is_weak_sure: bool,
    pub(super) certificate: Option<certificate::Facts>,
    pub(super) trust: Trust,
}

/// What IPP answers.
#[derive(Debug, Default)]
pub(super) struct IppFacts {
    /// The HTTP status of the question in clear.
    pub(super) http_status: Option<u16>,
    /// Whether it is spoken in clear.
    pub(super) is_clear: bool,
    /// Whether the question in clear may have got lost.
    pub(super) is_clear_lost: bool,
    /// Whether it refuses, or asks for a password.
    pub(super) is_guarded: bool,
    /// Ports that answered as HTTP, be it that there is no printer.
    pub(super) answered: Vec<u16>,
    /// The port where the printer answers over TLS; `None`: in clear, or not at all.
    pub(super) tls_port: Option<u16>,
    pub(super) printer: Option<ipp::Answer>,
    pub(super) system: Option<ipp::Answer>,
    /// Whether a job without a password would be taken.
    pub(super) job_taken: Option<bool>,
}

/// What is asked for a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Topic {
    AllPorts,
    Http,
    Ipp,
    Listeners,
    Ports(&'static [u16]),
    Smb,
    Snmp,
    Tls,
    VendorApi,
}

impl Topic {
    /// The ports that must be connected to.
    fn ports(self, ports: &Ports) -> Vec<u16> {
        match self {
            Self::AllPorts => all_ports(ports),
            Self::Http => vec![ports.http],
            Self::Ipp => [&[ports.ipp][..], &ports.tls].concat(),
            Self::Ports(some) => some.to_vec(),
            Self::Smb => vec![SMB],
            Self::Listeners | Self::Snmp => Vec::new(),
            Self::Tls => ports.tls.clone(),
            Self::VendorApi => vec![ports.vendor_api],
        }
    }
}

fn all_ports(ports: &Ports) -> Vec<u16> {
    let own = [ports.http, ports.ipp, ports.vendor_api];
    let all = WELL_KNOWN.iter().copied().chain(own);
    sorted(all.chain(ports.tls.iter().copied()))
}

/// Connects, and no more: a printing port would print what it gets.
fn connect(wire: &mut dyn Wire, port: u16, facts: &mut Facts) {
    let state = match wire.connect(port) {
        Connected::Open(_) => State::Open,
        Connected::Closed => State::Closed,
        Connected::Silent => State::Silent,
    };
    let _first = facts.ports.insert(port, state);
}

/// Asks what these topics need.
pub(super) fn ask(
    wire: &mut dyn Wire,
    ports: &Ports,
    community: Option<&Community>,
    host: &str,
    topics: &[Topic],
) -> Facts {
    let mut facts = Facts::default();
    let has = |topic| topics.contains(&topic);
    let needed = topics.iter().flat_map(|topic| topic.ports(ports));
    for port in sorted(needed) {
        connect(wire, port, &mut facts);
    }
    let open = |facts: &Facts, port| facts.port(port) == State::Open;
    for port in ports.tls.iter().copied() {
        // What IPP says of its encryption is judged by what its own port agrees to.
        let wanted = has(Topic::Tls) || (has(Topic::Ipp) && port == ports.ipp);
        if wanted && open(&facts, port) {
            facts.tls.extend(ask_tls(wire, port));
        }
    }
    if has(Topic::Http) && open(&facts, ports.http) {
        let question = http::get(host, "/");
        let heard = exchange(wire, ports.http, &question, http::answer);
        facts.http = heard.ok().flatten();
    }
    if has(Topic::Smb) {
        facts.smb1 = match open(&facts, SMB) {
            true => exchange(wire, SMB, SMB1_HELLO, smb1_answer).ok().flatten(),
            false => Some(false),
        };
    }
    if has(Topic::VendorApi) && open(&facts, ports.vendor_api) {
        let question = tls::hello(tls::Version::Tls12);
        facts.vendor_api_tls = match exchange(wire, ports.vendor_api, &question, tls::answer) {
            Ok(Some(tls::Answer::Agreed { .. })) => Some(true),
            // To refuse it in words of TLS is no way to speak without.
            Ok(Some(tls::Answer::Refused)) | Err(Lost) => None,
            Ok(_) => Some(false),
        };
    }
    if has(Topic::Ipp) && Topic::Ipp.ports(ports).iter().any(|it| open(&facts, *it)) {
        facts.ipp = ask_ipp(wire, ports, host);
    }
    if has(Topic::Snmp) || has(Topic::Listeners) {
        facts.snmp = mib::ask(wire, ports.snmp, community, has(Topic::Listeners));
    }
    // Silence says something only of a host that is there.
    for port in all_ports(ports) {
        if facts.is_up() {
            break;
        }
        if !facts.ports.contains_key(&port) {
            connect(wire, port, &mut facts);
        }
    }
    facts
}

/// `Negotiate` of SMB with the one dialect `NT LM 0.12`, which is SMB version 1.
const SMB1_HELLO: &[u8] = b"\x00\x00\x00\x2f\xffSMB\x72\x00\x00\x00\x00\x18\x01\x28\
    \x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x00\x01\x00\x00\x00\x00\
    \x00\x0c\x00\x02NT LM 0.12\x00";

/// Whether that dialect was chosen: its number is 0, a refusal is 0xffff.
fn smb1_answer(bytes: &[u8], at_end: bool) -> Option<bool> {
    const DIALECT: usize = 4 + 32 + 1;
    match bytes.get(DIALECT..DIALECT + 2) {
        Some(dialect) => Some(bytes.get(4..8) == Some(b"\xffSMB") && dialect == [0, 0]),
        None => at_end.then_some(false),
    }
}

/// `None`: it answers each hello otherwise than in TLS, or not at all and ends the connection.
fn ask_tls(wire: &mut dyn Wire, port: u16) -> Option<TlsFacts> {
    let (mut agreed, mut der) = (Vec::new(), None);
    let (mut is_refused, mut is_lost) = (false, false);
    for version in tls::Version::ALL {
        match exchange(wire, port, &tls::hello(version), tls::answer) {
            Ok(Some(answer)) if answer.is(version) => {
                agreed.push(version);
                if let tls::Answer::Agreed { certificate, .. } = answer {
                    der = certificate.or(der);
                }
            }
            Ok(Some(tls::Answer::NotTls) | None) => {}
            Ok(Some(_)) => is_refused = true,
            Err(Lost) => is_lost = true,
        }
    }
    if agreed.is_empty() && !is_refused && !is_lost {
        return None;
    }
    let oldest = agreed.first().copied();
    let is_oldest_sure = !is_lost && oldest.is_some();
    let newest_in_clear = agreed.iter().rev().find(|it| **it < tls::Version::Tls13);
    let (weak, is_told) = match newest_in_clear {
        Some(version) => ask_weak(wire, port, *version),
        None => (BTreeSet::new(), true),
    };
    // A finished handshake shows it under TLS 1.3 too, and that the device holds its key.
    let chain = wire.tls(port).map(|it| it.certificates());
    let chain = chain.unwrap_or_default();
    let leaf = chain.first().or(der.as_ref());
    Some(TlsFacts {
        port,
        oldest,
        is_oldest_sure,
        weak,
        is_weak_sure: is_told && is_oldest_sure,
        certificate: leaf.and_then(|der| certificate::facts(der)),
        trust: wire.trust(&chain),
    })
}

/// Offers weak suites alone, each time without the kinds that were accepted; and whether the rest
/// was refused.
fn ask_weak(
    wire: &mut dyn Wire,
    port: u16,
    version: tls::Version,
) -> (BTreeSet<&'static str>, bool) {
    let mut kinds = BTreeSet::new();
    for _ in tls::WEAK {
        let without = Vec::from_iter(kinds.iter().copied());
        let question = tls::weak_hello(version, &without);
        let suite = match exchange(wire, port, &question, tls::answer) {
            Ok(Some(tls::Answer::Agreed { suite, .. })) => suite,
            Ok(Some(tls::Answer::Refused) | None) => return (kinds, true),
            Ok(Some(tls::Answer::NotTls)) | Err(Lost) => return (kinds, false),
        };
        match tls::weak_kind(suite) {
            Some(kind) if kinds.insert(kind) => {}
            _ => return (kinds, false),
        }
    }
    (kinds, true)
}

fn ask_ipp(wire: &mut dyn Wire, ports: &Ports, host: &str) -> IppFacts {
    const PRINTER: &[&str] = &[
        "printer-firmware-string-version",
        "printer-uri-supported",
        "uri-authentication-supported",
        "uri-security-supported",
    ];
    const SYSTEM: &[&str] = &["system-user-application-name"];
    let heard = inquiry::find(wire, ports, host, PRINTER);
    let mut facts = IppFacts {
        http_status: heard.status,
        is_clear: heard.is_clear,
        is_clear_lost: heard.is_lost,
        is_guarded: heard.is_guarded,
        answered: heard.answered,
        ..IppFacts::default()
    };
    let Some(mut found) = heard.found else {
        return facts;
    };
    facts.tls_port = found.line.tls_port();
    facts.printer = Some(found.answer);
    let mut call = |operation, path, wanted| found.line.ask(wire, host, (operation, path, wanted));
    facts.job_taken = match call(ipp::VALIDATE_JOB, found.path, &[]) {
        Some((401 | 403, _)) => Some(false),
        Some((_, Some(answer))) => match answer.status {
            // Forbidden, not authenticated, not authorized.
            0x0401..=0x0403 => Some(false),
            _ => answer.is_success().then_some(true),
        },
        _ => None,
    };
    let system = call(ipp::GET_SYSTEM_ATTRIBUTES, "/ipp/system", SYSTEM);
    facts.system = system.and_then(|(_, answer)| answer.filter(ipp::Answer::is_success));
    facts
}
