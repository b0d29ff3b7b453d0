//! The device's security settings: read, remembered, compared with what they were.

mod restart;

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scantrip_cloud_client::posture::diff::{Change, changes};
use scantrip_cloud_client::wire::{
    EventKind, ReportPrinter, ReportScanner, ReportSetting, Severity,
};
use scantrip_hal::clock::Instant;
use scantrip_hal::settings::{CATALOGUE, Method, Revision, Row, Setting, SettingsSource, Why};
use serde::{Deserialize, Serialize};

use super::{Context, lock};
use crate::engine::failure::chain;
use crate::event_buffer::EventBuffer;
use crate::redact;

/// Latest changes that are remembered, for people.
const CHANGES_MAX: usize = 50;

/// What is remembered of the settings over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSettings {
    /// The first reading, or the last one that a person accepted.
    pub reference: Vec<ReportSetting>,
    /// When it was taken, Unix milliseconds.
    pub reference_at_ms: u64,
    /// The reading that changes are told against: the newest, but for what is in `pending`.
    pub last: Vec<ReportSetting>,
    /// Changes that one reading has shown. They are told when the next one shows them too, so that
    /// a setting that flaps is no news; critical ones are told at once.
    #[serde(default)]
    pub pending: Vec<Change>,
    /// The latest changes from one reading to the next, oldest first.
    pub changes: Vec<SeenChange>,
    /// Restarts of the device, and what became of its settings then.
    #[serde(default)]
    restarts: restart::Restarts,
}

/// A change and when it was seen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SeenChange {
    /// What changed.
    #[serde(flatten)]
    pub change: Change,
    /// When a reading showed it first, Unix milliseconds.
    pub at_ms: u64,
}

impl KnownSettings {
    /// Takes a reading; gives what changed and is to be told.
    pub fn learn(&mut self, reading: &[ReportSetting], now_ms: u64) -> Vec<Change> {
        if self.reference.is_empty() {
            self.accept(reading, now_ms);
        }
        if self.last.is_empty() {
            self.last = reading.to_vec();
        }
        let is_critical = |id: &str| {
            let mut all = self.last.iter().chain(reading);
            all.any(|it| it.id == id && it.severity == Severity::Critical)
        };
        let (found, pending): (Vec<_>, Vec<_>) = changes(&self.last, reading)
            .into_iter()
            .partition(|change| is_critical(&change.id) || self.pending.contains(change));
        let is_told = |it: &ReportSetting| found.iter().any(|change| change.id == it.id);
        self.last.retain(|it| !is_told(it));
        self.last
            .extend(reading.iter().filter(|it| is_told(it)).cloned());
        self.last.sort_by(|a, b| a.id.cmp(&b.id));
        self.pending = pending;
        for change in &found {
            self.changes.push(SeenChange {
                change: change.clone(),
                at_ms: now_ms,
            });
        }
        let surplus = self.changes.len().saturating_sub(CHANGES_MAX);
        self.changes.drain(..surplus);
        found
    }

    /// Takes what the device told just before a whole reading, which is to be learned next. Gives
    /// the setting that tells of restarts.
    fn started(
        &mut self,
        now: &Revision,
        at: Instant,
        row: &Row,
        reading: &[ReportSetting],
    ) -> Setting {
        let before = (self.last.as_slice(), self.pending.as_slice());
        self.restarts.learn(now, at, before, reading);
        self.restarts.setting(row)
    }

    /// From now on this reading is what others are compared with.
    pub fn accept(&mut self, reading: &[ReportSetting], now_ms: u64) {
        self.reference = reading.to_vec();
        self.reference_at_ms = now_ms;
        self.last = reading.to_vec();
        self.pending.clear();
        self.changes.clear();
    }
}

/// What drivers share of the device's state beside its jobs.
pub(super) struct Posture {
    source: Mutex<Option<Box<dyn SettingsSource>>>,
    newest: Mutex<Option<(Instant, Arc<[ReportSetting]>)>>,
    known: Mutex<Option<KnownSettings>>,
    events: Mutex<Option<EventBuffer>>,
    scanner: Mutex<Option<ReportScanner>>,
    printer: Mutex<Option<(u64, ReportPrinter)>>,
}

/// A reading for a decision.
#[derive(Clone, Debug)]
pub struct Gate {
    /// As read.
    pub readings: Arc<[ReportSetting]>,
    /// Whether this reading showed a change.
    pub changed: bool,
    /// Whether another reading shall confirm one soon.
    pub unsure: bool,
}

impl Posture {
    pub(super) fn new(source: Option<Box<dyn SettingsSource>>) -> Self {
        Self {
            source: Mutex::new(source),
            newest: Mutex::new(None),
            known: Mutex::new(None),
            events: Mutex::new(None),
            scanner: Mutex::new(None),
            printer: Mutex::new(None),
        }
    }
}

impl Context {
    /// Reads every security setting, remembers it, and gives whether any changed.
    pub fn read_settings(&self, each: &mut dyn FnMut(Setting)) -> Gate {
        let readings: Arc<[ReportSetting]> = {
            let mut source = lock(&self.posture.source);
            let mut source = source.as_deref_mut();
            // Before the settings: a change that comes meanwhile is seen by the next look.
            let revision = source.as_deref_mut().map(|it| it.revision());
            let restarted = |row: &Row, readings: &[ReportSetting]| {
                let (now, at) = (revision.unwrap_or_default(), self.time.boot());
                self.with_known(|known| known.started(&now, at, row, readings))
            };
            let all: Vec<&Row> = CATALOGUE.iter().collect();
            let readings: Arc<[_]> = read(source, all, restarted, each).into();
            // Before the source is free: who waited for it finds this reading.
            *lock(&self.posture.newest) = Some((self.time.boot(), Arc::clone(&readings)));
            readings
        };
        let now_ms = self.time.wall().as_millis();
        let mut unsure = false;
        let found = self.with_known(|known| {
            let waited = !known.pending.is_empty();
            let found = known.learn(&readings, now_ms);
            // Once: what flaps for ever shall not be read for ever.
            unsure = known.restarts.is_unsure() || (!waited && !known.pending.is_empty());
            found
        });
        for change in &found {
            log::info!(
                "settings: {} was {} and is {}",
                change.id,
                change.from,
                change.to
            );
            self.add_event(EventKind::SettingChanged {
                setting: change.id.clone(),
                from: change.from.clone(),
                to: change.to.clone(),
            });
        }
        Gate {
            readings,
            changed: unsure || !found.is_empty(),
            unsure,
        }
    }

    /// The newest reading if it is younger than `age_max`, else a fresh one of these settings
    /// alone. What it shows is remembered by the next whole reading.
    pub fn recent_settings(&self, ids: &BTreeSet<String>, age_max: Duration) -> Gate {
        // First without the source, which may be busy asking the printer for its supplies.
        if let Some(gate) = self.newest_settings(age_max) {
            return gate;
        }
        let readings: Arc<[ReportSetting]> = {
            let mut source = lock(&self.posture.source);
            if let Some(gate) = self.newest_settings(age_max) {
                return gate;
            }
            let rows = ids.iter().filter_map(|id| Row::find(id)).collect();
            let restarted = |row: &Row, _readings: &[ReportSetting]| {
                self.with_known(|known| known.restarts.setting(row))
            };
            read(source.as_deref_mut(), rows, restarted, &mut |_setting| {}).into()
        };
        let mut last = self.known_settings().last;
        last.retain(|before| ids.contains(&before.id));
        let changed = !last.is_empty() && !changes(&last, &readings).is_empty();
        Gate {
            readings,
            changed,
            unsure: false,
        }
    }

    fn newest_settings(&self, age_max: Duration) -> Option<Gate> {
        let (at, readings) = lock(&self.posture.newest).clone()?;
        (self.time.boot().since(at) < age_max).then_some(Gate {
            readings,
            changed: false,
            unsure: false,
        })
    }

    /// What is remembered of the settings.
    #[must_use]
    pub fn known_settings(&self) -> KnownSettings {
        self.with_known(|known| known.clone())
    }

    /// Whether the device tells that it was restarted or set otherwise since its settings were
    /// read: a question or two, and not the settings.
    pub fn look_for_changes(&self) -> bool {
        let revision = match &mut *lock(&self.posture.source) {
            Some(source) => source.revision(),
            None => return false,
        };
        // Not written down: that it is up longer than before is no news, and flash wears.
        self.load_known(&mut lock(&self.posture.known))
            .restarts
            .mark
            .look(&revision)
    }

    /// The newest reading is the reference from now on.
    pub fn accept_settings(&self) {
        let now_ms = self.time.wall().as_millis();
        let newest = lock(&self.posture.newest).clone();
        self.with_known(|known| {
            let newest =
                newest.map_or_else(|| known.last.clone(), |(_, readings)| readings.to_vec());
            known.accept(&newest, now_ms);
        });
    }

    /// Changes what is remembered, and writes it down if it is another one then.
    fn with_known<T>(&self, change: impl FnOnce(&mut KnownSettings) -> T) -> T {
        let mut guard = lock(&self.posture.known);
        let known = self.load_known(&mut guard);
        let before = known.clone();
        let found = change(known);
        if *known != before
            && let Err(error) = self.state.save(known)
        {
            log::error!("settings: {}", chain(&error));
        }
        drop(guard);
        found
    }

    fn load_known<'a>(&self, known: &'a mut Option<KnownSettings>) -> &'a mut KnownSettings {
        known.get_or_insert_with(|| {
            let saved = self.state.load::<KnownSettings>();
            let saved = saved.inspect_err(|error| log::warn!("settings: {}", chain(error)));
            saved.ok().flatten().unwrap_or_default()
        })
    }

    /// Something happened that the cloud shall know.
    pub fn add_event(&self, what: EventKind) {
        let at_ms = self.time.clock().as_millis();
        self.with_events(|events| {
            let now = events.add(at_ms, what);
            ((), now)
        });
    }

    /// Works on the events that wait; `change` says whether they must be written down.
    pub(super) fn with_events<T>(&self, change: impl FnOnce(&mut EventBuffer) -> (T, bool)) -> T {
        let mut guard = lock(&self.posture.events);
        let events = guard.get_or_insert_with(|| {
            let saved = self.state.load::<EventBuffer>();
            let saved = saved.inspect_err(|error| log::warn!("events: {}", chain(error)));
            saved.ok().flatten().unwrap_or_default().reopened()
        });
        let (result, now) = change(events);
        if now {
            events.saved();
            if let Err(error) = self.state.save(events) {
                log::error!("events: {}", chain(&error));
            }
        }
        drop(guard);
        result
    }

    /// What the scanner does now, for reports.
    pub(super) fn set_scanner(&self, state: &str, reason: Option<&str>) {
        *lock(&self.posture.scanner) = Some(ReportScanner {
            state: state.to_owned(),
            reasons: reason.map(str::to_owned).into_iter().collect(),
        });
    }

    /// What the scanner did last; `None`: this process has not used it.
    #[must_use]
    pub fn scanner(&self) -> Option<ReportScanner> {
        lock(&self.posture.scanner).clone()
    }

    /// Asks the printer how it is, as far as anything of it answers.
    pub(super) fn read_printer(&self) -> Option<ReportPrinter> {
        let status = lock(&self.posture.source).as_mut()?.printer();
        let printer = status.map(|status| redact::printer(&status));
        let at_ms = self.time.wall().as_millis();
        *lock(&self.posture.printer) = printer.clone().map(|printer| (at_ms, printer));
        printer
    }

    /// When the printer was last asked, Unix milliseconds, and what it told.
    #[must_use]
    pub fn printer(&self) -> Option<(u64, ReportPrinter)> {
        lock(&self.posture.printer).clone()
    }

    /// Everything of the device that was remembered is wiped: what is in memory too.
    pub(super) fn forget_posture(&self) {
        *lock(&self.posture.known) = None;
        *lock(&self.posture.events) = None;
    }
}

/// Reads these settings; what nobody reads is not known, as heavy as it is. What `restarted` makes
/// of all the others counts together with what the device says of it.
pub(crate) fn read(
    source: Option<&mut (dyn SettingsSource + 'static)>,
    rows: Vec<&'static Row>,
    restarted: impl FnOnce(&Row, &[ReportSetting]) -> Setting,
    each: &mut dyn FnMut(Setting),
) -> Vec<ReportSetting> {
    let mut readings = Vec::new();
    let Some(source) = source else {
        return readings;
    };
    let mut of_restart = None;
    let mut take = |setting: Setting| {
        if setting.id == restart::ID {
            of_restart = Some(setting);
            return;
        }
        readings.push(redact::setting(&setting));
        each(setting);
    };
    let ids: Vec<&str> = rows.iter().map(|row| row.id).collect();
    let mut missing = rows;
    source.read_some(&ids, &mut |setting| {
        missing.retain(|row| row.id != setting.id);
        take(setting);
    });
    for row in missing {
        let method = row.methods.first().copied().unwrap_or(Method::Vendor);
        let detail = "nothing on this device reads it";
        take(Setting::unknown(row, Why::NotSupported, detail, method, ""));
    }
    if let Some((row, told)) = Row::find(restart::ID).zip(of_restart) {
        let setting = restarted(row, &readings).worse(told);
        readings.push(redact::setting(&setting));
        each(setting);
    }
    readings
}

#[cfg(test)]
mod tests {
    use scantrip_cloud_client::wire::Verdict;

    use super::*;

    fn reading(value: &str) -> Vec<ReportSetting> {
        vec![ReportSetting {
            id: "net.ftp".to_owned(),
            value: value.to_owned(),
            severity: Severity::High,
            verdict: Verdict::Secure,
            reason: None,
        }]
    }

    #[test]
    fn the_first_reading_is_the_reference_until_another_is_accepted() {
        let mut known = KnownSettings::default();
        assert!(known.learn(&reading("false"), 1).is_empty());
        known.learn(&reading("true"), 2);
        assert_eq!(known.learn(&reading("true"), 3).len(), 1);
        assert!(known.learn(&reading("true"), 4).is_empty(), "told once");
        assert_eq!(known.reference, reading("false"));
        assert_eq!((known.reference_at_ms, known.changes[0].at_ms), (1, 3));
        known.accept(&reading("true"), 5);
        assert_eq!((known.reference_at_ms, known.changes.len()), (5, 0));
    }

    #[test]
    fn a_setting_that_flaps_is_told_when_two_readings_agree() {
        let mut known = KnownSettings::default();
        let mut told = Vec::new();
        for (at, value) in ["a", "b", "a", "b", "c", "b", "b", "b", "a", "a"]
            .iter()
            .enumerate()
        {
            let found = known.learn(&reading(value), at as u64);
            told.extend(found.into_iter().map(|it| (at, it.from, it.to)));
        }
        let change = |at, from: &str, to: &str| (at, from.to_owned(), to.to_owned());
        assert_eq!(told, [change(6, "a", "b"), change(9, "b", "a")]);
        assert_eq!(known.last, reading("a"));
    }

    #[test]
    fn a_critical_change_is_told_at_once() {
        let mut critical = reading("true");
        critical[0].severity = Severity::Critical;
        let mut known = KnownSettings::default();
        known.learn(&reading("false"), 1);
        assert_eq!(known.learn(&critical, 2).len(), 1);
        assert_eq!(known.learn(&reading("false"), 3).len(), 1);
    }

    /// Remembers which settings it was asked for, and tells the first alone.
    #[derive(Default)]
    struct Asked(Vec<String>);

    impl SettingsSource for Asked {
        fn read(&mut self, _each: &mut dyn FnMut(Setting)) {
            panic!("all settings were asked for");
        }

        fn read_some(&mut self, ids: &[&str], each: &mut dyn FnMut(Setting)) {
            self.0 = ids.iter().map(|id| (*id).to_owned()).collect();
            let row = Row::find(ids[0]).expect("a setting");
            each(Setting::known(row, "false", Method::Port, "x", 0));
        }
    }

    #[test]
    fn only_the_wanted_are_asked_for_and_what_nobody_tells_is_unknown() {
        let mut source = Asked::default();
        let rows = ["net.ftp", "net.telnet"]
            .iter()
            .filter_map(|id| Row::find(id));
        let restarted = |_: &Row, _: &[ReportSetting]| panic!("it was not asked for");
        let readings = read(
            Some(&mut source),
            rows.collect(),
            restarted,
            &mut |_setting| {},
        );
        assert_eq!(source.0, ["net.ftp", "net.telnet"]);
        let verdicts: Vec<_> = readings
            .iter()
            .map(|it| (it.id.as_str(), it.verdict))
            .collect();
        let expected = [
            ("net.ftp", Verdict::Secure),
            ("net.telnet", Verdict::Unknown),
        ];
        assert_eq!(verdicts, expected);
    }

    #[test]
    fn the_latest_changes_are_remembered_and_no_more() {
        let mut known = KnownSettings::default();
        for n in 0..100 {
            known.learn(&reading(&n.to_string()), 0);
            known.learn(&reading(&n.to_string()), n);
        }
        assert_eq!(known.changes.len(), CHANGES_MAX);
        assert_eq!(known.changes.last().map(|seen| seen.at_ms), Some(99));
    }
}
