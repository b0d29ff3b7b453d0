//! What a device shall be, and the open list of front doors.

use std::sync::Arc;

use http::StatusCode;
use http::header::{CACHE_CONTROL, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use scantrip_cloud_client::desired::WAIT_SECONDS_MAX;
use scantrip_cloud_client::wire::{Desired, EntryPoints};

use super::answer::{Answer, Refusal, empty, json};
use super::principal::Principal;
use super::record::Tenant;
use super::{Caller, Core, workflows};
use crate::sealed_store::VaultError;

/// Mark on a 304 whose asker is content to wait: the listener asks again until something changed
/// or the time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hold {
    /// How long at most.
    pub seconds: u32,
}

/// What is the same for all devices of a tenant.
#[derive(Debug)]
pub(crate) struct TenantView {
    desired: Desired,
    etag: HeaderValue,
}

/// `GET /v1/entry-points`.
pub(crate) fn entry_points(core: &Core) -> Answer {
    let doors = EntryPoints {
        entry_points: core.settings.entry_points.clone(),
    };
    json(StatusCode::OK, &doors)
}

/// `GET /v1/device/desired`.
pub(crate) fn get(core: &Core, device: &Principal, head: &HeaderMap) -> Result<Answer, Refusal> {
    let (epoch, now) = (core.revision.epoch(), core.now_ms());
    let view = match core.desired.get(device.tenant(), epoch, now) {
        Some((view, _)) => view,
        None => {
            let view = Arc::new(view(core, device)?);
            let tenant = device.tenant().to_owned();
            core.desired.put(tenant, Arc::clone(&view), epoch, now);
            view
        }
    };
    Ok(answer(&view, &device.device, head))
}

/// As [`get`] out of memory alone, for a device whose certificate is live.
pub(crate) fn cached(core: &Core, caller: &Caller, head: &HeaderMap) -> Option<Answer> {
    let now = core.now_ms();
    let seen = caller.seen(core, now)?;
    let live = seen.state.not_after_ms.is_some_and(|end| now <= end);
    if live {
        caller.touch(core, &seen.state.owner, now);
    }
    live.then(|| answer(&seen.view, &seen.state.owner.device, head))
}

fn view(core: &Core, device: &Principal) -> Result<TenantView, VaultError> {
    let missing = || VaultError::Damaged(format!("tenant {}", device.tenant()));
    let tenant = device
        .vault
        .get::<Tenant>(&Tenant::place())?
        .ok_or_else(missing)?
        .value;
    let policy = workflows::policy(&device.vault)?;
    let workflows = workflows::list(&device.vault)?;
    let etag = format!("\"{}\"", tenant.generation);
    Ok(TenantView {
        etag: HeaderValue::from_str(&etag).expect("digits in quotes are a header value"),
        desired: Desired {
            generation: tenant.generation,
            tenant: device.tenant().to_owned(),
            tenant_name: tenant.name,
            device: String::new(),
            poll_interval_seconds: core.settings.poll_interval_seconds,
            keys: tenant.keys,
            workflows: workflows
                .into_iter()
                .map(|workflow| workflow.wire)
                .collect(),
            policy: policy.map(|policy| policy.wire),
        },
    })
}

fn answer(view: &TenantView, device: &str, head: &HeaderMap) -> Answer {
    let known = head
        .get_all(IF_NONE_MATCH)
        .iter()
        .any(|tags| names(tags, &view.etag));
    let mut answer = if known {
        let mut answer = empty(StatusCode::NOT_MODIFIED);
        if let Some(seconds) = wait_seconds(head) {
            answer.extensions_mut().insert(Hold { seconds });
        }
        answer
    } else {
        let desired = Desired {
            device: device.to_owned(),
            ..view.desired.clone()
        };
        json(StatusCode::OK, &desired)
    };
    let headers = answer.headers_mut();
    headers.insert(ETAG, view.etag.clone());
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    answer
}

/// Whether a list of entity tags (RFC 9110, 13.1.2) names `etag`.
fn names(tags: &HeaderValue, etag: &HeaderValue) -> bool {
    let Ok(tags) = tags.to_str() else {
        return false;
    };
    tags.split(',').map(str::trim).any(|tag| {
        tag == "*" || tag.strip_prefix("W/").unwrap_or(tag).as_bytes() == etag.as_bytes()
    })
}

/// `Prefer: wait=N` (RFC 7240).
fn wait_seconds(head: &HeaderMap) -> Option<u32> {
    let preferences = head
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let seconds: u32 = preferences
        .flat_map(|value| value.split([',', ';']))
        .filter_map(|one| one.trim().strip_prefix("wait="))
        .find_map(|seconds| seconds.trim_matches('"').parse().ok())?;
    (seconds > 0).then(|| seconds.min(WAIT_SECONDS_MAX))
}
