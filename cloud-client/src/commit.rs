//! Commits a job, or discards it for good.

use std::io;

use embedded_svc::http::client::{Connection, Method};

use crate::http::call;
use crate::problem::{CallError, Disposition};
use crate::wire::SignedReceipt;

/// Largest signed receipt.
const RECEIPT_BYTES_MAX: usize = 64 * 1024;

/// Commits the job with the envelope that `write` writes, exactly `envelope_len` bytes. Repeating
/// it gets the same receipt. The receipt is not verified here.
///
/// # Errors
/// When the call fails, objects are missing or the job was discarded.
pub fn put<C: Connection>(
    conn: &mut C,
    job: &str,
    envelope_len: u64,
    write: &mut dyn FnMut(&mut dyn io::Write) -> io::Result<()>,
) -> Result<SignedReceipt, CallError> {
    let headers = [("Content-Type", call::JSON_TYPE)];
    call::send_with(conn, Method::Put, &path(job), &headers, envelope_len, write)?;
    call::expect(conn, &[200, 201], call::JSON_TYPE)?;
    call::json(conn, RECEIPT_BYTES_MAX)
}

/// What became of a job that was to be discarded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Discarded {
    /// It will never arrive.
    Discarded,
    /// It was too late: the cloud has taken the job, here is its receipt.
    AlreadyCommitted(Box<SignedReceipt>),
}

/// Discards the job; its id is dead for good. Repeating it is harmless.
///
/// # Errors
/// When the call fails.
pub fn discard<C: Connection>(conn: &mut C, job: &str) -> Result<Discarded, CallError> {
    call::send(conn, Method::Delete, &path(job), &[], None)?;
    let Err(error) = call::expect(conn, &[204], "") else {
        return Ok(Discarded::Discarded);
    };
    match error.disposition() {
        Disposition::TooLate(Some(receipt)) => Ok(Discarded::AlreadyCommitted(receipt)),
        _ => Err(error),
    }
}

fn path(job: &str) -> String {
    format!("/v1/device/jobs/{job}")
}
