//! Whether the device is safe enough for a workflow (`requires`).

use scantrip_cloud_client::posture::requirement::{Unmet, check_all};
use scantrip_cloud_client::wire::{DeviceTime, EventKind, ReportSetting, Workflow};

use crate::api::{Refusal, RefusalKind};

/// Why a workflow does not start, for the person and for the cloud.
#[derive(Debug)]
pub(super) struct Refused {
    pub(super) refusal: Refusal,
    pub(super) event: EventKind,
}

/// Lets a workflow pass when the device meets all that it requires; without a reading it does not.
pub(super) fn check(
    workflow: &Workflow,
    readings: Option<&[ReportSetting]>,
    time: &DeviceTime,
) -> Result<(), Refused> {
    let now_ms = time
        .unix_ms
        .saturating_add_signed(time.skew_ms.unwrap_or(0));
    let met = check_all(&workflow.requires, readings.unwrap_or_default(), now_ms);
    met.map_err(|unmet| Refused {
        refusal: Refusal {
            kind: RefusalKind::Posture,
            message: format!(
                "workflow `{}` is refused: {}; the settings are changed by the administrator",
                workflow.name,
                reason(&unmet)
            ),
        },
        event: EventKind::WorkflowRefused {
            workflow: workflow.id.clone(),
            settings: unmet.into_iter().map(|unmet| unmet.id).collect(),
        },
    })
}

/// What is not as a workflow requires; a part of a sentence.
#[must_use]
pub fn reason(unmet: &[Unmet]) -> String {
    let all: Vec<&str> = unmet.iter().map(|unmet| unmet.why.as_str()).collect();
    format!("on this device {}", all.join(", and "))
}
