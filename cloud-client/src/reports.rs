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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::service::{Service, answer};
    use crate::wire::{ReportDevice, ReportHealth};

    fn report(vendor: &str) -> Report {
        Report {
            sequence: 1,
            epoch: 0,
            at_ms: 2,
            dropped: 0,
            device: ReportDevice {
                vendor: vendor.to_owned(),
                model: "m".to_owned(),
                serial: "s".to_owned(),
                firmware: "f".to_owned(),
            },
            health: ReportHealth {
                agent_version: "0".to_owned(),
                uptime_seconds: 0,
                queued_jobs: 0,
                spool_bytes: 0,
                entry_point: None,
                skew_ms: None,
                certificate_days: None,
                ..ReportHealth::default()
            },
            settings: None,
            scanner: None,
            printer: None,
            events: Vec::new(),
            events_dropped: 0,
        }
    }

    #[test]
    fn a_report_arrives_as_it_is() {
        let mut conn = Service::connect(|heard| {
            let parsed: Report = serde_json::from_slice(&heard.body).expect("a report");
            assert_eq!((parsed, heard.method.as_str()), (report("v"), "POST"));
            answer(204, "", "")
        });
        send(&mut conn, &report("v")).expect("sent");
    }

    #[test]
    fn a_report_that_the_cloud_would_refuse_is_not_sent() {
        let mut conn = Service::connect(|_| panic!("nothing is sent"));
        assert!(send(&mut conn, &report(&"v".repeat(REPORT_BYTES_MAX))).is_err());
    }
}
