//! Telemetry: the newest report of a device and its newest settings.

use http::StatusCode;
use scantrip_cloud_client::problem::ProblemKind;
use scantrip_cloud_client::wire::Report;

use super::answer::{Answer, Refusal, empty, refuse};
use super::jobs::RACES_MAX;
use super::principal::Principal;
use super::record::Telemetry;
use crate::sealed_store::VaultError;

/// `POST /v1/device/reports`. A sequence that was seen before is ignored.
pub(crate) fn take(device: &Principal, body: &[u8]) -> Result<Answer, Refusal> {
    let report: Report = serde_json::from_slice(body).map_err(|error| {
        refuse(
            ProblemKind::BadRequest,
            format!("the report cannot be read: {error}"),
        )
    })?;
    let place = Telemetry::place(&device.device);
    for _ in 0..RACES_MAX {
        let old = device.vault.get::<Telemetry>(&place)?;
        let seen = old.as_ref().map(|old| old.value.report.sequence);
        if seen.is_some_and(|seen| seen >= report.sequence) {
            return Ok(empty(StatusCode::NO_CONTENT));
        }
        let mut report = report.clone();
        let settings = report
            .settings
            .take()
            .map(|settings| (report.sequence, settings));
        let telemetry = Telemetry {
            settings: settings.or_else(|| old.as_ref().and_then(|old| old.value.settings.clone())),
            received_at_ms: device.vault.ports().clock.now_ms(),
            report,
        };
        let mut batch = device.vault.batch();
        batch.put_over(&place, old.as_ref(), &telemetry)?;
        match batch.commit() {
            Ok(()) => return Ok(empty(StatusCode::NO_CONTENT)),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error.into()),
        }
    }
    Err(VaultError::Races.into())
}
