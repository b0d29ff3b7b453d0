//! A [`KeyStore`] in one file: the only secret in clear on the device.
//!
//! | Offset | Bytes | Field |
//! |---|---|---|
//! | 0 | 4 | magic `STKY` |
//! | 4 | 2 | format version, little-endian, 1 |
//! | 6 | 1 | bit 0: slot A holds a key; bit 1: slot B holds a key |
//! | 7 | 1 | zero |
//! | 8 | 32 | device-local key (AES-256) |
//! | 40 | 32 | slot A: P-256 private key, or zeros |
//! | 72 | 32 | slot B: P-256 private key, or zeros |
//! | 104 | 32 | SHA-256 of bytes 0..104, against rot |
//!
//! The file is 0600 in a 0700 folder; wider modes are refused. It is made at the first need and
//! replaced whole: a new file is written, synced and renamed over the old one. One process at a
//! time uses it. What [`KeyStore::seal_local`] gives is version 1, a random 12-byte nonce, the
//! ciphertext and its tag; one key may seal 2^32 values before nonces could meet.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use p256::ecdsa::signature::Signer;
use p256::ecdsa::{DerSignature, SigningKey};
use scantrip_aead::{Cipher, NONCE_BYTES, NotAuthentic, TAG_BYTES, TooLong};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::folder_disk::FolderDisk;
use crate::disk::{Disk, DiskError, DiskErrorKind};
use crate::entropy::Entropy;
use crate::keys::{KeyError, KeySlot, KeyStore, PublicKey};

const MAGIC: &[u8; 4] = b"STKY";
const VERSION: u16 = 1;
const FILE_BYTES: usize = 136;
const CHECKED_BYTES: usize = 104;

const SEALED_VERSION: u8 = 1;

/// How often a private key is drawn: a draw is out of range once in 2^32, so a second failure
/// means that the source of randomness is broken.
const DRAWS_MAX: usize = 4;

/// The device's keys in a file.
pub struct KeyFile {
    /// Its folder, when that can be open to others.
    folder: Option<PathBuf>,
    name: String,
    disk: Box<dyn Disk>,
    inner: Mutex<Inner>,
}

struct Inner {
    entropy: Box<dyn Entropy>,
    /// None until the first key is needed.
    keys: Option<Keys>,
}

#[derive(Clone)]
struct Keys {
    local: Zeroizing<[u8; 32]>,
    slots: [Option<Zeroizing<[u8; 32]>>; 2],
}

impl KeyFile {
    /// Opens the key file at `path`; there need not be one yet. Its folder is made if missing.
    ///
    /// # Errors
    /// When folder or file may be read by others, when the file is damaged or of a newer version
    /// (it is then left as it is), or when it cannot be read.
    pub fn open(path: &Path, entropy: Box<dyn Entropy>) -> Result<Self, KeyError> {
        let (Some(folder), Some(name)) = (path.parent(), path.file_name().and_then(|n| n.to_str()))
        else {
            return Err(failed("open", format!("{} names no file", path.display())));
        };
        let disk = FolderDisk::open(folder, None).map_err(|cause| disk_failed("open", &cause))?;
        refuse_wider("700", folder)?;
        if disk.open(name).is_ok() {
            refuse_wider("600", path)?;
        }
        let shown = path.display().to_string();
        let opened = Self::read(Box::new(disk), name, &shown, entropy)?;
        Ok(Self {
            folder: Some(folder.to_path_buf()),
            ..opened
        })
    }

    /// Opens the key file `name` on a disk of its own; there need not be one yet.
    ///
    /// # Errors
    /// When the file is damaged or of a newer version (it is then left as it is), or when it
    /// cannot be read.
    pub fn on(
        disk: Box<dyn Disk>,
        name: &str,
        entropy: Box<dyn Entropy>,
    ) -> Result<Self, KeyError> {
        Self::read(disk, name, name, entropy)
    }

    fn read(
        disk: Box<dyn Disk>,
        name: &str,
        shown: &str,
        entropy: Box<dyn Entropy>,
    ) -> Result<Self, KeyError> {
        let keys = match disk.open(name) {
            Err(cause) if cause.kind == DiskErrorKind::NotFound => None,
            Err(cause) => return Err(disk_failed("open", &cause)),
            Ok(file) => {
                let mut bytes = Zeroizing::new([0; FILE_BYTES + 1]);
                let count = file
                    .read_at(0, bytes.as_mut_slice())
                    .map_err(|cause| disk_failed("read", &cause))?;
                let read = bytes.get(..count).unwrap_or_default();
                let refuse = |reason: &str| failed("read", format!("{shown} {reason}"));
                Some(Keys::decode(read).map_err(refuse)?)
            }
        };
        Ok(Self {
            folder: None,
            name: name.to_owned(),
            disk,
            inner: Mutex::new(Inner { entropy, keys }),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Replaces the file; the keys in `inner` change only when the new file is durable.
    fn replace(&self, inner: &mut Inner, keys: Keys) -> Result<(), KeyError> {
        if let Some(folder) = &self.folder {
            refuse_wider("700", folder)?;
        }
        let temporary = format!("{}.new", self.name);
        let write = || {
            self.remove_if_there(&temporary)?;
            let mut file = self.disk.create_new(&temporary)?;
            file.write_at(0, keys.encode().as_slice())?;
            file.sync_data()?;
            self.disk.rename(&temporary, &self.name)?;
            self.disk.sync_folder("")
        };
        write().map_err(|cause: DiskError| disk_failed("write", &cause))?;
        inner.keys = Some(keys);
        Ok(())
    }

    fn remove_if_there(&self, name: &str) -> Result<(), DiskError> {
        match self.disk.remove(name) {
            Err(cause) if cause.kind != DiskErrorKind::NotFound => Err(cause),
            _ => Ok(()),
        }
    }

    fn cipher(keys: &Keys) -> Cipher {
        Cipher::new(&keys.local)
    }
}

impl KeyStore for KeyFile {
    fn generate(&self, slot: KeySlot) -> Result<PublicKey, KeyError> {
        let mut inner = self.lock();
        let (secret, public) = inner.draw_private()?;
        let mut keys = inner.keys_or_new()?;
        *keys.slot_mut(slot) = Some(secret);
        self.replace(&mut inner, keys)?;
        Ok(public)
    }

    fn public(&self, slot: KeySlot) -> Result<Option<PublicKey>, KeyError> {
        let inner = self.lock();
        match inner.keys.as_ref().and_then(|keys| keys.slot(slot)) {
            Some(secret) => Ok(Some(public_of(&signing_key(secret)?))),
            None => Ok(None),
        }
    }

    fn sign(&self, slot: KeySlot, message: &[u8]) -> Result<Vec<u8>, KeyError> {
        let inner = self.lock();
        let secret = inner
            .keys
            .as_ref()
            .and_then(|keys| keys.slot(slot))
            .ok_or(KeyError::Empty(slot))?;
        let signature: DerSignature = signing_key(secret)?.sign(message);
        Ok(signature.as_bytes().to_vec())
    }

    fn remove(&self, slot: KeySlot) -> Result<(), KeyError> {
        let mut inner = self.lock();
        match inner.keys.clone() {
            Some(mut keys) if keys.slot(slot).is_some() => {
                *keys.slot_mut(slot) = None;
                self.replace(&mut inner, keys)
            }
            _ => Ok(()),
        }
    }

    fn seal_local(&self, context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        let mut inner = self.lock();
        if inner.keys.is_none() {
            let keys = inner.keys_or_new()?;
            self.replace(&mut inner, keys)?;
        }
        let mut nonce = [0; NONCE_BYTES];
        inner.fill(&mut nonce)?;
        let Some(keys) = &inner.keys else {
            return Err(failed("use", "no device-local key"));
        };
        let mut sealed = Vec::with_capacity(1 + NONCE_BYTES + plaintext.len() + TAG_BYTES);
        sealed.push(SEALED_VERSION);
        sealed.extend_from_slice(&nonce);
        sealed.extend_from_slice(plaintext);
        let (_, placed) = sealed.split_at_mut(1 + NONCE_BYTES);
        let tag = Self::cipher(keys)
            .seal(&nonce, context, placed)
            .map_err(|TooLong| failed("use", "value too long to seal"))?;
        sealed.extend_from_slice(&tag);
        Ok(sealed)
    }

    fn open_local(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        let inner = self.lock();
        let (Some(keys), Some((&SEALED_VERSION, rest))) = (&inner.keys, sealed.split_first())
        else {
            return Err(KeyError::NotOurs);
        };
        let parts = rest
            .split_first_chunk()
            .and_then(|(nonce, rest)| Some((nonce, rest.split_last_chunk()?)));
        let Some((nonce, (ciphertext, tag))) = parts else {
            return Err(KeyError::NotOurs);
        };
        let mut plaintext = ciphertext.to_vec();
        Self::cipher(keys)
            .open(nonce, context, &mut plaintext, tag)
            .map_err(|NotAuthentic| KeyError::NotOurs)?;
        Ok(plaintext)
    }

    fn wipe(&self) -> Result<(), KeyError> {
        let mut inner = self.lock();
        let wipe = || {
            match self.disk.open(&self.name) {
                // Zeros first: where a file system writes in place, nothing is left behind.
                Ok(mut file) => {
                    file.write_at(0, &[0; FILE_BYTES])?;
                    file.sync_data()?;
                }
                Err(cause) if cause.kind == DiskErrorKind::NotFound => {}
                Err(cause) => return Err(cause),
            }
            self.remove_if_there(&self.name)?;
            self.remove_if_there(&format!("{}.new", self.name))?;
            self.disk.sync_folder("")
        };
        inner.keys = None;
        wipe().map_err(|cause: DiskError| disk_failed("wipe", &cause))
    }
}

impl Inner {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), KeyError> {
        self.entropy
            .fill(out)
            .map_err(|cause| failed("use", cause.to_string()))
    }

    /// The keys, or a first set with a device-local key alone.
    fn keys_or_new(&mut self) -> Result<Keys, KeyError> {
        if let Some(keys) = &self.keys {
            return Ok(keys.clone());
        }
        let mut local = Zeroizing::new([0; 32]);
        self.fill(local.as_mut_slice())?;
        Ok(Keys {
            local,
            slots: [None, None],
        })
    }

    fn draw_private(&mut self) -> Result<(Zeroizing<[u8; 32]>, PublicKey), KeyError> {
        for _ in 0..DRAWS_MAX {
            let mut secret = Zeroizing::new([0; 32]);
            self.fill(secret.as_mut_slice())?;
            if let Ok(key) = signing_key(&secret) {
                return Ok((secret, public_of(&key)));
            }
        }
        Err(failed("use", "the source of randomness is broken"))
    }
}

impl Keys {
    fn slot(&self, slot: KeySlot) -> Option<&Zeroizing<[u8; 32]>> {
        let [a, b] = &self.slots;
        match slot {
            KeySlot::A => a.as_ref(),
            KeySlot::B => b.as_ref(),
        }
    }

    fn slot_mut(&mut self, slot: KeySlot) -> &mut Option<Zeroizing<[u8; 32]>> {
        let [a, b] = &mut self.slots;
        match slot {
            KeySlot::A => a,
            KeySlot::B => b,
        }
    }

    fn encode(&self) -> Zeroizing<Vec<u8>> {
        let empty = Zeroizing::new([0; 32]);
        let present = self.slots.iter().zip([1, 2]).fold(0, |bits, (slot, bit)| {
            bits | (u8::from(slot.is_some()) * bit)
        });
        // The whole capacity at once: growing would leave copies of the keys behind.
        let mut bytes = Zeroizing::new(Vec::with_capacity(FILE_BYTES));
        bytes.extend_from_slice(MAGIC);
        bytes.extend_from_slice(&VERSION.to_le_bytes());
        bytes.extend_from_slice(&[present, 0]);
        bytes.extend_from_slice(self.local.as_slice());
        for slot in &self.slots {
            bytes.extend_from_slice(slot.as_ref().unwrap_or(&empty).as_slice());
        }
        let checksum = Sha256::digest(bytes.as_slice());
        bytes.extend_from_slice(&checksum);
        bytes
    }

    fn decode(bytes: &[u8]) -> Result<Self, &'static str> {
        let damaged = "is damaged: put back a good copy, or remove it and enrol again";
        match bytes.split_first_chunk() {
            Some((MAGIC, rest)) => match rest.split_first_chunk() {
                Some((version, _)) if u16::from_le_bytes(*version) > VERSION => {
                    return Err("is of a newer version than this program; use that program");
                }
                _ => {}
            },
            _ => return Err(damaged),
        }
        let (checked, checksum) = bytes.split_at_checked(CHECKED_BYTES).ok_or(damaged)?;
        if checksum != Sha256::digest(checked).as_slice() {
            return Err(damaged);
        }
        let key_at = |offset: usize| {
            let key = checked.get(offset..offset + 32)?;
            Some(Zeroizing::new(<[u8; 32]>::try_from(key).ok()?))
        };
        let present = checked.get(6).copied().unwrap_or(0);
        let slot = |bit: u8, offset| (present & bit != 0).then(|| key_at(offset)).flatten();
        let keys = Self {
            local: key_at(8).ok_or(damaged)?,
            slots: [slot(1, 40), slot(2, 72)],
        };
        for secret in keys.slots.iter().flatten() {
            signing_key(secret).map_err(|_not_a_key| damaged)?;
        }
        Ok(keys)
    }
}

/// A key file of arbitrary bytes, as it is and with its checksum made right.
#[cfg(feature = "fuzz")]
pub(crate) fn fuzz(data: &[u8]) {
    let mut mended = data.to_vec();
    if let Some((checked, checksum)) = mended.split_at_mut_checked(CHECKED_BYTES) {
        for (to, from) in checksum.iter_mut().zip(Sha256::digest(checked)) {
            *to = from;
        }
    }
    for bytes in [data, &mended] {
        if let Ok(keys) = Keys::decode(bytes) {
            let again = Keys::decode(&keys.encode());
            assert!(
                again.is_ok_and(|again| again.local == keys.local && again.slots == keys.slots)
            );
        }
    }
}

fn signing_key(secret: &Zeroizing<[u8; 32]>) -> Result<SigningKey, KeyError> {
    SigningKey::from_slice(secret.as_slice())
        .map_err(|cause| failed("use", format!("not a P-256 private key: {cause}")))
}

fn public_of(key: &SigningKey) -> PublicKey {
    let point = key.verifying_key().to_sec1_point(false);
    let mut bytes = [0; 65];
    bytes.copy_from_slice(point.as_bytes());
    PublicKey(bytes)
}

/// `mode` is what the path should have, in octal digits, and nothing beyond its owner's share.
fn refuse_wider(mode: &'static str, path: &Path) -> Result<(), KeyError> {
    let found = fs::metadata(path)
        .map_err(|cause: io::Error| failed("open", cause.to_string()))?
        .permissions()
        .mode()
        & 0o7777;
    if found & 0o077 == 0 {
        return Ok(());
    }
    let shown = path.display();
    Err(failed(
        "open",
        format!("{shown} is open to others (mode {found:04o}); run `chmod {mode} {shown}`"),
    ))
}

fn failed(operation: &'static str, reason: impl Into<String>) -> KeyError {
    KeyError::Store {
        operation,
        reason: reason.into(),
    }
}

fn disk_failed(operation: &'static str, cause: &DiskError) -> KeyError {
    failed(operation, cause.to_string())
}

#[cfg(test)]
mod tests;
