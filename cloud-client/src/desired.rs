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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::ProblemKind;
    use crate::testing::service::{Service, answer, json, problem};

    fn desired() -> Desired {
        Desired {
            generation: 3,
            tenant: "t".to_owned(),
            tenant_name: "T".to_owned(),
            device: "d".to_owned(),
            poll_interval_seconds: 60,
            keys: Vec::new(),
            workflows: Vec::new(),
            policy: None,
        }
    }

    #[test]
    fn the_etag_goes_out_and_comes_back() {
        let mut conn = Service::connect(|heard| {
            assert_eq!(heard.path, "/v1/device/desired");
            match heard.header("if-none-match") {
                None => json(200, &desired())
                    .map(|text| text.replacen("X\r\n", "X\r\nETag: \"3\"\r\n", 1)),
                Some(etag) => {
                    assert_eq!((etag, heard.header("prefer")), ("\"3\"", Some("wait=60")));
                    answer(304, "", "")
                }
            }
        });
        let Polled::Changed { desired: new, etag } = poll(&mut conn, None, 0).expect("polled")
        else {
            panic!("it is new");
        };
        assert_eq!((*new, etag.as_deref()), (desired(), Some("\"3\"")));
        let again = poll(&mut conn, etag.as_deref(), 600).expect("polled");
        assert_eq!(again, Polled::Unchanged);
    }

    #[test]
    fn answers_that_make_no_sense_are_errors() {
        for (status, headers, body) in [
            (304, "", String::new()),
            (200, "Content-Type: text/html\r\n", "<html>".to_owned()),
            (200, "Content-Type: application/json\r\n", "{".to_owned()),
            (
                200,
                "Content-Type: application/json\r\n",
                " ".repeat(DESIRED_BYTES_MAX + 1),
            ),
            (302, "Location: /\r\n", String::new()),
        ] {
            let mut conn = Service::connect(move |_| answer(status, headers, &body));
            assert!(poll(&mut conn, None, 0).is_err(), "{status} {headers}");
        }
    }

    #[test]
    fn a_problem_keeps_its_kind_and_its_wait() {
        let mut conn = Service::connect(|_| {
            let busy = problem(&ProblemKind::Busy.problem("later"));
            busy.map(|text| text.replacen("X\r\n", "X\r\nRetry-After: 9\r\n", 1))
        });
        let error = poll(&mut conn, None, 0).expect_err("busy");
        assert_eq!(error.kind(), Some(ProblemKind::Busy));
        let CallError::Problem(_, after) = error else {
            panic!("a problem");
        };
        assert_eq!(after, Some(std::time::Duration::from_secs(9)));
    }
}
