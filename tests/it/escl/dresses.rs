//! What a stack may meet, in the dress of every maker with its oddities.

use super::*;

/// A desk in that dress, and the least that its feeder can scan.
fn dressed(dress: Dress, sheets: u32, more: &[Oddity]) -> (Desk, ScanSettings) {
    let mut desk = Desk::new(dress, sheets, more);
    let capabilities = desk.scanner.capabilities().expect("capabilities");
    let offered = &capabilities.adf.as_ref().expect("a feeder").resolutions_dpi;
    let least = ScanSettings {
        resolution_dpi: offered[0],
        ..feeder()
    };
    (desk, least)
}

/// Whether its feeder tells that it is empty, or that it is not.
fn tells_paper(dress: Dress) -> bool {
    !dress.oddities().contains(&Oddity::AdfProcessing)
}

fn both_sides(settings: ScanSettings) -> ScanSettings {
    ScanSettings {
        duplex: true,
        ..settings
    }
}

fn posts(desk: &Desk) -> usize {
    let requests = desk.sim.requests();
    requests.iter().filter(|it| it.starts_with("POST")).count()
}

#[test]
fn two_hundred_pages_come_whole_and_in_order_from_every_maker() {
    for dress in Dress::ALL {
        let (mut desk, least) = dressed(dress, 200, &[]);
        desk.expect(&least, 200);
    }
}

#[test]
fn a_jam_at_page_37_is_told_and_gone_on_from_whoever_made_the_scanner() {
    for dress in Dress::ALL {
        let (mut desk, least) = dressed(dress, 40, &[]);
        desk.faults("jam-after=36");
        let (mut pages, fault) = desk.scan(&least);
        let kind = fault.map(|it| it.kind);
        assert_eq!((pages.len(), kind), (36, Some(ScannerErrorKind::PaperJam)));
        let (rest, fault) = desk.scan(&least);
        assert_eq!(fault, None, "{}", dress.name());
        pages.extend(rest);
        desk.expect_in_order(&pages);
        assert_eq!(pages.len(), 40, "{}", dress.name());
    }
}

#[test]
fn no_paper_and_an_open_cover_are_told_whoever_made_the_scanner() {
    for dress in Dress::ALL {
        for (faults, kind) in [
            ("empty", ScannerErrorKind::FeederEmpty),
            ("cover-open", ScannerErrorKind::CoverOpen),
        ] {
            let (mut desk, least) = dressed(dress, 3, &[]);
            desk.faults(faults);
            let (pages, fault) = desk.scan(&least);
            let fault = fault.map(|it| it.kind);
            assert_eq!((pages.len(), fault), (0, Some(kind)), "{}", dress.name());
            let asked = posts(&desk) > 0;
            assert!(!asked || (!tells_paper(dress) && faults == "empty"));
        }
    }
}

#[test]
fn a_page_that_is_cut_off_counts_with_nobody() {
    for dress in Dress::ALL {
        let (mut desk, least) = dressed(dress, 3, &[]);
        desk.faults("truncate=2");
        let (mut pages, fault) = desk.scan(&least);
        let told = (pages.len(), fault.map(|it| it.kind));
        // One that ends before its size is told is asked for again, and the next is in doubt.
        let again = (2, Some(ScannerErrorKind::Interrupted));
        let is_in_doubt = told == again && desk.scanner.doubts_last_page();
        let cut = (1, Some(ScannerErrorKind::Truncated));
        assert!(told == cut || is_in_doubt, "{}: {told:?}", dress.name());
        let (rest, fault) = desk.scan(&least);
        assert_eq!(fault, None, "{}", dress.name());
        pages.extend(rest);
        assert_eq!(pages.len(), 3, "{}", dress.name());
        desk.expect_in_order(&pages);
    }
}

#[test]
fn a_cancelled_job_ends_on_the_device_of_every_maker() {
    for dress in Dress::ALL {
        let (mut desk, least) = dressed(dress, 5, &[]);
        desk.scanner.start(&least).expect("a job");
        desk.scanner
            .next_page(&mut Sink::default())
            .expect("a page");
        desk.scanner.cancel().expect("cancelled");
        let requests = desk.sim.requests();
        assert!(requests.iter().any(|it| it.starts_with("DELETE")));
        let (pages, fault) = desk.scan(&least);
        assert_eq!((pages.len(), fault), (4, None), "{}", dress.name());
    }
}

#[test]
fn no_maker_sends_more_than_a_page_may_have() {
    for dress in Dress::ALL {
        let (mut desk, least) = dressed(dress, 1, &[Oddity::Huge(1)]);
        desk.scanner.start(&least).expect("a job");
        let mut sink = Sink {
            counts_only: true,
            ..Sink::default()
        };
        let fault = desk.scanner.next_page(&mut sink).expect_err("too large");
        assert_eq!(fault.kind, ScannerErrorKind::PageTooLarge, "{fault}");
        assert!(sink.count <= 255 << 20, "{}", sink.count);
    }
}

#[test]
fn a_lying_status_takes_no_page_away_in_any_dress() {
    for dress in Dress::ALL {
        let (mut desk, least) = dressed(dress, 3, &[Oddity::Lies]);
        let (pages, fault) = desk.scan(&least);
        let kind = fault.map(|it| it.kind);
        // Brother's 404 and Canon's 409 are read with the status: there a person is asked.
        let told = kind == Some(ScannerErrorKind::Interrupted);
        assert!(told || (kind.is_none() && pages.len() == 3), "{kind:?}");
        assert!(kind.is_none() || matches!(dress, Dress::Brother | Dress::Canon));
        let fed = scantrip_tests::stage::files(desk.fed.path()).expect("a record");
        for (page, path) in pages.iter().zip(fed) {
            assert!(page.is(&path), "{path:?}");
        }
    }
}

#[test]
fn a_device_that_ends_its_job_after_a_page_or_two_gives_the_whole_stack() {
    for dress in Dress::ALL.into_iter().filter(|it| tells_paper(*it)) {
        for (most, jobs) in [(1, 3), (2, 2)] {
            let (mut desk, least) = dressed(dress, 3, &[Oddity::PagesPerJob(most)]);
            desk.expect(&least, 3);
            assert_eq!(posts(&desk), jobs, "{}", dress.name());
        }
    }
}

#[test]
fn a_feeder_that_always_says_to_be_loaded_comes_to_an_end() {
    // The job too many is asked for four times.
    for dress in Dress::ALL {
        let (mut desk, least) = dressed(dress, 3, &[Oddity::AlwaysLoaded]);
        desk.expect(&least, 3);
        assert_eq!(posts(&desk), 5, "{}", dress.name());
        let odd = [Oddity::AlwaysLoaded, Oddity::PagesPerJob(1)];
        let (mut desk, least) = dressed(dress, 3, &odd);
        desk.expect(&least, 3);
        assert_eq!(posts(&desk), 7, "{}", dress.name());
    }
    let mut desk = Desk::hp(2, &[Oddity::AlwaysLoaded]);
    desk.expect(&duplex(), 4);
}

#[test]
fn a_job_too_many_is_the_end_whatever_it_ends_with_where_the_feeder_is_always_loaded() {
    for end in [None, Some(Oddity::GoneAtEnd), Some(Oddity::ErrorAtEnd)] {
        for (jobs, most) in [(1, 3), (3, 1)] {
            let mut odd = vec![
                Oddity::AlwaysLoaded,
                Oddity::PagesPerJob(most),
                Oddity::IdleJobs(jobs),
            ];
            odd.extend(end);
            for dress in Dress::ALL {
                let (mut desk, least) = dressed(dress, 3, &odd);
                desk.expect(&least, 3);
                assert_eq!(posts(&desk), jobs as usize + 1, "{}", dress.name());
            }
        }
    }
}

#[test]
fn paper_that_is_not_fed_is_told_where_the_feeder_has_said_that_it_was_empty() {
    for end in [None, Some(Oddity::GoneAtEnd), Some(Oddity::ErrorAtEnd)] {
        let mut desk = Desk::hp(0, &[]);
        if end.is_none() {
            // Kyocera and Epson say no more of an empty one.
            desk.sim.set_oddities(&[Oddity::AdfProcessing]);
            desk.scanner.status().expect("a status");
        } else {
            let (_, fault) = desk.scan(&feeder());
            assert_eq!(fault.map(|it| it.kind), Some(ScannerErrorKind::FeederEmpty));
        }
        // Epson WF-2930 ends each job after a page; here the third one feeds nothing.
        desk.mfp.load(3);
        let mut odd = vec![Oddity::PagesPerJob(1), Oddity::IdleJobs(2)];
        odd.extend(end);
        desk.sim.set_oddities(&odd);
        let (mut pages, fault) = desk.scan(&feeder());
        let fault = fault.expect("paper is left");
        assert_eq!(pages.len(), 2);
        assert_eq!(fault.kind, ScannerErrorKind::Interrupted, "{fault}");
        assert!(
            fault.message.contains("paper left in the feeder"),
            "{fault}"
        );
        assert!(!desk.scanner.doubts_last_page());
        desk.sim.set_oddities(&[Oddity::PagesPerJob(1)]);
        let (rest, fault) = desk.scan(&feeder());
        assert_eq!((rest.len(), fault), (1, None));
        pages.extend(rest);
        desk.expect_in_order(&pages);
    }
}

#[test]
fn sheets_with_two_sides_stay_whole_when_jobs_end_early() {
    let mut desk = Desk::hp(3, &[Oddity::PagesPerJob(2)]);
    desk.expect(&duplex(), 6);
    assert_eq!(posts(&desk), 3);
    // A job that ends between front and back is told; the front is fed again.
    let mut desk = Desk::hp(3, &[Oddity::PagesPerJob(3)]);
    let mut pages = Vec::new();
    for whole in [2, 4] {
        let (more, fault) = desk.scan(&both_sides(feeder()));
        let fault = fault.expect("no back");
        assert_eq!(fault.kind, ScannerErrorKind::Interrupted);
        assert!(fault.message.contains("back of the last sheet"), "{fault}");
        pages.extend(more);
        pages.pop();
        assert_eq!(pages.len(), whole);
    }
    let (rest, fault) = desk.scan(&duplex());
    assert_eq!(fault, None);
    pages.extend(rest);
    assert_eq!(pages.len(), 6);
    desk.expect_in_order(&pages);
}

#[test]
fn paper_that_is_left_is_told_when_the_device_does_not_say_what_it_scanned() {
    for odd in [Oddity::NoJobs, Oddity::CountsOneMore] {
        let mut desk = Desk::hp(3, &[Oddity::PagesPerJob(1), odd]);
        let (pages, fault) = desk.scan(&feeder());
        let kind = fault.map(|it| it.kind);
        assert_eq!(
            (pages.len(), kind),
            (1, Some(ScannerErrorKind::Interrupted)),
            "{odd:?}"
        );
        assert_eq!(posts(&desk), 1);
    }
}

#[test]
fn an_empty_feeder_that_becomes_a_jam_is_asked_for_no_job_or_told_as_empty() {
    let mut desk = Desk::hp(0, &[Oddity::JamWhenEmpty]);
    let (_, fault) = desk.scan(&feeder());
    assert_eq!(fault.map(|it| it.kind), Some(ScannerErrorKind::FeederEmpty));
    assert_eq!(posts(&desk), 0);
    let mut desk = Desk::hp(0, &[Oddity::JamWhenEmpty, Oddity::AdfProcessing]);
    let (_, fault) = desk.scan(&feeder());
    let fault = fault.expect("no paper");
    assert_eq!(fault.kind, ScannerErrorKind::FeederEmpty);
    assert!(
        fault.message.ends_with("probably no paper in the feeder"),
        "{fault}"
    );
    // The jam is told until a job begins, which the paper that was loaded lets it.
    desk.mfp.load(2);
    let (pages, fault) = desk.scan(&feeder());
    assert_eq!((pages.len(), fault), (2, None));
}

#[test]
fn a_job_that_moves_is_found_again_with_its_jam() {
    // What it has counted is read of the one that moved.
    let mut desk = Desk::hp(3, &[Oddity::MovingJob, Oddity::PagesPerJob(1)]);
    desk.expect(&feeder(), 3);
    for odd in [
        &[Oddity::MovingJob][..],
        &[Oddity::MovingJob, Oddity::UrnJob],
    ] {
        let mut desk = Desk::hp(3, odd);
        desk.faults("jam-after=2");
        let (mut pages, fault) = desk.scan(&feeder());
        let kind = fault.map(|it| it.kind);
        assert_eq!((pages.len(), kind), (2, Some(ScannerErrorKind::PaperJam)));
        let (rest, fault) = desk.scan(&feeder());
        assert_eq!(fault, None, "{odd:?}");
        pages.extend(rest);
        desk.expect_in_order(&pages);
    }
}
