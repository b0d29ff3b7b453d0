//! The agent's hot paths, each on its own.

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use anyhow::ensure;
use scantrip::job_id::JobId;
use scantrip::journal::Journal;
use scantrip_cloud_client::http::{HttpConnection, Limit, Link, Stream};
use scantrip_cloud_client::seal::{CHUNK_BYTES, ObjectId, ObjectKind, PrivateKey, Sealer};
use scantrip_cloud_client::upload::{APPEND_BYTES, append};
use scantrip_hal::backends::folder_disk::FolderDisk;
use scantrip_hal::backends::key_file::KeyFile;
use scantrip_hal::backends::system::SystemEntropy;
use scantrip_hal::entropy::Entropy as _;
use sha2::{Digest as _, Sha256};

use crate::bench::restart;
use crate::bench::spool::{Bench, PIECE_BYTES};

const JPEG_PAGE_BYTES: usize = 1_000_000;

/// A piece as the scanner gives it, sealed and hashed.
pub(super) fn seal_piece(operations: u32) -> anyhow::Result<()> {
    let mut random = |out: &mut [u8]| SystemEntropy.fill(out).expect("there is randomness");
    let key = PrivateKey::generate(&mut random);
    let id = ObjectId {
        kind: ObjectKind::Page,
        tenant: "bench".to_owned(),
        device: "bench".to_owned(),
        job: [1; 16],
        object: 1,
    };
    let mut sealer = Sealer::new(key.public(), &id, CHUNK_BYTES, &mut random)?;
    let (piece, mut sealed) = (vec![7; PIECE_BYTES], Vec::new());
    let mut hasher = Sha256::new();
    for _ in 0..operations {
        sealed.clear();
        sealer.push(&piece, &mut sealed)?;
        hasher.update(&sealed);
    }
    std::hint::black_box(hasher.finalize());
    Ok(())
}

/// Pages of the usual size through the agent's sink into the spool, durable.
pub(super) fn save_page(operations: u32) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    Bench::new(folder.path(), JPEG_PAGE_BYTES, operations)?.write()?;
    Ok(())
}

/// A saved page read and verified, as the upload reads it.
pub(super) fn read_page(operations: u32) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let bench = Bench::new(folder.path(), JPEG_PAGE_BYTES, 1)?;
    let (job, record) = bench.write()?;
    let mut reader = bench.reader(job)?;
    let mut piece = vec![0; PIECE_BYTES];
    for _ in 0..operations {
        let mut offset = 0;
        while offset < record.size {
            offset += reader.read_at(record.object, offset, &mut piece)? as u64;
        }
    }
    Ok(())
}

/// A changed job, durable in the journal.
pub(super) fn journal_put(operations: u32) -> anyhow::Result<()> {
    let folder = tempfile::tempdir()?;
    let disk = Arc::new(FolderDisk::open(folder.path(), None)?);
    let key_file = folder.path().join("keys/device.key");
    let keys = Arc::new(KeyFile::open(&key_file, Box::new(SystemEntropy))?);
    let (journal, _) = Journal::open(disk, keys, "state", &mut SystemEntropy)?;
    let entry = restart::entry(JobId::from_bytes([1; 16]), 1);
    for _ in 0..operations {
        journal.put(&entry)?;
    }
    Ok(())
}

/// One append of an upload, over a line that takes everything.
pub(super) fn append_step(operations: u32) -> anyhow::Result<()> {
    let object = vec![7; usize::try_from(APPEND_BYTES)?];
    let mut connection = HttpConnection::new(Open);
    for _ in 0..operations {
        let mut source = object.as_slice();
        let reached = append(&mut connection, "/u/1", 0, &mut source, APPEND_BYTES)?;
        ensure!(reached == APPEND_BYTES, "an offset of {reached}");
    }
    Ok(())
}

/// Opens [`Line`]s.
struct Open;

impl Link for Open {
    type Stream = Line;

    fn open(&mut self) -> io::Result<Line> {
        Ok(Line::default())
    }

    fn origin(&self) -> &str {
        "http://bench"
    }

    fn limit(&self) -> Limit {
        let total = Duration::from_secs(60);
        Limit {
            total,
            stall: total,
        }
    }
}

/// Answers each append when its body has come.
#[derive(Debug, Default)]
struct Line {
    head: Vec<u8>,
    body_bytes: u64,
    answer: Vec<u8>,
}

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.head.ends_with(b"\r\n\r\n") {
            self.body_bytes += bytes.len() as u64;
        } else {
            let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
            let (head, body) = bytes.split_at(end.map_or(bytes.len(), |end| end + 4));
            self.head.extend_from_slice(head);
            self.body_bytes = body.len() as u64;
        }
        if self.body_bytes == APPEND_BYTES {
            self.head.clear();
            self.body_bytes = 0;
            write!(
                self.answer,
                "HTTP/1.1 204 No Content\r\nUpload-Offset: {APPEND_BYTES}\r\n\r\n"
            )?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Line {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.answer.as_slice().read(out)?;
        self.answer.drain(..count);
        Ok(count)
    }
}

impl Stream for Line {
    fn limit(&mut self, _limit: Limit) {}

    fn is_open(&mut self) -> bool {
        true
    }
}
