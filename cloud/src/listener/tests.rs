//! The listener on loopback, with limits small enough to be met.

use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::time_provider::TimeProvider;
use rustls::{ClientConfig, RootCertStore};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::core::{Settings, admin};
use crate::testing::World;

const REQUEST: &[u8] = b"GET /v1/entry-points HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// The time of [`World`].
#[derive(Debug)]
struct ItIs2023;

impl TimeProvider for ItIs2023 {
    fn current_time(&self) -> Option<UnixTime> {
        Some(UnixTime::since_unix_epoch(Duration::from_secs(
            1_700_000_000,
        )))
    }
}

/// A listener that runs.
struct Site {
    address: SocketAddr,
    connector: TlsConnector,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<()>,
}

impl Site {
    async fn new(limits: Limits) -> Self {
        let world = World::new();
        let ca = admin::init(&world.ports).unwrap();
        let core = Core::open(world.ports.clone(), Settings::default()).unwrap();
        let identity = ServerIdentity::new(Arc::clone(&core), vec!["localhost".to_owned()]);
        let listener = bind(SocketAddr::from(([127, 0, 0, 1], 0))).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel();
        let serving = tokio::spawn(serve(core, listener, identity.unwrap(), limits, async {
            drop(stopped.await);
        }));
        let mut roots = RootCertStore::empty();
        roots.add(CertificateDer::from(ca)).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ClientConfig::builder_with_details(provider, Arc::new(ItIs2023))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Self {
            address,
            connector: TlsConnector::from(Arc::new(config)),
            stop,
            serving,
        }
    }

    async fn connect(&self) -> std::io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(self.address).await?;
        let name = ServerName::try_from("localhost").unwrap();
        self.connector.connect(name, stream).await
    }
}

/// Sends a request and gives what comes back first.
async fn ask(stream: &mut TlsStream<TcpStream>, request: &[u8]) -> String {
    stream.write_all(request).await.unwrap();
    let mut answer = vec![0; 4096];
    let length = stream.read(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test]
async fn a_stranger_over_its_rate_is_told_when_to_come_back() {
    let rate = Rate {
        per_second: 1,
        burst: 3,
    };
    let site = Site::new(Limits {
        requests_per_address: rate,
        ..Limits::default()
    })
    .await;
    let mut stream = site.connect().await.unwrap();
    for _ in 0..3 {
        let answer = ask(&mut stream, REQUEST).await;
        assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    }
    let answer = ask(&mut stream, REQUEST).await;
    assert!(answer.starts_with("HTTP/1.1 429 "), "{answer}");
    assert!(answer.contains("retry-after: 1\r\n"), "{answer}");
    assert!(answer.contains("urn:scantrip:problem:busy"), "{answer}");
}

#[tokio::test]
async fn one_connection_too_many_is_told_in_clear_when_to_come_back() {
    let site = Site::new(Limits {
        connections: 2,
        ..Limits::default()
    })
    .await;
    let mut first = site.connect().await.unwrap();
    let second = site.connect().await.unwrap();
    let mut third = TcpStream::connect(site.address).await.unwrap();
    let mut told = String::new();
    third.read_to_string(&mut told).await.unwrap();
    assert!(told.starts_with("HTTP/1.1 503 "), "{told}");
    assert!(told.contains("Retry-After: 1\r\n"), "{told}");
    let answer = ask(&mut first, REQUEST).await;
    assert!(answer.starts_with("HTTP/1.1 200 "), "{answer}");
    drop(second);
}

#[tokio::test]
async fn a_stop_ends_idle_connections_and_lets_nobody_in() {
    let site = Site::new(Limits::default()).await;
    let mut idle = site.connect().await.unwrap();
    ask(&mut idle, REQUEST).await;
    site.stop.send(()).unwrap();
    let mut rest = Vec::new();
    drop(idle.read_to_end(&mut rest).await);
    assert!(rest.is_empty());
    site.serving.await.unwrap();
    assert!(TcpStream::connect(site.address).await.is_err());
}

#[tokio::test]
async fn a_head_over_16_kib_is_refused() {
    let site = Site::new(Limits::default()).await;
    let mut stream = site.connect().await.unwrap();
    let head = format!(
        "GET /v1/entry-points HTTP/1.1\r\nhost: localhost\r\nx: {}\r\n\r\n",
        "x".repeat(17 * 1024)
    );
    let answer = ask(&mut stream, head.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 431 "), "{answer}");
}
