//! What it costs to save a page, against the bare cryptography on one core.
//!
//! Ours: the page goes through the agent's own sink in the pieces that a scanner gives, is sealed,
//! hashed, written and synced; each page waits for the disk. The ceiling: the same bytes through
//! the same AES-256-GCM and SHA-256, and nothing else.

use std::path::Path;
use std::sync::Arc;

use aes_gcm::aead::inout::InOutBuf;
use aes_gcm::aead::{AeadInOut as _, KeyInit as _};
use aes_gcm::{Aes256Gcm, Nonce};
use anyhow::{Context, ensure};
use scantrip::drivers::page::SealingSink;
use scantrip::job_id::JobId;
use scantrip::spool::{JobFile, JobReader, PageDetails, PageRecord, Spool, SpoolLimits};
use scantrip_cloud_client::seal::{
    CHUNK_BYTES, HEADER_BYTES, ObjectId, ObjectKind, Opener, PrivateKey, Sealer, seal_to_vec,
};
use scantrip_cloud_client::wire::INTENT_OBJECT;
use scantrip_hal::backends::folder_disk::FolderDisk;
use scantrip_hal::backends::system::SystemEntropy;
use scantrip_hal::entropy::Entropy as _;
use scantrip_hal::scanner::{PageSink as _, Side, StopFlag};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::pairs::{self, on_cpu_ns};
use crate::bench::now;

/// A4 in colour at 300 dpi as the head gives it: the most that a page can be.
const RAW_PAGE_BYTES: usize = 26_000_000;
/// The same as JPEG: what a page mostly is.
const JPEG_PAGE_BYTES: usize = 1_000_000;
const RAW_PAGES: u32 = 8;
const JPEG_PAGES: u32 = 64;
/// What scanners give at once.
pub(super) const PIECE_BYTES: usize = 64 * 1024;
const TENANT: &str = "bench";
const DEVICE: &str = "bench";

/// The ratios: in time and in processor time, for raw pages and for JPEG pages.
pub(super) fn against_the_ceiling(folder: &Path) -> anyhow::Result<Value> {
    let mut told = Value::Null;
    for (name, bytes, pages) in [
        ("spool", RAW_PAGE_BYTES, RAW_PAGES),
        ("spool_jpeg", JPEG_PAGE_BYTES, JPEG_PAGES),
    ] {
        let bench = Bench::new(&folder.join(name), bytes, pages)?;
        let ceiling = Ceiling::new(bytes, pages)?;
        let (mut own_cpu, mut other_cpu) = (Vec::new(), Vec::new());
        let times = pairs::run(
            |_| {
                let (seconds, cpu) = bench.save()?;
                own_cpu.push(cpu);
                Ok(seconds)
            },
            |_| {
                let (seconds, cpu) = ceiling.clone().run()?;
                other_cpu.push(cpu);
                Ok(seconds)
            },
        )?;
        let total = bytes as f64 * f64::from(pages);
        let rate = |seconds: &[f64]| pairs::round(total / 1e6 / pairs::median(seconds));
        let cpu = pairs::median(&other_cpu) / pairs::median(&own_cpu);
        super::merge(&mut told, times.tell(&format!("{name}_vs_ceiling")));
        super::merge(
            &mut told,
            serde_json::json!({
                format!("{name}_cpu_vs_ceiling"): pairs::round(cpu),
                format!("{name}_megabytes_per_second"): rate(&times.ours),
                format!("{name}_ceiling_megabytes_per_second"): rate(&times.theirs),
            }),
        );
    }
    Ok(told)
}

/// A spool of its own and a page.
pub(super) struct Bench {
    spool: Spool,
    key: PrivateKey,
    page: Vec<u8>,
    pages: u32,
}

impl Bench {
    pub(super) fn new(folder: &Path, bytes: usize, pages: u32) -> anyhow::Result<Self> {
        let disk = Arc::new(FolderDisk::open(folder, None)?);
        let limits = SpoolLimits {
            bytes_max: u64::MAX,
            free_bytes_min: 0,
            reserve_bytes: SpoolLimits::RESERVE_BYTES,
        };
        Ok(Self {
            spool: Spool::open(disk, "spool", limits)?.0,
            key: PrivateKey::generate(&mut random),
            page: drawn(bytes)?,
            pages,
        })
    }

    /// A reader of a job.
    pub(super) fn reader(&self, job: JobId) -> anyhow::Result<JobReader> {
        Ok(self.spool.reader(job)?)
    }

    /// Erases a job.
    pub(super) fn remove(&self, job: JobId) -> anyhow::Result<()> {
        Ok(self.spool.remove(job)?)
    }

    /// Saves the pages of one job; seconds and nanoseconds on the processor. Then the last page is
    /// read back and opened, and the job erased.
    fn save(&self) -> anyhow::Result<(f64, f64)> {
        let (started, cpu) = (now(), on_cpu_ns()?);
        let (job, record) = self.write()?;
        let took = ((now() - started).as_secs_f64(), on_cpu_ns()? - cpu);
        self.check(job, &record)?;
        self.spool.remove(job)?;
        Ok(took)
    }

    /// Saves the pages of one job, which stays; the last one's record.
    pub(super) fn write(&self) -> anyhow::Result<(JobId, PageRecord)> {
        let job = JobId::generate(&mut SystemEntropy)?;
        let intent = self.id(ObjectKind::Intent, job, INTENT_OBJECT);
        let sealed = seal_to_vec(self.key.public(), &intent, b"{}", &mut random)?;
        let mut file = self.spool.create(job, &sealed, &mut SystemEntropy)?;
        let mut buffer = Vec::new();
        let mut last = None;
        for object in 1..=self.pages {
            last = Some(self.page(&mut file, job, object, &mut buffer)?);
        }
        let manifest = self.id(ObjectKind::Manifest, job, 0);
        file.seal(&seal_to_vec(
            self.key.public(),
            &manifest,
            b"{}",
            &mut random,
        )?)?;
        Ok((job, last.context("no page")?))
    }

    fn page(
        &self,
        file: &mut JobFile,
        job: JobId,
        object: u32,
        buffer: &mut Vec<u8>,
    ) -> anyhow::Result<PageRecord> {
        let id = self.id(ObjectKind::Page, job, object);
        let sealer = Sealer::new(self.key.public(), &id, CHUNK_BYTES, &mut random)?;
        let mut writer = file.begin_page(object)?;
        let mut sink = SealingSink::new(sealer, &mut writer, buffer, StopFlag::default())?;
        for piece in self.page.chunks(PIECE_BYTES) {
            ensure!(sink.write(piece).is_ok(), "the sink refused");
        }
        sink.finish()?;
        Ok(writer.finish(PageDetails {
            media_type: "image/jpeg".to_owned(),
            images: 1,
            dpi: 300,
            side: Side::Front,
            width: 0,
            height: 0,
            doubtful: false,
        })?)
    }

    fn check(&self, job: JobId, record: &PageRecord) -> anyhow::Result<()> {
        let mut reader = self.spool.reader(job)?;
        let mut sealed = vec![0; usize::try_from(record.size)?];
        let read = reader.read_at(record.object, 0, &mut sealed)?;
        ensure!(read == sealed.len(), "the page is cut off");
        ensure!(*Sha256::digest(&sealed) == record.sha256, "another page");
        let (header, body) = sealed
            .split_first_chunk::<HEADER_BYTES>()
            .context("no header")?;
        let id = self.id(ObjectKind::Page, job, record.object);
        let mut opener = Opener::new(&self.key, &id, header)?;
        let mut plain = Vec::with_capacity(self.page.len());
        opener.push(body, &mut plain)?;
        opener.finish(&mut plain)?;
        ensure!(plain == self.page, "the page was altered");
        Ok(())
    }

    fn id(&self, kind: ObjectKind, job: JobId, object: u32) -> ObjectId {
        ObjectId {
            kind,
            tenant: TENANT.to_owned(),
            device: DEVICE.to_owned(),
            job: *job.as_bytes(),
            object,
        }
    }
}

/// The bare cryptography.
#[derive(Clone)]
struct Ceiling {
    aead: Aes256Gcm,
    page: Vec<u8>,
    pages: u32,
}

impl Ceiling {
    fn new(bytes: usize, pages: u32) -> anyhow::Result<Self> {
        let mut key = [0; 32];
        SystemEntropy.fill(&mut key)?;
        Ok(Self {
            aead: Aes256Gcm::new(&key.into()),
            page: drawn(bytes)?,
            pages,
        })
    }

    /// Encrypts in place and hashes, chunk by chunk; seconds and nanoseconds on the processor.
    fn run(mut self) -> anyhow::Result<(f64, f64)> {
        let (started, cpu) = (now(), on_cpu_ns()?);
        let mut counter = 0_u32;
        for _ in 0..self.pages {
            let mut hasher = Sha256::new();
            for chunk in self.page.chunks_mut(CHUNK_BYTES as usize) {
                let mut nonce = [0; 12];
                nonce[..4].copy_from_slice(&counter.to_be_bytes());
                counter += 1;
                let sealed = self.aead.encrypt_inout_detached(
                    &Nonce::from(nonce),
                    b"",
                    InOutBuf::from(&mut *chunk),
                );
                let Ok(tag) = sealed else {
                    anyhow::bail!("a chunk is too long");
                };
                hasher.update(&*chunk);
                hasher.update(tag);
            }
            std::hint::black_box(hasher.finalize());
        }
        Ok(((now() - started).as_secs_f64(), on_cpu_ns()? - cpu))
    }
}

fn drawn(bytes: usize) -> anyhow::Result<Vec<u8>> {
    let mut page = vec![0; bytes];
    SystemEntropy.fill(&mut page)?;
    Ok(page)
}

fn random(out: &mut [u8]) {
    SystemEntropy.fill(out).expect("the system has randomness");
}
