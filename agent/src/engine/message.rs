//! What goes into the engine and what comes out.

use std::time::Duration;

use scantrip_cloud_client::desired::Polled;
use scantrip_cloud_client::wire::{EventKind, Outcome, SignedReceipt};
use scantrip_hal::keys::KeySlot;
use scantrip_hal::scanner::ScannerCapabilities;

use super::capture::{Draft, Fed, Scan};
use super::failure::Failure;
use super::identity::SecretCode;
use super::{identity, outbox, session};
use crate::api::{JobEvent, Refusal, Reply, Request};
use crate::drivers::posture::Gate;
use crate::job_id::JobId;
use crate::journal::JobState;
use crate::store::{
    DesiredState, EntryPointChoice, Identity, OutcomeCursor, ReceiptHead, ReportCursor,
};

/// Names a request that waits for its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Token(pub u64);

/// One of the two lanes to the cloud.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Polls, certificates, reports. An answer may be held for a minute.
    Calls,
    /// Uploads, commits, outcomes.
    Transfers,
}

/// What happened.
#[derive(Debug)]
pub enum Input {
    /// Time passed.
    Tick,
    /// A person asks; `fresh` is a new job id. Only requests that change something come here.
    Request {
        /// Names the answer.
        token: Token,
        /// For a new job.
        fresh: JobId,
        /// What is asked for.
        request: Request,
    },
    /// A person enrols.
    Enroll(Token, SecretCode),
    /// A call was answered.
    Answered(Box<Answered>),
    /// The scanner's lane has done its action.
    Scanned(Scanned),
    /// A receipt is in the journal, or may not be.
    Kept(JobId, Result<(), String>),
    /// A reading showed that a setting has changed.
    SettingsChanged,
    /// A job's file is erased, or may not be.
    Erased(JobId, Result<(), String>),
    /// Everything is wiped, or some may be left.
    Wiped(Token, Result<(), String>),
}

/// A call's answer and what else was learned by it.
#[derive(Debug)]
pub struct Answered {
    /// The lane that is free again.
    pub lane: Lane,
    /// The front door that was asked.
    pub url: String,
    /// The cloud's clock, Unix milliseconds, when it answered over verified TLS.
    pub cloud_time_ms: Option<u64>,
    /// TLS version and cipher suite.
    pub tls: Option<String>,
    /// The answer.
    pub answer: Answer,
}

/// The answer to a [`Call`].
#[derive(Debug)]
pub enum Answer {
    /// Of [`Call::Enroll`].
    Enrolled(identity::EnrollResult),
    /// Of [`Call::Renew`]: the identity with the new certificate staged.
    Renewed(Result<Identity, Failure>),
    /// Of [`Call::Prove`].
    Proven(Result<(), Failure>),
    /// Of [`Call::Measure`].
    Measured(Result<session::Doors, Failure>),
    /// Of [`Call::Poll`].
    Polled {
        /// As asked.
        hurried: bool,
        /// The answer.
        result: Result<Polled, Failure>,
    },
    /// Of [`Call::Report`].
    Reported {
        /// Fingerprint of the settings that were read.
        settings: u64,
        /// Whether events wait that had no room.
        more: bool,
        /// Whether it arrived.
        result: Result<(), Failure>,
    },
    /// Of [`Call::Look`]: whether the device was restarted or set otherwise.
    Looked(bool),
    /// Of [`outbox::Call::Upload`].
    Uploaded(JobId, Option<u32>, Result<Option<outbox::Sent>, Failure>),
    /// Of [`outbox::Call::Commit`].
    Committed(JobId, Result<outbox::Verified, Failure>),
    /// Of [`outbox::Call::Discard`].
    Discarded(JobId, Result<outbox::DiscardAnswer, Failure>),
    /// Of [`outbox::Call::Outcomes`].
    Outcomes(Result<Vec<Outcome>, Failure>),
    /// Of [`outbox::Call::Receipts`].
    Receipts(Result<Vec<outbox::Verified>, Failure>),
}

/// The answer of the scanner's lane.
#[derive(Debug)]
pub enum Scanned {
    /// Of [`Scan::Look`], with the settings if they were asked for.
    Looked(Result<ScannerCapabilities, String>, Option<Gate>),
    /// Of [`Scan::Begin`]: the highest object number used in the file.
    Begun(Result<u32, Refusal>),
    /// Of [`Scan::NextPage`].
    Fed(Fed),
    /// Of [`Scan::Halt`]: whether the feeder still holds paper.
    Halted(bool),
    /// Of [`Scan::Void`].
    Voided(Result<(), String>),
    /// Of [`Scan::Seal`].
    Sealed(Result<(), String>),
    /// Of [`Scan::Close`].
    Closed,
}

/// What is to be done.
#[derive(Debug)]
pub enum Action {
    /// Call the cloud at `url` on a lane; answered by [`Input::Answered`].
    Call {
        /// The lane.
        lane: Lane,
        /// The front door.
        url: String,
        /// The call.
        call: Call,
    },
    /// For the scanner's lane; answered by [`Input::Scanned`].
    Scan(Scan),
    /// Write something down, now. Some are answered, as they say.
    Keep(Keep),
    /// Answer a request.
    Reply(Token, Result<Reply, Refusal>),
    /// Something happened to a job.
    Tell(JobId, JobEvent),
}

/// A call to the cloud.
#[derive(Debug)]
pub enum Call {
    /// Enrol: the only call without a certificate.
    Enroll {
        /// Where key and certificate go.
        slot: KeySlot,
        /// The code.
        code: SecretCode,
        /// The only device id that is accepted.
        only_device: Option<String>,
    },
    /// Renew into the slot.
    Renew {
        /// The spare slot.
        slot: KeySlot,
    },
    /// Poll once with the certificate of the slot.
    Prove {
        /// The staged slot.
        slot: KeySlot,
    },
    /// Fetch the front doors and measure each.
    Measure,
    /// Ask for the desired state.
    Poll {
        /// The state known.
        etag: Option<String>,
        /// How long the answer may be held.
        hold_seconds: u32,
        /// Whether it is asked beside another poll.
        hurried: bool,
    },
    /// Take a picture of the device and send it.
    Report {
        /// Its number.
        sequence: u64,
        /// Reports dropped before it.
        dropped: u64,
        /// In which its number counts.
        epoch: u64,
        /// Fingerprint of the settings that the cloud knows.
        known_settings: Option<u64>,
        /// What the engine knows of itself.
        health: Health,
    },
    /// Ask the device itself, not the cloud, whether it was restarted or set otherwise since its
    /// settings were read. A call, as reading them is: the device may be slow to answer.
    Look,
    /// For a job.
    Outbox(outbox::Call),
}

/// What the engine reports of itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Health {
    /// Jobs not yet receipted.
    pub queued_jobs: u32,
    /// Name of the entry point in use.
    pub entry_point: Option<String>,
    /// Cloud time minus device time.
    pub skew_ms: Option<i64>,
    /// Whole days until the certificate ends.
    pub certificate_days: Option<i64>,
    /// Front doors as they were last measured: name and median time to connect in ms.
    pub measured: Vec<(String, Option<u32>)>,
    /// The last error and when it was.
    pub last_error: Option<(String, u64)>,
}

/// Something to write down.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// The identity.
    Identity(Box<Identity>),
    /// The identity; then forget the key in the slot.
    Switch(Box<Identity>, KeySlot),
    /// The front door and why.
    Choice(EntryPointChoice),
    /// The desired state.
    Desired(Box<DesiredState>),
    /// How far reports are.
    Report(ReportCursor),
    /// How far outcomes are read.
    Outcome(OutcomeCursor),
    /// The end of the chain of receipts.
    Head(ReceiptHead),
    /// A time that is surely past, Unix milliseconds.
    Floor(u64),
    /// A job's new state, in the journal.
    Job(JobId, JobState),
    /// Something that the cloud shall know.
    Event(EventKind),
    /// A job's receipt in the journal, then the end of the chain. Answered by [`Input::Kept`].
    Receipt(JobId, Box<SignedReceipt>, Option<ReceiptHead>),
    /// Erase a job's file. Answered by [`Input::Erased`].
    Erase(JobId),
    /// Wipe identity, spool, journal and keys. Answered by [`Input::Wiped`].
    Wipe(Token),
}

/// What an engine begins with.
#[derive(Debug)]
pub struct Start {
    /// How the session behaves.
    pub session: session::Settings,
    /// Whether the network may be used at all.
    pub online: bool,
    /// Whether reports are sent.
    pub telemetry: bool,
    /// How often the security settings are read.
    pub settings_every: Duration,
    /// Who the device is.
    pub identity: Option<Identity>,
    /// The front door in use.
    pub choice: Option<EntryPointChoice>,
    /// The last desired state.
    pub desired: Option<DesiredState>,
    /// How far reports are.
    pub report: ReportCursor,
    /// How far outcomes are read.
    pub outcome: OutcomeCursor,
    /// The end of the chain of receipts.
    pub head: ReceiptHead,
    /// Drafts found in the spool.
    pub drafts: Vec<Draft>,
    /// Other jobs that are not finished.
    pub found: Vec<outbox::Found>,
}

impl Answer {
    pub(super) fn failure(&self) -> Option<&Failure> {
        match self {
            Self::Enrolled(_) => None,
            Self::Renewed(result) => result.as_ref().err(),
            Self::Proven(_) => None,
            Self::Measured(result) => result.as_ref().err(),
            Self::Polled { result, .. } => result.as_ref().err(),
            Self::Reported { result, .. } => result.as_ref().err(),
            Self::Looked(_) => None,
            Self::Uploaded(_, _, result) => result.as_ref().err(),
            Self::Committed(_, result) => result.as_ref().err(),
            Self::Discarded(_, result) => result.as_ref().err(),
            Self::Outcomes(result) => result.as_ref().err(),
            Self::Receipts(result) => result.as_ref().err(),
        }
    }

    pub(super) const fn is_transfer(&self) -> bool {
        matches!(
            self,
            Self::Uploaded(..)
                | Self::Committed(..)
                | Self::Discarded(..)
                | Self::Outcomes(_)
                | Self::Receipts(_)
                | Self::Reported { .. }
        )
    }
}
