//! Whole jobs, from what a device has committed to the folder.

use scantrip_cloud_client::seal::ObjectKind;

use self::site::{JobSpec, MARKER, Site};
use super::*;
use crate::jpeg::tests::Image;
use crate::pdf::tests::read;
use crate::steps::fake::{Cut, FakeFolders};
use crate::steps::folders::SystemFolders;

mod site;

const HOUR_MS: u64 = 60 * 60 * 1000;

/// Pages that can be told apart and found again in what is stored.
fn pages(count: u16) -> Vec<Vec<u8>> {
    let page = |width| {
        let mut bytes = Image {
            width,
            ..Image::default()
        }
        .bytes();
        bytes.extend(MARKER.as_bytes());
        bytes
    };
    (1..=count).map(page).collect()
}

#[test]
fn a_job_becomes_one_document() {
    let site = Site::new();
    let job = site.commit(&JobSpec::of(pages(3)));
    assert_eq!(site.run(), None);
    let documents = site.documents();
    assert_eq!(documents.len(), 1);
    let (name, bytes) = &documents[0];
    assert_eq!(name, "2023-11-14-Invoices-Customer-4711-0001.pdf");
    let images: Vec<_> = read(bytes).into_iter().map(|page| page.image).collect();
    assert_eq!(images, pages(3));
    let outcomes = site.outcomes();
    let states: Vec<_> = outcomes.iter().map(|outcome| outcome.state).collect();
    assert_eq!(states, [OutcomeState::Running, OutcomeState::Delivered]);
    let last = outcomes.last().unwrap();
    assert_eq!(
        (last.place.as_deref(), last.name.as_ref()),
        (Some("invoices"), Some(name))
    );
    assert_eq!(last.job, job.job);
}

#[test]
fn nothing_is_readable_but_the_destination() {
    let site = Site::new();
    site.commit(&JobSpec::of(pages(2)));
    site.run();
    assert!(
        site.documents()[0]
            .1
            .windows(MARKER.len())
            .any(|text| text == MARKER.as_bytes())
    );
    site.assert_nothing_readable();
}

#[test]
fn a_cut_at_any_operation_leaves_exactly_one_document() {
    for cut in [Cut::Process, Cut::Power] {
        let mut at = 0;
        loop {
            let site = Site::new();
            site.commit(&JobSpec::of(pages(2)));
            site.restart(cut, Some(at));
            site.run();
            let was_cut = site.was_cut();
            site.assert_nothing_readable();
            site.restart(cut, None);
            site.world.advance_seconds(20 * 60);
            site.run();
            site.restart(Cut::Power, None);
            assert_eq!(site.documents().len(), 1, "{cut:?} at {at}");
            let ends = site.outcomes();
            let ends = ends
                .iter()
                .filter(|outcome| outcome.state == OutcomeState::Delivered);
            assert_eq!(ends.count(), 1, "{cut:?} at {at}");
            assert!(jobs::pending(&site.vault(), 10).unwrap().is_empty());
            if !was_cut {
                assert!(at > 30, "{at} operations");
                break;
            }
            at += 1;
        }
    }
}

#[test]
fn a_draft_takes_its_fields_from_the_intent() {
    let site = Site::new();
    site.commit(&JobSpec {
        intent: true,
        ..JobSpec::of(pages(1))
    });
    site.run();
    assert_eq!(
        site.documents()[0].0,
        "2023-11-14-Invoices-Customer-4711-0001.pdf"
    );
}

#[test]
fn every_document_gets_its_own_number() {
    let site = Site::new();
    site.commit(&JobSpec::of(pages(1)));
    site.commit(&JobSpec {
        number: 2,
        ..JobSpec::of(pages(1))
    });
    site.run();
    let names: Vec<_> = site.documents().into_iter().map(|(name, _)| name).collect();
    assert!(
        names[0].ends_with("-0001.pdf") && names[1].ends_with("-0002.pdf"),
        "{names:?}"
    );
}

#[test]
fn a_truncated_page_fails_the_job_by_name_and_loses_nothing() {
    let site = Site::new();
    let mut spec = JobSpec::of(pages(3));
    spec.pages[1].truncate(50);
    let job = site.commit(&spec);
    let stored = site.world.blobs.dump().len();
    assert_eq!(site.run(), None);
    let last = site.outcomes().pop().unwrap();
    assert_eq!(last.state, OutcomeState::Failed);
    assert_eq!(
        last.reason.unwrap(),
        "page 2 of 3 cannot go into a PDF: the JPEG image is cut off after 50 bytes; scan the \
         document again. The pages are kept in the cloud"
    );
    assert!(site.documents().is_empty());
    assert!(site.world.blobs.dump().len() >= stored);
    assert!(retry(&site.world.ports, &job).unwrap());
    assert_eq!(site.run(), None);
    assert_eq!(site.outcomes().pop().unwrap().state, OutcomeState::Failed);
}

fn failure(spec: &JobSpec) -> String {
    let site = Site::new();
    site.commit(spec);
    site.run();
    assert!(site.documents().is_empty());
    site.outcomes().pop().unwrap().reason.unwrap()
}

#[test]
fn what_was_tampered_with_is_refused() {
    let base = || JobSpec::of(pages(2));
    let reason = failure(&JobSpec {
        sealed_as: Some((ObjectKind::Page, 7)),
        ..base()
    });
    assert!(
        reason.starts_with("page 1 of 2 cannot be opened:"),
        "{reason}"
    );
    let reason = failure(&JobSpec {
        other_key: true,
        ..base()
    });
    assert!(
        reason.contains("a key that this cloud does not have"),
        "{reason}"
    );
    let reason = failure(&JobSpec {
        other_bytes: true,
        ..base()
    });
    assert!(
        reason.contains("not the ones that the device sent"),
        "{reason}"
    );
    let reason = failure(&JobSpec {
        unsent_page: Some(9),
        ..base()
    });
    assert!(reason.contains("its page 3 was never sent"), "{reason}");
    let reason = failure(&JobSpec {
        unsent_page: Some(0),
        ..base()
    });
    assert!(reason.contains("its page 3 was never sent"), "{reason}");
    let reason = failure(&JobSpec {
        manifest_job: Some("another"),
        ..base()
    });
    assert!(reason.contains("of another job"), "{reason}");
    assert!(failure(&JobSpec::of(Vec::new())).contains("no pages"));
}

#[test]
fn hostile_fields_stay_in_the_folder() {
    let site = Site::new();
    site.commit(&JobSpec {
        customer: "../../etc\n/passwd",
        ..JobSpec::of(pages(1))
    });
    site.run();
    assert_eq!(
        site.documents()[0].0,
        "2023-11-14-Invoices-.._.._etc__passwd-0001.pdf"
    );
}

#[test]
fn a_missing_workflow_is_waited_for() {
    let site = Site::new();
    site.commit(&JobSpec {
        workflow: "later",
        ..JobSpec::of(pages(1))
    });
    let wake_ms = site.run();
    let now_ms = site.world.ports.clock.now_ms();
    assert_eq!(wake_ms, Some(now_ms + 10_000));
    let last = site.outcomes().pop().unwrap();
    assert_eq!(last.state, OutcomeState::Running);
    assert!(
        last.reason
            .unwrap()
            .starts_with("waiting: the workflow `later` is not there")
    );
    site.add_workflow("later", site::SAMPLE);
    site.world.advance_seconds(10);
    site.run();
    assert_eq!(site.documents().len(), 1);
}

#[test]
fn a_missing_share_is_tried_again_for_three_days() {
    let root = tempfile::tempdir().unwrap();
    let share = root.path().join("share");
    let site = Site::new();
    let text = site::SAMPLE.replace("folder = \"invoices\"", &format!("folder = {share:?}"));
    site.add_workflow("invoices", &text);
    let job = site.commit(&JobSpec::of(pages(1)));
    let folders: Arc<dyn Folders> = Arc::new(SystemFolders::new(root.path().join("own")));
    let mut runner = Runner::new(site.world.ports.clone(), folders);
    let begin_ms = site.world.ports.clock.now_ms();
    let mut waits = Vec::new();
    let mut now_ms = begin_ms;
    while let Some(next_ms) = runner.step(now_ms) {
        if next_ms > now_ms {
            waits.push((next_ms - now_ms) / 1000);
            assert_eq!(runner.queue(), (0, 1));
        }
        now_ms = next_ms;
    }
    assert_eq!(runner.queue(), (0, 0));
    assert_eq!(waits[..8], [10, 20, 40, 80, 160, 320, 640, 900]);
    assert!(now_ms - begin_ms >= 72 * HOUR_MS && now_ms - begin_ms < 73 * HOUR_MS);
    assert_eq!(
        site.outcomes().len(),
        3,
        "running, waiting and failed, whatever the tries"
    );
    let last = site.outcomes().pop().unwrap();
    assert_eq!(last.state, OutcomeState::Failed);
    assert!(
        last.reason
            .unwrap()
            .contains("make the folder or mount its share. It was tried")
    );

    std::fs::create_dir(&share).unwrap();
    assert_eq!(runner.step(now_ms), None, "a failed job waits for a person");
    assert!(retry(&site.world.ports, &job).unwrap());
    assert!(!retry(&site.world.ports, &job).unwrap());
    runner.step(now_ms);
    assert_eq!(std::fs::read_dir(&share).unwrap().count(), 1);
    assert_eq!(
        site.outcomes().pop().unwrap().state,
        OutcomeState::Delivered
    );
}

#[test]
fn sealed_content_is_erased_after_the_retention() {
    let site = Site::new();
    let text = site::SAMPLE.replace("retention_days = 30", "retention_days = 2");
    site.add_workflow("invoices", &text);
    let job = site.commit(&JobSpec::of(pages(2)));
    let mut runner = site.runner();
    let begin_ms = site.world.ports.clock.now_ms();
    runner.step(begin_ms);
    assert_eq!(runner.step(begin_ms), Some(begin_ms + 48 * HOUR_MS));
    assert!(!site.world.blobs.dump().is_empty());
    let due_ms = begin_ms + 48 * HOUR_MS;
    assert_eq!(runner.step(due_ms), Some(due_ms));
    assert_eq!(runner.step(due_ms), None);
    assert!(site.world.blobs.dump().is_empty());
    assert!(jobs::envelope(&site.vault(), &job).unwrap().is_none());
    assert_eq!(site.documents().len(), 1);
}

#[test]
fn intermediates_are_erased_at_delivery() {
    let site = Site::new();
    site.commit(&JobSpec::of(pages(2)));
    let before = site.world.blobs.dump().len();
    site.run();
    assert_eq!(site.world.blobs.dump().len(), before);
}

#[test]
fn a_damaged_tenant_holds_up_no_other() {
    let site = Site::new();
    site.add_lost_tenant("a0");
    site.commit(&JobSpec::of(pages(1)));
    let now_ms = site.world.ports.clock.now_ms();
    assert_eq!(
        site.run(),
        Some(now_ms + 10_000),
        "the damaged tenant is looked at again"
    );
    assert_eq!(site.documents().len(), 1);
}

#[test]
fn a_job_of_many_pages_is_delivered() {
    let site = Site::new();
    site.commit(&JobSpec::of(pages(300)));
    site.run();
    assert_eq!(read(&site.documents()[0].1).len(), 300);
}
