use super::*;
use crate::api::Reply;
use scantrip_cloud_client::problem::ProblemKind;
use scantrip_cloud_client::wire::{INTENT_OBJECT, OutcomeState, Receipt, SignedReceipt};

fn at(seconds: u64) -> Moment {
    Moment {
        boot: Instant::from_millis(seconds * 1000),
        random: u64::MAX,
        ..Moment::default()
    }
}

fn job(n: u8) -> JobId {
    JobId::from_bytes([n; 16])
}

fn machine() -> Machine {
    Machine::new(Vec::new(), &ReceiptHead::default(), 0, &at(0))
}

fn sent(object: u32) -> Result<Option<Sent>, Failure> {
    Ok(Some(Sent {
        object,
        size: 10,
        fresh: true,
        job_bytes: 100,
    }))
}

fn verified(seq: u64, prev: [u8; 32], hash: u8) -> Verified {
    Verified {
        signed: SignedReceipt {
            receipt: String::new(),
            signature: String::new(),
            certificate: String::new(),
        },
        receipt: Receipt {
            version: 1,
            tenant: "t".to_owned(),
            device: "d".to_owned(),
            seq,
            prev: base16ct::lower::encode_string(&prev),
            job: job(1).to_string(),
            envelope: String::new(),
            objects: 1,
            received_at_ms: 0,
        },
        hash: [hash; 32],
        code: "ABC123".to_owned(),
    }
}

fn upload(n: u8, after: u32, wanted: Option<u32>, resume: bool) -> Call {
    Call::Upload {
        job: job(n),
        after,
        wanted,
        resume,
    }
}

/// Everything to do now, calls last.
fn actions(machine: &mut Machine, seconds: u64) -> Vec<Action> {
    std::iter::from_fn(|| machine.poll_action(&at(seconds), true)).collect()
}

fn call(machine: &mut Machine, seconds: u64) -> Option<Call> {
    actions(machine, seconds)
        .into_iter()
        .find_map(|action| match action {
            Action::Call(call) => Some(call),
            _ => None,
        })
}

/// Sends a sealed job of two pages up to its commit, at 0 s.
fn to_commit(machine: &mut Machine, n: u8) {
    machine.handle_sealed(job(n), 1, false);
    let found = machine.jobs[&job(n)].resume;
    assert_eq!(call(machine, 0), Some(upload(n, 0, None, found)));
    machine.handle_uploaded(&at(0), job(n), None, sent(1));
    assert_eq!(call(machine, 0), Some(upload(n, 1, None, false)));
    machine.handle_uploaded(&at(0), job(n), None, sent(2));
    assert_eq!(call(machine, 0), Some(upload(n, 2, None, false)));
    machine.handle_uploaded(&at(0), job(n), None, Ok(None));
    assert_eq!(call(machine, 0), Some(upload(n, 2, Some(0), false)));
    machine.handle_uploaded(&at(0), job(n), Some(0), sent(0));
    let commit = Call::Commit {
        job: job(n),
        with_intent: false,
    };
    assert_eq!(call(machine, 0), Some(commit));
}

fn problem(disposition: Disposition) -> Failure {
    Failure {
        disposition,
        kind: Some(ProblemKind::Internal),
        ..Failure::local("the cloud said no")
    }
}

#[test]
fn pages_are_sent_while_the_next_ones_feed() {
    let mut machine = machine();
    machine.handle_opened(job(1), 1);
    assert_eq!(call(&mut machine, 0), None, "no page yet");
    machine.handle_page_saved(job(1));
    assert_eq!(call(&mut machine, 0), Some(upload(1, 0, None, false)));
    machine.handle_page_saved(job(1));
    machine.handle_uploaded(&at(1), job(1), None, sent(1));
    assert_eq!(call(&mut machine, 1), Some(upload(1, 1, None, false)));
    machine.handle_uploaded(&at(2), job(1), None, Ok(None));
    assert_eq!(call(&mut machine, 2), None, "all that is there is sent");
    machine.handle_sealed(job(1), 1, false);
    assert_eq!(call(&mut machine, 3), Some(upload(1, 1, None, false)));
}

#[test]
fn a_job_is_erased_only_after_its_receipt_is_in_the_journal() {
    let mut machine = machine();
    to_commit(&mut machine, 1);
    machine.handle_committed(&at(1), job(1), Ok(verified(1, [0; 32], 9)));
    let kept = actions(&mut machine, 1);
    let [
        Action::KeepReceipt {
            job: id,
            head: Some(head),
            ..
        },
    ] = &kept[..]
    else {
        panic!("{kept:?}");
    };
    assert_eq!((*id, head.seq), (job(1), 1));

    machine.handle_kept(&at(2), job(1), Err("disk full".to_owned()));
    assert!(
        actions(&mut machine, 2)
            .iter()
            .all(|action| !matches!(action, Action::Erase(_)))
    );
    let again = call(&mut machine, 10).expect("the commit again");
    assert!(matches!(again, Call::Commit { .. }));
    machine.handle_committed(&at(10), job(1), Ok(verified(1, [0; 32], 9)));
    actions(&mut machine, 10);
    machine.handle_kept(&at(10), job(1), Ok(()));
    let done = actions(&mut machine, 10);
    assert!(matches!(
        done[..],
        [Action::Tell(_, JobEvent::Received { .. }), Action::Erase(_)]
    ));
}

#[test]
fn outcomes_are_asked_for_soon_and_then_more_and_more_seldom() {
    let mut machine = machine();
    to_commit(&mut machine, 1);
    machine.handle_committed(&at(1), job(1), Ok(verified(1, [0; 32], 9)));
    actions(&mut machine, 1);
    machine.handle_kept(&at(1), job(1), Ok(()));
    actions(&mut machine, 1);
    machine.handle_erased(&at(1), job(1), Ok(()));
    assert_eq!(
        machine.poll_timeout(),
        Some(at(1).after(Duration::from_millis(250)))
    );
    assert_eq!(call(&mut machine, 2), Some(Call::Outcomes { after: 0 }));
    machine.handle_outcomes(&at(2), Ok(Vec::new()));
    assert_eq!(
        machine.poll_timeout(),
        Some(at(2).after(Duration::from_millis(250)))
    );
    assert!(call(&mut machine, 3).is_some());
    let delivered = Outcome {
        seq: 5,
        job: job(1).to_string(),
        state: OutcomeState::Delivered,
        at_ms: 0,
        place: Some("/out".to_owned()),
        name: Some("a.pdf".to_owned()),
        reason: None,
    };
    machine.handle_outcomes(&at(3), Ok(vec![delivered]));
    let told = actions(&mut machine, 3);
    assert!(matches!(
        told[..],
        [
            Action::Note(_, JobState::Delivered { .. }),
            Action::Tell(_, JobEvent::Delivered { .. }),
            Action::KeepCursor(5)
        ]
    ));
    assert_eq!(machine.poll_timeout(), None, "nothing is awaited any more");
}

#[test]
fn a_dead_line_stops_all_jobs_for_growing_times_and_none_is_lost() {
    let mut machine = machine();
    machine.handle_sealed(job(1), 1, false);
    machine.handle_sealed(job(2), 2, false);
    let mut now = 0;
    for limit in [2, 4, 8, 16, 32, 64, 128, 256, 300, 300] {
        assert!(
            matches!(call(&mut machine, now), Some(Call::Upload { job: id, .. }) if id == job(1))
        );
        machine.handle_uploaded(&at(now), job(1), None, Err(Failure::unreachable("no")));
        let told = actions(&mut machine, now);
        assert!(
            matches!(told[..], [Action::Tell(_, JobEvent::Waiting { .. })]),
            "{told:?}"
        );
        assert_eq!(machine.poll_timeout(), Some(at(now + limit).boot));
        assert_eq!(call(&mut machine, now + limit - 1), None);
        now += limit;
    }
    machine.handle_reachable(&at(now - 1));
    assert!(
        call(&mut machine, now - 1).is_some(),
        "the cloud is back: at once"
    );
}

#[test]
fn another_door_is_tried_without_a_pause() {
    let mut machine = machine();
    machine.handle_sealed(job(1), 1, false);
    assert!(call(&mut machine, 0).is_some());
    machine.handle_other_door();
    machine.handle_uploaded(&at(0), job(1), None, Err(Failure::unreachable("no")));
    assert_eq!(call(&mut machine, 0), Some(upload(1, 0, None, true)));
}

#[test]
fn a_job_that_the_cloud_cannot_take_does_not_keep_the_others() {
    let mut machine = machine();
    machine.handle_sealed(job(1), 1, false);
    machine.handle_sealed(job(2), 2, false);
    call(&mut machine, 0);
    let broken = problem(Disposition::Retry { after: None });
    machine.handle_uploaded(&at(0), job(1), None, Err(broken));
    assert!(matches!(call(&mut machine, 0), Some(Call::Upload { job: id, .. }) if id == job(2)));
    machine.handle_uploaded(&at(1), job(2), None, Err(problem(Disposition::Final)));
    let told = actions(&mut machine, 1);
    assert!(matches!(
        told[..],
        [
            Action::Note(_, JobState::Refused { .. }),
            Action::Tell(_, JobEvent::Failed { .. })
        ]
    ));
    assert_eq!(machine.unsent(), 2, "both stay here");
    assert!(matches!(call(&mut machine, 2), Some(Call::Upload { job: id, .. }) if id == job(1)));
}

#[test]
fn missing_objects_are_sent_and_committed_again() {
    let mut machine = machine();
    to_commit(&mut machine, 1);
    let missing = problem(Disposition::Missing(vec![2, 0]));
    machine.handle_committed(&at(1), job(1), Err(missing));
    assert_eq!(call(&mut machine, 1), Some(upload(1, 2, Some(2), true)));
    machine.handle_uploaded(&at(1), job(1), Some(2), sent(2));
    assert_eq!(call(&mut machine, 1), Some(upload(1, 2, Some(0), false)));
    machine.handle_uploaded(&at(1), job(1), Some(0), sent(0));
    assert!(matches!(call(&mut machine, 1), Some(Call::Commit { .. })));
}

#[test]
fn a_job_that_was_never_sent_is_erased_without_asking_the_cloud() {
    let mut machine = machine();
    machine.handle_opened(job(1), 1);
    machine.handle_discard(job(1), Token(3));
    let done = actions(&mut machine, 0);
    assert!(matches!(
        done[..],
        [Action::Note(_, JobState::Discarding), Action::Erase(_)]
    ));
    machine.handle_erased(&at(0), job(1), Ok(()));
    let done = actions(&mut machine, 0);
    assert!(matches!(
        done[..],
        [
            Action::Note(_, JobState::Discarded),
            Action::Tell(_, JobEvent::Discarded),
            Action::Reply(Token(3), Ok(Reply::Done))
        ]
    ));
    assert!(!machine.knows(job(1)));
}

#[test]
fn a_job_discarded_in_the_middle_of_an_upload_is_never_committed() {
    let mut machine = machine();
    machine.handle_sealed(job(1), 1, false);
    call(&mut machine, 0);
    machine.handle_discard(job(1), Token(3));
    let noted = actions(&mut machine, 0);
    assert!(matches!(
        noted[..],
        [Action::Note(_, JobState::Discarding), Action::Reply(..)]
    ));
    machine.handle_uploaded(&at(1), job(1), None, sent(1));
    assert!(matches!(call(&mut machine, 1), Some(Call::Discard { .. })));
    machine.handle_discarded(&at(1), job(1), Err(Failure::unreachable("no")));
    assert!(
        matches!(call(&mut machine, 9), Some(Call::Discard { .. })),
        "until it is told"
    );
    machine.handle_discarded(&at(9), job(1), Ok(DiscardAnswer::Discarded));
    assert_eq!(actions(&mut machine, 9), [Action::Erase(job(1))]);
}

#[test]
fn a_discard_that_came_too_late_keeps_the_receipt() {
    let mut machine = machine();
    machine.handle_sealed(job(1), 1, false);
    call(&mut machine, 0);
    machine.handle_discard(job(1), Token(3));
    machine.handle_uploaded(&at(1), job(1), None, Ok(None));
    call(&mut machine, 1);
    let late = DiscardAnswer::TooLate(Box::new(verified(1, [0; 32], 9)));
    machine.handle_discarded(&at(2), job(1), Ok(late));
    assert!(matches!(
        actions(&mut machine, 2)[..],
        [Action::KeepReceipt { .. }]
    ));
}

#[test]
fn a_job_that_the_cloud_has_taken_already_is_committed_again_for_its_receipt() {
    let mut machine = machine();
    machine.handle_sealed(job(1), 1, false);
    call(&mut machine, 0);
    let taken = Failure {
        disposition: Disposition::TooLate(None),
        ..Failure::local("the cloud has taken the job already".to_owned())
    };
    machine.handle_uploaded(&at(1), job(1), None, Err(taken));
    assert!(matches!(call(&mut machine, 1), Some(Call::Commit { .. })));
}

#[test]
fn after_a_restart_jobs_go_on_where_they_were() {
    let found = |n, stage| Found {
        job: job(n),
        opened_at_ms: u64::from(n),
        stage,
    };
    let jobs = vec![
        found(1, FoundStage::Sealed { with_intent: true }),
        found(2, FoundStage::Receipted),
        found(3, FoundStage::Discarding),
        found(4, FoundStage::Refused("no".to_owned())),
    ];
    let mut machine = Machine::new(jobs, &ReceiptHead::default(), 7, &at(0));
    assert_eq!(
        machine.poll_action(&at(0), true),
        Some(Action::Erase(job(2)))
    );
    let call_now = call(&mut machine, 0);
    assert_eq!(
        call_now,
        Some(upload(1, 0, None, true)),
        "asks first what is there"
    );
    machine.handle_uploaded(&at(0), job(1), None, Ok(None));
    assert_eq!(call(&mut machine, 0), Some(upload(1, 0, Some(0), true)));
    machine.handle_uploaded(&at(0), job(1), Some(0), sent(0));
    assert_eq!(
        call(&mut machine, 0),
        Some(upload(1, 0, Some(INTENT_OBJECT), false))
    );
    machine.handle_uploaded(&at(0), job(1), Some(INTENT_OBJECT), sent(INTENT_OBJECT));
    let with_intent = true;
    assert_eq!(
        call(&mut machine, 0),
        Some(Call::Commit {
            job: job(1),
            with_intent
        })
    );
}

#[test]
fn a_gap_in_the_chain_is_fetched_and_only_a_second_receipt_of_one_number_alarms() {
    let mut machine = machine();
    machine.chain = ReceiptChain {
        seq: 1,
        head: [1; 32],
    };
    to_commit(&mut machine, 1);
    machine.handle_committed(&at(1), job(1), Ok(verified(3, [2; 32], 3)));
    let kept = actions(&mut machine, 1);
    let fetch = Action::Call(Call::Receipts { after: 1 });
    assert!(
        matches!(kept[0], Action::KeepReceipt { head: None, .. }),
        "{kept:?}"
    );
    assert_eq!(kept[1..], [fetch]);
    machine.handle_receipts(Ok(vec![verified(2, [1; 32], 2), verified(3, [2; 32], 3)]));
    let kept = actions(&mut machine, 1);
    assert!(
        matches!(&kept[..], [Action::KeepHead(head)] if head.seq == 3),
        "{kept:?}"
    );

    machine.handle_receipts(Ok(vec![verified(3, [2; 32], 4)]));
    assert!(matches!(actions(&mut machine, 1)[..], [Action::Alarm(_)]));
}

#[test]
fn sealed_jobs_come_before_one_that_is_still_scanned_and_the_oldest_first() {
    let mut machine = machine();
    machine.handle_opened(job(1), 1);
    machine.handle_page_saved(job(1));
    machine.handle_sealed(job(3), 3, false);
    machine.handle_sealed(job(2), 2, false);
    assert!(matches!(call(&mut machine, 0), Some(Call::Upload { job: id, .. }) if id == job(2)));
}
