//! How long the agent takes from its start to `ready` with 10,000 queued jobs.
//!
//! The jobs are real: each was opened, got a page, was sealed and renamed, and stands in the
//! journal as queued. Only their bytes are the same in all of them, and nothing was synced while
//! they were made, which start-up cannot see.

use std::sync::Arc;

use anyhow::{Context, ensure};
use scantrip::job_id::JobId;
use scantrip::journal::{JobEntry, JobState, Journal};
use scantrip::spool::{PageDetails, Spool, SpoolLimits};
use scantrip_hal::backends::folder_disk::FolderDisk;
use scantrip_hal::backends::key_file::KeyFile;
use scantrip_hal::backends::system::SystemEntropy;
use scantrip_hal::disk::{Disk, DiskError, DiskFile};
use scantrip_hal::scanner::Side;
use serde_json::{Value, json};

use super::pairs::{median, round};
use crate::bench::now;
use crate::program;
use crate::stage::Stage;

const JOBS: u64 = 10_000;
const STARTS: u32 = 11;
/// Sealed bytes of each job: an intent, a small page, a manifest.
const OBJECT_BYTES: usize = 1000;

/// The median of several starts, in milliseconds.
pub(super) fn with_ten_thousand_jobs(mut stage: Stage) -> anyhow::Result<Value> {
    stage.configure_agent("sheets = \"1\"\nduplex_content = \"false\"")?;
    let code = stage.enrollment_code()?;
    program::run_with_input(stage.agent().arg("enroll"), format!("{code}\n").as_bytes())?;
    queue(&stage)?;
    // So that nothing is sent meanwhile.
    stage.serving().context("no cloud")?.kill()?;
    let mut times = Vec::new();
    for _ in 0..STARTS {
        let started = now();
        let agent = stage.run_agent(&[])?;
        times.push((now() - started).as_secs_f64() * 1000.0);
        drop(agent);
    }
    let agent = stage.run_agent(&[])?;
    let status = stage.agent_json(&["status"])?;
    let queued = status.get("queued_jobs").and_then(Value::as_u64);
    ensure!(queued == Some(JOBS), "{queued:?} jobs are queued");
    drop(agent);
    let least = times.iter().copied().fold(f64::MAX, f64::min);
    Ok(json!({
        "restart_ms": round(median(&times)),
        "restart_ms_min": round(least),
    }))
}

/// Fills spool and journal of the agent, which is not running.
fn queue(stage: &Stage) -> anyhow::Result<()> {
    let disk = Arc::new(Unsynced(FolderDisk::open(&stage.path("agent"), None)?));
    let key_file = stage.path("agent-keys/device.key");
    let keys = Arc::new(KeyFile::open(&key_file, Box::new(SystemEntropy))?);
    let limits = SpoolLimits {
        bytes_max: u64::MAX,
        free_bytes_min: 0,
        reserve_bytes: 64 * 1024,
    };
    let mut entropy = SystemEntropy;
    let (spool, _) = Spool::open(Arc::clone(&disk) as Arc<dyn Disk>, "spool", limits)?;
    let (journal, _) = Journal::open(disk, keys, "state", &mut entropy)?;
    let sealed = vec![7; OBJECT_BYTES];
    for number in 0..JOBS {
        let job = JobId::generate(&mut entropy)?;
        let mut file = spool.create(job, &sealed, &mut entropy)?;
        let mut page = file.begin_page(1)?;
        page.push(&sealed)?;
        page.finish(details())?;
        file.seal(&sealed)?;
        journal.put(&entry(job, number))?;
    }
    Ok(())
}

fn details() -> PageDetails {
    PageDetails {
        media_type: "image/jpeg".to_owned(),
        images: 1,
        dpi: 300,
        side: Side::Front,
        width: 2480,
        height: 3508,
        doubtful: false,
    }
}

/// A queued job of one page.
pub(super) fn entry(job: JobId, number: u64) -> JobEntry {
    let at_ms = 1_700_000_000_000 + number;
    JobEntry {
        job,
        workflow_id: "bench".to_owned(),
        workflow_version: 1,
        workflow_name: "Incoming invoices".to_owned(),
        member: Some("m.muster".to_owned()),
        pages: 1,
        opened_at_ms: at_ms,
        changed_at_ms: at_ms,
        state: JobState::Queued,
        sends_intent: false,
        scan: None,
        receipt: None,
    }
}

/// A disk that is not waited for.
struct Unsynced(FolderDisk);

/// One of its files.
struct UnsyncedFile(Box<dyn DiskFile>);

impl Disk for Unsynced {
    fn create_new(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = self.0.create_new(path)?;
        Ok(Box::new(UnsyncedFile(file)))
    }

    fn open(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = self.0.open(path)?;
        Ok(Box::new(UnsyncedFile(file)))
    }

    fn length(&self, path: &str) -> Result<u64, DiskError> {
        self.0.length(path)
    }

    fn create_folder(&self, path: &str) -> Result<(), DiskError> {
        self.0.create_folder(path)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, DiskError> {
        self.0.list(folder)
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        self.0.rename(from, to)
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.0.remove(path)
    }

    fn remove_folder(&self, path: &str) -> Result<(), DiskError> {
        self.0.remove_folder(path)
    }

    fn sync_folder(&self, _folder: &str) -> Result<(), DiskError> {
        Ok(())
    }

    fn free_bytes(&self) -> Result<u64, DiskError> {
        self.0.free_bytes()
    }
}

impl DiskFile for UnsyncedFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, DiskError> {
        self.0.read_at(offset, out)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        self.0.write_at(offset, bytes)
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.0.len()
    }

    fn reserve(&mut self, length: u64) -> Result<(), DiskError> {
        self.0.reserve(length)
    }

    fn set_len(&mut self, length: u64) -> Result<(), DiskError> {
        self.0.set_len(length)
    }

    fn sync_data(&mut self) -> Result<(), DiskError> {
        Ok(())
    }
}
