//! The agent in another process, reached over its socket.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use embedded_svc::http::Method;
use embedded_svc::http::Status as _;
use embedded_svc::http::client::Connection as _;
use embedded_svc::io::{Read as _, Write as _};
use scantrip_cloud_client::code::EnrollmentCode;
use scantrip_cloud_client::http::{HttpConnection, Limit, Link};
use scantrip_hal::clock::Clock;
use serde::de::DeserializeOwned;

use super::routes::WAIT_MAX;
use super::timed::Timed;
use crate::api::{EnrolledView, JobEvent, Refusal, RefusalKind, Reply, Request, Service};

/// Longest answer to a request: an enrolment with its key, two exchanges and a slow network.
const ANSWER: Duration = Duration::from_secs(300);
/// Largest answer: a thousand jobs, or the events of a job of 10,000 pages.
const ANSWER_BYTES_MAX: usize = 8 * 1024 * 1024;

/// A running agent behind its socket. Each call is a connection of its own.
#[derive(Clone)]
pub struct RemoteService {
    path: PathBuf,
    clock: Arc<dyn Clock>,
}

/// Opens the socket.
struct UnixLink {
    path: PathBuf,
    clock: Arc<dyn Clock>,
    wait: Duration,
}

impl Link for UnixLink {
    type Stream = Timed<UnixStream>;

    fn open(&mut self) -> io::Result<Timed<UnixStream>> {
        let socket = UnixStream::connect(&self.path)?;
        Ok(Timed::new(socket, Arc::clone(&self.clock)))
    }

    fn origin(&self) -> &'static str {
        "http://localhost"
    }

    fn limit(&self) -> Limit {
        Limit {
            total: self.wait,
            stall: self.wait,
        }
    }
}

impl RemoteService {
    /// The agent that serves `path`, if there is one.
    ///
    /// # Errors
    /// When there is a socket that this user may not use.
    pub fn connect(path: &Path, clock: Arc<dyn Clock>) -> io::Result<Option<Self>> {
        match UnixStream::connect(path) {
            Ok(_) => Ok(Some(Self {
                path: path.to_owned(),
                clock,
            })),
            Err(error) => match error.kind() {
                ErrorKind::NotFound | ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(error),
            },
        }
    }

    fn exchange<T: DeserializeOwned>(
        &self,
        method: Method,
        uri: &str,
        body: &[u8],
        wait: Duration,
    ) -> Result<T, Refusal> {
        let link = UnixLink {
            path: self.path.clone(),
            clock: Arc::clone(&self.clock),
            wait,
        };
        let (status, body) = exchange(link, method, uri, body).map_err(|error| {
            let message = format!(
                "the agent does not answer on {}: {error}",
                self.path.display()
            );
            refusal(RefusalKind::Unreachable, message)
        })?;
        let unclear = |error: serde_json::Error| {
            let message =
                format!("the agent answers in another version (status {status}): {error}");
            refusal(RefusalKind::Internal, message)
        };
        if status == 200 {
            serde_json::from_slice(&body).map_err(unclear)
        } else {
            Err(serde_json::from_slice(&body).unwrap_or_else(unclear))
        }
    }
}

impl Service for RemoteService {
    fn call(&self, request: Request) -> Result<Reply, Refusal> {
        let body = serde_json::to_vec(&request)
            .map_err(|error| refusal(RefusalKind::Internal, error.to_string()))?;
        self.exchange(Method::Post, "/v1/requests", &body, ANSWER)
    }

    fn enroll(&self, code: EnrollmentCode) -> Result<EnrolledView, Refusal> {
        match self.exchange(Method::Post, "/v1/enroll", code.as_bytes(), ANSWER)? {
            Reply::Enrolled(view) => Ok(view),
            _ => Err(refusal(
                RefusalKind::Internal,
                "the agent answers something else than an enrolment".to_owned(),
            )),
        }
    }

    fn events(&self, job: &str, from: usize, wait: Duration) -> Result<Vec<JobEvent>, Refusal> {
        let is_id = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        if job.is_empty() || !job.bytes().all(is_id) {
            return Err(refusal(
                RefusalKind::Invalid,
                format!("{job:?} is no job id"),
            ));
        }
        let wait = wait.min(WAIT_MAX);
        let uri = format!(
            "/v1/jobs/{job}/events?from={from}&wait_ms={}",
            wait.as_millis()
        );
        self.exchange(Method::Get, &uri, &[], wait + Duration::from_secs(30))
    }
}

fn exchange(link: UnixLink, method: Method, uri: &str, body: &[u8]) -> io::Result<(u16, Vec<u8>)> {
    let mut connection = HttpConnection::new(link);
    let len = body.len().to_string();
    let headers = [("Content-Length", len.as_str())];
    let headers = if body.is_empty() { &[][..] } else { &headers };
    connection.initiate_request(method, uri, headers)?;
    connection.write_all(body)?;
    connection.initiate_response()?;
    let status = connection.status();
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        match connection.read(&mut buffer)? {
            0 => return Ok((status, answer)),
            read => answer.extend_from_slice(buffer.get(..read).unwrap_or_default()),
        }
        if answer.len() > ANSWER_BYTES_MAX {
            return Err(io::Error::new(
                ErrorKind::InvalidData,
                "its answer is too large",
            ));
        }
    }
}

const fn refusal(kind: RefusalKind, message: String) -> Refusal {
    Refusal { kind, message }
}
