//! Connections to the cloud: whom to trust, as whom to speak, and when to begin anew.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use embedded_svc::http::client::Connection;
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject;
use scantrip_cloud_client::certificate::CertDer;
use scantrip_cloud_client::entry_points::{self, Measurement};
use scantrip_cloud_client::http::{
    BaseUrl, Clocks, ConnectError, HttpClient, HttpsConnection, Purpose, Timeouts,
};
use scantrip_cloud_client::problem::{CallError, Disposition, ProblemKind};
use scantrip_cloud_client::tls::{Credential, Roots, SignError, Signer, TlsSettings, TlsVersions};
use scantrip_cloud_client::wire::EntryPoint;
use scantrip_hal::keys::{KeySlot, KeyStore};

use super::Context;
use super::time::Time;
use crate::engine::failure::Failure;
use crate::store::{Anchors, Identity, Slot};

/// As whom to speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// Nobody yet, and the server is verified by what the operator configured.
    Newcomer,
    /// Nobody yet, but the server is verified by the device anchors.
    Anchored,
    /// The device, with the certificate in use.
    Device,
    /// The device, with the certificate in this slot.
    Slot(KeySlot),
}

/// A way to the cloud, one connection at a time.
pub trait Network: Send {
    /// What carries requests.
    type Connection: Connection;

    /// A connection to `url`, the one there is if it fits.
    ///
    /// # Errors
    /// When there is no way, or the other side is not whom it should be; says what to do.
    fn connect(
        &mut self,
        url: &str,
        who: Who,
        purpose: Purpose,
    ) -> Result<&mut Self::Connection, Failure>;

    /// Measures how near each front door is.
    ///
    /// # Errors
    /// When nothing can be measured at all.
    fn measure(&mut self, doors: &[EntryPoint]) -> Result<Vec<Measurement>, Failure>;

    /// Closes the connection; the next call opens another.
    fn close(&mut self);

    /// The cloud's clock in the last answer, Unix milliseconds.
    fn cloud_time_ms(&self) -> Option<u64>;

    /// TLS version and cipher suite.
    fn tls(&self) -> Option<String>;
}

/// How the operator wants connections to be.
#[derive(Clone, Debug)]
pub struct NetworkSettings {
    /// PEM file of whom to trust before enrolment; none: the authorities that browsers trust.
    pub ca_file: Option<PathBuf>,
    /// Whether servers are verified by the authorities that browsers trust, instead of the device
    /// anchors, also after enrolment.
    pub web_pki: bool,
    /// The versions of TLS.
    pub versions: TlsVersions,
    /// `http://host:port` of a CONNECT proxy.
    pub proxy: Option<String>,
}

/// HTTPS over the system's network.
pub struct Https {
    context: Arc<Context>,
    settings: NetworkSettings,
    client: Option<(Who, u64, HttpClient)>,
    connection: Option<(BaseUrl, HttpsConnection)>,
}

impl Https {
    /// A network with nothing open.
    #[must_use]
    pub const fn new(context: Arc<Context>, settings: NetworkSettings) -> Self {
        Self {
            context,
            settings,
            client: None,
            connection: None,
        }
    }

    /// The client for `who`, made anew when who or the identity changed.
    fn client(&mut self, who: Who) -> Result<HttpClient, Failure> {
        let version = self.context.identity_version();
        if let Some((known, of, client)) = &self.client
            && *known == who
            && *of == version
        {
            return Ok(client.clone());
        }
        self.connection = None;
        let settings = TlsSettings {
            roots: self.roots(who)?,
            versions: self.settings.versions,
            credential: credential(&self.context, who)?,
        };
        let proxy = self.settings.proxy.as_deref();
        let client = HttpClient::new(settings, proxy, Timeouts::default(), self.clocks());
        let client = client.map_err(|error| Failure::local(error.to_string()))?;
        self.client = Some((who, version, client.clone()));
        Ok(client)
    }

    fn roots(&self, who: Who) -> Result<Roots, Failure> {
        if who == Who::Newcomer {
            return Ok(match &self.settings.ca_file {
                Some(file) => Roots::Anchors(read_pem(file)?),
                None => Roots::WebPki,
            });
        }
        if self.settings.web_pki {
            return Ok(Roots::WebPki);
        }
        let anchors = self.context.state.load::<Anchors>().map_err(local)?;
        let anchors = anchors.unwrap_or_default().certificates;
        Ok(Roots::Anchors(
            anchors.into_iter().map(|der| der.0).collect(),
        ))
    }

    fn clocks(&self) -> Clocks {
        let (boot, unix) = (Arc::clone(&self.context), Arc::clone(&self.context));
        Clocks {
            boot: Arc::new(move || Duration::from_millis(boot.time.boot().as_millis())),
            unix_ms: Arc::new(move || unix.time.for_certificates_ms()),
        }
    }
}

impl Network for Https {
    type Connection = HttpsConnection;

    fn connect(
        &mut self,
        url: &str,
        who: Who,
        purpose: Purpose,
    ) -> Result<&mut HttpsConnection, Failure> {
        let client = self.client(who)?;
        let url = BaseUrl::parse(url).map_err(|error| Failure::local(error.to_string()))?;
        let fits = self.connection.as_ref().is_some_and(|(to, _)| *to == url);
        if !fits {
            self.connection = None;
            let opened = connect_in_time(&self.context.time, || client.connect(&url, purpose));
            self.connection = Some((url, opened.map_err(|error| connect_failure(&error))?));
        }
        let Some((_, connection)) = &mut self.connection else {
            return Err(Failure::local("there is no connection"));
        };
        connection.set_purpose(purpose);
        Ok(connection)
    }

    fn measure(&mut self, doors: &[EntryPoint]) -> Result<Vec<Measurement>, Failure> {
        let client = self.client(Who::Device)?;
        Ok(entry_points::measure(&client, doors))
    }

    fn close(&mut self) {
        self.connection = None;
    }

    fn cloud_time_ms(&self) -> Option<u64> {
        self.connection.as_ref()?.1.server_date()
    }

    fn tls(&self) -> Option<String> {
        let info = self.connection.as_ref()?.1.tls_info()?;
        Some(format!("{} {}", info.version, info.cipher_suite))
    }
}

/// With what `who` proves to be the device: its certificate and the key of its slot.
///
/// # Errors
/// When the device has no such certificate or key; says what to do.
pub fn credential(context: &Context, who: Who) -> Result<Option<Credential>, Failure> {
    let slot = match who {
        Who::Newcomer | Who::Anchored => return Ok(None),
        Who::Device => None,
        Who::Slot(slot) => Some(slot),
    };
    let identity = context.state.load::<Identity>().map_err(local)?;
    let Some(identity) = identity else {
        return Err(Failure::local("this device is not enrolled"));
    };
    let slot = slot.unwrap_or_else(|| identity.active.into());
    let Some(certificate) = identity.certificate(Slot::from(slot)) else {
        return Err(Failure::local("there is no certificate; enroll again"));
    };
    let chain = certificate.chain.iter().map(|der| der.0.clone()).collect();
    Ok(Some(Credential {
        chain,
        slot: u8::from(slot == KeySlot::B),
        signer: Arc::new(SlotSigner::new(Arc::clone(&context.keys), slot)?),
    }))
}

/// Opens a connection. When the server's certificate is not valid yet by our clock, our clock is
/// behind: time is lifted to the certificate's beginning, and stays there only if the certificate
/// then proves genuine. A certificate that has ended is never accepted this way.
///
/// # Errors
/// As `connect`.
pub fn connect_in_time<T>(
    time: &Time,
    mut connect: impl FnMut() -> Result<T, ConnectError>,
) -> Result<T, ConnectError> {
    let refused = match connect() {
        Err(error @ ConnectError::Clock { expired: false, .. }) => error,
        other => return other,
    };
    let ConnectError::Clock {
        valid_from_ms: Some(valid_from_ms),
        ..
    } = &refused
    else {
        return Err(refused);
    };
    let before = time.floor_ms();
    time.raise_floor(*valid_from_ms);
    connect().inspect_err(|_| time.restore_floor(before))
}

/// The certificates of a PEM file.
pub(super) fn read_pem(file: &Path) -> Result<Vec<CertDer>, Failure> {
    let refuse = |reason: &dyn std::fmt::Display| {
        Failure::local(format!(
            "`ca_file` {} cannot be used: {reason}",
            file.display()
        ))
    };
    let pem = std::fs::read(file).map_err(|error| refuse(&error))?;
    CertificateDer::pem_slice_iter(&pem)
        .map(|certificate| certificate.map(|der| der.as_ref().to_vec()))
        .collect::<Result<_, _>>()
        .map_err(|error| refuse(&error))
}

/// A connection that failed, in the words of the one who knows why.
#[must_use]
pub fn connect_failure(error: &ConnectError) -> Failure {
    let failure = Failure::unreachable(error.to_string());
    match error {
        // It is there: going to another door at once would only move the crowd.
        ConnectError::Busy { after, .. } => Failure {
            disposition: Disposition::Retry {
                after: Some(*after),
            },
            kind: Some(ProblemKind::Busy),
            unreachable: false,
            ..failure
        },
        _ => failure,
    }
}

/// A failed call; the reason why a connection could not be opened again is told in its own words.
pub(crate) fn call_failure(error: CallError) -> Failure {
    if let CallError::Transport { source, .. } = &error {
        let mut cause: Option<&(dyn std::error::Error + 'static)> = Some(source.as_ref());
        while let Some(error) = cause {
            let inner = error
                .downcast_ref::<std::io::Error>()
                .and_then(std::io::Error::get_ref)
                .and_then(|inner| inner.downcast_ref::<ConnectError>());
            if let Some(connect) = inner.or_else(|| error.downcast_ref()) {
                return connect_failure(connect);
            }
            cause = error.source();
        }
    }
    Failure::from(error)
}

/// A key of the key store, as the TLS client sees it.
pub(crate) struct SlotSigner {
    keys: Arc<dyn KeyStore>,
    slot: KeySlot,
    public: [u8; 65],
}

impl SlotSigner {
    pub(crate) fn new(keys: Arc<dyn KeyStore>, slot: KeySlot) -> Result<Self, Failure> {
        let public = keys.public(slot).map_err(local)?;
        let Some(public) = public else {
            return Err(Failure::local("the device's key is gone; enroll again"));
        };
        Ok(Self {
            keys,
            slot,
            public: public.0,
        })
    }
}

impl Signer for SlotSigner {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, SignError> {
        self.keys
            .sign(self.slot, message)
            .map_err(|error| SignError(error.to_string()))
    }

    fn public_key(&self) -> [u8; 65] {
        self.public
    }
}

pub(crate) fn local(error: impl std::error::Error) -> Failure {
    Failure::local(crate::engine::failure::chain(&error))
}
