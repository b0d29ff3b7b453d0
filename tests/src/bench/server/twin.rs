//! The twin: hyper and rustls with a 304 and nothing else. What our listener adds is measured
//! against it. It asks for a client certificate and resumes by tickets, as ours does.

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::Arc;

use http::header::{CACHE_CONTROL, ETAG, HeaderValue};
use http::{Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rcgen::{CertificateParams, KeyPair};
use rustls::crypto::ring::{Ticketer, default_provider};
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, version};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;

/// The tag of its one answer.
pub(super) const TAG: &str = "\"1\"";

/// Makes the twin's certificate and key in `folder`; gives the certificate, which signs itself.
pub(super) fn prepare(folder: &Path, device_ca: &[u8]) -> anyhow::Result<Vec<u8>> {
    let key = KeyPair::generate()?;
    let certificate = CertificateParams::new(vec!["localhost".to_owned()])?.self_signed(&key)?;
    keep(folder, "ca", device_ca)?;
    keep(folder, "key", &key.serialize_der())?;
    keep(folder, "certificate", certificate.der())?;
    Ok(certificate.der().to_vec())
}

#[expect(clippy::disallowed_methods, reason = "a bench's own file")]
fn keep(folder: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    Ok(fs::write(folder.join(name), bytes)?)
}

/// Serves until it is killed.
pub(in crate::bench) fn serve(folder: &Path) -> anyhow::Result<()> {
    let acceptor = TlsAcceptor::from(Arc::new(config(folder)?));
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        println!("listening on {}", listener.local_addr()?);
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(connection(acceptor.clone(), stream));
        }
    })
}

fn config(folder: &Path) -> anyhow::Result<ServerConfig> {
    let provider = Arc::new(default_provider());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from(fs::read(folder.join("ca"))?))?;
    let verifier =
        WebPkiClientVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider));
    let chain = vec![CertificateDer::from(fs::read(folder.join("certificate"))?)];
    let key = PrivatePkcs8KeyDer::from(fs::read(folder.join("key"))?);
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(&[&version::TLS13, &version::TLS12])?
        .with_client_cert_verifier(verifier.allow_unauthenticated().build()?)
        .with_single_cert(chain, key.into())?;
    config.ticketer = Ticketer::new()?;
    config.send_tls13_tickets = 1;
    Ok(config)
}

async fn connection(acceptor: TlsAcceptor, stream: TcpStream) {
    drop(stream.set_nodelay(true));
    if let Ok(stream) = acceptor.accept(stream).await {
        let serving =
            http1::Builder::new().serve_connection(TokioIo::new(stream), service_fn(answer));
        drop(serving.await);
    }
}

async fn answer(_request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut answer = Response::new(Full::default());
    *answer.status_mut() = StatusCode::NOT_MODIFIED;
    let headers = answer.headers_mut();
    headers.insert(ETAG, HeaderValue::from_static(TAG));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    Ok(answer)
}
