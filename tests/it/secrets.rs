//! Nothing readable: known plaintext is searched for in everything the product leaves behind.

use std::fs;
use std::path::{Path, PathBuf};

use scantrip_tests::document::find;

use crate::world::{World, words};

#[test]
fn known_plaintext_is_nowhere_but_at_the_destination() {
    let world = World::enrolled(2);
    let code = world.stage.enrollment_code().expect("a code");
    let agent = world.run_agent();
    let secret = "Zwiebelfisch-4711";
    let output = world.agent(&[
        "scan",
        "--workflow",
        "Invoices",
        "--field",
        &format!("customer={secret}"),
        "--hold",
    ]);
    assert!(output.status.success(), "{}", words(&output));
    let mut needles = vec![
        secret.as_bytes().to_vec(),
        code.replace('-', "").into_bytes(),
        code.into_bytes(),
    ];
    needles.extend(page_windows(&world.folder().join("pages")));
    // While the job lies in the spool and its pages in the cloud.
    expect_nowhere(&world, &needles, "while the job is open");

    let job = world.jobs()[0]["job"].as_str().expect("a job").to_owned();
    let output = world.agent(&["jobs", "finish", &job]);
    assert!(output.status.success(), "{}", words(&output));
    world.expect_one_document();
    drop(agent);
    // The delivered name may hold fields; the agent's journal that keeps it is sealed.
    expect_nowhere(&world, &needles, "after the delivery");
}

#[test]
fn private_keys_lie_only_in_the_two_key_stores() {
    let world = World::enrolled(1);
    for path in all_files(world.folder()) {
        let bytes = fs::read(&path).expect("a readable file");
        let pem = find(&bytes, b"PRIVATE KEY").is_some();
        assert!(!pem, "{path:?} holds a private key in PEM");
    }
}

/// Every 16-byte window at a stride through the middle of each page.
fn page_windows(pages: &Path) -> Vec<Vec<u8>> {
    let mut windows = Vec::new();
    for page in all_files(pages) {
        let bytes = fs::read(page).expect("a page");
        windows.extend(
            bytes[1024..]
                .chunks_exact(16)
                .step_by(64)
                .take(40)
                .map(<[u8]>::to_vec),
        );
    }
    assert!(windows.len() > 40, "too few windows to search for");
    windows
}

fn expect_nowhere(world: &World, needles: &[Vec<u8>], when: &str) {
    let allowed = ["pages", "out", "workflow.toml", "printer.txt"];
    for path in all_files(world.folder()) {
        let inside = path.strip_prefix(world.folder()).expect("inside");
        let top = inside
            .iter()
            .next()
            .and_then(|part| part.to_str())
            .unwrap_or_default();
        if allowed.contains(&top) {
            continue;
        }
        let bytes = fs::read(&path).expect("a readable file");
        for needle in needles {
            assert!(
                find(&bytes, needle).is_none(),
                "{when}: plaintext in {inside:?}"
            );
        }
    }
}

fn all_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        let kind = entry.file_type().expect("a kind");
        if kind.is_dir() {
            found.extend(all_files(&path));
        } else if kind.is_file() {
            found.push(path);
        }
    }
    found
}
