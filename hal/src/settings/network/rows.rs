//! From what an address answered to settings: a file for each, a line for each way to read it.

mod cert_expires;
mod cert_strength;
mod cert_trusted;
mod file_access;
mod ftp;
mod http_admin_plain;
mod ip_forwarding;
mod ipp_methods;
mod ipp_security;
mod listening_ports;
mod lpd_515;
mod mib_personal_info;
mod print_without_auth;
mod raw_9100;
mod root_remote_login;
mod smb1;
mod snmp_default_community;
mod snmp_v1v2;
mod snmp_v3_level;
mod telnet;
mod tls_min_version;
mod tls_weak_ciphers;
mod user_enabled;
mod vendor_api_tls;
mod version_approved;

use super::access::Heard;
use super::ask::{Facts, State, TlsFacts, Topic};
use super::mib::V3;
use super::trust::Trust;
use super::{Ports, certificate, tls};
use crate::settings::{Method, Reading, Why};

/// Every probe, in the order of their ids; of one id the best first.
pub(super) const ROWS: &[Row] = &[
    ("app.user_enabled", user_enabled::PROBE),
    ("auth.ipp_methods", ipp_methods::PROBE),
    ("auth.print_without_auth", print_without_auth::PROBE),
    ("auth.root_remote_login", root_remote_login::PROBE),
    ("data.mib_personal_info_hidden", mib_personal_info::PROBE),
    ("fw.version_approved", version_approved::IPP),
    ("fw.version_approved", version_approved::SNMP),
    ("net.cert_expires", cert_expires::PROBE),
    ("net.cert_strength", cert_strength::PROBE),
    ("net.cert_trusted", cert_trusted::PROBE),
    ("net.ftp", ftp::PROBE),
    ("net.http_admin_plain", http_admin_plain::PROBE),
    ("net.ip_forwarding", ip_forwarding::PROBE),
    ("net.ipp_security", ipp_security::IPP),
    ("net.ipp_security", ipp_security::PORT),
    ("net.listening_ports", listening_ports::SNMP),
    ("net.listening_ports", listening_ports::PORT),
    ("net.lpd_515", lpd_515::PORT),
    ("net.lpd_515", lpd_515::SNMP),
    ("net.raw_9100", raw_9100::PORT),
    ("net.raw_9100", raw_9100::SNMP),
    ("net.smb1", smb1::PROBE),
    ("net.snmp_default_community", snmp_default_community::PROBE),
    ("net.snmp_v1v2", snmp_v1v2::PROBE),
    ("net.snmp_v3_level", snmp_v3_level::PROBE),
    ("net.telnet", telnet::PROBE),
    ("net.tls_min_version", tls_min_version::PROBE),
    ("net.tls_weak_ciphers", tls_weak_ciphers::PROBE),
    ("net.vendor_api_tls", vendor_api_tls::PROBE),
    ("pdl.file_access", file_access::PROBE),
];

/// A setting's id and a way to read it.
pub(super) type Row = (&'static str, Probe);

/// How it is read, what is asked for it, and what the answers say; `None`: nothing by this way.
type Probe = (Method, Topic, fn(&Facts, &Ports) -> Option<Reading>);

fn port_evidence(port: u16) -> String {
    format!("TCP port {port}")
}

fn is_open(facts: &Facts, port: u16) -> Reading {
    Reading::bool(facts.port(port) == State::Open, port_evidence(port))
}

const PRINTER: &str = "Get-Printer-Attributes";

/// Which attribute of the printer shows it, and how it was asked.
fn printer_evidence(facts: &Facts, name: &str) -> String {
    match facts.ipp.tls_port {
        Some(port) => format!("{PRINTER} over TLS, {}: {name}", port_evidence(port)),
        None => format!("{PRINTER}: {name}"),
    }
}

fn no_ipp(facts: &Facts, ports: &Ports) -> Option<Reading> {
    if facts.ipp.printer.is_some() {
        return None;
    }
    let is_closed = |port: u16| facts.port(port) == State::Closed;
    let has_none = |port: &u16| is_closed(*port) || facts.ipp.answered.contains(port);
    let (why, detail) = if facts.ipp.is_guarded {
        let detail = "IPP refuses, or asks for a password, before it tells anything";
        (Why::NoRight, detail)
    } else if is_closed(ports.ipp) && ports.tls.iter().all(has_none) {
        let evidence = format!("{}: closed", port_evidence(ports.ipp));
        return Some(Reading::NotApplicable(evidence));
    } else if facts.speaks_tls(ports.ipp) {
        let detail = "the port speaks TLS, but does not answer to IPP over it";
        (Why::NotAnswered, detail)
    } else {
        (Why::NotAnswered, "no port answers to IPP")
    };
    Some(Reading::unknown(why, detail, PRINTER))
}

fn attribute<'a>(facts: &'a Facts, name: &str) -> Option<&'a [String]> {
    facts.ipp.printer.as_ref()?.values(name)
}

/// What the printer says of its addresses. Words that the standard knows; nothing else of an
/// answer is repeated.
fn words_of_uris(
    facts: &Facts,
    ports: &Ports,
    name: &str,
    words: &[&'static str],
) -> Option<Reading> {
    if let Some(reading) = no_ipp(facts, ports) {
        return Some(reading);
    }
    let evidence = printer_evidence(facts, name);
    let find = |it: &String| words.iter().find(|word| *word == it).copied();
    let known = |list: &[String]| list.iter().map(find).collect::<Option<Vec<_>>>();
    Some(match parallel(facts, name).and_then(known) {
        Some(words) => Reading::set(words, evidence),
        None => Reading::unknown(Why::NotAnswered, "the printer does not tell", evidence),
    })
}

/// Lists that belong together must be equally long (RFC 8011, 5.4.2); anything else is no answer.
fn parallel<'a>(facts: &'a Facts, name: &str) -> Option<&'a [String]> {
    let list = attribute(facts, name)?;
    let others = [
        "printer-uri-supported",
        "uri-authentication-supported",
        "uri-security-supported",
    ];
    let equal = |other: &&str| attribute(facts, other).is_none_or(|it| it.len() == list.len());
    (!list.is_empty() && others.iter().all(equal)).then_some(list)
}

const SNMP: &str = "SNMP versions 1 and 2c, communities from the factory";

/// Whether a channel of one of these kinds takes jobs.
fn channel(facts: &Facts, kinds: &[i64]) -> Option<Reading> {
    if facts.snmp.channels.is_empty() {
        return None;
    }
    let open = kinds.iter().any(|kind| facts.snmp.channels.contains(kind));
    (open || facts.snmp.has_all_channels).then(|| Reading::bool(open, "SNMP prtChannelTable"))
}

fn no_snmp(evidence: &str) -> Reading {
    let detail = "SNMP does not answer: whether it is off or was not heard is not known";
    Reading::unknown(Why::NotAnswered, detail, evidence)
}

/// A setting of TLS: the worst of the ports that speak it. What is not sure of one is worse than
/// what is good of all.
fn of_tls(
    facts: &Facts,
    ports: &Ports,
    id: &str,
    is_sure: fn(&TlsFacts) -> bool,
    read: fn(&[TlsFacts]) -> Reading,
) -> Option<Reading> {
    let row = crate::settings::Row::find(id)?;
    let reading = match facts.tls.as_slice() {
        [] => return Some(no_tls(facts, ports)),
        all => read(all),
    };
    Some(match facts.tls.iter().find(|it| !is_sure(it)) {
        Some(unsure) if reading.is_secure(row, facts.now) != Some(false) => {
            let detail = "not every hello was answered as TLS asks for";
            Reading::unknown(Why::NotAnswered, detail, port_evidence(unsure.port))
        }
        _ => reading,
    })
}

/// No port was found to speak TLS: only of closed ones that is known.
fn no_tls(facts: &Facts, ports: &Ports) -> Reading {
    let not_closed = |port: &&u16| facts.port(**port) != State::Closed;
    match ports.tls.iter().find(not_closed) {
        None => Reading::NotApplicable("no port speaks TLS".to_owned()),
        Some(port) => {
            let detail = "no port that is not closed agrees to TLS";
            Reading::unknown(Why::NotAnswered, detail, port_evidence(*port))
        }
    }
}

fn tls_evidence(ports: &[TlsFacts], what: &str) -> String {
    let ports: Vec<String> = ports.iter().map(|it| it.port.to_string()).collect();
    format!("TCP port {}: {what}", ports.join(", "))
}

/// A setting of certificates: the worst of the ports that speak TLS. What is not known of one is
/// worse than what is good of another.
fn of_certificate(
    facts: &Facts,
    ports: &Ports,
    id: &str,
    read: fn(&certificate::Facts, &Trust, String) -> Reading,
) -> Option<Reading> {
    let row = crate::settings::Row::find(id)?;
    let of_port = |port: &TlsFacts| {
        let evidence = format!("{}: certificate", port_evidence(port.port));
        match &port.certificate {
            Some(certificate) => read(certificate, &port.trust, evidence),
            None => {
                let detail = "no handshake that shows a certificate, or it is not understood";
                Reading::unknown(Why::NotSupported, detail, evidence)
            }
        }
    };
    let badness = |reading: &Reading| {
        let rank = match reading.is_secure(row, facts.now) {
            Some(false) => 0,
            None => 1,
            Some(true) => 2,
        };
        (rank, reading.text().to_owned())
    };
    let worst = facts.tls.iter().map(of_port).min_by_key(badness);
    Some(worst.unwrap_or_else(|| no_tls(facts, ports)))
}
