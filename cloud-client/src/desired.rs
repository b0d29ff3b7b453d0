//! Asks what the device shall be.

use embedded_svc::http::client::{Connection, Method};

use crate::http::call;
use crate::problem::CallError;
use crate::wire::{DESIRED_BYTES_MAX, Desired};

/// Longest time that the cloud holds back an answer.
pub const WAIT_SECONDS_MAX: u32 = 60;
/// Longest entity tag that is kept.
const ETAG_BYTES_MAX: usize = 256;

/// The answer to a poll.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Polled {
    /// What is known still holds.
    Unchanged,
    /// There is something new.
    Changed {
        /// What the device shall be now.
        desired: Box<Desired>,
        /// Names this state in the next poll.
        etag: Option<String>,
    },
}

/// Asks for the desired state unless it still is the one that `etag` names; the cloud may hold the
/// answer back for `wait_seconds` (at most 60) until there is a change.
///
/// # Errors
/// When the call fails or the answer is not a desired state.
pub fn poll<C: Connection>(
    conn: &mut C,
    etag: Option<&str>,
    wait_seconds: u32,
) -> Result<Polled, CallError> {
    let prefer = format!("wait={}", wait_seconds.min(WAIT_SECONDS_MAX));
    let mut headers = Vec::with_capacity(2);
    if let Some(etag) = etag {
        headers.push(("If-None-Match", etag));
    }
    if wait_seconds > 0 {
        headers.push(("Prefer", prefer.as_str()));
    }
    call::send(conn, Method::Get, "/v1/device/desired", &headers, None)?;
    if conn.status() == 304 && etag.is_some() {
        return Ok(Polled::Unchanged);
    }
    call::expect(conn, &[200], call::JSON_TYPE)?;
    let etag = conn
        .header("ETag")
        .filter(|etag| etag.len() <= ETAG_BYTES_MAX)
        .map(str::to_owned);
    let desired = Box::new(call::json(conn, DESIRED_BYTES_MAX)?);
    Ok(Polled::Changed { desired, etag })
}
