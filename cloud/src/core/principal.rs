//! Who asks: the device behind a client certificate, if it may.

use std::sync::Arc;

use scantrip_cloud_client::problem::ProblemKind;

use super::answer::{Refusal, refuse};
use super::global::{self, CertificateOwner, sha256_hex};
use super::record::{CertificateOwnerState, Device};
use super::route::Access;
use super::{Core, Peer};
use crate::keys::KeysError;
use crate::sealed_store::{Vault, VaultError};

/// A certificate may be renewed this long after its end: a printer off over the summer, or a year,
/// needs no visit.
const EXPIRED_MAX_MS: u64 = 400 * 24 * 3600 * 1000;

/// A device that has proven who it is.
#[derive(Debug)]
pub(crate) struct Principal {
    /// Device id.
    pub(crate) device: String,
    /// Its tenant's items.
    pub(crate) vault: Vault,
    /// SHA-256 of its certificate, hexadecimal.
    pub(crate) fingerprint: String,
}

impl Principal {
    /// Tenant id.
    pub(crate) fn tenant(&self) -> &str {
        self.vault.tenant()
    }
}

/// The device that asks, if `access` lets it.
pub(crate) fn require(core: &Core, peer: &Peer, access: Access) -> Result<Principal, Refusal> {
    let fingerprint = fingerprint(peer)?;
    let state = state(core, &fingerprint)?.ok_or_else(revoked)?;
    admit(core, fingerprint, &state, access)
}

/// Whose certificate it is, live or not.
pub(crate) fn owner(core: &Core, fingerprint: &str) -> Option<CertificateOwner> {
    let state = state(core, fingerprint).ok().flatten()?;
    Some(state.owner.clone())
}

fn state(core: &Core, fingerprint: &str) -> Result<Option<Arc<CertificateOwnerState>>, VaultError> {
    let (epoch, now) = (core.revision.epoch(), core.now_ms());
    if let Some((state, _)) = core.certificates.get(fingerprint, epoch, now) {
        return Ok(Some(state));
    }
    let Some(state) = look_up(core, fingerprint)?.map(Arc::new) else {
        return Ok(None);
    };
    let key = fingerprint.to_owned();
    core.certificates.put(key, Arc::clone(&state), epoch, now);
    Ok(Some(state))
}

fn fingerprint(peer: &Peer) -> Result<String, Refusal> {
    let missing = "this call needs the device's certificate: enrol first";
    let der = peer.certificate.as_ref();
    der.map(|der| sha256_hex(der))
        .ok_or_else(|| refuse(ProblemKind::CertificateRequired, missing))
}

fn look_up(core: &Core, fingerprint: &str) -> Result<Option<CertificateOwnerState>, VaultError> {
    let key = global::certificate_key(fingerprint);
    let Some((owner, _)) = global::get::<CertificateOwner>(&core.ports, &key)? else {
        return Ok(None);
    };
    let vault = match Vault::open(&core.ports, &owner.tenant) {
        Err(VaultError::Keys(KeysError::Missing(_))) => return Ok(None),
        other => other?,
    };
    let device = vault.get::<Device>(&Device::place(&owner.device))?;
    let live = device.and_then(|device| {
        let mut live = device.value.certificates.into_iter();
        live.find(|certificate| certificate.fingerprint == fingerprint)
    });
    Ok(Some(CertificateOwnerState {
        owner,
        not_after_ms: live.map(|certificate| certificate.not_after_ms),
    }))
}

fn admit(
    core: &Core,
    fingerprint: String,
    state: &CertificateOwnerState,
    access: Access,
) -> Result<Principal, Refusal> {
    let not_after = state.not_after_ms.ok_or_else(revoked)?;
    let late = core.now_ms().saturating_sub(not_after);
    let most = match access {
        Access::DeviceAlsoExpired => EXPIRED_MAX_MS,
        Access::Open | Access::Device => 0,
    };
    if late > most {
        let detail = if late > EXPIRED_MAX_MS {
            "the certificate ended more than 400 days ago: enrol the device with a new code"
        } else {
            "the certificate has ended: renew it"
        };
        return Err(refuse(ProblemKind::CertificateExpired, detail));
    }
    core.presence
        .touch(&state.owner.tenant, &state.owner.device, core.now_ms());
    Ok(Principal {
        vault: Vault::open(&core.ports, &state.owner.tenant)?,
        device: state.owner.device.clone(),
        fingerprint,
    })
}

fn revoked() -> Refusal {
    refuse(
        ProblemKind::DeviceRevoked,
        "this certificate is not valid any more: ask the operator, or enrol with a new code",
    )
}
