//! One stage in a folder of its own, without delays, with small pages.

use std::path::Path;
use std::process::{Command, Output};
use std::time::Duration;

use scantrip_tests::program::{self, Running};
use scantrip_tests::stage::{Cast, Stage};
use serde_json::Value;
use tempfile::TempDir;

/// A workflow with one required field that is part of the file's name.
pub(crate) const INVOICES: &str = r#"name = "Invoices"

[[fields]]
name = "customer"
label = "Customer"
type = "text"
required = true

[scan]
resolutions_dpi = [75, 600]
duplex = false

[[steps]]
use = "assemble_pdf"

[[steps]]
use = "deliver_folder"
folder = "OUT"
name = "{customer} {counter:04}.pdf"
"#;

/// A stage and the folder it lives in; both go when it is dropped.
pub(crate) struct World {
    pub(crate) stage: Stage,
    folder: TempDir,
}

impl World {
    /// A running cloud with the tenant `Example AG` and the workflow `Invoices`.
    pub(crate) fn new() -> Self {
        Self::at(Vec::new())
    }

    /// As [`World::new`], with a cloud whose clock is off; see [`program::clock_off_by`].
    pub(crate) fn at(cloud_environment: Vec<(String, String)>) -> Self {
        Self::with(INVOICES, cloud_environment)
    }

    /// As [`World::at`], with another workflow, whose documents go to `OUT`.
    pub(crate) fn with(workflow: &str, cloud_environment: Vec<(String, String)>) -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let cast = Cast {
            agent: env!("CARGO_BIN_EXE_scantrip-under-test").into(),
            cloud: env!("CARGO_BIN_EXE_scantrip-cloud-under-test").into(),
            folder: folder.path().to_path_buf(),
            delays: [Duration::ZERO; 3],
            cloud_environment,
        };
        let out = folder.path().join("out").display().to_string();
        let stage = Stage::set_up(cast, &workflow.replace("OUT", &out)).expect("a stage");
        Self { stage, folder }
    }

    /// As [`World::new`], with an enrolled MFP that holds `sheets` sheets.
    pub(crate) fn enrolled(sheets: u32) -> Self {
        let world = Self::new();
        world.load(sheets, "");
        world.enroll();
        world
    }

    /// Configures the simulated MFP with a full feeder and faults such as `jam-after=3`.
    pub(crate) fn load(&self, sheets: u32, faults: &str) {
        let pages = self.folder.path().join("pages");
        let control = self.folder.path().join("printer.txt");
        let options = format!(
            "seed = \"1\"\nsheets = \"{sheets}\"\nduplex_content = \"false\"\nfaults = \"{faults}\"\n\
             dpi = \"600\"\nrecord = \"{}\"\ncontrol = \"{}\"",
            pages.display(),
            control.display()
        );
        self.stage
            .configure_agent(&options)
            .expect("a configuration");
    }

    /// Feeds the first page that was fed again and again, padded to `bytes` by application
    /// segments, which every reader of JPEG skips.
    pub(crate) fn feed_padded_page(&self, sheets: u32, bytes: usize) {
        let page = std::fs::read(self.folder().join("pages/0001.jpg")).expect("a page");
        let (start, rest) = page.split_at(2);
        let mut padded = start.to_vec();
        while padded.len() + rest.len() < bytes {
            padded.extend([0xFF, 0xEF, 0xFF, 0xFF]);
            padded.resize(padded.len() + 0xFFFD, b'.');
        }
        padded.extend(rest);
        let images = self.folder().join("images");
        std::fs::create_dir_all(&images).expect("a folder");
        #[expect(clippy::disallowed_methods, reason = "a test's own file")]
        std::fs::write(images.join("1.jpg"), padded).expect("a file");
        let options = format!("sheets = \"{sheets}\"\nimages = \"{}\"", images.display());
        self.stage
            .configure_agent(&options)
            .expect("a configuration");
    }

    /// Puts so many sheets into the feeder of an MFP that runs, or of the next one.
    pub(crate) fn reload(&self, sheets: usize) {
        let order = format!("sheets={sheets}");
        scantrip_tests::stage::write(&self.folder().join("printer.txt"), &order).expect("an order");
    }

    /// Gives an MFP that starts from now on pages that no other has.
    pub(crate) fn reseed(&self, seed: u64) {
        let file = self.folder.path().join("scantrip.toml");
        let text = std::fs::read_to_string(&file).expect("a configuration");
        let (before, rest) = text.split_once("seed = \"").expect("a seed");
        let (_, after) = rest.split_once('"').expect("a seed");
        let text = format!("{before}seed = \"{seed}\"{after}");
        scantrip_tests::stage::write(&file, &text).expect("a file");
    }

    /// Adds lines to the agent's configuration.
    pub(crate) fn configure_more(&self, lines: &str) {
        let file = self.folder.path().join("scantrip.toml");
        let text = std::fs::read_to_string(&file).expect("a configuration");
        scantrip_tests::stage::write(&file, &format!("{text}\n{lines}\n")).expect("a file");
    }

    /// Enrols the MFP with a fresh code.
    pub(crate) fn enroll(&self) {
        let code = self.stage.enrollment_code().expect("a code");
        let output = self.agent_with_input(&["enroll"], &code);
        assert!(output.status.success(), "enroll: {}", words(&output));
    }

    /// Runs an agent's command to its end.
    pub(crate) fn agent(&self, arguments: &[&str]) -> Output {
        self.agent_with_input(arguments, "")
    }

    /// As [`World::agent`], with a line on standard input.
    pub(crate) fn agent_with_input(&self, arguments: &[&str], line: &str) -> Output {
        let mut command = self.stage.agent();
        command.args(arguments);
        finish(&mut command, line)
    }

    /// Scans the stack into `Invoices` and waits for the result.
    pub(crate) fn scan(&self, customer: &str) -> Output {
        let field = format!("customer={customer}");
        self.agent(&["scan", "--workflow", "Invoices", "--field", &field])
    }

    /// The jobs that the agent's journal knows, newest first.
    pub(crate) fn jobs(&self) -> Vec<Value> {
        let jobs = self.stage.agent_json(&["jobs"]).expect("a list of jobs");
        jobs.as_array().expect("a list").clone()
    }

    /// A cloud's command with `--json`.
    pub(crate) fn cloud_json(&self, arguments: &[&str]) -> Value {
        let mut command = self.stage.cloud();
        let text = program::run(command.arg("--json").args(arguments)).expect("the cloud answers");
        serde_json::from_str(&text).expect("JSON")
    }

    /// The agent as a service.
    pub(crate) fn run_agent(&self) -> Running {
        self.stage.run_agent(&[]).expect("a running agent")
    }

    /// The folder of this world.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Fails unless one document was delivered, and it holds exactly the pages that were fed.
    pub(crate) fn expect_one_document(&self) {
        let delivered = self.stage.delivered().expect("the destination");
        assert_eq!(delivered.len(), 1, "delivered: {delivered:?}");
        let pages = scantrip_tests::stage::files(&self.folder().join("pages")).expect("pages");
        scantrip_tests::document::holds_exactly(&delivered[0], &pages).expect("the pages");
    }
}

/// Runs a command to its end and gives status and outputs.
pub(crate) fn finish(command: &mut Command, input: &str) -> Output {
    program::output_with_input(command, format!("{input}\n").as_bytes()).expect("it starts")
}

/// Both outputs of a program, for a message or a search.
pub(crate) fn words(output: &Output) -> String {
    let out = String::from_utf8_lossy(&output.stdout);
    let errors = String::from_utf8_lossy(&output.stderr);
    format!("{}\n{out}{errors}", output.status)
}
