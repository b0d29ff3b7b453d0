//! A device that is restarted and set otherwise, and an agent on or beside it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use scantrip_hal::settings::{Method, Revision, Row, Setting, SettingsSource, Uptime, Why};

use super::ID;
use crate::drivers::Context;
use crate::drivers::testing::{self, SetClock};
use crate::spool::testing::MemoryDisk;

/// What the device tells.
#[derive(Default)]
struct Told {
    values: BTreeMap<&'static str, &'static str>,
    revision: Revision,
}

/// A device, and the disk of the agent.
#[derive(Clone)]
struct Device {
    told: Arc<Mutex<Told>>,
    disk: MemoryDisk,
    clock: Arc<SetClock>,
}

impl SettingsSource for Device {
    fn read(&mut self, each: &mut dyn FnMut(Setting)) {
        for (id, value) in &self.told.lock().expect("told").values {
            let row = Row::find(id).expect("a setting");
            each(match *value {
                "" => Setting::unknown(row, Why::NotAnswered, "silent", Method::Port, "x"),
                value => Setting::known(row, value, Method::Vendor, "an export", 0),
            });
        }
    }

    fn revision(&mut self) -> Revision {
        self.told.lock().expect("told").revision.clone()
    }
}

impl Device {
    fn new(values: &[(&'static str, &'static str)]) -> Self {
        let device = Self {
            told: Arc::default(),
            disk: MemoryDisk::new(),
            clock: Arc::default(),
        };
        device.set(values);
        device
    }

    fn set(&self, values: &[(&'static str, &'static str)]) {
        let mut told = self.told.lock().expect("told");
        told.values.extend(values.iter().copied());
    }

    fn started(&self, boot_id: &str) {
        self.told.lock().expect("told").revision.boot_id = Some(boot_id.to_owned());
    }

    fn is_up(&self, by: &'static str, seconds: u32) {
        self.told.lock().expect("told").revision.up = Some(Uptime { by, seconds });
    }

    fn counts(&self, changes: Option<&str>) {
        self.told.lock().expect("told").revision.changes = changes.map(str::to_owned);
    }

    /// The agent as it starts, with what its disk remembers.
    fn agent(&self) -> Context {
        let source = Box::new(self.clone());
        testing::context(self.disk.clone(), self.clock.clone(), Some(source))
    }

    /// Seconds pass.
    fn wait(&self, seconds: u64) {
        self.clock.0.fetch_add(seconds * 1000, Ordering::SeqCst);
    }
}

/// Reads all settings; gives the value of the one about restarts, and its evidence or the reason.
fn read(agent: &Context) -> (String, String) {
    let mut found = None;
    let _gate = agent.read_settings(&mut |setting| {
        if setting.id == ID {
            assert!(found.replace(setting).is_none(), "told twice");
        }
    });
    let found: Setting = found.expect("told");
    let words = match &found.verdict {
        scantrip_hal::settings::Verdict::Unknown(unknown) => unknown.detail.as_str(),
        _ => found.evidence.as_str(),
    };
    (found.value.as_str().to_owned(), words.to_owned())
}

fn is(value: &str, words: &str) -> (String, String) {
    (value.to_owned(), words.to_owned())
}

const UNSEEN: &str = "no restart was seen between two readings yet";

#[test]
fn settings_that_outlive_a_restart_are_told_from_then_on() {
    let device = Device::new(&[("net.ftp", "false"), ("auth.lockout_tries", "3")]);
    device.started("a");
    let agent = device.agent();
    assert_eq!(read(&agent), is("", UNSEEN));
    assert_eq!(read(&agent), is("", UNSEEN));
    device.started("b");
    let kept = is("true", "all 2 compared are as before the restart (boot_id)");
    assert_eq!(read(&device.agent()), kept);
    // What is set later has not fallen back, and the agent may start anew without the device.
    device.set(&[("net.ftp", "true")]);
    assert_eq!(read(&device.agent()), kept);
}

#[test]
fn what_falls_back_at_a_restart_is_named_until_the_next() {
    let device = Device::new(&[
        ("auth.lockout_tries", "3"),
        ("net.ftp", "false"),
        ("net.listening_ports", "tcp/631"),
        ("net.telnet", "false"),
        ("net.tftp", "false"),
        ("time.synchronised", "true"),
    ]);
    device.started("a");
    read(&device.agent());
    // The clock and the ports are no settings; what does not answer has not fallen back.
    device.set(&[
        ("auth.lockout_tries", "0"),
        ("net.ftp", "true"),
        ("net.listening_ports", "tcp/22"),
        ("net.telnet", ""),
        ("time.synchronised", "false"),
    ]);
    device.started("b");
    let words = "2 of 3 changed at the restart: auth.lockout_tries net.ftp";
    assert_eq!(read(&device.agent()), is("false", words));
    device.set(&[
        ("auth.lockout_tries", "3"),
        ("net.ftp", "false"),
        ("net.telnet", "false"),
    ]);
    assert_eq!(read(&device.agent()), is("false", words), "mended by hand");
    device.started("c");
    let words = "all 4 compared are as before the restart (boot_id)";
    assert_eq!(read(&device.agent()), is("true", words));
}

/// An agent that has seen three settings change at a restart: two that come late, and one for good.
fn restarted(device: &Device) -> Context {
    device.set(&[
        ("auth.lockout_tries", "3"),
        ("net.lpd_515", "true"),
        ("net.raw_9100", "true"),
    ]);
    device.started("a");
    let agent = device.agent();
    read(&agent);
    device.set(&[
        ("auth.lockout_tries", "0"),
        ("net.lpd_515", "false"),
        ("net.raw_9100", "false"),
    ]);
    device.started("b");
    let words = "3 of 3 changed at the restart: auth.lockout_tries net.lpd_515 net.raw_9100";
    assert_eq!(read(&agent), is("false", words));
    agent
}

#[test]
fn a_service_that_comes_late_has_not_fallen_back() {
    let device = Device::new(&[]);
    let agent = restarted(&device);
    device.wait(10);
    device.set(&[("net.raw_9100", "true")]);
    let words = "2 of 3 changed at the restart: auth.lockout_tries net.lpd_515";
    assert_eq!(read(&agent), is("false", words));
    device.wait(109);
    device.set(&[("auth.lockout_tries", "3"), ("net.lpd_515", "true")]);
    let words = "all 3 compared are as before the restart (boot_id)";
    assert_eq!(read(&agent), is("true", words));
    assert_eq!(read(&device.agent()), is("true", words));
}

#[test]
fn a_service_that_comes_late_and_was_off_before_has_not_survived() {
    let device = Device::new(&[("net.telnet", "false")]);
    device.started("a");
    let agent = device.agent();
    read(&agent);
    device.started("b");
    let words = "all 1 compared are as before the restart (boot_id)";
    assert_eq!(read(&agent), is("true", words));
    device.wait(10);
    device.set(&[("net.telnet", "true")]);
    let words = "1 of 1 changed at the restart: net.telnet";
    assert_eq!(read(&agent), is("false", words));
}

#[test]
fn what_is_as_before_minutes_later_was_set_again() {
    let device = Device::new(&[]);
    let agent = restarted(&device);
    device.wait(120);
    device.set(&[("auth.lockout_tries", "3"), ("net.raw_9100", "true")]);
    let words = "3 of 3 changed at the restart: auth.lockout_tries net.lpd_515 net.raw_9100";
    assert_eq!(read(&agent), is("false", words));
}

#[test]
fn a_restart_asks_for_readings_until_all_is_as_before_or_two_minutes_are_over() {
    let device = Device::new(&[("net.ftp", "false")]);
    let agent = device.agent();
    let is_unsure = || agent.read_settings(&mut |_setting| {}).unsure;
    device.started("a");
    assert!(!is_unsure());
    device.started("b");
    assert_eq!([is_unsure(), is_unsure()], [true, false]);
    device.set(&[("net.ftp", "true")]);
    device.started("c");
    assert_eq!([is_unsure(), is_unsure()], [true, true]);
    device.wait(120);
    assert!(!is_unsure());
}

#[test]
fn a_restart_that_cannot_be_compared_leaves_what_is_known() {
    let device = Device::new(&[("net.ftp", "false")]);
    device.started("a");
    let agent = device.agent();
    read(&agent);
    device.set(&[("net.ftp", "true")]);
    device.started("b");
    let words = "1 of 1 changed at the restart: net.ftp";
    assert_eq!(read(&agent), is("false", words));
    device.set(&[("net.ftp", "")]);
    device.started("c");
    assert_eq!(read(&agent), is("false", words));
    // Nor does what is back then heal the earlier one.
    device.set(&[("net.ftp", "false")]);
    assert_eq!(read(&agent), is("false", words));
}

#[test]
fn a_change_that_one_reading_has_shown_counts_as_the_value_before() {
    let device = Device::new(&[("net.ftp", "true")]);
    device.started("a");
    let agent = device.agent();
    read(&agent);
    device.set(&[("net.ftp", "false")]);
    read(&agent);
    device.set(&[("net.ftp", "true")]);
    device.started("b");
    let words = "1 of 1 changed at the restart: net.ftp";
    assert_eq!(read(&agent), is("false", words));
}

#[test]
fn more_ids_than_have_room_are_cut_between_two() {
    let ids = ["auth.lockout_tries", "auth.password_min_length"];
    let more = ["auth.panel_logout_seconds", "auth.web_logout_seconds"];
    let all = |value| ids.into_iter().chain(more).map(move |id| (id, value));
    let device = Device::new(&Vec::from_iter(all("5")));
    device.started("a");
    read(&device.agent());
    device.set(&Vec::from_iter(all("6")));
    device.started("b");
    let words = "4 of 4 changed at the restart: auth.lockout_tries auth.panel_logout_seconds ...";
    assert_eq!(read(&device.agent()), is("false", words));
}

#[test]
fn a_device_beside_the_agent_is_restarted_when_its_uptime_falls() {
    const DAY: u32 = 24 * 3600;
    for (before, after, seen) in [
        (("hrSystemUptime", 5 * DAY), ("hrSystemUptime", 60), true),
        (("hrSystemUptime", 60), ("hrSystemUptime", 5 * DAY), false),
        // A clock that was set, another teller, and a counter of SNMP that came to its end.
        (("printer-up-time", 3600), ("printer-up-time", 3590), false),
        (("printer-up-time", 5 * DAY), ("sysUpTime", 60), false),
        (("hrSystemUptime", 490 * DAY), ("hrSystemUptime", 60), false),
    ] {
        let device = Device::new(&[("net.ftp", "false")]);
        device.is_up(before.0, before.1);
        let agent = device.agent();
        assert_eq!(read(&agent), is("", UNSEEN));
        device.is_up(after.0, after.1);
        assert_eq!(agent.look_for_changes(), seen, "{before:?} {after:?}");
        assert_eq!(read(&agent).0 == "true", seen, "{before:?} {after:?}");
    }
}

#[test]
fn a_device_that_tells_of_no_start_says_so_itself_or_not_at_all() {
    let device = Device::new(&[("net.ftp", "false")]);
    let agent = device.agent();
    let words =
        "nothing tells when it restarts; the vendor's export may tell this, or you declare it";
    assert_eq!(read(&agent), is("", words));
    device.set(&[(ID, "true")]);
    assert_eq!(read(&agent), is("true", "an export"));
}

#[test]
fn what_was_seen_is_worse_than_what_is_said() {
    let device = Device::new(&[("net.ftp", "false"), (ID, "true")]);
    device.started("a");
    read(&device.agent());
    device.set(&[("net.ftp", "true")]);
    device.started("b");
    let words = "conflict: vendor says true; 1 of 1 changed at the restart: net.ftp";
    assert_eq!(read(&device.agent()), is("false", words));
}

#[test]
fn a_workflow_may_require_it() {
    let device = Device::new(&[("net.ftp", "false")]);
    device.started("a");
    read(&device.agent());
    device.started("b");
    read(&device.agent());
    let ids = BTreeSet::from([ID.to_owned()]);
    let gate = device.agent().recent_settings(&ids, Duration::ZERO);
    let told: Vec<_> = gate
        .readings
        .iter()
        .map(|it| (it.id.as_str(), it.value.as_str()))
        .collect();
    assert_eq!(told, [(ID, "true")]);
}

#[test]
fn a_counter_that_moves_asks_for_one_reading() {
    let device = Device::new(&[("net.ftp", "false")]);
    device.counts(Some("changes 4294967295"));
    let agent = device.agent();
    assert!(agent.look_for_changes(), "nothing was read yet");
    read(&agent);
    assert!(!agent.look_for_changes());
    // It wraps.
    device.counts(Some("changes 0"));
    assert!(agent.look_for_changes());
    assert!(agent.look_for_changes(), "only a reading takes note of it");
    read(&agent);
    assert!(!device.agent().look_for_changes(), "and remembers it");
    // A device that is switched off has not changed.
    device.counts(None);
    assert!(!agent.look_for_changes());
    // But what was read then is not what it is.
    read(&agent);
    device.counts(Some("changes 0"));
    assert!(agent.look_for_changes());
}

#[test]
fn a_look_writes_nothing_down_and_sees_two_restarts_within_a_day() {
    let device = Device::new(&[("net.ftp", "false")]);
    device.is_up("hrSystemUptime", 600);
    let agent = device.agent();
    read(&agent);
    let written = device.disk.operations();
    for hour in 1..20 {
        device.is_up("hrSystemUptime", 600 + hour * 3600);
        assert!(!agent.look_for_changes());
    }
    assert_eq!(device.disk.operations(), written);
    device.is_up("hrSystemUptime", 2400);
    assert!(agent.look_for_changes());
}
