//! The error sweep: the k-th operation on a disk fails, for every k and in every way. Nothing
//! panics, and nothing is called saved that a power cut then loses.
//!
//! An interrupted call (EINTR) that reaches the port looks like any input/output error that does
//! not come again.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use scantrip_hal::disk::{Disk, DiskErrorKind};
use scantrip_hal::fault::{DiskFault, FaultDisk, FaultPlan};
use scantrip_hal::sim::disk::SimDisk;

use super::{Broken, cloud, spool, state};

/// Ways in which an operation fails.
const FAULTS: [(&str, DiskFault); 5] = [
    ("EIO", DiskFault::Error(DiskErrorKind::Io)),
    ("ENOSPC", DiskFault::Error(DiskErrorKind::Full)),
    ("EACCES", DiskFault::Error(DiskErrorKind::Denied)),
    ("short write, EIO", DiskFault::ShortWrite(DiskErrorKind::Io)),
    (
        "short write, ENOSPC",
        DiskFault::ShortWrite(DiskErrorKind::Full),
    ),
];
/// Disks drawn after each failure; the disk as it is comes on top.
const CRASHES: u64 = 6;
/// Spool workloads drawn besides the written ones.
const DRAWN: u64 = 24;

/// What was done.
#[derive(Debug, Default)]
pub struct Swept {
    /// Runs with one failed operation.
    pub runs: u64,
    /// Disks recovered after them.
    pub recovered: u64,
    /// What went wrong.
    pub wrong: Vec<String>,
}

impl fmt::Display for Swept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "failed operations {}, recoveries {}, false promises {}",
            self.runs,
            self.recovered,
            self.wrong.len()
        )
    }
}

type Check<'a> = Box<dyn Fn(&SimDisk) -> Result<(), Broken> + 'a>;

/// Sweeps spool and journal, the state store, and the cloud's blobs, on `threads` threads.
#[must_use]
pub fn run(threads: usize) -> Swept {
    let subjects = subjects();
    let next = AtomicUsize::new(0);
    let total = Mutex::new(Swept::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut swept = Swept::default();
                while let Some(subject) = subjects.get(next.fetch_add(1, Ordering::Relaxed)) {
                    subject(&mut swept);
                }
                total.lock().expect("no thread panics with it").add(swept);
            });
        }
    });
    total.into_inner().expect("all threads have ended")
}

type Subject = Box<dyn Fn(&mut Swept) + Sync>;

fn subjects() -> Vec<Subject> {
    let spool = spool::scripts(DRAWN).into_iter().map(|script| -> Subject {
        Box::new(move |swept| {
            swept.sweep(&script.name, &spool::old_disk, &|disk, faulty| {
                let told = spool::play(disk, faulty, &script.steps);
                Box::new(move |image| told.check(image, false))
            });
        })
    });
    let cloud = cloud::scripts().into_iter().map(|script| -> Subject {
        Box::new(move |swept| {
            swept.sweep(script.name(), &cloud::disk, &|disk, faulty| {
                let machine = script.play(disk, faulty);
                Box::new(move |image| machine.check_image(image))
            });
        })
    });
    let state: Subject = Box::new(|swept| {
        swept.sweep("state", &state::disk, &|_, faulty| {
            let told = state::play(faulty);
            Box::new(move |image| told.check(image))
        });
    });
    spool.chain(cloud).chain([state]).collect()
}

impl Swept {
    fn add(&mut self, other: Self) {
        self.runs += other.runs;
        self.recovered += other.recovered;
        self.wrong.extend(other.wrong);
    }

    fn sweep<'a>(
        &mut self,
        name: &str,
        fresh: &dyn Fn() -> SimDisk,
        play: &dyn Fn(&SimDisk, &Arc<dyn Disk>) -> Check<'a>,
    ) {
        let faulty = |disk: &SimDisk, plan| FaultDisk::new(Arc::new(disk.clone()), plan);
        let disk = fresh();
        let quiet = faulty(&disk, FaultPlan::none());
        let port: Arc<dyn Disk> = Arc::new(quiet.clone());
        drop(play(&disk, &port));
        for at in 1..=quiet.operations() {
            for (fault, kind) in FAULTS {
                let disk = fresh();
                let port: Arc<dyn Disk> = Arc::new(faulty(&disk, FaultPlan::at(at, kind)));
                let check = play(&disk, &port);
                // A flush failure that the run never came to is none of the recovery's.
                disk.heal();
                self.runs += 1;
                let crashes = (0..CRASHES).map(|seed| disk.crashed(seed ^ at << 8));
                let trace = disk.trace();
                // The disk as it is, for an agent that starts again without a power cut; last,
                // because recovery changes it.
                let crashes: Vec<SimDisk> = crashes.chain([disk.clone()]).collect();
                for (number, image) in crashes.iter().enumerate() {
                    self.recovered += 1;
                    if let Err(broken) = check(image) {
                        self.wrong.push(format!(
                            "{name}: {fault} at operation {at}, disk {number}: {:?}: {}\n  {}",
                            broken.promise,
                            broken.what,
                            trace.join("\n  ")
                        ));
                        return;
                    }
                }
            }
        }
    }
}
