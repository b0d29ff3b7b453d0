use std::collections::BTreeMap;

use scantrip_cloud_client::problem::ProblemKind;
use scantrip_cloud_client::wire::{Desired, ScanRules, TenantKey};
use scantrip_hal::clock::UnixTime;

use super::*;
use crate::engine::capture::Scan;
use crate::engine::outbox::{Found, FoundStage};
use crate::store::{
    Certificate, EntryPointChoice, Identity, OutcomeCursor, ReceiptHead, ReportCursor, Slot,
};

const JOB: JobId = JobId::from_bytes([7; 16]);
const URL: &str = "https://cloud.example";
/// 2026-11-01, Unix seconds; certificates are valid from then on for 90 days.
const START: u64 = 1_793_491_200;

fn at(seconds: u64) -> Moment {
    Moment {
        boot: Instant::from_millis(seconds * 1000),
        wall: UnixTime::from_seconds(START + seconds),
        clock: UnixTime::from_seconds(START + seconds),
        random: u64::MAX,
    }
}

fn identity() -> Identity {
    Identity {
        device: "d-1".to_owned(),
        tenant: None,
        active: Slot::A,
        a: Some(Certificate {
            chain: Vec::new(),
            not_before_ms: START * 1000,
            not_after_ms: (START + 90 * 24 * 3600) * 1000,
        }),
        b: None,
    }
}

fn desired() -> Desired {
    Desired {
        generation: 1,
        tenant: "t-1".to_owned(),
        tenant_name: "Example AG".to_owned(),
        device: "d-1".to_owned(),
        poll_interval_seconds: 60,
        keys: vec![TenantKey {
            generation: 1,
            key_id: String::new(),
            spki: "AQ==".to_owned(),
        }],
        workflows: vec![Workflow {
            id: "w-1".to_owned(),
            version: 1,
            name: "Invoices".to_owned(),
            fields: Vec::new(),
            scan: ScanRules::default(),
            must_understand: Vec::new(),
            requires: Vec::new(),
        }],
        policy: None,
    }
}

fn start(identity: Option<Identity>) -> Start {
    Start {
        session: session::Settings {
            bootstrap_url: URL.to_owned(),
            region: None,
            stays: false,
        },
        online: true,
        telemetry: false,
        settings_every: Duration::from_secs(3600),
        identity,
        choice: Some(EntryPointChoice {
            known: Vec::new(),
            url: URL.to_owned(),
            why: String::new(),
            measured_ms: Vec::new(),
        }),
        desired: None,
        report: ReportCursor::default(),
        outcome: OutcomeCursor::default(),
        head: ReceiptHead::default(),
        drafts: Vec::new(),
        found: Vec::new(),
    }
}

fn engine() -> Engine {
    Engine::new(start(Some(identity())), &at(0))
}

fn actions(engine: &mut Engine, seconds: u64) -> Vec<Action> {
    std::iter::from_fn(|| engine.poll_action(&at(seconds))).collect()
}

fn answer(engine: &mut Engine, seconds: u64, lane: Lane, answer: Answer) {
    let answered = Answered {
        lane,
        url: URL.to_owned(),
        cloud_time_ms: None,
        tls: None,
        answer,
    };
    engine.handle(&at(seconds), Input::Answered(Box::new(answered)));
}

fn polled(engine: &mut Engine, seconds: u64) {
    let polled = Polled::Changed {
        desired: Box::new(desired()),
        etag: None,
    };
    let result = Ok(polled);
    let hurried = false;
    answer(
        engine,
        seconds,
        Lane::Calls,
        Answer::Polled { hurried, result },
    );
}

fn request(engine: &mut Engine, seconds: u64, request: Request) {
    let token = Token(seconds);
    let fresh = JOB;
    engine.handle(
        &at(seconds),
        Input::Request {
            token,
            fresh,
            request,
        },
    );
}

fn scan() -> Request {
    Request::Scan(ScanRequest {
        workflow: "Invoices".to_owned(),
        fields: BTreeMap::new(),
        ..ScanRequest::default()
    })
}

fn refusals(actions: &[Action]) -> Vec<RefusalKind> {
    let refusal = |action: &Action| match action {
        Action::Reply(_, Err(refusal)) => Some(refusal.kind),
        _ => None,
    };
    actions.iter().filter_map(refusal).collect()
}

fn sealed() -> Found {
    Found {
        job: JOB,
        opened_at_ms: 1,
        stage: FoundStage::Sealed { with_intent: false },
    }
}

#[test]
fn a_scan_before_the_first_poll_waits_for_it_and_then_begins() {
    let mut engine = engine();
    request(&mut engine, 1, scan());
    let first = actions(&mut engine, 1);
    assert!(
        matches!(
            first[..],
            [Action::Call {
                call: Call::Poll { .. },
                ..
            }]
        ),
        "{first:?}"
    );
    polled(&mut engine, 2);
    let then = actions(&mut engine, 2);
    assert!(
        then.iter().any(
            |action| matches!(action, Action::Scan(Scan::Look { settings }) if settings.is_empty())
        ),
        "{then:?}"
    );
    let tenant = then.iter().find_map(|action| match action {
        Action::Keep(Keep::Identity(identity)) => identity.tenant.as_deref(),
        _ => None,
    });
    assert_eq!(tenant, Some("t-1"), "the tenant is remembered");
}

#[test]
fn a_scan_is_refused_when_nothing_is_known_and_the_cloud_is_away() {
    let mut engine = engine();
    request(&mut engine, 1, scan());
    actions(&mut engine, 1);
    let result = Err(Failure::unreachable("no answer"));
    let hurried = false;
    answer(
        &mut engine,
        2,
        Lane::Calls,
        Answer::Polled { hurried, result },
    );
    assert_eq!(
        refusals(&actions(&mut engine, 2)),
        [RefusalKind::Unreachable]
    );
}

#[test]
fn a_scan_that_waits_for_a_poll_and_is_cancelled_never_begins() {
    let mut engine = engine();
    request(&mut engine, 1, scan());
    request(&mut engine, 2, Request::Cancel);
    actions(&mut engine, 2);
    polled(&mut engine, 3);
    let then = actions(&mut engine, 3);
    assert!(
        !then.iter().any(|action| matches!(action, Action::Scan(_))),
        "{then:?}"
    );
    assert_eq!(refusals(&then), [RefusalKind::Scanner]);
    // The next one is wanted.
    request(&mut engine, 4, scan());
    let next = actions(&mut engine, 4);
    assert!(
        next.iter()
            .any(|action| matches!(action, Action::Scan(Scan::Look { .. }))),
        "{next:?}"
    );
}

#[test]
fn without_enrolment_people_are_told_how_to_enrol() {
    let mut engine = Engine::new(start(None), &at(0));
    request(&mut engine, 1, scan());
    request(&mut engine, 2, Request::Sync);
    let told = actions(&mut engine, 2);
    assert_eq!(refusals(&told), [RefusalKind::NotEnrolled; 2]);
    assert_eq!(engine.poll_timeout(&at(2)), None);
}

#[test]
fn jobs_found_at_start_are_sent_once_the_recipient_is_known() {
    let mut start = start(Some(identity()));
    start.found = vec![sealed()];
    let mut engine = Engine::new(start, &at(0));
    assert_eq!(
        actions(&mut engine, 0).len(),
        1,
        "the poll and nothing else"
    );
    polled(&mut engine, 1);
    let then = actions(&mut engine, 1);
    assert!(then.iter().any(|action| matches!(
        action,
        Action::Call {
            lane: Lane::Transfers,
            call: Call::Outbox(outbox::Call::Upload { .. }),
            ..
        }
    )));
}

#[test]
fn three_refusals_stop_transfers_and_one_good_poll_lets_them_go_on() {
    let mut start = start(Some(identity()));
    start.found = vec![sealed()];
    let mut engine = Engine::new(start, &at(0));
    actions(&mut engine, 0);
    polled(&mut engine, 0);
    let revoked = Failure {
        disposition: Disposition::Suspect,
        kind: Some(ProblemKind::DeviceRevoked),
        ..Failure::local("revoked")
    };
    for seconds in [0, 10, 20] {
        assert!(!actions(&mut engine, seconds).is_empty(), "{seconds}");
        let failed = Answer::Uploaded(JOB, None, Err(revoked.clone()));
        answer(&mut engine, seconds, Lane::Transfers, failed);
    }
    assert_eq!(engine.identity().word(&at(30)), "revoked");
    let quiet = actions(&mut engine, 40);
    assert!(quiet.iter().all(|action| !matches!(
        action,
        Action::Call {
            lane: Lane::Transfers,
            ..
        }
    )));
    assert_eq!(engine.unsent(), 1, "the job stays");
    actions(&mut engine, 60);
    polled(&mut engine, 61);
    let again = actions(&mut engine, 61);
    assert!(again.iter().any(|action| matches!(
        action,
        Action::Call {
            lane: Lane::Transfers,
            ..
        }
    )));
}

#[test]
fn unenrolling_counts_first_and_wipes_only_when_confirmed() {
    let mut start = start(Some(identity()));
    start.found = vec![sealed()];
    let mut engine = Engine::new(start, &at(0));
    actions(&mut engine, 0);
    request(&mut engine, 1, Request::Unenroll { confirmed: false });
    let told = actions(&mut engine, 1);
    let count = Reply::Unenroll {
        unsent_jobs: 1,
        done: false,
    };
    assert!(
        matches!(&told[..], [Action::Reply(_, Ok(reply))] if *reply == count),
        "{told:?}"
    );
    request(&mut engine, 2, Request::Unenroll { confirmed: true });
    let wipe = actions(&mut engine, 2);
    assert!(
        matches!(wipe[..], [Action::Keep(Keep::Wipe(Token(2)))]),
        "{wipe:?}"
    );
    engine.handle(&at(3), Input::Wiped(Token(2), Ok(())));
    assert_eq!(engine.unsent(), 0);
    assert!(engine.identity().identity().is_none());
    // What a call under way brings afterwards changes nothing.
    polled(&mut engine, 4);
    assert!(engine.workflows().is_empty());
}

#[test]
fn who_only_looks_asks_nobody() {
    let mut start = start(Some(identity()));
    start.online = false;
    start.found = vec![sealed()];
    let mut engine = Engine::new(start, &at(0));
    assert_eq!(actions(&mut engine, 10_000).len(), 0);
    assert_eq!(engine.poll_timeout(&at(10_000)), None);
}

#[test]
fn the_clouds_clock_is_remembered_as_a_floor_at_most_once_an_hour() {
    let mut engine = engine();
    let floors = |engine: &mut Engine, seconds| {
        actions(engine, seconds)
            .iter()
            .filter(|action| matches!(action, Action::Keep(Keep::Floor(_))))
            .count()
    };
    floors(&mut engine, 0);
    for (seconds, expected) in [(1, 1), (1000, 0), (3601, 1)] {
        let answered = Answered {
            lane: Lane::Calls,
            url: URL.to_owned(),
            cloud_time_ms: Some((START + seconds) * 1000),
            tls: None,
            answer: Answer::Polled {
                hurried: false,
                result: Ok(Polled::Unchanged),
            },
        };
        engine.handle(&at(seconds), Input::Answered(Box::new(answered)));
        assert_eq!(floors(&mut engine, seconds), expected, "{seconds}");
    }
    assert_eq!(engine.session().skew_ms(), Some(0));
}

#[test]
fn a_scan_after_a_long_summer_waits_for_the_renewal() {
    let late = 200 * 24 * 3600;
    let mut engine = Engine::new(start(Some(identity())), &at(late));
    request(&mut engine, late, scan());
    let first = actions(&mut engine, late);
    assert!(
        matches!(
            first[..],
            [Action::Call {
                call: Call::Renew { .. },
                ..
            }]
        ),
        "{first:?}"
    );
    let mut renewed = identity();
    renewed.b = Some(Certificate {
        chain: Vec::new(),
        not_before_ms: (START + late) * 1000,
        not_after_ms: (START + late + 90 * 24 * 3600) * 1000,
    });
    answer(
        &mut engine,
        late + 1,
        Lane::Calls,
        Answer::Renewed(Ok(renewed)),
    );
    let then = actions(&mut engine, late + 1);
    assert!(
        matches!(
            then[..],
            [Action::Call {
                call: Call::Prove { .. },
                ..
            }]
        ),
        "{then:?}"
    );
    answer(&mut engine, late + 2, Lane::Calls, Answer::Proven(Ok(())));
    let then = actions(&mut engine, late + 2);
    assert!(matches!(
        then[..],
        [
            Action::Keep(Keep::Switch(..)),
            Action::Call {
                call: Call::Poll { .. },
                ..
            }
        ]
    ));
}

#[test]
fn a_scan_is_refused_when_the_renewal_fails_or_comes_too_late() {
    let late = 200 * 24 * 3600;
    let mut engine = Engine::new(start(Some(identity())), &at(late));
    request(&mut engine, late, scan());
    actions(&mut engine, late);
    let failed = Answer::Renewed(Err(Failure::unreachable("no answer")));
    answer(&mut engine, late + 1, Lane::Calls, failed);
    assert_eq!(refusals(&actions(&mut engine, late + 1)).len(), 1);

    let late = 600 * 24 * 3600;
    let mut engine = Engine::new(start(Some(identity())), &at(late));
    request(&mut engine, late, scan());
    assert_eq!(refusals(&actions(&mut engine, late)).len(), 1);
}

#[test]
fn a_device_that_is_revoked_and_expired_says_revoked_though_it_asks_once_an_hour() {
    let late = 100 * 24 * 3600;
    let mut engine = Engine::new(start(Some(identity())), &at(late));
    let revoked = Failure {
        disposition: Disposition::Suspect,
        kind: Some(ProblemKind::DeviceRevoked),
        ..Failure::local("revoked")
    };
    let mut words = Vec::new();
    for hour in 0..4 {
        let now = late + hour * 3600 + hour;
        let asked = actions(&mut engine, now);
        let renew = |action: &Action| {
            matches!(
                action,
                Action::Call {
                    call: Call::Renew { .. },
                    ..
                }
            )
        };
        assert!(asked.iter().any(renew), "hour {hour}: {asked:?}");
        let refused = Answer::Renewed(Err(revoked.clone()));
        answer(&mut engine, now, Lane::Calls, refused);
        words.push(engine.identity().word(&at(now)));
    }
    assert_eq!(words, ["expired", "expired", "revoked", "revoked"]);
}

#[test]
fn the_device_is_looked_at_on_the_lane_of_calls_and_then_reported() {
    let is_look = |action: &Action| {
        matches!(
            action,
            Action::Call {
                lane: Lane::Calls,
                call: Call::Look,
                ..
            }
        )
    };
    let is_report = |action: &Action| {
        matches!(
            action,
            Action::Call {
                lane: Lane::Calls,
                call: Call::Report { .. },
                ..
            }
        )
    };
    let mut start = start(Some(identity()));
    start.telemetry = true;
    start.settings_every = Duration::from_secs(24 * 3600);
    let mut engine = Engine::new(start, &at(0));
    actions(&mut engine, 1);
    polled(&mut engine, 2);
    assert!(actions(&mut engine, 2).iter().any(is_report));
    let reported = Answer::Reported {
        settings: 5,
        more: false,
        result: Ok(()),
    };
    answer(&mut engine, 3, Lane::Calls, reported);
    actions(&mut engine, 3);
    // A poll is due too, and comes first.
    actions(&mut engine, 3603);
    polled(&mut engine, 3603);
    assert!(actions(&mut engine, 3603).iter().any(is_look));
    answer(&mut engine, 3604, Lane::Calls, Answer::Looked(true));
    assert!(actions(&mut engine, 3604).iter().any(is_report));
}
