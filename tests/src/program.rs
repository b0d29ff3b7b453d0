//! Runs the shipped programs, and those of others, as a person at a terminal would.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use anyhow::{Context, bail};

/// Where cargo put a program of this workspace: beside the one that runs, or one folder up.
///
/// # Errors
/// When it has not been built.
pub fn built(name: &str) -> anyhow::Result<PathBuf> {
    let here = std::env::current_exe().context("cannot tell where this program lies")?;
    here.ancestors()
        .skip(1)
        .take(2)
        .map(|folder| folder.join(name))
        .find(|path| path.is_file())
        .with_context(|| format!("{name} is not built; run `make demo` or `make test`"))
}

/// A command line for `program`; the harness is the one place that starts programs.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "a harness starts the programs it tests"
)]
pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.stdin(Stdio::null());
    command
}

/// Runs to the end and gives what was printed; fails when the program does.
///
/// # Errors
/// When it cannot be started or exits with anything but 0, with both its outputs.
pub fn run(command: &mut Command) -> anyhow::Result<String> {
    run_with_input(command, b"")
}

/// As [`run`], with `input` on standard input.
///
/// # Errors
/// As [`run`].
pub fn run_with_input(command: &mut Command, input: &[u8]) -> anyhow::Result<String> {
    let output = output_with_input(command, input)?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!("{command:?} ended with {}\n{text}{errors}", output.status);
    }
    Ok(text)
}

/// Runs to the end and gives status and both outputs, whatever they are.
///
/// # Errors
/// When it cannot be started.
pub fn output_with_input(command: &mut Command, input: &[u8]) -> anyhow::Result<Output> {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot start {command:?}"))?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ends without reading its input is no fault of the harness.
        drop(stdin.write_all(input));
    }
    child
        .wait_with_output()
        .with_context(|| format!("cannot wait for {command:?}"))
}

/// `RssAnon` of a process (proc(5)), in bytes.
#[must_use]
pub fn rss_anon(process: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{process}/status")).ok()?;
    let line = status.lines().find(|line| line.starts_with("RssAnon:"))?;
    let kilobytes: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kilobytes * 1024)
}

/// Files and connections that a process has open.
#[must_use]
pub fn descriptors(process: u32) -> Option<usize> {
    Some(fs::read_dir(format!("/proc/{process}/fd")).ok()?.count())
}

/// A program that keeps running; killed when dropped.
pub struct Running {
    child: Child,
    lines: Option<BufReader<ChildStdout>>,
}

impl Running {
    /// Starts it, with its errors appended to `log`.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start(command: &mut Command, log: &Path) -> anyhow::Result<Self> {
        let errors = File::options().create(true).append(true).open(log)?;
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .with_context(|| format!("cannot start {command:?}"))?;
        let stdout = child
            .stdout
            .take()
            .context("the program has no standard output")?;
        Ok(Self {
            child,
            lines: Some(BufReader::new(stdout)),
        })
    }

    /// As [`Running::start`], with everything it prints in `file`, which is made anew.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn start_into(command: &mut Command, file: &Path) -> anyhow::Result<Self> {
        let output = File::options()
            .create(true)
            .write(true)
            .truncate(true)
            .open(file)?;
        let errors = output.try_clone()?;
        let child = command.stdout(output).stderr(errors).spawn();
        Ok(Self {
            child: child.with_context(|| format!("cannot start {command:?}"))?,
            lines: None,
        })
    }

    /// Reads printed lines until one starts with `prefix`; gives the rest of that line.
    ///
    /// # Errors
    /// When the program ends before it.
    pub fn wait_for(&mut self, prefix: &str) -> anyhow::Result<String> {
        let mut line = String::new();
        let lines = self.lines.as_mut().context("it prints into a file")?;
        while lines.read_line(&mut line)? > 0 {
            if let Some(rest) = line.trim_end().strip_prefix(prefix) {
                return Ok(rest.to_owned());
            }
            line.clear();
        }
        bail!(
            "the program ended ({:?}) before it printed {prefix:?}",
            self.child.wait()?
        )
    }

    /// The process id.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// Kills it at once (SIGKILL), as a power cut would.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn kill(&mut self) -> io::Result<()> {
        self.child.kill()?;
        self.child.wait().map(drop)
    }

    /// Whether it has ended.
    ///
    /// # Errors
    /// When it cannot be asked.
    pub fn has_ended(&mut self) -> io::Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    /// Waits until this program or `other` ends.
    ///
    /// # Errors
    /// When they cannot be asked.
    pub fn wait_or(&mut self, other: &mut Self) -> io::Result<()> {
        while !self.has_ended()? && !other.has_ended()? {
            rest();
        }
        Ok(())
    }

    /// Waits for its end and gives whether it ended well.
    ///
    /// # Errors
    /// When it cannot be waited for.
    pub fn wait(&mut self) -> io::Result<bool> {
        Ok(self.child.wait()?.success())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// Waits for another process to bring `condition` about; panics after a minute without it.
pub fn until(what: &str, condition: impl Fn() -> bool) {
    for _ in 0..6000 {
        if condition() {
            return;
        }
        rest();
    }
    panic!("it has not come about that {what}");
}

/// Environment variables that set a program's clock off, for example by `-390d`; its intervals
/// stay true. Debian's `faketime` does it.
///
/// # Errors
/// When the library is not installed; `make setup` does that.
pub fn clock_off_by(offset: &str) -> anyhow::Result<Vec<(String, String)>> {
    let library = fs::read_dir("/usr/lib")?
        .flatten()
        .map(|entry| entry.path().join("faketime/libfaketime.so.1"))
        .find(|path| path.is_file())
        .context("faketime is not installed; run `make setup`")?;
    Ok([
        ("LD_PRELOAD", library.display().to_string()),
        ("FAKETIME", offset.to_owned()),
        ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec())
}

/// Lets other processes run for so long: the instant of a fault, not a wait for a result.
#[expect(
    clippy::disallowed_methods,
    reason = "the instant of a fault in a real process"
)]
pub fn pause(time: Duration) {
    thread::sleep(time);
}

#[expect(
    clippy::disallowed_methods,
    reason = "two processes cannot be waited for at once"
)]
fn rest() {
    thread::sleep(Duration::from_millis(10));
}
