//! The probes of the network against independent servers: snmpd, ippeveprinter, openssl.
//!
//! `tests/setup.sh` installs them. Where one is missing its test says so and ends; with `CI` set it
//! fails.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use scantrip_hal::settings::network::{Community, NetworkOptions, NetworkSource, Ports};
use scantrip_hal::settings::{Method, Setting, SettingsSource as _, Verdict, Why};

type Settings = BTreeMap<&'static str, Setting>;

/// Everything at ports where nobody listens.
fn nowhere() -> Ports {
    Ports {
        http: free_port(),
        ipp: free_port(),
        snmp: free_port(),
        tls: Vec::new(),
        vendor_api: free_port(),
    }
}

/// A port where nobody listens, below those that the kernel gives to connections.
fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two processes do not race for the same one.
    let first = 20_000 + (std::process::id() % 60) as u16 * 200;
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    ports.find(is_free).unwrap()
}

fn source(ports: Ports) -> NetworkSource {
    source_with(ports, None)
}

fn source_with(ports: Ports, community: Option<Community>) -> NetworkSource {
    NetworkSource::new(NetworkOptions {
        address: Some("127.0.0.1".to_owned()),
        device: None,
        community,
        ports,
        pace: Duration::ZERO,
        tls: None,
    })
}

fn read(ports: Ports) -> Settings {
    read_from(source(ports))
}

fn read_from(mut source: NetworkSource) -> Settings {
    let mut settings = Settings::new();
    source.read(&mut |it| assert!(settings.insert(it.id, it).is_none()));
    settings
}

#[track_caller]
fn expect(settings: &Settings, id: &str, value: &str, verdict: &Verdict) {
    let setting = &settings[id];
    assert_eq!(
        (setting.value.as_str(), &setting.verdict),
        (value, verdict),
        "{id}: {setting:?}"
    );
}

/// A program that ends with the test.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _killed = self.0.kill();
        let _ended = self.0.wait();
    }
}

#[expect(clippy::disallowed_methods, reason = "an independent peer")]
fn command(program: &str) -> Option<Command> {
    let folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"];
    let found = folders.iter().map(|it| Path::new(it).join(program));
    let Some(path) = found.into_iter().find(|it| it.exists()) else {
        assert!(
            std::env::var_os("CI").is_none(),
            "{program} is missing; tests/setup.sh installs it"
        );
        let mut stderr = std::io::stderr();
        let _told = writeln!(stderr, "{program} is not installed: this test is left out");
        return None;
    };
    let mut command = Command::new(path);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    Some(command)
}

#[expect(clippy::disallowed_methods, reason = "a file for a peer")]
fn write(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
}

#[expect(
    clippy::disallowed_methods,
    reason = "waits for another program to be ready"
)]
fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    for _ in 0..600 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    panic!("not ready: {what}");
}

#[expect(
    clippy::disallowed_methods,
    reason = "waits for another program to be ready"
)]
fn until_open(port: u16) {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    until("TCP", || TcpStream::connect(address).is_ok());
}

/// An snmpd with these lines, and what is read of it.
fn with_snmpd<T>(lines: &str, read: fn(Ports) -> T) -> Option<T> {
    let mut snmpd = command("snmpd")?;
    let folder = tempfile::tempdir().unwrap();
    let ports = nowhere();
    let config = folder.path().join("snmpd.conf");
    let port = ports.snmp;
    write(
        &config,
        &format!("agentaddress udp:127.0.0.1:{port}\n{lines}"),
    );
    let _snmpd = Running(
        snmpd
            .args([
                "-f",
                "-Lo",
                "-C",
                "-I",
                "-smux,mteTrigger,mteTriggerConf",
                "-c",
            ])
            .arg(&config)
            .arg("-p")
            .arg(folder.path().join("pid"))
            .env("SNMP_PERSISTENT_DIR", folder.path())
            .spawn()
            .unwrap(),
    );
    // Engine discovery is answered whatever the communities are.
    until("SNMP", || is_snmp_there(port));
    Some(read(ports))
}

/// Whether somebody holds the port: a datagram to a port of nobody is refused.
fn is_snmp_there(port: u16) -> bool {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    socket.connect((Ipv4Addr::LOCALHOST, port)).unwrap();
    let wait = Duration::from_millis(100);
    socket.set_read_timeout(Some(wait)).unwrap();
    socket.send(&[0x30, 0]).unwrap();
    let refused = std::io::ErrorKind::ConnectionRefused;
    !socket
        .recv(&mut [0; 16])
        .is_err_and(|it| it.kind() == refused)
}

#[test]
fn snmpd_with_the_community_from_the_factory_is_found() {
    let Some(settings) = with_snmpd(
        "rocommunity public 127.0.0.1\n\
         override .1.3.6.1.2.1.4.1.0 integer 1\n\
         override .1.3.6.1.2.1.43.14.1.1.2.1.1 integer 11\n\
         override .1.3.6.1.2.1.43.14.1.1.6.1.1 integer 3\n\
         override .1.3.6.1.2.1.43.14.1.1.2.1.2 integer 8\n\
         override .1.3.6.1.2.1.43.14.1.1.6.1.2 integer 4\n\
         override .1.3.6.1.4.1.2699.1.1.1.3.1.1.8.1.1 octet_str \"canary-user\"\n\
         sysContact canary-contact\n",
        read,
    ) else {
        return;
    };
    expect(&settings, "net.snmp_v1v2", "true", &Verdict::NotSecure);
    expect(
        &settings,
        "net.snmp_default_community",
        "read",
        &Verdict::NotSecure,
    );
    expect(&settings, "net.ip_forwarding", "true", &Verdict::NotSecure);
    expect(&settings, "net.raw_9100", "true", &Verdict::NotSecure);
    expect(
        &settings,
        "data.mib_personal_info_hidden",
        "false",
        &Verdict::NotSecure,
    );
    let v3 = &settings["net.snmp_v3_level"].verdict;
    assert!(
        matches!(v3, Verdict::Unknown(it) if it.why == Why::NotSupported),
        "{v3:?}"
    );
    for (id, setting) in &settings {
        let told = format!("{setting:?}");
        assert!(
            !told.contains("canary") && !told.contains("\"public\""),
            "{id}: {told}"
        );
    }
}

#[test]
fn snmpd_with_a_community_of_its_own_is_not_open() {
    let Some(settings) = with_snmpd("rocommunity canary-community 127.0.0.1\n", read) else {
        return;
    };
    // Under that name it is, but nobody knows that here.
    let clear = &settings["net.snmp_v1v2"];
    assert!(matches!(clear.verdict, Verdict::Unknown(_)), "{clear:?}");
    expect(
        &settings,
        "net.snmp_default_community",
        "none",
        &Verdict::Secure,
    );
}

/// What is read with that community in a file.
fn read_with_community(ports: Ports) -> Settings {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("community");
    write(&path, "canary-community\n");
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let community = Community::load(&path).unwrap_or_else(|error| panic!("{error}"));
    read_from(source_with(ports, Some(community)))
}

#[test]
fn snmpd_with_the_configured_community_tells_more() {
    let Some(settings) = with_snmpd(
        "rocommunity canary-community 127.0.0.1\n\
         override .1.3.6.1.2.1.4.1.0 integer 1\n\
         sysDescr Example MFP of canary, Firmware Ver.1.06\n",
        read_with_community,
    ) else {
        return;
    };
    expect(&settings, "net.ip_forwarding", "true", &Verdict::NotSecure);
    expect(
        &settings,
        "net.snmp_default_community",
        "none",
        &Verdict::Secure,
    );
    assert_eq!(settings["fw.version_approved"].value, "1.06");
    let clear = &settings["net.snmp_v1v2"];
    assert_eq!(clear.value, "true");
    assert!(matches!(clear.verdict, Verdict::Unknown(_)), "{clear:?}");
    assert!(!format!("{settings:?}").contains("canary"));
}

/// A listener whose port comes first among words in their order.
fn listener(address: Ipv4Addr) -> (TcpListener, String) {
    let bound = (10_000..10_999).find_map(|port| TcpListener::bind((address, port)).ok());
    let listener = bound.unwrap();
    let word = format!("tcp/{}", listener.local_addr().unwrap().port());
    (listener, word)
}

#[test]
fn snmpd_tells_who_listens_as_the_kernel_does() {
    let read_ports = |ports: Ports| -> (Setting, String, String, Vec<String>) {
        let (_exposed, exposed) = listener(Ipv4Addr::UNSPECIFIED);
        let (_hidden, hidden) = listener(Ipv4Addr::LOCALHOST);
        let setting = read(ports).remove("net.listening_ports").unwrap();
        let listed = setting.value.split(',').map(str::to_owned).collect();
        (setting, exposed, hidden, listed)
    };
    let Some((setting, exposed, hidden, listed)) =
        with_snmpd("rocommunity public 127.0.0.1\n", read_ports)
    else {
        return;
    };
    assert_eq!(setting.method, Method::Snmp, "{setting:?}");
    assert!(listed.contains(&exposed), "{exposed} is not in {listed:?}");
    assert!(!listed.contains(&hidden), "{hidden} is in {listed:?}");
    // Both tables were walked to their ends: what is not shown is counted.
    assert!(!setting.value.ends_with("+?"), "{setting:?}");
}

/// The printer, as one line for each thing it tells.
fn printer(ports: Ports) -> Option<String> {
    let status = source(ports).printer()?;
    let mut text = format!("{} {}\n", status.state.as_str(), status.reasons.join(" "));
    for supply in status.supplies {
        let left = supply
            .left_percent
            .map_or_else(|| "?".to_owned(), |it| it.to_string());
        let low = if supply.is_low { " low" } else { "" };
        text.push_str(&format!("{} [{}] {left}{low}\n", supply.name, supply.kind));
    }
    Some(text)
}

#[test]
fn supplies_of_a_printer_are_read_over_snmp() {
    const SUPPLIES: &str = "override .1.3.6.1.2.1.43.11.1.1";
    let mut lines = "rocommunity public 127.0.0.1\n\
         override .1.3.6.1.2.1.25.3.5.1.1.1 integer 1\n\
         override .1.3.6.1.2.1.25.3.5.1.2.1 octet_str 0x2400\n\
         override .1.3.6.1.2.1.43.8.2.1.9.1.1 integer 500\n\
         override .1.3.6.1.2.1.43.8.2.1.10.1.1 integer -3\n\
         override .1.3.6.1.2.1.43.8.2.1.13.1.1 octet_str \"Tray 1\"\n"
        .to_owned();
    for (index, kind, name, most, level) in [
        (1, 3, "Black Toner", 20_000, 1_500),
        (3, 4, "Waste Toner", 100, 75),
        (7, 21, "Cyan", -2, -3),
    ] {
        for (column, value) in [
            (5, format!("integer {kind}")),
            (6, format!("octet_str \"{name}\"")),
            (8, format!("integer {most}")),
            (9, format!("integer {level}")),
        ] {
            lines.push_str(&format!("{SUPPLIES}.{column}.1.{index} {value}\n"));
        }
    }
    let Some(told) = with_snmpd(&lines, printer) else {
        return;
    };
    assert_eq!(
        told.as_deref(),
        Some(
            "stopped toner-low media-jam\n\
             Black Toner [toner] 7 low\n\
             Waste Toner [waste-toner] 75\n\
             Cyan [toner-cartridge] ?\n\
             Tray 1 [paper] ?\n"
        )
    );
}

#[test]
fn a_host_without_a_printer_tells_of_none() {
    let Some(told) = with_snmpd("rocommunity public 127.0.0.1\n", printer) else {
        return;
    };
    assert_eq!(told, None);
}

/// An ippeveprinter, and what is read of it.
fn with_ippeveprinter<T>(attributes: Option<&str>, read: fn(Ports) -> T) -> Option<T> {
    let (mut bus, mut printer) = (command("dbus-daemon")?, command("ippeveprinter")?);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("bus");
    let address = format!("unix:path={}", socket.display());
    let _bus = Running(
        bus.args([
            "--session",
            "--nofork",
            "--nopidfile",
            "--address",
            &address,
        ])
        .spawn()
        .unwrap(),
    );
    until("D-Bus", || socket.exists());
    let mut ports = nowhere();
    ports.tls = vec![ports.ipp];
    let keys = folder.path().join("keys");
    fs::create_dir(&keys).unwrap();
    match attributes {
        None => printer.args(["-M", "Example", "-m", "MFP 9000"]),
        Some(text) => {
            let file = folder.path().join("attributes");
            write(&file, text);
            printer.arg("-a").arg(file)
        }
    };
    let _printer = Running(
        printer
            .args(["-p", &ports.ipp.to_string(), "-n", "localhost", "-r", "off"])
            .arg("-K")
            .arg(&keys)
            .arg("-d")
            .arg(folder.path())
            .arg("example")
            .env("DBUS_SYSTEM_BUS_ADDRESS", &address)
            .spawn()
            .unwrap(),
    );
    until_open(ports.ipp);
    Some(read(ports))
}

#[test]
fn ippeveprinter_tells_how_open_it_is() {
    let Some(settings) = with_ippeveprinter(None, read) else {
        return;
    };
    expect(
        &settings,
        "net.ipp_security",
        "none,tls",
        &Verdict::NotSecure,
    );
    expect(
        &settings,
        "auth.print_without_auth",
        "true",
        &Verdict::NotSecure,
    );
    expect(&settings, "auth.ipp_methods", "none", &Verdict::NotSecure);
    expect(
        &settings,
        "net.cert_trusted",
        "selfsigned",
        &Verdict::NotSecure,
    );
}

#[test]
fn ippeveprinter_tells_its_supplies() {
    let Some(told) = with_ippeveprinter(None, printer) else {
        return;
    };
    assert_eq!(told.as_deref(), Some("idle \nmain [paper] 40\n"));
    let attributes = "ATTR nameWithoutLanguage marker-names \"Black\",\"Waste\",\"Drum\"\n\
         ATTR keyword marker-types toner,waste-toner,opc\n\
         ATTR integer marker-levels 15,85,-2\n\
         ATTR integer marker-low-levels 20,0,5\n\
         ATTR integer marker-high-levels 100,80,100\n";
    let told = with_ippeveprinter(Some(attributes), printer).flatten();
    let lines = "Black [toner] 15 low\nWaste [waste-toner] 15 low\nDrum [opc] ?\n";
    assert!(
        told.as_deref().is_some_and(|told| told.contains(lines)),
        "{told:?}"
    );
}

/// A certificate, self-signed, made by openssl.
fn certificate(folder: &Path, arguments: &[&str]) {
    let mut request = command("openssl").unwrap();
    let status = request
        .current_dir(folder)
        .args(["req", "-x509", "-nodes", "-subj", "/CN=canary-name"])
        .args(["-keyout", "key.pem", "-out", "cert.pem"])
        .args(arguments)
        .status()
        .unwrap();
    assert!(status.success());
}

#[test]
fn a_certificate_that_names_an_issuer_is_not_trusted_for_that() {
    let Some(mut request) = command("openssl") else {
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), RSA);
    // The same key again, vouched for by an authority that nobody knows.
    let status = request
        .current_dir(folder.path())
        .args([
            "req",
            "-x509",
            "-new",
            "-key",
            "key.pem",
            "-subj",
            "/CN=device",
        ])
        .args([
            "-CA", "cert.pem", "-CAkey", "key.pem", "-days", "400", "-out", "leaf.pem",
        ])
        .status()
        .unwrap();
    assert!(status.success());
    let settings = serve(folder.path(), "leaf.pem", &["-tls1_2"]).unwrap();
    let trusted = &settings["net.cert_trusted"];
    assert!(
        trusted.value.is_empty() && matches!(trusted.verdict, Verdict::Unknown(_)),
        "{trusted:?}"
    );
    expect(
        &settings,
        "net.cert_strength",
        "rsa 2048 sha256",
        &Verdict::Secure,
    );
}

/// `openssl s_server` with these arguments, and what its port tells.
fn with_openssl(key: &[&str], arguments: &[&str]) -> Option<Settings> {
    command("openssl")?;
    let folder = tempfile::tempdir().unwrap();
    certificate(folder.path(), key);
    serve(folder.path(), "cert.pem", arguments)
}

/// The same with a certificate that is there.
fn serve(folder: &Path, certificate: &str, arguments: &[&str]) -> Option<Settings> {
    let mut server = command("openssl")?;
    let mut ports = nowhere();
    let port = free_port();
    ports.tls = vec![port];
    let _server = Running(
        server
            .current_dir(folder)
            .args([
                "s_server",
                "-quiet",
                "-key",
                "key.pem",
                "-cert",
                certificate,
            ])
            .args(["-accept", &format!("127.0.0.1:{port}")])
            .args(arguments)
            .spawn()
            .unwrap(),
    );
    until_open(port);
    Some(read(ports))
}

const RSA: &[&str] = &["-newkey", "rsa:2048", "-sha256", "-days", "400"];

#[test]
fn each_version_of_tls_that_openssl_speaks_is_told() {
    for (version, told, verdict) in [
        ("-tls1", "1.0", Verdict::NotSecure),
        ("-tls1_1", "1.1", Verdict::NotSecure),
        ("-tls1_2", "1.2", Verdict::Secure),
        ("-tls1_3", "1.3", Verdict::Secure),
    ] {
        let Some(settings) = with_openssl(RSA, &[version, "-cipher", "DEFAULT:@SECLEVEL=0"]) else {
            return;
        };
        expect(&settings, "net.tls_min_version", told, &verdict);
        expect(&settings, "net.tls_weak_ciphers", "", &Verdict::Secure);
        if version != "-tls1_3" {
            expect(
                &settings,
                "net.cert_trusted",
                "selfsigned",
                &Verdict::NotSecure,
            );
            expect(
                &settings,
                "net.cert_strength",
                "rsa 2048 sha256",
                &Verdict::Secure,
            );
            assert_eq!(settings["net.cert_expires"].verdict, Verdict::Secure);
        }
        assert!(!format!("{settings:?}").contains("canary"));
    }
}

#[test]
fn suites_without_encryption_or_identity_are_told() {
    let weak = ["-tls1_2", "-cipher", "aNULL:eNULL:@SECLEVEL=0"];
    let Some(settings) = with_openssl(RSA, &weak) else {
        return;
    };
    expect(
        &settings,
        "net.tls_weak_ciphers",
        "anon,null",
        &Verdict::NotSecure,
    );
}

#[test]
fn weak_and_ending_certificates_are_told() {
    for (key, strength, verdict) in [
        (
            &["-newkey", "rsa:1024", "-sha256", "-days", "9"][..],
            "rsa 1024 sha256",
            Verdict::NotSecure,
        ),
        (
            &["-newkey", "rsa:2048", "-sha1", "-days", "9"],
            "rsa 2048 sha1",
            Verdict::NotSecure,
        ),
        (
            &[
                "-newkey",
                "ec",
                "-pkeyopt",
                "ec_paramgen_curve:P-256",
                "-sha256",
                "-days",
                "9",
            ],
            "ec 256 sha256",
            Verdict::Secure,
        ),
    ] {
        let Some(settings) = with_openssl(key, &["-tls1_2", "-cipher", "DEFAULT:@SECLEVEL=0"])
        else {
            return;
        };
        expect(&settings, "net.cert_strength", strength, &verdict);
        assert_eq!(settings["net.cert_expires"].verdict, Verdict::NotSecure);
    }
}
