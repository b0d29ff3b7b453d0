//! What a device tells over TLS, and who vouches for its certificate: chains made by openssl, a
//! printer played by ippeveprinter, asked with the agent's own TLS.

use scantrip_hal::settings::network::Ports;
use scantrip_hal::settings::{SettingsSource as _, Verdict};
use scantrip_hal::sim::{SimConfig, SimMfp};
use scantrip_tests::escl::EsclSim;
use scantrip_tests::escl::dress::Dress;
use scantrip_tests::program;
use scantrip_tests::stage::write;
use scantrip_tests::tls_front::TlsFront;
use serde_json::Value;

use super::peers::{Authority, DEVICE, Printer, Settings, free_port, nowhere, read};
use crate::world::World;

/// Value or reason, and whether it is secure.
fn told(settings: &Settings, id: &str) -> (String, bool) {
    let setting = &settings[id];
    let text = match &setting.verdict {
        Verdict::Unknown(unknown) => unknown.detail.as_str(),
        _ => setting.value.as_str(),
    };
    (text.to_owned(), setting.verdict == Verdict::Secure)
}

const UNKNOWN: &str = "its issuer is not among the trusted authorities";
const FORGED: &str = "a signature in its chain is wrong";
const ENDED: &str = "a certificate of its chain has expired or is not valid yet";

#[test]
fn a_certificate_counts_only_when_somebody_who_is_trusted_vouches_for_it() {
    let made = Authority::new();
    made.leaf("good", "ca");
    made.leaf("forged", "other");
    made.ended_leaf("ended");
    made.make("own", "leaf", "/CN=mfp", &[]);
    let signer = ["-CA", "ca.pem", "-CAkey", "ca.key"];
    made.make("between", "ca", "/CN=Between", &signer);
    made.leaf("below", "between");
    made.make("stranger", "ca", "/CN=Stranger", &[]);
    let right = made.fingerprint("own");
    let of_authority = made.fingerprint("ca");
    let between = ["-cert_chain", "between.pem"];
    for (name, more, bundle, pinned, wanted) in [
        ("good", &["-tls1_2"][..], "ca.pem", None, ("ca", true)),
        ("good", &["-tls1_3"], "ca.pem", None, ("ca", true)),
        ("good", &[], "stranger.pem", None, (UNKNOWN, false)),
        ("good", &[], "nowhere.pem", None, ("`ca_file`", false)),
        (
            "good",
            &["-cert_chain", "ca.pem"],
            "stranger.pem",
            None,
            (UNKNOWN, false),
        ),
        ("below", &between, "ca.pem", None, ("ca", true)),
        ("below", &[], "ca.pem", None, (UNKNOWN, false)),
        ("forged", &[], "ca.pem", None, (FORGED, false)),
        (
            "forged",
            &["-cert_chain", "other.pem"],
            "ca.pem",
            None,
            (FORGED, false),
        ),
        ("ended", &[], "ca.pem", None, (ENDED, false)),
        ("own", &["-tls1_2"], "ca.pem", None, ("selfsigned", false)),
        (
            "own",
            &["-tls1_3"],
            "ca.pem",
            Some(&of_authority),
            ("selfsigned", false),
        ),
        ("own", &[], "ca.pem", Some(&right), ("pinned", true)),
        ("own", &[], "own.pem", None, ("ca", true)),
    ] {
        let (port, _server) = made.serve(name, more);
        let settings = made.read(&[port], bundle, pinned.map(String::as_str));
        let (text, is_secure) = told(&settings, "net.cert_trusted");
        assert!(
            text.starts_with(wanted.0) && is_secure == wanted.1,
            "{name} {more:?} {bundle}: {:?}",
            settings["net.cert_trusted"]
        );
        // Under TLS 1.3 too the certificate itself is known.
        assert_eq!(
            told(&settings, "net.cert_strength"),
            ("ec 256 sha256".to_owned(), true)
        );
        let (until, is_far) = told(&settings, "net.cert_expires");
        assert_eq!(is_far, name != "ended", "{name}: {until}");
    }
}

#[test]
fn of_two_ports_the_worse_certificate_counts() {
    let made = Authority::new();
    made.leaf("good", "ca");
    made.make("own", "leaf", "/CN=mfp", &[]);
    made.ended_leaf("ended");
    let (good, _first) = made.serve("good", &[]);
    let trusted = |ports: &[u16]| told(&made.read(ports, "ca.pem", None), "net.cert_trusted");
    assert_eq!(trusted(&[good]), ("ca".to_owned(), true));
    let (own, _second) = made.serve("own", &["-tls1_3"]);
    for ports in [[good, own], [own, good]] {
        assert_eq!(trusted(&ports), ("selfsigned".to_owned(), false));
    }
    let (ended, _third) = made.serve("ended", &[]);
    let settings = made.read(&[good, ended], "ca.pem", None);
    assert_eq!(
        told(&settings, "net.cert_trusted"),
        (ENDED.to_owned(), false)
    );
    assert!(!told(&settings, "net.cert_expires").1);
}

#[test]
fn a_certificate_whose_key_is_not_proven_is_trusted_by_nobody() {
    let made = Authority::new();
    made.leaf("good", "ca");
    // A suite that the agent does not speak: what is shown in clear proves nothing.
    let old = ["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-SHA256"];
    let (port, _server) = made.serve("good", &old);
    let pinned = made.fingerprint("good");
    let settings = made.read(&[port], "ca.pem", Some(&pinned));
    let (text, is_secure) = told(&settings, "net.cert_trusted");
    assert!(text.starts_with("no handshake") && !is_secure, "{text}");
    assert!(told(&settings, "net.cert_expires").1);
}

#[test]
fn a_printer_behind_tls_alone_tells_what_it_tells_in_clear() {
    let made = Authority::new();
    made.leaf("good", "ca");
    let printer = Printer::start();
    let services = [("POST ", printer.address)];
    let (chain, key) = (made.path("good.pem"), made.path("good.key"));
    let front = TlsFront::start(DEVICE, &chain, &key, &services).expect("a front");
    let port = front.address().port();
    // At the port of IPP, and at another one while that is closed.
    for ipp in [port, free_port()] {
        let ports = Ports {
            ipp,
            tls: vec![port],
            ..nowhere()
        };
        let mut source = made.source(ports, "ca.pem", None);
        let ids = [
            "auth.ipp_methods",
            "auth.print_without_auth",
            "net.ipp_security",
        ];
        let settings = read(&mut source, &ids);
        let evidence = settings["auth.ipp_methods"].evidence.as_str();
        let way = format!("Get-Printer-Attributes over TLS, TCP port {port}: ");
        assert!(evidence.starts_with(&way), "{settings:?}");
        assert_eq!(
            told(&settings, "auth.ipp_methods"),
            ("none".to_owned(), false)
        );
        assert_eq!(
            told(&settings, "auth.print_without_auth"),
            ("true".to_owned(), false)
        );
        let status = source.printer().expect("a printer");
        assert_eq!(status.state.as_str(), "idle");
        let black = &status.supplies[0];
        assert_eq!(
            (black.name.as_str(), black.left_percent),
            ("Black", Some(15))
        );
        assert!(black.is_low);
    }
}

#[test]
fn the_agent_beside_a_device_with_tls_alone_knows_its_printer_and_who_vouches_for_it() {
    let made = Authority::new();
    made.leaf("good", "ca");
    let printer = Printer::start();
    let mfp = SimMfp::new(SimConfig::default()).expect("an MFP");
    let sim = EsclSim::start(Dress::Hp, &mfp, &[]).expect("a scanner");
    let plain = sim.url();
    let scanner = plain
        .strip_prefix("http://")
        .and_then(|it| it.split('/').next());
    let scanner = scanner.and_then(|it| it.parse().ok()).expect("an address");
    let services = [("POST /ipp/", printer.address), ("GET /eSCL", scanner)];
    let (chain, key) = (made.path("good.pem"), made.path("good.key"));
    let front = TlsFront::start(DEVICE, &chain, &key, &services).expect("a front");
    let world = World::new();
    let configure = |options: &str, ca_file: &str| {
        let options = format!("url = \"https://{}/eSCL\"\n{options}", front.address());
        let configured = world.stage.configure_agent(&options);
        configured.expect("a configuration");
        let file = world.folder().join("scantrip.toml");
        let text = std::fs::read_to_string(&file).expect("a configuration");
        let text = text.replace("backend = \"sim\"", "backend = \"escl\"");
        let ca_file = made.path(ca_file).display().to_string();
        let more = format!("\n[settings]\nsources = [\"network\"]\nca_file = \"{ca_file}\"\n");
        write(&file, &format!("{text}{more}")).expect("a file");
    };
    let setting = |settings: &Value, id: &str| {
        let all = settings["settings"].as_array().expect("settings");
        let one = all.iter().find(|it| it["id"] == id).expect("the setting");
        (
            one["value"].as_str().unwrap_or_default().to_owned(),
            one["verdict"].as_str().unwrap_or_default().to_owned(),
        )
    };
    let known = |value: &str, verdict: &str| (value.to_owned(), verdict.to_owned());
    configure("", "ca.pem");
    world.enroll();
    let settings = world.stage.agent_json(&["settings"]).expect("an answer");
    assert_eq!(
        setting(&settings, "net.cert_trusted"),
        known("ca", "secure")
    );
    assert_eq!(
        setting(&settings, "auth.ipp_methods"),
        known("none", "not-secure")
    );
    let agent = world.run_agent();
    let status = || world.stage.agent_json(&["status"]).expect("an answer");
    program::until("supplies", || status().to_string().contains("Black"));
    drop(agent);
    // The certificate was seen before, but nobody named it.
    configure("", "other.pem");
    let settings = world.stage.agent_json(&["settings"]).expect("an answer");
    assert_eq!(setting(&settings, "net.cert_trusted").1, "unknown");
    let named = format!("fingerprint = \"{}\"", made.fingerprint("good"));
    configure(&named, "other.pem");
    let settings = world.stage.agent_json(&["settings"]).expect("an answer");
    assert_eq!(
        setting(&settings, "net.cert_trusted"),
        known("pinned", "secure")
    );
}
