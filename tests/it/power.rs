//! `kill -9` of agent and cloud at points chosen by operation count, and lost answers: each ends in
//! exactly one complete document.

use std::os::unix::process::ExitStatusExt;
use std::process::Output;

use scantrip_tests::stage::{files, write};
use scantrip_tests::{document, program};

use crate::world::{World, finish, words};

const SHEETS: u32 = 200;
/// `SIGKILL`.
const KILLED: Option<i32> = Some(9);

/// Runs an agent's command that is killed at the `operation`-th operation on its disk.
fn agent_killed_at(world: &World, operation: u32, arguments: &[&str]) -> Output {
    let mut command = world.stage.agent();
    command
        .args(arguments)
        .env("SCANTRIP_FAULT", format!("kill-at-op={operation}"));
    finish(&mut command, "")
}

fn job(world: &World) -> String {
    world.jobs()[0]["job"].as_str().expect("a job").to_owned()
}

fn pages(world: &World) -> u32 {
    let pages = world.jobs()[0]["pages"]
        .as_u64()
        .expect("a number of pages");
    u32::try_from(pages).expect("few pages")
}

/// Puts the sheets that are not yet saved back into the feeder.
fn reload(world: &World, sheets: u32) {
    write(
        &world.folder().join("printer.txt"),
        &format!("sheets={sheets}"),
    )
    .expect("a switch");
}

/// Fails unless one document holds `count` pages, each one that was fed, in their order.
fn expect_one_document_of(world: &World, count: u32) {
    let delivered = world.stage.delivered().expect("the destination");
    assert_eq!(delivered.len(), 1, "delivered: {delivered:?}");
    let images = document::jpeg_streams(&delivered[0]).expect("a PDF");
    assert_eq!(images.len(), count as usize);
    let fed = files(&world.folder().join("pages")).expect("the pages that were fed");
    let mut fed = fed.iter().map(|page| std::fs::read(page).expect("a page"));
    for (number, image) in images.iter().enumerate() {
        assert!(
            fed.any(|page| page == *image),
            "page {} was never fed here",
            number + 1
        );
    }
}

fn follow(world: &World, arguments: &[&str]) {
    let output = world.agent(arguments);
    assert!(output.status.success(), "{}", words(&output));
}

#[test]
fn power_cuts_while_feeding_leave_a_draft_that_goes_on() {
    let world = World::enrolled(SHEETS);
    let scan = ["scan", "--workflow", "Invoices", "--field", "customer=Cut"];
    let output = agent_killed_at(&world, 260, &scan);
    assert_eq!(output.status.signal(), KILLED, "{}", words(&output));
    for cut in 1..10 {
        let (job, saved) = (job(&world), pages(&world));
        assert_eq!(world.jobs()[0]["state"], "draft");
        reload(&world, SHEETS - saved);
        let output = agent_killed_at(&world, 150 + cut * 17, &["jobs", "continue", &job]);
        assert_eq!(
            output.status.signal(),
            KILLED,
            "cut {cut}: {}",
            words(&output)
        );
        assert!(
            pages(&world) >= saved,
            "cut {cut} lost a page that was called saved"
        );
    }
    reload(&world, SHEETS - pages(&world));
    follow(&world, &["jobs", "continue", &job(&world)]);
    expect_one_document_of(&world, SHEETS);
}

#[test]
fn a_draft_found_after_a_power_cut_can_be_finished_or_discarded() {
    for (choice, documents) in [("finish", 1), ("discard", 0)] {
        let world = World::enrolled(20);
        let scan = [
            "scan",
            "--workflow",
            "Invoices",
            "--field",
            "customer=Draft",
        ];
        let output = agent_killed_at(&world, 250, &scan);
        assert_eq!(output.status.signal(), KILLED, "{}", words(&output));
        let saved = pages(&world);
        assert!(saved > 0 && saved < 20, "{saved} pages were saved");
        follow(&world, &["jobs", choice, &job(&world)]);
        if documents == 1 {
            follow(&world, &["jobs", "wait", &job(&world)]);
            expect_one_document_of(&world, saved);
            let name = world.stage.delivered().expect("the destination").remove(0);
            assert!(
                name.ends_with("Draft 0001.pdf"),
                "the field was lost: {name:?}"
            );
        }
        assert_eq!(
            world.stage.delivered().expect("the destination").len(),
            documents
        );
    }
}

#[test]
fn power_cuts_while_sending_and_erasing_end_in_one_document() {
    let world = World::enrolled(SHEETS);
    follow(&world, &["sync"]);
    world
        .stage
        .doors()
        .for_each(|door| door.set_unplugged(true));
    follow(
        &world,
        &["scan", "--workflow", "Invoices", "--field", "customer=Sent"],
    );
    world
        .stage
        .doors()
        .for_each(|door| door.set_unplugged(false));
    let job = job(&world);
    let mut cuts = 0;
    for cut in 0.. {
        let output = agent_killed_at(&world, 30 + cut * 23, &["jobs", "wait", &job]);
        if output.status.success() {
            break;
        }
        assert_eq!(
            output.status.signal(),
            KILLED,
            "cut {cut}: {}",
            words(&output)
        );
        cuts += 1;
    }
    assert!(cuts >= 10, "only {cuts} cuts");
    follow(&world, &["jobs", "wait", &job]);
    expect_one_document_of(&world, SHEETS);
}

#[test]
fn power_cuts_of_the_cloud_in_every_phase_end_in_one_document() {
    let mut world = World::enrolled(SHEETS);
    follow(&world, &["sync"]);
    world
        .stage
        .doors()
        .for_each(|door| door.set_unplugged(true));
    let scan = [
        "scan",
        "--workflow",
        "Invoices",
        "--field",
        "customer=Cloud",
    ];
    follow(&world, &scan);
    world
        .stage
        .doors()
        .for_each(|door| door.set_unplugged(false));
    let mut agent = {
        let mut command = world.stage.agent();
        command.args(["jobs", "wait", &job(&world)]);
        program::Running::start(&mut command, &world.folder().join("wait.log")).expect("an agent")
    };
    // From the first uploads over the commit to the runner's last rename. Each life of the cloud is
    // a little longer than the one before, until one sees the delivery.
    let mut cuts = 0;
    for cut in 0.. {
        let fault = format!("kill-at-op={}", 7 + cut * 9);
        world
            .stage
            .serve(&[("SCANTRIP_FAULT", &fault)])
            .expect("a cloud");
        let cloud = world.stage.serving().expect("a cloud");
        cloud.wait_or(&mut agent).expect("one of them ends");
        if agent.has_ended().expect("a process") {
            break;
        }
        cuts += 1;
    }
    assert!(cuts >= 10, "only {cuts} cuts");
    world.stage.serve(&[]).expect("a cloud");
    assert!(agent.wait().expect("a process"), "the delivery failed");
    expect_one_document_of(&world, SHEETS);
}

/// Fails unless the cloud lost an answer on purpose.
fn expect_lost(world: &World, kind: &str) {
    let log = std::fs::read_to_string(world.folder().join("cloud.log")).expect("a log");
    assert!(
        log.contains("lost the answer"),
        "{kind} was never asked: {log}"
    );
}

#[test]
fn a_lost_answer_to_every_kind_of_request_changes_nothing() {
    let kinds = [
        "entry-points",
        "desired",
        "reports",
        "upload-create",
        "upload-append",
        "commit",
        "outcomes",
    ];
    for kind in kinds {
        let mut world = World::enrolled(3);
        let fault = format!("lose-answer={kind}:1");
        world
            .stage
            .serve(&[("SCANTRIP_FAULT", &fault)])
            .expect("a cloud");
        // Only a page above one mebibyte needs an append.
        let dpi = if kind == "upload-append" { "600" } else { "75" };
        let scan = [
            "scan",
            "--workflow",
            "Invoices",
            "--field",
            "customer=Lost",
            "--dpi",
            dpi,
        ];
        follow(&world, &scan);
        expect_lost(&world, kind);
        follow(&world, &["jobs", "wait", &job(&world)]);
        world.expect_one_document();
    }
}

#[test]
fn a_lost_answer_to_a_discard_changes_nothing() {
    let mut world = World::enrolled(3);
    world
        .stage
        .serve(&[("SCANTRIP_FAULT", "lose-answer=discard:1")])
        .expect("a cloud");
    let _agent = world.run_agent();
    let field = "customer=Nobody";
    follow(
        &world,
        &["scan", "--workflow", "Invoices", "--field", field, "--hold"],
    );
    follow(&world, &["jobs", "discard", &job(&world)]);
    program::until("the discard is sent", || {
        let log = std::fs::read_to_string(world.folder().join("cloud.log"));
        log.is_ok_and(|log| log.contains("lost the answer"))
    });
    program::until("the job is gone", || {
        files(&world.folder().join("agent/spool")).is_ok_and(|jobs| jobs.is_empty())
    });
    assert_eq!(world.jobs()[0]["state"], "discarded");
    assert!(world.stage.delivered().expect("the destination").is_empty());
}

#[test]
fn a_lost_answer_to_the_enrolment_costs_no_second_code() {
    for kind in ["cacerts", "simpleenroll"] {
        let mut world = World::new();
        world.load(1, "");
        let code = world.stage.enrollment_code().expect("a code");
        let fault = format!("lose-answer={kind}:1");
        world
            .stage
            .serve(&[("SCANTRIP_FAULT", &fault)])
            .expect("a cloud");
        if !world.agent_with_input(&["enroll"], &code).status.success() {
            let second = world.agent_with_input(&["enroll"], &code);
            assert!(second.status.success(), "{}", words(&second));
        }
        expect_lost(&world, kind);
        let devices = world.cloud_json(&["device", "list"]);
        assert_eq!(devices.as_array().map(Vec::len), Some(1), "{devices}");
    }
}

#[test]
fn a_commit_through_one_door_and_again_through_another_is_one_document() {
    let mut world = World::enrolled(2);
    world
        .stage
        .serve(&[("SCANTRIP_FAULT", "lose-answer=commit:1")])
        .expect("a cloud");
    let chosen = {
        let status = world.stage.agent_json(&["status"]).expect("a status");
        status["entry_point"]["name"]
            .as_str()
            .unwrap_or("Virginia")
            .to_owned()
    };
    // The door in use goes away for good with the first commit's answer.
    world
        .stage
        .door(&chosen)
        .expect("a door")
        .unplug_when_closed();
    let output = world.scan("Doors");
    assert!(output.status.success(), "{}", words(&output));
    follow(&world, &["jobs", "wait", &job(&world)]);
    world.expect_one_document();
}
