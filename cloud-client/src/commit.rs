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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::problem::ProblemKind;
    use crate::testing::service::{Service, answer, json, problem};

    fn receipt() -> SignedReceipt {
        SignedReceipt {
            receipt: "a".to_owned(),
            signature: "b".to_owned(),
            certificate: "c".to_owned(),
        }
    }

    #[test]
    fn the_envelope_is_streamed_and_the_receipt_comes_back() {
        for status in [201, 200] {
            let mut conn = Service::connect(move |heard| {
                assert_eq!(
                    (heard.method.as_str(), heard.path.as_str()),
                    ("PUT", "/v1/device/jobs/j1")
                );
                assert_eq!(heard.body, [b'e'; 300_000]);
                json(status, &receipt())
            });
            let committed = put(&mut conn, "j1", 300_000, &mut |out| {
                (0..300).try_for_each(|_| out.write_all(&[b'e'; 1000]))
            });
            assert_eq!(committed.expect("committed"), receipt());
        }
    }

    #[test]
    fn missing_objects_are_named() {
        let mut conn = Service::connect(|_| {
            let mut missing = ProblemKind::ObjectsMissing.problem("");
            missing.missing = vec![3, 4];
            problem(&missing)
        });
        let error = put(&mut conn, "j", 1, &mut |out| out.write_all(b"e")).expect_err("missing");
        assert_eq!(error.disposition(), Disposition::Missing(vec![3, 4]));
    }

    #[test]
    fn an_envelope_of_another_length_is_not_committed() {
        let mut conn = Service::connect(|_| panic!("no whole request"));
        assert!(put(&mut conn, "j", 5, &mut |out| out.write_all(b"four")).is_err());
        assert!(put(&mut conn, "j", 3, &mut |out| out.write_all(b"four")).is_err());
    }

    #[test]
    fn discarding_ends_in_silence_or_in_a_receipt() {
        let mut conn = Service::connect(|heard| {
            assert_eq!(heard.method, "DELETE");
            answer(204, "", "")
        });
        assert_eq!(discard(&mut conn, "j").expect("gone"), Discarded::Discarded);
        let mut conn = Service::connect(|_| {
            let mut late = ProblemKind::AlreadyCommitted.problem("");
            late.receipt = Some(receipt());
            problem(&late)
        });
        let late = Discarded::AlreadyCommitted(Box::new(receipt()));
        assert_eq!(discard(&mut conn, "j").expect("too late"), late);
        let mut conn = Service::connect(|_| problem(&ProblemKind::Unavailable.problem("")));
        assert!(discard(&mut conn, "j").is_err());
    }
}
