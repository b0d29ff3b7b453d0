//! What the local API answers, over any embedded-svc connection.

use std::sync::Arc;
use std::time::Duration;

use embedded_svc::http::Method;
use embedded_svc::http::server::{Connection, Handler};
use scantrip_cloud_client::code::EnrollmentCode;
use serde::Serialize;
use zeroize::Zeroizing;

use crate::api::{Refusal, RefusalKind, Reply, Request, Service};

/// Largest body of a request: the order of 10,000 pages, twice over.
pub const BODY_BYTES_MAX: u64 = 256 * 1024;
/// Largest enrolment code with dashes, spaces and a line break.
const CODE_BYTES_MAX: u64 = 128;
/// Longest wait for events, so that a stopping agent does not wait long for its connections.
pub(super) const WAIT_MAX: Duration = Duration::from_secs(20);

/// The routes of the local API over a [`Service`].
#[derive(Clone)]
pub struct Routes {
    service: Arc<dyn Service>,
}

/// An answer in full.
struct Answer {
    status: u16,
    body: Vec<u8>,
}

impl Routes {
    /// Routes that ask `service`.
    pub fn new(service: Arc<dyn Service>) -> Self {
        Self { service }
    }

    fn answer<C: Connection>(&self, connection: &mut C) -> Result<Answer, C::Error> {
        let method = connection.method();
        let uri = connection.uri().to_owned();
        let (path, query) = uri.split_once('?').unwrap_or((&uri, ""));
        let answer = match (method, path) {
            (Method::Post, "/v1/requests") => match read_body(connection, BODY_BYTES_MAX)? {
                Ok(body) => Answer::of(&self.request(&body)),
                Err(too_large) => too_large,
            },
            (Method::Post, "/v1/enroll") => match read_body(connection, CODE_BYTES_MAX)? {
                Ok(body) => Answer::of(&self.enroll(&body)),
                Err(too_large) => too_large,
            },
            (_, "/v1/requests" | "/v1/enroll") => Answer::status(405, "use POST here"),
            (Method::Get, _) => match job_of(path) {
                Some(job) => Answer::of(&self.events(job, query)),
                None => Answer::status(404, "there is no such address"),
            },
            _ => Answer::status(404, "there is no such address"),
        };
        Ok(answer)
    }

    fn request(&self, body: &[u8]) -> Result<Reply, Refusal> {
        let request: Request = serde_json::from_slice(body)
            .map_err(|error| invalid(format!("this is no request of this version: {error}")))?;
        self.service.call(request)
    }

    fn enroll(&self, body: &[u8]) -> Result<Reply, Refusal> {
        let text = str::from_utf8(body)
            .ok()
            .ok_or_else(|| invalid("the enrolment code is no text".to_owned()))?;
        let code =
            EnrollmentCode::parse(text.trim()).map_err(|error| invalid(error.to_string()))?;
        self.service.enroll(code).map(Reply::Enrolled)
    }

    fn events(&self, job: &str, query: &str) -> Result<Vec<crate::api::JobEvent>, Refusal> {
        let mut from = 0;
        let mut wait = Duration::ZERO;
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let wrong = || invalid(format!("{pair:?} is no number for from, wait or wait_ms"));
            let (name, value) = pair.split_once('=').ok_or_else(wrong)?;
            let number: u32 = value.parse().ok().ok_or_else(wrong)?;
            match name {
                "from" => from = number as usize,
                "wait" => wait = Duration::from_secs(number.into()),
                "wait_ms" => wait = Duration::from_millis(number.into()),
                _ => return Err(wrong()),
            }
        }
        self.service.events(job, from, wait.min(WAIT_MAX))
    }
}

impl<C: Connection> Handler<C> for Routes {
    type Error = C::Error;

    fn handle(&self, connection: &mut C) -> Result<(), C::Error> {
        let answer = self.answer(connection)?;
        let len = answer.body.len().to_string();
        let headers = [
            ("Content-Type", "application/json"),
            ("Content-Length", len.as_str()),
            ("Cache-Control", "no-store"),
        ];
        connection.initiate_response(answer.status, None, &headers)?;
        connection.write_all(&answer.body)?;
        connection.flush()
    }
}

impl Answer {
    fn of<T: Serialize>(result: &Result<T, Refusal>) -> Self {
        match result {
            Ok(value) => Self::json(200, value),
            Err(refusal) => Self::json(status_of(refusal.kind), refusal),
        }
    }

    fn status(status: u16, message: &str) -> Self {
        Self::json(status, &invalid(message.to_owned()))
    }

    fn json<T: Serialize>(status: u16, value: &T) -> Self {
        match serde_json::to_vec(value) {
            Ok(body) => Self { status, body },
            Err(error) => {
                log::error!("local request: the answer cannot be written: {error}");
                Self {
                    status: 500,
                    body: Vec::new(),
                }
            }
        }
    }
}

/// `Err` is the answer to a body that is too large.
fn read_body<C: Connection>(
    connection: &mut C,
    max: u64,
) -> Result<Result<Zeroizing<Vec<u8>>, Answer>, C::Error> {
    let len = connection.content_len().unwrap_or(0);
    let Some(len) = usize::try_from(len).ok().filter(|_| len <= max) else {
        return Ok(Err(Answer::status(413, "this request is too large")));
    };
    let mut body = Zeroizing::new(vec![0; len]);
    let mut filled = 0;
    while let Some(room) = body.get_mut(filled..).filter(|room| !room.is_empty()) {
        match connection.read(room)? {
            0 => break,
            read => filled += read,
        }
    }
    body.truncate(filled);
    Ok(Ok(body))
}

/// The job id in `/v1/jobs/{id}/events`.
fn job_of(path: &str) -> Option<&str> {
    let job = path.strip_prefix("/v1/jobs/")?.strip_suffix("/events")?;
    (!job.is_empty() && !job.contains('/')).then_some(job)
}

const fn invalid(message: String) -> Refusal {
    Refusal {
        kind: RefusalKind::Invalid,
        message,
    }
}

const fn status_of(kind: RefusalKind) -> u16 {
    match kind {
        RefusalKind::Invalid => 400,
        RefusalKind::Refused | RefusalKind::Posture => 403,
        RefusalKind::NotEnrolled | RefusalKind::Busy | RefusalKind::Scanner => 409,
        RefusalKind::Unreachable => 503,
        RefusalKind::Full => 507,
        RefusalKind::Internal => 500,
    }
}

#[cfg(test)]
mod tests;
