//! The command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

/// Scans paper to the cloud: sealed on this device, signed for by the cloud, delivered once.
#[derive(Debug, Parser)]
#[command(
    name = "scantrip",
    version,
    disable_help_subcommand = true,
    after_help = "See `scantrip --help` for the exit codes."
)]
pub(crate) struct Cli {
    /// Settings to use [default: /etc/scantrip/scantrip.toml, if it is there]
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    /// Answer in JSON: one document, or one a line while a job runs
    #[arg(long, global = true)]
    pub(crate) json: bool,
    /// Log more, on standard error
    #[arg(long, short, global = true)]
    pub(crate) verbose: bool,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Run the agent until it is stopped
    ///
    /// Keeps in touch with the cloud, sends what is saved, and carries out what the other commands
    /// ask. Ends by SIGTERM or Ctrl-C; nothing is lost by that, nor by a power cut.
    Run,
    /// Make this device known to the cloud with an enrolment code
    ///
    /// Asks for the code without showing it. Without a terminal, the code is read from standard
    /// input. It is never taken from the command line, which other users can see.
    Enroll(EnrollOptions),
    /// Wipe identity, spool and journal from this device
    ///
    /// Tells first how many jobs would be lost because they are not in the cloud yet.
    Unenroll {
        /// Do not ask
        #[arg(long)]
        yes: bool,
    },
    /// Scan paper for a workflow and send it
    ///
    /// Follows the job until it is delivered or the cloud has signed for it. When the cloud cannot
    /// be reached, the job is saved here and will be sent. Ctrl-C stops the feeder; pages that are
    /// saved stay saved.
    Scan(ScanOptions),
    /// List the jobs, or decide about one
    Jobs {
        #[command(subcommand)]
        command: Option<JobsCommand>,
    },
    /// List the workflows of this device and what each asks
    Workflows,
    /// Tell how the agent does, on one page
    Status,
    /// Ask the cloud for news now
    Sync,
    /// Read the security settings of the device and judge them by a policy
    ///
    /// Tells what is wrong, how to mend it and where that is written. Without --policy, the policy
    /// is the tenant's, or else the baseline.
    Settings(SettingsOptions),
    /// Tell what the scanner is doing, what it can do, or which scanners there are
    Device {
        #[command(subcommand)]
        command: Option<DeviceCommand>,
    },
    /// Check or show the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Args)]
pub(crate) struct EnrollOptions {
    /// Read the code from a file; `-` is standard input
    #[arg(long, value_name = "FILE")]
    pub(crate) code_file: Option<PathBuf>,
    /// Taken only to tell why it is refused.
    #[arg(hide = true, value_name = "NOTHING")]
    pub(crate) refused: Vec<OsString>,
    /// Taken only to tell why it is refused.
    #[arg(long, hide = true, value_name = "NOTHING")]
    pub(crate) code: Option<OsString>,
}

#[derive(Debug, Args)]
pub(crate) struct SettingsOptions {
    /// File with a policy, or `baseline`, `strict` or `konica-minolta-enhanced-security`
    #[arg(long, value_name = "POLICY")]
    pub(crate) policy: Option<String>,
    /// Tell what changed since the first reading, or the last one that was accepted
    #[arg(long)]
    pub(crate) diff: bool,
    /// Take the settings as they are now as those that others are compared with
    #[arg(long, conflicts_with_all = ["diff", "pwg", "policy"])]
    pub(crate) accept: bool,
    /// Answer in the terms of PWG 5110.1, as JSON
    #[arg(long, conflicts_with_all = ["diff", "policy"])]
    pub(crate) pwg: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ScanOptions {
    /// Name or id of the workflow; see `scantrip workflows`
    #[arg(long, short, value_name = "NAME")]
    pub(crate) workflow: String,
    /// Value of a field; once for each field
    #[arg(long = "field", short, value_name = "KEY=VALUE", value_parser = field)]
    pub(crate) fields: Vec<(String, String)>,
    /// Where the paper is [default: the first of the workflow that the device has]
    #[arg(long, value_enum)]
    pub(crate) source: Option<Source>,
    /// Scan both sides [default: as the workflow says]
    #[arg(long, conflicts_with = "simplex")]
    pub(crate) duplex: bool,
    /// Scan one side
    #[arg(long)]
    pub(crate) simplex: bool,
    /// Colors [default: as the workflow says]
    #[arg(long, value_enum)]
    pub(crate) color: Option<ColorMode>,
    /// Dots per inch [default: as the workflow says]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) dpi: Option<u16>,
    /// Keep the job open when the stack is through, to add more with `scantrip jobs continue`
    #[arg(long)]
    pub(crate) hold: bool,
}

/// Where the paper is.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum Source {
    /// The document feeder
    Adf,
    /// The glass
    Platen,
}

/// Colors of a scan.
#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum ColorMode {
    /// 24-bit color
    Color,
    /// 8-bit gray
    Gray,
    /// Black and white
    Bw,
}

#[derive(Debug, Subcommand)]
pub(crate) enum JobsCommand {
    /// Tell all about a job
    Show(JobName),
    /// Wait until a job is delivered
    Wait(JobName),
    /// Send a draft with the pages that are saved
    Finish(JobName),
    /// Scan more pages into a draft: the next stack, or the rest after a jam
    Continue {
        #[command(flatten)]
        job: JobName,
        /// Keep the job open when the stack is through
        #[arg(long)]
        hold: bool,
        /// Scan the sheet of this page again, which is the last one; what was saved of it does not count
        #[arg(long, value_name = "PAGE")]
        again: Option<u32>,
    },
    /// Throw a job away, here and in the cloud
    Discard(JobName),
}

#[derive(Debug, Subcommand)]
pub(crate) enum DeviceCommand {
    /// Look for scanners on the network (AirScan, eSCL)
    Discover,
    /// Tell what the scanner can do
    Capabilities,
    /// Tell what scanner and feeder are doing
    Status,
}

#[derive(Debug, Args)]
pub(crate) struct JobName {
    /// The job's id, or the beginning of it
    #[arg(value_name = "JOB")]
    pub(crate) id: String,
}

#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Tell every mistake in the file
    Check {
        /// File to check [default: the one that would be used]
        file: Option<PathBuf>,
    },
    /// Tell every value in effect; secrets are hidden
    Show,
}

/// `KEY=VALUE`.
fn field(text: &str) -> Result<(String, String), String> {
    let (key, value) = text
        .split_once('=')
        .ok_or("write it as KEY=VALUE, such as customer=4711")?;
    if key.is_empty() {
        return Err("the key before \"=\" is missing".to_owned());
    }
    Ok((key.to_owned(), value.to_owned()))
}

impl Source {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Adf => "adf",
            Self::Platen => "platen",
        }
    }
}

impl ColorMode {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Color => "color",
            Self::Gray => "gray",
            Self::Bw => "bw",
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn definition_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_command_is_documented() {
        let text = include_str!("../../../docs/operations/commands.md");
        for command in Cli::command().get_subcommands() {
            let name = format!("`scantrip {}", command.get_name());
            assert!(
                text.contains(&name),
                "docs/operations/commands.md lacks {name}"
            );
            for inner in command.get_subcommands() {
                let name = format!("{name} {}", inner.get_name());
                assert!(
                    text.contains(&name),
                    "docs/operations/commands.md lacks {name}"
                );
            }
            for option in command.get_arguments().filter(|it| !it.is_hide_set()) {
                let Some(long) = option.get_long().filter(|it| *it != "help") else {
                    continue;
                };
                let option = format!("`--{long}");
                assert!(
                    text.contains(&option),
                    "docs/operations/commands.md lacks {option}"
                );
            }
        }
    }
}
