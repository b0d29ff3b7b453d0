//! Every disk that a power cut can leave, for small workloads stopped at every operation.
//!
//! A workload does what the product does and notes what people were told. It is stopped at each
//! operation that changes the disk, every disk the model allows is built (`hal::sim::disk`), the
//! code that ships recovers it, and what it finds is held against what was told. Where recovery
//! itself changes the disk, it is stopped as well and recovered again. Nothing is sealed here: the
//! bytes only look like it.

pub mod cloud;
pub mod fakes;
pub mod files;
pub mod rot;
pub mod spool;
pub mod state;
pub mod sweep;

use std::fmt;
use std::str::FromStr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use scantrip_hal::sim::disk::{Bounds, SimDisk};

/// A promise that an image broke.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Promise {
    /// What was called saved, sealed or taken is there, byte for byte.
    Lost,
    /// Nothing is there that was not scanned: no mixed, cut or made-up page.
    Invented,
    /// What was erased or cancelled stays away.
    CameBack,
    /// A reported offset does not move backwards, and a receipt does not change.
    MovedBack,
    /// The spool stays within its reservation.
    OverBudget,
    /// A damaged block costs at most its own page, and a person hears of it.
    Unreported,
    /// Recovery ends, without panic or error.
    Stuck,
}

const PROMISES: [(Promise, &str); 7] = [
    (Promise::Lost, "lost"),
    (Promise::Invented, "invented"),
    (Promise::CameBack, "came back"),
    (Promise::MovedBack, "moved back"),
    (Promise::OverBudget, "over budget"),
    (Promise::Unreported, "unreported"),
    (Promise::Stuck, "stuck"),
];

/// What is wrong with an image.
#[derive(Clone, Debug)]
pub struct Broken {
    /// The promise.
    pub promise: Promise,
    /// How.
    pub what: String,
}

impl Broken {
    /// A broken promise.
    pub fn new(promise: Promise, what: impl Into<String>) -> Self {
        Self {
            promise,
            what: what.into(),
        }
    }
}

/// Fails with `what` unless `holds`.
///
/// # Errors
/// When it does not hold.
pub fn require(holds: bool, promise: Promise, what: impl FnOnce() -> String) -> Result<(), Broken> {
    if holds {
        return Ok(());
    }
    Err(Broken::new(promise, what()))
}

/// A machine at the moment its power went.
pub trait Stopped {
    /// Its disk.
    fn disk(&self) -> &SimDisk;

    /// Where a run like this is stopped.
    fn stops(&self) -> Vec<u64> {
        self.disk().stops()
    }

    /// Recovers `image` with the code that ships and holds it against what was told. `thorough`
    /// also uses what was found: goes on with it to its end.
    ///
    /// # Errors
    /// The promise that is broken.
    fn check(&self, image: &SimDisk, thorough: bool) -> Result<(), Broken>;

    /// Recovers and nothing else; its power may go in the middle.
    fn recover(&self, image: &SimDisk);
}

/// A workload: does its steps until the power goes.
pub trait Workload: Sync {
    /// Its name, for replays.
    fn name(&self) -> String;
    /// Runs it with the power going at `stop`, if given.
    fn run(&self, stop: Option<u64>) -> Box<dyn Stopped>;
    /// Which images are built.
    fn bounds(&self) -> Bounds {
        Bounds::default()
    }
}

/// Which image: workload, operation, image; and in its recovery operation and image again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Case {
    workload: String,
    stop: u64,
    image: usize,
    again: Option<(u64, usize)>,
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.workload, self.stop, self.image)?;
        match self.again {
            Some((stop, image)) => write!(f, ":{stop}:{image}"),
            None => Ok(()),
        }
    }
}

impl FromStr for Case {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let mut parts = text.split(':');
        let mut next = || parts.next();
        let usage = || anyhow::anyhow!("a case is WORKLOAD:OPERATION:IMAGE[:OPERATION:IMAGE]");
        let case = Self {
            workload: next().ok_or_else(usage)?.to_owned(),
            stop: next().ok_or_else(usage)?.parse()?,
            image: next().ok_or_else(usage)?.parse()?,
            again: match (next(), next()) {
                (Some(stop), Some(image)) => Some((stop.parse()?, image.parse()?)),
                _ => None,
            },
        };
        Ok(case)
    }
}

/// What was done.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Disks built and recovered.
    pub images: u64,
    /// Of these, disks of a machine that was stopped during recovery.
    pub during_recovery: u64,
    /// Recoveries that were used to their end.
    pub thorough: u64,
    /// Workloads.
    pub workloads: u64,
    /// Operations at which they were stopped.
    pub stops: u64,
    /// What is broken, each with the case that shows it.
    pub broken: Vec<(Broken, String)>,
}

impl Tally {
    fn add(&mut self, other: Self) {
        self.images += other.images;
        self.during_recovery += other.during_recovery;
        self.thorough += other.thorough;
        self.workloads += other.workloads;
        self.stops += other.stops;
        self.broken.extend(other.broken);
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "images {}, workloads {}, stops {}, recoveries {}, during recovery {}, used to the end {}",
            self.images,
            self.workloads,
            self.stops,
            self.images + self.thorough,
            self.during_recovery,
            self.thorough
        )?;
        for (promise, name) in PROMISES {
            let count = self.broken.iter().filter(|(b, _)| b.promise == promise);
            write!(f, ", {name} {}", count.count())?;
        }
        Ok(())
    }
}

/// Every so many images, what is found is also used to its end.
const THOROUGH_EVERY: usize = 47;
/// Every so many images of a stop, recovery is stopped as well.
const AGAIN_EVERY: usize = 11;

/// Builds and checks every image of all workloads on `threads` threads; `done` hears of each
/// workload's images when it is through.
#[must_use]
pub fn exhaust(
    workloads: &[Box<dyn Workload>],
    threads: usize,
    done: &(dyn Fn(u64) + Sync),
) -> Tally {
    let next = AtomicUsize::new(0);
    // One broken image is enough to begin with.
    let broken = AtomicBool::new(false);
    let total = Mutex::new(Tally::default());
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(|| {
                let mut tally = Tally::default();
                while let Some(workload) = workloads.get(next.fetch_add(1, Ordering::Relaxed)) {
                    let before = tally.images;
                    stop_everywhere(&**workload, &mut tally);
                    done(tally.images - before);
                    broken.fetch_or(!tally.broken.is_empty(), Ordering::Relaxed);
                    if broken.load(Ordering::Relaxed) {
                        break;
                    }
                }
                total.lock().expect("no thread panics with it").add(tally);
            });
        }
    });
    total.into_inner().expect("all threads have ended")
}

/// One image again: the last operations before the cut, and what is broken.
///
/// # Errors
/// When there is no such image.
pub fn replay(workloads: &[Box<dyn Workload>], case: &Case) -> anyhow::Result<Replayed> {
    let missing = || anyhow::anyhow!("there is no case {case}");
    let workload = workloads.iter().find(|w| w.name() == case.workload);
    let workload = workload.ok_or_else(missing)?;
    let stopped = workload.run(Some(case.stop));
    let mut operations = stopped.disk().trace();
    let images = stopped.disk().images(workload.bounds());
    let mut image = images.image(case.image).ok_or_else(missing)?;
    if let Some((stop, number)) = case.again {
        image.stop_at(stop);
        stopped.recover(&image);
        operations.push(format!("power back, and gone at operation {stop}"));
        let images = image.images(workload.bounds());
        image = images.image(number).ok_or_else(missing)?;
    }
    let broken = stopped.check(&image, true).err();
    Ok(Replayed { operations, broken })
}

/// A case again.
#[derive(Clone, Debug)]
pub struct Replayed {
    /// Operations on the disk up to the cut.
    pub operations: Vec<String>,
    /// What is broken, if it still is.
    pub broken: Option<Broken>,
}

fn stop_everywhere(workload: &dyn Workload, tally: &mut Tally) {
    tally.workloads += 1;
    for stop in workload.run(None).stops() {
        let stopped = workload.run(Some(stop));
        tally.stops += 1;
        if !stop_once(workload, stop, &*stopped, tally) {
            return;
        }
    }
}

/// Every image of one stop; false when something is broken.
fn stop_once(workload: &dyn Workload, stop: u64, stopped: &dyn Stopped, tally: &mut Tally) -> bool {
    let images = stopped.disk().images(workload.bounds());
    for number in 0..images.total() {
        let build = || images.image(number).expect("the number is below the total");
        let thorough = number % THOROUGH_EVERY == 0;
        let image = build();
        tally.images += 1;
        tally.thorough += u64::from(thorough);
        let case = |again| Case {
            workload: workload.name(),
            stop,
            image: number,
            again,
        };
        if let Err(broken) = stopped.check(&image, thorough) {
            tally.broken.push((broken, case(None).to_string()));
            return false;
        }
        if number % AGAIN_EVERY == 0
            && let Err((broken, again)) = stop_recovery(workload, &build, stopped, tally)
        {
            tally.broken.push((broken, case(Some(again)).to_string()));
            return false;
        }
    }
    true
}

/// Stops the recovery of an image at every operation that changes the disk.
fn stop_recovery(
    workload: &dyn Workload,
    build: &dyn Fn() -> SimDisk,
    stopped: &dyn Stopped,
    tally: &mut Tally,
) -> Result<(), (Broken, (u64, usize))> {
    let quiet = build();
    stopped.recover(&quiet);
    let stops = quiet.stops();
    if let [_end] = *stops {
        return Ok(());
    }
    for stop in stops {
        let again = build();
        again.stop_at(stop);
        stopped.recover(&again);
        for (number, image) in again.images(workload.bounds()).enumerate() {
            tally.images += 1;
            tally.during_recovery += 1;
            let found = stopped.check(&image, false);
            found.map_err(|broken| (broken, (stop, number)))?;
        }
    }
    Ok(())
}
