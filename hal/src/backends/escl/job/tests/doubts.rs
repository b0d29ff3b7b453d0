//! What is made of answers that can be read in two ways.

use super::*;

#[test]
fn a_jam_that_looks_like_a_page_not_ready_is_told_within_five_seconds() {
    let mut talk = Talk::pages(3);
    for _ in 0..5 {
        talk.expect("next", code(503));
    }
    talk.expect("status", status(AdfState::Jam, JobState::Processing, 3, 0));
    talk.expect("delete", code(200));
    assert_eq!(talk.kind(), ScannerErrorKind::PaperJam);
    assert_eq!(talk.waited, Duration::from_secs(5));
    // One that was told before the job may be an old one, until paper moves.
    let told = Some(ScannerErrorKind::PaperJam);
    let mut talk = Talk::about(InputSource::Adf, Quirks::default(), told);
    talk.expect("status", idle(AdfState::Jam));
    talk.expect("create", Answer::Created("/eSCL/ScanJobs/7".to_owned()));
    talk.job.load();
    for _ in 0..5 {
        talk.expect("next", code(503));
    }
    talk.expect("status", status(AdfState::Jam, JobState::Processing, 0, 0));
    talk.expect("next", whole());
}

#[test]
fn a_device_that_ends_a_stack_with_an_error_is_believed_when_its_job_is_completed() {
    for end in [204, 409, 500] {
        let mut talk = Talk::pages(2);
        for _ in 0..4 {
            talk.expect("next", code(end));
            talk.expect("status", status(AdfState::Empty, JobState::Completed, 2, 0));
        }
        talk.expect("delete", code(404));
        assert_eq!(talk.reached(), Ok(Done::End));
        let mut talk = Talk::pages(2);
        for _ in 0..4 {
            talk.expect("next", code(end));
            talk.expect("status", status(AdfState::Empty, JobState::Completed, 3, 0));
        }
        talk.expect("delete", code(404));
        assert_eq!(talk.kind(), ScannerErrorKind::Interrupted);
    }
}

#[test]
fn a_page_after_an_attempt_that_failed_is_doubted_unless_the_counters_agree() {
    // The device has given the sheet up and gone on; its counters say so, or nothing.
    let without = |state| {
        let Answer::Status(mut status) = status(AdfState::Loaded, state, 0, 0) else {
            panic!("no status");
        };
        status.jobs[0].completed = None;
        Answer::Status(status)
    };
    for (pages, told) in [
        (1, status(AdfState::Loaded, JobState::Processing, 3, 0)),
        (0, status(AdfState::Loaded, JobState::Processing, 3, 1)),
        (1, without(JobState::Processing)),
        (1, idle(AdfState::Loaded)),
    ] {
        let mut talk = Talk::new(Quirks::default());
        talk.expect("status", idle(AdfState::Loaded));
        talk.expect("create", Answer::Created("/eSCL/ScanJobs/7".to_owned()));
        for _ in 0..pages {
            talk.job.load();
            talk.expect("next", whole());
            talk.expect("status", idle(AdfState::Loaded));
        }
        talk.job.load();
        talk.expect("next", Answer::NoPage("no bytes".to_owned(), false));
        talk.expect("status", idle(AdfState::Loaded));
        talk.expect("next", whole());
        talk.expect("status", told);
        assert_eq!(talk.reached(), Ok(Done::Page(FACTS)));
        talk.job.load();
        talk.expect("delete", code(200));
        let fault = talk.reached().unwrap_err();
        assert_eq!(fault.kind, ScannerErrorKind::Interrupted);
        assert!(fault.doubts_last_page && fault.message.contains("may be missing before it"));
    }
}

#[test]
fn a_last_page_that_failed_is_missed_although_the_job_is_completed() {
    // A device that counts what was taken says the same of a page that it has given up.
    for (counts_ahead, counted, missed) in [(true, 2, true), (true, 1, false), (false, 1, true)] {
        let mut talk = Talk::pages(0);
        let running = |counted| status(AdfState::Processing, JobState::Processing, counted, 0);
        for _ in 0..5 {
            talk.expect("next", code(503));
        }
        talk.expect("status", running(u32::from(counts_ahead)));
        talk.expect("next", whole()).expect("status", running(1));
        assert_eq!(talk.reached(), Ok(Done::Page(FACTS)));
        talk.job.load();
        talk.expect("next", Answer::NoPage("no bytes".to_owned(), false));
        let end = || status(AdfState::Empty, JobState::Completed, counted, 0);
        talk.expect("status", end());
        while talk.asks() == "next" {
            talk.expect("next", code(404));
            talk.expect("status", end());
        }
        talk.expect("delete", code(200));
        assert_eq!(talk.reached().is_err(), missed, "{counts_ahead} {counted}");
    }
}

#[test]
fn counters_that_never_ran_ahead_do_not_prove_a_page_after_one_that_failed() {
    for counts_ahead in [true, false] {
        let mut talk = Talk::pages(1);
        talk.expect("next", Answer::Failed("connection reset".to_owned()));
        // What the device has scanned and not given, or what was taken from it.
        let counted = 1 + u32::from(counts_ahead);
        let running = |counted| status(AdfState::Loaded, JobState::Processing, counted, 0);
        talk.expect("status", running(counted));
        talk.expect("next", whole()).expect("status", running(2));
        assert_eq!(talk.reached(), Ok(Done::Page(FACTS)));
        talk.job.load();
        if counts_ahead {
            assert_eq!(talk.asks(), "next");
            continue;
        }
        talk.expect("delete", code(200));
        let fault = talk.reached().unwrap_err();
        assert!(fault.doubts_last_page && fault.message.contains("may be missing before it"));
    }
}

#[test]
fn a_page_after_one_that_could_not_be_asked_for_is_not_doubted() {
    let unsent = || Answer::Unsent("connection refused".to_owned());
    let running = |counted| status(AdfState::Loaded, JobState::Processing, counted, 0);
    let mut talk = Talk::pages(1);
    talk.expect("next", unsent()).expect("status", running(1));
    talk.expect("next", whole()).expect("status", running(2));
    assert_eq!(talk.reached(), Ok(Done::Page(FACTS)));
    talk.job.load();
    // Nor is the end.
    talk.expect("next", unsent()).expect("status", running(2));
    talk.expect("next", code(404));
    talk.expect("status", status(AdfState::Empty, JobState::Completed, 2, 0));
    talk.expect("delete", code(200));
    assert_eq!(talk.reached(), Ok(Done::End));
    // Nobody is there for good.
    let mut talk = Talk::pages(1);
    while talk.asks() == "next" {
        talk.expect("next", unsent()).expect("status", running(1));
    }
    talk.expect("delete", code(200));
    let fault = talk.reached().unwrap_err();
    assert_eq!(fault.kind, ScannerErrorKind::Interrupted);
    assert!(!fault.doubts_last_page && talk.waited == Duration::from_secs(3));
}

#[test]
fn a_job_that_vanishes_while_its_page_is_not_ready_is_missed_unless_the_feeder_is_empty() {
    for (not_ready, adf, missed) in [
        (true, AdfState::Processing, true),
        (true, AdfState::Empty, false),
        (false, AdfState::Processing, false),
    ] {
        let mut talk = Talk::pages(2);
        if not_ready {
            talk.expect("next", code(503));
        }
        while talk.asks() == "next" {
            talk.expect("next", code(404));
            talk.expect("status", idle(adf.clone()));
        }
        talk.expect("delete", code(404));
        let fault = talk.reached().err();
        assert_eq!(fault.is_some(), missed, "{adf:?}");
        assert!(fault.is_none_or(|fault| fault.message.contains("was it restarted?")));
    }
}

#[test]
fn a_feeder_that_cannot_see_paper_and_gives_up_has_none() {
    let aborted = |adf, reasons: &str| {
        let Answer::Status(mut status) = status(adf, JobState::Aborted, 0, 0) else {
            panic!("no status");
        };
        status.jobs[0].reasons = reasons.to_owned();
        Answer::Status(status)
    };
    for (told, kind) in [
        (aborted(AdfState::Empty, "x"), ScannerErrorKind::FeederEmpty),
        (
            aborted(AdfState::Processing, "ResourcesAreNotReady"),
            ScannerErrorKind::FeederEmpty,
        ),
        (
            aborted(AdfState::Processing, "ErrorsDetected"),
            ScannerErrorKind::Interrupted,
        ),
    ] {
        let mut talk = Talk::pages(0);
        talk.expect("next", code(409));
        talk.expect("status", told);
        talk.expect("delete", code(404));
        assert_eq!(talk.kind(), kind);
    }
    // Nor does it take a job, with settings that it offers.
    let mut talk = Talk::new(Quirks::default());
    talk.expect("status", idle(AdfState::Processing));
    talk.expect("create", code(409));
    talk.expect("status", code(500));
    let fault = talk.reached().unwrap_err();
    assert_eq!(fault.kind, ScannerErrorKind::FeederEmpty);
    assert!(fault.message.contains("probably"));
}

#[test]
fn a_device_without_a_status_takes_a_job_all_the_same() {
    for answer in [code(404), code(405), code(500)] {
        let mut talk = Talk::new(Quirks::default());
        talk.expect("status", answer);
        assert_eq!(talk.asks(), "create");
    }
    let mut talk = Talk::new(Quirks::default());
    talk.expect("status", code(401));
    assert_eq!(talk.kind(), ScannerErrorKind::Protocol);
}

#[test]
fn a_page_that_says_to_be_the_one_that_failed_is_not_doubted() {
    let silent = || {
        let Answer::Status(mut status) = status(AdfState::Loaded, JobState::Processing, 0, 0)
        else {
            panic!("no status");
        };
        status.jobs[0].completed = None;
        Answer::Status(status)
    };
    let place = |number: u32| Some(format!("/eSCL/ScanJobs/7/{number}"));
    for (comes, counts, is_sure) in [(2, false, true), (3, false, false), (3, true, false)] {
        let mut talk = Talk::pages(0);
        talk.job.handle_place(place(1));
        talk.expect("next", whole());
        talk.expect("status", silent());
        assert_eq!(talk.reached(), Ok(Done::Page(FACTS)));
        talk.job.load();
        talk.job.handle_place(place(2));
        let cut = Answer::NoPage("cut off".to_owned(), false);
        talk.expect("next", cut);
        talk.expect("status", silent());
        talk.job.handle_place(place(comes));
        talk.expect("next", whole());
        // Counters that agree do not prove that no sheet was skipped.
        let agree = status(AdfState::Loaded, JobState::Processing, 2, 0);
        talk.expect("status", if counts { agree } else { silent() });
        assert_eq!(talk.reached(), Ok(Done::Page(FACTS)));
        talk.job.load();
        if is_sure {
            assert_eq!(talk.asks(), "next");
            continue;
        }
        talk.expect("delete", code(200));
        let fault = talk.reached().unwrap_err();
        assert!(
            fault.doubts_last_page && fault.message.contains("is missing before the last page")
        );
    }
}

#[test]
fn the_end_is_not_believed_when_a_status_that_worked_before_the_job_fails() {
    let mut talk = Talk::new(Quirks::default());
    talk.expect("status", idle(AdfState::Loaded));
    talk.expect("create", Answer::Created("/eSCL/ScanJobs/7".to_owned()));
    talk.job.load();
    talk.expect("next", whole()).expect("status", failed());
    assert_eq!(talk.reached(), Ok(Done::Page(FACTS)));
    talk.job.load();
    talk.expect("next", code(404));
    while talk.asks() == "status" {
        talk.expect("status", failed());
    }
    talk.expect("delete", code(200));
    assert_eq!(talk.kind(), ScannerErrorKind::Interrupted);
}
