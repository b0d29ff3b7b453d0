//! What people may ask of the agent: one set of requests for the commands and the panel.
//!
//! The engine's handle implements [`Service`]; so does the client of the local socket. A command
//! therefore does not know whether the agent runs in this process or in another.

use std::collections::BTreeMap;
use std::time::Duration;

use scantrip_cloud_client::posture::diff::Change;
use scantrip_cloud_client::wire::{Policy, ReportDevice, ReportPrinter, ReportScanner};
use serde::{Deserialize, Serialize};

use crate::drivers::posture::SeenChange;

/// A request by a person.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// The one page that tells how the agent does.
    Status,
    /// Every job the journal knows, newest first.
    Jobs,
    /// The workflows of this device.
    Workflows,
    /// The security settings, read now.
    Settings,
    /// Make the newest reading of the settings the one that others are compared with.
    AcceptSettings,
    /// Poll now.
    Sync,
    /// Wipe identity, spool and journal. Without `confirmed` nothing happens but the count.
    Unenroll {
        /// Whether the person has seen how many unsent jobs would be lost.
        confirmed: bool,
    },
    /// Begin a job: admit it, feed the paper, seal each page.
    Scan(ScanRequest),
    /// Give up the [`Request::Scan`] or [`Edit::AddMore`] that is not answered yet: it is refused, and
    /// no paper moves. `Done` also when there is none.
    Cancel,
    /// Change a job that is not yet finished.
    Edit {
        /// The job's id.
        job: String,
        /// What to change.
        edit: Edit,
    },
}

/// What to scan and what for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanRequest {
    /// Name or id of the workflow.
    pub workflow: String,
    /// Field values by name.
    #[serde(default)]
    pub fields: BTreeMap<String, String>,
    /// `adf` or `platen`; `None`: as the workflow and the paper say.
    #[serde(default)]
    pub source: Option<String>,
    /// Both sides; `None`: as the workflow says.
    #[serde(default)]
    pub duplex: Option<bool>,
    /// `color`, `gray` or `bw`; `None`: as the workflow says.
    #[serde(default)]
    pub color_mode: Option<String>,
    /// Dots per inch; `None`: as the workflow says, else 300.
    #[serde(default)]
    pub resolution_dpi: Option<u16>,
    /// Finish by itself when the stack is through, without a look at the pages.
    pub finish_at_end: bool,
}

/// One step of a job in the capture machine.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Edit {
    /// Scan more pages into the job: the next stack, or the rest after a jam.
    AddMore,
    /// As [`Edit::AddMore`], with the sheet of the last page again: what was saved of it does not count.
    Again {
        /// The last page's number as shown; when it is taken back already, nothing more is.
        page: u32,
    },
    /// Put pages into this order; every remaining page's number once.
    Reorder {
        /// Page numbers as shown.
        pages: Vec<u32>,
    },
    /// Turn a page clockwise.
    Rotate {
        /// Page number as shown.
        page: u32,
        /// 90, 180 or 270.
        degrees: u16,
    },
    /// Leave a page out.
    Delete {
        /// Page number as shown.
        page: u32,
    },
    /// Stop feeding; the pages saved so far stay.
    Stop,
    /// Seal the job and send it.
    Finish,
    /// Throw the job away, here and in the cloud.
    Discard,
}

/// An answer; each request has its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// Of [`Request::Status`].
    Status(Box<StatusView>),
    /// Of [`Request::Jobs`].
    Jobs(Vec<JobView>),
    /// Of [`Request::Workflows`].
    Workflows(Vec<WorkflowView>),
    /// Of [`Request::Settings`].
    Settings(Box<SettingsView>),
    /// Of [`Service::enroll`].
    Enrolled(EnrolledView),
    /// Of [`Request::Unenroll`].
    Unenroll {
        /// Jobs that are not in the cloud and would be, or were, lost.
        unsent_jobs: u32,
        /// Whether all is wiped.
        done: bool,
    },
    /// Of [`Request::Scan`]: the job's id. Its progress comes as events.
    Started {
        /// The job's id.
        job: String,
    },
    /// Of [`Request::Edit`], [`Request::Cancel`], [`Request::Sync`] and [`Request::AcceptSettings`].
    Done,
}

/// Why a request was not carried out. Says what to do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct Refusal {
    /// The class, which decides the exit code and what the panel offers.
    pub kind: RefusalKind,
    /// What was refused, why and what to do; lower case, no full stop.
    pub message: String,
}

/// The class of a refusal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RefusalKind {
    /// The request itself is wrong: unknown workflow or job, bad field, impossible setting.
    Invalid,
    /// The device has not enrolled.
    NotEnrolled,
    /// The agent is at another step; a job is being scanned already.
    Busy,
    /// The spool or the disk is full; nothing was fed.
    Full,
    /// The cloud refused for good.
    Refused,
    /// The cloud, or the agent, cannot be reached.
    Unreachable,
    /// Paper, cover or scanner need a person.
    Scanner,
    /// The device's security settings are not as the workflow requires.
    Posture,
    /// A fault of the agent or of its disk.
    Internal,
}

/// The answer to "how are you?", for a technician.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StatusView {
    /// The agent's version.
    pub version: String,
    /// `not-enrolled`, `enrolling`, `enrolled`, `renewing`, `expired`, `suspect` or `revoked`.
    pub identity: String,
    /// Vendor, model and serial number.
    pub device_name: String,
    /// Device id, when enrolled.
    pub device: Option<String>,
    /// Tenant's name, when known.
    pub tenant: Option<String>,
    /// End of the certificate in use, Unix milliseconds.
    pub certificate_ends_ms: Option<u64>,
    /// The entry point in use and why.
    pub entry_point: Option<EntryPointView>,
    /// TLS version and cipher suite of the last connection.
    pub tls: Option<String>,
    /// Last successful poll, Unix milliseconds.
    pub last_poll_ms: Option<u64>,
    /// Seconds until the next poll.
    pub next_poll_seconds: Option<u64>,
    /// Jobs that are not yet receipted.
    pub queued_jobs: u32,
    /// Bytes of the spool in use.
    pub spool_bytes: u64,
    /// Most bytes the spool may use.
    pub spool_bytes_max: u64,
    /// Cloud time minus device time.
    pub skew_ms: Option<i64>,
    /// The last error and when, Unix milliseconds.
    pub last_error: Option<(String, u64)>,
    /// When the printer was last asked, Unix milliseconds, and what it told; a running agent asks
    /// it for each report.
    #[serde(default)]
    pub printer: Option<(u64, ReportPrinter)>,
    /// What the scanner did last, as far as this process has used it.
    #[serde(default)]
    pub scanner: Option<ReportScanner>,
    /// Drafts that wait for a person: finish or discard.
    pub drafts: Vec<JobView>,
}

/// What was measured and which door was chosen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPointView {
    /// Name of the chosen one.
    pub name: String,
    /// Its URL.
    pub url: String,
    /// Why it was chosen.
    pub why: String,
    /// Name, region and median connect time in ms of each (`None`: no answer).
    pub measured: Vec<(String, String, Option<u32>)>,
}

/// One job as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct JobView {
    /// Job id.
    pub job: String,
    /// Workflow's name.
    pub workflow: String,
    /// Pages saved.
    pub pages: u32,
    /// `scanning`, `draft`, `queued`, `sending`, `received`, `delivered`, `failed`, `discarded`.
    pub state: String,
    /// When it was opened, Unix milliseconds.
    pub opened_at_ms: u64,
    /// Six-character receipt code, when there is a receipt.
    pub receipt_code: Option<String>,
    /// Where and under what name it was delivered, or why not.
    pub outcome: Option<String>,
}

/// One workflow as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct WorkflowView {
    /// As the cloud sent it.
    pub workflow: scantrip_cloud_client::wire::Workflow,
    /// Why it cannot be used here, if so.
    pub unavailable: Option<String>,
}

/// The security settings and what is known of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingsView {
    /// Each, in the order of their ids.
    pub settings: Vec<SettingView>,
    /// What the device is.
    pub device: ReportDevice,
    /// The tenant's policy, when there is one.
    pub policy: Option<Policy>,
    /// When the reading was taken that others are compared with, Unix milliseconds.
    pub reference_at_ms: u64,
    /// What changed since then.
    pub changes: Vec<Change>,
    /// The latest changes with the times when they were seen, oldest first.
    pub seen: Vec<SeenChange>,
}

/// One security setting as people see it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettingView {
    /// Stable id.
    pub id: String,
    /// One line for people.
    pub title: String,
    /// The value; empty when unknown.
    pub value: String,
    /// What a secure value looks like.
    pub secure_value: String,
    /// `low`, `medium`, `high` or `critical`.
    pub severity: String,
    /// `secure`, `not-secure`, `not-applicable` or `unknown`.
    pub verdict: String,
    /// Why it is unknown.
    pub reason: Option<String>,
    /// Where the value comes from.
    pub method: String,
    /// The file or the field of a protocol that shows it.
    pub evidence: String,
    /// The standard or guide that asks for it.
    pub reference: String,
    /// How to mend it.
    pub remedy: String,
}

/// A fresh identity.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolledView {
    /// Device id.
    pub device: String,
    /// End of the certificate, Unix milliseconds.
    pub certificate_ends_ms: u64,
    /// TLS version and cipher suite of the enrolment.
    pub tls: Option<String>,
}

/// Something that happened to a job. Numbered from 0 without gaps; kept in memory, bounded.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
pub enum JobEvent {
    /// The device cannot do what the workflow asks for and does the nearest.
    Adapted {
        /// What is done instead.
        message: String,
    },
    /// Paper moves.
    Feeding,
    /// A page is durable.
    PageSaved {
        /// Page number as shown.
        page: u32,
        /// Bytes as the scanner gave them.
        bytes: u64,
    },
    /// Feeding stopped before the stack was through; the pages saved stay.
    Paused {
        /// Why and what to do, which page to put back.
        message: String,
        /// Whether [`Edit::AddMore`] goes on from here.
        resumable: bool,
        /// The last page, when it is in doubt; [`Edit::Again`] scans it again.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        doubts: Option<u32>,
    },
    /// The stack is through; finish, add more or edit.
    StackEnd,
    /// The job is sealed and safe here; it will be sent.
    Saved {
        /// Pages in the document.
        pages: u32,
    },
    /// Bytes are on their way.
    Sending {
        /// Sealed bytes that the cloud has.
        sent: u64,
        /// Sealed bytes in all.
        total: u64,
    },
    /// The cloud cannot be reached, or is busy; it will be tried again.
    Waiting {
        /// Why, and when it is tried again.
        message: String,
    },
    /// The receipt is verified and stored; the job is erased here.
    Received {
        /// Six-character receipt code.
        receipt_code: String,
        /// Sealed bytes sent.
        sealed_bytes: u64,
    },
    /// At its destination.
    Delivered {
        /// Where.
        place: String,
        /// Under what name.
        name: String,
    },
    /// It will not arrive without a person.
    Failed {
        /// Why and what to do.
        message: String,
    },
    /// Thrown away by a person.
    Discarded,
    /// Something that a newer agent tells: passed over. Never sent.
    #[serde(other)]
    Other,
}

impl JobEvent {
    /// Whether nothing follows this event.
    #[must_use]
    pub const fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Delivered { .. } | Self::Failed { .. } | Self::Discarded
        )
    }
}

/// The agent, in this process or in another.
pub trait Service: Send + Sync {
    /// Carries out a request.
    ///
    /// # Errors
    /// When it is refused; nothing has changed then.
    fn call(&self, request: Request) -> Result<Reply, Refusal>;

    /// Enrols with a code. The code is wiped when this returns and never stored.
    ///
    /// # Errors
    /// When code, cloud or trust do not fit; says what to do.
    fn enroll(
        &self,
        code: scantrip_cloud_client::code::EnrollmentCode,
    ) -> Result<EnrolledView, Refusal>;

    /// Events of a job from number `from` on; waits up to `wait` while there are none.
    ///
    /// # Errors
    /// When there is no such job.
    fn events(&self, job: &str, from: usize, wait: Duration) -> Result<Vec<JobEvent>, Refusal>;
}
