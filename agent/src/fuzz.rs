//! What `tests/fuzz` feeds with arbitrary bytes; only with the feature `fuzz`.
#![expect(clippy::panic, reason = "a find ends the process, whoever runs it")]

use std::io;
use std::sync::Arc;
use std::time::Duration;

use scantrip_cloud_client::code::EnrollmentCode;
use scantrip_cloud_client::http::{Limit, Stream};
use scantrip_cloud_client::wire::Workflow;
use scantrip_hal::disk::Disk;
use scantrip_hal::entropy::{Entropy, EntropyError};
use scantrip_hal::fuzz::{ClearKeys, RamDisk};
use scantrip_hal::scanner::Side;
use scantrip_hal::storage::SealedStorage;

use crate::api::{EnrolledView, JobEvent, Refusal, RefusalKind, Reply, Request, Service};
use crate::engine::fields;
use crate::job_id::JobId;
use crate::journal::Journal;
use crate::local_api::{Routes, serve};
use crate::spool::record::{BLOCK_BYTES, HEADER_BYTES, checksum};
use crate::spool::{JobReader, PageDetails, RecoveredKind, Spool, SpoolError, SpoolLimits};
use crate::store::{self, State};

/// One line per decoder: none may panic, whatever it is given.
pub const TARGETS: &[(&str, fn(&[u8]))] = &[
    ("fields", workflow_fields),
    ("job-file", job_file),
    ("job-file-checked", |data| job_file(&mended(data))),
    ("journal", journal),
    ("journal-checked", |data| journal(&mended(data))),
    ("local-api", local_api),
    ("state", state),
];

/// The job that the files of the corpus belong to.
const JOB: &str = "01234567-89ab-4def-8123-456789abcdef";
/// Objects are read to the end up to here.
const OBJECT_BYTES_MAX: u64 = 1024 * 1024;

/// Counts; good enough for salts.
struct Counter(u8);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        for byte in out {
            self.0 = self.0.wrapping_add(1);
            *byte = self.0;
        }
        Ok(())
    }
}

/// The records with their checksums made right, so that lengths, places and kinds that lie get
/// past the first check.
fn mended(data: &[u8]) -> Vec<u8> {
    let mut data = data.to_vec();
    for block in (0..data.len()).step_by(BLOCK_BYTES as usize) {
        let (_, record) = data.split_at_mut(block);
        let Some((head, rest)) = record.split_first_chunk_mut::<HEADER_BYTES>() else {
            break;
        };
        if !head.starts_with(b"STJR") {
            continue;
        }
        // Magic, version, kind, job, salt, sequence, body length; then object, position, checksum.
        let (checked, sum) = head.split_at_mut(HEADER_BYTES - 4);
        let field = |at: usize| checked.get(at..at + 4).and_then(|it| it.try_into().ok());
        let length = u32::from_le_bytes(field(48).unwrap_or_default()) as usize;
        if let Some(body) = rest.get(..length) {
            for (to, from) in checked
                .iter_mut()
                .skip(64)
                .zip(checksum(body).to_le_bytes())
            {
                *to = from;
            }
        }
        for (to, from) in sum.iter_mut().zip(checksum(checked).to_le_bytes()) {
            *to = from;
        }
    }
    data
}

/// A job file as a restart finds it. What counts can be read as often as one likes, a draft takes
/// another page and can be sealed, and then nothing that was there has changed.
fn job_file(data: &[u8]) {
    let job: JobId = JOB.parse().expect("a UUID");
    for suffix in ["open", "job"] {
        let disk = RamDisk::default();
        disk.put(&format!("spool/{job}.{suffix}"), data);
        let limits = SpoolLimits {
            bytes_max: 1 << 30,
            free_bytes_min: 0,
            reserve_bytes: SpoolLimits::RESERVE_BYTES,
        };
        let (spool, found) = Spool::open(Arc::new(disk), "spool", limits).expect("a disk");
        let before = spool.reader(job).map(|mut reader| contents(&mut reader));
        for recovered in found {
            if let RecoveredKind::Draft { .. } = recovered.kind {
                go_on(&spool, job, before.as_deref().unwrap_or_default());
            }
        }
    }
}

/// Every object that can be read, with its bytes.
fn contents(reader: &mut JobReader) -> Vec<(u32, Vec<u8>)> {
    let objects: Vec<_> = reader
        .intent()
        .into_iter()
        .chain(reader.objects())
        .collect();
    let mut contents = Vec::new();
    for info in objects {
        let mut bytes = vec![0; info.size.min(OBJECT_BYTES_MAX) as usize];
        match reader.read_at(info.object, 0, &mut bytes) {
            Ok(count) => {
                assert_eq!(count, bytes.len(), "object {} is short", info.object);
                contents.push((info.object, bytes));
            }
            Err(SpoolError::Damaged { .. }) => {}
            Err(error) => panic!("object {}: {error}", info.object),
        }
    }
    contents
}

fn go_on(spool: &Spool, job: JobId, before: &[(u32, Vec<u8>)]) {
    let Ok(mut file) = spool.reopen(job) else {
        return;
    };
    let object = file.last_object().saturating_add(1);
    let page = file.begin_page(object).and_then(|mut page| {
        page.push(b"one more")?;
        page.finish(PageDetails {
            media_type: "image/jpeg".to_owned(),
            images: 1,
            dpi: 300,
            side: Side::Front,
            width: 0,
            height: 0,
            doubtful: false,
        })
    });
    match page {
        Ok(_) | Err(SpoolError::WrongNumber { .. } | SpoolError::TooManyPages { .. }) => {}
        Err(error) => panic!("a draft takes no page: {error}"),
    }
    let saved = page.is_ok();
    let sealed = file.seal(b"the manifest");
    assert!(sealed.is_ok(), "a draft cannot be sealed: {sealed:?}");
    let mut reader = spool.reader(job).expect("the job that was sealed");
    let after = contents(&mut reader);
    assert!(after.contains(&(0, b"the manifest".to_vec())));
    assert!(!saved || after.contains(&(object, b"one more".to_vec())));
    for object in before {
        assert!(after.contains(object), "object {} has changed", object.0);
    }
}

/// A journal as a restart finds it; it takes another entry.
fn journal(data: &[u8]) {
    let disk = RamDisk::default();
    disk.put("journal/journal.log", data);
    let opened = Journal::open(
        Arc::new(disk.clone()),
        Arc::new(ClearKeys),
        "journal",
        &mut Counter(0),
    );
    let Ok((journal, _damage)) = opened else {
        return;
    };
    let entries = journal.list().expect("a disk");
    if let Some(entry) = entries.first() {
        journal.put(entry).expect("a disk");
        assert_eq!(
            journal.get(entry.job).expect("a disk").as_ref(),
            Some(entry)
        );
        let reopened = Journal::open(
            Arc::new(disk),
            Arc::new(ClearKeys),
            "journal",
            &mut Counter(9),
        );
        let (reopened, _damage) = reopened.expect("a journal that was just written");
        assert_eq!(reopened.list().expect("a disk").len(), entries.len());
    }
}

/// A saved document of each kind. The first byte picks the kind.
fn state(data: &[u8]) {
    let Some((kind, json)) = data.split_first() else {
        return;
    };
    match kind % 8 {
        0 => document::<store::Identity>(json),
        1 => document::<store::Anchors>(json),
        2 => document::<store::DesiredState>(json),
        3 => document::<store::TimeFloor>(json),
        4 => document::<store::EntryPointChoice>(json),
        5 => document::<store::ReportCursor>(json),
        6 => document::<store::OutcomeCursor>(json),
        _ => document::<store::ReceiptHead>(json),
    }
}

fn document<T: store::Saved + PartialEq>(json: &[u8]) {
    let disk = RamDisk::default();
    let copy = [b"STKV\x01\0".as_slice(), &1_u64.to_le_bytes(), json].concat();
    disk.put(&format!("state/{}.a", T::KEY), &copy);
    let disk: Arc<dyn Disk> = Arc::new(disk);
    let state = State::new(SealedStorage::new(disk, Arc::new(ClearKeys), "state"));
    if let Ok(Some(value)) = state.load::<T>() {
        state.save(&value).expect("what was loaded can be saved");
        let again = state.load::<T>().expect("what was saved can be loaded");
        assert!(again == Some(value));
    }
}

/// What people enter, against a workflow's rules: both from outside.
fn workflow_fields(data: &[u8]) {
    let mut lines = data.splitn(2, |byte| *byte == b'\n');
    let (Some(workflow), Some(entered)) = (lines.next(), lines.next()) else {
        return;
    };
    let workflow = serde_json::from_slice::<Workflow>(workflow);
    let entered = serde_json::from_slice(entered);
    if let (Ok(workflow), Ok(entered)) = (workflow, entered) {
        drop(fields::unavailable(&workflow));
        drop(fields::check(&workflow, &entered));
    }
}

/// A connection to the local socket.
fn local_api(data: &[u8]) {
    let typed = Typed(io::Cursor::new(data.to_vec()));
    serve(typed, &Routes::new(Arc::new(Nobody)));
}

/// Says what it has to say, a little at a time, and hears nothing.
#[derive(Debug)]
struct Typed(io::Cursor<Vec<u8>>);

impl io::Read for Typed {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        let few = buf.len().min(53);
        self.0.read(buf.split_at_mut(few).0)
    }
}

impl io::Write for Typed {
    fn write(&mut self, buf: &[u8]) -> io::Result<usize> {
        Ok(buf.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Stream for Typed {
    fn limit(&mut self, _limit: Limit) {}

    fn is_open(&mut self) -> bool {
        true
    }
}

/// Refuses everything that it understood.
struct Nobody;

impl Nobody {
    fn refuse<T>() -> Result<T, Refusal> {
        Err(Refusal {
            kind: RefusalKind::Busy,
            message: "nobody is here".to_owned(),
        })
    }
}

impl Service for Nobody {
    fn call(&self, request: Request) -> Result<Reply, Refusal> {
        let json = serde_json::to_vec(&request).expect("what was read can be written");
        let again = serde_json::from_slice::<Request>(&json);
        assert!(again.is_ok_and(|again| again == request));
        Self::refuse()
    }

    fn enroll(&self, _code: EnrollmentCode) -> Result<EnrolledView, Refusal> {
        Self::refuse()
    }

    fn events(&self, _job: &str, _from: usize, _wait: Duration) -> Result<Vec<JobEvent>, Refusal> {
        Self::refuse()
    }
}
