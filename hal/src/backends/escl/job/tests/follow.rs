//! A device that ends its job and leaves paper in the feeder (Epson WF-2930).

use super::*;

/// After so many pages the device ends the job well, with that many counted.
fn ends(talk: &mut Talk, adf: AdfState, counted: u32) {
    talk.expect("next", code(404));
    talk.expect("status", status(adf, JobState::Completed, counted, 0));
}

/// A second job for the same document, asked for of its own accord.
fn follows(talk: &mut Talk) {
    talk.expect("delete", code(200));
    talk.expect("status", idle(AdfState::Loaded));
    talk.expect("create", Answer::Created("/eSCL/ScanJobs/7".to_owned()));
}

/// No second job is taken for what is left, and this is what the feeder says then.
fn refuses(talk: &mut Talk, adf: AdfState) {
    ends(talk, AdfState::Loaded, 1);
    talk.expect("delete", code(200));
    talk.expect("status", idle(AdfState::Loaded));
    while talk.asks() == "create" {
        talk.expect("create", code(409));
    }
    talk.expect("status", idle(adf));
}

/// The status after the device has given the job up at the first sheet.
fn gave_up(adf: AdfState, counted: u32) -> Answer {
    gave_up_for(adf, counted, "ResourcesAreNotReady")
}

fn gave_up_for(adf: AdfState, counted: u32, reason: &str) -> Answer {
    let Answer::Status(mut told) = status(adf, JobState::Aborted, counted, 0) else {
        panic!("no status");
    };
    told.jobs[0].reasons = reason.to_owned();
    Answer::Status(told)
}

fn duplex(pages: u32) -> Talk {
    let mut talk = Talk::pages(pages);
    for ticket in &mut talk.job.tickets {
        ticket.settings.duplex = true;
    }
    talk
}

#[test]
fn paper_that_a_job_leaves_is_scanned_by_another_one() {
    for first in [1, 2] {
        let mut talk = Talk::pages(first);
        ends(&mut talk, AdfState::Loaded, first);
        follows(&mut talk);
        talk.expect("next", whole());
        let scanning = status(AdfState::Loaded, JobState::Processing, 1, 0);
        talk.expect("status", scanning);
        assert_eq!(talk.reached(), Ok(Done::Page(FACTS)));
        assert_eq!(talk.job.pages(), first + 1);
        assert_eq!(talk.waited, Duration::from_secs(1));
        talk.job.load();
        ends(&mut talk, AdfState::Empty, 1);
        talk.expect("delete", code(404));
        assert_eq!(talk.reached(), Ok(Done::End));
        assert!(talk.job.is_over());
    }
}

#[test]
fn paper_that_is_left_and_for_which_no_job_is_taken_is_told() {
    for adf in [AdfState::Loaded, AdfState::Processing] {
        let mut talk = Talk::pages(1);
        talk.job = talk.job.with_feeder(true, false);
        refuses(&mut talk, adf);
        let fault = talk.reached().unwrap_err();
        assert_eq!(fault.kind, ScannerErrorKind::Interrupted);
        assert!(fault.message.contains("paper left"), "{fault:?}");
        assert!(talk.job.is_over());
    }
    // It is empty after all.
    let mut talk = Talk::pages(1);
    talk.job = talk.job.with_feeder(true, false);
    refuses(&mut talk, AdfState::Empty);
    assert_eq!(talk.reached(), Ok(Done::End));
}

#[test]
fn no_job_is_taken_at_the_end_where_the_feeder_never_said_to_be_empty() {
    for adf in [AdfState::Loaded, AdfState::Processing] {
        let mut talk = Talk::pages(1);
        refuses(&mut talk, adf);
        assert_eq!(talk.reached(), Ok(Done::End));
        assert!(talk.job.is_over());
    }
}

#[test]
fn a_device_that_still_tidies_up_is_asked_again_for_the_job_that_follows() {
    let mut talk = Talk::pages(1);
    ends(&mut talk, AdfState::Loaded, 1);
    talk.expect("delete", code(200));
    talk.expect("status", idle(AdfState::Loaded));
    for _ in 0..3 {
        talk.expect("create", code(409));
    }
    talk.expect("create", Answer::Created("/eSCL/ScanJobs/7".to_owned()));
    assert_eq!(talk.asks(), "next");
    assert_eq!(talk.waited, Duration::from_secs(4));
}

#[test]
fn what_follows_a_page_in_black_and_white_is_not_asked_for_in_gray() {
    let mut talk = Talk::pages(1);
    let bilevel = ticket(InputSource::Adf, ColorMode::BlackAndWhite1);
    talk.job.tickets = vec![bilevel.in_gray().unwrap(), bilevel];
    refuses(&mut talk, AdfState::Loaded);
    assert_eq!(talk.reached(), Ok(Done::End));
}

#[test]
fn a_job_that_follows_and_brings_no_page_was_the_end() {
    // The feeder feels late that it is empty.
    let mut talk = Talk::pages(1);
    ends(&mut talk, AdfState::Loaded, 1);
    talk.expect("delete", code(200));
    talk.expect("status", idle(AdfState::Empty));
    assert_eq!(talk.reached(), Ok(Done::End));
    // It takes one and gives it up (AirSane tells an empty feeder as loaded when it rests).
    let mut talk = Talk::pages(1);
    ends(&mut talk, AdfState::Loaded, 1);
    follows(&mut talk);
    talk.expect("next", code(409));
    talk.expect("status", gave_up(AdfState::Loaded, 0));
    talk.expect("delete", code(200));
    assert_eq!(talk.reached(), Ok(Done::End));
    // It takes one, and gives nothing.
    let mut talk = Talk::pages(1);
    ends(&mut talk, AdfState::Loaded, 1);
    follows(&mut talk);
    while talk.asks() == "next" {
        ends(&mut talk, AdfState::Loaded, 0);
    }
    talk.expect("delete", code(200));
    assert_eq!(talk.reached(), Ok(Done::End));
    assert!(talk.job.is_over());
}

#[test]
fn paper_that_is_left_by_a_job_that_does_not_count_right_is_told() {
    let uncounted = |status: Answer| {
        let Answer::Status(mut status) = status else {
            panic!("no status");
        };
        status.jobs[0].completed = None;
        Answer::Status(status)
    };
    for counted in [Some(0), Some(2), None] {
        let mut talk = Talk::pages(1);
        while talk.asks() == "next" {
            talk.expect("next", code(404));
            let told = status(
                AdfState::Loaded,
                JobState::Completed,
                counted.unwrap_or(0),
                0,
            );
            talk.expect(
                "status",
                if counted.is_none() {
                    uncounted(told)
                } else {
                    told
                },
            );
        }
        talk.expect("delete", code(200));
        assert_eq!(talk.kind(), ScannerErrorKind::Interrupted, "{counted:?}");
    }
}

#[test]
fn a_fault_of_the_job_that_follows_is_told() {
    for (adf, kind) in [
        (AdfState::Jam, ScannerErrorKind::PaperJam),
        (AdfState::HatchOpen, ScannerErrorKind::CoverOpen),
    ] {
        let mut talk = Talk::pages(1);
        ends(&mut talk, AdfState::Loaded, 1);
        talk.expect("delete", code(200));
        talk.expect("status", idle(adf.clone()));
        assert_eq!(talk.kind(), kind);
        let mut talk = Talk::pages(1);
        ends(&mut talk, AdfState::Loaded, 1);
        follows(&mut talk);
        talk.expect("next", code(404));
        talk.expect("status", status(adf, JobState::Aborted, 0, 0));
        talk.expect("delete", code(200));
        assert_eq!(talk.kind(), kind);
    }
}

#[test]
fn both_sides_of_a_sheet_are_in_one_job() {
    let mut talk = duplex(2);
    ends(&mut talk, AdfState::Loaded, 2);
    follows(&mut talk);
    assert_eq!(talk.asks(), "next");
    // Ended after a front, whether there is more paper or not.
    for adf in [AdfState::Loaded, AdfState::Empty] {
        let mut talk = duplex(1);
        while talk.asks() == "next" {
            ends(&mut talk, adf.clone(), 1);
        }
        talk.expect("delete", code(200));
        let fault = talk.reached().unwrap_err();
        assert_eq!(fault.kind, ScannerErrorKind::Interrupted);
        assert!(fault.message.contains("back of the last sheet"));
    }
}

#[test]
fn a_stop_ends_what_follows() {
    for steps in 0..3 {
        let mut talk = Talk::pages(1);
        ends(&mut talk, AdfState::Loaded, 1);
        if steps > 0 {
            talk.expect("delete", code(200));
        }
        if steps > 1 {
            talk.expect("status", idle(AdfState::Loaded));
        }
        talk.job.handle_stop();
        while talk.asks() != "done" {
            let asked = talk.asks();
            assert_ne!(asked, "create");
            talk.expect(asked, code(404));
        }
        assert_eq!(talk.kind(), ScannerErrorKind::SinkRefused, "{steps}");
        assert!(talk.job.is_over());
    }
}

#[test]
fn a_device_that_goes_on_feeding_after_its_one_page_is_told() {
    for (processing_is_paper, ended_well) in [(true, false), (false, true)] {
        let quirks = Quirks {
            processing_is_paper,
            ..Quirks::default()
        };
        let mut talk = Talk::with_pages(quirks, 1);
        while talk.asks() == "next" {
            ends(&mut talk, AdfState::Processing, 1);
        }
        talk.expect("delete", code(200));
        assert_eq!(talk.reached().is_ok(), ended_well);
    }
}

/// A device that was seen to say that its feeder is empty, with a second job for what is left.
fn follows_where_empty_is_told() -> Talk {
    let mut talk = Talk::pages(1);
    talk.job = talk.job.with_feeder(true, false);
    ends(&mut talk, AdfState::Loaded, 1);
    follows(&mut talk);
    talk
}

fn expect_told(talk: &mut Talk, words: &str) {
    talk.expect("delete", code(200));
    let fault = talk.reached().unwrap_err();
    assert_eq!(fault.kind, ScannerErrorKind::Interrupted, "{fault:?}");
    assert!(fault.message.contains(words), "{fault:?}");
    assert!(talk.job.is_over());
}

#[test]
fn paper_that_is_left_and_not_fed_is_told_where_the_feeder_tells_when_it_is_empty() {
    // The job that follows ends well and gives nothing, whatever it says so with.
    for with in [404, 409, 410, 500] {
        let mut talk = follows_where_empty_is_told();
        while talk.asks() == "next" {
            talk.expect("next", code(with));
            talk.expect(
                "status",
                status(AdfState::Loaded, JobState::Completed, 0, 0),
            );
        }
        expect_told(&mut talk, "does not feed it");
    }
    // It gives up.
    for adf in [AdfState::Loaded, AdfState::Processing] {
        let mut talk = follows_where_empty_is_told();
        talk.expect("next", code(409));
        talk.expect("status", gave_up(adf, 0));
        expect_told(&mut talk, "does not feed it");
    }
    // What is empty at last was the end.
    let mut talk = follows_where_empty_is_told();
    talk.expect("next", code(409));
    talk.expect("status", gave_up(AdfState::Empty, 0));
    talk.expect("delete", code(200));
    assert_eq!(talk.reached(), Ok(Done::End));
}

#[test]
fn paper_is_believed_from_the_start_where_the_feeder_is_known_not_to_lie() {
    let quirks = Quirks {
        processing_is_paper: true,
        ..Quirks::default()
    };
    let mut talk = Talk::with_pages(quirks, 1);
    talk.job = talk.job.with_feeder(false, false);
    refuses(&mut talk, AdfState::Loaded);
    assert_eq!(talk.kind(), ScannerErrorKind::Interrupted);
    for adf in [AdfState::Loaded, AdfState::Processing] {
        let mut talk = Talk::with_pages(quirks, 1);
        ends(&mut talk, AdfState::Loaded, 1);
        follows(&mut talk);
        talk.expect("next", code(409));
        talk.expect("status", gave_up(adf, 0));
        expect_told(&mut talk, "does not feed it");
    }
}

#[test]
fn paper_is_believed_where_the_feeder_was_seen_to_rest_without_a_word_of_it() {
    for (adf, left) in [(AdfState::Loaded, true), (AdfState::Processing, false)] {
        let mut talk = Talk::pages(1);
        talk.job = talk.job.with_feeder(false, true);
        refuses(&mut talk, adf.clone());
        assert_eq!(talk.reached().is_err(), left, "{adf:?}");
        let mut talk = Talk::pages(1);
        talk.job = talk.job.with_feeder(false, true);
        ends(&mut talk, AdfState::Loaded, 1);
        follows(&mut talk);
        talk.expect("next", code(409));
        let Answer::Status(mut told) = gave_up(adf, 0) else {
            panic!("no status");
        };
        told.state = DeviceState::Idle;
        talk.expect("status", Answer::Status(told));
        talk.expect("delete", code(200));
        assert_eq!(talk.reached().is_err(), left);
    }
}

#[test]
fn a_feeder_tells_when_it_is_empty_once_it_has_said_so() {
    let mut talk = Talk::pages(1);
    assert!(!talk.job.tells_empty());
    // AirSane says so once, of a sheet that it did not find, and is loaded again.
    talk.expect("next", code(409));
    talk.expect("status", status(AdfState::Empty, JobState::Completed, 1, 0));
    assert!(!talk.job.tells_empty());
    ends(&mut talk, AdfState::Empty, 1);
    assert!(talk.job.tells_empty());
}

#[test]
fn a_job_that_follows_and_ends_with_an_error_code_was_the_end() {
    for with in [409, 410, 500] {
        let mut talk = Talk::pages(1);
        ends(&mut talk, AdfState::Loaded, 1);
        follows(&mut talk);
        while talk.asks() == "next" {
            talk.expect("next", code(with));
            talk.expect(
                "status",
                status(AdfState::Loaded, JobState::Completed, 0, 0),
            );
        }
        talk.expect("delete", code(200));
        assert_eq!(talk.reached(), Ok(Done::End), "{with}");
    }
}

#[test]
fn a_job_that_follows_and_is_given_up_for_want_of_paper_was_the_end() {
    // NAPS2: always loaded, and given up as completed when there is no paper.
    for (reason, ends_well) in [
        ("JobCompletedSuccessfully", true),
        ("ResourcesAreNotReady, AbortedBySystem", true),
        ("", true),
        ("ErrorsDetected", false),
        ("AbortedBySystem", false),
    ] {
        let mut talk = Talk::pages(3);
        ends(&mut talk, AdfState::Loaded, 3);
        follows(&mut talk);
        talk.expect("next", code(500));
        talk.expect("status", gave_up_for(AdfState::Loaded, 0, reason));
        talk.expect("delete", code(404));
        let told = talk.reached().map_err(|fault| fault.kind);
        let expected = match ends_well {
            true => Ok(Done::End),
            false => Err(ScannerErrorKind::Interrupted),
        };
        assert_eq!(told, expected, "{reason}");
    }
}

#[test]
fn a_job_that_is_given_up_before_its_first_page_makes_people_look_for_paper() {
    for (pages, words) in [(0, "is there paper in the feeder?"), (1, "gave the job up")] {
        let mut talk = Talk::pages(pages);
        talk.expect("next", code(500));
        let told = gave_up_for(AdfState::Loaded, pages, "JobCompletedSuccessfully");
        talk.expect("status", told);
        talk.expect("delete", code(404));
        let fault = talk.reached().unwrap_err();
        assert_eq!(fault.kind, ScannerErrorKind::Interrupted);
        assert!(fault.message.ends_with(words), "{fault:?}");
    }
}

#[test]
fn a_page_that_the_job_that_follows_has_counted_and_not_given_is_missed() {
    for adf in [AdfState::Loaded, AdfState::Empty] {
        let mut talk = Talk::pages(1);
        ends(&mut talk, AdfState::Loaded, 1);
        follows(&mut talk);
        while talk.asks() == "next" {
            ends(&mut talk, adf.clone(), 1);
        }
        expect_told(&mut talk, "more pages than it gave");
        let mut talk = Talk::pages(1);
        ends(&mut talk, AdfState::Loaded, 1);
        follows(&mut talk);
        talk.expect("next", code(409));
        talk.expect("status", gave_up(adf, 1));
        expect_told(&mut talk, "gave the job up");
    }
}
