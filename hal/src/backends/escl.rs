//! Any network scanner that speaks eSCL (AirScan, Mopria), in the MFP or beside it.
//!
//! The device is the configured `url`, else the one that worked last, else the only one that
//! answers mDNS (`_uscans._tcp`, `_uscan._tcp`). HTTP comes from the program by [`crate::web`]. TLS
//! certificates of scanners are self-signed: the first one seen is remembered, or `fingerprint`
//! names it.
//!
//! A device that tells neither serial number nor UUID is known by its address; give it a fixed one.
//!
//! What is odd about which device stands in `quirks.rs`; what a page is decides `image.rs` by its
//! bytes; when a document is complete decides `job.rs`, without sockets and clocks.

mod capabilities;
mod device;
pub mod discovery;
mod dns;
#[cfg(feature = "fuzz")]
pub mod fuzz;
mod image;
mod job;
mod quirks;
mod scanner;
mod session;
mod settings;
mod status;
mod url;
mod xml;

pub use self::device::parse_fingerprint;
use self::device::{Finder, Wanted, identity_of};
use self::scanner::EsclScanner;
pub use self::url::{DeviceUrl, DeviceUrlError};
use super::{Backend, BackendOption, BackendOptions, Mfp, OpenBackendError};
use crate::identity::{DeviceIdentity, IdentitySource};

/// The name in the configuration.
pub const NAME: &str = "escl";

/// The line for [`super::BACKENDS`].
pub(super) const BACKEND: Backend = Backend {
    name: NAME,
    doc: "any network scanner with eSCL (AirScan, Mopria), in this machine or beside it",
    needs: Some("a scanner on the network"),
    options: &[
        option(
            "fingerprint",
            "SHA-256 of the scanner's certificate; default the one seen first",
        ),
        option(
            "name",
            "how the scanner's name or model begins, to choose among those that answer",
        ),
        option(
            "serial",
            "serial number or UUID of the scanner, no other is used; default any",
        ),
        option(
            "url",
            "http://HOST/eSCL or https://HOST/eSCL; default what answers on the network",
        ),
    ],
    open,
};

const fn option(name: &'static str, doc: &'static str) -> BackendOption {
    BackendOption { name, doc }
}

fn open(options: &BackendOptions) -> Result<Mfp, OpenBackendError> {
    let failed = |cause: Box<dyn std::error::Error + Send + Sync>| OpenBackendError::Failed {
        backend: BACKEND.name,
        source: cause,
    };
    let ports = options
        .ports
        .clone()
        .ok_or_else(|| failed("this program has no way to the network".into()))?;
    let finder = Finder::new(ports, wanted(options)?);
    let (identity, device) = match finder.remembered() {
        Some(identity) => (identity, None),
        // Who the device is must be known before anything else.
        None => {
            let mut device = finder.find().map_err(|error| failed(error.into()))?;
            let url = device.session.url().clone();
            let known = device
                .capabilities()
                .map_err(|error| failed(error.into()))?;
            let identity = identity_of(known, &url);
            (identity, Some(device))
        }
    };
    Ok(Mfp {
        scanner: Box::new(EsclScanner::new(finder, device)),
        identity: Box::new(Identity(identity)),
        // eSCL tells none.
        settings: None,
    })
}

fn wanted(options: &BackendOptions) -> Result<Wanted, OpenBackendError> {
    Ok(Wanted {
        url: options.optional("url")?,
        fingerprint: options.optional("fingerprint")?.map(|Sha256(it)| it),
        serial: options.optional("serial")?,
        name: options.optional("name")?,
    })
}

/// The SHA-256 of a scanner's certificate, as hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Certificate {
    /// Of the one that it shows now.
    pub shown: String,
    /// Of the only one that is accepted; none: it was never seen before.
    pub expected: Option<String>,
}

/// The certificate of the scanner that the options name, for a person to compare; it is not trusted
/// for that. None without TLS, without an answer, or when it is not known where the scanner is.
#[must_use]
pub fn certificate(options: &BackendOptions) -> Option<Certificate> {
    let finder = Finder::new(options.ports.clone()?, wanted(options).ok()?);
    finder.certificate()
}

/// A SHA-256 in the configuration.
struct Sha256([u8; 32]);

impl std::str::FromStr for Sha256 {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse_fingerprint(text)
            .map(Self)
            .ok_or("expected 64 hexadecimal digits, with or without colons")
    }
}

struct Identity(DeviceIdentity);

impl IdentitySource for Identity {
    fn identity(&self) -> DeviceIdentity {
        self.0.clone()
    }
}
