//! What a device asks to catch up: outcomes of its jobs, and receipts.

use http::StatusCode;
use scantrip_cloud_client::problem::ProblemKind;
use scantrip_cloud_client::wire::{Outcome, Outcomes, Receipts, SignedReceipt};
use serde::de::DeserializeOwned;

use super::answer::{Answer, Refusal, json, refuse};
use super::principal::Principal;
use super::record::{outcomes, receipts, sequence};

/// Most entries of an answer.
const ENTRIES_MAX: usize = 100;

/// `GET /v1/device/jobs?after=SEQ`.
pub(crate) fn after(device: &Principal, query: Option<&str>) -> Result<Answer, Refusal> {
    let outcomes: Vec<Outcome> = list(device, &outcomes(&device.device), query)?;
    Ok(json(StatusCode::OK, &Outcomes { outcomes }))
}

/// `GET /v1/device/receipts?after=SEQ`.
pub(crate) fn receipts_after(device: &Principal, query: Option<&str>) -> Result<Answer, Refusal> {
    let receipts: Vec<SignedReceipt> = list(device, &receipts(&device.device), query)?;
    Ok(json(StatusCode::OK, &Receipts { receipts }))
}

fn list<T: DeserializeOwned>(
    device: &Principal,
    partition: &str,
    query: Option<&str>,
) -> Result<Vec<T>, Refusal> {
    let mut pairs = query.unwrap_or_default().split('&');
    let after: u64 = match pairs.find_map(|pair| pair.strip_prefix("after=")) {
        None => 0,
        Some(number) => number.parse().map_err(|_cause| {
            refuse(
                ProblemKind::BadRequest,
                "after= must be the number of the last known entry",
            )
        })?,
    };
    let found = device
        .vault
        .list(partition, "", &sequence(after), ENTRIES_MAX)?;
    Ok(found.into_iter().map(|stored| stored.value).collect())
}
