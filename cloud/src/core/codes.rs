//! Enrolment codes: made for an operator, found and spent by a device.

use scantrip_cloud_client::code::EnrollmentCode;
use zeroize::Zeroizing;

use super::Core;
use super::global::{self, CodeOwner};
use super::record::Code;
use crate::keys::KeysError;
use crate::ports::Ports;
use crate::sealed_store::{Stored, Vault, VaultError};

/// A spent code is remembered as long as the longest certificate may be asked for again.
const REMEMBERED_MS: u64 = 500 * 24 * 3600 * 1000;

/// Makes a code of the vault's tenant, for one serial number or any. It is shown once and kept
/// only as an HMAC.
pub(crate) fn create(
    core: &Core,
    vault: &Vault,
    serial: Option<&str>,
) -> Result<(Zeroizing<String>, u64), VaultError> {
    let ports = &core.ports;
    let code = EnrollmentCode::generate(&mut |out| ports.random.fill(out));
    let hash = hash(ports, &code)?;
    let expires_at_ms = core.now_ms() + core.settings.code_lifetime_ms;
    let record = Code {
        serial: serial.map(str::to_owned),
        expires_at_ms,
        spent: None,
    };
    let owner = CodeOwner {
        tenant: vault.tenant().to_owned(),
    };
    let forgotten = expires_at_ms + REMEMBERED_MS;
    let mut batch = vault.batch();
    batch.create_expiring(&Code::place(&hash), &record, forgotten)?;
    batch.global(global::create(
        global::code_key(&hash),
        &owner,
        Some(forgotten),
    ));
    batch.commit()?;
    Ok((code.format(), expires_at_ms))
}

/// Finds a code with its tenant's items.
pub(crate) fn find(
    core: &Core,
    code: &EnrollmentCode,
) -> Result<Option<(Vault, Stored<Code>)>, VaultError> {
    let hash = hash(&core.ports, code)?;
    let Some((owner, _)) = global::get::<CodeOwner>(&core.ports, &global::code_key(&hash))? else {
        return Ok(None);
    };
    let vault = match Vault::open(&core.ports, &owner.tenant) {
        Err(VaultError::Keys(KeysError::Missing(_))) => return Ok(None),
        other => other?,
    };
    let record = vault.get::<Code>(&Code::place(&hash))?;
    Ok(record.map(|record| (vault, record)))
}

fn hash(ports: &Ports, code: &EnrollmentCode) -> Result<String, KeysError> {
    global::index(ports, "code", code.as_bytes())
}
