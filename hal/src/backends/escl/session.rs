//! Carries out a job's requests, one after the other. A new job and each page go over a connection
//! of their own: the port may send a small request again on one that turns out to be dead, and a
//! sheet would be fed for each.

use std::time::Duration;

use super::capabilities::Capabilities;
use super::image::Look;
use super::job::{Answer, Ask};
use super::quirks::Quirks;
use super::status::{Status, bare_path, path_of};
use super::url::DeviceUrl;
use super::xml::DOCUMENT_BYTES_MAX;
use crate::scanner::{PageSink, SinkRefused, StopFlag};
use crate::web::{Exchange, Method, Patience, Pin, Ports, WebError, WebErrorKind};

/// The largest page: with its seal it is what the cloud's runner takes (256 MiB).
pub(crate) const PAGE_BYTES_MAX: u64 = 255 * 1024 * 1024;
/// Bytes taken and given at once.
const PIECE_BYTES: usize = 32 * 1024;

/// What a page is asked for at, below its job.
const NEXT_DOCUMENT: &str = "/NextDocument";

/// Characters that are kept of where a page says to be.
const PLACE_MAX: usize = 500;

/// For anything but a page.
const SHORT: Patience = Patience {
    connect: Duration::from_secs(5),
    stall: Duration::from_secs(15),
    total: Duration::from_secs(20),
};
/// For a new job: a device may answer only when it is warm (go-mfp: once it has begun to scan), and
/// one that is not waited for would scan for nobody.
const CREATE: Patience = Patience {
    stall: Duration::from_secs(60),
    total: Duration::from_secs(60),
    ..SHORT
};
/// For a page: a flatbed at 600 dpi is slow to begin.
const LONG: Patience = Patience {
    connect: Duration::from_secs(5),
    stall: Duration::from_secs(120),
    total: Duration::from_secs(1800),
};

/// What is asked, and how long the answer may take.
struct Query<'a> {
    method: Method,
    path: &'a str,
    body: &'a [u8],
    patience: Patience,
    /// Gives it up when raised.
    stop: Option<StopFlag>,
}

impl<'a> Query<'a> {
    /// Without a body, and not for a page.
    const fn short(method: Method, path: &'a str) -> Self {
        Self {
            method,
            path,
            body: &[],
            patience: SHORT,
            stop: None,
        }
    }
}

/// A device and how to talk to it.
pub(crate) struct Session {
    ports: Ports,
    url: DeviceUrl,
    pin: Pin,
    pub(crate) quirks: Quirks,
    /// The `Server` header of the last answer.
    pub(crate) server: String,
    /// What the page that was asked for last says to be (`Content-Location`).
    pub(crate) place: Option<String>,
    /// The connection, while it is at rest.
    kept: Option<Box<dyn Exchange>>,
    /// Whether anything of what is asked now may have left.
    sent: bool,
}

impl Session {
    pub(crate) fn new(ports: Ports, url: DeviceUrl, pin: Pin) -> Self {
        Self {
            ports,
            url,
            pin,
            quirks: Quirks::default(),
            server: String::new(),
            place: None,
            kept: None,
            sent: false,
        }
    }

    /// Where the device is; changes when it sends us to TLS.
    pub(crate) const fn url(&self) -> &DeviceUrl {
        &self.url
    }

    /// Its certificate, once one was seen.
    pub(crate) fn fingerprint(&self) -> Option<[u8; 32]> {
        self.pin.get().copied()
    }

    /// Asks what the device can do.
    pub(crate) fn capabilities(&mut self) -> Result<Capabilities, WebError> {
        let mut tries = 0;
        loop {
            let path = self.url.path("ScannerCapabilities");
            let mut exchange = self.ask(&Query::short(Method::Get, &path))?;
            match exchange.code() {
                200 => {
                    let body = read_all(&mut *exchange)?;
                    let page = exchange.field("Content-Type").unwrap_or_default();
                    let for_people = page.contains("html");
                    self.kept = Some(exchange);
                    return Capabilities::parse(&body).map_err(|error| match for_people {
                        true => protocol(NO_ESCL.to_owned()),
                        false => protocol(format!("its capabilities cannot be read: {error}")),
                    });
                }
                503 if tries < 3 => (self.ports.sleep)(Duration::from_secs(1)),
                401 | 403 => return Err(protocol("it asks for a password to scan".to_owned())),
                404 if self.url.is_usual_root() => {
                    // The service of some programs has no folder of its own.
                    self.url = self.url.at_top();
                    continue;
                }
                404 => return Err(protocol(NO_ESCL.to_owned())),
                code @ 300..=399 => return Err(protocol(elsewhere(&*exchange, code))),
                code => return Err(protocol(format!("its capabilities answer HTTP {code}"))),
            }
            tries += 1;
        }
    }

    /// Asks what the device is doing.
    pub(crate) fn status(&mut self) -> Result<Status, WebError> {
        match self.try_out(&Ask::Status, &mut NoSink(None), None)? {
            Answer::Status(status) => Ok(status),
            Answer::Code(code, _) => Err(protocol(format!("its status answers HTTP {code}"))),
            Answer::NoPage(why, _) => Err(protocol(format!("its status cannot be read: {why}"))),
            _ => Err(protocol("its status cannot be read".to_owned())),
        }
    }

    /// Carries out a job's request; a page goes into `sink`. `stop` gives up what only asks.
    pub(crate) fn carry_out(
        &mut self,
        ask: &Ask,
        sink: &mut dyn PageSink,
        stop: Option<&StopFlag>,
    ) -> Answer {
        self.sent = false;
        let tried = self.try_out(ask, sink, stop);
        tried.unwrap_or_else(|error| match ask {
            Ask::Next(_) if !self.sent => Answer::Unsent(error.message),
            _ => Answer::Failed(error.message),
        })
    }

    fn try_out(
        &mut self,
        ask: &Ask,
        sink: &mut dyn PageSink,
        stop: Option<&StopFlag>,
    ) -> Result<Answer, WebError> {
        match ask {
            Ask::Status => {
                let path = self.url.path("ScannerStatus");
                let mut exchange = self.ask(&Query {
                    stop: stop.cloned(),
                    ..Query::short(Method::Get, &path)
                })?;
                if exchange.code() != 200 {
                    return Ok(self.code(exchange));
                }
                let body = match read_all(&mut *exchange) {
                    // It has answered, and not in a way that can be read.
                    Err(error) if error.kind == WebErrorKind::Protocol => {
                        return Ok(Answer::NoPage(error.message, false));
                    }
                    body => body?,
                };
                self.kept = Some(exchange);
                Ok(match Status::parse(&body) {
                    Ok(status) => Answer::Status(status),
                    Err(error) => Answer::NoPage(error.to_string(), false),
                })
            }
            Ask::Create(ticket) => {
                let path = self.url.path("ScanJobs");
                let exchange = self.ask(&Query {
                    body: ticket.as_bytes(),
                    patience: CREATE,
                    ..Query::short(Method::Post, &path)
                })?;
                let location = exchange.field("Location").map(|it| self.url.job_path(it));
                Ok(match (exchange.code(), location) {
                    (200..=202, Some(Some(path))) => Answer::Created(path),
                    (200..=202, _) => Answer::NoPage("its answer names no job".to_owned(), false),
                    _ => self.code(exchange),
                })
            }
            Ask::Next(job) => {
                let start = self.ports.clock.boot();
                let path = below(job, NEXT_DOCUMENT);
                let mut exchange = self.ask(&Query {
                    patience: LONG,
                    stop: stop.cloned(),
                    ..Query::short(Method::Get, &path)
                })?;
                if exchange.code() != 200 {
                    return Ok(self.code(exchange));
                }
                self.place = exchange
                    .field("Content-Location")
                    .map(|it| path_of(it).chars().take(PLACE_MAX).collect());
                Ok(match page(&mut *exchange, sink) {
                    Answer::Page(facts, _) => {
                        self.kept = Some(exchange);
                        Answer::Page(facts, self.ports.clock.boot().since(start))
                    }
                    answer => answer,
                })
            }
            Ask::Delete(job) => {
                let exchange = self.ask(&Query::short(Method::Delete, job))?;
                Ok(self.code(exchange))
            }
        }
    }

    /// One request; followed once from plain HTTP to TLS on the same host.
    fn ask(&mut self, query: &Query<'_>) -> Result<Box<dyn Exchange>, WebError> {
        let exchange = self.ask_once(query)?;
        let moved = matches!(exchange.code(), 301 | 302 | 307 | 308);
        let secure = exchange
            .field("Location")
            .filter(|_| moved)
            .and_then(|location| self.url.with_tls(location));
        match secure {
            Some(url) => {
                log::info!("escl: {} leads to {url}", self.url);
                self.url = url;
                self.ask_once(query)
            }
            None => Ok(exchange),
        }
    }

    fn ask_once(&mut self, query: &Query<'_>) -> Result<Box<dyn Exchange>, WebError> {
        let feeds = query.method == Method::Post || bare_path(query.path).ends_with(NEXT_DOCUMENT);
        let kept = self.kept.take().filter(|_| !feeds);
        let mut exchange = match kept {
            Some(kept) => kept,
            None => {
                let connector = &self.ports.connector;
                connector.connect(self.url.origin(), &self.pin, query.patience)?
            }
        };
        exchange.set_patience(query.patience, query.stop.clone());
        let host = self.url.host_with_port();
        let mut headers = vec![
            ("Accept", "*/*"),
            ("Accept-Encoding", "identity"),
            ("User-Agent", "scantrip"),
        ];
        if self.quirks.localhost {
            headers.push(("Host", "localhost"));
        } else if self.quirks.host_with_port || self.url.is_of_link() {
            headers.push(("Host", &host));
        }
        if !query.body.is_empty() {
            headers.push(("Content-Type", "text/xml"));
        }
        self.sent = true;
        exchange.ask(query.method, query.path, &headers, query.body)?;
        if let Some(server) = exchange.field("Server")
            && server != self.server
        {
            self.server = server.chars().take(200).collect();
        }
        Ok(exchange)
    }
}

/// Of requests without a page, with what gives them up.
pub(super) struct NoSink(pub(super) Option<StopFlag>);

impl PageSink for NoSink {
    fn write(&mut self, _bytes: &[u8]) -> Result<(), SinkRefused> {
        Err(SinkRefused)
    }

    fn stop(&self) -> Option<StopFlag> {
        self.0.clone()
    }
}

impl Session {
    /// An answer of which only the head matters.
    fn code(&mut self, exchange: Box<dyn Exchange>) -> Answer {
        let after = exchange.field("Retry-After");
        let after = after.and_then(|it| it.trim().parse().ok());
        let code = exchange.code();
        // One that does not say where it ends goes on until the device closes, which some do not.
        let ends = ["Content-Length", "Transfer-Encoding"];
        let ends = ends.iter().any(|name| exchange.field(name).is_some());
        self.kept = ends.then_some(exchange);
        Answer::Code(code, after)
    }
}

const NO_ESCL: &str =
    "no eSCL there; off by default on Canon MF743, Sharp, HP M428: turn it on at the panel";

/// Where a redirect leads that is not followed.
fn elsewhere(exchange: &dyn Exchange, code: u16) -> String {
    let location = exchange.field("Location").unwrap_or_default();
    match location.parse::<DeviceUrl>() {
        Ok(url) => format!("it leads to {url}; if that is the scanner, set `url` to it"),
        Err(_) => format!("its capabilities answer HTTP {code}"),
    }
}

/// An answer in another encoding than was asked for.
fn plain(exchange: &dyn Exchange) -> Result<(), WebError> {
    let encoding = exchange
        .field("Content-Encoding")
        .unwrap_or_default()
        .trim();
    if encoding.is_empty() || encoding.eq_ignore_ascii_case("identity") {
        return Ok(());
    }
    let name: String = encoding.chars().take(20).collect();
    Err(protocol(format!(
        "it compresses its answers unasked ({name:?}); update its firmware"
    )))
}

fn protocol(message: String) -> WebError {
    WebError {
        kind: WebErrorKind::Protocol,
        message,
    }
}

fn read_all(exchange: &mut dyn Exchange) -> Result<Vec<u8>, WebError> {
    plain(exchange)?;
    let mut body = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = exchange.take(&mut buffer)?;
        if count == 0 {
            return Ok(body);
        }
        if body.len() + count > DOCUMENT_BYTES_MAX {
            return Err(protocol("a document of more than 1 MiB".to_owned()));
        }
        body.extend_from_slice(buffer.get(..count).unwrap_or_default());
    }
}

/// Hands a page on as it comes, looking at it.
fn page(exchange: &mut dyn Exchange, sink: &mut dyn PageSink) -> Answer {
    let length = exchange.field("Content-Length");
    let length: Option<u64> = length.and_then(|it| it.trim().parse().ok());
    if length.is_some_and(|length| length > PAGE_BYTES_MAX) {
        return Answer::TooLarge;
    }
    if let Err(error) = plain(exchange) {
        return Answer::NoPage(error.message, false);
    }
    let stop = sink.stop();
    let mut look = Look::default();
    let mut buffer = vec![0; PIECE_BYTES];
    let (mut held, mut passed, mut total) = (Vec::new(), false, 0_u64);
    loop {
        let count = match exchange.take(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) => return Answer::NoPage(error.message, passed),
        };
        if stop.as_ref().is_some_and(StopFlag::is_raised) {
            return Answer::NoPage("it was stopped".to_owned(), passed);
        }
        let bytes = buffer.get(..count).unwrap_or_default();
        total = total.saturating_add(count as u64);
        if total > PAGE_BYTES_MAX {
            return Answer::TooLarge;
        }
        if let Err(error) = look.see(bytes) {
            return Answer::NoPage(error.to_string(), passed);
        }
        if !look.is_known() {
            held.extend_from_slice(bytes);
            continue;
        }
        let held = std::mem::take(&mut held);
        let whole = count.saturating_sub(look.surplus());
        let bytes = bytes.get(..whole).unwrap_or_default();
        for piece in [held.as_slice(), bytes] {
            if !piece.is_empty() && sink.write(piece).is_err() {
                return Answer::Refused;
            }
        }
        passed = true;
    }
    match look.finish() {
        Ok(facts) => Answer::Page(facts, Duration::ZERO),
        Err(error) => Answer::NoPage(error.to_string(), passed),
    }
}

/// Where something of a job is: a query of the job's address stays at the end.
fn below(job: &str, name: &str) -> String {
    let path = bare_path(job);
    let query = job.get(path.len()..).unwrap_or_default();
    format!("{path}{name}{query}")
}

/// The path of a job from its `Location`, below `root`, with the query that some devices know a job
/// by; none when it has no place to be.
pub(super) fn job_path(location: &str, root: &str) -> Option<String> {
    let location = location.trim();
    let location = location.split('#').next().unwrap_or_default();
    let bare = bare_path(location);
    let query = location.get(bare.len()..).unwrap_or_default();
    let told = path_of(bare);
    let path = if let Some(rest) = told.strip_prefix("//") {
        // A host without a scheme.
        format!("/{}", rest.split_once('/')?.1)
    } else if told.starts_with('/') {
        told.to_owned()
    } else if let Some(at) = told.find("ScanJobs/") {
        format!("{root}/{}", told.get(at..)?)
    } else {
        format!("{root}/ScanJobs/{told}")
    };
    let full = format!("{path}{query}");
    let sound = full.len() < 1024 && full.bytes().all(|byte| byte.is_ascii_graphic());
    (sound && !told.is_empty() && path.len() > 1).then_some(full)
}

#[cfg(test)]
mod tests;
