//! `make images`: every disk that a power cut can leave; see `scantrip_tests::images`.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program that people read"
)]

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use scantrip_tests::images::{self, Case, Tally, cloud, rot, spool, state, sweep};

/// Workloads drawn by lot: with those written by hand, more than five million images.
const DRAWN: u64 = 240;
/// Workloads between two signs of life.
const SIGN_EVERY: u64 = 50;
/// Operations before a cut that a replay shows.
const OPERATIONS_SHOWN: usize = 20;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match run(&arguments) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("images: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[String]) -> anyhow::Result<bool> {
    let option = |name: &str| {
        let place = arguments.iter().position(|argument| argument == name)?;
        arguments.get(place + 1)
    };
    let drawn = option("--drawn").map_or(Ok(DRAWN), |text| text.parse())?;
    let threads = option("--threads").map_or(Ok(2), |text| text.parse())?;
    let mut workloads = spool::workloads(drawn);
    workloads.extend(cloud::workloads());
    workloads.push(Box::new(state::Script));
    if let Some(case) = option("--case") {
        let case: Case = case.parse()?;
        let replayed = images::replay(&workloads, &case)?;
        let before = replayed.operations.len().saturating_sub(OPERATIONS_SHOWN);
        for operation in replayed.operations.iter().skip(before) {
            println!("  {operation}");
        }
        match &replayed.broken {
            None => println!("{case}: nothing is broken"),
            Some(broken) => println!("{case}: {:?}: {}", broken.promise, broken.what),
        }
        return Ok(replayed.broken.is_none());
    }
    if let Some(name) = option("--workload") {
        workloads.retain(|workload| workload.name() == *name);
        anyhow::ensure!(!workloads.is_empty(), "there is no workload {name}");
    }
    let (through, built) = (AtomicU64::new(0), AtomicU64::new(0));
    let mut tally: Tally = images::exhaust(&workloads, threads, &|images| {
        let built = built.fetch_add(images, Ordering::Relaxed) + images;
        let through = through.fetch_add(1, Ordering::Relaxed) + 1;
        if through.is_multiple_of(SIGN_EVERY) {
            eprintln!("{through} of {} workloads, {built} images", workloads.len());
        }
    });
    rot::exhaust(&mut tally);
    for (broken, case) in &tally.broken {
        println!("{:?}: {}", broken.promise, broken.what);
        println!("  replay: target/release/images --drawn {drawn} --case {case}");
    }
    if !tally.broken.is_empty() {
        println!("{tally}");
        return Ok(false);
    }
    let swept = sweep::run(threads);
    for wrong in &swept.wrong {
        println!("{wrong}");
    }
    println!("{swept}");
    println!("{tally}");
    Ok(swept.wrong.is_empty())
}
