//! A simulated eSCL scanner: real HTTP, the paper of the simulated MFP, in several makers' dress.
//!
//! `escl-sim` serves it for people; tests start it with [`EsclSim::start`]. The rest of a job after a
//! broken answer is as NAPS2's server does it: a page is served until it was sent to its end.

mod device;
pub mod dress;
mod http;
pub mod oddity;
mod wrap;

use std::io::{self, BufReader};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use anyhow::Context;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use scantrip_hal::sim::SimMfp;
use sha2::{Digest as _, Sha256};

use self::device::Device;
use self::dress::Dress;
use self::http::{Answer, Request, Stream};
use self::oddity::Oddity;

/// What a client may take for its next request, or for reading.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running simulated scanner; ends when dropped.
pub struct EsclSim {
    device: Arc<Device>,
    plain: SocketAddr,
    tls: SocketAddr,
    fingerprint: [u8; 32],
    stop: Arc<AtomicBool>,
    threads: Vec<JoinHandle<()>>,
}

impl EsclSim {
    /// Serves `mfp` on free loopback ports, plain and with TLS, with the dress' own oddities and
    /// these.
    ///
    /// # Errors
    /// When there is no port or no certificate.
    pub fn start(dress: Dress, mfp: &SimMfp, more: &[Oddity]) -> anyhow::Result<Self> {
        let any = SocketAddr::from(([127, 0, 0, 1], 0));
        Self::listen(any, dress, mfp, more)
    }

    /// As [`EsclSim::start`], plain on `address`.
    ///
    /// # Errors
    /// As [`EsclSim::start`].
    pub fn listen(
        address: SocketAddr,
        dress: Dress,
        mfp: &SimMfp,
        more: &[Oddity],
    ) -> anyhow::Result<Self> {
        let mut oddities = dress.oddities();
        oddities.extend(more);
        let device = Arc::new(Device::new(dress, mfp, oddities));
        let (config, fingerprint) = certificate()?;
        let listener = TcpListener::bind(address).context("no port for the scanner")?;
        let secure = TcpListener::bind((address.ip(), 0)).context("no port for TLS")?;
        let (plain, tls) = (listener.local_addr()?, secure.local_addr()?);
        let stop = Arc::new(AtomicBool::new(false));
        let serve_plain = {
            let device = Arc::clone(&device);
            move |stream: TcpStream| serve(&device, &mut { stream }, plain, Some(tls))
        };
        let serve_tls = {
            let device = Arc::clone(&device);
            move |stream: TcpStream| {
                let connection =
                    ServerConnection::new(Arc::clone(&config)).map_err(io::Error::other)?;
                let mut stream = StreamOwned::new(connection, stream);
                let served = serve(&device, &mut stream, tls, None);
                stream.conn.send_close_notify();
                drop(stream.conn.complete_io(&mut stream.sock));
                served
            }
        };
        let threads = vec![
            accept(listener, Arc::clone(&stop), serve_plain),
            accept(secure, Arc::clone(&stop), serve_tls),
        ];
        Ok(Self {
            device,
            plain,
            tls,
            fingerprint,
            stop,
            threads,
        })
    }

    /// Its URL without TLS.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}/eSCL", self.plain)
    }

    /// Its URL with TLS.
    #[must_use]
    pub fn secure_url(&self) -> String {
        format!("https://{}/eSCL", self.tls)
    }

    /// The SHA-256 of its certificate.
    #[must_use]
    pub const fn fingerprint(&self) -> [u8; 32] {
        self.fingerprint
    }

    /// Sets the oddities anew, those of the dress too.
    pub fn set_oddities(&self, oddities: &[Oddity]) {
        self.device.set(oddities.to_vec());
    }

    /// Every request so far: method and path.
    #[must_use]
    pub fn requests(&self) -> Vec<String> {
        self.device.requests()
    }
}

impl Drop for EsclSim {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::SeqCst);
        for (thread, address) in self.threads.drain(..).zip([self.plain, self.tls]) {
            wake(address);
            drop(thread.join());
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a listener that waits for a connection is woken by one"
)]
fn wake(address: SocketAddr) {
    drop(TcpStream::connect(address));
}

fn accept(
    listener: TcpListener,
    stop: Arc<AtomicBool>,
    serve: impl Fn(TcpStream) -> io::Result<()> + Send + Sync + 'static,
) -> JoinHandle<()> {
    let serve = Arc::new(serve);
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            if stop.load(Ordering::SeqCst) {
                break;
            }
            let serve = Arc::clone(&serve);
            // A client that goes away is none of the scanner's business.
            thread::spawn(move || drop(prepared(stream).and_then(|stream| serve(stream))));
        }
    })
}

fn prepared(stream: TcpStream) -> io::Result<TcpStream> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    Ok(stream)
}

/// Answers the requests of one connection.
fn serve(
    device: &Device,
    stream: &mut dyn Stream,
    own: SocketAddr,
    tls: Option<SocketAddr>,
) -> io::Result<()> {
    if device.is_starting() {
        return Ok(());
    }
    let mut reader = BufReader::new(stream);
    while let Some(request) = Request::read(&mut reader)? {
        if let Some(tls) = tls.filter(|_| device.is_tls_only()) {
            let location = format!("https://{tls}{}", request.path);
            let answer = Answer::code(301).with("Location", location);
            answer.write(*reader.get_mut())?;
            continue;
        }
        let scheme = if tls.is_some() { "http" } else { "https" };
        let written = device.answer(&request, &format!("{scheme}://{own}"));
        rest(written.wait);
        let whole = written.answer.broken.is_none();
        if whole {
            device.sent(&written);
        }
        let goes_on = written.answer.write(*reader.get_mut());
        if whole && goes_on.is_err() {
            device.not_sent(&written);
        }
        if !goes_on? {
            break;
        }
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "a slow scanner takes real time")]
fn rest(time: Duration) {
    if !time.is_zero() {
        thread::sleep(time);
    }
}

/// A certificate that nobody vouches for, as scanners have.
fn certificate() -> anyhow::Result<(Arc<ServerConfig>, [u8; 32])> {
    let made = rcgen::generate_simple_self_signed(vec!["scanner.local".to_owned()])?;
    let der = made.cert.der().clone();
    let fingerprint = Sha256::digest(&der).into();
    let key =
        PrivateKeyDer::try_from(made.signing_key.serialize_der()).map_err(anyhow::Error::msg)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(vec![der], key)?;
    Ok((Arc::new(config), fingerprint))
}
