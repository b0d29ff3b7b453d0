//! Tenants and their keys.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use scantrip_cloud_client::seal::PrivateKey;
use scantrip_cloud_client::wire::TenantKey;
use zeroize::Zeroizing;

use super::global;
use super::record::Tenant;
use crate::keys::KeysError;
use crate::ports::{Ports, hex};
use crate::sealed_store::{Vault, VaultError, data_key_name};

/// A tenant with its id.
#[derive(Clone, Debug)]
pub struct TenantView {
    /// Its id.
    pub id: String,
    /// What is stored.
    pub tenant: Tenant,
}

/// All tenants, in order of their ids.
///
/// # Errors
/// When they cannot be read.
pub fn list(ports: &Ports) -> Result<Vec<TenantView>, VaultError> {
    let mut found = Vec::new();
    for id in global::tenants(ports)? {
        let vault = Vault::open(ports, &id)?;
        if let Some(stored) = vault.get::<Tenant>(&Tenant::place())? {
            found.push(TenantView {
                id,
                tenant: stored.value,
            });
        }
    }
    Ok(found)
}

/// Adds a tenant with its first key pair.
///
/// # Errors
/// When it cannot be stored.
pub fn add(ports: &Ports, name: &str) -> Result<TenantView, VaultError> {
    let id = hex(&ports.random_bytes::<8>());
    // Keys first: a crash leaves keys without a tenant, which harm nobody.
    let data_key = Zeroizing::new(ports.random_bytes::<32>());
    ports.keys.create(&data_key_name(&id), &*data_key)?;
    let key = add_key(ports, &id, 1)?;
    let tenant = Tenant {
        name: name.to_owned(),
        created_at_ms: ports.clock.now_ms(),
        generation: 1,
        keys: vec![key],
    };
    let vault = Vault::open(ports, &id)?;
    let mut batch = vault.batch();
    batch.create(&Tenant::place(), &tenant)?;
    batch.global(global::create(global::tenant_key(&id), &(), None));
    batch.commit()?;
    Ok(TenantView { id, tenant })
}

/// The tenant's private key whose public half has this id; `None` when there is none.
///
/// # Errors
/// When the keys cannot be read.
pub fn private_key(
    ports: &Ports,
    tenant: &str,
    key_id: &[u8; 32],
) -> Result<Option<PrivateKey>, KeysError> {
    for name in ports.keys.names(&format!("tenant.{tenant}.seal."))? {
        let secret = ports.keys.secret(&name)?;
        let key = PrivateKey::from_bytes(&secret).map_err(|_cause| KeysError::NotOurs(name))?;
        if key.public().key_id() == *key_id {
            return Ok(Some(key));
        }
    }
    Ok(None)
}

fn add_key(ports: &Ports, tenant: &str, generation: u64) -> Result<TenantKey, KeysError> {
    let key = PrivateKey::generate(&mut |out| ports.random.fill(out));
    let name = format!("tenant.{tenant}.seal.{generation}");
    ports.keys.create(&name, &*key.to_bytes())?;
    let public = key.public();
    Ok(TenantKey {
        generation,
        key_id: hex(&public.key_id()),
        spki: STANDARD.encode(public.spki_der()),
    })
}
