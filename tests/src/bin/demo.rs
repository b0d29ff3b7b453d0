//! `make demo`: a page goes from the feeder to its document, step by step, in plain words.

use std::process::ExitCode;

use scantrip_tests::demo::{self, Options};

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let has = |name: &str| arguments.iter().any(|argument| argument == name);
    match demo::play(&Options {
        keep: has("--keep"),
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => demo::report(&error),
    }
}
