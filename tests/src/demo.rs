//! The demonstration: enrol, read the settings, fetch a workflow, scan, seal, push, receipt, PDF.
#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "the demo talks to a person"
)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use serde_json::{Value, json};

use crate::document;
use crate::program;
use crate::stage::{self, Cast, DOORS, Stage};

const WORKFLOW: &str = r#"name = "Invoices"

[[fields]]
name = "customer"
label = "Customer"
type = "text"
required = true

[scan]
sources = ["adf", "platen"]
color_modes = ["color"]
resolutions_dpi = [300]
duplex = true

[[steps]]
use = "assemble_pdf"

[[steps]]
use = "deliver_folder"
folder = "OUT"
name = "{date} {customer} {counter:04}.pdf"
"#;

/// Ten sheets, both sides.
const SHEETS: u32 = 10;

/// How the demonstration is to be played.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// Leave cloud and agent running and say what to try next.
    pub keep: bool,
}

/// Plays the whole demonstration in `target/demo` and checks what came out.
///
/// # Errors
/// When a step fails or the document is not exactly what was fed.
pub fn play(options: &Options) -> anyhow::Result<()> {
    let started = now();
    let folder = empty_folder()?;
    step("Starting the cloud with a fresh CA, a tenant and a workflow behind three front doors");
    let workflow = WORKFLOW.replace("OUT", &folder.join("out").display().to_string());
    let mut stage = Stage::set_up(cast(&folder)?, &workflow)?;
    stage.configure_agent(&sim_options(&folder))?;

    enroll(&stage)?;
    let _agent = stage.run_agent(&[])?;
    program::run(stage.agent().arg("sync"))?;
    show_entry_points(&stage)?;
    step("Reading the printer's security settings");
    show(&stage, &["settings"])?;
    step("Workflows that the cloud offers this printer");
    show(&stage, &["workflows"])?;
    step(&format!(
        "Scanning {SHEETS} sheets, both sides, into the workflow \"Invoices\""
    ));
    let scan = [
        "scan",
        "--workflow",
        "Invoices",
        "--field",
        "customer=Müller & Co",
        "--duplex",
    ];
    show(&stage, &scan)?;

    let summary = check(&stage, &folder, started)?;
    tell(&summary, &folder);
    if options.keep {
        keep(&mut stage, &folder)?;
    }
    Ok(())
}

/// Prints an error with its causes, each once.
#[must_use]
pub fn report(error: &anyhow::Error) -> ExitCode {
    eprintln!("\nthe demonstration failed: {error:#}");
    eprintln!("its logs are target/demo/cloud.log and target/demo/agent.log");
    ExitCode::FAILURE
}

fn empty_folder() -> anyhow::Result<PathBuf> {
    let target = program::built("demo")?;
    let target = target
        .parent()
        .and_then(Path::parent)
        .context("not in a target folder")?;
    let folder = target.join("demo");
    if folder.exists() {
        fs::remove_dir_all(&folder).with_context(|| format!("cannot empty {folder:?}"))?;
    }
    fs::create_dir_all(folder.join("pages"))?;
    Ok(folder)
}

fn cast(folder: &Path) -> anyhow::Result<Cast> {
    Ok(Cast {
        agent: program::built("scantrip")?,
        cloud: program::built("scantrip-cloud")?,
        folder: folder.to_path_buf(),
        delays: DOORS.map(|(_, _, delay)| delay),
        cloud_environment: Vec::new(),
    })
}

fn sim_options(folder: &Path) -> String {
    let folder = folder.display();
    format!(
        "seed = \"2026\"\nsheets = \"{SHEETS}\"\nrecord = \"{folder}/pages\"\n\
         control = \"{folder}/printer.txt\""
    )
}

fn enroll(stage: &Stage) -> anyhow::Result<()> {
    let code = stage.enrollment_code()?;
    step("Enrolling the printer with a one-time code");
    println!("  The tenant's admin reads out the code {code}; the technician types it in.");
    let mut command = stage.agent();
    let printed = program::run_with_input(command.arg("enroll"), format!("{code}\n").as_bytes())?;
    indent(&printed);
    Ok(())
}

fn show_entry_points(stage: &Stage) -> anyhow::Result<()> {
    step("Measuring the way to each front door");
    let status = stage.agent_json(&["status"])?;
    let entry = status
        .get("entry_point")
        .context("no entry point in the status")?;
    for door in entry
        .get("measured")
        .and_then(Value::as_array)
        .into_iter()
        .flatten()
    {
        let part = |at: usize| door.get(at).cloned().unwrap_or_default();
        let (name, region, took) = (part(0), part(1), part(2));
        println!(
            "  {:<10} {:<15} {:>4} ms",
            name.as_str().unwrap_or_default(),
            region.as_str().unwrap_or_default(),
            took
        );
    }
    println!(
        "  Chosen: {} ({})",
        text(entry, "name")?,
        text(entry, "why")?
    );
    println!("  Connection: {}", text(&status, "tls")?);
    Ok(())
}

fn check(stage: &Stage, folder: &Path, started: Instant) -> anyhow::Result<Value> {
    let jobs = stage.agent_json(&["jobs"])?;
    let job = jobs.get(0).context("the agent knows no job")?;
    ensure!(text(job, "state")? == "delivered", "the job is {job}");
    let pages = stage::files(&folder.join("pages"))?;
    ensure!(
        pages.len() == 2 * SHEETS as usize,
        "the scanner fed {} pages",
        pages.len()
    );
    let delivered = stage.delivered()?;
    let [document] = delivered.as_slice() else {
        anyhow::bail!("{} documents were delivered, not one", delivered.len());
    };
    document::holds_exactly(document, &pages)?;
    let status = stage.agent_json(&["status"])?;
    let tls = text(&status, "tls")?;
    let (version, suite) = tls.rsplit_once(' ').context("no TLS version and suite")?;
    let summary = json!({
        "tls_version": version,
        "cipher_suite": suite,
        "entry_point": status.pointer("/entry_point/name"),
        "pages": pages.len(),
        "document": document,
        "document_bytes": fs::metadata(document)?.len(),
        "receipt_code": job.get("receipt_code"),
        "sealed_bytes": sealed_bytes(stage, text(job, "job")?)?,
        "elapsed_ms": u64::try_from((now() - started).as_millis())?,
    });
    stage::write(&folder.join("summary.json"), &format!("{summary:#}\n"))?;
    Ok(summary)
}

/// What the cloud says it took for the job.
fn sealed_bytes(stage: &Stage, job: &str) -> anyhow::Result<u64> {
    let answer = program::run(stage.cloud().args(["--json", "job", "show", job]))?;
    let job: Value = serde_json::from_str(&answer)?;
    job.get("sealed_bytes")
        .and_then(Value::as_u64)
        .context("no size in the cloud's answer")
}

fn tell(summary: &Value, folder: &Path) {
    let show = |key: &str| {
        summary
            .get(key)
            .map(ToString::to_string)
            .unwrap_or_default()
    };
    step("Done: the document holds exactly the bytes that the scanner fed, in their order");
    println!("  Document   {}", show("document"));
    println!("  Receipt    {}", show("receipt_code"));
    println!(
        "  Sealed     {} bytes in {} pages",
        show("sealed_bytes"),
        show("pages")
    );
    println!("  Summary    {}", folder.join("summary.json").display());
    println!(
        "\nLook further: open the document, compare it with {}/pages/,",
        folder.display()
    );
    println!("read docs/ARCHITECTURE.md, or run `make demo KEEP=1` and play on.");
}

/// Leaves everything running until the person presses Enter or Ctrl-C.
fn keep(stage: &mut Stage, folder: &Path) -> anyhow::Result<()> {
    let folder = folder.display();
    let agent = format!("target/release/scantrip --config {folder}/scantrip.toml");
    println!("\nCloud and agent keep running. Try, in a second terminal:");
    println!("\n  Another scan:    echo 'sheets=3' > {folder}/printer.txt");
    println!("                   {agent} scan --workflow Invoices --field customer=Again");
    println!("\n  A paper jam:     echo 'sheets=5 faults=jam-after=2' > {folder}/printer.txt");
    println!("                   {agent} scan --workflow Invoices --field customer=Jam");
    println!("                   {agent} jobs                 (shows the job's id)");
    println!("                   echo 'sheets=3' > {folder}/printer.txt");
    println!("                   {agent} jobs continue ID     (goes on after the jam)");
    println!("\n  Pull the network: touch {folder}/unplugged     (and rm it to plug in again)");
    println!("\n  How it is:       {agent} status");
    println!("                   target/release/scantrip-cloud --data {folder}/cloud job list");
    println!("\nPress Ctrl-C to end.");
    let switch = stage.path("unplugged");
    loop {
        let unplugged = switch.exists();
        stage.doors().for_each(|door| door.set_unplugged(unplugged));
        pause();
        let ended = stage.serving().is_none();
        ensure!(!ended, "the cloud has ended");
    }
}

fn show(stage: &Stage, arguments: &[&str]) -> anyhow::Result<()> {
    let mut command = stage.agent();
    let status = command
        .args(arguments)
        .status()
        .context("cannot start the agent")?;
    ensure!(
        status.success(),
        "scantrip {} ended with {status}",
        arguments.join(" ")
    );
    Ok(())
}

fn step(words: &str) {
    println!("\n== {words}");
}

fn indent(text: &str) {
    text.lines().for_each(|line| println!("  {line}"));
}

fn text<'a>(value: &'a Value, key: &str) -> anyhow::Result<&'a str> {
    value
        .get(key)
        .and_then(Value::as_str)
        .with_context(|| format!("no {key} in {value}"))
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demo tells a person how long it took"
)]
fn now() -> Instant {
    Instant::now()
}

#[expect(
    clippy::disallowed_methods,
    reason = "the demo looks twice a second for the cable"
)]
fn pause() {
    thread::sleep(Duration::from_millis(500));
}
