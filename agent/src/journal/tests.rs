use super::*;
use crate::spool::testing::{Counter, FakeKeys, Keep, MemoryDisk, Trouble};

const LOG: &str = "journal/journal.log";

fn open(disk: &MemoryDisk) -> (Journal, JournalDamage) {
    try_open(disk).unwrap()
}

fn try_open(disk: &MemoryDisk) -> Result<(Journal, JournalDamage), JournalError> {
    let keys = Arc::new(FakeKeys);
    Journal::open(Arc::new(disk.clone()), keys, "journal", &mut Counter(1))
}

fn job(n: u32) -> JobId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&n.to_be_bytes());
    JobId::from_bytes(bytes)
}

fn entry(n: u32, state: JobState) -> JobEntry {
    JobEntry {
        job: job(n),
        workflow_id: "w-1".to_owned(),
        workflow_version: 3,
        workflow_name: "Invoices of a secret client".to_owned(),
        member: None,
        pages: 2,
        opened_at_ms: u64::from(n),
        changed_at_ms: u64::from(n),
        state,
        sends_intent: false,
        scan: None,
        receipt: None,
    }
}

fn jobs(entries: &[JobEntry]) -> Vec<JobId> {
    entries.iter().map(|entry| entry.job).collect()
}

#[test]
fn the_last_entry_of_a_job_counts_after_a_restart() {
    let disk = MemoryDisk::new();
    let (journal, _) = open(&disk);
    for state in [JobState::Scanning, JobState::Queued, JobState::Sending] {
        journal.put(&entry(1, state)).unwrap();
    }
    journal.put(&entry(2, JobState::Discarded)).unwrap();
    for disk in [disk.clone(), disk.after_cut(Keep::None)] {
        let (journal, damage) = open(&disk);
        assert_eq!(damage, JournalDamage::default());
        assert_eq!(
            journal.get(job(1)).unwrap(),
            Some(entry(1, JobState::Sending))
        );
        assert_eq!(journal.get(job(3)).unwrap(), None);
        assert_eq!(jobs(&journal.list().unwrap()), [job(2), job(1)]);
        assert_eq!(jobs(&journal.unfinished().unwrap()), [job(1)]);
    }
}

#[test]
fn an_entry_of_any_length_reads_back() {
    let disk = MemoryDisk::new();
    let (journal, _) = open(&disk);
    let long = |n: u32| {
        let mut entry = entry(n, JobState::Queued);
        entry.workflow_name = "n".repeat(n as usize);
        entry
    };
    let lengths = [0, 500, 600, 700, 800, 900, 5000, 100_000];
    for n in lengths {
        journal.put(&long(n)).unwrap();
    }
    let (journal, damage) = open(&disk);
    assert_eq!(damage, JournalDamage::default());
    for n in lengths {
        assert_eq!(journal.get(job(n)).unwrap(), Some(long(n)));
    }
}

#[test]
fn nothing_readable_is_stored() {
    let disk = MemoryDisk::new();
    open(&disk).0.put(&entry(1, JobState::Queued)).unwrap();
    let bytes = disk.bytes(LOG);
    let readable = |text: &[u8]| bytes.windows(text.len()).any(|window| window == text);
    assert!(!readable(b"secret client"));
    assert!(!readable(b"queued"));
}

#[test]
fn a_power_cut_at_any_operation_loses_no_entry() {
    let steps = |journal: &Journal, promised: &mut Vec<JobEntry>| {
        for n in 1..=3 {
            for state in [JobState::Scanning, JobState::Queued] {
                let entry = entry(n, state);
                if journal.put(&entry).is_ok() {
                    promised.retain(|old| old.job != entry.job);
                    promised.push(entry);
                }
            }
            if n == 2 {
                drop(journal.tidy(UnixTime::from_millis(200 * DAY_MS)));
            }
        }
    };
    let quiet = MemoryDisk::new();
    steps(&open(&quiet).0, &mut Vec::new());
    for at in 0..quiet.operations() {
        for trouble in [
            Trouble::Cut,
            Trouble::Fail(DiskErrorKind::Io),
            Trouble::Fail(DiskErrorKind::Full),
        ] {
            let disk = MemoryDisk::new();
            disk.plan(at, trouble);
            let mut promised = Vec::new();
            if let Ok((journal, _)) = try_open(&disk) {
                steps(&journal, &mut promised);
            }
            disk.calm();
            for keep in Keep::ALL {
                let (journal, _) = open(&disk.after_cut(keep));
                for entry in &promised {
                    let found = journal.get(entry.job).unwrap();
                    // A put that failed may or may not have arrived.
                    let newer = JobEntry {
                        state: JobState::Queued,
                        ..entry.clone()
                    };
                    assert!(
                        found.as_ref() == Some(entry) || found == Some(newer),
                        "{trouble:?} at {at} {}, {keep:?}: {found:?}",
                        disk.trace()[at]
                    );
                }
            }
        }
    }
}

#[test]
fn a_garbled_entry_is_left_out_and_counted() {
    let disk = MemoryDisk::new();
    let (journal, _) = open(&disk);
    for n in 1..=3 {
        journal.put(&entry(n, JobState::Queued)).unwrap();
    }
    let length = disk.bytes(LOG).len();
    for place in (0..length).step_by(61) {
        let copy = disk.after_cut(Keep::All);
        copy.tamper(LOG, |bytes| bytes[place] ^= 4);
        let (journal, damage) = open(&copy);
        let left = journal.list().unwrap().len();
        assert!(left >= 2, "place {place}");
        let torn_tail = place > length - 4096;
        assert!(
            torn_tail || damage.records as usize == 3 - left,
            "place {place}"
        );
        // The journal goes on.
        journal.put(&entry(9, JobState::Queued)).unwrap();
        assert_eq!(open(&copy).0.list().unwrap().len(), left + 1);
    }
}

#[test]
fn an_entry_moved_to_another_place_does_not_open() {
    let disk = MemoryDisk::new();
    let (journal, _) = open(&disk);
    journal.put(&entry(1, JobState::Queued)).unwrap();
    journal.put(&entry(1, JobState::Discarded)).unwrap();
    // Play the first record again as the third, with everything but the seal made right.
    disk.tamper(LOG, |bytes| {
        let mut record = bytes[..4096].to_vec();
        record[40] = 2;
        let sum = checksum(&record[..68]).to_le_bytes();
        record[68..72].copy_from_slice(&sum);
        bytes.extend(record);
    });
    let (journal, damage) = open(&disk);
    assert_eq!(damage.records, 1);
    assert_eq!(
        journal.get(job(1)).unwrap(),
        Some(entry(1, JobState::Discarded))
    );
}

#[test]
fn old_finished_jobs_are_forgotten_and_unfinished_ones_never() {
    let disk = MemoryDisk::new();
    let (journal, _) = open(&disk);
    journal.put(&entry(0, JobState::Queued)).unwrap();
    for n in 1..=FINISHED_MAX as u32 + 5 {
        journal.put(&entry(n, JobState::Discarded)).unwrap();
    }
    journal.tidy(UnixTime::from_millis(0)).unwrap();
    let left = jobs(&journal.list().unwrap());
    assert_eq!(left.len(), FINISHED_MAX + 1);
    assert!(left.contains(&job(0)) && left.contains(&job(6)) && !left.contains(&job(5)));
    assert_eq!(jobs(&open(&disk).0.list().unwrap()), left);
    let later = UnixTime::from_millis(FINISHED_DAYS_MAX * DAY_MS + 1000);
    journal.tidy(later).unwrap();
    let left = jobs(&open(&disk).0.list().unwrap());
    assert_eq!(
        left,
        [
            job(1005),
            job(1004),
            job(1003),
            job(1002),
            job(1001),
            job(1000),
            job(0)
        ]
    );
}

#[test]
fn the_file_does_not_grow_without_bound() {
    let disk = MemoryDisk::new();
    let (journal, _) = open(&disk);
    for n in 0..2000 {
        journal.put(&entry(n % 2, JobState::Sending)).unwrap();
    }
    assert!(disk.bytes(LOG).len() as u64 <= SPARE_BYTES + 6 * 4096);
    assert_eq!(open(&disk).0.list().unwrap().len(), 2);
}

#[test]
fn a_journal_of_a_later_version_is_left_untouched() {
    let disk = MemoryDisk::new();
    open(&disk).0.put(&entry(1, JobState::Queued)).unwrap();
    disk.tamper(LOG, |bytes| {
        bytes[4] = 2;
        let sum = checksum(&bytes[..68]).to_le_bytes();
        bytes[68..72].copy_from_slice(&sum);
    });
    let before = disk.bytes(LOG);
    assert!(matches!(
        try_open(&disk),
        Err(JournalError::Newer { version: 2 })
    ));
    assert_eq!(disk.bytes(LOG), before);
}

#[test]
fn wiping_leaves_nothing() {
    let disk = MemoryDisk::new();
    let (journal, _) = open(&disk);
    journal.put(&entry(1, JobState::Queued)).unwrap();
    journal.wipe().unwrap();
    assert_eq!(journal.list().unwrap(), []);
    assert!(disk.bytes(LOG).is_empty());
    journal.put(&entry(2, JobState::Queued)).unwrap();
    assert_eq!(jobs(&open(&disk).0.list().unwrap()), [job(2)]);
}

#[test]
fn an_entry_written_before_settings_were_remembered_still_reads() {
    let mut entry = entry(1, JobState::Draft);
    let old = serde_json::to_string(&entry).unwrap();
    assert!(!old.contains("\"scan\""), "{old}");
    assert_eq!(serde_json::from_str::<JobEntry>(&old).unwrap(), entry);
    entry.scan = Some(ScanMemo {
        source: "platen".to_owned(),
        duplex: false,
        color_mode: "gray".to_owned(),
        resolution_dpi: 200,
        doubtful: None,
    });
    let new = serde_json::to_string(&entry).unwrap();
    assert_eq!(serde_json::from_str::<JobEntry>(&new).unwrap(), entry);
}
