//! A page's way from the feeder to its document, by the shipped programs.

use std::process::Command;

use scantrip_tests::document;
use scantrip_tests::program;

use crate::world::{World, words};

#[test]
fn a_page_goes_from_the_feeder_to_its_document_byte_for_byte() {
    let world = World::enrolled(3);
    let output = world.scan("Miller");
    assert!(output.status.success(), "{}", words(&output));
    world.expect_one_document();

    let document = &world.stage.delivered().expect("the destination")[0];
    assert_eq!(
        document.file_name().and_then(|n| n.to_str()),
        Some("Miller 0001.pdf")
    );
    let checked = program::run(tool("qpdf").arg("--check").arg(document)).expect("qpdf is content");
    assert!(
        checked.contains("No syntax or stream encoding errors found"),
        "{checked}"
    );
    for media_box in document::media_boxes(document).expect("media boxes") {
        let sides: Vec<f64> = media_box
            .split(' ')
            .filter_map(|side| side.parse().ok())
            .collect();
        assert!(
            (sides[2] - 595.2).abs() < 1.0 && (sides[3] - 841.9).abs() < 1.0,
            "{media_box}"
        );
    }
    let job = &world.jobs()[0];
    assert_eq!(job["state"], "delivered");
    assert_eq!(job["receipt_code"].as_str().map(str::len), Some(6));
}

#[test]
fn the_same_way_leads_through_the_running_agent() {
    let world = World::enrolled(2);
    let _agent = world.run_agent();
    let output = world.scan("Smith");
    assert!(output.status.success(), "{}", words(&output));
    world.expect_one_document();
}

#[test]
fn a_paper_jam_keeps_the_pages_already_saved_and_the_job_goes_on() {
    let world = World::new();
    world.load(6, "jam-after=3");
    world.enroll();
    let _agent = world.run_agent();
    let output = world.scan("Jam");
    assert_eq!(output.status.code(), Some(6), "{}", words(&output));
    assert!(words(&output).contains("put"), "{}", words(&output));
    let job = world.jobs()[0]["job"].as_str().expect("a job").to_owned();
    assert_eq!(world.jobs()[0]["pages"], 3);
    let output = world.agent(&["jobs", "continue", &job]);
    assert!(output.status.success(), "{}", words(&output));
    world.expect_one_document();
}

#[test]
fn a_discarded_job_never_arrives() {
    let world = World::enrolled(3);
    let _agent = world.run_agent();
    let field = "customer=Nobody";
    let scan = ["scan", "--workflow", "Invoices", "--field", field, "--hold"];
    let output = world.agent(&scan);
    assert!(output.status.success(), "{}", words(&output));
    let job = world.jobs()[0]["job"].as_str().expect("a job").to_owned();
    let output = world.agent(&["jobs", "discard", &job]);
    assert!(output.status.success(), "{}", words(&output));
    assert_eq!(world.jobs()[0]["state"], "discarded");
    assert!(world.stage.delivered().expect("the destination").is_empty());
    let known = world.cloud_json(&["job", "list"]);
    assert!(!known.to_string().contains("delivered"), "{known}");
}

#[test]
fn without_the_cloud_a_scan_is_saved_and_sent_later() {
    let world = World::enrolled(2);
    let synced = world.agent(&["sync"]);
    assert!(synced.status.success(), "{}", words(&synced));
    world
        .stage
        .doors()
        .for_each(|door| door.set_unplugged(true));
    let output = world.scan("Later");
    assert!(output.status.success(), "{}", words(&output));
    assert!(words(&output).contains("saved here"), "{}", words(&output));
    assert!(world.stage.delivered().expect("the destination").is_empty());

    world
        .stage
        .doors()
        .for_each(|door| door.set_unplugged(false));
    let output = world.agent(&["sync"]);
    assert!(output.status.success(), "{}", words(&output));
    let job = world.jobs()[0]["job"].as_str().expect("a job").to_owned();
    let output = world.agent(&["jobs", "wait", &job]);
    assert!(output.status.success(), "{}", words(&output));
    world.expect_one_document();
}

#[test]
fn a_workflow_that_is_added_later_reaches_the_device_by_itself() {
    let world = World::enrolled(1);
    let file = world.folder().join("second.toml");
    let out = world.folder().join("out").display().to_string();
    let text = crate::world::INVOICES
        .replace("OUT", &out)
        .replace("\"Invoices\"", "\"Letters\"");
    scantrip_tests::stage::write(&file, &text).expect("a file");
    let path = file.display().to_string();
    world.cloud_json(&["workflow", "add", "--tenant", "Example AG", &path]);
    let output = world.agent(&["sync"]);
    assert!(output.status.success(), "{}", words(&output));
    let shown = world.agent(&["workflows"]);
    assert!(words(&shown).contains("Letters"), "{}", words(&shown));
}

fn tool(name: &str) -> Command {
    program::command(name)
}
