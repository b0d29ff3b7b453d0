use super::*;
use scantrip_cloud_client::problem::Disposition;

const FRANKFURT: &str = "https://frankfurt.example";
const VIRGINIA: &str = "https://virginia.example";
const BOOTSTRAP: &str = "https://bootstrap.example";

fn at(seconds: u64) -> Moment {
    Moment {
        boot: Instant::from_millis(seconds * 1000),
        random: u64::MAX,
        ..Moment::default()
    }
}

fn desired(generation: u64) -> Desired {
    Desired {
        generation,
        tenant: "t-1".to_owned(),
        tenant_name: "Example AG".to_owned(),
        device: "d-1".to_owned(),
        poll_interval_seconds: 300,
        keys: Vec::new(),
        workflows: Vec::new(),
        policy: None,
    }
}

fn changed(generation: u64) -> Result<Polled, Failure> {
    Ok(Polled::Changed {
        desired: Box::new(desired(generation)),
        etag: Some(format!("\"{generation}\"")),
    })
}

fn doors(ms: [Option<u32>; 2]) -> Doors {
    let names = [("Frankfurt", FRANKFURT), ("Virginia", VIRGINIA)];
    let known: Vec<_> = names
        .iter()
        .map(|(name, url)| EntryPoint {
            name: (*name).to_owned(),
            region: name.to_lowercase(),
            url: (*url).to_owned(),
        })
        .collect();
    let measured = known
        .iter()
        .zip(ms)
        .map(|(door, ms)| Measurement {
            name: door.name.clone(),
            region: door.region.clone(),
            url: door.url.clone(),
            connect_ms: ms.map(|ms| [ms; 3]),
            failure: None,
        })
        .collect();
    Doors { known, measured }
}

fn machine(stays: bool) -> Machine {
    let settings = Settings {
        bootstrap_url: BOOTSTRAP.to_owned(),
        region: None,
        stays,
    };
    let mut machine = Machine::new(settings, None, None, &at(0));
    machine.handle_credential(&at(0), Some("d-1"));
    machine
}

/// A machine that has chosen Frankfurt and polled once, at 0 s.
fn settled(stays: bool) -> Machine {
    let mut machine = machine(stays);
    assert_eq!(actions(&mut machine, 0), [measure(BOOTSTRAP)]);
    machine.handle_doors(&at(0), BOOTSTRAP, Ok(doors([Some(10), Some(90)])));
    let polled = actions(&mut machine, 0);
    assert_eq!(
        polled.last(),
        Some(&poll(FRANKFURT, None, if stays { 50 } else { 0 }))
    );
    assert!(machine.handle_polled(&at(0), FRANKFURT, false, changed(1)));
    let kept = actions(&mut machine, 0);
    assert!(matches!(kept[..], [Action::KeepDesired(_)]), "{kept:?}");
    machine
}

fn actions(machine: &mut Machine, seconds: u64) -> Vec<Action> {
    std::iter::from_fn(|| machine.poll_action(&at(seconds), true, true)).collect()
}

fn measure(url: &str) -> Action {
    Action::Measure {
        url: url.to_owned(),
    }
}

fn poll(url: &str, etag: Option<&str>, hold_seconds: u32) -> Action {
    Action::Poll {
        url: url.to_owned(),
        etag: etag.map(str::to_owned),
        hold_seconds,
    }
}

#[test]
fn a_new_device_measures_chooses_the_nearest_and_polls_at_once() {
    let machine = settled(false);
    assert_eq!(machine.url(), FRANKFURT);
    assert_eq!(machine.poll_timeout(), Some(at(300).boot));
}

#[test]
fn the_next_poll_names_the_state_known_and_counts_from_the_start_of_the_last() {
    let mut machine = settled(true);
    assert_eq!(actions(&mut machine, 299), []);
    assert_eq!(
        actions(&mut machine, 300),
        [poll(FRANKFURT, Some("\"1\""), 50)]
    );
    machine.handle_polled(&at(350), FRANKFURT, false, Ok(Polled::Unchanged));
    assert_eq!(machine.poll_timeout(), Some(at(600).boot));
}

#[test]
fn the_first_poll_of_a_device_that_knows_its_state_is_spread() {
    let state = DesiredState {
        etag: None,
        desired: desired(4),
    };
    let settings = Settings {
        stays: true,
        ..Settings::default()
    };
    let mut machine = Machine::new(settings, None, Some(state), &at(0));
    machine.handle_credential(&at(0), Some("d-1"));
    assert_eq!(machine.poll_timeout(), Some(at(300).boot));
}

#[test]
fn the_interval_is_held_between_half_a_minute_and_a_day() {
    for (asked, kept) in [(1, 30), (u32::MAX, 86_400)] {
        let mut machine = settled(false);
        let mut next = desired(2);
        next.poll_interval_seconds = asked;
        actions(&mut machine, 300);
        let polled = Polled::Changed {
            desired: Box::new(next),
            etag: None,
        };
        machine.handle_polled(&at(300), FRANKFURT, false, Ok(polled));
        assert_eq!(machine.poll_timeout(), Some(at(300 + kept).boot));
    }
}

#[test]
fn a_generation_only_grows_and_other_devices_or_tenants_are_ignored() {
    let mut machine = settled(false);
    assert!(machine.handle_polled(&at(1), FRANKFURT, true, changed(3)));
    assert!(!machine.handle_polled(&at(2), FRANKFURT, true, changed(2)));
    assert!(machine.handle_polled(&at(3), FRANKFURT, true, changed(3)));
    for change in [
        |desired: &mut Desired| "d-2".clone_into(&mut desired.device),
        |desired: &mut Desired| "t-2".clone_into(&mut desired.tenant),
    ] {
        let mut other = desired(9);
        change(&mut other);
        let polled = Polled::Changed {
            desired: Box::new(other),
            etag: None,
        };
        assert!(!machine.handle_polled(&at(4), FRANKFURT, true, Ok(polled)));
    }
    assert_eq!(machine.desired().map(|desired| desired.generation), Some(3));
}

#[test]
fn a_door_that_does_not_answer_is_left_for_the_next_then_backoff_begins() {
    let mut machine = settled(false);
    let shut = || Err(Failure::unreachable("no answer"));
    assert_eq!(
        actions(&mut machine, 300),
        [poll(FRANKFURT, Some("\"1\""), 0)]
    );
    machine.handle_polled(&at(300), FRANKFURT, false, shut());
    assert_eq!(
        actions(&mut machine, 300),
        [poll(VIRGINIA, Some("\"1\""), 0)]
    );
    machine.handle_polled(&at(301), VIRGINIA, false, shut());
    assert_eq!(
        actions(&mut machine, 301),
        [poll(BOOTSTRAP, Some("\"1\""), 0)]
    );
    machine.handle_polled(&at(302), BOOTSTRAP, false, shut());
    assert_eq!(actions(&mut machine, 306), []);
    assert_eq!(
        actions(&mut machine, 307),
        [poll(FRANKFURT, Some("\"1\""), 0)]
    );
    for (url, seconds) in [(FRANKFURT, 307), (VIRGINIA, 308), (BOOTSTRAP, 309)] {
        machine.handle_polled(&at(seconds), url, false, shut());
    }
    assert_eq!(machine.poll_timeout(), Some(at(319).boot), "twice as long");
}

#[test]
fn a_door_found_shut_is_used_again_only_after_doors_were_measured_anew() {
    let mut machine = settled(false);
    assert!(machine.handle_shut_door(FRANKFURT));
    assert_eq!(machine.url(), VIRGINIA);
    assert_eq!(
        actions(&mut machine, 300),
        [poll(VIRGINIA, Some("\"1\""), 0)]
    );
}

#[test]
fn what_the_cloud_asks_to_wait_is_waited() {
    let mut machine = settled(false);
    actions(&mut machine, 300);
    let busy = Failure {
        disposition: Disposition::Retry {
            after: Some(Duration::from_secs(120)),
        },
        unreachable: false,
        ..Failure::unreachable("busy")
    };
    machine.handle_polled(&at(300), FRANKFURT, false, Err(busy));
    let next = machine.poll_timeout().expect("a deadline");
    assert!(next >= at(420).boot && next <= at(426).boot, "{next:?}");
}

#[test]
fn a_person_who_asks_while_an_answer_is_held_is_served_on_the_other_lane() {
    let mut machine = settled(true);
    assert_eq!(
        actions(&mut machine, 300),
        [poll(FRANKFURT, Some("\"1\""), 50)]
    );
    machine.handle_sync(&at(310), Token(7));
    let hurried = machine.poll_action(&at(310), false, true);
    assert_eq!(hurried, Some(poll(FRANKFURT, Some("\"1\""), 0)));
    assert!(machine.handle_polled(&at(311), FRANKFURT, true, changed(2)));
    let told = actions(&mut machine, 311);
    assert!(matches!(
        told[..],
        [Action::KeepDesired(_), Action::Synced(Token(7), Ok(()))]
    ));
    machine.handle_polled(&at(350), FRANKFURT, false, Ok(Polled::Unchanged));
    assert_eq!(machine.poll_timeout(), Some(at(600).boot));
}

#[test]
fn a_person_is_told_when_no_door_answers() {
    let mut machine = settled(false);
    machine.handle_sync(&at(10), Token(1));
    for (seconds, url) in [(10, FRANKFURT), (11, VIRGINIA), (12, BOOTSTRAP)] {
        assert_eq!(
            actions(&mut machine, seconds),
            [poll(url, Some("\"1\""), 0)]
        );
        machine.handle_polled(&at(seconds), url, false, Err(Failure::unreachable("no")));
    }
    let told = actions(&mut machine, 12);
    assert!(
        matches!(told[..], [Action::Synced(Token(1), Err(_))]),
        "{told:?}"
    );
}

#[test]
fn a_region_pin_keeps_the_device_in_its_region() {
    let mut machine = machine(false);
    machine.settings.region = Some("virginia".to_owned());
    actions(&mut machine, 0);
    machine.handle_doors(&at(0), BOOTSTRAP, Ok(doors([Some(10), Some(90)])));
    assert_eq!(machine.url(), VIRGINIA);
    assert!(!machine.handle_shut_door(VIRGINIA));
    assert_eq!(machine.url(), VIRGINIA);
}

#[test]
fn without_a_certificate_nothing_is_asked() {
    let mut machine = settled(false);
    machine.handle_credential(&at(10), None);
    assert_eq!(machine.poll_timeout(), None);
    assert_eq!(actions(&mut machine, 1000), []);
    machine.handle_credential(&at(1000), Some("d-1"));
    assert_eq!(actions(&mut machine, 1000).len(), 1);
}

#[test]
fn the_only_door_is_kept_with_its_measured_time_in_any_region() {
    let mut machine = machine(false);
    machine.settings.region = Some("virginia".to_owned());
    assert_eq!(actions(&mut machine, 0), [measure(BOOTSTRAP)]);
    let asked = Measurement {
        name: String::new(),
        region: String::new(),
        url: BOOTSTRAP.to_owned(),
        connect_ms: Some([9, 3, 5]),
        failure: None,
    };
    let doors = Doors {
        known: Vec::new(),
        measured: vec![asked],
    };
    machine.handle_doors(&at(0), BOOTSTRAP, Ok(doors));
    let choice = machine.choice().expect("a choice").clone();
    assert_eq!(choice.known[0].name, "bootstrap.example");
    assert_eq!(choice.measured_ms, [Some(5)]);
    assert_eq!(choice.url, BOOTSTRAP);
    let done = actions(&mut machine, 0);
    assert_eq!(done, [Action::KeepChoice(choice), poll(BOOTSTRAP, None, 0)]);
}
