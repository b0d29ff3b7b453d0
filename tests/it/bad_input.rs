//! What goes wrong in real life: a clear error that says what to do, and nothing lost.

use scantrip_tests::program;
use scantrip_tests::stage::write;

use crate::world::{World, finish, words};

/// Fails unless the command ended with `code` and its words hold every one of `expected`.
fn check(output: &std::process::Output, code: i32, expected: &[&str]) {
    let text = words(output);
    assert_eq!(output.status.code(), Some(code), "{text}");
    for word in expected {
        assert!(text.contains(word), "{word:?} is not in: {text}");
    }
}

#[test]
fn an_unreachable_cloud_is_named_with_its_address() {
    let world = World::new();
    world.load(1, "");
    let code = world.stage.enrollment_code().expect("a code");
    world
        .stage
        .doors()
        .for_each(|door| door.set_unplugged(true));
    check(
        &world.agent_with_input(&["enroll"], &code),
        5,
        &["localhost"],
    );
}

#[test]
fn a_wrong_ca_is_named_and_the_code_is_not_sent() {
    let world = World::new();
    world.load(1, "");
    let code = world.stage.enrollment_code().expect("a code");
    let ca = world.folder().join("other-ca.pem").display().to_string();
    let key = world.folder().join("other-ca.key").display().to_string();
    let mut openssl = program::command("openssl");
    openssl.args([
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
    ]);
    openssl.args(["-nodes", "-subj", "/CN=Other", "-keyout", &key, "-out", &ca]);
    program::run(&mut openssl).expect("openssl");
    let config = world.folder().join("scantrip.toml");
    let text = std::fs::read_to_string(&config).expect("a configuration");
    let right = world.folder().join("cloud/ca.pem").display().to_string();
    write(&config, &text.replace(&right, &ca)).expect("a configuration");
    check(&world.agent_with_input(&["enroll"], &code), 5, &["ca_file"]);

    write(&config, &text).expect("a configuration");
    check(&world.agent_with_input(&["enroll"], &code), 0, &[]);
}

#[test]
fn a_clock_three_years_behind_still_enrols_and_delivers() {
    let world = World::new();
    world.load(2, "");
    let code = world.stage.enrollment_code().expect("a code");
    let clock = ("SCANTRIP_FAULT", "clock=-94608000");
    let mut enroll = world.stage.agent();
    enroll.arg("enroll").envs([clock]);
    check(&finish(&mut enroll, &code), 0, &[]);
    let mut scan = world.stage.agent();
    scan.args(["scan", "--workflow", "Invoices", "--field", "customer=Old"])
        .envs([clock]);
    check(&finish(&mut scan, ""), 0, &[]);
    world.expect_one_document();
}

#[test]
fn a_clock_three_years_ahead_is_named_with_what_to_do() {
    let world = World::new();
    world.load(1, "");
    let code = world.stage.enrollment_code().expect("a code");
    let mut enroll = world.stage.agent();
    enroll
        .arg("enroll")
        .envs([("SCANTRIP_FAULT", "clock=94608000")]);
    check(&finish(&mut enroll, &code), 5, &["clock"]);
    check(&world.agent_with_input(&["enroll"], &code), 0, &[]);
}

#[test]
fn a_disk_that_fills_while_feeding_keeps_the_pages_saved_so_far() {
    let world = World::enrolled(1);
    check(&world.scan("First"), 0, &[]);
    world.feed_padded_page(40, 4_000_000);
    world.configure_more("[spool]\nfree_bytes_min = 0");
    let mut scan = world.stage.agent();
    scan.args([
        "scan",
        "--workflow",
        "Invoices",
        "--field",
        "customer=Filled",
    ]);
    // 64 MiB are reserved before paper moves; the disk fills some pages after that.
    scan.envs([("SCANTRIP_FAULT", "full-after=75000000")]);
    let output = finish(&mut scan, "");
    check(&output, 6, &["full", "Put page"]);
    let saved = world.jobs()[0]["pages"].as_u64().expect("a number");
    assert!(saved > 3 && saved < 40, "{saved} pages");
    let job = world.jobs()[0]["job"].as_str().expect("a job").to_owned();
    check(&world.agent(&["jobs", "finish", &job]), 0, &[]);
    check(&world.agent(&["jobs", "wait", &job]), 0, &[]);
    let filled = world.folder().join("out/Filled 0002.pdf");
    let images = scantrip_tests::document::jpeg_streams(&filled).expect("a PDF");
    assert_eq!(images.len() as u64, saved);
}

#[test]
fn an_unknown_workflow_lists_the_known_ones() {
    let world = World::enrolled(1);
    let output = world.agent(&["scan", "--workflow", "Taxes"]);
    check(&output, 2, &["Taxes", "Invoices"]);
}

#[test]
fn a_missing_required_field_is_asked_for_by_its_label() {
    let world = World::enrolled(1);
    check(
        &world.agent(&["scan", "--workflow", "Invoices"]),
        2,
        &["Customer"],
    );
}

#[test]
fn hostile_characters_in_a_field_cannot_leave_the_folder() {
    let world = World::enrolled(1);
    let output = world.scan("../../etc/passwd");
    check(&output, 0, &[]);
    world.expect_one_document();
    let name = world.stage.delivered().expect("the destination").remove(0);
    assert!(name.starts_with(world.folder().join("out")), "{name:?}");

    let output = world.agent(&["scan", "--workflow", "Invoices", "--field", "customer=a\nb"]);
    check(&output, 2, &["Customer", "one line"]);
}

#[test]
fn before_enrolment_a_scan_says_how_to_enrol() {
    let world = World::new();
    world.load(1, "");
    check(&world.scan("Nobody"), 4, &["scantrip enroll"]);
}

#[test]
fn an_empty_feeder_and_an_open_cover_say_what_to_do() {
    let world = World::enrolled(0);
    check(&world.scan("Empty"), 6, &["paper"]);
    write(
        &world.folder().join("printer.txt"),
        "sheets=2 faults=cover-open",
    )
    .expect("a switch");
    check(&world.scan("Open"), 6, &["cover"]);
}

#[test]
fn a_page_of_no_bytes_and_a_truncated_page_are_scanned_again() {
    for fault in ["empty-page=2", "truncate=2"] {
        let world = World::new();
        world.load(3, fault);
        world.enroll();
        let _agent = world.run_agent();
        check(&world.scan("Broken"), 6, &["page 2"]);
        let job = world.jobs()[0]["job"].as_str().expect("a job").to_owned();
        check(&world.agent(&["jobs", "continue", &job]), 0, &[]);
        let delivered = world.stage.delivered().expect("the destination");
        assert_eq!(delivered.len(), 1, "{fault}: {delivered:?}");
        let images = scantrip_tests::document::jpeg_streams(&delivered[0]).expect("a PDF");
        assert_eq!(images.len(), 3, "{fault}");
    }
}

#[test]
fn a_full_spool_refuses_the_job_before_paper_moves() {
    let world = World::enrolled(2);
    check(&world.agent(&["sync"]), 0, &[]);
    world.configure_more("[spool]\nfree_bytes_min = 1_000_000_000_000_000");
    check(&world.scan("Full"), 7, &["free"]);
    assert!(
        !world.folder().join("pages/0001.jpg").exists(),
        "paper has moved"
    );
}

#[test]
fn a_code_on_the_command_line_is_refused() {
    let world = World::new();
    world.load(1, "");
    let code = world.stage.enrollment_code().expect("a code");
    let output = world.agent(&["enroll", &code]);
    assert_eq!(output.status.code(), Some(2), "{}", words(&output));
    check(&world.agent_with_input(&["enroll"], &code), 0, &[]);
}

#[test]
fn unenroll_says_first_what_would_be_lost() {
    let world = World::enrolled(1);
    check(&world.agent(&["sync"]), 0, &[]);
    world
        .stage
        .doors()
        .for_each(|door| door.set_unplugged(true));
    check(&world.scan("Unsent"), 0, &["saved here"]);
    let output = world.agent_with_input(&["unenroll"], "no");
    assert!(words(&output).contains("1 "), "{}", words(&output));
    assert_eq!(world.jobs().len(), 1);
    check(&world.agent(&["unenroll", "--yes"]), 0, &[]);
    check(&world.scan("Gone"), 4, &[]);
}
