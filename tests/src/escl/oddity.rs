//! What the simulated scanner does otherwise than the standard says: one switch for each thing that
//! real ones were seen to do, and for what an attacker would.

use std::str::FromStr;

macro_rules! oddities {
    ($($(#[doc = $doc:literal])+ $variant:ident $(($value:ty))? = $name:literal,)+) => {
        /// One oddity; in text form by the name in its first word, with `=N` where it has a number.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub enum Oddity {
            $($(#[doc = $doc])+ $variant $(($value))?,)+
        }

        /// Every oddity: its name, and what it does.
        pub const ODDITIES: &[(&str, &str)] = &[$(($name, concat!($($doc),+)),)+];

        impl FromStr for Oddity {
            type Err = String;

            fn from_str(text: &str) -> Result<Self, String> {
                let (name, value) = text.split_once('=').unwrap_or((text, ""));
                match name {
                    $($name => Ok(Self::$variant $((number::<$value>(text, value)?))?),)+
                    _ => Err(format!("not an oddity: {text}")),
                }
            }
        }
    };
}

oddities! {
    /// `Location` names another host.
    WrongHost = "wrong-host",
    /// `Location` has half an IPv6 address for a host.
    BrokenHost = "broken-host",
    /// `Location` is a full URL with the right host.
    AbsoluteLocation = "absolute-location",
    /// `Location` is relative: `ScanJobs/7`.
    RelativeLocation = "relative-location",
    /// Job paths have colons: `urn:uuid:...`.
    UrnJob = "urn-job",
    /// N times 503 before the 404 at the end.
    LateEnd(u32) = "late-end",
    /// Every page is answered with 404 once before it comes.
    EarlyEnd = "early-end",
    /// One 409 before the 404 at the end.
    ConflictAtEnd = "conflict-at-end",
    /// N times 503 before each page.
    NotReady(u32) = "not-ready",
    /// N times 503 before a job is taken.
    BusyAtFirst(u32) = "busy-at-first",
    /// A feeder without a fault is always `ScannerAdfProcessing`.
    AdfProcessing = "adf-processing",
    /// The feeder is told as empty while pages are still to be fetched.
    EmptyEarly = "empty-early",
    /// The status is always `Idle`.
    AlwaysIdle = "always-idle",
    /// A jam is told until the next job has begun.
    StickyJam = "sticky-jam",
    /// The status lists no jobs.
    NoJobs = "no-jobs",
    /// The status counts wrongly and says that the job was aborted.
    Lies = "lies",
    /// Counters say that one more page was scanned than was given.
    CountsOneMore = "counts-one-more",
    /// JPEG height 0 in the header, the true one after the scan (DNL).
    NoHeight = "no-height",
    /// JPEG height 65535 in the header, the true one after the scan (DNL).
    WrongHeight = "wrong-height",
    /// Pages are sent in chunks.
    Chunked = "chunked",
    /// Every answer ends with the connection and has no length.
    NoLength = "no-length",
    /// JPEG is sent as application/pdf.
    PdfType = "pdf-type",
    /// Documents have eSCL for their default namespace.
    DefaultNamespace = "default-namespace",
    /// Documents have other prefixes than the usual ones.
    OtherPrefixes = "other-prefixes",
    /// Documents are UTF-16 with a byte order mark.
    Utf16 = "utf-16",
    /// Documents are compressed, although that was not asked for.
    Gzip = "gzip",
    /// Each page is a PDF of its own.
    Pdf = "pdf",
    /// The whole stack is one PDF.
    PdfStack = "pdf-stack",
    /// Each page is a TIFF file.
    Tiff = "tiff",
    /// The answer to a new job is lost; the job is there.
    LostCreated = "lost-created",
    /// The connection ends with the head of the answer to a new job.
    CutCreated = "cut-created",
    /// The answer to a new job has no `Location`.
    NoLocation = "no-location",
    /// The connection breaks once before page N is answered.
    Silent(u32) = "silent",
    /// The connection breaks half-way through page N, once.
    Drop(u32) = "drop",
    /// Page N is 2 GiB large.
    Huge(u32) = "huge",
    /// Page N is answered with HTTP 500, once.
    ServerError(u32) = "server-error",
    /// Page N is lost: an answer without bytes, and after it the next sheet.
    LostPage(u32) = "lost-page",
    /// Page N is answered without bytes once, and then comes.
    EmptyOnce(u32) = "empty-once",
    /// `Content-Location` numbers the pages.
    Numbered = "numbered",
    /// The job's address has a query, without which the job is not known.
    QueryJob = "query-job",
    /// The device restarts instead of giving page N, and knows nothing of the job after it.
    Restart(u32) = "restart",
    /// Somebody presses stop at the device instead of page N.
    StopAtDevice(u32) = "stop-at-device",
    /// The answer to a new job takes N ms.
    SlowCreated(u32) = "slow-created",
    /// A job ends well after N pages, whatever is left in the feeder.
    PagesPerJob(u32) = "pages-per-job",
    /// Jobs after the Nth are taken and end well, and feed nothing.
    IdleJobs(u32) = "idle-jobs",
    /// A feeder without a fault is always `ScannerAdfLoaded`.
    AlwaysLoaded = "always-loaded",
    /// From its first page on a job stands below another folder in `JobUri`.
    MovingJob = "moving-job",
    /// A job without paper is refused, and a jam is told from then on.
    JamWhenEmpty = "jam-when-empty",
    /// The sheet of page N is not taken in.
    Mispick(u32) = "mispick",
    /// Two sheets are about to go in with page N.
    Multipick(u32) = "multipick",
    /// The sheet of page N is too short for both sides.
    TooShort(u32) = "too-short",
    /// The sheet of page N is too long for both sides.
    TooLong(u32) = "too-long",
    /// The feeder's tray fails before page N.
    TrayFailed(u32) = "tray-failed",
    /// The feeder's tray holds too much before page N.
    TrayOverloaded(u32) = "tray-overloaded",
    /// The first page takes N ms to begin.
    SlowFirstByte(u32) = "slow-first-byte",
    /// Everything leads to TLS with 301.
    TlsOnly = "tls-only",
    /// Requests are answered to the host `localhost` only.
    LocalhostOnly = "localhost-only",
    /// The `Host` header must carry the port.
    HostWithPort = "host-with-port",
    /// 410 once before each page and before the end.
    GoneOnce = "gone-once",
    /// 409 where another device would say 404 or 410 after a fault.
    ConflictOnFault = "conflict-on-fault",
    /// The end is told with 410.
    GoneAtEnd = "gone-at-end",
    /// The end is told with 500.
    ErrorAtEnd = "error-at-end",
    /// There is no status.
    NoStatus = "no-status",
    /// The capabilities tell neither serial number nor UUID.
    NoSerial = "no-serial",
    /// The service has no folder of its own: `/ScannerStatus`.
    NoFolder = "no-folder",
    /// A feeder without paper takes no job (409), and its state does not tell why.
    BlindFeeder = "blind-feeder",
    /// Black and white is offered and refused.
    NoBlackAndWhite = "no-black-and-white",
    /// Pages come at half the resolution.
    HalfResolution = "half-resolution",
    /// The capabilities are an XML bomb.
    XmlBomb = "xml-bomb",
    /// The status is an XML bomb.
    StatusBomb = "status-bomb",
    /// DELETE is not answered well.
    NoDelete = "no-delete",
    /// eSCL is off.
    Off = "off",
}

fn number<T: FromStr>(text: &str, value: &str) -> Result<T, String> {
    value
        .parse()
        .map_err(|_not_one| format!("a number is missing: {text}"))
}

impl Oddity {
    /// The page before which the feeder stops the job, and what it says then.
    pub(crate) const fn feeder_fault(self) -> Option<(u32, &'static str)> {
        Some(match self {
            Self::Mispick(page) => (page, "ScannerAdfMispick"),
            Self::Multipick(page) => (page, "ScannerAdfMultipickDetected"),
            Self::TooShort(page) => (page, "ScannerAdfDuplexPageTooShort"),
            Self::TooLong(page) => (page, "ScannerAdfDuplexPageTooLong"),
            Self::TrayFailed(page) => (page, "ScannerAdfInputTrayFailed"),
            Self::TrayOverloaded(page) => (page, "ScannerAdfInputTrayOverloaded"),
            _ => return None,
        })
    }

    /// Reads oddities separated by commas.
    ///
    /// # Errors
    /// When one of them is not known.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, String> {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::parse)
            .collect()
    }
}
