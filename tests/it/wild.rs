//! The shipped programs on a real file system, killed at random instants under load while the line
//! to the cloud is cut, slowed, forgotten, and the cloud answers 5xx. `SCANTRIP_WILD_ROUNDS` and
//! `SCANTRIP_SEED` choose how long and which instants; see `make wild`.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use scantrip_tests::document::jpeg_streams;
use scantrip_tests::front_door::Weather;
use scantrip_tests::lossy_disk::LossyDisk;
use scantrip_tests::program::{Running, pause, until};
use scantrip_tests::seeded::Seeded;
use scantrip_tests::stage::files;
use serde_json::Value;

use crate::world::{World, words};

/// Rounds in `make test`.
const ROUNDS: usize = 30;
/// Rounds with power cuts in `make test`.
const POWER_ROUNDS: usize = 12;
/// Longest wait before a kill: about as long as a job takes when nothing goes wrong.
const KILL_WITHIN_MS: usize = 700;

/// How long a person stands at the printer.
const PATIENCE_MS: u64 = 10_000;

/// What a person saw of one job, and which pages the printer fed for it.
#[derive(Default)]
struct Job {
    customer: String,
    /// Numbers of the pages that were called saved.
    saved: BTreeSet<u64>,
    fed: Vec<PathBuf>,
}

/// One long day.
struct Day {
    world: World,
    random: Seeded,
    agent: Option<Running>,
    jobs: BTreeMap<String, Job>,
    fed: BTreeSet<PathBuf>,
    scans: usize,
    agent_kills: usize,
    cloud_kills: usize,
    /// Under the agent's state; loses what was not flushed when the agent is killed.
    disk: Option<LossyDisk>,
}

impl Day {
    fn new(seed: u64) -> Self {
        let world = World::enrolled(1);
        Self {
            world,
            random: Seeded::new(seed),
            agent: None,
            jobs: BTreeMap::new(),
            fed: BTreeSet::new(),
            scans: 0,
            agent_kills: 0,
            cloud_kills: 0,
            disk: None,
        }
    }

    /// As [`Day::new`]; whoever kills the agent cuts its disk's power, too.
    fn with_power_cuts(seed: u64) -> Self {
        let mut day = Self::new(seed);
        let program = env!("CARGO_BIN_EXE_lossy-disk").into();
        let disk = LossyDisk::over(program, day.world.folder().join("agent"));
        day.disk = Some(disk.expect("a disk"));
        day.power_on();
        day
    }

    fn power_on(&mut self) {
        let seed = self.random.draw();
        if let Some(disk) = &mut self.disk {
            disk.power_on(seed).expect("a mounted disk");
        }
    }

    fn one_in(&mut self, many: usize) -> bool {
        self.random.below(many) == 0
    }

    /// Both programs run again, whichever was killed.
    fn get_up(&mut self) {
        if self.world.stage.serving().is_none() {
            let fault = match self.random.below(3) {
                0 => format!("refuse-every={}", 3 + self.random.below(9)),
                _ => String::new(),
            };
            let environment = [("SCANTRIP_FAULT", fault.as_str())];
            self.world.stage.serve(&environment).expect("a cloud");
        }
        if self.agent.is_none() {
            self.agent = Some(self.world.run_agent());
        }
    }

    /// New paper, of a kind that was never there before.
    fn load(&mut self) {
        self.world.reseed(self.random.draw());
        let sheets = 1 + self.random.below(5);
        self.world.reload(sheets);
    }

    fn change_the_weather(&mut self) {
        let weather = Weather {
            delay: Duration::from_millis([0, 0, 1, 20, 150][self.random.below(5)]),
            bytes_per_second: [None, None, None, Some(2_000_000), Some(100_000)]
                [self.random.below(5)],
        };
        let cut = self
            .one_in(3)
            .then(|| 1 + self.random.below(400_000) as u64);
        let forget = self.one_in(12);
        for door in self.world.stage.doors() {
            door.set_weather(weather);
            door.cut_after(cut.unwrap_or(u64::MAX));
            if forget {
                door.forget_connections();
            }
        }
    }

    /// A person scans, or goes on with a draft, and somebody pulls a plug meanwhile.
    fn round(&mut self) {
        self.get_up();
        self.load();
        self.change_the_weather();
        let log = self.world.folder().join("scan.out");
        let mut command = self.world.stage.agent();
        let draft = self.draft();
        let go_on = self.one_in(2);
        let continued = draft.filter(|_| go_on);
        let customer = format!("C{}", self.scans);
        match &continued {
            Some(job) => command.args(["--json", "jobs", "continue", job]),
            None => command
                .args(["--json", "scan", "--workflow", "Invoices", "--dpi", "75"])
                .args(["--field", &format!("customer={customer}")]),
        };
        self.scans += 1;
        let mut person = Running::start_into(&mut command, &log).expect("a person");
        pause(Duration::from_millis(
            self.random.below(KILL_WITHIN_MS) as u64
        ));
        match self.random.below(8) {
            0..=2 => self.kill_agent(),
            3..=5 => self.kill_cloud(),
            6 => {
                self.kill_agent();
                self.kill_cloud();
            }
            _ => {}
        }
        // With a dead agent the person is told so; with a dead cloud they walk away.
        for _ in 0..PATIENCE_MS / 100 {
            if person.has_ended().expect("a process") {
                break;
            }
            pause(Duration::from_millis(100));
        }
        person.kill().expect("a process");
        let printed = fs::read_to_string(&log).expect("a log");
        self.look_back(&printed, continued, &customer);
    }

    fn kill_agent(&mut self) {
        if let Some(mut agent) = self.agent.take() {
            agent.kill().expect("a process");
            if let Some(disk) = &mut self.disk {
                disk.power_off().expect("an unmounted disk");
                self.power_on();
            }
            self.agent_kills += 1;
        }
    }

    fn kill_cloud(&mut self) {
        self.world.stage.kill_cloud().expect("a process");
        self.cloud_kills += 1;
    }

    /// A draft that waits for a person, while the agent can tell.
    fn draft(&mut self) -> Option<String> {
        let jobs = self.world.jobs();
        let drafts: Vec<_> = jobs.iter().filter(|job| job["state"] == "draft").collect();
        let chosen = drafts.get(self.random.below(drafts.len().max(1)))?;
        Some(chosen["job"].as_str().expect("an id").to_owned())
    }

    /// Takes down what was printed and what was fed since the last look.
    fn look_back(&mut self, printed: &str, continued: Option<String>, customer: &str) {
        let all = files(&self.world.folder().join("pages")).unwrap_or_default();
        let whole = |file: &PathBuf| file.extension().is_some_and(|it| it == "jpg");
        let fed: Vec<_> = all
            .into_iter()
            .filter(|file| whole(file) && self.fed.insert(file.clone()))
            .collect();
        let events: Vec<Value> = printed
            .lines()
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect();
        let named = events.iter().find_map(|event| event["job"].as_str());
        // Whoever fed paper told the job's id first, unless the agent died before it could.
        let Some(job) = continued
            .or_else(|| named.map(str::to_owned))
            .or_else(|| self.unseen())
        else {
            assert!(fed.is_empty(), "paper moved for no job: {fed:?}");
            return;
        };
        let job = self.jobs.entry(job).or_default();
        if job.customer.is_empty() {
            customer.clone_into(&mut job.customer);
        }
        let saved = |event: &&Value| event["event"] == "page-saved";
        let saved = events.iter().filter(saved);
        job.saved
            .extend(saved.filter_map(|event| event["page"].as_u64()));
        job.fed.extend(fed);
    }

    /// A job that the journal knows and no person has seen.
    fn unseen(&mut self) -> Option<String> {
        self.get_up();
        let jobs = self.world.jobs();
        let ids = jobs.iter().filter_map(|job| job["job"].as_str());
        ids.map(str::to_owned)
            .find(|job| !self.jobs.contains_key(job))
    }

    /// Good weather, nobody is killed any more, and a person finishes every draft.
    fn evening(&mut self) {
        self.kill_cloud();
        self.world.stage.serve(&[]).expect("a cloud");
        self.kill_agent();
        for door in self.world.stage.doors() {
            door.set_weather(Weather::default());
            door.cut_after(u64::MAX);
            door.forget_connections();
        }
        self.agent = Some(self.world.run_agent());
        for job in self.world.jobs() {
            let id = job["job"].as_str().expect("an id");
            if job["state"] == "draft" {
                let choice = if job["pages"] == 0 {
                    "discard"
                } else {
                    "finish"
                };
                let output = self.world.agent(&["jobs", choice, id]);
                assert!(output.status.success(), "{}", words(&output));
            }
        }
        until("every job is through", || {
            let over = |job: &Value| {
                assert_ne!(job["state"], "refused", "{job}");
                assert_ne!(job["state"], "failed", "{job}");
                job["state"] == "delivered" || job["state"] == "discarded"
            };
            self.world.jobs().iter().all(over)
        });
        until("the spool is empty", || {
            files(&self.world.folder().join("agent/spool")).is_ok_and(|jobs| jobs.is_empty())
        });
    }

    /// Every page that was called saved lies in its document, once, as it was fed.
    fn reckon(&self) {
        let mut delivered = BTreeMap::new();
        for document in self.world.stage.delivered().expect("the destination") {
            let name = document.file_name().and_then(|name| name.to_str());
            let (customer, _) = name.and_then(|name| name.split_once(' ')).expect("a name");
            let twice = delivered.insert(customer.to_owned(), document.clone());
            assert!(twice.is_none(), "{twice:?} and {document:?}");
        }
        let mut pages = 0;
        for (id, job) in &self.jobs {
            let images = match delivered.remove(&job.customer) {
                Some(document) => jpeg_streams(&document).expect("a PDF"),
                None => Vec::new(),
            };
            assert!(
                images.len() >= job.saved.len(),
                "{} of {} saved pages of job {id} arrived",
                images.len(),
                job.saved.len()
            );
            let mut fed = job.fed.iter().map(|page| fs::read(page).expect("a page"));
            for (number, image) in images.iter().enumerate() {
                assert!(
                    fed.any(|page| page == *image),
                    "page {} of job {id} was not fed there",
                    number + 1
                );
            }
            pages += images.len();
        }
        assert!(delivered.is_empty(), "of nobody's jobs: {delivered:?}");
        println!(
            "wild: {} scans, {} jobs, {pages} pages delivered, agent killed {} times, cloud {}; \
             lost 0, duplicated 0, altered 0",
            self.scans,
            self.jobs.len(),
            self.agent_kills,
            self.cloud_kills
        );
    }
}

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok().filter(|text| !text.is_empty())?;
    Some(text.parse().expect("a number"))
}

/// Rounds and seed as asked for, or the short ones of `make test`.
fn asked_for(rounds: usize) -> (usize, u64) {
    let rounds = number("SCANTRIP_WILD_ROUNDS").map_or(rounds, |rounds| rounds as usize);
    let seed = number("SCANTRIP_SEED").unwrap_or(1);
    println!("wild: seed {seed}, {rounds} rounds");
    (rounds, seed)
}

fn live_through(mut day: Day, rounds: usize) {
    for _ in 0..rounds {
        day.round();
    }
    day.evening();
    day.reckon();
}

#[test]
fn kills_at_random_instants_lose_nothing_and_duplicate_nothing() {
    let (rounds, seed) = asked_for(ROUNDS);
    live_through(Day::new(seed), rounds);
}

#[test]
fn power_cuts_that_drop_unflushed_writes_lose_nothing_and_duplicate_nothing() {
    if !LossyDisk::is_possible() {
        eprintln!("SKIPPED: this machine has no FUSE, or we are not root");
        return;
    }
    let (rounds, seed) = asked_for(POWER_ROUNDS);
    live_through(Day::with_power_cuts(seed), rounds);
}
