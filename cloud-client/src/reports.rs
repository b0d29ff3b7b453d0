//! Sends telemetry.

use embedded_svc::http::client::{Connection, Method};

use crate::http::call;
use crate::problem::CallError;
use crate::wire::{REPORT_BYTES_MAX, Report};

/// Sends `report`. It may be sent again after a failure: the cloud knows it by its sequence.
///
/// # Errors
/// When the call fails, or the report is longer than the cloud takes.
pub fn send<C: Connection>(conn: &mut C, report: &Report) -> Result<(), CallError> {
    let body = serde_json::to_vec(report).map_err(call::protocol)?;
    if body.len() > REPORT_BYTES_MAX {
        return Err(call::protocol("the report is longer than 256 KiB"));
    }
    let headers = [("Content-Type", call::JSON_TYPE)];
    let path = "/v1/device/reports";
    call::send(conn, Method::Post, path, &headers, Some(&body))?;
    call::expect(conn, &[204], "")
}
