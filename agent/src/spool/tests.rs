use scantrip_cloud_client::wire::INTENT_OBJECT;
use scantrip_hal::backends::folder_disk::FolderDisk;
use scantrip_hal::fault::{DiskFault, FaultDisk, FaultPlan};
use sha2::{Digest, Sha256};

use super::record::{
    BLOCK_BYTES, BODY_BYTES_MAX, HEADER_BYTES, Header, Kind, RECORD_BYTES, checksum,
};
use super::testing::{Counter, Keep, MemoryDisk, Trouble, sealed_bytes};
use super::*;

pub(super) const LIMITS: SpoolLimits = SpoolLimits {
    bytes_max: 1 << 30,
    free_bytes_min: 0,
    reserve_bytes: 4 << 20,
};

pub(super) fn job(n: u8) -> JobId {
    JobId::from_bytes([n; 16])
}

pub(super) fn details() -> PageDetails {
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

pub(super) fn open(disk: &MemoryDisk) -> (Spool, Vec<RecoveredJob>) {
    Spool::open(Arc::new(disk.clone()), "spool", LIMITS).unwrap()
}

pub(super) fn begin(spool: &Spool, n: u8) -> JobFile {
    spool
        .create(job(n), b"sealed intent", &mut Counter(u64::from(n)))
        .unwrap()
}

pub(super) fn save(
    file: &mut JobFile,
    object: u32,
    bytes: &[u8],
) -> Result<PageRecord, SpoolError> {
    let mut page = file.begin_page(object)?;
    for piece in bytes.chunks(60_000) {
        page.push(piece)?;
    }
    page.finish(details())
}

pub(super) fn read(reader: &mut JobReader, info: ObjectInfo) -> Result<Vec<u8>, SpoolError> {
    let mut bytes = vec![0; info.size as usize];
    let mut done = 0;
    while done < bytes.len() {
        let end = (done + 100_000).min(bytes.len());
        let count = reader.read_at(info.object, done as u64, &mut bytes[done..end])?;
        assert!(count > 0);
        done += count;
    }
    assert_eq!(<[u8; 32]>::from(Sha256::digest(&bytes)), info.sha256);
    Ok(bytes)
}

/// A sealed job with three pages of one, two and one record; gives back the pages.
fn three_pages(disk: &MemoryDisk) -> Vec<Vec<u8>> {
    let pages = vec![
        sealed_bytes(1, 10_000),
        sealed_bytes(2, 300_000),
        sealed_bytes(3, 5_000),
    ];
    let (spool, _) = open(disk);
    let mut file = begin(&spool, 1);
    for (n, page) in pages.iter().enumerate() {
        save(&mut file, n as u32 + 1, page).unwrap();
    }
    pages
}

fn draft(disk: &MemoryDisk) -> (Vec<u32>, Vec<u32>) {
    let (_, jobs) = open(disk);
    match &jobs[..] {
        [
            RecoveredJob {
                kind: RecoveredKind::Draft { pages, damaged },
                ..
            },
        ] => (
            pages.iter().map(|page| page.object).collect(),
            damaged.clone(),
        ),
        other => panic!("one draft expected, found {other:?}"),
    }
}

const OPEN: &str = "spool/01010101-0101-0101-0101-010101010101.open";
const SEALED: &str = "spool/01010101-0101-0101-0101-010101010101.job";

#[test]
fn a_sealed_job_reads_back_byte_for_byte() {
    let disk = MemoryDisk::new();
    let (spool, found) = open(&disk);
    assert_eq!(found, []);
    let mut file = begin(&spool, 1);
    let big = sealed_bytes(9, 3 * BODY_BYTES_MAX + 1);
    let exact = sealed_bytes(8, 2 * BODY_BYTES_MAX);
    let first = save(&mut file, 1, &big).unwrap();
    assert_eq!(first.size, big.len() as u64);
    save(&mut file, 2, &exact).unwrap();
    let sealed = file.seal(b"the manifest").unwrap();
    assert_eq!(sealed.objects, 3);
    assert_eq!(disk.files(), [SEALED]);
    assert_eq!(spool.usage().bytes, sealed.file_bytes);

    let mut reader = spool.reader(job(1)).unwrap();
    let objects: Vec<_> = reader.objects().collect();
    let numbers: Vec<_> = objects.iter().map(|o| o.object).collect();
    assert_eq!(numbers, [0, 1, 2]);
    assert_eq!(read(&mut reader, objects[0]).unwrap(), b"the manifest");
    assert_eq!(read(&mut reader, objects[1]).unwrap(), big);
    assert_eq!(read(&mut reader, objects[2]).unwrap(), exact);
    let intent = reader.intent().unwrap();
    assert_eq!(intent.object, INTENT_OBJECT);
    assert_eq!(read(&mut reader, intent).unwrap(), b"sealed intent");
    assert_eq!(reader.read_at(1, big.len() as u64, &mut [0; 9]).unwrap(), 0);
    assert!(matches!(
        reader.read_at(3, 0, &mut [0; 9]),
        Err(SpoolError::UnknownObject { object: 3, .. })
    ));

    spool.remove(job(1)).unwrap();
    spool.remove(job(1)).unwrap();
    assert_eq!(disk.files(), [""; 0]);
    assert_eq!(spool.usage(), Usage { jobs: 0, bytes: 0 });
}

#[test]
fn a_reader_sees_pages_while_the_job_is_scanned() {
    let (spool, _) = open(&MemoryDisk::new());
    let mut file = begin(&spool, 1);
    save(&mut file, 1, b"one").unwrap();
    let mut reader = spool.reader(job(1)).unwrap();
    assert_eq!(reader.objects().count(), 1);
    let mut page = file.begin_page(2).unwrap();
    page.push(&sealed_bytes(4, RECORD_BYTES * 2)).unwrap();
    reader.refresh().unwrap();
    assert_eq!(reader.objects().count(), 1);
    page.finish(details()).unwrap();
    reader.refresh().unwrap();
    let info = reader.objects().nth(1).unwrap();
    assert_eq!(
        read(&mut reader, info).unwrap(),
        sealed_bytes(4, RECORD_BYTES * 2)
    );
}

#[test]
fn a_given_up_page_leaves_no_trace_in_the_job() {
    let disk = MemoryDisk::new();
    let (spool, _) = open(&disk);
    let mut file = begin(&spool, 1);
    save(&mut file, 1, b"one").unwrap();
    let mut page = file.begin_page(2).unwrap();
    page.push(&sealed_bytes(4, RECORD_BYTES * 2)).unwrap();
    drop(page);
    assert!(matches!(
        file.begin_page(2).err(),
        Some(SpoolError::WrongNumber { object: 2, last: 2 })
    ));
    save(&mut file, 3, b"three").unwrap();
    save(&mut file, 4, b"four").unwrap();
    file.void(3).unwrap();
    drop(file);
    assert_eq!(draft(&disk), (vec![1, 4], vec![]));
    let mut file = open(&disk).0.reopen(job(1)).unwrap();
    assert_eq!((file.last_object(), file.pages()), (4, 2));
    save(&mut file, 5, b"five").unwrap();
    file.seal(b"manifest").unwrap();
    let reader = open(&disk).0.reader(job(1)).unwrap();
    let numbers: Vec<_> = reader.objects().map(|o| o.object).collect();
    assert_eq!(numbers, [0, 1, 4, 5]);
    assert_eq!(reader.damaged().count(), 0);
}

#[test]
fn a_file_has_one_writer() {
    let (spool, _) = open(&MemoryDisk::new());
    let file = begin(&spool, 1);
    assert!(matches!(spool.reopen(job(1)), Err(SpoolError::Busy(_))));
    assert!(matches!(
        spool.reopen(job(2)),
        Err(SpoolError::UnknownJob(_))
    ));
    assert!(spool.create(job(1), b"", &mut Counter(0)).is_err());
    drop(file);
    spool.reopen(job(1)).unwrap().seal(b"manifest").unwrap();
    assert!(matches!(spool.reopen(job(1)), Err(SpoolError::Sealed(_))));
}

#[test]
fn a_full_spool_refuses_the_next_job_before_paper_moves() {
    let disk = MemoryDisk::new();
    let limits = SpoolLimits {
        bytes_max: 9 << 20,
        free_bytes_min: 1 << 20,
        reserve_bytes: 4 << 20,
    };
    let (spool, _) = Spool::open(Arc::new(disk.clone()), "spool", limits).unwrap();
    let _one = begin(&spool, 1);
    spool.admit().unwrap();
    let _two = begin(&spool, 2);
    assert!(spool.admit().unwrap_err().is_full());
    let refused = spool.create(job(3), b"", &mut Counter(3)).err().unwrap();
    assert!(refused.is_full(), "{refused}");
    assert_eq!(disk.files().len(), 2);
    spool.remove(job(1)).unwrap();
    spool.admit().unwrap();
    disk.set_free_bytes(5 << 20);
    spool.admit().unwrap();
    disk.set_free_bytes((5 << 20) - 1);
    let refused = spool.admit().unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the spool is full: 4194304 bytes are needed, 4194303 are left"
    );
}

#[test]
fn a_disk_that_fills_while_feeding_keeps_the_saved_pages_and_the_end() {
    let disk = MemoryDisk::new();
    let (spool, _) = open(&disk);
    let mut file = begin(&spool, 1);
    disk.set_free_bytes(5 << 20);
    let page = sealed_bytes(1, 1_000_000);
    let mut saved = 0;
    let refused = loop {
        match save(&mut file, saved + 1, &page) {
            Ok(_) => saved += 1,
            Err(error) => break error,
        }
    };
    assert!(refused.is_full(), "{refused}");
    assert_eq!(saved, 3);
    assert!(matches!(
        file.begin_page(saved + 1).err(),
        Some(SpoolError::WrongNumber { .. })
    ));
    file.seal(&sealed_bytes(2, 200_000)).unwrap();
    let mut reader = spool.reader(job(1)).unwrap();
    let objects: Vec<_> = reader.objects().collect();
    assert_eq!(objects.len(), 4);
    assert_eq!(read(&mut reader, objects[3]).unwrap(), page);
}

#[test]
fn a_job_grows_in_steps() {
    let (spool, _) = open(&MemoryDisk::new());
    let mut file = begin(&spool, 1);
    assert_eq!(spool.usage().bytes, 4 << 20);
    for n in 1..=5 {
        save(&mut file, n, &sealed_bytes(1, 1_000_000)).unwrap();
    }
    assert_eq!(spool.usage().bytes, 8 << 20);
}

#[test]
fn a_failed_sync_ends_the_job_with_the_pages_before_it() {
    let disk = MemoryDisk::new();
    let (spool, _) = open(&disk);
    let mut file = begin(&spool, 1);
    save(&mut file, 1, b"one").unwrap();
    // One chunk and the page record, then the sync.
    disk.plan(2, Trouble::Fail(DiskErrorKind::Io));
    assert!(matches!(
        save(&mut file, 2, b"two"),
        Err(SpoolError::NotDurable { object: 2, .. })
    ));
    assert!(matches!(
        save(&mut file, 3, b"three"),
        Err(SpoolError::Ended(_))
    ));
    drop(file);
    let reader = spool.reader(job(1)).unwrap();
    assert_eq!(reader.objects().map(|o| o.object).collect::<Vec<_>>(), [1]);
    spool.reopen(job(1)).unwrap().seal(b"manifest").unwrap();
    for keep in Keep::ALL {
        let (after, _) = open(&disk.after_cut(keep));
        let mut reader = after.reader(job(1)).unwrap();
        let objects: Vec<_> = reader.objects().collect();
        assert_eq!(objects.iter().map(|o| o.object).collect::<Vec<_>>(), [0, 1]);
        assert_eq!(read(&mut reader, objects[1]).unwrap(), b"one");
    }
}

#[test]
fn a_page_whose_write_broke_off_stays_out_of_the_job() {
    for kind in [DiskErrorKind::Io, DiskErrorKind::Full] {
        let broken = (1..)
            .map_while(|at| break_page_two(at, kind))
            .filter(|&broken| broken);
        assert!(broken.count() >= 3, "chunk, record and sync");
    }
}

/// Breaks the disk's operation `at` off half-way; whether that was while page 2 was saved, and
/// `None` when nothing broke.
fn break_page_two(at: u64, kind: DiskErrorKind) -> Option<bool> {
    let disk = MemoryDisk::new();
    let plan = FaultPlan::at(at, DiskFault::ShortWrite(kind));
    let faulty = FaultDisk::new(Arc::new(disk.clone()), plan);
    let Ok((spool, _)) = Spool::open(Arc::new(faulty), "spool", LIMITS) else {
        return Some(false);
    };
    let Ok(mut file) = spool.create(job(1), b"sealed intent", &mut Counter(1)) else {
        return Some(false);
    };
    if save(&mut file, 1, b"one").is_err() {
        return Some(false);
    }
    if save(&mut file, 2, b"two").is_ok() {
        return None;
    }
    let objects = || -> Vec<u32> {
        let reader = spool.reader(job(1)).unwrap();
        reader.objects().map(|object| object.object).collect()
    };
    assert_eq!(objects(), [1], "operation {at}");
    drop(file);
    save(&mut spool.reopen(job(1)).unwrap(), 3, b"three").unwrap();
    assert_eq!(objects(), [1, 3], "operation {at}");
    let cut = disk.after_cut(Keep::All);
    assert_eq!(draft(&cut).0, [1, 3], "operation {at}");
    Some(true)
}

#[test]
fn a_page_that_found_no_room_does_not_take_the_next_one_with_it() {
    let disk = MemoryDisk::new();
    let limits = SpoolLimits {
        reserve_bytes: 256 << 10,
        ..LIMITS
    };
    let (spool, _) = Spool::open(Arc::new(disk.clone()), "spool", limits).unwrap();
    let mut file = begin(&spool, 1);
    disk.set_free_bytes(0);
    assert!(save(&mut file, 1, b"one").unwrap_err().is_full());
    drop(file);
    disk.set_free_bytes(64 << 20);
    let mut file = spool.reopen(job(1)).unwrap();
    let next = file.last_object() + 1;
    save(&mut file, next, b"one again").unwrap();
    let mut reader = spool.reader(job(1)).unwrap();
    let objects: Vec<_> = reader.objects().collect();
    let [page] = *objects else {
        panic!("{objects:?}");
    };
    assert_eq!(read(&mut reader, page).unwrap(), b"one again");
}

#[test]
fn every_flipped_bit_costs_one_page_at_most() {
    let disk = MemoryDisk::new();
    let pages = three_pages(&disk);
    let length = disk.bytes(OPEN).len();
    // Each header, and places within bodies and padding.
    let places = (0..length).step_by(4096).flat_map(|block| {
        [0, 4, 6, 9, 30, 44, 50, 53, 60, 65, 70, 80, 700].map(|within| block + within)
    });
    for place in places.filter(|&place| place < length) {
        let copy = disk.after_cut(Keep::All);
        copy.tamper(OPEN, |bytes| bytes[place] ^= 0x10);
        let (spool, jobs) = open(&copy);
        let RecoveredKind::Draft {
            pages: kept,
            damaged,
        } = &jobs[0].kind
        else {
            panic!("place {place}: {jobs:?}");
        };
        let lost = (1..=3).filter(|n| kept.iter().all(|page| page.object != *n));
        let lost: Vec<u32> = lost.collect();
        assert!(lost.len() <= 1, "place {place}: {lost:?}");
        // The very last record has nothing behind it: then it is a torn tail.
        let last_record = place >= length - 4096;
        let reported: Vec<_> = damaged
            .iter()
            .copied()
            .filter(|n| *n != INTENT_OBJECT)
            .collect();
        assert!(
            reported == lost || last_record && lost == [3],
            "place {place}"
        );
        assert_eq!(
            damaged.contains(&INTENT_OBJECT),
            lost.is_empty() && !damaged.is_empty()
        );
        let mut reader = spool.reader(job(1)).unwrap();
        for record in kept {
            let info = ObjectInfo {
                object: record.object,
                size: record.size,
                sha256: record.sha256,
            };
            assert_eq!(
                read(&mut reader, info).unwrap(),
                pages[record.object as usize - 1]
            );
        }
        // Nothing is mended in place.
        let mut expected = disk.bytes(OPEN);
        expected[place] ^= 0x10;
        assert_eq!(copy.bytes(OPEN), expected);
    }
}

#[test]
fn rot_in_a_sealed_job_is_found_while_reading() {
    let disk = MemoryDisk::new();
    three_pages(&disk);
    open(&disk)
        .0
        .reopen(job(1))
        .unwrap()
        .seal(b"manifest")
        .unwrap();
    let bytes = disk.bytes(SEALED);
    let mut found = 0;
    for place in (0..bytes.len()).step_by(1500) {
        let copy = disk.after_cut(Keep::All);
        copy.tamper(SEALED, |bytes| bytes[place] ^= 1);
        let (spool, jobs) = open(&copy);
        assert_eq!(jobs[0].kind, RecoveredKind::Complete);
        let mut reader = spool.reader(job(1)).unwrap();
        let objects: Vec<_> = reader.objects().collect();
        let known: Vec<_> = reader.damaged().collect();
        let mut good = 0;
        for info in &objects {
            match read(&mut reader, *info) {
                Ok(_) => good += 1,
                Err(SpoolError::Damaged { object, .. }) => assert_eq!(object, info.object),
                Err(other) => panic!("{other}"),
            }
        }
        assert!(good >= 3, "place {place}");
        let manifest_lost = objects[0].object != 0;
        let lost = objects.len() - good + known.len() + usize::from(manifest_lost);
        assert_eq!(good + lost, 4, "place {place}");
        found += lost;
    }
    assert!(found > 0);
}

#[test]
fn a_page_lost_whole_is_reported() {
    let disk = MemoryDisk::new();
    three_pages(&disk);
    let copy = disk.after_cut(Keep::All);
    // Intent and opened take a block each, page 1 three and one.
    let second = 6 * 4096;
    copy.tamper(OPEN, |bytes| {
        bytes[second..second + RECORD_BYTES + 45_056].fill(0)
    });
    assert_eq!(draft(&copy), (vec![1, 3], vec![2]));
    // The last page, with only the sealed manifest behind it.
    open(&disk)
        .0
        .reopen(job(1))
        .unwrap()
        .seal(b"manifest")
        .unwrap();
    let length = disk.bytes(SEALED).len();
    disk.tamper(SEALED, |bytes| {
        bytes[length - 5 * 4096..length - 2 * 4096].fill(0)
    });
    let reader = open(&disk).0.reader(job(1)).unwrap();
    assert_eq!(reader.damaged().collect::<Vec<_>>(), [3]);
}

#[test]
fn recycled_space_never_looks_valid() {
    let disk = MemoryDisk::new();
    let old = {
        let (spool, _) = open(&disk);
        let mut file = spool.create(job(1), b"old", &mut Counter(77)).unwrap();
        for n in 1..=3 {
            save(&mut file, n, &sealed_bytes(90, 4000)).unwrap();
        }
        drop(file);
        let bytes = disk.bytes(OPEN);
        spool.remove(job(1)).unwrap();
        bytes
    };
    let (spool, _) = open(&disk);
    let mut file = begin(&spool, 1);
    save(&mut file, 1, b"new").unwrap();
    drop(file);
    disk.tamper(OPEN, |bytes| bytes.extend_from_slice(&old[bytes.len()..]));
    assert_eq!(draft(&disk), (vec![1], vec![]));
}

#[test]
fn a_file_of_a_later_version_is_left_untouched() {
    let disk = MemoryDisk::new();
    three_pages(&disk);
    disk.tamper(OPEN, |bytes| {
        bytes[4] = 2;
        let sum = checksum(&bytes[..68]).to_le_bytes();
        bytes[68..72].copy_from_slice(&sum);
    });
    let before = disk.bytes(OPEN);
    let (spool, jobs) = open(&disk);
    assert_eq!(jobs[0].kind, RecoveredKind::Newer { version: 2 });
    assert!(matches!(
        spool.reopen(job(1)),
        Err(SpoolError::Newer { version: 2, .. })
    ));
    assert!(matches!(
        spool.reader(job(1)),
        Err(SpoolError::Newer { version: 2, .. })
    ));
    assert_eq!(disk.bytes(OPEN), before);
}

#[test]
fn strange_files_are_left_alone() {
    let disk = MemoryDisk::new();
    disk.put("spool/notes.txt", b"hello");
    disk.put("spool/nobody.open", b"hello");
    disk.put(OPEN, &vec![7; 3 << 20]);
    let (_, jobs) = open(&disk);
    assert!(matches!(
        jobs[..],
        [RecoveredJob {
            kind: RecoveredKind::Unreadable { .. },
            ..
        }]
    ));
    assert_eq!(disk.files().len(), 3);
}

#[test]
fn a_job_file_of_the_first_version_still_opens() {
    let disk = MemoryDisk::new();
    disk.put(OPEN, include_bytes!("../../testdata/job-v1.open"));
    let (spool, jobs) = open(&disk);
    let RecoveredKind::Draft { pages, damaged } = &jobs[0].kind else {
        panic!("{jobs:?}");
    };
    assert!(damaged.is_empty());
    assert_eq!(pages[0].details, details());
    let mut reader = spool.reader(job(1)).unwrap();
    let objects: Vec<_> = reader.objects().collect();
    assert_eq!(read(&mut reader, objects[0]).unwrap(), b"page one");
    assert_eq!(read(&mut reader, objects[1]).unwrap(), b"page two");
    // The layout is fixed: the same job is written to the same bytes.
    let again = MemoryDisk::new();
    let mut file = begin(&open(&again).0, 1);
    save(&mut file, 1, b"page one").unwrap();
    save(&mut file, 2, b"page two").unwrap();
    assert_eq!(again.bytes(OPEN), disk.bytes(OPEN));
}

#[test]
fn ten_thousand_pages_and_not_one_more() {
    let (spool, _) = open(&MemoryDisk::new());
    let mut file = begin(&spool, 1);
    for n in 1..=10_000 {
        save(&mut file, n, b"x").unwrap();
    }
    assert!(matches!(
        file.begin_page(10_001).err(),
        Some(SpoolError::TooManyPages { max: 10_000 })
    ));
    assert_eq!(file.seal(b"manifest").unwrap().objects, 10_001);
    assert_eq!(spool.reader(job(1)).unwrap().objects().count(), 10_001);
}

#[test]
fn a_job_goes_through_a_real_disk() {
    let folder = tempfile::tempdir().unwrap();
    let disk: Arc<dyn Disk> = Arc::new(FolderDisk::open(folder.path(), Some(9 << 20)).unwrap());
    let (spool, _) = Spool::open(Arc::clone(&disk), "spool", LIMITS).unwrap();
    let mut file = begin(&spool, 1);
    let page = sealed_bytes(1, 1_000_000);
    for n in 1..=4 {
        save(&mut file, n, &page).unwrap();
    }
    // The next step of the reservation is more than the disk has.
    let mut refused = (5..20)
        .map(|n| save(&mut file, n, &page))
        .skip_while(Result::is_ok);
    assert!(refused.next().unwrap().unwrap_err().is_full());
    drop(file);
    let (spool, jobs) = Spool::open(Arc::clone(&disk), "spool", LIMITS).unwrap();
    let RecoveredKind::Draft { pages, .. } = &jobs[0].kind else {
        panic!("{jobs:?}");
    };
    assert!(pages.len() >= 4);
    spool.reopen(job(1)).unwrap().seal(b"manifest").unwrap();
    let (spool, _) = Spool::open(disk, "spool", LIMITS).unwrap();
    let mut reader = spool.reader(job(1)).unwrap();
    let objects: Vec<_> = reader.objects().collect();
    assert_eq!(objects.len(), pages.len() + 1);
    assert_eq!(read(&mut reader, objects[pages.len()]).unwrap(), page);
    spool.remove(job(1)).unwrap();
}

proptest::proptest! {
    #[test]
    fn arbitrary_files_never_panic(
        bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..3 * 4096),
        places in proptest::collection::vec((0..40_000usize, proptest::prelude::any::<u8>()), 0..20),
    ) {
        let disk = MemoryDisk::new();
        disk.put(OPEN, &bytes);
        drop(open(&disk));
        // A real file with damage in several places at once.
        let disk = MemoryDisk::new();
        disk.put(OPEN, include_bytes!("../../testdata/job-v1.open"));
        disk.tamper(OPEN, |file| for (place, byte) in &places {
            let length = file.len();
            file[place % length] = *byte;
        });
        let (spool, _) = open(&disk);
        if let Ok(mut reader) = spool.reader(job(1)) {
            for info in reader.objects().collect::<Vec<_>>() {
                drop(reader.read_at(info.object, 0, &mut [0; 100]));
            }
        }
        drop(spool.reopen(job(1)));
    }
}

#[test]
fn a_torn_record_does_not_hide_what_is_saved_after_the_next_power_cut() {
    let disk = MemoryDisk::new();
    let mut file = begin(&open(&disk).0, 1);
    save(&mut file, 1, &sealed_bytes(1, 5000)).unwrap();
    drop(file);
    let path = format!("spool/{}.open", job(1));
    // The first cut left the header of a long record, the second a short one behind that place.
    disk.tamper(&path, |bytes| {
        let mut headers = bytes.chunks(BLOCK_BYTES as usize).filter_map(|block| {
            let header = block.first_chunk::<HEADER_BYTES>()?;
            Header::parse(header).ok()
        });
        let last = headers.next_back().unwrap();
        let record = |kind, sequence, body_bytes| Header {
            kind,
            sequence,
            object: 2,
            position: 0,
            body_bytes,
            body_checksum: checksum(&[]),
            ..last
        };
        for header in [
            record(Kind::Chunk, last.sequence + 1, 100_000),
            record(Kind::Void, last.sequence + 2, 0),
        ] {
            bytes.extend_from_slice(&header.encode());
            bytes.resize(bytes.len().next_multiple_of(BLOCK_BYTES as usize), 0);
        }
    });
    let (spool, _) = open(&disk);
    let mut file = spool.reopen(job(1)).unwrap();
    let page = sealed_bytes(3, 200_000);
    let object = file.last_object() + 1;
    save(&mut file, object, &page).unwrap();
    file.seal(b"manifest").unwrap();
    let mut reader = spool.reader(job(1)).unwrap();
    let info = reader.objects().find(|info| info.object == object).unwrap();
    assert_eq!(read(&mut reader, info).unwrap(), page);
}
