//! The steps a workflow is made of, and what a step may do.
//!
//! A step is one file in `steps/` and one line in [`STEPS`]; `docs/how-to/add-a-step.md` says how.
//! A step may be run again after a crash at any point, so it must be idempotent: it keeps what it
//! has to remember in its *record*, which is durable when [`Work::save_record`] returns.

use std::collections::BTreeMap;
use std::error::Error;
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use scantrip_cloud_client::wire::ManifestPage;
use thiserror::Error;

use self::folders::Folders;
use crate::blobs::BlobError;
use crate::keys::KeysError;
use crate::sealed_store::VaultError;

pub mod assemble_pdf;
pub mod deliver_folder;
pub mod folders;

/// Every step, by name.
pub static STEPS: &[StepMeta] = &[assemble_pdf::META, deliver_folder::META];

/// What is known of a step before it is used.
#[derive(Clone, Copy, Debug)]
pub struct StepMeta {
    /// What a workflow's `use` names.
    pub name: &'static str,
    /// One sentence for people.
    pub summary: &'static str,
    /// What it reads.
    pub takes: Shape,
    /// What it leaves for the next step.
    pub gives: Shape,
    /// Whether the document is at a destination after it.
    pub delivers: bool,
    /// Checks the options in a workflow file.
    pub parse: fn(StepOptions<'_>) -> Result<Box<dyn Step>, OptionsError>,
}

/// What goes from step to step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shape {
    /// Pages as they were scanned.
    Pages,
    /// One document.
    Document,
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pages => "single pages",
            Self::Document => "one document",
        })
    }
}

/// The options of a step in a workflow file, and what they may refer to.
pub struct StepOptions<'a> {
    /// The step's table without `use`.
    pub table: toml::de::ValueDeserializer<'a>,
    /// Names of the workflow's fields.
    pub fields: &'a [&'a str],
}

/// Why a step's options cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub struct OptionsError {
    /// What is wrong and what to write.
    pub message: String,
    /// Where in the file, in bytes.
    pub span: Option<Range<usize>>,
}

impl From<toml::de::Error> for OptionsError {
    fn from(error: toml::de::Error) -> Self {
        Self {
            message: error.message().to_owned(),
            span: error.span(),
        }
    }
}

/// A step with its options.
pub trait Step: fmt::Debug + Send + Sync {
    /// Does the step, or what a crash has left of it.
    ///
    /// # Errors
    ///
    /// [`StepFault`] says whether to try again.
    fn run(&self, work: &mut dyn Work) -> Result<Done, StepFault>;
}

/// What a finished step has done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Done {
    /// Made a document for the next step.
    Document,
    /// Brought the document to its destination.
    Delivered {
        /// Where, for people.
        place: String,
        /// Under what name.
        name: String,
    },
}

/// Why a step did not finish. Its words reach the person who scanned, so they hold no field values.
#[derive(Debug, Error)]
pub enum StepFault {
    /// The outside world is not ready; tried again later.
    #[error("{reason}")]
    Retry {
        /// What is wrong and what a person can do.
        reason: String,
    },
    /// It will never work.
    #[error("{reason}")]
    Refused {
        /// What is wrong and what a person can do.
        reason: String,
    },
    /// The cloud's own storage failed; tried again later.
    #[error("the cloud's storage failed")]
    Internal(#[source] Box<dyn Error + Send + Sync>),
}

impl StepFault {
    /// The cloud's own storage failed.
    pub fn internal(error: impl Into<Box<dyn Error + Send + Sync>>) -> Self {
        Self::Internal(error.into())
    }
}

impl From<VaultError> for StepFault {
    fn from(error: VaultError) -> Self {
        Self::internal(error)
    }
}

impl From<BlobError> for StepFault {
    fn from(error: BlobError) -> Self {
        Self::internal(error)
    }
}

impl From<KeysError> for StepFault {
    fn from(error: KeysError) -> Self {
        Self::internal(error)
    }
}

/// What a step may know of its job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Facts {
    /// The job's id.
    pub job: String,
    /// Position of the running step in the workflow.
    pub step: usize,
    /// The tenant's id.
    pub tenant: String,
    /// The device's id.
    pub device: String,
    /// The workflow's name.
    pub workflow: String,
    /// What was entered at the panel.
    pub fields: BTreeMap<String, String>,
    /// When the document was scanned, in milliseconds since 1970, by the cloud's clock.
    pub scanned_ms: u64,
    /// The pages in order.
    pub pages: Vec<ManifestPage>,
}

/// A document between two steps.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Document {
    /// Extension of its format, without the dot.
    pub extension: String,
    /// Length in bytes.
    pub bytes: u64,
    /// SHA-256 in hexadecimal.
    pub sha256: String,
}

/// What a step works with. Whatever it writes is sealed, the destination excepted.
pub trait Work {
    /// The job.
    fn facts(&self) -> &Facts;

    /// The bytes of the page at `index` (0 and up), as the scanner gave them.
    ///
    /// # Errors
    ///
    /// If the page cannot be read or is not what the device sealed.
    fn read_page(&mut self, index: usize) -> Result<Vec<u8>, StepFault>;

    /// Appends to the document that this step makes. What an earlier try wrote is gone.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn write_document(&mut self, bytes: &[u8]) -> Result<(), StepFault>;

    /// Ends the document that this step makes, and keeps it for the next step.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn finish_document(&mut self, extension: &str) -> Result<(), StepFault>;

    /// The document that the step before made.
    fn document(&self) -> Option<&Document>;

    /// Hands out the document in pieces.
    ///
    /// # Errors
    ///
    /// If it cannot be read, and those of `sink`.
    fn read_document(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), StepFault>,
    ) -> Result<(), StepFault>;

    /// What this step saved last for this job.
    fn record(&self) -> Option<&serde_json::Value>;

    /// Saves what the step must remember; durable when it returns.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn save_record(&mut self, record: serde_json::Value) -> Result<(), StepFault>;

    /// The workflow's next number, 1 and up. No number is given twice.
    ///
    /// # Errors
    ///
    /// If storage fails.
    fn next_counter(&mut self) -> Result<u64, StepFault>;

    /// Folders to deliver into.
    fn folders(&self) -> Arc<dyn Folders>;
}

#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
mod tests;
