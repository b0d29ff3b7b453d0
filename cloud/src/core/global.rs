//! The few rows that lie outside every tenant. They hold ids and counts alone.

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::keys::KeysError;
use crate::ports::{Ports, hex};
use crate::sealed_store::VaultError;
use crate::store::{Change, Expect, Item, Key, Operation, Range};

/// The key under which codes, serial numbers, addresses and upload ids are looked up.
pub const INDEX_KEY: &str = "index";
const TENANTS: &str = "G#TENANT";
const ONLY: &str = "-";

/// Whose certificate it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateOwner {
    /// Tenant id.
    pub tenant: String,
    /// Device id.
    pub device: String,
}

/// Whose code it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CodeOwner {
    /// Tenant id.
    pub tenant: String,
}

/// SHA-256 in hexadecimal.
#[must_use]
pub fn sha256_hex(bytes: &[u8]) -> String {
    hex(&Sha256::digest(bytes))
}

/// HMAC-SHA-256 under the index key, in hexadecimal. `purpose` keeps the uses apart.
///
/// # Errors
/// When the index key is missing.
pub(crate) fn index(ports: &Ports, purpose: &str, text: &[u8]) -> Result<String, KeysError> {
    let key = ports.keys.secret(INDEX_KEY)?;
    let mut mac = Hmac::<Sha256>::new_from_slice(&key).expect("HMAC takes keys of every length");
    mac.update(purpose.as_bytes());
    mac.update(&[0]);
    mac.update(text);
    Ok(hex(&mac.finalize().into_bytes()))
}

/// The row of a certificate.
#[must_use]
pub fn certificate_key(fingerprint: &str) -> Key {
    Key::new(format!("G#CERT#{fingerprint}"), ONLY)
}

/// The row of a code.
#[must_use]
pub fn code_key(hash: &str) -> Key {
    Key::new(format!("G#CODE#{hash}"), ONLY)
}

/// The row that counts wrong tries.
#[must_use]
pub fn tries_key(hash: &str) -> Key {
    Key::new(format!("G#TRY#{hash}"), ONLY)
}

/// The row that makes a tenant findable.
#[must_use]
pub fn tenant_key(tenant: &str) -> Key {
    Key::new(TENANTS, tenant)
}

/// An operation that makes a global row.
pub(crate) fn create<T: Serialize>(key: Key, value: &T, expires_at_ms: Option<u64>) -> Operation {
    put(key, Expect::Absent, value, expires_at_ms)
}

/// An operation that puts a global row.
pub(crate) fn put<T: Serialize>(
    key: Key,
    expect: Expect,
    value: &T,
    expires_at_ms: Option<u64>,
) -> Operation {
    let body = serde_json::to_vec(value).expect("our values have a JSON form");
    Operation {
        key,
        expect,
        change: Change::Put {
            body,
            expires_at_ms,
        },
    }
}

/// Reads a global row.
///
/// # Errors
/// When it cannot be read.
pub fn get<T: for<'a> Deserialize<'a>>(
    ports: &Ports,
    key: &Key,
) -> Result<Option<(T, u64)>, VaultError> {
    let Some(item) = ports.store.get(key, ports.clock.now_ms())? else {
        return Ok(None);
    };
    let value = serde_json::from_slice(&item.body)
        .map_err(|_cause| VaultError::Damaged(format!("{} {}", key.partition, key.sort)))?;
    Ok(Some((value, item.version)))
}

/// The ids of all tenants.
///
/// # Errors
/// When they cannot be read.
pub fn tenants(ports: &Ports) -> Result<Vec<String>, VaultError> {
    const PAGE: usize = 1000;
    let mut found: Vec<String> = Vec::new();
    loop {
        let range = Range {
            partition: TENANTS,
            prefix: "",
            after: found.last().map_or("", String::as_str),
            limit: PAGE,
        };
        let page: Vec<Item> = ports.store.range(&range, ports.clock.now_ms())?;
        let last = page.len() < PAGE;
        found.extend(page.into_iter().map(|item| item.sort));
        if last {
            return Ok(found);
        }
    }
}
