//! Delivery, cut off before each of its operations.

use super::*;
use crate::steps::fake::{Cut, Disk, FakeWork};

const CONTENT: &[u8] = b"%PDF-1.7 the document";

fn step() -> DeliverFolder {
    let name = NamePattern::parse("{customer}-{counter:02}.pdf", ["customer"]).unwrap();
    DeliverFolder {
        folder: PathBuf::from("out"),
        name,
    }
}

fn work(taken: &[&str]) -> FakeWork {
    let work = FakeWork::of_document(CONTENT);
    for name in taken {
        work.folders.0.lock().unwrap().put(name, b"another");
    }
    work
}

/// What the folder holds besides `taken`, after checking that those are untouched.
fn delivered(work: &FakeWork, taken: &[&str]) -> Vec<String> {
    let disk = work.folders.0.lock().unwrap();
    let listing = disk.listing();
    assert!(taken.iter().all(|name| listing[name] == b"another"));
    let new = listing.iter().filter(|(name, _)| !taken.contains(*name));
    new.map(|(name, bytes)| {
        assert_eq!(*bytes, CONTENT, "{name}");
        (*name).to_owned()
    })
    .collect()
}

/// Cuts a delivery off before its operation `cuts[0]`, the next try before `cuts[1]`, and so on.
/// Returns whether the last cut was met.
fn check(cut: Cut, cuts: &[u32], taken: &[&str]) -> bool {
    let mut work = work(taken);
    let mut met = false;
    for &at in cuts {
        work.restart(cut, Some(at));
        let result = step().run(&mut work);
        met = work.folders.0.lock().unwrap().was_cut();
        assert!(result.is_ok() || met, "{cut:?} {cuts:?}: {result:?}");
    }
    work.restart(cut, None);
    let Ok(Done::Delivered { name, place }) = step().run(&mut work) else {
        panic!("{cut:?} {cuts:?}: not delivered");
    };
    assert_eq!(place, "out");
    work.restart(Cut::Power, None);
    assert_eq!(delivered(&work, taken), [name], "{cut:?} {cuts:?}");
    met
}

#[test]
fn a_cut_at_any_operation_leaves_exactly_one_document() {
    let mut points = 0;
    for cut in [Cut::Process, Cut::Power] {
        for taken in [
            &[][..],
            &["Miller-01.pdf"],
            &["Miller-01.pdf", "Miller-01 (2).pdf"],
        ] {
            let mut first = 0;
            while check(cut, &[first], taken) {
                let mut second = 0;
                while check(cut, &[first, second], taken) {
                    second += 1;
                    points += 1;
                }
                first += 1;
            }
        }
    }
    assert!(points > 300, "{points} points");
}

#[test]
fn a_taken_name_is_left_alone() {
    let taken = ["Miller-01.pdf", "Miller-01 (2).pdf"];
    let mut work = work(&taken);
    step().run(&mut work).unwrap();
    assert_eq!(delivered(&work, &taken), ["Miller-01 (3).pdf"]);
}

#[test]
fn done_once_it_does_nothing_more() {
    let mut work = work(&[]);
    let first = step().run(&mut work).unwrap();
    let operations = work.folders.0.lock().unwrap().operations;
    assert_eq!(step().run(&mut work).unwrap(), first);
    assert_eq!(work.folders.0.lock().unwrap().operations, operations);
}

#[test]
fn another_folder_at_the_same_place_is_not_taken_for_delivered() {
    let mut work = work(&[]);
    let mut cut_at = 0;
    // Until the record says ready, but the rename has not happened.
    loop {
        work.restart(Cut::Process, Some(cut_at));
        drop(step().run(&mut work));
        if work
            .record()
            .is_some_and(|record| record["state"] == "ready")
        {
            break;
        }
        cut_at += 1;
    }
    *work.folders.0.lock().unwrap() = Disk::default();
    work.folders.0.lock().unwrap().id = 77;
    let fault = step().run(&mut work).unwrap_err();
    assert!(matches!(&fault, StepFault::Retry { reason } if reason.contains("right share")));
}

#[test]
fn faults_of_the_folder_say_what_to_do() {
    let say = |kind: io::ErrorKind| step().cannot("open", &kind.into()).to_string();
    assert!(say(io::ErrorKind::NotFound).contains("make the folder or mount its share"));
    assert!(say(io::ErrorKind::StorageFull).contains("free some space"));
    assert!(say(io::ErrorKind::PermissionDenied).contains("let the cloud's user write there"));
}

fn options(text: &str) -> Result<Box<dyn Step>, OptionsError> {
    let table = toml::de::ValueDeserializer::parse(text).unwrap();
    parse(StepOptions {
        table,
        fields: &["customer"],
    })
}

#[test]
fn options_are_checked() {
    let fault = |text| options(text).unwrap_err().message;
    assert!(options("{ folder = '/srv/scans', name = '{customer}.pdf' }").is_ok());
    assert!(fault("{ folder = '../x', name = 'a' }").contains("cannot hold `..`"));
    assert!(fault("{ folder = '', name = 'a' }").contains("expected a folder"));
    assert!(fault("{ folder = 'x', name = '{client}' }").contains("`{client}` is unknown"));
    assert!(fault("{ folder = 'x' }").contains("missing field `name`"));
    assert!(fault("{ folder = 'x', name = 'a', mode = 1 }").contains("unknown field `mode`"));
}
