//! Every decoder of outside bytes meets its corpus and some thousand mutations of it. With
//! `SCANTRIP_FUZZ_SECONDS` it goes on for so long; see `tests/fuzz/README.md`.

use std::collections::BTreeMap;
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use scantrip_tests::mutate::mutated;
use scantrip_tests::seeded::Seeded;
use scantrip_tests::stage::files;

/// Mutations of each corpus per `make test`.
const MUTATIONS: u64 = 1_000;
/// Bytes that the mutations of one corpus have together: large files get fewer.
const BYTES: usize = 16 << 20;

type Target = (&'static str, fn(&[u8]));

fn targets() -> Vec<Target> {
    let all: [&[Target]; 5] = [
        scantrip::fuzz::TARGETS,
        scantrip_cloud::fuzz::TARGETS,
        scantrip_cloud_client::fuzz::TARGETS,
        scantrip_config::fuzz::TARGETS,
        scantrip_hal::fuzz::TARGETS,
    ];
    all.concat()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus")
}

fn corpus(target: &str) -> Vec<Vec<u8>> {
    let found = files(&folder().join(target)).unwrap_or_default();
    let read = |file: &PathBuf| std::fs::read(file).expect("a file of the corpus");
    found.iter().map(read).collect()
}

/// Runs the target; keeps the bytes that it did not survive.
fn feed((name, target): Target, bytes: &[u8], what: &str) {
    if catch_unwind(|| target(bytes)).is_ok() {
        return;
    }
    let kept = std::env::temp_dir().join(format!("scantrip-fuzz-{name}"));
    #[expect(clippy::disallowed_methods, reason = "a find, for a person to look at")]
    std::fs::write(&kept, bytes).expect("a file");
    panic!("{name} failed on {what}; the bytes are in {kept:?}: add them to its corpus");
}

#[test]
fn every_decoder_survives_its_corpus_and_mutations_of_it() {
    let seconds = std::env::var("SCANTRIP_FUZZ_SECONDS").ok();
    let seconds = seconds.map(|text| text.parse().expect("a number of seconds"));
    let only = std::env::var("SCANTRIP_FUZZ_TARGET").ok();
    let targets: Vec<_> = targets()
        .into_iter()
        .filter(|(name, _)| only.as_ref().is_none_or(|only| only == name))
        .collect();
    for target in &targets {
        let corpus = corpus(target.0);
        assert!(
            !corpus.is_empty(),
            "tests/fuzz/corpus/{} is empty",
            target.0
        );
        for (number, bytes) in corpus.iter().enumerate() {
            feed(*target, bytes, &format!("file {number} of its corpus"));
        }
        let average = corpus.iter().map(Vec::len).sum::<usize>() / corpus.len();
        let few = MUTATIONS.min((BYTES / average.max(1)) as u64);
        mutate(
            *target,
            &corpus,
            seconds.map(|all: u64| all / targets.len() as u64),
            few,
        );
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a person asked for so many seconds"
)]
fn mutate(target: Target, corpus: &[Vec<u8>], seconds: Option<u64>, count: u64) {
    let begun = Instant::now();
    let mut runs = 0;
    for seed in 0.. {
        let more = match seconds {
            Some(seconds) => begun.elapsed() < Duration::from_secs(seconds),
            None => seed < count,
        };
        if !more {
            break;
        }
        let bytes = mutated(corpus, &mut Seeded::new(seed));
        feed(target, &bytes, &format!("mutation {seed}"));
        runs += 1;
    }
    println!("{}: {runs} mutations in {:?}", target.0, begun.elapsed());
}

#[test]
fn every_corpus_belongs_to_a_decoder_and_no_decoder_is_named_twice() {
    let mut named = BTreeMap::new();
    for (name, _) in targets() {
        assert!(named.insert(name, ()).is_none(), "two targets {name}");
    }
    for corpus in files(&folder()).expect("the corpora") {
        let name = corpus.file_name().and_then(|name| name.to_str());
        assert!(
            name.is_some_and(|name| named.contains_key(name)),
            "{corpus:?}"
        );
    }
}
