//! Spool and journal on one disk: jobs as a person makes them, and what the person was told.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use scantrip::job_id::JobId;
use scantrip::journal::{JobEntry, JobState, Journal};
use scantrip::spool::{
    JobFile, PageDetails, PageRecord, RecoveredJob, RecoveredKind, Spool, SpoolError, SpoolLimits,
};
use scantrip_cloud_client::wire::{INTENT_OBJECT, SignedReceipt};
use scantrip_hal::disk::Disk;
use scantrip_hal::scanner::Side;
use scantrip_hal::sim::disk::{Dice, SimDisk, SimDiskConfig};

use super::fakes::{FakeEntropy, FakeKeys, sealed_bytes};
use super::{Broken, Promise, Stopped, Workload, require};

/// One step of a workload; the first number is the job.
#[derive(Clone, Copy, Debug)]
pub enum Step {
    /// The job is opened: journal, then spool.
    Create(u8),
    /// A page of so many bytes is saved.
    Save(u8, u32, usize),
    /// A page is begun, and given up after so many bytes.
    GiveUp(u8, u32, usize),
    /// A saved page is taken back.
    Void(u8, u32),
    /// The job's file is left and opened again, as after an error.
    Reopen(u8),
    /// The job is sealed, and said to be queued.
    Seal(u8),
    /// The cloud's receipt is stored, then the job's file is erased.
    Receipt(u8),
    /// A person throws the job away.
    Cancel(u8),
    /// The agent is restarted; the machine is not.
    Restart,
    /// The next flush fails.
    FailFlush,
}

/// What people were told of one job, and what was under way.
#[derive(Clone, Debug, Default)]
struct Told {
    created: bool,
    saved: BTreeMap<u32, usize>,
    in_hand: Option<(u32, usize)>,
    /// Pages called not saved. A draft may still show them until something later is durable.
    failed: Vec<(u32, usize)>,
    /// Of these, pages that an agent showed when it started again: the job may keep them.
    shown: Vec<(u32, usize)>,
    given_up: Vec<u32>,
    voiding: Vec<u32>,
    sealing: bool,
    sealed: bool,
    receipt: bool,
    removing: bool,
    removed: bool,
    cancelled: bool,
}

impl Told {
    /// Pages that were not called saved, and may be there.
    fn unsure(&self) -> impl Iterator<Item = (u32, usize)> + '_ {
        let failed = self.failed.iter().chain(&self.shown).copied();
        self.in_hand.into_iter().chain(failed)
    }

    /// The agent has started again and shows these pages of the job.
    fn show(&mut self, pages: &[PageRecord]) {
        let is_there = |(object, _): &(u32, usize)| pages.iter().any(|p| p.object == *object);
        let hand = self.in_hand.take_if(|hand| is_there(hand));
        self.shown.extend(hand);
        self.shown
            .extend(self.failed.extract_if(.., |failed| is_there(failed)));
    }

    /// Something later is durable: what failed before does not count, ever.
    fn settle(&mut self) {
        let failed = self.failed.drain(..);
        self.given_up.extend(failed.map(|(object, _)| object));
    }
}

/// Three reservations: a third job opens, and neither it nor a fourth finds room to grow.
pub const LIMITS: SpoolLimits = SpoolLimits {
    bytes_max: 1536 << 10,
    free_bytes_min: 0,
    reserve_bytes: 512 << 10,
};
const BYTES_TOTAL: u64 = 64 << 20;
const MANIFEST: (u32, usize) = (0, 900);

/// A workload of steps.
#[derive(Clone, Debug)]
pub struct Script {
    /// Its name.
    pub name: String,
    /// What is done.
    pub steps: Vec<Step>,
    /// At the stop only the agent dies. It starts again, people hear what it found, and then the
    /// power goes: what stood in the cache alone must not have been believed.
    pub killed: bool,
}

impl Workload for Script {
    fn name(&self) -> String {
        self.name.clone()
    }

    fn run(&self, stop: Option<u64>) -> Box<dyn Stopped> {
        let disk = old_disk();
        if let Some(stop) = stop {
            disk.stop_at(disk.operations() + stop);
        }
        let port: Arc<dyn Disk> = Arc::new(disk.clone());
        let mut told = play(&disk, &port, &self.steps);
        let stops = disk.stops();
        if self.killed {
            disk.power(true);
            told.hear_restarted(&port);
            disk.cut();
        }
        let live = check_used(&disk, disk.used_bytes());
        Box::new(Machine {
            disk,
            told,
            stops,
            live,
        })
    }
}

/// A disk that was in use: its free space holds an erased job file.
#[must_use]
pub fn old_disk() -> SimDisk {
    static USED: LazyLock<SimDisk> = LazyLock::new(|| use_disk().expect("this disk works"));
    // As found the next morning: nothing is under way, operations are counted anew.
    let disk = USED.crashed(0);
    disk.keep_trace();
    disk
}

fn use_disk() -> Result<SimDisk, SpoolError> {
    let config = SimDiskConfig {
        bytes_total: BYTES_TOTAL,
        trace: false,
    };
    let disk = SimDisk::new(config, 1);
    let (spool, _) = Spool::open(Arc::new(disk.clone()), "spool", LIMITS)?;
    let mut file = begin(&spool, 9)?;
    save(&mut file, 1, &page(9, 1, 9000))?;
    file.seal(&page(9, MANIFEST.0, MANIFEST.1))?;
    spool.remove(job(9))?;
    Ok(disk)
}

/// What a script has told, of which job.
#[derive(Clone, Debug, Default)]
pub struct Promises(BTreeMap<u8, Told>);

struct Machine {
    disk: SimDisk,
    told: Promises,
    stops: Vec<u64>,
    /// Whether the running agent kept within its bounds.
    live: Result<(), Broken>,
}

impl Stopped for Machine {
    fn disk(&self) -> &SimDisk {
        &self.disk
    }

    fn stops(&self) -> Vec<u64> {
        self.stops.clone()
    }

    fn check(&self, image: &SimDisk, thorough: bool) -> Result<(), Broken> {
        self.live.clone()?;
        self.told.check(image, thorough)
    }

    fn recover(&self, image: &SimDisk) {
        let disk: Arc<dyn Disk> = Arc::new(image.clone());
        drop(Spool::open(Arc::clone(&disk), "spool", LIMITS));
        drop(open_journal(&disk));
    }
}

/// The id of a job.
#[must_use]
pub const fn job(n: u8) -> JobId {
    JobId::from_bytes([n; 16])
}

fn page(n: u8, object: u32, length: usize) -> Arc<[u8]> {
    sealed_bytes(u64::from(n) << 32 | u64::from(object), length)
}

/// A page as it was scanned.
#[derive(Clone, Debug)]
pub struct Page {
    object: u32,
    bytes: Arc<[u8]>,
}

impl Page {
    /// The page of this number and size; equal numbers, equal bytes.
    #[must_use]
    pub fn new(n: u8, object: u32, length: usize) -> Self {
        Self {
            object,
            bytes: page(n, object, length),
        }
    }

    /// Its sealed bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Saves it.
    ///
    /// # Errors
    /// When it is not saved.
    pub fn save(&self, file: &mut JobFile) -> Result<(), SpoolError> {
        save(file, self.object, &self.bytes)
    }
}

/// Begins a job.
///
/// # Errors
/// When the spool refuses.
pub fn begin(spool: &Spool, n: u8) -> Result<JobFile, SpoolError> {
    let mut entropy = FakeEntropy(Dice::new(u64::from(n)));
    spool.create(job(n), &page(n, INTENT_OBJECT, 300), &mut entropy)
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

fn entry(n: u8, state: JobState, receipt: bool) -> JobEntry {
    JobEntry {
        job: job(n),
        workflow_id: "invoices".to_owned(),
        workflow_version: 3,
        workflow_name: "Invoices".to_owned(),
        member: None,
        pages: 1,
        opened_at_ms: 1_700_000_000_000 + u64::from(n),
        changed_at_ms: 1_700_000_000_000,
        state,
        sends_intent: false,
        scan: None,
        receipt: receipt.then(|| SignedReceipt {
            receipt: "receipt".to_owned(),
            signature: "signature".to_owned(),
            certificate: "certificate".to_owned(),
        }),
    }
}

fn open_journal(disk: &Arc<dyn Disk>) -> Option<Journal> {
    let mut entropy = FakeEntropy(Dice::new(77));
    let opened = Journal::open(
        Arc::clone(disk),
        Arc::new(FakeKeys),
        "journal",
        &mut entropy,
    );
    opened.ok().map(|(journal, _)| journal)
}

fn save(file: &mut JobFile, object: u32, bytes: &[u8]) -> Result<(), SpoolError> {
    let mut writer = file.begin_page(object)?;
    for piece in bytes.chunks(60_000) {
        writer.push(piece)?;
    }
    writer.finish(details())?;
    Ok(())
}

/// Plays the steps as the engine would: a job whose file fails is opened again and ends with the
/// pages saved before.
#[must_use]
pub fn play(switch: &SimDisk, disk: &Arc<dyn Disk>, steps: &[Step]) -> Promises {
    let mut told = Promises::default();
    let mut agent = Agent::start(disk);
    for step in steps.iter().take_while(|_| switch.is_on()) {
        match step {
            Step::Restart => {
                drop(agent.take());
                agent = Agent::start(disk);
                told.hear_of_drafts(agent.iter().flat_map(|agent| &agent.found));
            }
            Step::FailFlush => switch.fail_next_flush(),
            _ => {
                let Some(agent) = &mut agent else {
                    // It did not start; a person would try again.
                    continue;
                };
                let n = step.job();
                // A step that fails is a step a person hears of; the next one goes on.
                drop(agent.take_step(*step, told.0.entry(n).or_default()));
            }
        }
    }
    told
}

impl Step {
    const fn job(self) -> u8 {
        match self {
            Self::Create(n)
            | Self::Save(n, ..)
            | Self::GiveUp(n, ..)
            | Self::Void(n, _)
            | Self::Reopen(n)
            | Self::Seal(n)
            | Self::Receipt(n)
            | Self::Cancel(n) => n,
            Self::Restart | Self::FailFlush => 0,
        }
    }
}

/// The agent's storage while it runs.
struct Agent {
    spool: Spool,
    journal: Journal,
    files: BTreeMap<u8, JobFile>,
    /// What was there when it started.
    found: Vec<RecoveredJob>,
}

impl Agent {
    fn start(disk: &Arc<dyn Disk>) -> Option<Self> {
        let (spool, found) = Spool::open(Arc::clone(disk), "spool", LIMITS).ok()?;
        Some(Self {
            spool,
            journal: open_journal(disk)?,
            files: BTreeMap::new(),
            found,
        })
    }

    /// The job's file, opened again if it failed.
    fn file(&mut self, n: u8) -> Result<&mut JobFile, SpoolError> {
        if !self.files.contains_key(&n) {
            self.files.insert(n, self.spool.reopen(job(n))?);
        }
        Ok(self.files.get_mut(&n).expect("it was put there"))
    }

    fn take_step(&mut self, step: Step, told: &mut Told) -> anyhow::Result<()> {
        let done = self.try_step(step, told);
        let full = |error: &anyhow::Error| {
            error
                .downcast_ref::<SpoolError>()
                .is_some_and(SpoolError::is_full)
        };
        if done.as_ref().is_err_and(|error| !full(error)) {
            // After any error but a full disk the file takes no more.
            self.files.remove(&step.job());
        }
        done
    }

    fn try_step(&mut self, step: Step, told: &mut Told) -> anyhow::Result<()> {
        let gone = told.cancelled || told.removing;
        match step {
            Step::Create(n) => {
                self.journal.put(&entry(n, JobState::Scanning, false))?;
                let file = begin(&self.spool, n)?;
                self.files.insert(n, file);
                told.created = true;
            }
            _ if !told.created => {}
            Step::Save(n, object, length) if !told.sealing && !gone => {
                told.failed.extend(told.in_hand.replace((object, length)));
                save(self.file(n)?, object, &page(n, object, length))?;
                told.in_hand = None;
                told.saved.insert(object, length);
                told.settle();
            }
            Step::GiveUp(n, object, length) if !told.sealing && !gone => {
                told.given_up.push(object);
                let mut writer = self.file(n)?.begin_page(object)?;
                writer.push(&page(n, object, length))?;
            }
            Step::Void(n, object) if !told.sealing && !gone => {
                told.voiding.push(object);
                self.file(n)?.void(object)?;
                told.saved.remove(&object);
                told.given_up.push(object);
                told.settle();
            }
            Step::Reopen(n) => {
                self.files.remove(&n);
                self.file(n)?;
            }
            Step::Seal(n) if !told.sealed && !gone => self.seal(n, told)?,
            Step::Receipt(n) if told.sealed && !gone => {
                self.journal.put(&entry(n, JobState::Received, true))?;
                told.receipt = true;
                told.removing = true;
                self.spool.remove(job(n))?;
                told.removed = true;
            }
            Step::Cancel(n) if !gone => {
                self.files.remove(&n);
                self.journal.put(&entry(n, JobState::Discarding, false))?;
                told.cancelled = true;
                told.removing = true;
                self.spool.remove(job(n))?;
                told.removed = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn seal(&mut self, n: u8, told: &mut Told) -> anyhow::Result<()> {
        self.file(n)?;
        told.sealing = true;
        let file = self.files.remove(&n).expect("it was just opened");
        file.seal(&page(n, MANIFEST.0, MANIFEST.1))?;
        told.sealed = true;
        self.journal.put(&entry(n, JobState::Queued, false))?;
        Ok(())
    }
}

impl Promises {
    /// The agent has started again and shows these drafts.
    fn hear_of_drafts<'a>(&mut self, found: impl Iterator<Item = &'a RecoveredJob>) {
        for found in found {
            let told = self.0.iter_mut().find(|(n, _)| job(**n) == found.job);
            if let (Some((_, told)), RecoveredKind::Draft { pages, .. }) = (told, &found.kind) {
                told.show(pages);
            }
        }
    }

    /// The agent starts on the same cache: what it shows is told, too.
    fn hear_restarted(&mut self, disk: &Arc<dyn Disk>) {
        let Ok((_, found)) = Spool::open(Arc::clone(disk), "spool", LIMITS) else {
            return;
        };
        let journal = open_journal(disk);
        for (&n, told) in &mut self.0 {
            let known = journal
                .as_ref()
                .and_then(|journal| journal.get(job(n)).ok()?);
            told.receipt |= known.as_ref().is_some_and(|entry| entry.receipt.is_some());
            let discarding = |entry: &JobEntry| entry.state == JobState::Discarding;
            told.cancelled |= known.as_ref().is_some_and(discarding);
            told.removing |= told.receipt || told.cancelled;
            let here = found.iter().find(|found| found.job == job(n));
            match here.map(|found| &found.kind) {
                Some(RecoveredKind::Complete) => told.sealed = true,
                Some(RecoveredKind::Draft { pages, .. }) => {
                    let hand = told.in_hand;
                    let is_there = |(object, _): &(u32, usize)| {
                        pages.iter().any(|page| page.object == *object)
                    };
                    told.saved.extend(hand.filter(is_there));
                }
                _ => {}
            }
        }
    }

    /// Recovers `image` and holds what is found against what was told.
    ///
    /// # Errors
    /// The promise that is broken.
    pub fn check(&self, image: &SimDisk, thorough: bool) -> Result<(), Broken> {
        let disk: Arc<dyn Disk> = Arc::new(image.clone());
        let (spool, found) = Spool::open(Arc::clone(&disk), "spool", LIMITS)
            .map_err(|error| Broken::new(Promise::Stuck, format!("the spool: {error}")))?;
        let journal = open_journal(&disk)
            .ok_or_else(|| Broken::new(Promise::Stuck, "the journal does not open"))?;
        check_budget(image, &spool)?;
        for (&n, told) in &self.0 {
            self.check_journal(&journal, n, told)?;
            let mut of_job = found.iter().filter(|found| found.job == job(n));
            let here = of_job.next();
            require(of_job.next().is_none(), Promise::Invented, || {
                format!("job {n} is there twice")
            })?;
            match here {
                None => require(!told.created || told.removing, Promise::Lost, || {
                    format!("job {n} is gone")
                })?,
                Some(here) => check_job(&spool, n, told, here)?,
            }
        }
        let ours = |found: &RecoveredJob| self.0.keys().any(|&n| found.job == job(n));
        require(found.iter().all(ours), Promise::Invented, || {
            format!("a job that nobody made: {found:?}")
        })?;
        if thorough {
            self.go_on(image, &spool, &found)?;
        }
        Ok(())
    }

    /// A receipt that was stored is there; so is that a job was thrown away.
    fn check_journal(&self, journal: &Journal, n: u8, told: &Told) -> Result<(), Broken> {
        let known = journal
            .get(job(n))
            .map_err(|error| Broken::new(Promise::Stuck, format!("the journal: {error}")))?;
        if told.receipt {
            let there = known.as_ref().is_some_and(|entry| entry.receipt.is_some());
            require(there, Promise::Lost, || {
                format!("the receipt of job {n} is gone")
            })?;
        }
        if told.cancelled && !told.receipt {
            let known = known.as_ref().map(|entry| &entry.state);
            let there = matches!(known, Some(JobState::Discarding));
            require(there, Promise::CameBack, || format!("job {n} is {known:?}"))?;
        }
        if told.created {
            require(known.is_some(), Promise::Lost, || {
                format!("the journal forgot job {n}")
            })?;
        }
        Ok(())
    }

    /// Recovery again finds the same, and what was found can be used to its end: drafts take
    /// another page and are sealed, jobs are read whole and erased.
    fn go_on(&self, image: &SimDisk, spool: &Spool, found: &[RecoveredJob]) -> Result<(), Broken> {
        let stuck = |what: &str, error: SpoolError| {
            Broken::new(Promise::Stuck, format!("{what} after a cut: {error}"))
        };
        let disk: Arc<dyn Disk> = Arc::new(image.clone());
        let again = Spool::open(disk, "spool", LIMITS).map_err(|e| stuck("opening", e))?;
        require(again.1 == found, Promise::Lost, || {
            format!("found {found:?}, then {:?}", again.1)
        })?;
        for found in found {
            let RecoveredKind::Draft { pages, .. } = &found.kind else {
                spool.remove(found.job).map_err(|e| stuck("erasing", e))?;
                continue;
            };
            let mut file = spool.reopen(found.job).map_err(|e| stuck("reopening", e))?;
            let object = file.last_object() + 1;
            let mut expected: Vec<u32> = pages.iter().map(|page| page.object).collect();
            match save(&mut file, object, &sealed_bytes(u64::from(object), 2000)) {
                Ok(()) => expected.push(object),
                // However full the disk is, the job can be ended.
                Err(error) if error.is_full() => {}
                Err(error) => return Err(stuck("a page", error)),
            }
            file.seal(b"manifest").map_err(|e| stuck("sealing", e))?;
            // All of that is durable: the worst disk of those that can be left has it.
            let disk: Arc<dyn Disk> = Arc::new(image.crashed(u64::from(object)));
            let (spool, _) = Spool::open(disk, "spool", LIMITS).map_err(|e| stuck("opening", e))?;
            let reader = spool.reader(found.job).map_err(|e| stuck("reading", e))?;
            let there: Vec<u32> = reader.objects().skip(1).map(|info| info.object).collect();
            require(there == expected, Promise::Lost, || {
                format!("continued with {expected:?}, found {there:?}")
            })?;
        }
        Ok(())
    }
}

/// The spool takes no more of the disk than it may.
fn check_budget(image: &SimDisk, spool: &Spool) -> Result<(), Broken> {
    let bytes = spool.usage().bytes;
    require(bytes <= LIMITS.bytes_max, Promise::OverBudget, || {
        format!("the spool holds {bytes} bytes")
    })?;
    check_used(image, image.used_bytes())
}

/// What a disk's files take is the spool's limit at most, and the journal.
fn check_used(disk: &SimDisk, used: u64) -> Result<(), Broken> {
    let length = |path: &str| disk.length(path).unwrap_or(0);
    let journal = length("journal/journal.log") + length("journal/journal.new");
    let allowed = LIMITS.bytes_max + journal.next_multiple_of(4096) + 4096;
    require(used <= allowed, Promise::OverBudget, || {
        format!("{used} bytes of the disk are taken, {allowed} may be")
    })
}

/// One job that was found.
fn check_job(spool: &Spool, n: u8, told: &Told, found: &RecoveredJob) -> Result<(), Broken> {
    require(!told.removed, Promise::CameBack, || {
        format!("job {n} came back")
    })?;
    let numbers = match &found.kind {
        RecoveredKind::Draft { pages, damaged } => {
            require(!told.sealed, Promise::Lost, || {
                format!("job {n} was sealed and is a draft")
            })?;
            let unsure = |object: &u32| told.unsure().any(|(unsure, _)| unsure == *object);
            let explained = |object: &u32| unsure(object) || told.given_up.contains(object);
            require(damaged.iter().all(explained), Promise::Lost, || {
                format!("job {n}: damaged {damaged:?}")
            })?;
            pages.iter().map(|page| page.object).collect::<Vec<u32>>()
        }
        RecoveredKind::Complete => {
            require(told.sealing, Promise::Invented, || {
                format!("job {n} is complete and was not sealed")
            })?;
            let reader = spool.reader(job(n)).map_err(|error| lost(n, &error))?;
            let numbers: Vec<u32> = reader.objects().map(|info| info.object).collect();
            require(numbers.first() == Some(&0), Promise::Lost, || {
                format!("job {n} lost its manifest: {numbers:?}")
            })?;
            numbers[1..].to_vec()
        }
        other => {
            let what = format!("job {n}: {other:?}");
            return require(!told.created, Promise::Lost, || what);
        }
    };
    let drafted = matches!(found.kind, RecoveredKind::Draft { .. });
    check_pages(spool, n, told, &numbers, drafted)
}

/// Every page told of is there, byte for byte; more, in a draft, is only what may be in it.
fn check_pages(
    spool: &Spool,
    n: u8,
    told: &Told,
    numbers: &[u32],
    drafted: bool,
) -> Result<(), Broken> {
    let mut expected = told.saved.clone();
    let may_be: Vec<_> = match drafted {
        true => told.unsure().collect(),
        false => told.shown.clone(),
    };
    let there = |(object, _): &(u32, usize)| numbers.contains(object);
    expected.extend(may_be.into_iter().filter(there));
    expected.retain(|object, _| !told.voiding.contains(object) || numbers.contains(object));
    for object in expected.keys() {
        require(numbers.contains(object), Promise::Lost, || {
            format!("page {object} of job {n}: there are {numbers:?}")
        })?;
    }
    require(numbers.len() == expected.len(), Promise::Invented, || {
        format!("job {n} has {numbers:?}, {expected:?} were scanned")
    })?;
    let mut reader = spool.reader(job(n)).map_err(|error| lost(n, &error))?;
    let mut objects: Vec<_> = reader.objects().collect();
    objects.extend(reader.intent());
    for info in objects {
        let length = match info.object {
            INTENT_OBJECT => 300,
            // Of a job that nobody was told is sealed, the manifest may be in pieces.
            0 if !told.sealed => continue,
            0 => MANIFEST.1,
            object => match expected.get(&object) {
                Some(&length) => length,
                None => continue,
            },
        };
        let wanted = page(n, info.object, length);
        let mut bytes = vec![0; length + 1];
        let read = reader
            .read_at(info.object, 0, &mut bytes)
            .map_err(|error| lost(n, &error))?;
        require(bytes[..read] == *wanted, Promise::Invented, || {
            format!("object {} of job {n} has other bytes", info.object)
        })?;
    }
    Ok(())
}

fn lost(n: u8, error: &SpoolError) -> Broken {
    Broken::new(Promise::Lost, format!("job {n}: {error}"))
}

/// Sizes of drawn pages, and how many of 200 have them: one block, two, three, five, nine, and
/// more than one record. Long ones are rare: each image reads them whole, and shows no more.
const SIZES: [(u64, usize); 6] = [
    (80, 300),
    (80, 4_100),
    (30, 7_000),
    (6, 16_500),
    (3, 33_000),
    (1, 270_000),
];

/// All workloads.
#[must_use]
pub fn workloads(drawn: u64) -> Vec<Box<dyn Workload>> {
    let scripts = scripts(drawn).into_iter();
    scripts
        .map(|script| Box::new(script) as Box<dyn Workload>)
        .collect()
}

/// Some written by hand, `drawn` more by lot within the same bounds.
#[must_use]
pub fn scripts(drawn: u64) -> Vec<Script> {
    let written = written()
        .into_iter()
        .enumerate()
        .map(|(number, steps)| Script {
            name: format!("spool-w{number}"),
            steps: steps.to_vec(),
            killed: false,
        });
    // After a failed flush the cache holds what no later flush will write: what the agent shows
    // then, after a crash of its own, nobody can promise (decision 0003, rule 7).
    let flushes = |script: &Script| !script.steps.iter().any(|s| matches!(s, Step::FailFlush));
    let killed = written.clone().filter(flushes).map(|script| Script {
        name: format!("{}-killed", script.name),
        killed: true,
        ..script
    });
    let drawn = (0..drawn).map(|seed| Script {
        name: format!("spool-{seed}"),
        steps: draw(seed),
        killed: false,
    });
    written.chain(killed).chain(drawn).collect()
}

/// Each holds what once broke a promise, or could.
#[expect(clippy::too_many_lines, reason = "a table")]
fn written() -> [&'static [Step]; 8] {
    use Step::{Cancel, Create, FailFlush, GiveUp, Receipt, Reopen, Restart, Save, Seal, Void};

    [
        &[
            Create(1),
            Save(1, 1, 300),
            Save(1, 2, 16_500),
            Save(1, 3, 7_000),
            Seal(1),
            Receipt(1),
        ],
        &[
            Create(1),
            Save(1, 1, 4_100),
            GiveUp(1, 2, 270_000),
            Save(1, 3, 300),
            Seal(1),
        ],
        &[
            Create(1),
            Save(1, 1, 300),
            Create(2),
            Save(2, 1, 7_000),
            Seal(1),
            Save(2, 2, 300),
            Receipt(1),
            Seal(2),
            Create(3),
            Save(3, 1, 300),
            Cancel(3),
        ],
        &[
            Create(1),
            Save(1, 1, 300),
            GiveUp(1, 2, 9_000),
            Reopen(1),
            Save(1, 3, 4_100),
            Seal(1),
        ],
        &[
            Create(1),
            Save(1, 1, 300),
            FailFlush,
            Save(1, 2, 7_000),
            Seal(1),
            Receipt(1),
        ],
        &[
            Create(1),
            Save(1, 1, 300),
            Restart,
            Save(1, 2, 7_000),
            Void(1, 1),
            Restart,
            Seal(1),
        ],
        &[
            Create(1),
            Save(1, 1, 300),
            Save(1, 2, 300),
            Void(1, 2),
            Cancel(1),
            Create(2),
            Seal(2),
        ],
        &[
            Create(1),
            Create(2),
            Create(3),
            Create(4),
            Save(1, 1, 270_000),
            Save(2, 1, 33_000),
        ],
    ]
}

/// One to three jobs of one to four pages, shuffled together, with what else can happen.
fn draw(seed: u64) -> Vec<Step> {
    let mut dice = Dice::new(seed ^ 0x5CA7);
    let jobs = 1 + dice.below(3);
    let mut waiting: Vec<Vec<Step>> = (1..=jobs).map(|n| draw_job(n as u8, &mut dice)).collect();
    let mut steps = Vec::new();
    while !waiting.is_empty() {
        let chosen = dice.below(waiting.len() as u64) as usize;
        steps.push(waiting[chosen].remove(0));
        waiting.retain(|steps| !steps.is_empty());
        match dice.below(40) {
            0 => steps.push(Step::Restart),
            1 => steps.push(Step::FailFlush),
            _ => {}
        }
    }
    steps
}

fn draw_job(n: u8, dice: &mut Dice) -> Vec<Step> {
    let mut steps = vec![Step::Create(n)];
    let pages = 1 + dice.below(4) as u32;
    for object in 1..=pages {
        let length = draw_size(dice);
        steps.push(match dice.below(8) {
            0 => Step::GiveUp(n, object, length),
            _ => Step::Save(n, object, length),
        });
        match dice.below(12) {
            0 => steps.push(Step::Void(n, object)),
            1 => steps.push(Step::Reopen(n)),
            _ => {}
        }
    }
    steps.extend(match dice.below(6) {
        0 => vec![Step::Cancel(n)],
        1 => vec![],
        2 => vec![Step::Seal(n)],
        3 => vec![Step::Seal(n), Step::Cancel(n)],
        _ => vec![Step::Seal(n), Step::Receipt(n)],
    });
    steps
}

fn draw_size(dice: &mut Dice) -> usize {
    let mut drawn = dice.below(SIZES.iter().map(|(share, _)| share).sum());
    for (share, size) in SIZES {
        match drawn.checked_sub(share) {
            Some(left) => drawn = left,
            None => return size,
        }
    }
    0
}
