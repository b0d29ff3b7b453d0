//! Asks what became of the device's jobs, and for receipts it has missed.

use embedded_svc::http::client::{Connection, Method};

use crate::http::call;
use crate::problem::CallError;
use crate::wire::{Outcome, Outcomes, Receipts, SignedReceipt};

/// Largest answer: 100 outcomes or receipts with their texts.
const ANSWER_BYTES_MAX: usize = 1024 * 1024;

/// The outcomes after number `seq`, in order, at most 100. Ask again while there are any.
///
/// # Errors
/// When the call fails, or the answer is not in order after `seq`.
pub fn after<C: Connection>(conn: &mut C, seq: u64) -> Result<Vec<Outcome>, CallError> {
    get(conn, &format!("/v1/device/jobs?after={seq}"))?;
    let Outcomes { outcomes } = call::json(conn, ANSWER_BYTES_MAX)?;
    let mut last = seq;
    for outcome in &outcomes {
        if outcome.seq <= last {
            return Err(call::protocol("outcomes that are not in order"));
        }
        last = outcome.seq;
    }
    Ok(outcomes)
}

/// The receipts after number `seq`, to close a gap in the chain.
///
/// # Errors
/// When the call fails or the answer is no list of receipts.
pub fn receipts_after<C: Connection>(
    conn: &mut C,
    seq: u64,
) -> Result<Vec<SignedReceipt>, CallError> {
    get(conn, &format!("/v1/device/receipts?after={seq}"))?;
    let Receipts { receipts } = call::json(conn, ANSWER_BYTES_MAX)?;
    Ok(receipts)
}

fn get<C: Connection>(conn: &mut C, path: &str) -> Result<(), CallError> {
    call::send(conn, Method::Get, path, &[], None)?;
    call::expect(conn, &[200], call::JSON_TYPE)
}
