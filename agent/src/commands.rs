//! The commands: what a person or a script types.
//!
//! With an agent running, a command asks it over the local socket; else it owns the state itself
//! for as long as it runs. Each command talks to a [`Service`](crate::api::Service) and does not
//! know which of the two it is. `docs/operations/commands.md` is the reference for people.

mod access;
mod args;
mod config;
pub(crate) mod device;
mod enroll;
mod exit;
mod failure;
mod follow;
mod jobs;
mod output;
mod prompt;
mod run;
mod scan;
mod settings;
mod view;

use std::ffi::OsString;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use clap::{CommandFactory as _, FromArgMatches as _};
use scantrip_config::Config;
use scantrip_hal::backends::system::SystemClock;
use scantrip_hal::clock::Clock;

use crate::logging;
use crate::runtime::Mode;
use access::Access;
use args::{Cli, Command, ConfigCommand, JobsCommand};
pub use exit::Exit;
use failure::Failure;
use output::Output;
use prompt::{Person, Terminal};
#[cfg(test)]
pub(crate) use settings::reading;

/// Runs a command. `args` begins with the program's name.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let parsed = Cli::command()
        .after_long_help(exit::help())
        .try_get_matches_from(args)
        .and_then(|matches| Cli::from_arg_matches(&matches));
    let cli = match parsed {
        Ok(cli) => cli,
        Err(error) => {
            // Help goes to standard output, mistakes to standard error; neither may be there.
            let _printed = error.print();
            let wrong = error.use_stderr();
            return if wrong { Exit::Usage } else { Exit::Done }.into();
        }
    };
    let mut world = World {
        output: Output::standard(cli.json),
        person: Box::new(Terminal),
        clock: Arc::new(SystemClock::new()),
        open: access::open,
        interrupted: run::interrupts,
    };
    world.carry_out(&cli).into()
}

/// Reaches the agent, or starts one for what the mode says.
type Open = fn(&Config, &Arc<dyn Clock>, Mode) -> Result<Access, Failure>;

/// What a command works with; a test brings its own.
struct World<'a> {
    /// Where answers go.
    output: Output<'a>,
    /// Who answers questions.
    person: Box<dyn Person + 'a>,
    /// Time for rates and ages.
    clock: Arc<dyn Clock>,
    /// Reaches the agent.
    open: Open,
    /// From now on, Ctrl-C sets this flag instead of ending the process.
    interrupted: fn() -> Arc<AtomicBool>,
}

impl World<'_> {
    /// Carries out a command and tells what went wrong.
    fn carry_out(&mut self, cli: &Cli) -> Exit {
        match self.dispatch(cli) {
            Ok(()) => Exit::Done,
            Err(failure) => {
                self.output.failure(&failure);
                failure.exit
            }
        }
    }

    fn dispatch(&mut self, cli: &Cli) -> Result<(), Failure> {
        if let Command::Config(command) = &cli.command {
            return match command {
                ConfigCommand::Check { file } => {
                    config::check(self, file.as_deref().or(cli.config.as_deref()))
                }
                ConfigCommand::Show => config::show(self, cli.config.as_deref()),
            };
        }
        if let Command::Enroll(options) = &cli.command {
            enroll::refuse_code_in_arguments(options)?;
        }
        let config = config::load(cli.config.as_deref())?;
        logging::start(log_level(cli, &config));
        if matches!(cli.command, Command::Run) {
            return run::run(self, &config);
        }
        if let Command::Device { command } = &cli.command {
            return device::device(self, &config, command.as_ref());
        }
        let access = (self.open)(&config, &self.clock, mode(&cli.command));
        if let Command::Settings(options) = &cli.command {
            return settings::settings(self, &config, access, options);
        }
        let access = access?;
        match &cli.command {
            Command::Enroll(options) => enroll::enroll(self, &access, options),
            Command::Unenroll { yes } => enroll::unenroll(self, &access, *yes),
            Command::Scan(options) => scan::scan(self, &access, options),
            Command::Jobs { command } => jobs::jobs(self, &access, command.as_ref()),
            Command::Workflows => view::workflows(self, &access),
            Command::Status => view::status(self, &access),
            Command::Sync => view::sync(self, &access),
            Command::Run | Command::Config(_) | Command::Device { .. } | Command::Settings(_) => {
                Ok(())
            }
        }
    }
}

/// What an agent in this process is started for: a command that only looks must not wait for the
/// network, nor send what waits.
const fn mode(command: &Command) -> Mode {
    match command {
        Command::Status
        | Command::Workflows
        | Command::Settings(_)
        | Command::Jobs {
            command: None | Some(JobsCommand::Show(_)),
        } => Mode::Look,
        _ => Mode::Errand,
    }
}

/// `run` logs what the configuration says; other commands speak for themselves, and log only
/// what needs a person, unless they are asked for more.
fn log_level(cli: &Cli, config: &Config) -> log::LevelFilter {
    let level = config.log.level.as_str().parse();
    let configured = level.unwrap_or(log::LevelFilter::Info);
    if cli.verbose {
        configured.max(log::LevelFilter::Debug)
    } else if matches!(cli.command, Command::Run) {
        configured
    } else {
        configured.min(log::LevelFilter::Error)
    }
}

#[cfg(test)]
mod tests;
