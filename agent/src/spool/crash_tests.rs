//! Cuts the power, or fails the disk, at every operation of small workloads, and checks what
//! recovery makes of each of the disks that can be left.

use std::collections::BTreeMap;

use super::testing::{Counter, Keep, MemoryDisk, Trouble, sealed_bytes};
use super::tests::{begin, details, job, open, read};
use super::*;

/// What the person was told of one job, and what was under way.
#[derive(Clone, Default)]
struct Told {
    created: bool,
    saved: BTreeMap<u32, Vec<u8>>,
    in_hand: Option<(u32, Vec<u8>)>,
    given_up: Vec<u32>,
    sealing: bool,
    sealed: bool,
    removing: bool,
    removed: bool,
}

/// Pages of a few bytes, of several blocks, and of more than one record.
fn page(n: u32) -> Vec<u8> {
    let length = [300, 20_000, 270_000][n as usize % 3];
    sealed_bytes(u64::from(n), length)
}

/// One step of a workload, on job 1 or 2.
#[derive(Clone, Copy)]
enum Step {
    Create(u8),
    Save(u8, u32),
    GiveUp(u8, u32),
    Reopen(u8),
    Seal(u8),
    Remove(u8),
}

use Step::{Create, GiveUp, Remove, Reopen, Save, Seal};

const WORKLOADS: [&[Step]; 4] = [
    &[
        Create(1),
        Save(1, 1),
        Save(1, 2),
        Save(1, 3),
        Seal(1),
        Remove(1),
    ],
    &[Create(1), Save(1, 1), GiveUp(1, 2), Save(1, 3), Seal(1)],
    &[
        Create(1),
        Save(1, 1),
        Create(2),
        Save(2, 1),
        Seal(1),
        Save(2, 2),
        Remove(1),
        Seal(2),
    ],
    &[
        Create(1),
        Save(1, 1),
        GiveUp(1, 2),
        Reopen(1),
        Save(1, 3),
        Seal(1),
    ],
];

/// Carries out the steps and gives up a job at its first error, as the engine does.
fn run(disk: &MemoryDisk, steps: &[Step]) -> BTreeMap<u8, Told> {
    let mut told: BTreeMap<u8, Told> = BTreeMap::new();
    let Ok((spool, _)) = Spool::open(Arc::new(disk.clone()), "spool", tests::LIMITS) else {
        return told;
    };
    let mut files: BTreeMap<u8, JobFile> = BTreeMap::new();
    for step in steps {
        let (Create(n) | Save(n, _) | GiveUp(n, _) | Reopen(n) | Seal(n) | Remove(n)) = *step;
        let job_told = told.entry(n).or_default();
        if take(&spool, &mut files, *step, job_told).is_none() {
            files.remove(&n);
        }
    }
    told
}

fn take(
    spool: &Spool,
    files: &mut BTreeMap<u8, JobFile>,
    step: Step,
    told: &mut Told,
) -> Option<()> {
    match step {
        Create(n) => {
            let mut entropy = Counter(u64::from(n));
            files.insert(n, spool.create(job(n), &page(1), &mut entropy).ok()?);
            told.created = true;
        }
        Save(n, object) => {
            let file = files.get_mut(&n)?;
            let bytes = page(object);
            told.in_hand = Some((object, bytes.clone()));
            tests::save(file, object, &bytes).ok()?;
            told.in_hand = None;
            told.saved.insert(object, bytes);
        }
        GiveUp(n, object) => {
            let file = files.get_mut(&n)?;
            told.given_up.push(object);
            let mut page = file.begin_page(object).ok()?;
            page.push(&sealed_bytes(5, 300_000)).ok()?;
        }
        Reopen(n) => {
            drop(files.remove(&n)?);
            files.insert(n, spool.reopen(job(n)).ok()?);
        }
        Seal(n) => {
            let file = files.remove(&n)?;
            told.sealing = true;
            file.seal(&sealed_bytes(99, 9000)).ok()?;
            told.sealed = true;
        }
        Remove(n) => {
            if told.sealed {
                told.removing = true;
                spool.remove(job(n)).ok()?;
                told.removed = true;
            }
        }
    }
    Some(())
}

/// Recovers and holds what is found against what people were told.
fn check(disk: &MemoryDisk, told: &BTreeMap<u8, Told>, case: &str) {
    let (spool, found) = open(disk);
    for (n, told) in told {
        let found = found.iter().find(|found| found.job == job(*n));
        let Some(found) = found else {
            let may_be_gone = !told.created || told.removing;
            assert!(may_be_gone, "{case}: job {n} is lost");
            continue;
        };
        assert!(!told.removed, "{case}: job {n} came back");
        let case = format!("{case}, job {n}");
        match &found.kind {
            RecoveredKind::Draft { pages, damaged } => {
                assert!(!told.sealed, "{case}: sealed job is a draft");
                let of_hand = |n: &u32| told.in_hand.as_ref().is_some_and(|(hand, _)| hand == n);
                let explained = |n: &u32| of_hand(n) || told.given_up.contains(n);
                assert!(damaged.iter().all(explained), "{case}: damaged {damaged:?}");
                let numbers = pages.iter().map(|page| page.object);
                check_pages(&spool, *n, numbers.collect(), told, &case);
            }
            RecoveredKind::Complete => {
                assert!(told.sealing, "{case}: complete without seal");
                let reader = spool.reader(job(*n)).unwrap();
                assert_eq!(reader.damaged().count(), 0, "{case}");
                let numbers: Vec<u32> = reader.objects().map(|info| info.object).collect();
                assert_eq!(numbers[0], 0, "{case}");
                check_pages(&spool, *n, numbers[1..].to_vec(), told, &case);
            }
            other => panic!("{case}: {other:?}"),
        }
    }
    for found in &found {
        assert!(
            told.keys().any(|n| found.job == job(*n)),
            "{case}: {found:?}"
        );
    }
}

/// Every page told of is there, byte for byte; more is only the one that was in hand.
fn check_pages(spool: &Spool, n: u8, numbers: Vec<u32>, told: &Told, case: &str) {
    let mut reader = spool.reader(job(n)).unwrap();
    let infos: Vec<_> = reader.objects().collect();
    let mut expected = told.saved.clone();
    if let Some((object, bytes)) = &told.in_hand
        && numbers.contains(object)
    {
        expected.insert(*object, bytes.clone());
    }
    assert_eq!(
        numbers,
        expected.keys().copied().collect::<Vec<_>>(),
        "{case}"
    );
    for info in infos
        .iter()
        .filter(|info| expected.contains_key(&info.object))
    {
        assert_eq!(
            read(&mut reader, *info).unwrap(),
            expected[&info.object],
            "{case}"
        );
    }
}

/// Runs `each` for every operation that a quiet run of the workload makes.
fn at_every_operation(steps: &[Step], mut each: impl FnMut(usize)) {
    let disk = MemoryDisk::new();
    run(&disk, steps);
    (0..disk.operations()).for_each(&mut each);
}

#[test]
fn a_power_cut_at_any_operation_loses_no_saved_page() {
    for (w, steps) in WORKLOADS.iter().enumerate() {
        at_every_operation(steps, |at| {
            let disk = MemoryDisk::new();
            disk.plan(at, Trouble::Cut);
            let told = run(&disk, steps);
            for keep in Keep::ALL {
                let case = format!("workload {w}, cut at {at} {:?}, {keep:?}", disk.trace()[at]);
                let after = disk.after_cut(keep);
                check(&after, &told, &case);
                let once = after.snapshot();
                check(&after, &told, &format!("{case}, again"));
                assert_eq!(after.snapshot(), once, "{case}: recovery is not idempotent");
            }
        });
    }
}

#[test]
fn a_power_cut_during_recovery_changes_nothing() {
    for (w, steps) in WORKLOADS.iter().enumerate() {
        at_every_operation(steps, |at| {
            let disk = MemoryDisk::new();
            disk.plan(at, Trouble::Cut);
            let told = run(&disk, steps);
            for keep in [Keep::None, Keep::All, Keep::Random(3)] {
                let first = disk.after_cut(keep);
                let quiet = first.after_cut(Keep::All);
                open(&quiet);
                for second in 0..quiet.operations() {
                    let again = first.after_cut(Keep::All);
                    again.plan(second, Trouble::Cut);
                    let spool = Spool::open(Arc::new(again.clone()), "spool", tests::LIMITS);
                    drop(spool);
                    let case = format!("workload {w}, cut at {at}, {keep:?}, again at {second}");
                    for keep in [Keep::None, Keep::All] {
                        check(&again.after_cut(keep), &told, &case);
                    }
                }
            }
        });
    }
}

#[test]
fn a_draft_can_be_ended_after_a_cut_at_any_operation() {
    for (w, steps) in WORKLOADS.iter().enumerate() {
        at_every_operation(steps, |at| {
            let disk = MemoryDisk::new();
            disk.plan(at, Trouble::Cut);
            run(&disk, steps);
            for keep in [Keep::None, Keep::All, Keep::Random(4)] {
                let case = format!("workload {w}, cut at {at}, {keep:?}");
                let after = disk.after_cut(keep);
                let (spool, found) = open(&after);
                for found in found {
                    let RecoveredKind::Draft { pages, .. } = found.kind else {
                        continue;
                    };
                    let mut file = spool.reopen(found.job).unwrap();
                    let next = file.last_object() + 1;
                    let extra = tests::save(&mut file, next, &page(2)).unwrap();
                    file.seal(b"manifest").unwrap();
                    let numbers = pages.iter().map(|page| page.object).chain([extra.object]);
                    let rebooted = after.after_cut(Keep::None);
                    let mut reader = open(&rebooted).0.reader(found.job).unwrap();
                    let infos: Vec<_> = reader.objects().collect();
                    let kept: Vec<_> = infos.iter().skip(1).map(|info| info.object).collect();
                    assert_eq!(kept, numbers.collect::<Vec<_>>(), "{case}");
                    for info in infos {
                        read(&mut reader, info).unwrap();
                    }
                }
            }
        });
    }
}

#[test]
fn a_failing_operation_never_leads_to_a_false_promise() {
    for (w, steps) in WORKLOADS.iter().enumerate() {
        at_every_operation(steps, |at| {
            for kind in [
                DiskErrorKind::Io,
                DiskErrorKind::Full,
                DiskErrorKind::Denied,
            ] {
                let disk = MemoryDisk::new();
                disk.plan(at, Trouble::Fail(kind));
                let told = run(&disk, steps);
                disk.calm();
                let case = format!("workload {w}, {kind:?} at {at} {:?}", disk.trace()[at]);
                for keep in Keep::ALL {
                    check(&disk.after_cut(keep), &told, &format!("{case}, {keep:?}"));
                }
            }
        });
    }
}

/// The kernel may hold what the disk does not: a page found after a restart of the agent alone must
/// not be lost by a power cut after that.
#[test]
fn what_a_restarted_agent_finds_survives_a_later_power_cut() {
    for (w, steps) in WORKLOADS.iter().enumerate() {
        at_every_operation(steps, |at| {
            for trouble in [Trouble::Cut, Trouble::Fail(DiskErrorKind::Io)] {
                let disk = MemoryDisk::new();
                disk.plan(at, trouble);
                let told = run(&disk, steps);
                disk.calm();
                let case = format!("workload {w}, {trouble:?} at {at} {:?}", disk.trace()[at]);
                check(&disk, &told, &case);
                let (_, found) = open(&disk);
                let after = disk.after_cut(Keep::None);
                check(&after, &told, &case);
                for found in found {
                    let again = open(&after)
                        .1
                        .into_iter()
                        .find(|again| again.job == found.job);
                    assert_eq!(again.map(|again| again.kind), Some(found.kind), "{case}");
                }
            }
        });
    }
}

#[test]
fn a_failing_operation_during_recovery_hides_one_job_at_most() {
    let disk = MemoryDisk::new();
    let (spool, _) = open(&disk);
    for n in [1, 2, 3] {
        let mut file = begin(&spool, n);
        let mut page = file.begin_page(1).unwrap();
        page.push(b"page").unwrap();
        page.finish(details()).unwrap();
        if n == 3 {
            file.seal(b"manifest").unwrap();
        }
    }
    let quiet = disk.after_cut(Keep::None);
    open(&quiet);
    for at in 0..quiet.operations() {
        let again = disk.after_cut(Keep::None);
        again.plan(at, Trouble::Fail(DiskErrorKind::Io));
        let opened = Spool::open(Arc::new(again), "spool", tests::LIMITS);
        if let Ok((_, found)) = opened {
            let unreadable =
                |found: &&RecoveredJob| matches!(found.kind, RecoveredKind::Unreadable { .. });
            assert_eq!(found.len(), 3);
            assert!(found.iter().filter(unreadable).count() <= 1);
        }
    }
}
