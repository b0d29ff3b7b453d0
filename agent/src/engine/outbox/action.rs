//! What the outbox machine wants done, and what it is told.

use scantrip_cloud_client::wire::{Receipt, SignedReceipt};

use crate::api::{JobEvent, Refusal, Reply};
use crate::engine::Token;
use crate::job_id::JobId;
use crate::journal::JobState;
use crate::store::ReceiptHead;

/// What the machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Action {
    /// A call to the cloud, on the lane of transfers.
    Call(Call),
    /// Write the job's new state into the journal.
    Note(JobId, JobState),
    /// Write receipt and state into the journal, then the end of the chain; answered by
    /// [`Machine::handle_kept`](super::Machine::handle_kept).
    KeepReceipt {
        /// The job.
        job: JobId,
        /// What the cloud signed.
        receipt: SignedReceipt,
        /// The end of the chain from now on, if the receipt extends it.
        head: Option<ReceiptHead>,
    },
    /// Remember the end of the chain, closed by receipts that were fetched.
    KeepHead(ReceiptHead),
    /// Erase the job's file.
    Erase(JobId),
    /// Remember how far outcomes are read.
    KeepCursor(u64),
    /// Something happened to a job.
    Tell(JobId, JobEvent),
    /// Answer a request.
    Reply(Token, Result<Reply, Refusal>),
    /// Something that a person must hear, of no job.
    Alarm(String),
}

/// A call to the cloud.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Call {
    /// Send one object: `wanted`, else the first page after `after`.
    Upload {
        /// The job.
        job: JobId,
        /// Pages up to this one are in the cloud.
        after: u32,
        /// Exactly this object.
        wanted: Option<u32>,
        /// Whether an earlier try may have sent some of it.
        resume: bool,
    },
    /// Commit the job.
    Commit {
        /// The job.
        job: JobId,
        /// Whether the intent belongs to it.
        with_intent: bool,
    },
    /// Tell the cloud that the job shall never arrive.
    Discard {
        /// The job.
        job: JobId,
        /// Whether the intent would have belonged to it.
        with_intent: bool,
    },
    /// Ask what became of jobs.
    Outcomes {
        /// The last position taken.
        after: u64,
    },
    /// Ask for the receipts that are missing in the chain.
    Receipts {
        /// The last one there is.
        after: u64,
    },
}

/// One object that the cloud has now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Its number.
    pub object: u32,
    /// Its sealed size.
    pub size: u64,
    /// Whether nothing of it was there before.
    pub fresh: bool,
    /// Sealed bytes of the whole job, as far as it is there.
    pub job_bytes: u64,
}

/// A receipt whose signature and contents were checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verified {
    /// As it came.
    pub signed: SignedReceipt,
    /// What it says.
    pub receipt: Receipt,
    /// SHA-256 of its exact bytes.
    pub hash: [u8; 32],
    /// Six characters for people.
    pub code: String,
}

/// The cloud's answer to a discard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum DiscardAnswer {
    /// It will never arrive.
    Discarded,
    /// It was too late; the receipt, verified.
    TooLate(Box<Verified>),
}

/// A job found at start-up.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The job.
    pub job: JobId,
    /// When it was opened, Unix milliseconds.
    pub opened_at_ms: u64,
    /// Where it was.
    pub stage: FoundStage,
}

/// Where a job was when the agent stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FoundStage {
    /// Sealed, not receipted. `with_intent`: the intent belongs to it.
    Sealed {
        /// Whether the intent is sent.
        with_intent: bool,
    },
    /// The receipt is kept; the file is still to be erased.
    Receipted,
    /// A person discarded it.
    Discarding,
    /// Refused for good before; waits for a person.
    Refused(String),
    /// In the cloud; its outcome is awaited.
    Received,
}
