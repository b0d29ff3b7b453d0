//! Items with content: a tenant's values, sealed with the tenant's data key.
//!
//! A [`Vault`] is the only way to a tenant's items: it puts the tenant's prefix before every
//! partition, so that isolation is one rule in one place, and it seals every body. Form of a body:
//! one byte kind (0 here, 1 in a blob), 12 bytes nonce, AES-256-GCM with associated data
//! `partition || 0 || sort || 0 || version || blob name`. Of kind 1 the sealed text names a blob
//! part, whose content is nonce and ciphertext likewise.

use std::io::Read as _;

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::blobs::{BlobError, Folder, Part};
use crate::keys::KeysError;
use crate::ports::Ports;
use crate::store::{Change, Expect, Item, Key, Operation, Range, StoreError};

/// Longer bodies become blobs: items stay small enough for every engine.
const INLINE_BYTES_MAX: usize = 64 * 1024;
/// The longest value: an envelope with room to spare. Bounds what reading one item may take.
const BODY_BYTES_MAX: u64 = 4 * 1024 * 1024;
const NONCE_BYTES: usize = 12;
const INLINE: u8 = 0;
const IN_BLOB: u8 = 1;

/// A failed operation on a tenant's items.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VaultError {
    /// The store failed, or refused by condition.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The keys failed.
    #[error(transparent)]
    Keys(#[from] KeysError),
    /// The blobs failed.
    #[error(transparent)]
    Blobs(#[from] BlobError),
    /// Others changed the same items again and again.
    #[error("others changed the same items again and again: try again")]
    Races,
    /// An item does not open or does not parse.
    #[error("the item {0} is damaged, or was moved, or is of another tenant")]
    Damaged(String),
}

impl VaultError {
    /// Whether somebody else changed an item in between: read again and try again.
    #[must_use]
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Store(StoreError::Conflict { .. }))
    }
}

/// Where an item lies within its tenant: the partition without the tenant's prefix, and the sort.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// For example `#D#device`; empty for the tenant itself.
    pub partition: String,
    /// For example `J#job`.
    pub sort: String,
}

impl Place {
    /// The place of `sort` in `partition`.
    pub fn new(partition: impl Into<String>, sort: impl Into<String>) -> Self {
        Self {
            partition: partition.into(),
            sort: sort.into(),
        }
    }
}

/// A value as it was read, with what is needed to replace it.
#[derive(Clone, Debug)]
pub struct Stored<T> {
    /// The value.
    pub value: T,
    /// Where it was.
    pub place: Place,
    version: u64,
    blob: Option<Part>,
}

/// A tenant's items.
pub struct Vault {
    ports: Ports,
    tenant: String,
    cipher: Aes256Gcm,
}

impl std::fmt::Debug for Vault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Vault({})", self.tenant)
    }
}

/// The name of a tenant's data key.
#[must_use]
pub fn data_key_name(tenant: &str) -> String {
    format!("tenant.{tenant}.data")
}

impl Vault {
    /// The items of `tenant`.
    ///
    /// # Errors
    /// When the tenant's data key is missing: there is no such tenant, or it was erased.
    pub fn open(ports: &Ports, tenant: &str) -> Result<Self, VaultError> {
        let name = data_key_name(tenant);
        let key = ports.keys.secret(&name)?;
        let cipher =
            Aes256Gcm::new_from_slice(&key).map_err(|_cause| VaultError::Damaged(name.clone()))?;
        Ok(Self {
            ports: ports.clone(),
            tenant: tenant.to_owned(),
            cipher,
        })
    }

    /// The tenant's id.
    #[must_use]
    pub fn tenant(&self) -> &str {
        &self.tenant
    }

    /// The world.
    #[must_use]
    pub const fn ports(&self) -> &Ports {
        &self.ports
    }

    /// The value at `place`.
    ///
    /// # Errors
    /// When it cannot be read or opened.
    pub fn get<T: DeserializeOwned>(&self, place: &Place) -> Result<Option<Stored<T>>, VaultError> {
        let key = self.key(place);
        let item = self.ports.store.get(&key, self.ports.clock.now_ms())?;
        item.map(|item| self.open_item(key.partition, item, &place.partition))
            .transpose()
    }

    /// The values of `partition` whose sort begins with `prefix` and comes after `after`.
    ///
    /// # Errors
    /// When they cannot be read or opened.
    pub fn list<T: DeserializeOwned>(
        &self,
        partition: &str,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Stored<T>>, VaultError> {
        let full = format!("T#{}{partition}", self.tenant);
        let range = Range {
            partition: &full,
            prefix,
            after,
            limit,
        };
        let items = self.ports.store.range(&range, self.ports.clock.now_ms())?;
        items
            .into_iter()
            .map(|item| self.open_item(full.clone(), item, partition))
            .collect()
    }

    /// All values of `partition` whose sort begins with `prefix`, read in pages.
    ///
    /// # Errors
    /// When they cannot be read or opened.
    pub fn all<T: DeserializeOwned>(
        &self,
        partition: &str,
        prefix: &str,
    ) -> Result<Vec<Stored<T>>, VaultError> {
        const PAGE: usize = 1000;
        let mut found: Vec<Stored<T>> = Vec::new();
        loop {
            let after = found.last().map_or("", |last| last.place.sort.as_str());
            let page = self.list(partition, prefix, after, PAGE)?;
            let last = page.len() < PAGE;
            found.extend(page);
            if last {
                return Ok(found);
            }
        }
    }

    /// A new, empty transaction.
    #[must_use]
    pub const fn batch(&self) -> Batch<'_> {
        Batch {
            vault: self,
            operations: Vec::new(),
            fresh: Vec::new(),
            stale: Vec::new(),
        }
    }

    fn key(&self, place: &Place) -> Key {
        let partition = format!("T#{}{}", self.tenant, place.partition);
        Key::new(partition, place.sort.clone())
    }

    fn folder(&self) -> Folder {
        Folder::new(&[&self.tenant, "items"])
    }

    fn open_item<T: DeserializeOwned>(
        &self,
        partition: String,
        item: Item,
        place: &str,
    ) -> Result<Stored<T>, VaultError> {
        let key = Key::new(partition, item.sort);
        let damaged = || VaultError::Damaged(format!("{} {}", key.partition, key.sort));
        let (kind, sealed) = item.body.split_first().ok_or_else(damaged)?;
        let text = self
            .unseal(sealed, &context(&key, item.version, ""))
            .ok_or_else(damaged)?;
        let (text, blob) = match *kind {
            INLINE => (text, None),
            IN_BLOB => {
                let part: Part = serde_json::from_slice(&text).map_err(|_cause| damaged())?;
                let mut sealed = Vec::new();
                let file = self.ports.blobs.open(&self.folder(), &part.name)?;
                file.take(BODY_BYTES_MAX)
                    .read_to_end(&mut sealed)
                    .map_err(|_cause| damaged())?;
                let context = context(&key, item.version, &part.name);
                (
                    self.unseal(&sealed, &context).ok_or_else(damaged)?,
                    Some(part),
                )
            }
            _ => return Err(damaged()),
        };
        Ok(Stored {
            value: serde_json::from_slice(&text).map_err(|_cause| damaged())?,
            version: item.version,
            blob,
            place: Place::new(place, key.sort),
        })
    }

    fn seal(&self, text: &[u8], context: &[u8]) -> Vec<u8> {
        let nonce = self.ports.random_bytes::<NONCE_BYTES>();
        let payload = Payload {
            msg: text,
            aad: context,
        };
        let sealed = self
            .cipher
            .encrypt(&nonce.into(), payload)
            .expect("a value is far below the cipher's limit");
        [&nonce, sealed.as_slice()].concat()
    }

    fn unseal(&self, sealed: &[u8], context: &[u8]) -> Option<Vec<u8>> {
        let (nonce, sealed) = sealed.split_at_checked(NONCE_BYTES)?;
        let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).ok()?;
        let payload = Payload {
            msg: sealed,
            aad: context,
        };
        self.cipher.decrypt(&nonce.into(), payload).ok()
    }
}

fn context(key: &Key, version: u64, blob: &str) -> Vec<u8> {
    [
        key.partition.as_bytes(),
        &[0],
        key.sort.as_bytes(),
        &[0],
        &version.to_be_bytes(),
        blob.as_bytes(),
    ]
    .concat()
}

/// A transaction being put together: all or nothing at [`Batch::commit`].
#[derive(Debug)]
pub struct Batch<'a> {
    vault: &'a Vault,
    operations: Vec<Operation>,
    fresh: Vec<Part>,
    stale: Vec<Part>,
}

impl Batch<'_> {
    /// Puts a value where none is.
    ///
    /// # Errors
    /// When a long value cannot be written.
    pub fn create<T: Serialize>(&mut self, place: &Place, value: &T) -> Result<(), VaultError> {
        self.put(place, Expect::Absent, value, None)
    }

    /// As [`Batch::create`]; the value is gone from `expires_at_ms` on.
    ///
    /// # Errors
    /// When a long value cannot be written.
    pub fn create_expiring<T: Serialize>(
        &mut self,
        place: &Place,
        value: &T,
        expires_at_ms: u64,
    ) -> Result<(), VaultError> {
        self.put(place, Expect::Absent, value, Some(expires_at_ms))
    }

    /// Puts `value` in the place of `old`.
    ///
    /// # Errors
    /// When a long value cannot be written.
    pub fn replace<O, T: Serialize>(
        &mut self,
        old: &Stored<O>,
        value: &T,
    ) -> Result<(), VaultError> {
        self.stale.extend(old.blob.clone());
        self.put(&old.place, Expect::Version(old.version), value, None)
    }

    /// [`Batch::replace`] when there is an old value, else [`Batch::create`].
    ///
    /// # Errors
    /// When a long value cannot be written.
    pub fn put_over<O, T: Serialize>(
        &mut self,
        place: &Place,
        old: Option<&Stored<O>>,
        value: &T,
    ) -> Result<(), VaultError> {
        match old {
            Some(old) => self.replace(old, value),
            None => self.create(place, value),
        }
    }

    /// Removes `old`.
    pub fn remove<O>(&mut self, old: &Stored<O>) {
        self.stale.extend(old.blob.clone());
        self.plain(old, Change::Delete);
    }

    /// Requires that `old` is still what is stored.
    pub fn check<O>(&mut self, old: &Stored<O>) {
        self.plain(old, Change::Check);
    }

    /// Adds an operation on a global row, which holds ids alone.
    pub fn global(&mut self, operation: Operation) {
        self.operations.push(operation);
    }

    /// How many operations there are.
    #[must_use]
    pub const fn len(&self) -> usize {
        self.operations.len()
    }

    /// Whether there is no operation.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.operations.is_empty()
    }

    /// Does it all or nothing; durable when it returns.
    ///
    /// # Errors
    /// When something was changed in between (see [`VaultError::is_conflict`]) or on a failure.
    pub fn commit(self) -> Result<(), VaultError> {
        let ports = &self.vault.ports;
        let result = ports.store.transact(&self.operations, ports.clock.now_ms());
        let unnamed = if result.is_ok() {
            &self.stale
        } else {
            &self.fresh
        };
        for part in unnamed {
            // No item names it any more, so that it is harmless if it stays.
            if let Err(error) = ports.blobs.remove(&self.vault.folder(), &part.name) {
                log::warn!("{error}");
            }
        }
        Ok(result?)
    }

    fn put<T: Serialize>(
        &mut self,
        place: &Place,
        expect: Expect,
        value: &T,
        expires_at_ms: Option<u64>,
    ) -> Result<(), VaultError> {
        let key = self.vault.key(place);
        let version = expect.next_version();
        let text = serde_json::to_vec(value).expect("our values have a JSON form");
        let (kind, text) = if text.len() <= INLINE_BYTES_MAX {
            (INLINE, text)
        } else {
            let part = self.put_blob(&key, version, &text)?;
            (
                IN_BLOB,
                serde_json::to_vec(&part).expect("a part has a JSON form"),
            )
        };
        let mut body = vec![kind];
        body.extend(self.vault.seal(&text, &context(&key, version, "")));
        self.operations.push(Operation {
            key,
            expect,
            change: Change::Put {
                body,
                expires_at_ms,
            },
        });
        Ok(())
    }

    fn put_blob(&mut self, key: &Key, version: u64, text: &[u8]) -> Result<Part, VaultError> {
        let ports = &self.vault.ports;
        let name = ports.random_name();
        let sealed = self.vault.seal(text, &context(key, version, &name));
        let mut writer = ports.blobs.begin(&self.vault.folder(), &name)?;
        writer.push(&sealed)?;
        writer.finish()?;
        let part = Part {
            name,
            length: sealed.len() as u64,
        };
        self.fresh.push(part.clone());
        Ok(part)
    }

    fn plain<O>(&mut self, old: &Stored<O>, change: Change) {
        self.operations.push(Operation {
            key: self.vault.key(&old.place),
            expect: Expect::Version(old.version),
            change,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::World;

    #[test]
    fn values_come_back_short_and_long() {
        let world = World::new();
        let vault = world.vault("t");
        let long = "x".repeat(INLINE_BYTES_MAX + 1);
        let places = [Place::new("#D#d", "a"), Place::new("#D#d", "b")];
        let mut batch = vault.batch();
        batch.create(&places[0], &"short").unwrap();
        batch.create(&places[1], &long).unwrap();
        batch.commit().unwrap();
        let all = vault.all::<String>("#D#d", "").unwrap();
        assert_eq!(all[0].value, "short");
        assert_eq!(all[1].value, long);

        let mut batch = vault.batch();
        batch.replace(&all[1], &"now short").unwrap();
        batch.remove(&all[0]);
        batch.commit().unwrap();
        assert_eq!(
            vault.get::<String>(&places[1]).unwrap().unwrap().value,
            "now short"
        );
        assert!(vault.get::<String>(&places[0]).unwrap().is_none());
        assert!(world.blobs.dump().is_empty(), "the replaced blob is gone");
    }

    #[test]
    fn a_lost_race_leaves_no_blob_behind() {
        let world = World::new();
        let vault = world.vault("t");
        let place = Place::new("", "a");
        let write = |value: &str| {
            let mut batch = vault.batch();
            batch.create(&place, &value).unwrap();
            batch.commit()
        };
        write("first").unwrap();
        assert!(
            write(&"x".repeat(INLINE_BYTES_MAX + 1))
                .unwrap_err()
                .is_conflict()
        );
        assert!(world.blobs.dump().is_empty());
    }

    #[test]
    fn an_item_moved_to_another_place_does_not_open() {
        let world = World::new();
        let vault = world.vault("t");
        let mut batch = vault.batch();
        batch.create(&Place::new("", "a"), &"secret").unwrap();
        batch.commit().unwrap();
        let item = world.store_get("T#t", "a").unwrap();
        world.store_put("T#t", "b", &item.body);
        let moved = vault.get::<String>(&Place::new("", "b"));
        assert!(matches!(moved, Err(VaultError::Damaged(_))));
        assert!(
            !world
                .everything_stored()
                .windows(6)
                .any(|window| window == b"secret")
        );
    }
}
