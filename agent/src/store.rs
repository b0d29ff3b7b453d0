//! What the agent remembers across restarts, besides jobs: one small document per subject.
//!
//! Documents are JSON with a version, kept in an embedded-svc [`RawStorage`] (the HAL's sealed one
//! on a Linux device, a vendor's own elsewhere). One of a later version is refused untouched. Each
//! type here is a promise: change it only by adding fields with a default, or raise its version.

use std::fmt::Debug;
use std::sync::{Mutex, MutexGuard, PoisonError};

use embedded_svc::storage::RawStorage;
use scantrip_cloud_client::wire;
use scantrip_hal::keys::KeySlot;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::drivers::posture::KnownSettings;
use crate::event_buffer::EventBuffer;

/// A document that is remembered under a fixed key.
pub trait Saved: Serialize + DeserializeOwned {
    /// The key in the storage.
    const KEY: &'static str;
    /// The version written, and the latest that is read.
    const VERSION: u32;
}

/// Who the device is: its ids and certificates. Keys stay in the key store.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The device's id.
    pub device: String,
    /// The tenant's id, once the desired state told it.
    #[serde(default)]
    pub tenant: Option<String>,
    /// The slot whose certificate is used.
    pub active: Slot,
    /// The certificate of slot A.
    #[serde(default)]
    pub a: Option<Certificate>,
    /// The certificate of slot B.
    #[serde(default)]
    pub b: Option<Certificate>,
}

impl Identity {
    /// The certificate in `slot`.
    #[must_use]
    pub const fn certificate(&self, slot: Slot) -> Option<&Certificate> {
        match slot {
            Slot::A => self.a.as_ref(),
            Slot::B => self.b.as_ref(),
        }
    }

    /// Puts a certificate into `slot`, or empties it.
    pub fn set_certificate(&mut self, slot: Slot, certificate: Option<Certificate>) {
        match slot {
            Slot::A => self.a = certificate,
            Slot::B => self.b = certificate,
        }
    }
}

/// A place for a key and its certificate, as it is written down.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Slot {
    /// The first.
    #[default]
    A,
    /// The second.
    B,
}

impl From<Slot> for KeySlot {
    fn from(slot: Slot) -> Self {
        match slot {
            Slot::A => Self::A,
            Slot::B => Self::B,
        }
    }
}

impl From<KeySlot> for Slot {
    fn from(slot: KeySlot) -> Self {
        match slot {
            KeySlot::A => Self::A,
            KeySlot::B => Self::B,
        }
    }
}

/// A certificate of this device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The chain, leaf first.
    pub chain: Vec<Der>,
    /// Start of validity, Unix milliseconds.
    pub not_before_ms: u64,
    /// End of validity, Unix milliseconds.
    pub not_after_ms: u64,
}

/// A certificate's DER bytes; base64 in JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Der(#[serde(with = "base64_text")] pub Vec<u8>);

/// The device anchors: they alone verify server and receipts after enrolment.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Anchors {
    /// The anchors.
    pub certificates: Vec<Der>,
}

/// The last desired state taken from the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DesiredState {
    /// The answer's `ETag`.
    #[serde(default)]
    pub etag: Option<String>,
    /// The state.
    pub desired: wire::Desired,
}

/// A time that is surely past: certificates are never checked against an earlier one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct TimeFloor {
    /// Unix milliseconds.
    pub unix_ms: u64,
}

/// The front door in use and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPointChoice {
    /// The doors as last fetched.
    pub known: Vec<wire::EntryPoint>,
    /// URL of the chosen one.
    pub url: String,
    /// Why it was chosen, for people.
    pub why: String,
    /// Median connect time of each by name, in ms, in the order of `known`; `None`: no answer.
    #[serde(default)]
    pub measured_ms: Vec<Option<u32>>,
}

/// How far reporting is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportCursor {
    /// Number of the last report made.
    pub sequence: u64,
    /// Reports dropped since the last one that was sent.
    #[serde(default)]
    pub dropped: u64,
    /// Chosen at random when numbering began: numbers count within it.
    #[serde(default)]
    pub epoch: u64,
}

/// How far the feed of outcomes is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutcomeCursor {
    /// The last position taken.
    pub seq: u64,
}

/// The end of the chain of receipts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReceiptHead {
    /// Number of the last receipt in the chain without a gap; 0: none yet.
    pub seq: u64,
    /// Its SHA-256 in lower-case hexadecimal; empty: none yet.
    pub hash: String,
}

/// Why a document could not be loaded or saved.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StateError {
    /// The storage failed.
    #[error("cannot {operation} saved state {key}: {reason}")]
    Storage {
        /// What was attempted.
        operation: &'static str,
        /// The document.
        key: &'static str,
        /// The storage's words.
        reason: String,
    },
    /// The document is no JSON of the right shape.
    #[error("saved state {key} is garbled")]
    Garbled {
        /// The document.
        key: &'static str,
        /// Where it stops making sense; never what it says.
        source: serde_json::Error,
    },
    /// Written by a later version of the agent; left untouched.
    #[error("saved state {key} was written by a later version of the agent (version {version})")]
    Newer {
        /// The document.
        key: &'static str,
        /// The version found.
        version: u32,
    },
}

/// The agent's memory. All calls may come from any thread.
#[derive(Debug)]
pub struct State<S> {
    storage: Mutex<S>,
}

impl<S: RawStorage> State<S> {
    /// The memory kept in `storage`.
    pub const fn new(storage: S) -> Self {
        Self {
            storage: Mutex::new(storage),
        }
    }

    /// What was last saved, if anything.
    ///
    /// # Errors
    /// When the storage fails or the document is garbled or of a later version.
    pub fn load<T: Saved>(&self) -> Result<Option<T>, StateError> {
        let Some(bytes) = self.read(T::KEY)? else {
            return Ok(None);
        };
        let garbled = |source| StateError::Garbled {
            key: T::KEY,
            source,
        };
        let Versioned { version } = serde_json::from_slice(&bytes).map_err(garbled)?;
        if version > T::VERSION {
            return Err(StateError::Newer {
                key: T::KEY,
                version,
            });
        }
        let document: Document<T> = serde_json::from_slice(&bytes).map_err(garbled)?;
        Ok(Some(document.value))
    }

    /// Remembers `value` in place of what was there. Durable as far as the storage is.
    ///
    /// # Errors
    /// When the storage fails, or holds a document of a later version.
    pub fn save<T: Saved>(&self, value: &T) -> Result<(), StateError> {
        if let Some(bytes) = self.read(T::KEY)?
            && let Ok(Versioned { version }) = serde_json::from_slice(&bytes)
            && version > T::VERSION
        {
            return Err(StateError::Newer {
                key: T::KEY,
                version,
            });
        }
        let document = Document {
            version: T::VERSION,
            value,
        };
        let json = serde_json::to_vec(&document).map_err(|source| StateError::Garbled {
            key: T::KEY,
            source,
        })?;
        let saved = self.storage().set_raw(T::KEY, &json);
        saved
            .map(|_| ())
            .map_err(|error| fault("write", T::KEY, &error))
    }

    /// Forgets a document; content when there is none.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn forget<T: Saved>(&self) -> Result<(), StateError> {
        let removed = self.storage().remove(T::KEY);
        removed
            .map(|_| ())
            .map_err(|error| fault("remove", T::KEY, &error))
    }

    /// Forgets every document.
    ///
    /// # Errors
    /// When the storage fails; some may then be left.
    pub fn wipe(&self) -> Result<(), StateError> {
        for key in KEYS {
            let removed = self.storage().remove(key);
            removed.map_err(|error| fault("remove", key, &error))?;
        }
        Ok(())
    }

    fn read(&self, key: &'static str) -> Result<Option<Vec<u8>>, StateError> {
        let storage = self.storage();
        let length = storage
            .len(key)
            .map_err(|error| fault("read", key, &error))?;
        let Some(length) = length else {
            return Ok(None);
        };
        let mut buffer = vec![0; length];
        let read = storage.get_raw(key, &mut buffer);
        let bytes = read.map_err(|error| fault("read", key, &error))?;
        Ok(bytes.map(<[u8]>::to_vec))
    }

    fn storage(&self) -> MutexGuard<'_, S> {
        self.storage.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every key, for [`State::wipe`].
const KEYS: [&str; 10] = [
    Identity::KEY,
    Anchors::KEY,
    DesiredState::KEY,
    TimeFloor::KEY,
    EntryPointChoice::KEY,
    ReportCursor::KEY,
    OutcomeCursor::KEY,
    ReceiptHead::KEY,
    KnownSettings::KEY,
    EventBuffer::KEY,
];

macro_rules! saved {
    ($($kind:ty, $key:literal, $version:literal;)*) => {
        $(impl Saved for $kind {
            const KEY: &'static str = $key;
            const VERSION: u32 = $version;
        })*
    };
}

saved! {
    Identity, "identity", 1;
    Anchors, "anchors", 1;
    DesiredState, "desired", 1;
    TimeFloor, "time-floor", 1;
    EntryPointChoice, "entry-point", 1;
    ReportCursor, "report", 1;
    OutcomeCursor, "outcome", 1;
    ReceiptHead, "receipt-head", 1;
    KnownSettings, "settings", 1;
    EventBuffer, "events", 1;
}

/// A document as it is stored.
#[derive(Serialize, Deserialize)]
struct Document<T> {
    version: u32,
    value: T,
}

/// The part that every version has.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

fn fault(operation: &'static str, key: &'static str, error: &dyn Debug) -> StateError {
    StateError::Storage {
        operation,
        key,
        reason: format!("{error:?}"),
    }
}

/// Bytes in JSON: base64 (RFC 4648, section 4), as on the wire.
mod base64_text {
    use base64::Engine as _;
    use base64::engine::general_purpose::STANDARD;
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(bytes: &[u8], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&STANDARD.encode(bytes))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<u8>, D::Error> {
        STANDARD
            .decode(String::deserialize(from)?)
            .map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use embedded_svc::storage::StorageBase;
    use scantrip_hal::storage::SealedStorage;

    use super::*;
    use crate::spool::testing::{FakeKeys, MemoryDisk};

    #[derive(Debug, Default)]
    struct Memory(BTreeMap<String, Vec<u8>>);

    impl StorageBase for Memory {
        type Error = &'static str;

        fn contains(&self, name: &str) -> Result<bool, Self::Error> {
            Ok(self.0.contains_key(name))
        }

        fn remove(&mut self, name: &str) -> Result<bool, Self::Error> {
            Ok(self.0.remove(name).is_some())
        }
    }

    impl RawStorage for Memory {
        fn len(&self, name: &str) -> Result<Option<usize>, Self::Error> {
            Ok(self.0.get(name).map(Vec::len))
        }

        fn get_raw<'a>(
            &self,
            name: &str,
            buffer: &'a mut [u8],
        ) -> Result<Option<&'a [u8]>, Self::Error> {
            let Some(bytes) = self.0.get(name) else {
                return Ok(None);
            };
            let place = buffer
                .get_mut(..bytes.len())
                .ok_or("the buffer is too short")?;
            place.copy_from_slice(bytes);
            Ok(Some(place))
        }

        fn set_raw(&mut self, name: &str, bytes: &[u8]) -> Result<bool, Self::Error> {
            Ok(self.0.insert(name.to_owned(), bytes.to_vec()).is_some())
        }
    }

    fn identity() -> Identity {
        Identity {
            device: "d-1".to_owned(),
            tenant: Some("t-1".to_owned()),
            active: Slot::B,
            a: None,
            b: Some(Certificate {
                chain: vec![Der(vec![1, 2, 3])],
                not_before_ms: 5,
                not_after_ms: 6,
            }),
        }
    }

    #[test]
    fn what_was_saved_is_loaded() {
        let state = State::new(Memory::default());
        assert_eq!(state.load::<Identity>().unwrap(), None);
        state.save(&identity()).unwrap();
        assert_eq!(state.load().unwrap(), Some(identity()));
        state.forget::<Identity>().unwrap();
        assert_eq!(state.load::<Identity>().unwrap(), None);
    }

    #[test]
    fn a_later_version_is_refused_and_left_untouched() {
        let newer = br#"{"version":2,"value":"of another shape"}"#.to_vec();
        let storage = Memory([("identity".to_owned(), newer.clone())].into());
        let state = State::new(storage);
        let refused = |error| matches!(error, StateError::Newer { version: 2, .. });
        assert!(refused(state.load::<Identity>().unwrap_err()));
        assert!(refused(state.save(&identity()).unwrap_err()));
        assert_eq!(state.storage().0["identity"], newer);
    }

    #[test]
    fn a_garbled_document_is_an_error_and_can_be_replaced() {
        let storage = Memory([("identity".to_owned(), b"{".to_vec())].into());
        let state = State::new(storage);
        assert!(matches!(
            state.load::<Identity>(),
            Err(StateError::Garbled { .. })
        ));
        state.save(&identity()).unwrap();
        assert_eq!(state.load().unwrap(), Some(identity()));
    }

    #[test]
    fn a_document_of_the_first_version_is_still_read() {
        let sample = include_bytes!("../testdata/identity-v1.json").to_vec();
        let state = State::new(Memory([("identity".to_owned(), sample)].into()));
        assert_eq!(state.load().unwrap(), Some(identity()));
    }

    #[test]
    fn the_sealed_storage_of_the_device_fits() {
        let disk = Arc::new(MemoryDisk::new());
        let storage = SealedStorage::new(disk, Arc::new(FakeKeys), "state");
        let state = State::new(storage);
        assert_eq!(state.load::<Identity>().unwrap(), None);
        state.save(&identity()).unwrap();
        state.save(&identity()).unwrap();
        assert_eq!(state.load().unwrap(), Some(identity()));
        state.wipe().unwrap();
        assert_eq!(state.load::<Identity>().unwrap(), None);
    }

    #[test]
    fn wiping_leaves_nothing() {
        let state = State::new(Memory::default());
        state.save(&identity()).unwrap();
        state.save(&TimeFloor { unix_ms: 5 }).unwrap();
        state.wipe().unwrap();
        assert!(state.storage().0.is_empty());
    }
}
