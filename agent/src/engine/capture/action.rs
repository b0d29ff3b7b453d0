//! What the capture machine wants done, and what it is told.

use std::collections::BTreeSet;

use scantrip_cloud_client::wire::{DeviceTime, EventKind, Intent, Workflow};
use scantrip_hal::clock::UnixTime;
use scantrip_hal::scanner::{
    DocumentFormat, PageInfo, ScanSettings, ScannerErrorKind, Side, StopFlag,
};

use super::manifest::ManifestPlan;
use crate::api::{JobEvent, Refusal, Reply};
use crate::engine::Token;
use crate::job_id::JobId;
use crate::journal::ScanMemo;
use crate::spool::PageRecord;

/// What the machine wants done.
#[derive(Debug)]
pub enum Action {
    /// For the scanner's lane.
    Scan(Scan),
    /// Answer a request.
    Reply(Token, Result<Reply, Refusal>),
    /// Something happened to a job.
    Tell(JobId, JobEvent),
    /// The job is in the capture: its pages may be sent as they come.
    Opened(JobId),
    /// One more page of the job is safe.
    PageSaved(JobId),
    /// The job is sealed and may be sent to its end.
    Sealed {
        /// The job.
        job: JobId,
        /// Whether the intent belongs to it.
        with_intent: bool,
    },
    /// The job is closed here and shall be thrown away.
    Discard(JobId, Token),
    /// A workflow was refused for what the device is; the cloud shall know.
    Refused(EventKind),
}

/// For the thread that has the scanner and writes job files.
#[derive(Debug)]
pub enum Scan {
    /// Ask what the scanner can do.
    Look {
        /// The security settings that decide too.
        settings: BTreeSet<String>,
    },
    /// Open the job's file, then start the scanner. No paper moves.
    Begin {
        /// The job.
        job: JobId,
        /// What a new job is about; `None`: go on with a job at rest.
        new: Option<Box<NewJob>>,
        /// To whom pages are sealed.
        recipient: Recipient,
        /// How to scan.
        settings: ScanSettings,
        /// Raised when nobody wants the job any more.
        stop: StopFlag,
    },
    /// Scan, seal and save the next page.
    NextPage {
        /// The page's object number.
        object: u32,
        /// Raised when the page is no longer wanted.
        stop: StopFlag,
    },
    /// Stop the scanner.
    Halt,
    /// Take a page back.
    Void {
        /// The job.
        job: JobId,
        /// The page's object number.
        object: u32,
    },
    /// Seal the job.
    Seal(Box<ManifestPlan>),
    /// Close the job's file if it is open.
    Close {
        /// The job.
        job: JobId,
    },
}

/// What a new job is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// To be sealed into the file.
    pub intent: Intent,
    /// For the journal.
    pub workflow_name: String,
}

/// To whom everything of a job is sealed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Recipient {
    /// The tenant's id.
    pub tenant: String,
    /// This device's id.
    pub device: String,
    /// The tenant's newest public key: SubjectPublicKeyInfo, DER.
    pub spki: Vec<u8>,
}

/// A page that is safe, as far as the manifest needs it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// Object number.
    pub object: u32,
    /// Encoding of the bytes.
    pub format: DocumentFormat,
    /// Images in the object.
    pub images: u16,
    /// Clockwise turn: 0, 90, 180 or 270.
    pub rotation: u16,
    /// Pixels per inch.
    pub dpi: u16,
    /// Side of the sheet.
    pub side: Side,
    /// Whether the scanner doubted it.
    pub doubtful: bool,
    /// Whether its header does not tell its height.
    pub late_height: bool,
}

impl Page {
    /// A fresh page.
    #[must_use]
    pub fn new(object: u32, info: &PageInfo) -> Self {
        Self {
            object,
            format: info.format,
            images: info.images,
            rotation: 0,
            dpi: info.resolution_dpi,
            side: info.side,
            doubtful: false,
            late_height: is_late(info.format, info.width_px, info.height_px),
        }
    }
}

impl From<&PageRecord> for Page {
    fn from(record: &PageRecord) -> Self {
        let details = &record.details;
        let format = [DocumentFormat::Pdf, DocumentFormat::Tiff]
            .into_iter()
            .find(|format| format.media_type() == details.media_type)
            .unwrap_or(DocumentFormat::Jpeg);
        Self {
            object: record.object,
            format,
            images: details.images,
            rotation: 0,
            dpi: details.dpi,
            side: details.side,
            doubtful: details.doubtful,
            late_height: is_late(format, details.width, details.height),
        }
    }
}

/// A JPEG whose width is known and whose height is not tells it at its end.
fn is_late(format: DocumentFormat, width: u32, height: u32) -> bool {
    format == DocumentFormat::Jpeg && width > 0 && height == 0
}

/// What [`Scan::NextPage`] brought.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fed {
    /// The page is durable; bytes as the scanner gave them.
    Page(Page, u64),
    /// The stack is through.
    End,
    /// The page was no longer wanted and does not count; the scanner has been stopped.
    Stopped,
    /// The scanner stopped; the page in hand does not count.
    Fault {
        /// The class of the fault.
        kind: ScannerErrorKind,
        /// What happened, in the scanner's words.
        message: String,
        /// Whether the scanner doubts the page before.
        doubts_last: bool,
    },
    /// The page cannot be kept; the scanner has been stopped.
    NotKept {
        /// Whether room is missing.
        full: bool,
        /// Why, for people.
        reason: String,
    },
}

/// A draft found at start-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The job.
    pub job: JobId,
    /// The workflow's id as the journal knows it.
    pub workflow: String,
    /// The workflow's version as the journal knows it.
    pub workflow_version: u64,
    /// When it was opened.
    pub opened_at: UnixTime,
    /// How it was scanned, when the journal knows.
    pub scan: Option<ScanMemo>,
    /// The pages that are whole.
    pub pages: Vec<Page>,
    /// Pages that cannot be read any more.
    pub damaged: u32,
    /// Whether the sealed intent, and with it every field, is lost.
    pub intent_lost: bool,
}

/// What the machine must know of the world when a person asks for something.
#[derive(Clone, Copy, Debug)]
pub struct World<'a> {
    /// The workflows of this device.
    pub workflows: &'a [Workflow],
    /// To whom to seal; `None` until the desired state is known.
    pub recipient: Option<&'a Recipient>,
    /// The device's clock.
    pub time: DeviceTime,
}
