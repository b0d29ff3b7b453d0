//! The way to devices of this network, for backends of the HAL.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use embedded_svc::storage::RawStorage as _;
use scantrip_cloud_client::certificate::CertDer;
use scantrip_cloud_client::http::{
    BaseUrl, Clocks, ConnectError, HttpClient, Limit, Stop, Timeouts,
};
use scantrip_cloud_client::tls::{self, Roots, TlsSettings, TlsVersions};
use scantrip_hal::clock::{Clock, Instant};
use scantrip_hal::disk::Disk;
use scantrip_hal::keys::KeyStore;
use scantrip_hal::storage::SealedStorage;
use scantrip_hal::web::{
    Connector, Exchange, Memory, NotVouched, Over, Patience, Pin, Ports, Vouch, WebError,
    WebErrorKind,
};

use super::lock;
use super::network::read_pem;

/// The folder of what is remembered of the device.
const FOLDER: &str = "device";

/// What a backend needs of this system; without disk and keys it remembers nothing.
#[must_use]
pub fn ports(clock: Arc<dyn Clock>, memory: Option<(Arc<dyn Disk>, Arc<dyn KeyStore>)>) -> Ports {
    let memory = memory.map(|(disk, keys)| -> Arc<dyn Memory> {
        Arc::new(Remembered(Mutex::new(SealedStorage::new(
            disk, keys, FOLDER,
        ))))
    });
    Ports {
        connector: Arc::new(Devices {
            clock: Arc::clone(&clock),
        }),
        memory,
        clock,
        sleep: Arc::new(sleep),
    }
}

/// The same without a change to what is remembered.
#[must_use]
pub fn to_look(mut ports: Ports) -> Ports {
    ports.memory = ports
        .memory
        .map(|memory| -> Arc<dyn Memory> { Arc::new(Look(memory)) });
    ports
}

struct Look(Arc<dyn Memory>);

impl Memory for Look {
    fn recall(&self, name: &str) -> Option<Vec<u8>> {
        self.0.recall(name)
    }

    fn keep(&self, _name: &str, _value: &[u8]) {}
}

#[expect(
    clippy::disallowed_methods,
    reason = "a device that says later must be waited for"
)]
fn sleep(time: Duration) {
    std::thread::sleep(time);
}

/// Connections by the HTTP and TLS of the cloud client, without a proxy.
struct Devices {
    clock: Arc<dyn Clock>,
}

impl Devices {
    fn client(&self, pin: &Pin) -> Result<HttpClient, WebError> {
        let (boot, wall) = (Arc::clone(&self.clock), Arc::clone(&self.clock));
        let clocks = Clocks {
            boot: Arc::new(move || boot.boot().since(Instant::default())),
            unix_ms: Arc::new(move || wall.wall().as_millis()),
        };
        let settings = TlsSettings {
            roots: Roots::FirstSeen(Arc::clone(pin)),
            versions: TlsVersions::Tls12AndTls13,
            credential: None,
        };
        HttpClient::new(settings, None, Timeouts::default(), clocks).map_err(|error| WebError {
            kind: WebErrorKind::Protocol,
            message: error.to_string(),
        })
    }
}

impl Connector for Devices {
    fn connect(
        &self,
        origin: &str,
        pin: &Pin,
        patience: Patience,
    ) -> Result<Box<dyn Exchange>, WebError> {
        let url = BaseUrl::of_device(origin).map_err(|error| WebError {
            kind: WebErrorKind::Protocol,
            message: error.to_string(),
        })?;
        let connection = self
            .client(pin)?
            .connect_device(&url, patience.connect, limit_of(patience))
            .map_err(|error| web_error(&error))?;
        Ok(Box::new(Over(
            connection,
            |connection, patience, stop| {
                connection.set_limit(limit_of(patience));
                connection
                    .set_stop(stop.map(|stop| -> Stop { Arc::new(move || stop.is_raised()) }));
            },
            |connection| connection.certificates(),
        )))
    }
}

/// Asks the authorities of a PEM file, which is read each time.
#[must_use]
pub fn vouch(ca_file: PathBuf, clock: Arc<dyn Clock>) -> Arc<Vouch> {
    Arc::new(move |chain: &[CertDer]| {
        let anchors = read_pem(&ca_file).map_err(|error| NotVouched(error.message))?;
        tls::vouch(chain, &anchors, clock.wall().as_millis())
            .map_err(|error| NotVouched(error.to_string()))
    })
}

const fn limit_of(patience: Patience) -> Limit {
    Limit {
        total: patience.total,
        stall: patience.stall,
    }
}

fn web_error(error: &ConnectError) -> WebError {
    let (kind, message) = match error {
        ConnectError::Untrusted { .. } => (
            WebErrorKind::OtherCertificate,
            // The scanner's errors have room for one of the two, not for both.
            "its certificate has changed; `scantrip device` shows it, for device.options.fingerprint"
                .to_owned(),
        ),
        ConnectError::TimedOut { .. } => (WebErrorKind::TimedOut, error.to_string()),
        error => (WebErrorKind::Unreachable, error.to_string()),
    };
    WebError { kind, message }
}

/// Small values, sealed with the device's own key.
struct Remembered(Mutex<SealedStorage>);

impl Memory for Remembered {
    fn recall(&self, name: &str) -> Option<Vec<u8>> {
        lock(&self.0).value(name).unwrap_or_else(|error| {
            log::warn!("device: {name} cannot be read: {error}");
            None
        })
    }

    fn keep(&self, name: &str, value: &[u8]) {
        if let Err(error) = lock(&self.0).set_raw(name, value) {
            log::warn!("device: {name} cannot be kept: {error}");
        }
    }
}
