//! Peers that play a device: certificates and servers of openssl, a printer of ippeveprinter's.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::Duration;

use scantrip::drivers::web;
use scantrip_hal::backends::escl::parse_fingerprint;
use scantrip_hal::backends::system::SystemClock;
use scantrip_hal::settings::network::{NetworkOptions, NetworkSource, Ports, TlsOptions};
use scantrip_hal::settings::{Setting, SettingsSource as _};
use scantrip_tests::program::{self, Running};
use scantrip_tests::stage::write;
use tempfile::TempDir;

/// The device: an address of this machine where nothing else listens.
pub(super) const DEVICE: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 0, 77));

pub(super) type Settings = BTreeMap<&'static str, Setting>;

/// A port where nobody listens, at any address. It is below those that the kernel gives to
/// connections, so that none of another test takes it meanwhile.
pub(super) fn free_port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    // Two processes do not race for the same one.
    let first = 20_000 + (std::process::id() % 60) as u16 * 200;
    let mut ports = std::iter::repeat_with(|| first + NEXT.fetch_add(1, Ordering::Relaxed));
    let is_free = |port: &u16| TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).is_ok();
    ports.find(is_free).expect("a port")
}

/// Everything at ports where nobody listens.
pub(super) fn nowhere() -> Ports {
    Ports {
        http: free_port(),
        ipp: free_port(),
        snmp: free_port(),
        tls: Vec::new(),
        vendor_api: free_port(),
    }
}

/// Keys and certificates of a folder, made by openssl.
pub(super) struct Authority(TempDir);

impl Authority {
    /// With the authorities `ca` and `other`.
    pub(super) fn new() -> Self {
        let folder = TempDir::new().expect("a folder");
        let config = "[req]\ndistinguished_name = dn\n[dn]\n\
             [ca]\nbasicConstraints = critical,CA:TRUE\n\
             [leaf]\nbasicConstraints = CA:FALSE\nsubjectAltName = DNS:elsewhere.example\n";
        write(&folder.path().join("openssl.cnf"), config).expect("a file");
        let authority = Self(folder);
        authority.make("ca", "ca", "/CN=Example CA", &[]);
        authority.make("other", "ca", "/CN=Example CA", &[]);
        authority
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn openssl(&self, arguments: &[&str]) -> Command {
        let mut openssl = program::command("openssl");
        openssl.current_dir(self.0.path()).args(arguments);
        openssl
    }

    /// A command that makes `name.pem` and `name.key` of this kind.
    fn request(&self, name: &str, kind: &str, subject: &str, more: &[&str]) -> Command {
        let mut request = self.openssl(&["req", "-x509", "-config", "openssl.cnf", "-nodes"]);
        request
            .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"])
            .args(["-extensions", kind, "-subj", subject, "-days", "400"])
            .args(["-keyout", &format!("{name}.key")])
            .args(["-out", &format!("{name}.pem")])
            .args(more);
        request
    }

    pub(super) fn make(&self, name: &str, kind: &str, subject: &str, more: &[&str]) {
        let mut request = self.request(name, kind, subject, more);
        let _made = program::run(&mut request).expect("a certificate");
    }

    /// A certificate for a device, signed by this authority.
    pub(super) fn leaf(&self, name: &str, by: &str) {
        let (pem, key) = (format!("{by}.pem"), format!("{by}.key"));
        self.make(name, "leaf", "/CN=mfp", &["-CA", &pem, "-CAkey", &key]);
    }

    /// One whose time is over.
    pub(super) fn ended_leaf(&self, name: &str) {
        let signer = ["-CA", "ca.pem", "-CAkey", "ca.key"];
        let mut request = self.request(name, "leaf", "/CN=mfp", &signer);
        request.envs(program::clock_off_by("-500d").expect("faketime"));
        let _made = program::run(&mut request).expect("a certificate");
    }

    /// The SHA-256 of a certificate.
    pub(super) fn fingerprint(&self, name: &str) -> String {
        let file = format!("{name}.pem");
        let mut openssl =
            self.openssl(&["x509", "-noout", "-fingerprint", "-sha256", "-in", &file]);
        let text = program::run(&mut openssl).expect("a fingerprint");
        let (_, digits) = text.trim().split_once('=').expect("digits");
        digits.to_owned()
    }

    /// A server with this certificate, and its port.
    pub(super) fn serve(&self, name: &str, more: &[&str]) -> (u16, Running) {
        let port = free_port();
        let (pem, key) = (format!("{name}.pem"), format!("{name}.key"));
        let mut server = self.openssl(&["s_server", "-quiet", "-cert", &pem, "-key", &key]);
        server
            .args(["-accept", &format!("{DEVICE}:{port}")])
            .args(more);
        let running = Running::start(&mut server, &self.path("log")).expect("a server");
        until_open((DEVICE, port).into());
        (port, running)
    }

    /// A source that trusts those of `bundle`, and the certificate with this fingerprint.
    pub(super) fn source(&self, ports: Ports, bundle: &str, pinned: Option<&str>) -> NetworkSource {
        let lent = web::ports(Arc::new(SystemClock::new()), None);
        NetworkSource::new(NetworkOptions {
            address: Some(DEVICE.to_string()),
            community: None,
            device: None,
            ports,
            pace: Duration::ZERO,
            tls: Some(TlsOptions {
                connector: lent.connector,
                vouch: web::vouch(self.path(bundle), lent.clock),
                pinned: pinned.map(|it| parse_fingerprint(it).expect("a fingerprint")),
            }),
        })
    }

    pub(super) fn read(&self, tls: &[u16], bundle: &str, pinned: Option<&str>) -> Settings {
        let ports = Ports {
            tls: tls.to_vec(),
            ..nowhere()
        };
        let ids = ["net.cert_expires", "net.cert_strength", "net.cert_trusted"];
        read(&mut self.source(ports, bundle, pinned), &ids)
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "waits for another program to be ready"
)]
fn until_open(address: SocketAddr) {
    program::until("a port is open", || TcpStream::connect(address).is_ok());
}

pub(super) fn read(source: &mut NetworkSource, ids: &[&str]) -> Settings {
    let mut settings = Settings::new();
    source.read_some(ids, &mut |it| {
        assert!(settings.insert(it.id, it).is_none());
    });
    settings
}

/// A printer of ippeveprinter's, in clear on loopback; ends when dropped.
pub(super) struct Printer {
    pub(super) address: SocketAddr,
    _programs: [Running; 2],
    _folder: TempDir,
}

impl Printer {
    pub(super) fn start() -> Self {
        let folder = TempDir::new().expect("a folder");
        let at = |name: &str| folder.path().join(name);
        let (socket, log) = (at("bus"), at("log"));
        let bus = format!("unix:path={}", socket.display());
        let mut daemon = program::command("dbus-daemon");
        daemon.args(["--session", "--nofork", "--nopidfile", "--address", &bus]);
        let daemon = Running::start(&mut daemon, &log).expect("D-Bus");
        program::until("D-Bus listens", || socket.exists());
        let attributes = "ATTR nameWithoutLanguage marker-names \"Black\"\n\
             ATTR keyword marker-types toner\nATTR integer marker-levels 15\n\
             ATTR integer marker-low-levels 20\n";
        write(&at("attributes"), attributes).expect("a file");
        let port = free_port();
        let mut printer = program::command(Path::new("/usr/sbin/ippeveprinter"));
        printer
            .args([
                "-p",
                &port.to_string(),
                "-n",
                "localhost",
                "-r",
                "off",
                "-a",
            ])
            .arg(at("attributes"))
            .arg("-d")
            .arg(folder.path())
            .arg("-K")
            .arg(folder.path())
            .arg("example")
            .env("DBUS_SYSTEM_BUS_ADDRESS", &bus);
        let printer = Running::start(&mut printer, &log).expect("a printer");
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        until_open(address);
        Self {
            address,
            _programs: [daemon, printer],
            _folder: folder,
        }
    }
}
