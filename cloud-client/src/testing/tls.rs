//! Certificates made for a test, and a TLS server on loopback.

use std::io;
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    PublicKeyData as _, SigningKey as _,
};
use rustls::crypto::ring;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};

use crate::certificate::CertDer;
use crate::http::{BaseUrl, Clocks, HttpClient, Timeouts};
use crate::tls::{Credential, Roots, SignError, Signer, TlsSettings, TlsVersions};

/// 2026-11-22, in the middle of every certificate here.
pub(crate) const NOW_MS: u64 = 1_795_305_600_000;

/// An authority.
pub(crate) struct Ca {
    pub(crate) der: CertDer,
    issuer: Issuer<'static, KeyPair>,
}

/// A key with its certificates.
pub(crate) struct Leaf {
    pub(crate) chain: Vec<CertDer>,
    pub(crate) key: TestKey,
}

/// A key for tests.
pub(crate) struct TestKey(pub(crate) KeyPair);

impl Signer for TestKey {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.0
            .sign(message)
            .map_err(|error| SignError(error.to_string()))
    }

    fn public_key(&self) -> [u8; 65] {
        self.0.der_bytes().try_into().expect("a P-256 point")
    }
}

pub(crate) fn key() -> TestKey {
    TestKey(KeyPair::generate().expect("a key"))
}

impl Ca {
    pub(crate) fn new(name: &str) -> Self {
        let mut params = params(name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = key().0;
        let der = params.self_signed(&key).expect("signed").der().to_vec();
        Self {
            der,
            issuer: Issuer::new(params, key),
        }
    }

    /// A certificate for the servers at `name`.
    pub(crate) fn server(&self, name: &str) -> Leaf {
        let mut params = CertificateParams::new(vec![name.to_owned()]).expect("a name");
        validity(&mut params);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.leaf(params)
    }

    /// A certificate for the device `id`.
    pub(crate) fn device(&self, id: &str) -> Leaf {
        let mut params = params(id);
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.leaf(params)
    }

    /// A certificate as `params` says, for `key`.
    pub(crate) fn issue(&self, params: &CertificateParams, key: &TestKey) -> CertDer {
        let certificate = params.signed_by(&key.0, &self.issuer).expect("signed");
        certificate.der().to_vec()
    }

    fn leaf(&self, params: CertificateParams) -> Leaf {
        let key = key();
        let chain = vec![self.issue(&params, &key)];
        Leaf { chain, key }
    }
}

/// Parameters with `name` as the whole subject.
pub(crate) fn params(name: &str) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = rcgen::DistinguishedName::new();
    params.distinguished_name.push(DnType::CommonName, name);
    validity(&mut params);
    params
}

fn validity(params: &mut CertificateParams) {
    params.not_before = rcgen::date_time_ymd(2026, 1, 1);
    params.not_after = rcgen::date_time_ymd(2027, 1, 1);
}

impl Leaf {
    pub(crate) fn credential(self) -> Credential {
        Credential {
            chain: self.chain,
            slot: 0,
            signer: Arc::new(self.key),
        }
    }

    /// A server's configuration; with `clients`, it asks for their certificates.
    pub(crate) fn config(self, clients: Option<&Ca>) -> Arc<ServerConfig> {
        let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions");
        let builder = match clients {
            None => builder.with_no_client_auth(),
            Some(ca) => {
                let mut roots = RootCertStore::empty();
                roots
                    .add(CertificateDer::from(ca.der.clone()))
                    .expect("an anchor");
                let provider = Arc::new(ring::default_provider());
                let verifier =
                    WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider)
                        .build()
                        .expect("a verifier");
                builder.with_client_cert_verifier(verifier)
            }
        };
        let chain = self.chain.into_iter().map(CertificateDer::from).collect();
        let key = PrivateKeyDer::try_from(self.key.0.serialize_der()).expect("a key");
        Arc::new(builder.with_single_cert(chain, key).expect("a certificate"))
    }
}

/// A connection on the server's side.
pub(crate) type ServerStream = StreamOwned<ServerConnection, TcpStream>;

/// Listens on loopback and hands each of `connections` to `serve`, one after the other.
pub(crate) fn listen(
    connections: usize,
    mut serve: impl FnMut(TcpStream) + Send + 'static,
) -> (SocketAddr, JoinHandle<()>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("an address");
    let thread = std::thread::spawn(move || {
        for _ in 0..connections {
            let (stream, _) = listener.accept().expect("a connection");
            serve(stream);
        }
    });
    (address, thread)
}

/// As [`listen`], with TLS; a failed handshake ends the connection.
pub(crate) fn listen_tls(
    connections: usize,
    config: Arc<ServerConfig>,
    mut serve: impl FnMut(&mut ServerStream) + Send + 'static,
) -> (BaseUrl, JoinHandle<()>) {
    let (address, thread) = listen(connections, move |stream| {
        let tls = ServerConnection::new(Arc::clone(&config)).expect("a server");
        let mut stream = StreamOwned::new(tls, stream);
        if stream.conn.complete_io(&mut stream.sock).is_ok() {
            serve(&mut stream);
            stream.conn.send_close_notify();
            drop(stream.conn.complete_io(&mut stream.sock));
        }
    });
    (url_of(address), thread)
}

pub(crate) fn url_of(address: SocketAddr) -> BaseUrl {
    BaseUrl::parse(&format!("https://{address}")).expect("a URL")
}

/// Reads a request without a body.
pub(crate) fn read_request(stream: &mut impl io::Read) -> io::Result<String> {
    let mut request = Vec::new();
    let mut byte = [0];
    while !request.ends_with(b"\r\n\r\n") && stream.read(&mut byte)? > 0 {
        request.extend_from_slice(&byte);
    }
    Ok(String::from_utf8_lossy(&request).into_owned())
}

/// Clocks that stand still.
pub(crate) fn clocks_at(unix_ms: u64) -> Clocks {
    Clocks {
        boot: Arc::new(|| Duration::ZERO),
        unix_ms: Arc::new(move || unix_ms),
    }
}

pub(crate) fn settings(roots: Roots, credential: Option<Credential>) -> TlsSettings {
    TlsSettings {
        roots,
        versions: TlsVersions::Tls12,
        credential,
    }
}

pub(crate) fn client(settings: TlsSettings) -> HttpClient {
    HttpClient::new(settings, None, Timeouts::default(), clocks_at(NOW_MS)).expect("a client")
}
