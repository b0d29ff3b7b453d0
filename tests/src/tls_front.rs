//! TLS in front of services in clear: what a device does that speaks TLS alone.

use std::io;
use std::net::{IpAddr, SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;

use anyhow::Context as _;
use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::runtime::Runtime;
use tokio_rustls::TlsAcceptor;

/// A running front; ends when dropped.
pub struct TlsFront {
    address: SocketAddr,
    _runtime: Runtime,
}

impl TlsFront {
    /// Listens on a free port of `host` with the chain and the key of these PEM files. A connection
    /// is one of the first service whose text its first bytes begin with.
    ///
    /// # Errors
    /// When a file cannot be used or there is no port.
    pub fn start(
        host: IpAddr,
        chain: &Path,
        key: &Path,
        services: &[(&'static str, SocketAddr)],
    ) -> anyhow::Result<Self> {
        let chain: Result<Vec<_>, _> = CertificateDer::pem_file_iter(chain)?.collect();
        let key = PrivateKeyDer::from_pem_file(key)?;
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_no_client_auth()
            .with_single_cert(chain?, key)?;
        let acceptor = TlsAcceptor::from(Arc::new(config));
        let listener = TcpListener::bind((host, 0)).context("no port")?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let services: Arc<[_]> = services.into();
        let runtime = Runtime::new()?;
        let _guard = runtime.enter();
        let listener = tokio::net::TcpListener::from_std(listener)?;
        runtime.spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let (acceptor, services) = (acceptor.clone(), Arc::clone(&services));
                tokio::spawn(async move { relay(&acceptor, client, &services).await });
            }
        });
        Ok(Self {
            address,
            _runtime: runtime,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn relay(
    acceptor: &TlsAcceptor,
    client: TcpStream,
    services: &[(&'static str, SocketAddr)],
) -> io::Result<()> {
    let mut client = acceptor.accept(client).await?;
    let mut first = vec![0; 4096];
    let length = client.read(&mut first).await?;
    first.truncate(length);
    let service = services
        .iter()
        .find(|it| first.starts_with(it.0.as_bytes()));
    if let Some((_, address)) = service {
        let mut server = TcpStream::connect(address).await?;
        server.write_all(&first).await?;
        let _counts = copy_bidirectional(&mut client, &mut server).await?;
    }
    client.shutdown().await
}
