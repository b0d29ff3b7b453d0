//! The documents that travel between agent and cloud, version 1. JSON, UTF-8.
//!
//! `docs/protocol.md` says where each is used. Unknown fields are ignored by both sides, so that
//! either can be the newer one. Hashes are lower-case hexadecimal, other bytes base64 (RFC 4648,
//! section 4, with padding), times milliseconds since 1970-01-01 00:00 UTC.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Most pages of one job. Above it, the envelope would pass [`ENVELOPE_BYTES_MAX`].
pub const PAGES_MAX: u32 = 10_000;
/// Largest envelope: 10,001 objects of at most 200 bytes each.
pub const ENVELOPE_BYTES_MAX: usize = 2 * 1024 * 1024;
/// Largest value of one field: a long remark, not a document.
pub const FIELD_BYTES_MAX: usize = 4 * 1024;
/// Largest workflow: what a panel can show.
pub const WORKFLOW_BYTES_MAX: usize = 64 * 1024;
/// Largest desired state: what a device can hold in memory.
pub const DESIRED_BYTES_MAX: usize = 1024 * 1024;
/// Largest sealed object (2 GiB): 32-bit block counter and 32-bit devices.
pub const OBJECT_BYTES_MAX: u64 = 2 * 1024 * 1024 * 1024;
/// Largest report: a day's changes.
pub const REPORT_BYTES_MAX: usize = 256 * 1024;
/// Most events in one report: a buffer that filled up offline is sent in pieces.
pub const REPORT_EVENTS_MAX: usize = 40;

/// Answer of `GET /v1/entry-points`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPoints {
    /// The front doors, in no order.
    pub entry_points: Vec<EntryPoint>,
}

/// One regional front door.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EntryPoint {
    /// For people, for example `Frankfurt`.
    pub name: String,
    /// For a region pin, for example `eu-central-1`.
    pub region: String,
    /// `https://` URL without a path.
    pub url: String,
}

/// Answer of `GET /v1/device/desired`: what the device shall be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Desired {
    /// Only grows; an older one is ignored.
    pub generation: u64,
    /// The tenant's id.
    pub tenant: String,
    /// The tenant's name, for people.
    pub tenant_name: String,
    /// The device's id.
    pub device: String,
    /// Time between two polls; the device clamps it to 30 s .. 24 h.
    pub poll_interval_seconds: u32,
    /// The tenant's public keys, newest first; seal to the first.
    pub keys: Vec<TenantKey>,
    /// The workflows that this device may use.
    pub workflows: Vec<Workflow>,
    /// What the tenant asks of its devices' security settings; `None`: the baseline.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub policy: Option<Policy>,
}

/// A recipient's public key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TenantKey {
    /// Only grows.
    pub generation: u64,
    /// SHA-256 of `spki`, hexadecimal.
    pub key_id: String,
    /// SubjectPublicKeyInfo (RFC 5280) of a P-256 key, DER in base64.
    pub spki: String,
}

/// A workflow as the device sees it: what to ask and how to scan. Its steps stay in the cloud.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Workflow {
    /// Stable id.
    pub id: String,
    /// Only grows with each change.
    pub version: u64,
    /// For people; what `scantrip scan --workflow` names.
    pub name: String,
    /// What to ask before scanning.
    #[serde(default)]
    pub fields: Vec<Field>,
    /// How it may be scanned.
    #[serde(default)]
    pub scan: ScanRules,
    /// Features the device must know to run this workflow; else it is shown as unavailable.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub must_understand: Vec<String>,
    /// What the device's settings must be, as [`posture::requirement`](crate::posture::requirement)
    /// reads it. A workflow that has any names
    /// [`REQUIRES_FEATURE`](crate::posture::REQUIRES_FEATURE) in `must_understand`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub requires: Vec<String>,
}

/// One question to the person at the panel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Field {
    /// Key in the manifest: `[a-z][a-z0-9_]*`.
    pub name: String,
    /// For people.
    pub label: String,
    /// What may be entered.
    #[serde(rename = "type")]
    pub kind: FieldKind,
    /// Value when nothing is entered.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub default: Option<String>,
    /// Whether an empty value is refused.
    #[serde(default)]
    pub required: bool,
    /// Regular expression the whole value must match, checked where one is given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pattern: Option<String>,
    /// The values to choose from; for [`FieldKind::Choice`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub choices: Vec<String>,
}

/// What may be entered in a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FieldKind {
    /// Any text of one line.
    Text,
    /// A decimal number.
    Number,
    /// A day, `YYYY-MM-DD`.
    Date,
    /// One of the choices.
    Choice,
    /// A kind this version does not know; treated as text.
    #[serde(other)]
    Unknown,
}

/// Which scan settings a workflow allows; the first of each list that the device has is the default.
/// Empty: any. Of a list of which the device has nothing, the nearest that it has is used, and the
/// person told, unless [`ScanRules::must`].
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScanRules {
    /// `adf`, `platen`.
    #[serde(default)]
    pub sources: Vec<String>,
    /// `color`, `gray`, `bw`.
    #[serde(default)]
    pub color_modes: Vec<String>,
    /// Dots per inch.
    #[serde(default)]
    pub resolutions_dpi: Vec<u16>,
    /// Whether both sides are scanned unless the person says otherwise; `None`: one side.
    #[serde(default)]
    pub duplex: Option<bool>,
    /// Whether a device that has nothing of a list refuses to scan. Agents before this key always
    /// do.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub must: bool,
}

/// What the runner needs of a job; sealed, object 0.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// 1.
    pub version: u32,
    /// Job id.
    pub job: String,
    /// Workflow id.
    pub workflow: String,
    /// Version of the workflow that the person saw.
    pub workflow_version: u64,
    /// Field values by name; empty when `intent` holds them.
    pub fields: BTreeMap<String, String>,
    /// Object number of the intent, for a draft finished after a power cut: fields, workflow and
    /// member are then taken from there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub intent: Option<u32>,
    /// Who scanned, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// When scanning began.
    pub scanned_at: DeviceTime,
    /// The pages in their order in the document.
    pub pages: Vec<ManifestPage>,
}

/// Number of the intent among a job's objects: above every page.
pub const INTENT_OBJECT: u32 = u32::MAX;

/// What a person asked for before the first page; sealed when scanning begins, so that a draft cut
/// off by a power failure can still be finished although the device cannot read it back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Intent {
    /// 1.
    pub version: u32,
    /// Job id.
    pub job: String,
    /// Workflow id.
    pub workflow: String,
    /// Version of the workflow that the person saw.
    pub workflow_version: u64,
    /// Field values by name.
    pub fields: BTreeMap<String, String>,
    /// Who scanned, when known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member: Option<String>,
    /// When scanning began.
    pub scanned_at: DeviceTime,
}

/// One page of the document: which object, and how to show it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestPage {
    /// Object number, 1 and up.
    pub object: u32,
    /// Media type of the bytes.
    pub media_type: String,
    /// Images in the object.
    pub images: u16,
    /// Clockwise turn to apply: 0, 90, 180 or 270.
    #[serde(default)]
    pub rotation: u16,
    /// Pixels per inch that it was scanned with.
    pub resolution_dpi: u16,
    /// `front` or `back`.
    pub side: String,
    /// Whether the scanner reported a fault on this page (double feed) and a person kept it.
    #[serde(default)]
    pub doubtful: bool,
    /// Whether the image tells its height only at its end (JPEG with DNL); the runner writes it
    /// into the header, the device never changes a byte.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub late_height: bool,
}

/// A time told by the device, and how far to trust it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeviceTime {
    /// The device's wall clock.
    pub unix_ms: u64,
    /// Cloud time minus device time when last measured over TLS; `None`: never measured.
    #[serde(default)]
    pub skew_ms: Option<i64>,
}

/// The clear list of what belongs to a job. Its exact bytes are hashed; see [`Receipt::envelope`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Envelope {
    /// 1.
    pub version: u32,
    /// Job id.
    pub job: String,
    /// Tenant id.
    pub tenant: String,
    /// Device id.
    pub device: String,
    /// Every object of the job, by number; object 0 is the manifest.
    pub objects: Vec<EnvelopeObject>,
}

/// Size and hash of one sealed object.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnvelopeObject {
    /// Object number.
    pub object: u32,
    /// Sealed size in bytes.
    pub size: u64,
    /// SHA-256 of the sealed bytes.
    pub sha256: String,
}

/// What the cloud signs when it has taken a job. The exact bytes are kept as they came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// 1.
    pub version: u32,
    /// Tenant id.
    pub tenant: String,
    /// Device id.
    pub device: String,
    /// Number of this receipt in the device's chain, 1 and up.
    pub seq: u64,
    /// SHA-256 of the receipt before it; 64 zeros for the first.
    pub prev: String,
    /// Job id.
    pub job: String,
    /// SHA-256 of the envelope's exact bytes.
    pub envelope: String,
    /// Number of objects, the manifest included.
    pub objects: u32,
    /// The cloud's clock.
    pub received_at_ms: u64,
}

/// A receipt as it travels: answer of `PUT /v1/device/jobs/{id}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SignedReceipt {
    /// The exact bytes of a [`Receipt`], base64.
    pub receipt: String,
    /// ECDSA P-256 with SHA-256 over those bytes, ASN.1 DER, base64.
    pub signature: String,
    /// The signer's certificate, DER, base64; issued by the device anchors with the extended key
    /// usage 1.3.6.1.4.1.58270.1.1 (receipt signing).
    pub certificate: String,
}

/// Answer of `GET /v1/device/receipts?after=SEQ`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipts {
    /// In order of their `seq`; at most 100, ask again while there are any.
    pub receipts: Vec<SignedReceipt>,
}

/// Answer of `GET /v1/device/jobs?after=SEQ`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcomes {
    /// In order of `seq`; at most 100, ask again while there are any.
    pub outcomes: Vec<Outcome>,
}

/// What became of a job.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Outcome {
    /// Position in the device's feed, only grows.
    pub seq: u64,
    /// Job id.
    pub job: String,
    /// How far it is.
    pub state: OutcomeState,
    /// The cloud's clock.
    pub at_ms: u64,
    /// Where it was delivered, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub place: Option<String>,
    /// Under what name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Why it failed and what happens next, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How far a job is in the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OutcomeState {
    /// Committed.
    Received,
    /// A workflow step runs.
    Running,
    /// At its destination.
    Delivered,
    /// Will not be delivered without a person.
    Failed,
    /// A state this version does not know.
    #[serde(other)]
    Unknown,
}

/// Body of `POST /v1/device/reports`: a batch of telemetry.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Number of this report, only grows; a repeated one is ignored.
    pub sequence: u64,
    /// Chosen at random when the device began to count, at its enrolment: numbers of reports and
    /// events count within it.
    #[serde(default)]
    pub epoch: u64,
    /// The device's clock.
    pub at_ms: u64,
    /// Reports dropped since the last one because the buffer was full.
    #[serde(default)]
    pub dropped: u64,
    /// What the device is.
    pub device: ReportDevice,
    /// How the agent does.
    pub health: ReportHealth,
    /// The security settings, when they changed or a day passed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub settings: Option<Vec<ReportSetting>>,
    /// What the scanner does; `None` when it was not asked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scanner: Option<ReportScanner>,
    /// What the device's printer tells of itself; `None` when nothing of it answers.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub printer: Option<ReportPrinter>,
    /// What happened since, oldest first, at most [`REPORT_EVENTS_MAX`].
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub events: Vec<ReportEvent>,
    /// Events dropped for want of room since the last report that arrived.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub events_dropped: u64,
}

/// What the scanner does, in the words of IPP (RFC 8011, `printer-state`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportScanner {
    /// `idle`, `processing` or `stopped`.
    pub state: String,
    /// `printer-state-reasons`, such as `media-jam` or `cover-open`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
}

/// What the printer does, in the words of IPP, and what it uses up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportPrinter {
    /// `idle`, `processing`, `stopped` or `unknown`.
    pub state: String,
    /// `printer-state-reasons`, such as `toner-low-warning`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub reasons: Vec<String>,
    /// Toner, waste, paper.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub supplies: Vec<ReportSupply>,
}

/// Something that the printer uses up or fills up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSupply {
    /// As the device names it.
    pub name: String,
    /// A word of `marker-types` (PWG 5100.9), or `paper`; empty when the device does not tell.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub kind: String,
    /// What is left, 0 to 100; of a waste container its room. `None`: not known.
    #[serde(default)]
    pub left_percent: Option<u8>,
    /// Whether it is nearly used up.
    #[serde(default)]
    pub low: bool,
}

impl fmt::Display for ReportPrinter {
    /// One line for people: `idle, toner-low-warning; Black Toner 8 % LOW, Tray 1 90 %`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.state)?;
        for reason in &self.reasons {
            write!(f, ", {reason}")?;
        }
        for (at, supply) in self.supplies.iter().enumerate() {
            write!(f, "{}{supply}", if at == 0 { "; " } else { ", " })?;
        }
        Ok(())
    }
}

impl fmt::Display for ReportSupply {
    /// `Black Toner 8 % LOW`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.left_percent {
            Some(left) => write!(f, "{} {left} %", self.name)?,
            None => write!(f, "{}, level not known", self.name)?,
        }
        f.write_str(if self.low { " LOW" } else { "" })
    }
}

/// Something that happened on the device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportEvent {
    /// Its number; only grows, also over restarts. One that was seen is ignored.
    pub seq: u64,
    /// The device's clock.
    pub at_ms: u64,
    /// What happened.
    #[serde(flatten)]
    pub what: EventKind,
}

/// What happened. Never holds field values, names of documents or people.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum EventKind {
    /// A security setting has another value.
    SettingChanged {
        /// The setting.
        setting: String,
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
    /// A workflow was refused because the device does not meet what it requires.
    WorkflowRefused {
        /// The workflow's id.
        workflow: String,
        /// The settings that are not as required.
        settings: Vec<String>,
    },
    /// A job is finished here, or will never be.
    JobEnded {
        /// The job's id.
        job: String,
        /// `received`, `refused` or `discarded`.
        state: String,
    },
    /// The scanner stopped.
    ScannerFault {
        /// `printer-state-reasons`, such as `media-jam`.
        reason: String,
    },
    /// A kind that this version does not know.
    #[serde(other)]
    Unknown,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde hands out references"
)]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// What the device is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportDevice {
    /// The maker.
    pub vendor: String,
    /// The model.
    pub model: String,
    /// The serial number.
    pub serial: String,
    /// The firmware's version.
    pub firmware: String,
}

/// How the agent does.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportHealth {
    /// The agent's version.
    pub agent_version: String,
    /// Since the agent's start.
    pub uptime_seconds: u64,
    /// Jobs not yet receipted.
    pub queued_jobs: u32,
    /// Bytes of the spool in use.
    pub spool_bytes: u64,
    /// Name of the entry point in use.
    #[serde(default)]
    pub entry_point: Option<String>,
    /// Cloud time minus device time.
    #[serde(default)]
    pub skew_ms: Option<i64>,
    /// Whole days until the certificate ends.
    #[serde(default)]
    pub certificate_days: Option<i64>,
    /// Memory of the agent's process.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_bytes: Option<u64>,
    /// The entry points as they were last measured.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub entry_points: Vec<ReportEntryPoint>,
    /// The last error.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_error: Option<ReportError>,
}

/// An entry point as the device measured it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportEntryPoint {
    /// Its name.
    pub name: String,
    /// Median time to connect; `None`: it did not answer.
    pub connect_ms: Option<u32>,
}

/// An error of the agent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportError {
    /// In words, cut to 200 characters.
    pub message: String,
    /// The device's clock.
    pub at_ms: u64,
}

/// One security setting in a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ReportSetting {
    /// Stable id, for example `storage.encryption`.
    pub id: String,
    /// The value in canonical form; empty when there is none.
    pub value: String,
    /// How much a wrong value matters.
    #[serde(default)]
    pub severity: Severity,
    /// What the value says.
    pub verdict: Verdict,
    /// Why it is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// How much a wrong value matters.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize,
)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// Good practice.
    Low,
    /// Weakens a defence.
    #[default]
    Medium,
    /// Opens a way in.
    High,
    /// Open to anyone.
    Critical,
}

impl Severity {
    /// The word on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// What a setting's value says, as its reader judges it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// As secure as it should be.
    Secure,
    /// Not as it should be.
    NotSecure,
    /// The device has no such part.
    NotApplicable,
    /// Not known, or a word of a later version. Never counts as secure.
    #[serde(other)]
    Unknown,
}

/// What a tenant asks of its devices' security settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Policy {
    /// For people.
    pub name: String,
    /// Only grows.
    #[serde(default)]
    pub version: u32,
    /// At most one for each setting.
    #[serde(default)]
    pub rules: Vec<PolicyRule>,
    /// Failures that somebody accepted for a time.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub exceptions: Vec<PolicyException>,
}

/// What one setting should be. A rule with an unknown id or operator is kept and never passes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyRule {
    /// The setting.
    pub id: String,
    /// `secure`, or one of [`OPERATORS`](crate::posture::expect::OPERATORS).
    pub operator: String,
    /// The operator's arguments.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub expected: Vec<String>,
    /// How much it matters; `None`: as the setting's reader says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub severity: Option<Severity>,
    /// Whether it counts; else it is only shown.
    #[serde(default = "always")]
    pub monitor: bool,
    /// How to mend it; empty: as the setting's reader says.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub remedy: String,
    /// The rule is for devices that meet this requirement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub applies_when: Option<String>,
}

const fn always() -> bool {
    true
}

/// A failure that somebody accepted for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PolicyException {
    /// The setting.
    pub id: String,
    /// Why.
    pub reason: String,
    /// Who.
    pub owner: String,
    /// From this moment on it counts again.
    pub until_ms: u64,
}

/// An error answer (RFC 9457), media type `application/problem+json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// `urn:scantrip:problem:` and a [`ProblemKind`](crate::problem::ProblemKind)'s name.
    #[serde(rename = "type")]
    pub kind: String,
    /// The kind in words.
    pub title: String,
    /// The HTTP status.
    pub status: u16,
    /// What happened here and what to do.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    /// Of `objects-missing`: the first 100 numbers.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub missing: Vec<u32>,
    /// Of `already-committed`: the receipt.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub receipt: Option<SignedReceipt>,
}
