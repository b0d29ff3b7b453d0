//! What is stored, and where.
//!
//! | Partition | Sort | Value |
//! |---|---|---|
//! | `T#t` | `A` | [`Tenant`] |
//! | `T#t` | `W#workflow` | [`StoredWorkflow`] |
//! | `T#t` | `P` | [`StoredPolicy`] |
//! | `T#t` | `K#hash` | [`Code`] |
//! | `T#t` | `S#hash` | [`SerialOwner`] |
//! | `T#t` | `D#device` | [`DeviceEntry`], for listing |
//! | `T#t` | `Q#device#job` | [`JobRef`], work for the runner |
//! | `T#t#D#d` | `A` | [`Device`] |
//! | `T#t#D#d` | `H` | [`Heads`] |
//! | `T#t#D#d` | `J#job` | [`Job`] |
//! | `T#t#D#d` | `P` | [`Telemetry`] |
//! | `T#t#D#d` | `S` | [`Standing`](super::standing::Standing) |
//! | `T#t#D#d#T` | sequence | [`HistoryRow`](super::standing::HistoryRow) |
//! | `T#t#D#d#U` | upload id | [`Upload`], not yet complete |
//! | `T#t#D#d#J#job` | `O#object#hash` | [`Upload`], complete |
//! | `T#t#D#d#J#job` | `E` | the envelope |
//! | `T#t#D#d#R` | sequence | [`wire::SignedReceipt`] |
//! | `T#t#D#d#F` | sequence | [`wire::Outcome`] |
//!
//! Global rows hold ids or counts alone and are not sealed: `G#CERT#hash`, `G#CODE#hash`,
//! `G#TENANT`, `G#TRY#hash` and `G#REVISION`; see [`super::global`].

use scantrip_cloud_client::wire;
use serde::{Deserialize, Serialize};

use crate::blobs::{Folder, Part};
use crate::sealed_store::Place;

/// A customer.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Tenant {
    /// Unique among tenants, for people.
    pub name: String,
    /// When it was added.
    pub created_at_ms: u64,
    /// Grows with each change of what its devices shall be.
    pub generation: u64,
    /// Public keys, newest first.
    pub keys: Vec<wire::TenantKey>,
}

impl Tenant {
    /// Where it lies.
    #[must_use]
    pub fn place() -> Place {
        Place::new("", "A")
    }
}

/// A workflow as it was added.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredWorkflow {
    /// What devices see; its version grows with each change.
    pub wire: wire::Workflow,
    /// The file as it was given; steps are read from it.
    pub source: String,
    /// When this version was added.
    pub changed_at_ms: u64,
}

impl StoredWorkflow {
    /// What the sort keys of workflows begin with.
    pub const PREFIX: &'static str = "W#";

    /// Where it lies.
    #[must_use]
    pub fn place(id: &str) -> Place {
        Place::new("", format!("{}{id}", Self::PREFIX))
    }
}

/// What a tenant asks of its devices' settings.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct StoredPolicy {
    /// What devices see.
    pub wire: wire::Policy,
    /// The file as it was given.
    pub source: String,
    /// When it was set.
    pub changed_at_ms: u64,
}

impl StoredPolicy {
    /// Where it lies.
    #[must_use]
    pub fn place() -> Place {
        Place::new("", "P")
    }
}

/// An enrolment code, without the code.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Code {
    /// The one device it is for; `None`: any.
    pub serial: Option<String>,
    /// When it ends unless it is spent.
    pub expires_at_ms: u64,
    /// What it was spent for.
    pub spent: Option<Spent>,
}

impl Code {
    /// Where it lies; `hash` is the code's HMAC.
    #[must_use]
    pub fn place(hash: &str) -> Place {
        Place::new("", format!("K#{hash}"))
    }
}

/// What a code was spent for.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Spent {
    /// The device's id.
    pub device: String,
    /// SHA-256 of the public key that the code is bound to, hexadecimal.
    pub key: String,
}

/// Which device has a serial number.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SerialOwner {
    /// The device's id.
    pub device: String,
}

impl SerialOwner {
    /// Where it lies; `hash` is the serial's HMAC.
    #[must_use]
    pub fn place(hash: &str) -> Place {
        Place::new("", format!("S#{hash}"))
    }
}

/// Makes a device findable from its tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceEntry {}

impl DeviceEntry {
    /// What the sort keys of devices begin with.
    pub const PREFIX: &'static str = "D#";

    /// Where it lies.
    #[must_use]
    pub fn place(device: &str) -> Place {
        Place::new("", format!("{}{device}", Self::PREFIX))
    }
}

/// A device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Device {
    /// Its serial number, as it enrolled.
    pub serial: String,
    /// When it first enrolled.
    pub created_at_ms: u64,
    /// Whether it was revoked and not enrolled again.
    pub revoked: bool,
    /// The live certificates, newest first, at most two.
    pub certificates: Vec<Certificate>,
}

impl Device {
    /// Where it lies.
    #[must_use]
    pub fn place(device: &str) -> Place {
        Place::new(device_partition(device), "A")
    }
}

/// A live certificate.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Certificate {
    /// SHA-256 of `der`, hexadecimal.
    pub fingerprint: String,
    /// SHA-256 of its SubjectPublicKeyInfo, hexadecimal.
    pub key: String,
    /// Valid from.
    pub not_before_ms: u64,
    /// Valid until.
    pub not_after_ms: u64,
    /// The certificate, base64.
    pub der: String,
}

/// What a certificate is worth now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct CertificateOwnerState {
    pub(crate) owner: super::global::CertificateOwner,
    /// When it ends; `None`: it is not live any more.
    pub(crate) not_after_ms: Option<u64>,
}

/// The ends of a device's chains.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Heads {
    /// Number of the last receipt.
    pub receipt_seq: u64,
    /// SHA-256 of the last receipt, hexadecimal.
    pub receipt_hash: String,
    /// Number of the last outcome.
    pub outcome_seq: u64,
}

impl Heads {
    /// Where they lie.
    #[must_use]
    pub fn place(device: &str) -> Place {
        Place::new(device_partition(device), "H")
    }
}

/// A job.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum Job {
    /// Objects are coming in.
    Open,
    /// It was taken.
    Committed(Box<Committed>),
    /// Its id is dead for good.
    Discarded,
}

/// What is kept of a taken job as long as its tenant.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Committed {
    /// SHA-256 of the envelope's exact bytes, hexadecimal.
    pub envelope: String,
    /// Number of objects.
    pub objects: u32,
    /// Their sealed bytes together.
    pub sealed_bytes: u64,
    /// What the device got.
    pub receipt: wire::SignedReceipt,
    /// What became of it last.
    pub outcome: wire::Outcome,
    /// Whether its sealed content was erased.
    #[serde(default)]
    pub erased: bool,
}

impl Job {
    /// What the sort keys of jobs begin with.
    pub const PREFIX: &'static str = "J#";

    /// Where it lies.
    #[must_use]
    pub fn place(device: &str, job: &str) -> Place {
        Place::new(device_partition(device), format!("{}{job}", Self::PREFIX))
    }
}

/// A sealed object as far as it has come.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Upload {
    /// Job id.
    pub job: String,
    /// Object number.
    pub object: u32,
    /// All its bytes.
    pub size: u64,
    /// SHA-256 of all its bytes, hexadecimal.
    pub sha256: String,
    /// Durable bytes.
    pub offset: u64,
    /// Where they are.
    pub parts: Vec<Part>,
    /// When it is forgotten unless its job is taken.
    pub expires_at_ms: u64,
}

impl Upload {
    /// The partition of a device's uploads that are not complete.
    #[must_use]
    pub fn unfinished(device: &str) -> String {
        format!("{}#U", device_partition(device))
    }

    /// The partition of a job's complete objects.
    #[must_use]
    pub fn complete(device: &str, job: &str) -> String {
        format!("{}#J#{job}", device_partition(device))
    }

    /// What the sort keys of complete objects begin with.
    pub const PREFIX: &'static str = "O#";
}

/// Where a job's envelope lies.
#[must_use]
pub fn envelope_place(device: &str, job: &str) -> Place {
    Place::new(Upload::complete(device, job), "E")
}

/// The last telemetry of a device.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Telemetry {
    /// The newest report.
    pub report: wire::Report,
    /// The newest settings that came with any report, and their report's sequence.
    pub settings: Option<(u64, Vec<wire::ReportSetting>)>,
    /// When the newest report came in.
    pub received_at_ms: u64,
}

impl Telemetry {
    /// Where it lies.
    #[must_use]
    pub fn place(device: &str) -> Place {
        Place::new(device_partition(device), "P")
    }
}

/// Where receipt number `seq` lies.
#[must_use]
pub fn receipt_place(device: &str, seq: u64) -> Place {
    Place::new(receipts(device), sequence(seq))
}

/// The partition of a device's receipts.
#[must_use]
pub fn receipts(device: &str) -> String {
    format!("{}#R", device_partition(device))
}

/// Where outcome number `seq` lies.
#[must_use]
pub fn outcome_place(device: &str, seq: u64) -> Place {
    Place::new(outcomes(device), sequence(seq))
}

/// The partition of a device's outcomes.
#[must_use]
pub fn outcomes(device: &str) -> String {
    format!("{}#F", device_partition(device))
}

/// A number as a sort key that orders like the number.
#[must_use]
pub fn sequence(seq: u64) -> String {
    format!("{seq:020}")
}

/// The partition of a device's own items.
#[must_use]
pub fn device_partition(device: &str) -> String {
    format!("#D#{device}")
}

/// Names a job in the cloud.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct JobRef {
    /// Tenant id.
    pub tenant: String,
    /// Device id.
    pub device: String,
    /// Job id.
    pub job: String,
}

impl JobRef {
    /// What the sort keys of queued jobs begin with.
    pub const PREFIX: &'static str = "Q#";

    /// Where it waits for the runner.
    #[must_use]
    pub fn queue_place(&self) -> Place {
        Place::new("", format!("{}{}#{}", Self::PREFIX, self.device, self.job))
    }

    /// The partition for what the runner remembers of the job; sort keys `S#...` are its own.
    #[must_use]
    pub fn partition(&self) -> String {
        Upload::complete(&self.device, &self.job)
    }

    /// Where its blob parts lie, sealed objects and the runner's intermediates.
    #[must_use]
    pub fn folder(&self) -> Folder {
        Folder::new(&[&self.tenant, &self.device, &self.job])
    }
}
