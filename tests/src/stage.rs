//! A whole small world on loopback: a cloud with a tenant and a workflow, three front doors before
//! it, and one simulated MFP. The demo and the end-to-end tests play on it.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::Context;
use serde_json::Value;

use crate::front_door::FrontDoor;
use crate::program::{self, Running};

/// The front doors: name, region and the delay of the line, one way.
pub const DOORS: [(&str, &str, Duration); 3] = [
    ("Virginia", "us-east-1", Duration::from_millis(45)),
    ("Frankfurt", "eu-central-1", Duration::from_millis(6)),
    ("Tokyo", "ap-northeast-1", Duration::from_millis(110)),
];

/// Which programs play, and where.
#[derive(Clone)]
pub struct Cast {
    /// The agent.
    pub agent: PathBuf,
    /// The cloud.
    pub cloud: PathBuf,
    /// Everything is below this folder.
    pub folder: PathBuf,
    /// Delays of the three lines.
    pub delays: [Duration; 3],
    /// Extra environment variables of the cloud, for example its clock.
    pub cloud_environment: Vec<(String, String)>,
}

/// A world that has been set up: cloud running, nothing enrolled.
pub struct Stage {
    cast: Cast,
    doors: Vec<(String, FrontDoor)>,
    serving: Option<Running>,
    address: Option<SocketAddr>,
}

impl Stage {
    /// Makes cloud, tenant, workflow and front doors in an empty folder, and starts the cloud.
    ///
    /// # Errors
    /// When a program fails; the error holds what it printed.
    pub fn set_up(cast: Cast, workflow: &str) -> anyhow::Result<Self> {
        fs::create_dir_all(cast.folder.join("out"))?;
        let mut doors = Vec::new();
        let mut stage_init = vec![
            "init".to_owned(),
            "--name".to_owned(),
            "localhost".to_owned(),
        ];
        for ((name, region, _), delay) in DOORS.iter().zip(cast.delays) {
            let door = FrontDoor::open(delay)?;
            let url = format!("https://localhost:{}", door.address().port());
            stage_init.extend(["--entry-point".to_owned(), format!("{name},{region},{url}")]);
            doors.push(((*name).to_owned(), door));
        }
        let mut stage = Self {
            cast,
            doors,
            serving: None,
            address: None,
        };
        program::run(stage.cloud().args(&stage_init))?;
        stage.serve(&[])?;
        program::run(stage.cloud().args(["tenant", "add", "Example AG"]))?;
        let file = stage.path("workflow.toml");
        write(&file, workflow)?;
        program::run(
            stage
                .cloud()
                .args(["workflow", "add", "--tenant", "Example AG"])
                .arg(&file),
        )?;
        Ok(stage)
    }

    /// Starts the cloud (again) with extra environment variables, and opens the doors to it.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn serve(&mut self, environment: &[(&str, &str)]) -> anyhow::Result<()> {
        self.serving = None;
        let mut command = self.cloud();
        command
            .args(["serve", "--listen", "127.0.0.1:0"])
            .envs(environment.iter().copied());
        let mut serving = Running::start(&mut command, &self.path("cloud.log"))?;
        let address = serving.wait_for("listening on https://")?;
        let address = address
            .parse()
            .with_context(|| format!("not an address: {address}"))?;
        self.address = Some(address);
        for (_, door) in &self.doors {
            door.relay_to(address);
        }
        self.serving = Some(serving);
        Ok(())
    }

    /// Starts the cloud again with its clock set right.
    ///
    /// # Errors
    /// When it does not come up.
    pub fn serve_today(&mut self) -> anyhow::Result<()> {
        self.cast.cloud_environment.clear();
        self.serve(&[])
    }

    /// Where the cloud itself listens, behind its front doors.
    #[must_use]
    pub const fn cloud_address(&self) -> Option<SocketAddr> {
        self.address
    }

    /// The running cloud, to be killed or waited for.
    pub const fn serving(&mut self) -> Option<&mut Running> {
        self.serving.as_mut()
    }

    /// Kills the cloud at once.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill_cloud(&mut self) -> std::io::Result<()> {
        self.serving.take().map_or(Ok(()), |mut cloud| cloud.kill())
    }

    /// The front door of that name.
    #[must_use]
    pub fn door(&self, name: &str) -> Option<&FrontDoor> {
        self.doors
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, door)| door)
    }

    /// Every front door.
    pub fn doors(&self) -> impl Iterator<Item = &FrontDoor> {
        self.doors.iter().map(|(_, door)| door)
    }

    /// Writes the agent's configuration, with the simulated MFP's options as TOML lines.
    ///
    /// # Errors
    /// When a file cannot be written.
    pub fn configure_agent(&self, options: &str) -> anyhow::Result<()> {
        let port = self.door("Virginia").context("no door")?.address().port();
        let folder = self.cast.folder.display();
        let text = format!(
            "[device]\nbackend = \"sim\"\n\n[device.options]\n{options}\n\n\
             [cloud]\nbootstrap_url = \"https://localhost:{port}\"\n\
             ca_file = \"{folder}/cloud/ca.pem\"\n\n\
             [paths]\nstate = \"{folder}/agent\"\nkeys = \"{folder}/agent-keys\"\n\
             socket = \"{folder}/agent-run/agent.sock\"\n"
        );
        write(&self.path("scantrip.toml"), &text)
    }

    /// A fresh enrolment code for any device of the tenant.
    ///
    /// # Errors
    /// When the cloud refuses.
    pub fn enrollment_code(&self) -> anyhow::Result<String> {
        let arguments = ["--json", "device", "code", "--tenant", "Example AG"];
        let answer: Value = serde_json::from_str(&program::run(self.cloud().args(arguments))?)?;
        let code = answer
            .get("code")
            .and_then(Value::as_str)
            .context("no code in the answer")?;
        Ok(code.to_owned())
    }

    /// Starts the agent as a service, with extra environment variables.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn run_agent(&self, environment: &[(&str, &str)]) -> anyhow::Result<Running> {
        let mut command = self.agent();
        command.arg("run").envs(environment.iter().copied());
        let mut running = Running::start(&mut command, &self.path("agent.log"))?;
        running.wait_for("ready")?;
        Ok(running)
    }

    /// A command line of the agent on this stage.
    #[must_use]
    pub fn agent(&self) -> Command {
        let mut command = program::command(&self.cast.agent);
        command.arg("--config").arg(self.path("scantrip.toml"));
        command
    }

    /// A command line of the cloud on this stage.
    #[must_use]
    pub fn cloud(&self) -> Command {
        let mut command = program::command(&self.cast.cloud);
        command.arg("--data").arg(self.path("cloud"));
        command.envs(
            self.cast
                .cloud_environment
                .iter()
                .map(|(name, value)| (name, value)),
        );
        command
    }

    /// The answer of an agent's command with `--json`.
    ///
    /// # Errors
    /// When the command fails or prints something else.
    pub fn agent_json(&self, arguments: &[&str]) -> anyhow::Result<Value> {
        let text = program::run(self.agent().arg("--json").args(arguments))?;
        serde_json::from_str(&text).with_context(|| format!("not JSON: {text}"))
    }

    /// A path on this stage.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.cast.folder.join(name)
    }

    /// What was delivered, by name.
    ///
    /// # Errors
    /// When the folder cannot be read.
    pub fn delivered(&self) -> anyhow::Result<Vec<PathBuf>> {
        files(&self.path("out"))
    }
}

/// The files of a folder, sorted by name.
///
/// # Errors
/// When the folder cannot be read.
pub fn files(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| format!("no folder {folder:?}"))?;
    let mut files: Vec<PathBuf> = entries.flatten().map(|entry| entry.path()).collect();
    files.sort();
    Ok(files)
}

/// Writes a text file of the harness.
///
/// # Errors
/// When it cannot be written.
#[expect(
    clippy::disallowed_methods,
    reason = "what the harness writes need not survive a crash"
)]
pub fn write(path: &Path, text: &str) -> anyhow::Result<()> {
    fs::write(path, text).with_context(|| format!("cannot write {path:?}"))
}
