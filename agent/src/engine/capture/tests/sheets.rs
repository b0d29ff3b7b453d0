//! Sheets that are scanned again.

use super::*;
use crate::journal::ScanMemo;

/// As [`Scene::open`], for a job that is scanned on both sides.
fn open_duplex(scene: &mut Scene, pages: u32) {
    scene.open(pages, false);
    let job = scene.machine.jobs.get_mut(&JOB).expect("a job");
    let settings = job.settings.as_mut().expect("settings");
    settings.duplex = true;
    for page in job.pages.iter_mut().skip(1).step_by(2) {
        page.side = Side::Back;
    }
}

fn doubt(kind: ScannerErrorKind) -> Fed {
    Fed::Fault {
        kind,
        message: "why".to_owned(),
        doubts_last: true,
    }
}

#[test]
fn a_sheet_that_broke_off_between_its_sides_is_fed_again_from_its_front() {
    let mut scene = Scene::new();
    open_duplex(&mut scene, 3);
    scene.fed(jam());
    scene.expect(&[
        "paused true: the paper is stuck; take it out, then put page 3 and what \
         follows back into the feeder and go on. Page 3 (front of sheet 2) is the sheet that was stuck",
    ]);
    scene.edit(Edit::AddMore);
    scene.expect(&["void 3"]);
    scene.voided();
    scene.expect(&["look"]);
    assert_eq!(scene.machine.pages(JOB), Some(2));
}

#[test]
fn a_front_without_its_back_stays_when_the_job_is_finished_as_it_is() {
    let mut scene = Scene::new();
    open_duplex(&mut scene, 3);
    scene.fed(jam());
    scene.actions();
    scene.edit(Edit::Finish);
    scene.expect(&["seal [(1, 0), (2, 0), (3, 0)] fields 1 intent false"]);
}

#[test]
fn whole_sheets_are_not_fed_again() {
    let mut scene = Scene::new();
    open_duplex(&mut scene, 2);
    scene.fed(jam());
    assert!(scene.actions()[0].contains("put page 3"));
    scene.edit(Edit::AddMore);
    scene.expect(&["look"]);
}

#[test]
fn a_page_that_the_scanner_doubts_is_named_and_marked() {
    let mut scene = Scene::new();
    scene.open(2, false);
    scene.fed(doubt(ScannerErrorKind::Interrupted));
    let event = scene.machine.poll_action();
    let Some(Action::Tell(
        _,
        JobEvent::Paused {
            message, doubts, ..
        },
    )) = event
    else {
        panic!("{event:?}");
    };
    assert_eq!(doubts, Some(2));
    assert!(
        message.ends_with(
            ". Page 3 is the sheet after page 2: it came out last, or is the next in the feeder. \
             Page 2 is in doubt; it is sealed and cannot be shown here. To be sure, put back all that \
             came out after page 1 and scan page 2 again"
        ),
        "{message}"
    );
    let job = scene.machine.jobs.get(&JOB).expect("a job");
    let doubtful: Vec<bool> = job.pages.iter().map(|page| page.doubtful).collect();
    assert_eq!(doubtful, [false, true]);
}

#[test]
fn the_last_page_is_scanned_again_and_no_other_however_often_that_is_asked_for() {
    let mut scene = Scene::new();
    scene.open(3, false);
    scene.fed(doubt(ScannerErrorKind::Interrupted));
    scene.actions();
    scene.edit(Edit::Again { page: 2 });
    scene.expect(&["refused Invalid: only the last page can be scanned again; it is page 3"]);
    scene.edit(Edit::Again { page: 3 });
    scene.expect(&["void 3"]);
    scene.voided();
    scene.expect(&["look"]);
    let world = Scene::world(&scene.workflows, scene.recipient.as_ref());
    scene
        .machine
        .handle_looked(Err("away".to_owned()), None, &world);
    assert!(scene.actions()[0].starts_with("refused Scanner"));
    // It is taken back already.
    scene.edit(Edit::Again { page: 3 });
    scene.expect(&["look"]);
    assert_eq!(scene.machine.pages(JOB), Some(2));
}

#[test]
fn both_sides_of_a_sheet_are_scanned_again() {
    let mut scene = Scene::new();
    open_duplex(&mut scene, 4);
    scene.fed(doubt(ScannerErrorKind::Interrupted));
    let told = scene.actions().remove(0);
    assert!(
        told.contains("Page 5 (front of sheet 3) is the sheet after page 4"),
        "{told}"
    );
    assert!(
        told.contains("Page 4 (back of sheet 2) is in doubt"),
        "{told}"
    );
    assert!(
        told.contains("all that came out after page 2 and"),
        "{told}"
    );
    scene.edit(Edit::Again { page: 4 });
    // The back first: what a power cut leaves is a front, which is seen to lack its back.
    scene.expect(&["void 4"]);
    scene.voided();
    scene.expect(&["void 3"]);
    scene.voided();
    scene.expect(&["look"]);
    assert_eq!(scene.machine.pages(JOB), Some(2));
    // A front without its back is scanned again anyway.
    let mut scene = Scene::new();
    open_duplex(&mut scene, 3);
    scene.fed(doubt(ScannerErrorKind::PaperJam));
    assert!(!scene.actions()[0].contains("doubt"));
}

#[test]
fn a_page_that_is_too_large_is_not_put_back_for_ever() {
    let mut scene = Scene::new();
    scene.open(1, false);
    scene.fed(Fed::Fault {
        kind: ScannerErrorKind::PageTooLarge,
        message: "more than 255 MiB".to_owned(),
        doubts_last: false,
    });
    scene.expect(&[
        "paused false: page 2 is too large (more than 255 MiB); finish this job or discard it, then scan \
         page 2 and what follows with a lower resolution (`--dpi`) or in gray (`--color gray`)",
    ]);
}

#[test]
fn which_sheet_a_page_is_depends_on_what_happened() {
    for (kind, page, sheet) in [
        (
            ScannerErrorKind::DoubleFeed,
            2,
            "the upper of the two sheets",
        ),
        (ScannerErrorKind::FeederFault, 2, "the next in the feeder"),
        (
            ScannerErrorKind::Truncated,
            2,
            "the sheet that came out last",
        ),
        (ScannerErrorKind::Interrupted, 1, "the first sheet"),
    ] {
        let words = words::which(kind, page, "");
        assert!(
            words.ends_with(&format!(". Page {page} is {sheet}")),
            "{words}"
        );
    }
}

#[test]
fn what_could_not_be_taken_back_is_tried_again_and_never_doubled() {
    let mut scene = Scene::new();
    open_duplex(&mut scene, 4);
    scene.fed(doubt(ScannerErrorKind::Interrupted));
    scene.actions();
    let world = Scene::world(&scene.workflows, scene.recipient.as_ref());
    for failed in ["void 4", "void 3"] {
        let voids = ["void 4", "void 3"];
        let first = voids.iter().position(|it| *it == failed).unwrap_or(0);
        scene.token += 1;
        let again = Edit::Again { page: 4 };
        assert!(
            scene
                .machine
                .handle_edit(Token(scene.token), JOB, again, &world)
        );
        if first == 1 {
            scene.machine.handle_voided(Ok(()), &world);
        }
        scene.machine.handle_voided(Err("disk".to_owned()), &world);
        let actions: Vec<String> = std::iter::from_fn(|| scene.machine.poll_action())
            .map(|action| brief(&action))
            .collect();
        assert_eq!(actions.first().map(String::as_str), Some("void 4"));
        assert_eq!(
            actions.last().map(String::as_str),
            Some("refused Internal: disk")
        );
    }
    assert_eq!(scene.machine.pages(JOB), Some(3));
    // Whatever the person does now, the front is taken back before more is scanned.
    scene.edit(Edit::AddMore);
    scene.expect(&["void 3"]);
    scene.voided();
    scene.expect(&["look"]);
    assert_eq!(scene.machine.pages(JOB), Some(2));
}

#[test]
fn a_page_that_was_not_scanned_last_is_not_scanned_again() {
    let mut scene = Scene::new();
    scene.open(2, false);
    scene.fed(jam());
    scene.actions();
    // Numbers that no page has had.
    scene.edit(Edit::Again { page: 0 });
    scene.expect(&["refused Invalid: only the last page can be scanned again; it is page 2"]);
    for page in [3, 40] {
        scene.edit(Edit::Again { page });
        scene.expect(&[&format!(
            "refused Invalid: there is no page {page} to scan again; the job has 2. To add pages, go \
             on without scanning one again"
        )]);
    }
    scene.edit(Edit::Reorder { pages: vec![2, 1] });
    scene.edit(Edit::Again { page: 2 });
    scene.expect(&[
        "reply done",
        "refused Invalid: page 2 was put last and is not the one that was scanned last; delete it \
         and scan it as a new page",
    ]);
    assert_eq!(scene.machine.pages(JOB), Some(2));
}

#[test]
fn sides_of_different_sheets_are_not_taken_for_one_sheet() {
    let mut scene = Scene::new();
    open_duplex(&mut scene, 4);
    scene.fed(jam());
    scene.actions();
    // The back of the first sheet and the front of the second are left out.
    scene.edit(Edit::Delete { page: 2 });
    scene.voided();
    scene.edit(Edit::Delete { page: 2 });
    scene.voided();
    scene.actions();
    scene.edit(Edit::Again { page: 2 });
    scene.expect(&["void 4"]);
    scene.voided();
    scene.expect(&["look"]);
    assert_eq!(scene.machine.pages(JOB), Some(1));
}

fn memo(duplex: bool, doubtful: Option<u32>) -> ScanMemo {
    ScanMemo {
        source: "adf".to_owned(),
        duplex,
        color_mode: "color".to_owned(),
        resolution_dpi: 300,
        doubtful,
    }
}

/// What is offered of a draft of three fronts.
fn offered(draft: Draft) -> (Scene, String, Option<u32>) {
    let mut scene = Scene::with(vec![draft]);
    match scene.machine.poll_action() {
        Some(Action::Tell(
            _,
            JobEvent::Paused {
                message, doubts, ..
            },
        )) => (scene, message, doubts),
        event => panic!("{event:?}"),
    }
}

#[test]
fn a_front_whose_back_a_power_cut_took_is_told_and_stays_unless_a_person_wants_it_again() {
    let cut = |duplex| Draft {
        scan: Some(memo(duplex, None)),
        ..draft(3, false)
    };
    let (mut scene, told, doubts) = offered(cut(true));
    let words =
        "the back of page 3 is not among them: to have it, put that sheet back and scan page 3";
    assert!(told.contains(words), "{told}");
    assert_eq!(doubts, Some(3));
    scene.edit(Edit::Again { page: 3 });
    scene.expect(&["void 3"]);
    let (mut scene, ..) = offered(cut(true));
    scene.edit(Edit::AddMore);
    scene.expect(&["look"]);
    // On one side nothing is missing, nor where it is not known how many sides there are.
    let of_stack = |format, images| {
        let mut draft = cut(true);
        if let Some(page) = draft.pages.last_mut() {
            (page.format, page.images) = (format, images);
        }
        draft
    };
    for draft in [
        cut(false),
        of_stack(DocumentFormat::Pdf, 1),
        of_stack(DocumentFormat::Jpeg, 2),
    ] {
        let (_scene, told, doubts) = offered(draft);
        assert!(!told.contains("is not among them"), "{told}");
        assert_eq!(doubts, None);
    }
}

#[test]
fn a_refusal_says_which_page_is_taken_back_and_not_scanned() {
    let mut scene = Scene::new();
    scene.open(3, false);
    scene.fed(jam());
    scene.actions();
    scene.edit(Edit::Again { page: 3 });
    scene.voided();
    scene.actions();
    let world = Scene::world(&scene.workflows, scene.recipient.as_ref());
    scene
        .machine
        .handle_looked(Err("away".to_owned()), None, &world);
    let gone = "; page 3 is taken back and not saved any more: put its sheet back and go on";
    let refused = scene.actions().remove(0);
    assert!(refused.ends_with(gone), "{refused}");
    // The scanner takes no job.
    scene.edit(Edit::AddMore);
    scene.looked();
    scene.actions();
    let away = Refusal {
        kind: RefusalKind::Scanner,
        message: "busy".to_owned(),
    };
    scene.machine.handle_begun(Err(away.clone()));
    scene.expect(&[&format!("refused Scanner: busy{gone}")]);
    // Once it is scanned, nothing is missing.
    scene.edit(Edit::AddMore);
    scene.looked();
    scene.machine.handle_begun(Ok(3));
    scene.fed(page(4));
    scene.fed(jam());
    scene.actions();
    scene.edit(Edit::AddMore);
    scene.looked();
    scene.actions();
    scene.machine.handle_begun(Err(away));
    scene.expect(&["refused Scanner: busy"]);
}

#[test]
fn a_back_that_is_too_large_is_named_and_its_sheet_scanned_anew() {
    let mut scene = Scene::new();
    open_duplex(&mut scene, 3);
    scene.fed(Fed::Fault {
        kind: ScannerErrorKind::PageTooLarge,
        message: "why".to_owned(),
        doubts_last: false,
    });
    let told = scene.actions().remove(0);
    assert!(told.contains("page 4 is too large"), "{told}");
    assert!(told.contains("then scan page 3 and what follows"), "{told}");
}

#[test]
fn a_page_in_doubt_is_told_after_a_restart_too() {
    let doubted = |object| Draft {
        scan: Some(memo(false, Some(object))),
        ..draft(2, false)
    };
    let mut scene = Scene::with(vec![doubted(2)]);
    let offered = scene.actions().remove(0);
    assert!(offered.contains("Page 2 is in doubt"), "{offered}");
    let marked = |scene: &Scene| -> Vec<bool> {
        let job = scene.machine.jobs.get(&JOB).expect("a job");
        job.pages.iter().map(|page| page.doubtful).collect()
    };
    assert_eq!(marked(&scene), [false, true]);
    // One that others have followed is marked for the cloud; a page that is gone is in nobody's way.
    for (object, marks) in [(1, [true, false]), (7, [false, false])] {
        let mut scene = Scene::with(vec![doubted(object)]);
        assert!(!scene.actions()[0].contains("in doubt"));
        assert_eq!(marked(&scene), marks);
    }
}

#[test]
fn a_sheet_taken_back_before_a_restart_is_scanned_again_after_it() {
    for (duplex, page) in [(false, 3), (true, 4)] {
        let mut found = draft(2, false);
        found.scan = Some(memo(duplex, Some(page)));
        if let Some(back) = found.pages.last_mut() {
            back.side = Side::Back;
        }
        let mut scene = Scene::with(vec![found]);
        scene.actions();
        scene.edit(Edit::Again { page: page + 1 });
        assert!(scene.actions()[0].starts_with("refused Invalid: there is no page"));
        scene.edit(Edit::Again { page });
        scene.expect(&["look"]);
        assert_eq!(scene.machine.pages(JOB), Some(2));
    }
    // The back is taken back already, and its front is not.
    let half = || Draft {
        scan: Some(memo(true, Some(4))),
        ..draft(3, false)
    };
    let mut scene = Scene::with(vec![half()]);
    scene.actions();
    scene.edit(Edit::Again { page: 4 });
    scene.expect(&["void 3"]);
    // Or a person has deleted the back alone, and keeps the front.
    let mut scene = Scene::with(vec![half()]);
    scene.actions();
    scene.edit(Edit::AddMore);
    let can = ScannerCapabilities {
        adf_duplex: true,
        ..capabilities()
    };
    let world = Scene::world(&scene.workflows, scene.recipient.as_ref());
    scene.machine.handle_looked(Ok(can), None, &world);
    scene.expect(&["look", "begin more"]);
    scene.machine.handle_begun(Ok(4));
    scene.fed(page(5));
    scene.fed(jam());
    scene.actions();
    // However often another page is wanted again, that front stays.
    for _ in 0..2 {
        scene.edit(Edit::Again { page: 4 });
        assert!(!scene.actions().contains(&"void 3".to_owned()));
        scene.voided();
        scene.machine.lane = Lane::Free;
        scene.actions();
    }
}
