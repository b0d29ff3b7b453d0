//! `GET /metrics` on an address of the operator's own: plain HTTP, apart from the devices' listener.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::{sleep, timeout};

use crate::core::{Core, metrics};

/// Monitoring asks one at a time.
const CONNECTIONS_MAX: usize = 8;
/// A connection that asks nothing for so long is closed.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// Longest life of a connection: whoever holds it shall not keep others out.
const LIFE_MAX: Duration = Duration::from_secs(600);
const HEAD_BYTES_MAX: usize = 8 * 1024;
/// The Prometheus text format.
const TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Answers until the task is ended.
pub async fn serve(core: Arc<Core>, listener: TcpListener) {
    let places = Arc::new(Semaphore::new(CONNECTIONS_MAX));
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else {
            return;
        };
        match listener.accept().await {
            Ok((stream, _)) => {
                let core = Arc::clone(&core);
                tokio::spawn(async move {
                    let _late = timeout(LIFE_MAX, connection(core, stream)).await;
                    drop(place);
                });
            }
            Err(error) => {
                log::warn!("metrics: cannot accept a connection: {error}");
                sleep(Duration::from_secs(1)).await;
            }
        }
    }
}

async fn connection(core: Arc<Core>, stream: TcpStream) {
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&core, request.method(), request.uri().path());
        async move { Ok::<_, Infallible>(answer) }
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_TIMEOUT)
        .max_buf_size(HEAD_BYTES_MAX)
        .serve_connection(TokioIo::new(stream), service)
        .await;
    if let Err(error) = served {
        log::debug!("metrics: a connection ended: {error}");
    }
}

/// What the system says of this process; none where it says nothing.
fn resident_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/statm").ok()?;
    let pages: u64 = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
    Some(pages * rustix::param::page_size() as u64)
}

fn answer(core: &Core, method: &Method, path: &str) -> Response<Full<Bytes>> {
    let (status, text) = match (method, path) {
        (&Method::GET, "/metrics") => (StatusCode::OK, metrics::text(core, resident_bytes())),
        (_, "/metrics") => (StatusCode::METHOD_NOT_ALLOWED, "use GET\n".to_owned()),
        _ => (
            StatusCode::NOT_FOUND,
            "the numbers are at /metrics\n".to_owned(),
        ),
    };
    let mut answer = Response::new(Full::new(Bytes::from(text)));
    *answer.status_mut() = status;
    let headers = answer.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(TYPE));
    answer
}
