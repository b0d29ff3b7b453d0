//! Measures, tells, and writes `target/bench/summary.json`. Only a missed limit fails
//! (`goals`).
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a bench talks to a person"
)]

mod fleet;
mod goals;
mod instructions;
mod memory;
mod pairs;
mod paths;
mod restart;
mod server;
mod spool;
mod stats;
mod upload;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::program;
use crate::stage::{Cast, Stage, write};

const WORKFLOW: &str = r#"name = "Bench"

[scan]
resolutions_dpi = [75]

[[steps]]
use = "assemble_pdf"

[[steps]]
use = "deliver_folder"
folder = "OUT"
name = "{date} {counter:04}.pdf"
"#;

/// Runs what the arguments name; without any, every measurement. Prints and writes the summary.
#[must_use]
pub fn run(arguments: &[String]) -> ExitCode {
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let done = match arguments[..] {
        [] => measure(),
        [name @ ("spool" | "upload" | "restart" | "memory")] => {
            target_folder().and_then(|target| part(name, &fresh(&target.join("bench"))?).map(drop))
        }
        ["server"] => target_folder().and_then(|target| {
            let folder = fresh(&target.join("bench"))?;
            server::measure(&folder.join("server"), server::ALL).map(drop)
        }),
        ["connections"] => target_folder().and_then(|target| {
            let folder = fresh(&target.join("bench"))?;
            let parts = [server::Part::Idle, server::Part::Attack];
            server::measure(&folder.join("server"), &parts).map(drop)
        }),
        ["twin", folder] => server::twin::serve(Path::new(folder)),
        ["gate"] => instructions::gate().map(drop),
        ["path", name, operations] => operations
            .parse()
            .context("not a number")
            .and_then(|operations| instructions::run(name, operations)),
        _ => Err(anyhow::anyhow!("no such bench: {arguments:?}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("the bench failed: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> anyhow::Result<()> {
    let target = target_folder()?;
    let folder = fresh(&target.join("bench"))?;
    let mut summary = serde_json::Map::new();
    let mut keep = |part: &Value| {
        summary.extend(part.as_object().into_iter().flatten().map(own));
    };
    let size = binary_size(&target)?;
    tell(&size);
    keep(&size);
    for name in ["spool", "upload", "restart", "memory"] {
        keep(&part(name, &folder)?);
    }
    // It takes long and tells each of its figures at once.
    keep(&server::measure(&folder.join("server"), server::ALL)?);
    let verdict = goals::judge(&mut summary);
    println!("{}", verdict.table);
    write(
        &folder.join("summary.json"),
        &format!("{:#}\n", Value::Object(summary)),
    )?;
    ensure!(
        verdict.missed.is_empty(),
        "over the limit: {}",
        verdict.missed.join(", ")
    );
    Ok(())
}

/// One part of the bench, told.
fn part(name: &str, folder: &Path) -> anyhow::Result<Value> {
    let folder = folder.join(name);
    let told = match name {
        "spool" => spool::against_the_ceiling(&folder)?,
        "upload" => upload::against_curl(&stage(&folder)?)?,
        "restart" => restart::with_ten_thousand_jobs(stage(&folder)?)?,
        _ => memory::of_a_long_job(&stage(&folder)?)?,
    };
    tell(&told);
    Ok(told)
}

/// Puts the figures of `part` beside those in `all`.
fn merge(all: &mut Value, part: Value) {
    match (all, part) {
        (Value::Object(all), Value::Object(part)) => all.extend(part),
        (all, part) => *all = part,
    }
}

/// An empty folder.
fn fresh(folder: &Path) -> anyhow::Result<PathBuf> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    fs::create_dir_all(folder)?;
    Ok(folder.to_path_buf())
}

fn own((key, value): (&String, &Value)) -> (String, Value) {
    (key.clone(), value.clone())
}

/// Prints figures, one a line.
fn tell(part: &Value) {
    for (key, value) in part.as_object().into_iter().flatten() {
        println!("{key:<40} {value}");
    }
}

fn target_folder() -> anyhow::Result<PathBuf> {
    let program = program::built("bench")?;
    let target = program
        .parent()
        .and_then(Path::parent)
        .context("not in a target folder")?;
    Ok(target.to_path_buf())
}

/// The stripped agent as it goes on a device, without the simulated MFP. Aim: 3 MiB.
fn binary_size(target: &Path) -> anyhow::Result<Value> {
    let path = target.join("dist/scantrip");
    let bytes = fs::metadata(&path)
        .with_context(|| format!("{path:?} is not built"))?
        .len();
    Ok(json!({ "agent_binary_bytes": bytes }))
}

/// A stage of its own without delays on the lines.
fn stage(folder: &Path) -> anyhow::Result<Stage> {
    let cast = Cast {
        agent: program::built("scantrip")?,
        cloud: program::built("scantrip-cloud")?,
        folder: folder.to_path_buf(),
        delays: [Duration::ZERO; 3],
        cloud_environment: Vec::new(),
    };
    fs::create_dir_all(folder)?;
    Stage::set_up(
        cast,
        &WORKFLOW.replace("OUT", &folder.join("out").display().to_string()),
    )
}

#[expect(clippy::disallowed_methods, reason = "a bench reads the real clock")]
fn now() -> Instant {
    Instant::now()
}
