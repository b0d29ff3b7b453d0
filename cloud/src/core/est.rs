//! Enrolment over secure transport (RFC 7030, RFC 8951): certificates against a code, or against
//! the certificate before.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::StatusCode;
use http::header::{CONTENT_TYPE, HeaderValue};
use scantrip_cloud_client::code::EnrollmentCode;
use scantrip_cloud_client::problem::ProblemKind;
use zeroize::Zeroizing;

use super::answer::{Answer, Refusal, empty, refuse};
use super::authority::{AuthorityError, Issued, Request};
use super::global::{self, CertificateOwner};
use super::jobs::RACES_MAX;
use super::principal::Principal;
use super::record::{Certificate, Code, Device, DeviceEntry, SerialOwner, Spent};
use super::tries::Tryer;
use super::{Call, Core, cache, codes};
use crate::ports::hex;
use crate::sealed_store::{Batch, Stored, Vault, VaultError};

/// The certificate in use, and the one that is to follow it.
const LIVE_CERTIFICATES_MAX: usize = 2;
/// Longest serial number: that of the device's own identity type.
const SERIAL_BYTES_MAX: usize = 48;
/// The row that knows a certificate outlives it by twice the time in which it may be renewed, so
/// that a late device learns that it is late.
const KNOWN_AFTER_END_MS: u64 = 800 * 24 * 3600 * 1000;

/// `GET cacerts`.
pub(crate) fn ca_certificates(core: &Core) -> Answer {
    certificates(core.authority.certificate())
}

/// `POST simpleenroll`.
pub(crate) fn enroll(core: &Core, call: &Call, body: &[u8]) -> Result<Answer, Refusal> {
    let (serial, typed) = credentials(call).ok_or_else(|| {
        challenge("send the serial number and the enrolment code as HTTP Basic credentials")
    })?;
    let request = request(body)?;
    let tryer = Tryer::new(core, &call.address.to_string(), &serial)?;
    tryer.check(core)?;
    let enrolled = EnrollmentCode::parse(&typed)
        .map_err(|error| challenge(error.to_string()))
        .and_then(|code| spend(core, &code, &serial, &request));
    if let Err(Refusal::Problem(_)) = &enrolled {
        tryer.count(core)?;
    }
    Ok(certificates(&enrolled?))
}

/// Spends a code for the request's key: the device's certificate, DER.
fn spend(
    core: &Core,
    code: &EnrollmentCode,
    serial: &str,
    request: &Request,
) -> Result<Vec<u8>, Refusal> {
    for _ in 0..RACES_MAX {
        let Some((vault, record)) = codes::find(core, code)? else {
            return Err(challenge(
                "this code is not known: compare it, or ask for a new one",
            ));
        };
        if record
            .value
            .serial
            .as_ref()
            .is_some_and(|only| only != serial)
        {
            return Err(challenge(
                "this code is for another device: ask for one for this device",
            ));
        }
        if let Some(spent) = &record.value.spent {
            return again(&vault, spent, request);
        }
        if core.now_ms() >= record.value.expires_at_ms {
            return Err(challenge("this code has ended: ask for a new one"));
        }
        match first(core, &vault, &record, serial, request) {
            Err(Refusal::Failed(error)) if error.is_conflict() => {}
            other => return other,
        }
    }
    Err(VaultError::Races.into())
}

/// The certificate that a spent code got, for whoever has the same key.
fn again(vault: &Vault, spent: &Spent, request: &Request) -> Result<Vec<u8>, Refusal> {
    let used = || challenge("this code was used already: ask for a new one");
    if spent.key != request.key {
        return Err(used());
    }
    let device = vault.get::<Device>(&Device::place(&spent.device))?;
    let mut live = device
        .map(|device| device.value.certificates)
        .unwrap_or_default()
        .into_iter();
    let certificate = live
        .find(|certificate| certificate.key == request.key)
        .ok_or_else(used)?;
    decode(&certificate)
}

/// The first use of a code: binds it, and makes or renews the device.
fn first(
    core: &Core,
    vault: &Vault,
    code: &Stored<Code>,
    serial: &str,
    request: &Request,
) -> Result<Vec<u8>, Refusal> {
    let place = SerialOwner::place(&global::index(&core.ports, "serial", serial.as_bytes())?);
    let owner = vault.get::<SerialOwner>(&place)?;
    let id = owner.as_ref().map_or_else(
        || hex(&core.ports.random_bytes::<10>()),
        |owner| owner.value.device.clone(),
    );
    let old = vault.get::<Device>(&Device::place(&id))?;
    let issued = issue(core, &id, request)?;

    let mut batch = vault.batch();
    let spent = Spent {
        device: id.clone(),
        key: request.key.clone(),
    };
    batch.replace(
        code,
        &Code {
            spent: Some(spent),
            ..code.value.clone()
        },
    )?;
    if owner.is_none() {
        batch.create(&place, &SerialOwner { device: id.clone() })?;
        batch.create(&DeviceEntry::place(&id), &DeviceEntry {})?;
    }
    let before = old.as_ref().map(|old| &old.value);
    let device = Device {
        serial: serial.to_owned(),
        created_at_ms: before.map_or_else(|| core.now_ms(), |device| device.created_at_ms),
        revoked: false,
        certificates: live(
            certificate(&issued, request),
            before
                .into_iter()
                .flat_map(|device| device.certificates.iter().cloned()),
        ),
    };
    batch.put_over(&Device::place(&id), old.as_ref(), &device)?;
    know(&mut batch, vault, &id, &issued);
    if old.is_some() {
        // Its certificate before may have to give way.
        cache::announce(&mut batch, &core.ports)?;
    }
    batch.commit()?;
    if old.is_some() {
        core.refresh();
    }
    Ok(issued.der)
}

/// `POST simplereenroll`.
pub(crate) fn reenroll(core: &Core, device: &Principal, body: &[u8]) -> Result<Answer, Refusal> {
    let request = request(body)?;
    if request.common_name.as_deref() != Some(&device.device) {
        let detail = "the request's subject must be that of the certificate: the device's id";
        return Err(refuse(ProblemKind::BadRequest, detail));
    }
    for _ in 0..RACES_MAX {
        let place = Device::place(&device.device);
        let stored = device
            .vault
            .get::<Device>(&place)?
            .ok_or_else(|| VaultError::Damaged(format!("device {}", device.device)))?;
        let known = &stored.value.certificates;
        // Asked again after a lost answer: the same key gets the same certificate.
        let asked_before = known.iter().find(|known| {
            known.key == request.key
                && known.fingerprint != device.fingerprint
                && known.not_after_ms > core.now_ms()
        });
        if let Some(certificate) = asked_before {
            return Ok(certificates(&decode(certificate)?));
        }
        let issued = issue(core, &device.device, &request)?;
        // The one that asks stays until its successor follows it; any other gives way.
        let asking = known
            .iter()
            .filter(|known| known.fingerprint == device.fingerprint);
        let renewed = Device {
            certificates: live(certificate(&issued, &request), asking.cloned()),
            ..stored.value.clone()
        };
        let mut batch = device.vault.batch();
        batch.replace(&stored, &renewed)?;
        know(&mut batch, &device.vault, &device.device, &issued);
        match batch.commit() {
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
            Ok(()) => {
                core.refresh();
                return Ok(certificates(&issued.der));
            }
        }
    }
    Err(VaultError::Races.into())
}

fn issue(core: &Core, device: &str, request: &Request) -> Result<Issued, Refusal> {
    let lifetime = core.settings.certificate_lifetime_ms;
    let issued = core
        .authority
        .issue_device(&core.ports, device, request, lifetime);
    issued.map_err(|error| match error {
        AuthorityError::Keys(error) => error.into(),
        other => VaultError::Damaged(other.to_string()).into(),
    })
}

fn certificate(issued: &Issued, request: &Request) -> Certificate {
    Certificate {
        fingerprint: issued.fingerprint.clone(),
        key: request.key.clone(),
        not_before_ms: issued.not_before_ms,
        not_after_ms: issued.not_after_ms,
        der: STANDARD.encode(&issued.der),
    }
}

fn live(newest: Certificate, others: impl Iterator<Item = Certificate>) -> Vec<Certificate> {
    std::iter::once(newest)
        .chain(others)
        .take(LIVE_CERTIFICATES_MAX)
        .collect()
}

/// Makes a certificate findable by its fingerprint.
fn know(batch: &mut Batch<'_>, vault: &Vault, device: &str, issued: &Issued) {
    let owner = CertificateOwner {
        tenant: vault.tenant().to_owned(),
        device: device.to_owned(),
    };
    let key = global::certificate_key(&issued.fingerprint);
    let forgotten = issued.not_after_ms + KNOWN_AFTER_END_MS;
    batch.global(global::create(key, &owner, Some(forgotten)));
}

fn decode(certificate: &Certificate) -> Result<Vec<u8>, Refusal> {
    let damaged = |_| VaultError::Damaged(format!("certificate {}", certificate.fingerprint));
    Ok(STANDARD.decode(&certificate.der).map_err(damaged)?)
}

/// Serial number and code out of HTTP Basic (RFC 7617).
fn credentials(call: &Call) -> Option<(String, Zeroizing<String>)> {
    let (scheme, value) = call.header("authorization")?.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = Zeroizing::new(STANDARD.decode(value.trim()).ok()?);
    let text = std::str::from_utf8(&decoded).ok()?;
    let (serial, code) = text.split_once(':')?;
    let fits = !serial.is_empty()
        && serial.len() <= SERIAL_BYTES_MAX
        && !serial.chars().any(char::is_control);
    fits.then(|| (serial.to_owned(), Zeroizing::new(code.to_owned())))
}

/// The signing request of a body: base64 with or without line breaks (RFC 8951).
fn request(body: &[u8]) -> Result<Request, Refusal> {
    let text: Vec<u8> = body
        .iter()
        .copied()
        .filter(|byte| !byte.is_ascii_whitespace())
        .collect();
    let bad = |detail: String| refuse(ProblemKind::BadRequest, detail);
    let der = STANDARD
        .decode(text)
        .map_err(|_cause| bad("the body must be a certificate request in base64".to_owned()))?;
    Request::parse(&der).map_err(|error| bad(error.to_string()))
}

fn challenge(detail: impl Into<String>) -> Refusal {
    refuse(ProblemKind::CodeRefused, detail).header(
        "www-authenticate",
        HeaderValue::from_static("Basic realm=\"enrolment\", charset=\"UTF-8\""),
    )
}

/// A certs-only answer with one certificate.
fn certificates(der: &[u8]) -> Answer {
    let mut answer = empty(StatusCode::OK);
    *answer.body_mut() = STANDARD.encode(certs_only(der)).into_bytes();
    let headers = answer.headers_mut();
    let media_type = HeaderValue::from_static("application/pkcs7-mime; smime-type=certs-only");
    headers.insert(CONTENT_TYPE, media_type);
    headers.insert(
        "content-transfer-encoding",
        HeaderValue::from_static("base64"),
    );
    answer
}

/// A degenerate PKCS #7 SignedData (RFC 2315, section 9.1) that only carries a certificate.
fn certs_only(certificate: &[u8]) -> Vec<u8> {
    const SIGNED_DATA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 2];
    const DATA: [u8; 11] = [6, 9, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 7, 1];
    const VERSION_1: [u8; 3] = [2, 1, 1];
    const EMPTY_SET: [u8; 2] = [0x31, 0];
    const SEQUENCE: u8 = 0x30;
    const CONTEXT_0: u8 = 0xa0;
    let signed_data = [
        &VERSION_1[..],
        &EMPTY_SET,
        &element(SEQUENCE, &DATA),
        &element(CONTEXT_0, certificate),
        &EMPTY_SET,
    ]
    .concat();
    let content = element(CONTEXT_0, &element(SEQUENCE, &signed_data));
    element(SEQUENCE, &[&SIGNED_DATA[..], &content].concat())
}

/// One DER element (X.690, 8.1).
fn element(tag: u8, content: &[u8]) -> Vec<u8> {
    let length = content.len().to_be_bytes();
    let digits = length.iter().copied().skip_while(|digit| *digit == 0);
    let mut out = vec![tag];
    if let (short @ ..0x80, 0) = (content.len() as u8, content.len() >> 7) {
        out.push(short);
    } else {
        out.push(0x80 | digits.clone().count() as u8);
        out.extend(digits);
    }
    out.extend_from_slice(content);
    out
}
