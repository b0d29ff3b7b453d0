//! From what an address answered to settings: one line for each setting and way to read it.

use super::ask::{Facts, State, TlsFacts, Topic, V3};
use super::{Ports, ipp, tls};
use crate::settings::{Method, Reading, Why};

/// A setting's id, how it is read, what is asked for it, and what the answers say; `None`: nothing
/// by this way.
pub(super) type Row = (
    &'static str,
    Method,
    Topic,
    fn(&Facts, &Ports) -> Option<Reading>,
);

/// Every probe, in the order of their ids.
pub(super) const ROWS: &[Row] = &[
    (
        "app.user_enabled",
        Method::Ipp,
        Topic::Ipp,
        user_applications,
    ),
    ("auth.ipp_methods", Method::Ipp, Topic::Ipp, ipp_methods),
    (
        "auth.print_without_auth",
        Method::Ipp,
        Topic::Ipp,
        print_without_auth,
    ),
    (
        "auth.root_remote_login",
        Method::Port,
        Topic::Ports(&[22]),
        |facts, _| Some(remote_login(facts)),
    ),
    (
        "data.mib_personal_info_hidden",
        Method::Snmp,
        Topic::Snmp,
        |facts, _| personal_info(facts),
    ),
    ("fw.version_approved", Method::Ipp, Topic::Ipp, version),
    ("net.cert_expires", Method::Tls, Topic::Tls, |facts, _| {
        cert_expires(facts)
    }),
    ("net.cert_strength", Method::Tls, Topic::Tls, |facts, _| {
        cert_strength(facts)
    }),
    ("net.cert_trusted", Method::Tls, Topic::Tls, |facts, _| {
        cert_trusted(facts)
    }),
    ("net.ftp", Method::Port, Topic::Ports(&[21]), |facts, _| {
        Some(is_open(facts, 21))
    }),
    (
        "net.http_admin_plain",
        Method::Port,
        Topic::Http,
        http_plain,
    ),
    (
        "net.ip_forwarding",
        Method::Snmp,
        Topic::Snmp,
        |facts, _| forwarding(facts),
    ),
    ("net.ipp_security", Method::Ipp, Topic::Ipp, ipp_security),
    (
        "net.ipp_security",
        Method::Port,
        Topic::Ipp,
        ipp_over_tls_only,
    ),
    (
        "net.listening_ports",
        Method::Port,
        Topic::AllPorts,
        |facts, _| Some(listening(facts)),
    ),
    (
        "net.lpd_515",
        Method::Port,
        Topic::Ports(&[515]),
        |facts, _| Some(is_open(facts, 515)),
    ),
    ("net.lpd_515", Method::Snmp, Topic::Snmp, |facts, _| {
        channel(facts, &[8])
    }),
    (
        "net.raw_9100",
        Method::Port,
        Topic::Ports(&[9100, 9101, 9102]),
        |facts, _| Some(raw(facts)),
    ),
    ("net.raw_9100", Method::Snmp, Topic::Snmp, |facts, _| {
        channel(facts, &[11, 37, 38])
    }),
    ("net.smb1", Method::Port, Topic::Smb, |facts, _| {
        Some(smb1(facts))
    }),
    (
        "net.snmp_default_community",
        Method::Port,
        Topic::Snmp,
        |facts, _| Some(community(facts)),
    ),
    ("net.snmp_v1v2", Method::Port, Topic::Snmp, |facts, _| {
        Some(snmp_v1v2(facts))
    }),
    (
        "net.snmp_v3_level",
        Method::Port,
        Topic::Snmp,
        |facts, _| Some(snmp_v3(facts)),
    ),
    (
        "net.telnet",
        Method::Port,
        Topic::Ports(&[23]),
        |facts, _| Some(is_open(facts, 23)),
    ),
    (
        "net.tls_min_version",
        Method::Tls,
        Topic::Tls,
        |facts, _| tls_version(facts),
    ),
    (
        "net.tls_weak_ciphers",
        Method::Tls,
        Topic::Tls,
        |facts, _| weak_ciphers(facts),
    ),
    (
        "net.vendor_api_tls",
        Method::Port,
        Topic::VendorApi,
        vendor_api,
    ),
    (
        "pdl.file_access",
        Method::Port,
        Topic::Ports(&[]),
        |_, _| Some(file_access()),
    ),
];

fn port_evidence(port: u16) -> String {
    format!("TCP port {port}")
}

fn is_open(facts: &Facts, port: u16) -> Reading {
    Reading::bool(facts.port(port) == State::Open, port_evidence(port))
}

/// A port never proves it: SSH may listen on another, and who may sign in only its settings tell.
fn remote_login(facts: &Facts) -> Reading {
    let detail = match facts.port(22) {
        State::Open => "an open port does not tell who may sign in",
        _ => "SSH may listen on another port",
    };
    Reading::unknown(Why::NotSupported, detail, port_evidence(22))
}

fn raw(facts: &Facts) -> Reading {
    let open = (9100..=9102).find(|port| facts.port(*port) == State::Open);
    is_open(facts, open.unwrap_or(9100))
}

/// Only some ports were tried: nothing is known of all others, nor of UDP.
fn listening(facts: &Facts) -> Reading {
    let tried: Vec<String> = facts.ports.keys().map(u16::to_string).collect();
    let open = facts
        .ports
        .iter()
        .filter(|(_, state)| **state == State::Open);
    Reading::partial(
        open.map(|(port, _)| format!("tcp/{port}")),
        format!("only these TCP ports were tried: {}", tried.join(",")),
        "connections to well-known TCP ports",
    )
}

fn http_plain(facts: &Facts, ports: &Ports) -> Option<Reading> {
    let evidence = port_evidence(ports.http);
    if facts.port(ports.http) != State::Open {
        return Some(Reading::bool(false, evidence));
    }
    let Some(answer) = &facts.http else {
        let detail = "the port is open, but does not answer as a web page";
        return Some(Reading::unknown(Why::NotAnswered, detail, evidence));
    };
    let target = answer.location.as_deref().unwrap_or_default();
    let safe = match answer.status {
        300..=399 => target.starts_with("https://"),
        404 | 410 => true,
        _ => false,
    };
    Some(Reading::bool(
        !safe,
        format!("{evidence}: status {}", answer.status),
    ))
}

fn smb1(facts: &Facts) -> Reading {
    Reading::bool(facts.smb1, "TCP port 445: negotiation of NT LM 0.12")
}

fn vendor_api(facts: &Facts, ports: &Ports) -> Option<Reading> {
    let open = facts.port(ports.vendor_api) == State::Open;
    let value = match (open, facts.vendor_api_tls) {
        (false, _) => "off",
        (true, true) => "tls",
        (true, false) => "open",
    };
    Some(Reading::value(value, port_evidence(ports.vendor_api)))
}

fn file_access() -> Reading {
    let detail = "asked for on request only: what is sent to port 9100 may be printed";
    Reading::unknown(Why::NotSupported, detail, "not sent")
}

const PRINTER: &str = "Get-Printer-Attributes";

fn attribute<'a>(facts: &'a Facts, name: &str) -> Option<&'a [String]> {
    facts.ipp.printer.as_ref()?.values(name)
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

/// Words that the standard knows; nothing else of an answer is repeated.
fn known(list: &[String], words: &[&'static str]) -> Option<Vec<&'static str>> {
    let find = |it: &String| words.iter().find(|word| *word == it).copied();
    list.iter().map(find).collect()
}

fn no_ipp(facts: &Facts, ports: &Ports) -> Option<Reading> {
    if facts.port(ports.ipp) != State::Open {
        return Some(Reading::NotApplicable(format!(
            "{}: closed",
            port_evidence(ports.ipp)
        )));
    }
    if facts.ipp.printer.is_none() {
        let why = match facts.tls.iter().any(|it| it.port == ports.ipp) {
            true => "IPP answers over TLS only, where it is not asked",
            false => "the port does not answer to IPP",
        };
        return Some(Reading::unknown(Why::NotAnswered, why, PRINTER));
    }
    None
}

fn ipp_methods(facts: &Facts, ports: &Ports) -> Option<Reading> {
    const WORDS: &[&str] = &[
        "none",
        "requesting-user-name",
        "basic",
        "digest",
        "certificate",
        "negotiate",
        "oauth",
    ];
    if let Some(reading) = no_ipp(facts, ports) {
        return Some(reading);
    }
    let evidence = format!("{PRINTER}: uri-authentication-supported");
    let list = parallel(facts, "uri-authentication-supported");
    Some(match list.and_then(|list| known(list, WORDS)) {
        Some(words) => Reading::set(words, evidence),
        None => Reading::unknown(Why::NotAnswered, "the printer does not tell", evidence),
    })
}

fn ipp_security(facts: &Facts, ports: &Ports) -> Option<Reading> {
    if let Some(reading) = no_ipp(facts, ports) {
        return Some(reading);
    }
    let evidence = format!("{PRINTER}: uri-security-supported");
    let list = parallel(facts, "uri-security-supported");
    Some(match list.and_then(|list| known(list, &["none", "tls"])) {
        Some(words) => Reading::set(words, evidence),
        None => Reading::unknown(Why::NotAnswered, "the printer does not tell", evidence),
    })
}

/// Whether the port speaks IPP in clear, whatever it says of itself.
fn ipp_over_tls_only(facts: &Facts, ports: &Ports) -> Option<Reading> {
    let evidence = port_evidence(ports.ipp);
    let tls = facts.tls.iter().any(|it| it.port == ports.ipp);
    if facts.ipp.printer.is_some() {
        let words = if tls {
            vec!["none", "tls"]
        } else {
            vec!["none"]
        };
        return Some(Reading::set(words, evidence));
    }
    let refused = matches!(facts.ipp.http_status, None | Some(400 | 403 | 426));
    (tls && refused).then(|| Reading::set(["tls"], evidence))
}

fn print_without_auth(facts: &Facts, ports: &Ports) -> Option<Reading> {
    if let Some(reading) = no_ipp(facts, ports) {
        return Some(reading);
    }
    const EVIDENCE: &str = "Validate-Job without a password";
    Some(match facts.ipp.job_taken {
        Some(taken) => Reading::bool(taken, EVIDENCE),
        None => Reading::unknown(Why::NotAnswered, "the printer does not tell", EVIDENCE),
    })
}

fn user_applications(facts: &Facts, ports: &Ports) -> Option<Reading> {
    if let Some(reading) = no_ipp(facts, ports) {
        return Some(reading);
    }
    const NAMES: &str = "system-user-application-name";
    let system = facts.ipp.system.as_ref();
    Some(match system.and_then(|it: &ipp::Answer| it.values(NAMES)) {
        Some(names) => Reading::bool(!names.is_empty(), format!("Get-System-Attributes: {NAMES}")),
        None => Reading::unknown(
            Why::NotSupported,
            "the printer does not list its applications",
            "Get-System-Attributes",
        ),
    })
}

fn version(facts: &Facts, _ports: &Ports) -> Option<Reading> {
    let versions = attribute(facts, "printer-firmware-string-version")?;
    let text = versions.first().filter(|it| !it.is_empty())?;
    let evidence = format!("{PRINTER}: printer-firmware-string-version");
    Some(Reading::value(text, evidence))
}

const SNMP: &str = "SNMP versions 1 and 2c, communities from the factory";

/// Silence of SNMP says something only when the host is there.
fn community(facts: &Facts) -> Reading {
    let value = match facts.snmp.is_from_factory {
        true => "read",
        false => "none",
    };
    Reading::value(value, SNMP)
}

fn snmp_v1v2(facts: &Facts) -> Reading {
    Reading::bool(facts.snmp.is_from_factory, SNMP)
}

fn snmp_v3(facts: &Facts) -> Reading {
    const EVIDENCE: &str = "SNMP version 3, engine discovery";
    match facts.snmp.v3 {
        V3::Silent => Reading::value("off", EVIDENCE),
        V3::NoAuth => Reading::value("noauth", EVIDENCE),
        V3::Present => {
            let detail = "version 3 answers; what it asks for only the vendor's settings tell";
            Reading::unknown(Why::NotSupported, detail, EVIDENCE)
        }
    }
}

fn forwarding(facts: &Facts) -> Option<Reading> {
    const FORWARDS: i64 = 1;
    let value = facts.snmp.forwarding?;
    Some(Reading::bool(value == FORWARDS, "SNMP ipForwarding"))
}

fn channel(facts: &Facts, kinds: &[i64]) -> Option<Reading> {
    if facts.snmp.channels.is_empty() {
        return None;
    }
    let open = kinds.iter().any(|kind| facts.snmp.channels.contains(kind));
    Some(Reading::bool(open, "SNMP prtChannelTable"))
}

fn personal_info(facts: &Facts) -> Option<Reading> {
    const EVIDENCE: &str = "SNMP jobMonMIB";
    Some(match facts.snmp.jobs_shown {
        Some(shown) => Reading::bool(!shown, EVIDENCE),
        None => {
            let detail = "no job is listed now, so that nothing shows what would be";
            Reading::unknown(Why::NotSupported, detail, EVIDENCE)
        }
    })
}

/// A setting of TLS: the worst of the ports that speak it.
fn of_tls(facts: &Facts, read: fn(&[TlsFacts]) -> Reading) -> Option<Reading> {
    match facts.tls.as_slice() {
        [] => Some(Reading::NotApplicable("no port speaks TLS".to_owned())),
        ports => Some(read(ports)),
    }
}

fn tls_version(facts: &Facts) -> Option<Reading> {
    of_tls(facts, |ports| {
        let oldest = ports.iter().filter_map(|it| it.oldest).min();
        let text = oldest.map_or("", tls::Version::as_str);
        Reading::value(text, evidence(ports, "hello for one version each"))
    })
}

fn weak_ciphers(facts: &Facts) -> Option<Reading> {
    of_tls(facts, |ports| {
        let weak = ports.iter().flat_map(|it| it.weak.iter().copied());
        Reading::set(weak, evidence(ports, "hello with weak suites alone"))
    })
}

fn evidence(ports: &[TlsFacts], what: &str) -> String {
    let ports: Vec<String> = ports.iter().map(|it| it.port.to_string()).collect();
    format!("TCP port {}: {what}", ports.join(", "))
}

fn of_certificate(
    facts: &Facts,
    read: fn(&super::certificate::Facts, String) -> Reading,
) -> Option<Reading> {
    let Some(port) = facts.tls.first() else {
        return Some(Reading::NotApplicable("no port speaks TLS".to_owned()));
    };
    let evidence = format!("{}: certificate", port_evidence(port.port));
    Some(match &port.certificate {
        Some(certificate) => read(certificate, evidence),
        None => {
            let detail = "the certificate is not shown in clear (TLS 1.3 alone) or not understood";
            Reading::unknown(Why::NotSupported, detail, evidence)
        }
    })
}

fn cert_expires(facts: &Facts) -> Option<Reading> {
    of_certificate(facts, |it, evidence| {
        Reading::value(it.not_after.as_str(), evidence)
    })
}

fn cert_trusted(facts: &Facts) -> Option<Reading> {
    of_certificate(facts, |it, evidence| {
        let evidence = format!("{evidence}, issuer and subject");
        if it.self_signed {
            return Reading::value("selfsigned", evidence);
        }
        // Anybody can name another as the issuer: no signature was checked.
        let detail = "another one is named as its issuer; whether to trust that one is not checked";
        Reading::Unjudged {
            value: "ca".to_owned(),
            detail: detail.to_owned(),
            evidence,
        }
    })
}

fn cert_strength(facts: &Facts) -> Option<Reading> {
    of_certificate(facts, |it, evidence| Reading::Judged {
        value: format!("{} {} {}", it.algorithm, it.bits, it.hash),
        secure: it.is_strong(),
        evidence,
    })
}
