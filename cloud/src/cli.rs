//! The command line.
//!
//! Operator commands go to the running `serve`, or work on the data folder themselves under its
//! lock. Exit codes: 0 done, 1 failed (standard error says why), 2 not a command.

mod limits;
mod render;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::{Parser, Subcommand};
use log::LevelFilter;
use scantrip_cloud_client::posture::policy;
use scantrip_cloud_client::wire::EntryPoint;
use serde_json::{Value, json};

use crate::admin::{self, Command};
use crate::core::Core;
use crate::core::admin::init as init_keys;
use crate::core::authority::check_server_name;
use crate::data::{DataFolder, Service};
use crate::keys::KeysError;
use crate::keys::folder::create_master;
use crate::ports::SystemRandom;
use crate::{logger, serve};

/// The thin cloud that ScanTrip agents talk to.
#[derive(Debug, Parser)]
#[command(name = "scantrip-cloud", version)]
struct Arguments {
    /// The data folder.
    #[arg(long, value_name = "DIR")]
    data: PathBuf,
    /// Answer in JSON.
    #[arg(long, global = true)]
    json: bool,
    /// What to log: off, error, warn, info, debug or trace.
    #[arg(long, global = true, default_value = "info", value_name = "LEVEL", value_parser = level)]
    log: LevelFilter,
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Makes the data folder: master key, device CA, settings.
    Init(Init),
    /// Answers devices until it is told to stop (SIGTERM).
    Serve {
        /// Address and port; port 0 takes a free one.
        #[arg(long, value_name = "ADDR")]
        listen: SocketAddr,
        /// Address and port for monitoring (`GET /metrics`), better one of this machine alone.
        #[arg(long, value_name = "ADDR")]
        metrics: Option<SocketAddr>,
        #[command(flatten)]
        limits: limits::Options,
    },
    /// Customers.
    #[command(subcommand)]
    Tenant(TenantAction),
    /// Printers.
    #[command(subcommand)]
    Device(DeviceAction),
    /// What a tenant asks of its devices' security settings.
    #[command(subcommand)]
    Policy(PolicyAction),
    /// What becomes of scans.
    #[command(subcommand)]
    Workflow(WorkflowAction),
    /// Scans.
    #[command(subcommand)]
    Job(JobAction),
}

#[derive(Debug, clap::Args)]
struct Init {
    /// Host name or address that devices reach this server by; localhost is always one.
    #[arg(long = "name", value_name = "HOST")]
    names: Vec<String>,
    /// A regional front door, for example `Frankfurt,eu-central-1,https://eu.example.com`.
    #[arg(long = "entry-point", value_name = "NAME,REGION,URL", value_parser = entry_point)]
    entry_points: Vec<EntryPoint>,
    /// Life of device certificates, if not 90 days; for tests.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    certificate_seconds: Option<u64>,
    /// Time between two polls of a device, if not 60 seconds.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    poll_interval_seconds: Option<u32>,
}

#[derive(Debug, Subcommand)]
enum TenantAction {
    /// Adds a tenant with its keys.
    Add {
        /// For people.
        name: String,
    },
    /// Lists tenants.
    List,
}

#[derive(Debug, Subcommand)]
enum DeviceAction {
    /// Makes an enrolment code and shows it this once.
    Code {
        #[command(flatten)]
        tenant: Tenant,
        /// The only device that may use it.
        #[arg(long)]
        serial: Option<String>,
    },
    /// Lists devices.
    List,
    /// Shows everything about a device: its report, its settings judged by the policy.
    Show {
        /// The device's id or serial number.
        id: String,
        /// With what became of it over time.
        #[arg(long)]
        history: bool,
    },
    /// Ends a device's certificates; a new code brings it back.
    Revoke {
        /// The device's id.
        id: String,
    },
}

#[derive(Debug, clap::Args)]
struct Tenant {
    /// Name or id; not needed when there is only one.
    #[arg(long = "tenant", value_name = "TENANT")]
    name: Option<String>,
}

#[derive(Debug, Subcommand)]
enum PolicyAction {
    /// Sets a policy; devices are judged by it at once.
    Set {
        #[command(flatten)]
        tenant: Tenant,
        /// The policy, TOML; or `baseline`, `strict` or `konica-minolta-enhanced-security`.
        file: PathBuf,
    },
    /// Prints the policy's file.
    Show {
        #[command(flatten)]
        tenant: Tenant,
    },
    /// Removes the policy; the baseline holds again.
    Remove {
        #[command(flatten)]
        tenant: Tenant,
    },
}

#[derive(Debug, Subcommand)]
enum WorkflowAction {
    /// Adds a workflow file, or puts a new version in place of the one of the same id.
    Add {
        #[command(flatten)]
        tenant: Tenant,
        /// The workflow, TOML.
        file: PathBuf,
    },
    /// Lists workflows.
    List {
        #[command(flatten)]
        tenant: Tenant,
    },
    /// Prints a workflow's file.
    Show {
        #[command(flatten)]
        tenant: Tenant,
        /// Id or name.
        workflow: String,
    },
    /// Removes a workflow; devices stop showing it.
    Remove {
        #[command(flatten)]
        tenant: Tenant,
        /// Id or name.
        workflow: String,
    },
}

#[derive(Debug, Subcommand)]
enum JobAction {
    /// Lists jobs.
    List,
    /// Shows a job with its receipt.
    Show {
        /// The job's id.
        id: String,
    },
    /// Tries a failed job again.
    Retry {
        /// The job's id.
        id: String,
    },
}

/// Runs a command line; the first argument is the program's name.
pub fn main_with(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let arguments = match Arguments::try_parse_from(args) {
        Ok(arguments) => arguments,
        Err(error) => {
            drop(error.print());
            return ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2));
        }
    };
    logger::start(arguments.log);
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            drop(writeln!(std::io::stderr(), "{error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> anyhow::Result<()> {
    let data = DataFolder::new(&arguments.data);
    let json = arguments.json;
    let command = match arguments.action {
        Action::Init(options) => return print(&init(&data, options)?, json),
        Action::Serve {
            listen,
            metrics,
            limits,
        } => {
            return serve::serve(
                &data,
                listen,
                limits.limits(),
                metrics,
                |address, metrics| {
                    let mut out = std::io::stdout();
                    if let Some(metrics) = metrics {
                        drop(writeln!(out, "metrics on http://{metrics}/metrics"));
                    }
                    drop(writeln!(out, "listening on https://{address}"));
                },
            );
        }
        action => command(action)?,
    };
    print(&ask(&data, &command)?, json)
}

/// An operator command.
fn command(action: Action) -> anyhow::Result<Command> {
    Ok(match action {
        Action::Tenant(TenantAction::Add { name }) => Command::TenantAdd { name },
        Action::Tenant(TenantAction::List) => Command::TenantList,
        Action::Device(DeviceAction::Code { tenant, serial }) => Command::DeviceCode {
            tenant: tenant.name,
            serial,
        },
        Action::Device(DeviceAction::List) => Command::DeviceList,
        Action::Device(DeviceAction::Show { id, history }) => Command::DeviceShow { id, history },
        Action::Device(DeviceAction::Revoke { id }) => Command::DeviceRevoke { id },
        Action::Policy(PolicyAction::Set { tenant, file }) => Command::PolicySet {
            tenant: tenant.name,
            source: policy_source(&file)?,
            file: file.display().to_string(),
        },
        Action::Policy(PolicyAction::Show { tenant }) => Command::PolicyShow {
            tenant: tenant.name,
        },
        Action::Policy(PolicyAction::Remove { tenant }) => Command::PolicyRemove {
            tenant: tenant.name,
        },
        Action::Workflow(WorkflowAction::Add { tenant, file }) => Command::WorkflowAdd {
            tenant: tenant.name,
            source: read(&file)?,
            file: file.display().to_string(),
        },
        Action::Workflow(WorkflowAction::List { tenant }) => Command::WorkflowList {
            tenant: tenant.name,
        },
        Action::Workflow(WorkflowAction::Show { tenant, workflow }) => Command::WorkflowShow {
            tenant: tenant.name,
            id: workflow,
        },
        Action::Workflow(WorkflowAction::Remove { tenant, workflow }) => Command::WorkflowRemove {
            tenant: tenant.name,
            id: workflow,
        },
        Action::Job(JobAction::List) => Command::JobList,
        Action::Job(JobAction::Show { id }) => Command::JobShow { id },
        Action::Job(JobAction::Retry { id }) => Command::JobRetry { id },
        Action::Init(_) | Action::Serve { .. } => bail!("not an operator command"),
    })
}

/// Sends a command to the running cloud, or does it here.
fn ask(data: &DataFolder, command: &Command) -> anyhow::Result<Value> {
    let socket = data.admin_socket();
    let asked = admin::ask(&socket, command)
        .with_context(|| format!("the cloud does not answer on {}", socket.display()))?;
    if let Some(answer) = asked {
        return answer.map_err(anyhow::Error::msg);
    }
    let _lock = data.lock()?;
    let core = Core::open(data.ports()?, data.service()?.settings())?;
    Ok(admin::apply(&core, command)?)
}

/// Makes a data folder. Doing it again changes the settings alone, if any are given.
fn init(data: &DataFolder, options: Init) -> anyhow::Result<Value> {
    for name in &options.names {
        check_server_name(name)?;
    }
    data.make()?;
    let _lock = data.lock()?;
    match create_master(&data.master_file(), &SystemRandom) {
        Ok(()) | Err(KeysError::Exists(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let ca = init_keys(&data.ports()?)?;
    data.write_ca(&render::pem("CERTIFICATE", &ca))?;
    let service = Service {
        names: options.names,
        certificate_seconds: options.certificate_seconds,
        poll_interval_seconds: options.poll_interval_seconds,
        entry_points: options.entry_points,
    };
    // Without options nothing that was set before is lost.
    if service != Service::default() || !data.is_set_up() {
        data.write_service(&service)?;
    }
    Ok(json!({
        "data": data.root().display().to_string(),
        "ca_file": data.ca_file().display().to_string(),
        "master_key": data.master_file().display().to_string(),
    }))
}

fn level(text: &str) -> Result<LevelFilter, String> {
    text.parse()
        .map_err(|_cause| "expected off, error, warn, info, debug or trace".to_owned())
}

fn entry_point(text: &str) -> Result<EntryPoint, String> {
    let mut pieces = text.splitn(3, ',').map(str::trim);
    match (pieces.next(), pieces.next(), pieces.next()) {
        (Some(name), Some(region), Some(url))
            if !name.is_empty() && !region.is_empty() && url.starts_with("https://") =>
        {
            Ok(EntryPoint {
                name: name.to_owned(),
                region: region.to_owned(),
                url: url.trim_end_matches('/').to_owned(),
            })
        }
        _ => Err("expected NAME,REGION,URL with an https:// URL".to_owned()),
    }
}

/// A ready-made policy by its name, or a file.
fn policy_source(file: &Path) -> anyhow::Result<String> {
    let made = policy::READY_MADE.iter();
    let mut named = made.filter(|made| Some(made.name) == file.to_str());
    match named.next() {
        Some(made) => Ok(made.source.to_owned()),
        None => read(file),
    }
}

fn read(file: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))
}

fn print(value: &Value, json: bool) -> anyhow::Result<()> {
    let text = if json {
        format!("{value:#}\n")
    } else {
        render::text(value)
    };
    std::io::stdout()
        .write_all(text.as_bytes())
        .context("cannot print the answer")
}
