//! The scanner's lane: feeds, seals and saves pages; the only writer of job files.

use std::sync::Arc;
use std::time::Duration;

use scantrip_cloud_client::seal::{
    CHUNK_BYTES, ObjectId, ObjectKind, RecipientKey, Sealer, seal_to_vec,
};
use scantrip_cloud_client::wire::{EventKind, INTENT_OBJECT, Intent};
use scantrip_hal::scanner::{
    AdfState, NextPage, PageInfo, ScanSettings, Scanner, ScannerErrorKind, StopFlag,
};
use zeroize::Zeroizing;

use super::Context;
use super::page::{PageError, SealingSink};
use crate::api::{Refusal, RefusalKind};
use crate::engine::Scanned;
use crate::engine::capture::{
    Fed, ManifestPlan, NewJob, Page, Recipient, Scan, memo, refusal_message,
};
use crate::engine::failure::chain;
use crate::job_id::JobId;
use crate::journal::{JobEntry, JobState};
use crate::spool::{JobFile, PageDetails, SpoolError};

/// The number of the manifest among a job's objects.
const MANIFEST: u32 = 0;

/// A fault in the words of IPP (`printer-state-reasons`, RFC 8011 and PWG 5107.3). They have none for two
/// sheets at once: that one is WS-Scan's `MultipleFeedError`, spelled as theirs.
const fn state_reason(kind: ScannerErrorKind) -> &'static str {
    match kind {
        ScannerErrorKind::FeederEmpty => "media-empty",
        ScannerErrorKind::PaperJam => "media-jam",
        ScannerErrorKind::DoubleFeed => "multiple-feed-error",
        ScannerErrorKind::FeederFault => "scan-media-path-input-feed-error",
        ScannerErrorKind::CoverOpen => "cover-open",
        ScannerErrorKind::Offline => "shutdown",
        _ => "other",
    }
}

/// Whether the scanner has a fault: what it cannot do is none, nor that it does something else, nor that
/// a person does not want the job any more.
const fn is_fault(kind: ScannerErrorKind) -> bool {
    use ScannerErrorKind as Kind;
    !matches!(kind, Kind::Unsupported | Kind::Busy | Kind::SinkRefused)
}

/// A reading may be this old to decide about a workflow: stacks scanned one after the other do not
/// each wait for the network, and a change counts within a minute. When it is older, the settings that
/// decide are read again, and no others: a person waits.
pub const GATE_AGE_MAX: Duration = Duration::from_secs(60);

/// Has the scanner and the job file that is open.
pub struct ScannerDriver {
    context: Arc<Context>,
    scanner: Box<dyn Scanner>,
    open: Option<JobFile>,
    seal_to: Option<SealTo>,
    /// Sealed bytes on their way; made once.
    sealed: Vec<u8>,
}

/// To whom pages are sealed now.
struct SealTo {
    key: RecipientKey,
    tenant: String,
    device: String,
}

/// Why something of a job could not be sealed or written.
#[derive(Debug, thiserror::Error)]
enum JobError {
    #[error(transparent)]
    Spool(#[from] SpoolError),
    #[error("the tenant's key cannot be used")]
    Key(#[from] scantrip_cloud_client::seal::KeyError),
    #[error(transparent)]
    Seal(#[from] scantrip_cloud_client::seal::SealError),
    #[error(transparent)]
    Entropy(#[from] scantrip_hal::entropy::EntropyError),
    #[error(transparent)]
    Journal(#[from] crate::journal::JournalError),
    #[error("the job's data cannot be written")]
    Json(#[from] serde_json::Error),
}

impl ScannerDriver {
    /// A driver for `scanner`.
    #[must_use]
    pub const fn new(context: Arc<Context>, scanner: Box<dyn Scanner>) -> Self {
        Self {
            context,
            scanner,
            open: None,
            seal_to: None,
            sealed: Vec::new(),
        }
    }

    /// Carries out one action.
    pub fn run(&mut self, scan: Scan) -> Scanned {
        match scan {
            Scan::Look { settings } => {
                let gate = (!settings.is_empty())
                    .then(|| self.context.recent_settings(&settings, GATE_AGE_MAX));
                let looked = self.scanner.capabilities();
                if let Err(error) = &looked {
                    self.note_fault(error.kind);
                }
                Scanned::Looked(looked.map_err(|error| error.to_string()), gate)
            }
            Scan::Begin {
                job,
                new,
                recipient,
                settings,
                stop,
            } => {
                self.scanner.heed(stop);
                let begun = self.begin(job, new, &recipient, &settings);
                if begun.is_ok() {
                    self.context.set_scanner("processing", None);
                }
                Scanned::Begun(begun)
            }
            Scan::NextPage { object, stop } => {
                let fed = self.next_page(object, &stop);
                self.note(&fed);
                Scanned::Fed(fed)
            }
            Scan::Halt => {
                self.cancel();
                self.context.set_scanner("idle", None);
                let loaded = self.scanner.status().map(|status| status.adf);
                Scanned::Halted(matches!(loaded, Ok(Some(AdfState::Loaded))))
            }
            Scan::Void { job, object } => {
                let voided = self.file(job).and_then(|file| file.void(object));
                self.forget_after(&voided);
                Scanned::Voided(voided.map_err(|error| chain(&error)))
            }
            Scan::Seal(plan) => {
                let sealed = self.seal(&plan);
                Scanned::Sealed(sealed.map_err(|error| chain(&error)))
            }
            Scan::Close { job } => {
                self.cancel();
                self.open.take_if(|file| file.job() == job);
                Scanned::Closed
            }
        }
    }

    /// What the scanner does now, for reports.
    fn note(&self, fed: &Fed) {
        match fed {
            Fed::Page(..) => {}
            Fed::Fault { kind, .. } if is_fault(*kind) => {
                self.note_fault(*kind);
                let reason = state_reason(*kind).to_owned();
                self.context.add_event(EventKind::ScannerFault { reason });
            }
            Fed::End | Fed::Stopped | Fed::NotKept { .. } | Fed::Fault { .. } => {
                self.context.set_scanner("idle", None)
            }
        }
    }

    fn note_fault(&self, kind: ScannerErrorKind) {
        if is_fault(kind) {
            self.context
                .set_scanner("stopped", Some(state_reason(kind)));
        }
    }

    fn begin(
        &mut self,
        job: JobId,
        new: Option<Box<NewJob>>,
        recipient: &Recipient,
        settings: &ScanSettings,
    ) -> Result<u32, Refusal> {
        let key = RecipientKey::from_spki_der(&recipient.spki);
        let key = key.map_err(|error| internal(&JobError::from(error)))?;
        self.seal_to = Some(SealTo {
            key,
            tenant: recipient.tenant.clone(),
            device: recipient.device.clone(),
        });
        let Some(new) = new else {
            let file = self.file(job).map_err(|error| spool_refusal(&error))?;
            let (last_object, next) = (file.last_object(), file.pages() + 1);
            self.start(settings, next)?;
            return Ok(last_object);
        };
        self.context
            .spool
            .admit()
            .map_err(|error| spool_refusal(&error))?;
        let started = self.create(job, &new.intent).map_err(|error| match error {
            JobError::Spool(error) => spool_refusal(&error),
            error => internal(&error),
        });
        let started = started
            .and_then(|()| self.start(settings, 1))
            .and_then(|()| {
                let entry = self.entry(job, &new, settings);
                self.context.journal.put(&entry).map_err(|error| {
                    self.cancel();
                    internal(&JobError::from(error))
                })
            });
        if let Err(refusal) = started {
            // No paper has moved: nothing is left behind.
            self.open = None;
            if let Err(error) = self.context.spool.remove(job) {
                log::warn!(
                    "scanner: job {job} could not be taken back: {}",
                    chain(&error)
                );
            }
            return Err(refusal);
        }
        Ok(0)
    }

    fn create(&mut self, job: JobId, intent: &Intent) -> Result<(), JobError> {
        let intent = Zeroizing::new(serde_json::to_vec(intent)?);
        let id = self.object_id(ObjectKind::Intent, job, INTENT_OBJECT);
        let Some(to) = &self.seal_to else {
            return Ok(());
        };
        let mut random = Random::new(&self.context)?;
        let sealed = seal_to_vec(&to.key, &id, &intent, &mut |out| random.fill(out))?;
        let created = self
            .context
            .with_entropy(|entropy| self.context.spool.create(job, &sealed, entropy))?;
        self.open = Some(created);
        Ok(())
    }

    fn start(&mut self, settings: &ScanSettings, next: u32) -> Result<(), Refusal> {
        let started = self.scanner.start(settings);
        started
            .inspect_err(|error| self.note_fault(error.kind))
            .map_err(|error| Refusal {
                kind: match error.kind {
                    ScannerErrorKind::Unsupported => RefusalKind::Invalid,
                    _ => RefusalKind::Scanner,
                },
                message: refusal_message(error.kind, &error.message, next),
            })
    }

    fn entry(&self, job: JobId, new: &NewJob, settings: &ScanSettings) -> JobEntry {
        let now = self.context.time.wall().as_millis();
        JobEntry {
            job,
            workflow_id: new.intent.workflow.clone(),
            workflow_version: new.intent.workflow_version,
            workflow_name: new.workflow_name.clone(),
            member: new.intent.member.clone(),
            pages: 0,
            opened_at_ms: now,
            changed_at_ms: now,
            state: JobState::Scanning,
            sends_intent: false,
            scan: Some(memo(settings)),
            receipt: None,
        }
    }

    fn next_page(&mut self, object: u32, stop: &StopFlag) -> Fed {
        let fault = match self.feed(object, stop) {
            Ok(Some((info, bytes))) => return Fed::Page(Page::new(object, &info), bytes),
            Ok(None) => return Fed::End,
            Err(fault) => fault,
        };
        let doubts_last = self.scanner.doubts_last_page();
        self.cancel();
        match fault {
            FeedError::Scanner(ScannerErrorKind::SinkRefused, _) if stop.is_raised() => {
                Fed::Stopped
            }
            FeedError::Scanner(kind, message) => {
                if doubts_last {
                    self.remember_doubt(object.saturating_sub(1));
                }
                Fed::Fault {
                    kind,
                    message,
                    doubts_last,
                }
            }
            FeedError::Page(PageError::Spool(error)) => {
                let full = error.is_full();
                let reason = chain(&error);
                self.forget_after(&Err(error));
                Fed::NotKept { full, reason }
            }
            FeedError::Page(PageError::Seal(error)) => not_kept(&error),
            FeedError::Job(error) => not_kept(&error),
        }
    }

    /// A page in doubt is told of after a restart too.
    fn remember_doubt(&self, object: u32) {
        let Some(job) = self.open.as_ref().map(JobFile::job) else {
            return;
        };
        let journal = &self.context.journal;
        let written = journal.get(job).and_then(|entry| {
            let Some(mut entry) = entry else {
                return Ok(());
            };
            let Some(scan) = &mut entry.scan else {
                return Ok(());
            };
            scan.doubtful = Some(object);
            journal.put(&entry)
        });
        if let Err(error) = written {
            log::warn!("scanner: page {object} of job {job}: {}", chain(&error));
        }
    }

    /// Feeds, seals and saves one page; `None` when the stack is through.
    fn feed(&mut self, object: u32, stop: &StopFlag) -> Result<Option<(PageInfo, u64)>, FeedError> {
        let sealer = self.sealer(object)?;
        let file = self.open.as_mut().ok_or(SpoolError::Abandoned(object))?;
        let mut writer = file.begin_page(object)?;
        let mut sink = SealingSink::new(sealer, &mut writer, &mut self.sealed, stop.clone())?;
        let info = match self.scanner.next_page(&mut sink) {
            Ok(NextPage::Page(info)) => info,
            Ok(NextPage::End) => return Ok(None),
            Err(error) => {
                return Err(match sink.into_error() {
                    Some(refused) => FeedError::Page(refused),
                    None => FeedError::Scanner(error.kind, error.message.as_str().to_owned()),
                });
            }
        };
        let look = sink.finish()?;
        if let Some(fault) = look.fault(info.format) {
            return Err(FeedError::Scanner(
                ScannerErrorKind::Truncated,
                fault.to_owned(),
            ));
        }
        writer.finish(details(&info))?;
        Ok(Some((info, look.bytes())))
    }

    fn sealer(&self, object: u32) -> Result<Sealer, JobError> {
        let job = self.open.as_ref().map(JobFile::job);
        let (Some(to), Some(job)) = (&self.seal_to, job) else {
            return Err(SpoolError::Abandoned(object).into());
        };
        let id = self.object_id(ObjectKind::Page, job, object);
        let mut random = Random::new(&self.context)?;
        Ok(Sealer::new(&to.key, &id, CHUNK_BYTES, &mut |out| {
            random.fill(out)
        })?)
    }

    /// Seals the manifest and with it the job. The journal hears first whether the intent belongs
    /// to it, for nobody here can read that from the manifest.
    fn seal(&mut self, plan: &ManifestPlan) -> Result<(), JobError> {
        let context = Arc::clone(&self.context);
        let pages = u32::try_from(plan.pages.len()).unwrap_or(u32::MAX);
        let mut entry = context.journal.get(plan.job)?.unwrap_or_else(|| JobEntry {
            job: plan.job,
            workflow_id: plan.workflow.clone(),
            workflow_version: plan.workflow_version,
            workflow_name: String::new(),
            member: None,
            pages,
            opened_at_ms: plan.scanned_at.unix_ms,
            changed_at_ms: 0,
            state: JobState::Draft,
            sends_intent: false,
            scan: None,
            receipt: None,
        });
        entry.pages = pages;
        entry.changed_at_ms = context.time.wall().as_millis();
        entry.sends_intent = plan.intent.is_some();
        if entry.sends_intent {
            context.journal.put(&entry)?;
        }
        let sealed = self.seal_manifest(plan)?;
        self.file(plan.job)?;
        if let Some(file) = self.open.take() {
            file.seal(&sealed)?;
        }
        entry.state = JobState::Queued;
        entry.scan = None;
        if let Err(error) = context.journal.put(&entry) {
            // The job is safe; the journal catches up when it is sent.
            log::warn!(
                "scanner: the journal does not know that job {} is sealed: {error}",
                plan.job
            );
        }
        Ok(())
    }

    fn seal_manifest(&self, plan: &ManifestPlan) -> Result<Vec<u8>, JobError> {
        let key = RecipientKey::from_spki_der(&plan.recipient.spki)?;
        let id = ObjectId {
            kind: ObjectKind::Manifest,
            tenant: plan.recipient.tenant.clone(),
            device: plan.recipient.device.clone(),
            job: *plan.job.as_bytes(),
            object: MANIFEST,
        };
        let mut random = Random::new(&self.context)?;
        let sealer = Sealer::new(&key, &id, CHUNK_BYTES, &mut |out| random.fill(out))?;
        let mut out = sealer.header().to_vec();
        let mut writer = std::io::BufWriter::with_capacity(
            4096,
            SealWriter {
                sealer,
                out: &mut out,
            },
        );
        serde_json::to_writer(&mut writer, plan)?;
        let SealWriter { sealer, out: rest } = writer
            .into_inner()
            .map_err(|error| serde_json::Error::io(error.into_error()))?;
        sealer.finish(rest);
        Ok(out)
    }

    fn object_id(&self, kind: ObjectKind, job: JobId, object: u32) -> ObjectId {
        let to = self.seal_to.as_ref();
        ObjectId {
            kind,
            tenant: to.map_or_else(String::new, |to| to.tenant.clone()),
            device: to.map_or_else(String::new, |to| to.device.clone()),
            job: *job.as_bytes(),
            object,
        }
    }

    /// The job's file, opened again if it is not the one that is open.
    fn file(&mut self, job: JobId) -> Result<&mut JobFile, SpoolError> {
        if self.open.as_ref().is_none_or(|file| file.job() != job) {
            self.open = None;
        }
        match &mut self.open {
            Some(file) => Ok(file),
            closed => Ok(closed.insert(self.context.spool.reopen(job)?)),
        }
    }

    /// After any error but a full disk the file takes no more; it is opened again when needed.
    fn forget_after(&mut self, result: &Result<(), SpoolError>) {
        if result.as_ref().is_err_and(|error| !error.is_full()) {
            self.open = None;
        }
    }

    fn cancel(&mut self) {
        if let Err(error) = self.scanner.cancel() {
            log::warn!("scanner: it does not stop: {error}");
        }
    }
}

/// Why no page came.
#[derive(Debug)]
enum FeedError {
    Scanner(ScannerErrorKind, String),
    Page(PageError),
    Job(JobError),
}

impl From<PageError> for FeedError {
    fn from(error: PageError) -> Self {
        Self::Page(error)
    }
}

impl From<SpoolError> for FeedError {
    fn from(error: SpoolError) -> Self {
        Self::Page(PageError::Spool(error))
    }
}

impl From<JobError> for FeedError {
    fn from(error: JobError) -> Self {
        Self::Job(error)
    }
}

/// Takes a manifest's bytes and seals them as they come.
struct SealWriter<'a> {
    sealer: Sealer,
    out: &'a mut Vec<u8>,
}

impl std::io::Write for SealWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.sealer
            .push(bytes, self.out)
            .map_err(std::io::Error::other)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// Randomness for one object, drawn before it is needed so that its failure is an error and never
/// a weak key.
struct Random {
    bytes: Zeroizing<[u8; 128]>,
    used: usize,
}

impl Random {
    fn new(context: &Context) -> Result<Self, scantrip_hal::entropy::EntropyError> {
        let mut bytes = Zeroizing::new([0; 128]);
        context.fill(&mut *bytes)?;
        Ok(Self { bytes, used: 0 })
    }

    fn fill(&mut self, out: &mut [u8]) {
        let end = self.used + out.len();
        let drawn = self.bytes.get(self.used..end);
        out.copy_from_slice(drawn.expect("an object needs 32 random bytes, 128 are drawn"));
        self.used = end;
    }
}

fn details(info: &PageInfo) -> PageDetails {
    PageDetails {
        media_type: info.format.media_type().to_owned(),
        images: info.images,
        dpi: info.resolution_dpi,
        side: info.side,
        width: info.width_px,
        height: info.height_px,
        doubtful: false,
    }
}

fn not_kept(error: &dyn std::error::Error) -> Fed {
    Fed::NotKept {
        full: false,
        reason: chain(error),
    }
}

fn internal(error: &JobError) -> Refusal {
    Refusal {
        kind: RefusalKind::Internal,
        message: format!("the job cannot be begun: {}", chain(error)),
    }
}

fn spool_refusal(error: &SpoolError) -> Refusal {
    match error {
        SpoolError::Full {
            needed_bytes,
            available_bytes,
        } => Refusal {
            kind: RefusalKind::Full,
            message: format!(
                "the spool is full: a job needs {needed_bytes} bytes and {available_bytes} are \
                 free; nothing was fed. Wait until jobs are sent, or discard some"
            ),
        },
        error => Refusal {
            kind: RefusalKind::Internal,
            message: format!("the job's file cannot be opened: {}", chain(error)),
        },
    }
}

#[cfg(test)]
mod tests;
