//! The listener under attack, with its real limits: every slow client goes, no honest one does.

use std::net::SocketAddr;
use std::time::Duration;

use scantrip_tests::attack::{self, Gone, Kind, Target, connector};
use scantrip_tests::peer::{Peer, status};
use scantrip_tests::{descriptors, program};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;

use crate::world::{World, words};

/// Attackers before the handshake, in the head and in the body; fewer where fewer files may be open.
const STRANGERS: [(Kind, usize); 3] = [
    (Kind::Handshake, 1900),
    (Kind::Head, 1500),
    (Kind::Body, 1500),
];
/// Devices that do not read: as many as one device may have connections.
const READERS: usize = 15;
/// What a busy machine may add to a limit.
const SLACK: Duration = Duration::from_secs(12);
/// Between two looks at the cloud's memory.
const SAMPLE: Duration = Duration::from_millis(200);
/// The cloud's memory for an attacker.
const BEFORE_HANDSHAKE_MAX: u64 = 20 * 1024;
const AFTER_HANDSHAKE_MAX: u64 = 32 * 1024;

/// How long each kind may last.
fn limit(kind: Kind) -> Duration {
    Duration::from_secs(match kind {
        Kind::Handshake => 5,
        Kind::Head | Kind::Body => 10,
        Kind::Answer => 30,
    })
}

#[test]
fn five_thousand_slow_clients_go_within_their_limits_and_no_honest_one_does() {
    let share = (descriptors::raise() / 2).min(5000);
    let mut world = World::new();
    let large = add_large_workflows(&world);
    let ca = der(
        &world,
        &world.folder().join("cloud/ca.pem").display().to_string(),
    );
    let greedy = device(&world, "greedy", &ca);
    let honest = device(&world, "honest", &ca);
    let address = cloud_address(&world);
    let cloud = world.stage.serving().expect("a running cloud").id();
    let target = Target::new(address, connector(&ca, None).expect("TLS"));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a runtime");
    runtime.block_on(async {
        let polling = tokio::spawn(poll_honestly(address, honest));
        let mut readers = JoinSet::new();
        for number in 0..READERS {
            let greedy = greedy.clone();
            // From addresses of their own.
            let number = share + 1000 + number;
            readers
                .spawn(async move { attack::read_slowly(address, &greedy, number, large).await });
        }
        // They are there for longer than everybody else, and are weighed with none of them.
        tokio::time::sleep(Duration::from_secs(2)).await;
        let scales = Scales::of(cloud);
        let [handshake, rest @ ..] = STRANGERS;
        let mut attackers = JoinSet::new();
        let count = handshake.1 * share / 5000;
        attack::start(&mut attackers, &target, handshake.0, (0, count));
        let each = scales.weigh(attackers, count).await;
        println!("{each} bytes for each of {count} before the handshake");
        assert!(each <= BEFORE_HANDSHAKE_MAX, "{each} bytes");

        let mut attackers = JoinSet::new();
        let mut first = count;
        for (kind, count) in rest {
            let count = count * share / 5000;
            attack::start(&mut attackers, &target, kind, (first, count));
            first += count;
        }
        let strangers = first - count;
        let each = scales.weigh(attackers, strangers).await;
        println!("{each} bytes for each of {strangers} after the handshake");
        assert!(each <= AFTER_HANDSHAKE_MAX, "{each} bytes");
        check(&all(readers).await);
        polling.abort();
        let ended = polling.await.expect_err("it polls for ever");
        assert!(ended.is_cancelled(), "an honest poll failed: {ended}");
    });
}

/// Weighs the cloud while attackers are there.
struct Scales {
    cloud: u32,
    /// Anonymous memory and descriptors before any attacker came.
    bytes: u64,
    descriptors: usize,
}

impl Scales {
    fn of(cloud: u32) -> Self {
        Self {
            cloud,
            bytes: program::rss_anon(cloud).expect("a running cloud"),
            descriptors: program::descriptors(cloud).expect("a running cloud"),
        }
    }

    /// Until all attackers are gone, each within its limit: the cloud's memory for each when most
    /// were there, which must be most of `count`.
    async fn weigh(&self, attackers: JoinSet<anyhow::Result<Gone>>, count: usize) -> u64 {
        let mut all = std::pin::pin!(all(attackers));
        let mut most = (0, 0);
        let gone = loop {
            tokio::select! {
                gone = &mut all => break gone,
                () = tokio::time::sleep(SAMPLE) => {
                    let there = program::descriptors(self.cloud).expect("a running cloud");
                    let bytes = program::rss_anon(self.cloud).expect("a running cloud");
                    most = most.max((
                        there.saturating_sub(self.descriptors),
                        bytes.saturating_sub(self.bytes),
                    ));
                }
            }
        };
        check(&gone);
        let (there, bytes) = most;
        assert!(there > count / 2, "only {there} of {count} were let in");
        bytes / there as u64
    }
}

/// Each within its limit.
fn check(gone: &[Gone]) {
    for &Gone { kind, after } in gone {
        assert!(after <= limit(kind) + SLACK, "{kind:?} lasted {after:?}");
    }
}

/// Every attacker's end.
async fn all(mut attackers: JoinSet<anyhow::Result<Gone>>) -> Vec<Gone> {
    let mut gone = Vec::new();
    while let Some(one) = attackers.join_next().await {
        gone.push(
            one.expect("no panic")
                .expect("it was served as a slow client"),
        );
    }
    gone
}

/// Polls for ever on one connection; every poll is answered.
async fn poll_honestly(address: SocketAddr, device: TlsConnector) {
    let stream = tokio::net::TcpStream::connect(address)
        .await
        .expect("a way in");
    let mut stream = attack::handshake(&device, stream).await.expect("TLS");
    let mut buffer = vec![0; 4096];
    for poll in 0.. {
        stream
            .write_all(
                b"GET /v1/device/desired HTTP/1.1\r\nhost: localhost\r\nif-none-match: *\r\n\r\n",
            )
            .await
            .expect("an open connection");
        let length = stream.read(&mut buffer).await.expect("an answer");
        let answer = String::from_utf8_lossy(&buffer[..length]);
        assert!(answer.starts_with("HTTP/1.1 304 "), "poll {poll}: {answer}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
}

/// Workflows that make an answer larger than every buffer on its way; a lower bound of its size.
fn add_large_workflows(world: &World) -> usize {
    const WORKFLOWS: usize = 9;
    const FIELDS: usize = 14;
    let default = "x".repeat(4000);
    let file = world.folder().join("large.toml");
    for number in 0..WORKFLOWS {
        let mut text = format!("name = \"Large {number}\"\n\n[scan]\nresolutions_dpi = [300]\n");
        for field in 0..FIELDS {
            text += &format!(
                "\n[[fields]]\nname = \"f{field}\"\nlabel = \"F\"\ntype = \"text\"\ndefault = \"{default}\"\n"
            );
        }
        let out = world.folder().join("out").display().to_string();
        text += &format!(
            "\n[[steps]]\nuse = \"assemble_pdf\"\n\n[[steps]]\nuse = \"deliver_folder\"\n\
             folder = \"{out}\"\nname = \"{{counter:04}}.pdf\"\n"
        );
        scantrip_tests::stage::write(&file, &text).expect("a file");
        world.cloud_json(&["workflow", "add", &file.display().to_string()]);
    }
    WORKFLOWS * FIELDS * default.len()
}

/// A device enrolled by curl, as TLS settings.
pub(crate) fn device(world: &World, name: &'static str, ca: &[u8]) -> TlsConnector {
    let peer = Peer::new(&world.stage, name);
    let code = world.stage.enrollment_code().expect("a code");
    let answer = peer.enroll(name, &code);
    assert_eq!(status(&answer), "200", "{}", words(&answer));
    let key = peer.file("key.der");
    let pem = peer.file("key.pem");
    peer.openssl(&[
        "pkcs8", "-topk8", "-nocrypt", "-in", &pem, "-outform", "DER", "-out", &key,
    ]);
    let key = std::fs::read(key).expect("a key");
    let certificate = der(world, &peer.file("cert.pem"));
    connector(ca, Some((certificate, key))).expect("TLS")
}

/// A certificate as DER.
pub(crate) fn der(world: &World, pem: &str) -> Vec<u8> {
    let out = world.folder().join("certificate.der");
    let mut openssl = program::command("openssl");
    openssl
        .args(["x509", "-in", pem, "-outform", "DER", "-out"])
        .arg(&out);
    program::run(&mut openssl).expect("openssl");
    std::fs::read(out).expect("a certificate")
}

/// Where the cloud itself listens: its front doors would hide the addresses.
pub(crate) fn cloud_address(world: &World) -> SocketAddr {
    world.stage.cloud_address().expect("a running cloud")
}
