//! The device behind the simulated scanner: paper is fed by the simulated MFP of the HAL.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use scantrip_hal::scanner::{
    AdfState, ColorMode, DocumentFormat, InputSource, MediaSize, NextPage, PageSink, ScanSettings,
    Scanner, ScannerErrorKind, ScannerState, SinkRefused,
};
use scantrip_hal::sim::{SimMfp, SimScanner};

use super::dress::{Dress, texts};
use super::http::{Answer, Break, Framing, Request};
use super::oddity::Oddity;
use super::wrap;

/// The namespaces of eSCL and PWG.
const NAMESPACES: &str = "xmlns:scan=\"http://schemas.hp.com/imaging/escl/2011/05/03\" \
    xmlns:pwg=\"http://www.pwg.org/schemas/2010/12/sm\"";
/// Of the address of a job, for [`Oddity::QueryJob`].
const QUERY: &str = "session=abc";
/// The number of the first job.
const FIRST_JOB: u32 = 7;
/// Jobs that stay in the list (as go-mfp does).
const LISTED_MAX: usize = 10;

/// The state of the device; requests are answered one after the other.
pub(crate) struct Device {
    dress: Dress,
    state: Mutex<State>,
}

struct State {
    scanner: SimScanner,
    oddities: Vec<Oddity>,
    /// Newest first; the first may be running.
    jobs: VecDeque<Job>,
    last: u32,
    /// What the feeder says until the next job has begun.
    stuck: Option<&'static str>,
    /// Connections to be closed at once: the device is starting again.
    starting: u32,
    requests: Vec<String>,
}

struct Job {
    path: String,
    state: &'static str,
    reason: &'static str,
    /// Pages scanned and pages fetched.
    scanned: u32,
    fetched: u32,
    /// Whether the stack is through.
    through: bool,
    /// The page that is not fetched yet.
    page: Option<Arc<Vec<u8>>>,
    /// How often something was said that must be said so many times before this page.
    said: u32,
    resolution_dpi: u16,
}

/// What is to be written, and what is true once it is.
pub(crate) struct Written {
    pub(crate) answer: Answer,
    pub(crate) wait: Duration,
    /// The job whose page this is, and the page.
    page_of: Option<(String, Arc<Vec<u8>>)>,
}

impl From<Answer> for Written {
    fn from(answer: Answer) -> Self {
        Self {
            answer,
            wait: Duration::ZERO,
            page_of: None,
        }
    }
}

impl Device {
    pub(crate) fn new(dress: Dress, mfp: &SimMfp, oddities: Vec<Oddity>) -> Self {
        let state = State {
            scanner: mfp.scanner(),
            oddities,
            jobs: VecDeque::new(),
            last: FIRST_JOB - 1,
            stuck: None,
            starting: 0,
            requests: Vec::new(),
        };
        Self {
            dress,
            state: Mutex::new(state),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the oddities anew.
    pub(crate) fn set(&self, oddities: Vec<Oddity>) {
        self.lock().oddities = oddities;
    }

    /// Every request so far: method and path.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.lock().requests.clone()
    }

    /// Whether the next connection is closed at once.
    pub(crate) fn is_starting(&self) -> bool {
        let mut state = self.lock();
        let starting = state.starting > 0;
        state.starting = state.starting.saturating_sub(1);
        starting
    }

    /// Whether everything leads to TLS.
    pub(crate) fn is_tls_only(&self) -> bool {
        self.lock().has(Oddity::TlsOnly)
    }

    /// Answers a request.
    pub(crate) fn answer(&self, request: &Request, origin: &str) -> Written {
        let mut state = self.lock();
        state
            .requests
            .push(format!("{} {}", request.method, request.path));
        let mut written = state.route(self.dress, request, origin);
        let answer = &mut written.answer;
        if answer.is_document() {
            if state.has(Oddity::Utf16) {
                answer.body = wrap::utf16(&answer.body);
            }
            if state.has(Oddity::Gzip) {
                answer.body = wrap::gzip(&answer.body);
                let encoding = ("Content-Encoding".to_owned(), "gzip".to_owned());
                answer.headers.push(encoding);
            }
        }
        answer
            .headers
            .push(("Server".to_owned(), self.dress.server().to_owned()));
        if state.has(Oddity::NoLength) {
            answer.framing = Framing::Close;
        } else if state.has(Oddity::Chunked) && request.path.ends_with("NextDocument") {
            answer.framing = Framing::Chunked;
        }
        written
    }

    /// The answer is being sent: its page counts as fetched, for the client may ask for the next one
    /// before this thread runs again.
    pub(crate) fn sent(&self, written: &Written) {
        let mut state = self.lock();
        if let Some((job, _)) = state.job_of(written) {
            job.page = None;
            job.fetched += 1;
            job.said = 0;
        }
    }

    /// The answer did not go out: its page is served again.
    pub(crate) fn not_sent(&self, written: &Written) {
        let mut state = self.lock();
        if let Some((job, page)) = state.job_of(written) {
            job.page = Some(page);
            job.fetched -= 1;
        }
    }
}

impl State {
    fn job_of(&mut self, written: &Written) -> Option<(&mut Job, Arc<Vec<u8>>)> {
        let (path, page) = written.page_of.as_ref()?;
        let job = self.jobs.iter_mut().find(|job| job.path == *path)?;
        Some((job, Arc::clone(page)))
    }

    fn has(&self, oddity: Oddity) -> bool {
        self.oddities.contains(&oddity)
    }

    /// Takes an oddity that happens once.
    fn once(&mut self, oddity: Oddity) -> bool {
        let at = self.oddities.iter().position(|it| *it == oddity);
        at.map(|at| self.oddities.remove(at)).is_some()
    }

    fn route(&mut self, dress: Dress, request: &Request, origin: &str) -> Written {
        let host = request.header("host").unwrap_or_default();
        let refused = (self.has(Oddity::LocalhostOnly) && host != "localhost")
            || (self.has(Oddity::HostWithPort) && !host.contains(':'))
            || self.has(Oddity::Off);
        if refused {
            return Answer::code(404).into();
        }
        let (path, query) = request.path.split_once('?').unwrap_or((&request.path, ""));
        if self.has(Oddity::QueryJob) && path.contains("ScanJobs/") && query != QUERY {
            return Answer::code(404).into();
        }
        let root = if self.has(Oddity::NoFolder) {
            "/"
        } else {
            "/eSCL/"
        };
        match (request.method.as_str(), path.strip_prefix(root)) {
            ("GET", Some("ScannerCapabilities")) if self.has(Oddity::XmlBomb) => bomb(),
            ("GET", Some("ScannerCapabilities")) => {
                let document = match self.has(Oddity::NoSerial) {
                    true => unnamed(dress.capabilities()),
                    false => dress.capabilities().to_owned(),
                };
                Answer::xml(self.prefixed(&document)).into()
            }
            ("GET", Some("ScannerStatus")) if self.has(Oddity::NoStatus) => {
                Answer::code(404).into()
            }
            ("GET", Some("ScannerStatus")) if self.has(Oddity::StatusBomb) => bomb(),
            ("GET", Some("ScannerStatus")) => {
                let status = self.status();
                Answer::xml(self.prefixed(&status)).into()
            }
            ("POST", Some("ScanJobs")) => Written {
                wait: self.wait(|it| match it {
                    Oddity::SlowCreated(ms) => Some(*ms),
                    _ => None,
                }),
                ..self.create(dress, request, origin)
            },
            ("GET", Some(rest)) if rest.ends_with("/NextDocument") => {
                self.next(path.trim_end_matches("/NextDocument"))
            }
            ("DELETE", Some(_)) => self.delete(path),
            _ => Answer::code(404).into(),
        }
    }

    fn create(&mut self, dress: Dress, request: &Request, origin: &str) -> Written {
        let text = String::from_utf8_lossy(&request.body);
        let Some(mut settings) = settings(&text) else {
            return Answer::code(400).into();
        };
        if !fits(dress, &text) {
            return Answer::code(409).into();
        }
        if text.contains("BlackAndWhite1") {
            if self.has(Oddity::NoBlackAndWhite) {
                return Answer::code(409).into();
            }
            settings.color_mode = ColorMode::Grayscale8;
        }
        if self.counts_down(|it| match it {
            Oddity::BusyAtFirst(left) => Some(left),
            _ => None,
        }) || self
            .jobs
            .front()
            .is_some_and(|job| job.state == "Processing")
        {
            return Answer::code(503).with("Retry-After", "1").into();
        }
        if self.has(Oddity::HalfResolution) {
            settings.resolution_dpi /= 2;
        }
        let idle = self.has_had_its_jobs();
        if !idle && let Err(error) = self.scanner.start(&settings) {
            if error.kind == ScannerErrorKind::FeederEmpty && self.has(Oddity::JamWhenEmpty) {
                self.stuck = Some("ScannerAdfJam");
            }
            return match error.kind {
                ScannerErrorKind::Busy => Answer::code(503).into(),
                _ => Answer::code(409).into(),
            };
        }
        self.stuck = None;
        self.last += 1;
        let name = match self.has(Oddity::UrnJob) {
            true => format!("urn:uuid:4509a320-00a0-008f-00b6-{:012}", self.last),
            false => self.last.to_string(),
        };
        let path = format!("/eSCL/ScanJobs/{name}");
        self.jobs.push_front(Job {
            path: path.clone(),
            state: "Processing",
            reason: "JobScanning",
            scanned: 0,
            fetched: 0,
            through: idle,
            page: None,
            said: 0,
            resolution_dpi: settings.resolution_dpi,
        });
        self.jobs.truncate(LISTED_MAX);
        let mut location = self.location(origin, &path, &name);
        if self.has(Oddity::QueryJob) {
            location = format!("{location}?{QUERY}");
        }
        let mut answer = Answer::code(201);
        if !self.has(Oddity::NoLocation) {
            answer = answer.with("Location", location);
        }
        if self.once(Oddity::LostCreated) {
            answer.broken = Some(Break::Nothing);
        } else if self.has(Oddity::CutCreated) {
            answer.body = b"no one reads this".to_vec();
            answer.broken = Some(Break::Head);
        }
        answer.into()
    }

    /// Whether jobs feed nothing any more.
    fn has_had_its_jobs(&self) -> bool {
        let had = self.last + 1 - FIRST_JOB;
        let mut fed = self.oddities.iter();
        fed.any(|it| matches!(it, Oddity::IdleJobs(most) if had >= *most))
    }

    fn location(&self, origin: &str, path: &str, name: &str) -> String {
        if self.has(Oddity::WrongHost) {
            format!("http://wrong.example:8080{path}")
        } else if self.has(Oddity::BrokenHost) {
            format!("http://[fe80::1{path}")
        } else if self.has(Oddity::AbsoluteLocation) {
            format!("{origin}{path}")
        } else if self.has(Oddity::RelativeLocation) {
            format!("ScanJobs/{name}")
        } else {
            path.to_owned()
        }
    }

    /// How long an answer takes by an oddity with a number of ms.
    fn wait(&self, ms: impl Fn(&Oddity) -> Option<u32>) -> Duration {
        let ms = self.oddities.iter().find_map(ms);
        Duration::from_millis(ms.unwrap_or(0).into())
    }

    /// Counts an oddity with a number down; whether there was something left.
    fn counts_down(&mut self, left: fn(&mut Oddity) -> Option<&mut u32>) -> bool {
        for oddity in &mut self.oddities {
            if let Some(left) = left(oddity)
                && *left > 0
            {
                *left -= 1;
                return true;
            }
        }
        false
    }

    fn next(&mut self, path: &str) -> Written {
        let Some(at) = self.jobs.iter().position(|job| job.path == path) else {
            return Answer::code(404).into();
        };
        match self.jobs[at].state {
            "Canceled" => return Answer::code(410).into(),
            "Aborted" => return Answer::code(self.fault_code()).into(),
            "Completed" => return Answer::code(self.end_code()).into(),
            _ => {}
        }
        let page = self.jobs[at].fetched + 1;
        if let Some(before) = self.before_page(page) {
            return before;
        }
        if self.jobs[at].page.is_none()
            && let Err(answer) = self.scan(page)
        {
            return answer;
        }
        let Some(bytes) = self.jobs[at].page.clone() else {
            return Answer::code(500).into();
        };
        self.page(page, path, &bytes)
    }

    /// What happens instead of a page, or before it.
    fn before_page(&mut self, page: u32) -> Option<Written> {
        if self.once(Oddity::Restart(page)) {
            let _ended = self.scanner.cancel();
            self.jobs.clear();
            self.starting = 1;
            let mut answer = Answer::code(200);
            answer.broken = Some(Break::Nothing);
            return Some(answer.into());
        }
        if self.once(Oddity::StopAtDevice(page)) {
            let _ended = self.scanner.cancel();
            self.end("Canceled", "JobCanceledAtDevice");
            return Some(Answer::code(410).into());
        }
        if self.once(Oddity::Silent(page)) {
            let mut answer = Answer::code(200);
            answer.broken = Some(Break::Nothing);
            return Some(answer.into());
        }
        if self.once(Oddity::ServerError(page)) {
            return Some(Answer::code(500).into());
        }
        let mut faults = self.oddities.iter().map(|it| it.feeder_fault());
        if let Some(at) = faults.position(|it| it.is_some_and(|(at, _)| at == page)) {
            self.stuck = self
                .oddities
                .remove(at)
                .feeder_fault()
                .map(|(_, told)| told);
            let _ended = self.scanner.cancel();
            self.end("Aborted", "ErrorsDetected");
            return Some(Answer::code(self.fault_code()).into());
        }
        let times = self.oddities.iter().find_map(|oddity| match oddity {
            Oddity::NotReady(times) => Some(*times),
            _ => None,
        });
        let has_early = self.has(Oddity::EarlyEnd);
        let has_gone = self.has(Oddity::GoneOnce);
        let job = self.jobs.front_mut()?;
        job.said += 1;
        let said = job.said;
        if said <= times.unwrap_or(0) {
            return Some(Answer::code(503).with("Retry-After", "0").into());
        }
        if has_early && said == 1 {
            return Some(Answer::code(404).into());
        }
        (has_gone && said == 1).then(|| Answer::code(410).into())
    }

    /// Scans the next page, or all that are left when they go into one document.
    fn scan(&mut self, page: u32) -> Result<(), Written> {
        self.feed(page)?;
        let Some(dpi) = self.jobs.front().map(|job| job.resolution_dpi) else {
            return Ok(());
        };
        let mut pages = vec![self.scanned()];
        let mut last = page;
        while self.has(Oddity::PdfStack) && self.feed(last + 1).is_ok() {
            pages.push(self.scanned());
            last += 1;
        }
        let wrapped = if self.has(Oddity::Pdf) || self.has(Oddity::PdfStack) {
            wrap::pdf(&pages, dpi)
        } else if self.has(Oddity::Tiff) {
            wrap::tiff(&pages.concat(), dpi)
        } else {
            pages.concat()
        };
        if let Some(job) = self.jobs.front_mut() {
            // The stack's end has been met, but its document is still to be fetched.
            job.state = "Processing";
            job.page = Some(Arc::new(wrapped));
        }
        Ok(())
    }

    /// The page that was fed last.
    fn scanned(&self) -> Vec<u8> {
        let page = self.jobs.front().and_then(|job| job.page.clone());
        page.map(|page| page.as_ref().clone()).unwrap_or_default()
    }

    /// Feeds the next page.
    fn feed(&mut self, page: u32) -> Result<(), Written> {
        let mut sink = Collected(Vec::new());
        let most = self.oddities.iter().find_map(|oddity| match oddity {
            Oddity::PagesPerJob(most) => Some(*most),
            _ => None,
        });
        let ends = most.is_some_and(|most| page > most);
        if ends {
            let _ended = self.scanner.cancel();
        }
        let through = ends || self.jobs.front().is_some_and(|job| job.through);
        let fed = match through {
            true => Ok(NextPage::End),
            false => self.scanner.next_page(&mut sink),
        };
        match fed {
            Ok(NextPage::Page(_)) => {
                if let Some(job) = self.jobs.front_mut() {
                    job.scanned = page;
                    job.page = Some(Arc::new(sink.0));
                }
                Ok(())
            }
            Ok(NextPage::End) => {
                if let Some(job) = self.jobs.front_mut() {
                    job.through = true;
                }
                let late = self.counts_down(|it| match it {
                    Oddity::LateEnd(left) => Some(left),
                    _ => None,
                });
                if late || self.once(Oddity::ConflictAtEnd) {
                    let code = if late { 503 } else { 409 };
                    return Err(Answer::code(code).into());
                }
                self.end("Completed", "JobCompletedSuccessfully");
                Err(Answer::code(self.end_code()).into())
            }
            Err(error) => {
                let sticks =
                    self.has(Oddity::StickyJam) && error.kind == ScannerErrorKind::PaperJam;
                self.stuck = sticks.then_some("ScannerAdfJam");
                self.end("Aborted", "AbortedBySystem");
                Err(Answer::code(self.fault_code()).into())
            }
        }
    }

    fn end(&mut self, state: &'static str, reason: &'static str) {
        let more = u32::from(self.has(Oddity::CountsOneMore));
        if let Some(job) = self.jobs.front_mut() {
            job.state = state;
            job.reason = reason;
            job.scanned += more;
        }
    }

    fn end_code(&self) -> u16 {
        if self.has(Oddity::GoneAtEnd) {
            410
        } else if self.has(Oddity::ErrorAtEnd) {
            500
        } else {
            404
        }
    }

    fn fault_code(&self) -> u16 {
        if self.has(Oddity::ConflictOnFault) {
            409
        } else {
            404
        }
    }

    /// The answer with a page.
    fn page(&mut self, page: u32, path: &str, bytes: &Arc<Vec<u8>>) -> Written {
        let pdf = [Oddity::PdfType, Oddity::Pdf, Oddity::PdfStack];
        let media_type = if pdf.into_iter().any(|it| self.has(it)) {
            "application/pdf"
        } else if self.has(Oddity::Tiff) {
            "image/tiff"
        } else {
            "image/jpeg"
        };
        let mut answer = Answer::code(200).with("Content-Type", media_type);
        answer.body = bytes.as_ref().clone();
        if self.has(Oddity::NoHeight) {
            answer.body = without_height(bytes, 0);
        } else if self.has(Oddity::WrongHeight) {
            answer.body = without_height(bytes, u16::MAX);
        }
        if self.has(Oddity::Numbered) {
            answer = answer.with("Content-Location", format!("{path}/{page}"));
        }
        if self.once(Oddity::EmptyOnce(page)) {
            answer.body.clear();
            return answer.into();
        }
        if self.once(Oddity::LostPage(page)) {
            answer.body.clear();
        } else if self.once(Oddity::Drop(page)) {
            answer.broken = Some(Break::Half);
        } else if self.has(Oddity::Huge(page)) {
            answer.zeros = 2 << 30;
            answer.body.truncate(bytes.len() - 2);
        }
        let wait = self.wait(|it| match it {
            Oddity::SlowFirstByte(ms) if page == 1 => Some(*ms),
            _ => None,
        });
        Written {
            answer,
            wait,
            page_of: Some((path.to_owned(), Arc::clone(bytes))),
        }
    }

    fn delete(&mut self, path: &str) -> Written {
        if self.has(Oddity::NoDelete) {
            return Answer::code(500).into();
        }
        let Some(at) = self.jobs.iter().position(|job| job.path == path) else {
            return Answer::code(404).into();
        };
        if self.jobs[at].state == "Processing" {
            let _ended = self.scanner.cancel();
            self.jobs[at].state = "Canceled";
            self.jobs[at].reason = "JobCanceledByUser";
        }
        Answer::code(200).into()
    }

    /// A document with the prefixes that are set.
    fn prefixed(&self, document: &str) -> String {
        let renamed = |s: &str, p: &str| {
            let declared = document
                .replace(
                    "xmlns:scan=",
                    &format!("xmlns{}{s}=", if s.is_empty() { "" } else { ":" }),
                )
                .replace("xmlns:pwg=", &format!("xmlns:{p}="));
            let s = if s.is_empty() {
                String::new()
            } else {
                format!("{s}:")
            };
            declared
                .replace("<scan:", &format!("<{s}"))
                .replace("</scan:", &format!("</{s}"))
                .replace("<pwg:", &format!("<{p}:"))
                .replace("</pwg:", &format!("</{p}:"))
        };
        if self.has(Oddity::DefaultNamespace) {
            renamed("", "pwg")
        } else if self.has(Oddity::OtherPrefixes) {
            renamed("ns0", "ns1")
        } else {
            document.to_owned()
        }
    }

    fn status(&mut self) -> String {
        let status = self.scanner.status().ok();
        let running = self
            .jobs
            .front()
            .is_some_and(|job| job.state == "Processing");
        let state = match status.map(|status| status.state) {
            _ if self.has(Oddity::AlwaysIdle) => "Idle",
            Some(ScannerState::Processing) => "Processing",
            Some(ScannerState::Stopped) => "Stopped",
            _ if running => "Processing",
            _ => "Idle",
        };
        let adf = match status.and_then(|status| status.adf) {
            _ if self.stuck.is_some() => self.stuck.unwrap_or_default(),
            Some(AdfState::Jam) => "ScannerAdfJam",
            Some(AdfState::MultipickDetected) => "ScannerAdfMultipickDetected",
            Some(AdfState::HatchOpen) => "ScannerAdfHatchOpen",
            _ if self.has(Oddity::AlwaysLoaded) => "ScannerAdfLoaded",
            _ if self.has(Oddity::AdfProcessing) || self.has(Oddity::BlindFeeder) => {
                "ScannerAdfProcessing"
            }
            _ if running && self.has(Oddity::EmptyEarly) => "ScannerAdfEmpty",
            Some(AdfState::Loaded) => "ScannerAdfLoaded",
            _ => "ScannerAdfEmpty",
        };
        let mut text = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<scan:ScannerStatus {NAMESPACES}>\n\
             <pwg:Version>2.6</pwg:Version><pwg:State>{state}</pwg:State>\
             <scan:AdfState>{adf}</scan:AdfState>\n<scan:Jobs>\n"
        );
        for job in self.jobs.iter().filter(|_| !self.has(Oddity::NoJobs)) {
            let (mut scanned, mut waiting) = (job.scanned, u32::from(job.page.is_some()));
            let mut state = job.state;
            if self.has(Oddity::Lies) {
                (scanned, waiting) = (0, 7);
                state = if state == "Processing" {
                    "Aborted"
                } else {
                    "Processing"
                };
            }
            let (mut path, reason) = (job.path.clone(), job.reason);
            if self.has(Oddity::MovingJob) && job.fetched > 0 {
                path = path.replace("/eSCL/ScanJobs/", "/eSCL/Scan/Jobs/");
            }
            text.push_str(&format!(
                "<scan:JobInfo><pwg:JobUri>{path}</pwg:JobUri><pwg:JobUuid>{path}</pwg:JobUuid>\
                 <scan:Age>1</scan:Age><pwg:ImagesCompleted>{scanned}</pwg:ImagesCompleted>\
                 <pwg:ImagesToTransfer>{waiting}</pwg:ImagesToTransfer>\
                 <pwg:JobState>{state}</pwg:JobState><pwg:JobStateReasons>\
                 <pwg:JobStateReason>{reason}</pwg:JobStateReason></pwg:JobStateReasons></scan:JobInfo>\n"
            ));
        }
        text.push_str("</scan:Jobs></scan:ScannerStatus>\n");
        text
    }
}

/// Capabilities without what names the device.
fn unnamed(document: &str) -> String {
    let mut left = document.to_owned();
    for name in ["pwg:SerialNumber", "scan:UUID"] {
        let (start, end) = (format!("<{name}>"), format!("</{name}>"));
        if let (Some(from), Some(to)) = (left.find(&start), left.find(&end)) {
            left.replace_range(from..to + end.len(), "");
        }
    }
    left
}

/// A page in memory, so that it can be sent again when a connection breaks.
struct Collected(Vec<u8>);

impl PageSink for Collected {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkRefused> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }
}

/// What a client asks for; none when it cannot be read.
fn settings(text: &str) -> Option<ScanSettings> {
    let first = |name: &str| texts(text, name).first().copied();
    let number = |name: &str| first(name).and_then(|it| it.parse::<u32>().ok());
    first("ScanSettings")?;
    Some(ScanSettings {
        source: match first("InputSource") {
            Some("Feeder") => InputSource::Adf,
            Some("Platen") | None => InputSource::Platen,
            Some(_) => return None,
        },
        duplex: first("Duplex") == Some("true"),
        color_mode: match first("ColorMode") {
            Some("Grayscale8") => ColorMode::Grayscale8,
            _ => ColorMode::Rgb24,
        },
        resolution_dpi: u16::try_from(number("XResolution").unwrap_or(300)).ok()?,
        // The simulated MFP takes Letter on the glass and Legal in the feeder.
        media: MediaSize {
            width: number("Width").unwrap_or(2480).min(2550),
            height: number("Height")
                .unwrap_or(3508)
                .min(match first("InputSource") {
                    Some("Feeder") => 4200,
                    _ => 3508,
                }),
        },
        format: DocumentFormat::Jpeg,
    })
}

/// Whether the dress offers what is asked for; checked by text, not by the code under test.
fn fits(dress: Dress, text: &str) -> bool {
    let first = |name: &str| texts(text, name).first().copied();
    let source = match (first("InputSource"), first("Duplex")) {
        (Some("Feeder"), Some("true")) => "AdfDuplexInputCaps",
        (Some("Feeder"), _) => "AdfSimplexInputCaps",
        _ => "PlatenInputCaps",
    };
    let Some(source) = dress.source(source) else {
        return false;
    };
    let within = |asked: &str, min: &str, max: &str| {
        let limit = |name: &str| {
            texts(source, name)
                .first()
                .and_then(|it| it.parse::<u32>().ok())
        };
        first(asked)
            .and_then(|it| it.parse::<u32>().ok())
            .is_none_or(|asked| {
                asked >= limit(min).unwrap_or(0) && asked <= limit(max).unwrap_or(u32::MAX)
            })
    };
    let listed = |asked: &str, name: &str| {
        let own = texts(source, name);
        let all = match own.is_empty() {
            true => texts(dress.capabilities(), name),
            false => own,
        };
        all.is_empty() || first(asked).is_none_or(|asked| all.contains(&asked))
    };
    within("Width", "MinWidth", "MaxWidth")
        && within("Height", "MinHeight", "MaxHeight")
        && listed("ColorMode", "ColorMode")
        && listed("DocumentFormat", "DocumentFormat")
        && (listed("XResolution", "XResolution") || texts(source, "Step").len() == 2)
}

/// The image with another height in its frame header and the true one after its scan.
fn without_height(image: &[u8], told: u16) -> Vec<u8> {
    let mut out = image.to_vec();
    let mut at = 2;
    // A page that is cut short has no end to write to.
    while at + 4 <= out.len()
        && let [0xFF, marker, high, low] = out[at..at + 4]
    {
        if matches!(marker, 0xC0..=0xC2) {
            let height = [out[at + 5], out[at + 6]];
            out[at + 5..at + 7].copy_from_slice(&told.to_be_bytes());
            let end = out.len() - 2;
            out.splice(end..end, [0xFF, 0xDC, 0, 4, height[0], height[1]]);
            break;
        }
        at += 2 + usize::from(u16::from_be_bytes([high, low]));
    }
    out
}

fn bomb() -> Written {
    let mut text = "<?xml version=\"1.0\"?>\n<!DOCTYPE b [<!ENTITY a0 \"boom\">\n".to_owned();
    for level in 1..10 {
        let inner = format!("&a{};", level - 1).repeat(10);
        text.push_str(&format!("<!ENTITY a{level} \"{inner}\">\n"));
    }
    text.push_str(
        "]>\n<ScannerCapabilities><MakeAndModel>&a9;</MakeAndModel></ScannerCapabilities>",
    );
    Answer::xml(text).into()
}
