//! The world: what happens next, and what follows from it. One thread, one queue of events, time
//! jumps from one to the next.

use std::collections::BTreeMap;

use scantrip::api::{Edit, JobEvent, Refusal, Reply};
use scantrip::engine::Input;
use scantrip::job_id::JobId;
use scantrip_hal::sim::disk::Dice;

use super::agent::{Asked, Device, Did};
use super::clock::{DAY_MS, HOUR_MS, SECOND_MS, START_MS};
use super::cloud::Cloud;
use super::crew::{self, Fault};
use super::logs;
use super::model::{Model, State};
use super::network::Net;
use super::options::{Options, strikes};
use super::report::{Outcome, Wrong};
use super::shared::Shared;
use super::user;

/// Events of a run that is not stuck in a loop.
const STEPS_MAX: u64 = 1_000_000;
/// Events after the faults, in which everything must come to rest.
const CALM_STEPS_MAX: u64 = 20_000;
/// Actions that one event may cause.
const ACTIONS_MAX: u32 = 10_000;
/// Days without faults after which everything must be at rest.
const CALM_DAYS: u64 = 30;

/// What happens at its time.
enum Event {
    Day,
    Calm,
    Wake(usize, u64),
    Input(usize, u64, Box<Input>),
    User(usize),
    Choose(usize, JobId),
    Regret(usize, JobId),
    Interrupt(usize, JobId),
    Technician(usize),
    Rounds(usize),
    Runner,
    BootDevice(usize),
    BootCloud,
    Late,
    Fault(usize, Fault),
    Room(Option<usize>),
    RightClock(usize),
}

/// One run.
pub(crate) struct World {
    seed: u64,
    shared: Shared,
    options: Options,
    drawn: String,
    net: Net,
    devices: Vec<Device>,
    model: Model,
    dice: Dice,
    queue: BTreeMap<(u64, u64), Event>,
    next: u64,
    wakes: Vec<u64>,
    runner_at: u64,
    calm_since: Option<u64>,
    steps_before_calm: u64,
    canary: String,
    crashes: u64,
    steps: u64,
    damaged: BTreeMap<JobId, usize>,
}

impl World {
    pub(crate) fn new(seed: u64, loud: bool) -> Self {
        let shared = Shared::new(loud);
        logs::enter(&shared);
        let mut dice = Dice::new(seed.wrapping_mul(0x9E37_79B9).wrapping_add(0x5EED));
        let options = Options::draw(&mut dice);
        let drawn = format!("{options:?}");
        shared.trace("seed", &format!("{seed} {drawn}"));
        let cloud = Cloud::new(&shared, &options, Dice::new(dice.next()));
        let tenants: Vec<String> = cloud
            .tenants
            .iter()
            .map(|tenant| tenant.id.clone())
            .collect();
        let cloud_disk = cloud.disk.clone();
        let net = Net::new(
            shared.clone(),
            options.clone(),
            cloud,
            Dice::new(dice.next()),
        );
        cloud_disk.watch(&shared.secrets);
        let devices: Vec<Device> = (0..options.devices)
            .map(|index| {
                let tenant = tenants[index % tenants.len()].clone();
                let dice = Dice::new(dice.next());
                let device = Device::new(index, tenant, net.clone(), options.spool_bytes, dice);
                device.disk.watch(&shared.secrets);
                let secrets = shared.secrets.clone();
                device.scanner.tray().tell = Box::new(move |page| secrets.add(page));
                device
            })
            .collect();
        let canary = format!("canary-{:016x}", dice.next());
        shared.keep_text_secret(&canary);
        Self {
            seed,
            model: Model::new(shared.clone()),
            wakes: vec![u64::MAX; devices.len()],
            shared,
            options,
            drawn,
            net,
            devices,
            dice,
            queue: BTreeMap::new(),
            next: 0,
            runner_at: u64::MAX,
            calm_since: None,
            steps_before_calm: 0,
            canary,
            crashes: 0,
            steps: 0,
            damaged: BTreeMap::new(),
        }
    }

    /// Runs to the end.
    pub(crate) fn run(mut self) -> Outcome {
        self.plan();
        while let Some(((at, _), event)) = self.queue.pop_first() {
            self.steps += 1;
            self.shared.time.set(at);
            self.handle(event);
            self.look();
            if self.is_over() {
                break;
            }
            let late = self.calm_since.is_some_and(|since| {
                let steps = self.steps - self.steps_before_calm;
                at > since + CALM_DAYS * DAY_MS || steps > CALM_STEPS_MAX
            });
            if late || self.steps > STEPS_MAX {
                let text = format!(
                    "not at rest after {} events: {}",
                    self.steps,
                    self.restless()
                );
                self.shared.wrong(Wrong::Stuck, text);
                break;
            }
        }
        self.end()
    }

    fn plan(&mut self) {
        for device in 0..self.devices.len() {
            self.at(device as u64, Event::BootDevice(device));
            self.at(10 * SECOND_MS, Event::Technician(device));
            self.at(DAY_MS, Event::Rounds(device));
            for _ in 0..self.options.scans {
                let when = HOUR_MS + self.dice.below(self.options.days * DAY_MS);
                self.at(when, Event::User(device));
            }
        }
        self.wake_runner(START_MS);
        self.at(HOUR_MS, Event::Day);
        self.at(self.options.days * DAY_MS, Event::Calm);
    }

    /// Plans an event after so many milliseconds.
    fn at(&mut self, after_ms: u64, event: Event) {
        self.next += 1;
        let at = self.shared.time.now() + after_ms;
        self.queue.insert((at, self.next), event);
    }

    const fn is_calm(&self) -> bool {
        self.calm_since.is_some()
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Day => self.day(),
            Event::Calm => self.calm(),
            Event::Wake(device, epoch) => {
                if self.devices[device].epoch == epoch
                    && self.wakes[device] == self.shared.time.now()
                {
                    self.wakes[device] = u64::MAX;
                    self.devices[device].input(Input::Tick);
                    self.work(device);
                }
            }
            Event::Input(device, epoch, input) => {
                if self.devices[device].epoch == epoch {
                    self.devices[device].input(*input);
                    self.work(device);
                }
            }
            Event::User(device) => self.user(device),
            Event::Choose(device, job) => self.choose(device, job),
            Event::Regret(device, job) => self.regret(device, job),
            Event::Interrupt(device, job) => self.interrupt(device, job),
            Event::Technician(device) => {
                crew::visit(&mut self.devices[device], &self.net);
                self.work(device);
                let again = if self.is_calm() { HOUR_MS } else { 6 * HOUR_MS };
                self.at(again, Event::Technician(device));
            }
            Event::Rounds(device) => self.rounds(device),
            Event::Runner if self.runner_at == self.shared.time.now() => self.run_runner(),
            Event::Runner => {}
            Event::BootDevice(device) => self.boot_device(device),
            Event::BootCloud => self.boot_cloud(),
            Event::Late => self.net.lock().deliver_late(),
            Event::Fault(device, fault) => self.fault(device, fault),
            Event::Room(Some(device)) => crew::fill(&mut self.devices[device], false),
            Event::Room(None) => self.net.lock().cloud.fill(false),
            Event::RightClock(device) => crew::set_clock(&self.devices[device], 0),
        }
    }

    /// Lets a device do all that it wants to do now.
    fn work(&mut self, index: usize) {
        let mut actions = 0;
        while let Some(dids) = self.devices[index].step() {
            for did in dids {
                self.did(index, did);
            }
            actions += 1;
            if actions > ACTIONS_MAX {
                self.shared
                    .wrong(Wrong::Stuck, format!("device {index} acts without end"));
                break;
            }
            if !self.devices[index].disk.is_on() {
                break;
            }
        }
        if !self.devices[index].disk.is_on() {
            return self.device_died(index);
        }
        if let Some(at) = self.devices[index].wake_at()
            && at < self.wakes[index]
        {
            self.wakes[index] = at;
            let epoch = self.devices[index].epoch;
            let after = at - self.shared.time.now();
            self.at(after, Event::Wake(index, epoch));
        }
    }

    fn did(&mut self, index: usize, did: Did) {
        let who = format!("device {index}");
        let epoch = self.devices[index].epoch;
        match did {
            Did::Called(after, input) => self.at(after + 1, Event::Input(index, epoch, input)),
            Did::Scanned(after, input) => self.at(after, Event::Input(index, epoch, input)),
            Did::Begun(job) => {
                let tenant = self.devices[index].tenant.clone();
                self.model.begin(job, index, &tenant);
                let finishing = self.devices[index].finishes_by_itself();
                if let Some(scan) = self.model.scans.get_mut(&job) {
                    scan.finishing = finishing;
                }
                if self.dice.below(8) == 0 {
                    let after = self.dice.below(6 * SECOND_MS);
                    self.at(after, Event::Interrupt(index, job));
                }
            }
            Did::Fed(job, pages, refused) => {
                for (number, bytes) in pages {
                    self.shared
                        .trace(&who, &format!("page {number} of {job} left the scanner"));
                    // What the power cut took is not refused: nobody was told.
                    let refused = refused && self.devices[index].disk.is_on();
                    self.model.fed(job, number, bytes, refused);
                }
            }
            Did::Replied(asked, reply) => self.replied(index, asked, reply),
            Did::Told(job, event) => self.told(index, job, &event),
        }
    }

    fn told(&mut self, index: usize, job: JobId, event: &JobEvent) {
        self.shared
            .trace(&format!("device {index}"), &format!("{job} {event:?}"));
        self.model.told(job, event);
        match event {
            JobEvent::Paused { message, .. } => {
                self.damaged.insert(job, damaged_in(message));
                let after = 1 + self.dice.below(60 * SECOND_MS);
                self.at(after, Event::Choose(index, job));
            }
            JobEvent::StackEnd => {
                let after = 1 + self.dice.below(60 * SECOND_MS);
                self.at(after, Event::Choose(index, job));
            }
            JobEvent::Saved { .. } if !self.is_calm() && self.dice.below(12) == 0 => {
                let after = self.dice.below(60 * SECOND_MS);
                self.at(after, Event::Regret(index, job));
            }
            _ => {}
        }
    }

    fn replied(&mut self, index: usize, asked: Asked, reply: Result<Reply, Refusal>) {
        let text = match &reply {
            Ok(_) => "done".to_owned(),
            Err(refusal) => format!("refused: {}", refusal.message),
        };
        self.shared
            .trace(&format!("device {index}"), &format!("{asked:?} {text}"));
        let done = reply.is_ok();
        let (job, edit) = match asked {
            Asked::Edit(job, edit) if done || matches!(edit, Edit::Again { .. }) => (job, edit),
            Asked::Scan(_) if !done => return self.model.refused(index),
            _ => return,
        };
        let shown = self
            .model
            .scans
            .get(&job)
            .and_then(|scan| scan.shown.clone());
        let number = |page: u32| Some(*shown.as_ref()?.get(page as usize - 1)?);
        match edit {
            Edit::Again { page } if !done => {
                if let Some(number) = number(page) {
                    self.model.perhaps_removed(job, number);
                }
            }
            Edit::Delete { page } | Edit::Again { page } => {
                if let Some(number) = number(page) {
                    self.model.removed(job, number);
                }
            }
            Edit::Reorder { pages } => {
                let order: Option<Vec<u64>> = pages.into_iter().map(number).collect();
                if let Some(order) = order {
                    self.model.reordered(job, order);
                }
            }
            Edit::Finish | Edit::Discard => return,
            _ => {}
        }
        // What is edited waits for the next decision.
        let after = 1 + self.dice.below(60 * SECOND_MS);
        self.at(after, Event::Choose(index, job));
    }

    fn user(&mut self, index: usize) {
        if self.is_calm() {
            return;
        }
        if !self.devices[index].is_free() {
            return self.at(HOUR_MS, Event::User(index));
        }
        let note = format!("{}-{}", self.canary, self.next);
        let device = &mut self.devices[index];
        user::scan(device, &self.options, &note);
        self.work(index);
    }

    fn choose(&mut self, index: usize, job: JobId) {
        let calm = self.is_calm();
        let device = &mut self.devices[index];
        if device.running.is_some() {
            user::choose(device, &mut self.model, job, &self.options, calm);
            self.work(index);
        }
    }

    /// Somebody throws away what is on its way.
    fn regret(&mut self, index: usize, job: JobId) {
        let saved = |scan: &super::model::Scan| scan.state == State::Saved;
        if self.model.scans.get(&job).is_some_and(saved) && self.devices[index].running.is_some() {
            let device = &mut self.devices[index];
            user::edit_job(device, &mut self.model, job, Edit::Discard);
            self.work(index);
        }
    }

    fn interrupt(&mut self, index: usize, job: JobId) {
        let busy = |scan: &super::model::Scan| scan.state == State::Busy;
        if self.model.scans.get(&job).is_some_and(busy) && self.devices[index].running.is_some() {
            let edit = match self.dice.below(2) {
                0 => Edit::Stop,
                _ => Edit::Discard,
            };
            user::edit_job(&mut self.devices[index], &mut self.model, job, edit);
            self.work(index);
        }
    }

    /// Somebody walks by and sees what waits.
    fn rounds(&mut self, index: usize) {
        let waits = |state| matches!(state, State::Resting | State::Failed);
        let jobs: Vec<JobId> = self
            .model
            .scans
            .iter()
            .filter(|(_, scan)| scan.device == index && waits(scan.state))
            .map(|(job, _)| *job)
            .collect();
        for job in jobs {
            self.choose(index, job);
        }
        let again = if self.is_calm() { HOUR_MS } else { DAY_MS };
        self.at(again, Event::Rounds(index));
    }

    fn run_runner(&mut self) {
        self.runner_at = u64::MAX;
        let mut net = self.net.lock();
        if net.cloud.is_off() {
            return;
        }
        let rate = net.options.wire.cloud_cut;
        if strikes(&mut net.dice, rate) {
            net.cloud.plan_cut();
        }
        let next = net.cloud.step_runner();
        drop(net);
        let now = self.shared.time.now();
        self.wake_runner(next.map_or(now + DAY_MS, |next| next.max(now + 1)));
        self.arrivals();
    }

    fn wake_runner(&mut self, at: u64) {
        if at < self.runner_at {
            self.runner_at = at;
            let after = at - self.shared.time.now();
            self.at(after, Event::Runner);
        }
    }

    fn arrivals(&mut self) {
        let (arrived, files) = {
            let mut net = self.net.lock();
            (net.cloud.arrived(), net.cloud.share.files())
        };
        self.model.present(&files);
        for (tenant, path, bytes) in arrived {
            self.model.arrived(&tenant, &path, &bytes);
        }
    }

    fn device_died(&mut self, index: usize) {
        if self.devices[index].running.is_none() {
            return;
        }
        self.crashes += 1;
        self.shared
            .trace(&format!("device {index}"), "the power is gone");
        let device = &mut self.devices[index];
        let running = device.running.take();
        device.epoch += 1;
        self.wakes[index] = u64::MAX;
        let mut removing = Vec::new();
        for asked in running.iter().flat_map(|running| running.asked.values()) {
            if let Asked::Edit(job, Edit::Delete { page } | Edit::Again { page }) = asked {
                let shown = self
                    .model
                    .scans
                    .get(job)
                    .and_then(|scan| scan.shown.as_ref());
                let number = shown.and_then(|shown| shown.get(*page as usize - 1));
                removing.extend(number.map(|number| (*job, *number)));
            }
        }
        drop(running);
        self.model.power_cut(index, &removing);
        let after = self.outage();
        self.at(after, Event::BootDevice(index));
    }

    /// How long a machine is off.
    fn outage(&mut self) -> u64 {
        if self.is_calm() {
            return 60 * SECOND_MS;
        }
        30 * SECOND_MS + crew::duration_ms(&mut self.dice) / 24
    }

    fn boot_device(&mut self, index: usize) {
        if self.devices[index].running.is_some() {
            return;
        }
        let who = format!("device {index}");
        let cut = self.options.wire.agent_cut;
        let device = &mut self.devices[index];
        if device.epoch > 0 {
            device.find_disk();
        }
        if strikes(&mut self.dice, cut * 3) {
            let at = device.disk.operations() + 1 + self.dice.below(60);
            device.disk.stop_at(at);
        }
        let booted = device.boot();
        self.shared
            .trace(&who, &format!("switched on: {}", booted.is_ok()));
        match booted {
            Ok(()) => {}
            Err(_) if !self.devices[index].disk.is_on() => {
                self.crashes += 1;
                let after = self.outage();
                return self.at(after, Event::BootDevice(index));
            }
            Err(error) => {
                let text = format!("{who} does not start: {error:?}");
                if self.is_calm() {
                    self.shared.wrong(Wrong::Stuck, text);
                } else {
                    self.shared.trace(&who, &text);
                }
                self.devices[index].disk.cut();
                return self.at(HOUR_MS, Event::BootDevice(index));
            }
        }
        self.damaged.clear();
        self.work(index);
        let jobs: Vec<JobId> = self.model.scans.keys().copied().collect();
        for job in jobs {
            let damaged = self.damaged.get(&job).copied().unwrap_or(0);
            let own = self.model.scans[&job].device == index;
            if let (true, Some(found)) = (own, self.devices[index].find(job, damaged)) {
                self.model.found(job, &found);
            }
        }
    }

    fn boot_cloud(&mut self) {
        let mut net = self.net.lock();
        if !net.cloud.is_off() {
            return;
        }
        net.cloud.boot();
        net.cloud.renew_server();
        drop(net);
        self.shared.trace("cloud", "switched on");
        let now = self.shared.time.now();
        self.wake_runner(now + 1);
        self.arrivals();
    }

    fn cloud_died(&mut self) {
        self.crashes += 1;
        self.shared.trace("cloud", "the power is gone");
        self.net.lock().cloud.cut();
        let after = self.outage();
        self.at(after, Event::BootCloud);
    }

    fn day(&mut self) {
        let daily = self.options.daily.clone();
        for (after, device, fault) in
            crew::faults_of_day(&daily, self.devices.len(), &mut self.dice)
        {
            self.at(after, Event::Fault(device, fault));
        }
        {
            let mut net = self.net.lock();
            if let Some(core) = net.cloud.core() {
                net.cloud.renew_server();
                // A cloud with faults may fail; the next day goes on.
                drop(core.sweep());
            }
            crew::try_foreign(&mut net, &self.devices, &self.model);
        }
        self.budget();
        self.at(DAY_MS, Event::Day);
    }

    /// No spool may take more than it may, on the disk either.
    fn budget(&self) {
        for device in &self.devices {
            let files = device.disk.files();
            let spool = files.iter().filter(|path| path.starts_with("spool/"));
            let bytes: usize = spool
                .filter_map(|path| device.disk.bytes(path))
                .map(|bytes| bytes.len())
                .sum();
            if bytes as u64 > self.options.spool_bytes {
                let text = format!("the spool of device {} holds {bytes} bytes", device.index);
                self.shared.wrong(Wrong::OverBudget, text);
            }
        }
    }

    fn fault(&mut self, index: usize, fault: Fault) {
        if self.is_calm() {
            return;
        }
        self.shared.fault(fault.name());
        self.shared
            .trace("fault", &format!("{} at {index}", fault.name()));
        let now = self.shared.time.now();
        let lasts = crew::duration_ms(&mut self.dice);
        match fault {
            Fault::Door => {
                let door = super::options::below(&mut self.dice, 3);
                self.net.lock().doors_shut[door] = now + lasts;
            }
            Fault::Partition => self.net.lock().cut_off[index] = now + lasts,
            Fault::Clock => {
                let off = crew::wrong_clock(&mut self.dice);
                crew::set_clock(&self.devices[index], off);
                self.at(lasts, Event::RightClock(index));
            }
            Fault::DevicePower => self.device_power(index),
            Fault::CloudPower => {
                self.net.lock().cloud.disk.cut();
            }
            Fault::Rot => {
                if let Some(place) = crew::rot(&mut self.devices[index], &mut self.model) {
                    self.shared.trace("fault", &place);
                }
            }
            Fault::Full => {
                crew::fill(&mut self.devices[index], true);
                self.at(lasts.min(2 * DAY_MS), Event::Room(Some(index)));
            }
            Fault::CloudFull => {
                self.net.lock().cloud.fill(true);
                self.at(lasts.min(2 * DAY_MS), Event::Room(None));
            }
            Fault::Flush => self.devices[index].disk.fail_next_flush(),
            Fault::CloudFlush => self.net.lock().cloud.disk.fail_next_flush(),
            Fault::Revoke => {
                let id = self.devices[index].running.as_ref().and_then(|running| {
                    let identity = running.engine.identity().identity()?;
                    Some(identity.device.clone())
                });
                let core = self.net.lock().cloud.core();
                if let (Some(id), Some(core)) = (id, core) {
                    drop(core.revoke_device(&id));
                }
            }
        }
    }

    /// The device's power goes: now, or at one of its next operations.
    fn device_power(&mut self, index: usize) {
        let device = &mut self.devices[index];
        if self.dice.below(3) == 0 {
            device.disk.cut();
            self.device_died(index);
        } else {
            let at = device.disk.operations() + 1 + self.dice.below(200);
            device.disk.stop_at(at);
        }
    }

    /// The faults stop.
    fn calm(&mut self) {
        self.shared.trace("world", "the faults stop");
        let now = self.shared.time.now();
        self.calm_since = Some(now);
        self.steps_before_calm = self.steps;
        self.options.calm();
        {
            let mut net = self.net.lock();
            net.options.calm();
            net.doors_shut = [0; 3];
            net.cut_off.fill(0);
            net.cloud.disk.stop_at(u64::MAX);
            net.cloud.fill(false);
        }
        for index in 0..self.devices.len() {
            self.devices[index].disk.stop_at(u64::MAX);
            self.devices[index].scanner.tray().jam = 0;
            crew::fill(&mut self.devices[index], false);
            crew::set_clock(&self.devices[index], 0);
            self.at(60 * SECOND_MS, Event::BootDevice(index));
            self.at(HOUR_MS, Event::Rounds(index));
        }
        self.at(60 * SECOND_MS, Event::BootCloud);
    }

    /// After each event: machines that lost their power, work for the runner, late requests, and
    /// what must always hold.
    fn look(&mut self) {
        let (died, committed, late) = {
            let net = self.net.lock();
            let late = net.late.iter().map(|(due, ..)| *due).min();
            (net.cloud.has_died(), net.cloud.take_committed(), late)
        };
        let now = self.shared.time.now();
        if died {
            self.cloud_died();
        } else if committed {
            self.wake_runner(now + 1);
        }
        if let Some(due) = late {
            let due = due.max(now + 1);
            let planned = self.queue.range((due, 0)..(due + 1, 0));
            if !planned
                .map(|(_, event)| event)
                .any(|event| matches!(event, Event::Late))
            {
                self.at(due - now, Event::Late);
            }
        }
        for device in &self.devices {
            let Some(running) = &device.running else {
                continue;
            };
            let used = running.context.spool.usage().bytes;
            if used > self.options.spool_bytes {
                let text = format!("the spool of device {} takes {used} bytes", device.index);
                self.shared.wrong(Wrong::OverBudget, text);
            }
        }
    }

    fn is_over(&self) -> bool {
        let Some(since) = self.calm_since else {
            return false;
        };
        self.shared.time.now() > since + HOUR_MS
            && self.model.scans.values().all(super::model::Scan::is_over)
            && self.devices.iter().all(is_at_rest)
            && self.net.lock().late.is_empty()
    }

    /// What keeps the world from its rest.
    fn restless(&self) -> String {
        let scans = self.model.scans.iter().filter(|(_, scan)| !scan.is_over());
        let scans: Vec<String> = scans
            .map(|(job, scan)| format!("{job} {:?}", scan.state))
            .collect();
        let devices = self.devices.iter().filter(|device| !is_at_rest(device));
        let devices: Vec<String> = devices
            .map(|device| format!("device {} {:?}", device.index, device.identity_word()))
            .collect();
        format!("{scans:?} {devices:?}")
    }

    fn end(self) -> Outcome {
        self.model.end();
        for device in &self.devices {
            if let Some(place) = device.disk.leak() {
                let text = format!("plaintext on device {}: {place}", device.index);
                self.shared.wrong(Wrong::Readable, text);
            }
        }
        let net = self.net.lock();
        if let Some(place) = net.cloud.disk.leak() {
            self.shared
                .wrong(Wrong::Readable, format!("plaintext in the cloud: {place}"));
        }
        let requests = net.requests;
        drop(net);
        let passed = (self.shared.time.now() - START_MS) / DAY_MS;
        self.shared.trace(
            "world",
            &format!(
                "at rest after {passed} days, {} events, {} of them calm",
                self.steps,
                self.steps - self.steps_before_calm
            ),
        );
        let (trace, wrongs, faults) = self.shared.end();
        let over = |scan: &&super::model::Scan| scan.is_over() && scan.finishing;
        Outcome {
            seed: self.seed,
            scans: self.model.scans.len() as u64,
            delivered: self.model.scans.values().filter(over).count() as u64,
            crashes: self.crashes,
            steps: self.steps,
            requests,
            faults,
            trace,
            options: self.drawn,
            wrongs,
        }
    }
}

/// Whether a device has nothing left to send and is well.
fn is_at_rest(device: &Device) -> bool {
    let empty = |running: &super::agent::Running| running.context.spool.jobs().is_empty();
    device.running.as_ref().is_some_and(empty) && device.identity_word() == Some("enrolled")
}

/// How many pages a message calls damaged.
fn damaged_in(message: &str) -> usize {
    let before = message.split(" cannot be read any more").next();
    let count = before.filter(|before| before.len() < message.len());
    count
        .and_then(|text| text.rsplit(' ').next())
        .and_then(|count| count.parse().ok())
        .unwrap_or(0)
}
