//! What carries out the engine's actions: dull, one at a time, without decisions of their own.
//!
//! Each driver is a plain struct whose `run` takes an action and gives the input that answers it,
//! so that a simulation can call it in its own order; [`runtime`](crate::runtime) puts each into a
//! thread.

pub mod cloud;
pub mod envelope;
pub mod keeper;
pub mod network;
pub mod page;
pub mod posture;
pub mod scanner;
#[cfg(test)]
mod testing;
pub mod time;
pub mod web;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use scantrip_cloud_client::wire::ReportDevice;
use scantrip_hal::entropy::{Entropy, EntropyError};
use scantrip_hal::identity::DeviceIdentity;
use scantrip_hal::keys::KeyStore;
use scantrip_hal::settings::SettingsSource;
use scantrip_hal::storage::SealedStorage;

use crate::journal::Journal;
use crate::spool::Spool;
use crate::store::{Identity, State, StateError};
use time::Time;

/// What all drivers share.
pub struct Context {
    /// The clocks and what is known of them.
    pub time: Time,
    /// What is remembered.
    pub state: State<SealedStorage>,
    /// The private keys.
    pub keys: Arc<dyn KeyStore>,
    /// The job files.
    pub spool: Spool,
    /// What is known of jobs.
    pub journal: Journal,
    /// What the device is.
    pub device: DeviceIdentity,
    /// Randomness.
    entropy: Mutex<Box<dyn Entropy>>,
    /// The security settings, what happened, and what the scanner does.
    posture: posture::Posture,
    /// Grows with each change of the identity: connections made before are not used again.
    identity_version: AtomicU64,
}

impl Context {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: ContextParts) -> Self {
        Self {
            time: parts.time,
            state: parts.state,
            keys: parts.keys,
            spool: parts.spool,
            journal: parts.journal,
            device: parts.device,
            entropy: Mutex::new(parts.entropy),
            posture: posture::Posture::new(parts.settings),
            identity_version: AtomicU64::new(0),
        }
    }

    /// Fills `out` with randomness fit for keys.
    ///
    /// # Errors
    /// When there is none.
    pub fn fill(&self, out: &mut [u8]) -> Result<(), EntropyError> {
        lock(&self.entropy).fill(out)
    }

    /// A random number.
    ///
    /// # Errors
    /// When there is none.
    pub fn random(&self) -> Result<u64, EntropyError> {
        let mut bytes = [0; 8];
        self.fill(&mut bytes)?;
        Ok(u64::from_le_bytes(bytes))
    }

    /// Runs `with` on the source of randomness.
    pub fn with_entropy<T>(&self, with: impl FnOnce(&mut dyn Entropy) -> T) -> T {
        with(&mut **lock(&self.entropy))
    }

    /// Remembers the identity; connections made with the one before are not used again.
    ///
    /// # Errors
    /// When it may not be durable.
    pub fn save_identity(&self, identity: &Identity) -> Result<(), StateError> {
        self.state.save(identity)?;
        self.identity_changed();
        Ok(())
    }

    /// Connections made before are not used again.
    pub fn identity_changed(&self) {
        self.identity_version.fetch_add(1, Ordering::SeqCst);
    }

    /// Which identity a connection belongs to.
    #[must_use]
    pub fn identity_version(&self) -> u64 {
        self.identity_version.load(Ordering::SeqCst)
    }
}

/// What a [`Context`] is made of.
pub struct ContextParts {
    /// As [`Context::time`].
    pub time: Time,
    /// As [`Context::state`].
    pub state: State<SealedStorage>,
    /// As [`Context::keys`].
    pub keys: Arc<dyn KeyStore>,
    /// As [`Context::spool`].
    pub spool: Spool,
    /// As [`Context::journal`].
    pub journal: Journal,
    /// As [`Context::device`].
    pub device: DeviceIdentity,
    /// Randomness.
    pub entropy: Box<dyn Entropy>,
    /// The security settings; `None`: nothing reads them.
    pub settings: Option<Box<dyn SettingsSource>>,
}

/// What the device is, in the words of the wire.
pub(crate) fn described(device: &DeviceIdentity) -> ReportDevice {
    ReportDevice {
        vendor: device.vendor.as_str().to_owned(),
        model: device.model.as_str().to_owned(),
        serial: device.serial.as_str().to_owned(),
        firmware: device.firmware.as_str().to_owned(),
    }
}

/// What a panic left behind is still whole: these locks guard single steps.
pub(crate) fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
