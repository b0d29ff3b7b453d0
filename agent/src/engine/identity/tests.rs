use super::*;
use crate::store::{Certificate, Der};
use scantrip_hal::clock::UnixTime;

const DAY: u64 = 24 * 3600;
/// A certificate of 90 days from day 0; two thirds are day 60.
const LIFE_DAYS: u64 = 90;

fn on_day(day: u64) -> Moment {
    at(day * DAY)
}

fn at(seconds: u64) -> Moment {
    Moment {
        boot: Instant::from_millis(seconds * 1000),
        wall: UnixTime::from_seconds(seconds),
        clock: UnixTime::from_seconds(seconds),
        random: u64::MAX / 2,
    }
}

fn certificate(from_day: u64) -> Certificate {
    Certificate {
        chain: vec![Der(vec![1])],
        not_before_ms: from_day * DAY * 1000,
        not_after_ms: (from_day + LIFE_DAYS) * DAY * 1000,
    }
}

fn identity() -> Identity {
    Identity {
        device: "d-1".to_owned(),
        tenant: None,
        active: Slot::A,
        a: Some(certificate(0)),
        b: None,
    }
}

fn staged() -> Identity {
    Identity {
        b: Some(certificate(60)),
        ..identity()
    }
}

fn refused() -> Failure {
    Failure {
        disposition: Disposition::Suspect,
        kind: Some(ProblemKind::DeviceRevoked),
        ..Failure::local("revoked")
    }
}

fn code() -> SecretCode {
    SecretCode(EnrollmentCode::generate(&mut |out| out.fill(7)))
}

/// The first day on which a machine that is asked once a day renews.
fn renewal_day(machine: &mut Machine, from: u64, to: u64) -> Option<u64> {
    (from..to).find(|day| {
        matches!(
            machine.poll_action(&on_day(*day), true),
            Some(Action::Renew { slot: KeySlot::B })
        )
    })
}

#[test]
fn renewal_comes_at_two_thirds_of_life() {
    let mut machine = Machine::new(Some(identity()), &on_day(0));
    let day = renewal_day(&mut machine, 0, LIFE_DAYS).expect("a renewal");
    assert!((55..=65).contains(&day), "on day {day}");
    assert_eq!(machine.word(&on_day(day)), "renewing");
}

#[test]
fn a_device_that_slept_through_it_renews_when_it_wakes_even_a_year_late() {
    let mut machine = Machine::new(Some(identity()), &on_day(0));
    assert!(machine.poll_action(&on_day(1), true).is_none());
    assert_eq!(machine.word(&on_day(300)), "expired");
    assert!(!machine.is_usable(&on_day(300)));
    assert_eq!(renewal_day(&mut machine, 300, 301), Some(300));

    let mut machine = Machine::new(Some(identity()), &on_day(0));
    assert_eq!(
        renewal_day(&mut machine, LIFE_DAYS + 401, LIFE_DAYS + 500),
        None
    );
    assert_eq!(machine.word(&on_day(LIFE_DAYS + 401)), "expired");
}

#[test]
fn a_failed_renewal_is_tried_again_after_a_minute_then_at_4_percent_of_life() {
    let mut machine = Machine::new(Some(identity()), &on_day(0));
    let renew = |machine: &mut Machine, seconds| machine.poll_action(&at(seconds), true).is_some();
    let start = 70 * DAY;
    assert!(renew(&mut machine, start));
    machine.handle_renewed(&at(start), Err(Failure::unreachable("no")));
    assert!(!renew(&mut machine, start + 59));
    assert!(renew(&mut machine, start + 60));
    machine.handle_renewed(&at(start + 60), Err(Failure::unreachable("no")));
    assert!(!renew(&mut machine, start + 60 + 3 * DAY));
    assert!(renew(&mut machine, start + 60 + 4 * DAY));
}

#[test]
fn the_old_certificate_stays_until_the_new_one_has_worked() {
    let mut machine = Machine::new(Some(identity()), &on_day(0));
    assert_eq!(renewal_day(&mut machine, 70, 71), Some(70));
    machine.handle_renewed(&on_day(70), Ok(staged()));
    assert!(machine.is_usable(&on_day(70)));
    assert_eq!(
        machine.identity().map(|identity| identity.active),
        Some(Slot::A)
    );
    let prove = machine.poll_action(&on_day(70), true);
    assert!(matches!(prove, Some(Action::Prove { slot: KeySlot::B })));

    machine.handle_proof(&at(70 * DAY + 1), Err(Failure::unreachable("no")));
    assert!(machine.poll_action(&at(70 * DAY + 60), true).is_none());
    let prove = machine.poll_action(&at(70 * DAY + 61), true);
    assert!(matches!(prove, Some(Action::Prove { slot: KeySlot::B })));

    machine.handle_proof(&at(70 * DAY + 62), Ok(()));
    let Some(Action::Switch { identity, forget }) = machine.poll_action(&at(70 * DAY + 62), false)
    else {
        panic!("no switch");
    };
    assert_eq!((identity.active, forget), (Slot::B, KeySlot::A));
    assert!(identity.a.is_none() && identity.b.is_some());
}

#[test]
fn a_new_certificate_that_is_refused_is_thrown_away_and_the_old_one_kept() {
    let mut machine = Machine::new(Some(staged()), &on_day(70));
    for n in 0..5 {
        let now = at(70 * DAY + n * 60);
        assert!(
            matches!(machine.poll_action(&now, true), Some(Action::Prove { .. })),
            "{n}"
        );
        machine.handle_proof(&now, Err(refused()));
    }
    let switch = machine.poll_action(&at(71 * DAY), true);
    let Some(Action::Switch { identity, forget }) = switch else {
        panic!("no switch: {switch:?}");
    };
    assert_eq!((identity.active, forget), (Slot::A, KeySlot::B));
    assert!(identity.a.is_some() && identity.b.is_none());
}

#[test]
fn a_restart_goes_on_proving_what_was_staged() {
    let mut machine = Machine::new(Some(staged()), &on_day(70));
    let prove = machine.poll_action(&on_day(70), true);
    assert!(matches!(prove, Some(Action::Prove { slot: KeySlot::B })));
}

#[test]
fn three_refusals_in_a_row_are_suspect_and_one_good_call_clears_them() {
    let mut machine = Machine::new(Some(identity()), &at(0));
    for refusals in [1, 2, 0, 1, 2] {
        if refusals == 0 {
            machine.forgive();
        } else {
            machine.strike(&refused());
        }
        assert!(!machine.is_suspect(), "{refusals}");
    }
    machine.strike(&refused());
    assert_eq!(machine.word(&at(902)), "revoked");
    machine.strike(&Failure::unreachable("no"));
    assert!(machine.is_suspect());
    machine.forgive();
    assert_eq!(machine.word(&at(903)), "enrolled");
}

#[test]
fn when_the_cloud_says_expired_it_renews_whatever_the_clock_says() {
    let mut machine = Machine::new(Some(identity()), &on_day(0));
    let expired = Failure {
        disposition: Disposition::Renew,
        ..Failure::local("expired")
    };
    machine.strike(&expired);
    assert_eq!(renewal_day(&mut machine, 1, 2), Some(1));
}

#[test]
fn a_lost_answer_to_the_enrolment_is_asked_for_again_with_the_same_slot() {
    let mut machine = Machine::new(None, &at(0));
    machine.handle_enroll(&at(0), code(), None).expect("begun");
    for seconds in [0, 1] {
        let asked = machine.poll_action(&at(seconds), true);
        assert!(
            matches!(
                asked,
                Some(Action::Enroll {
                    slot: KeySlot::A,
                    ..
                })
            ),
            "{seconds}"
        );
        let lost = EnrollResult::TryAgain(Failure::unreachable("lost"));
        assert!(machine.handle_enrolled(&at(seconds), lost).is_none());
    }
    assert!(machine.poll_action(&at(2), true).is_some());
    let lost = EnrollResult::TryAgain(Failure::unreachable("lost"));
    let told = machine.handle_enrolled(&at(2), lost).expect("told at last");
    assert!(told.expect_err("refused").message.contains("same code"));
    assert_eq!(machine.word(&at(2)), "not-enrolled");
}

#[test]
fn a_refused_enrolment_leaves_the_identity_that_was() {
    let mut machine = Machine::new(Some(identity()), &at(0));
    machine
        .handle_enroll(&at(0), code(), Some("d-1".to_owned()))
        .expect("begun");
    let asked = machine.poll_action(&at(0), true);
    assert!(matches!(
        asked,
        Some(Action::Enroll {
            slot: KeySlot::B,
            ..
        })
    ));
    assert!(
        machine.handle_enroll(&at(0), code(), None).is_err(),
        "one at a time"
    );
    let refusal = Refusal {
        kind: RefusalKind::Refused,
        message: "wrong".to_owned(),
    };
    let told = machine.handle_enrolled(&at(1), EnrollResult::Refused(refusal));
    assert!(told.expect("told").is_err());
    assert_eq!(
        machine.identity().map(|identity| identity.active),
        Some(Slot::A)
    );
    assert_eq!(machine.word(&at(1)), "enrolled");
}

#[test]
fn no_debug_form_shows_the_code() {
    let shown = format!("{:?}", code());
    assert_eq!(shown, "SecretCode");
}
