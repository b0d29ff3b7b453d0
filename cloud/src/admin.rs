//! Operator commands, and the socket on which a running `serve` takes them.
//!
//! One JSON line each way. Only the user who runs `serve`, and root, are heard.

use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::fd::AsRawFd as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use scantrip_cloud_client::posture::policy;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::core::Core;
use crate::core::admin::AdminError;
use crate::core::answer::chain;
use crate::runner;
use crate::workflow::Workflow;

/// A workflow with its quoting, and room to spare.
const LINE_BYTES_MAX: u64 = 1024 * 1024;
const TIMEOUT: Duration = Duration::from_secs(30);

/// What an operator asks.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case")]
pub enum Command {
    /// Adds a tenant.
    TenantAdd {
        /// For people.
        name: String,
    },
    /// Lists tenants.
    TenantList,
    /// Makes an enrolment code.
    DeviceCode {
        /// Id or name; not needed when there is only one.
        tenant: Option<String>,
        /// The one device it is for.
        serial: Option<String>,
    },
    /// Lists devices.
    DeviceList,
    /// Shows everything about a device.
    DeviceShow {
        /// Its id or serial number.
        id: String,
        /// With its history.
        history: bool,
    },
    /// Sets a tenant's policy.
    PolicySet {
        /// Id or name; not needed when there is only one.
        tenant: Option<String>,
        /// The file's name, for errors.
        file: String,
        /// The file.
        source: String,
    },
    /// Shows a tenant's policy.
    PolicyShow {
        /// Id or name; not needed when there is only one.
        tenant: Option<String>,
    },
    /// Removes a tenant's policy.
    PolicyRemove {
        /// Id or name; not needed when there is only one.
        tenant: Option<String>,
    },
    /// Revokes a device.
    DeviceRevoke {
        /// Its id.
        id: String,
    },
    /// Adds or changes a workflow.
    WorkflowAdd {
        /// Id or name; not needed when there is only one.
        tenant: Option<String>,
        /// The file's name, for errors.
        file: String,
        /// The file.
        source: String,
    },
    /// Lists workflows.
    WorkflowList {
        /// Id or name; not needed when there is only one.
        tenant: Option<String>,
    },
    /// Shows a workflow's file.
    WorkflowShow {
        /// Id or name; not needed when there is only one.
        tenant: Option<String>,
        /// Id or name of the workflow.
        id: String,
    },
    /// Removes a workflow.
    WorkflowRemove {
        /// Id or name; not needed when there is only one.
        tenant: Option<String>,
        /// Id or name of the workflow.
        id: String,
    },
    /// Lists jobs.
    JobList,
    /// Shows a job.
    JobShow {
        /// Its id.
        id: String,
    },
    /// Tries a failed job again.
    JobRetry {
        /// Its id.
        id: String,
    },
}

/// Does a command.
///
/// # Errors
/// When something named is not there, does not fit, or the cloud fails.
pub fn apply(core: &Core, command: &Command) -> Result<Value, AdminError> {
    match command {
        Command::TenantAdd { name } => {
            let added = core.add_tenant(name)?;
            Ok(json!({ "tenant": added.id, "name": added.tenant.name }))
        }
        Command::TenantList => {
            let all = core.list_tenants()?;
            let row = |known: &crate::core::tenants::TenantView| {
                json!({
                    "tenant": known.id,
                    "name": known.tenant.name,
                    "created_at_ms": known.tenant.created_at_ms,
                    "generation": known.tenant.generation,
                })
            };
            Ok(all.iter().map(row).collect())
        }
        Command::DeviceCode { tenant, serial } => Ok(value(
            &core.create_code(tenant.as_deref(), serial.as_deref())?,
        )),
        Command::DeviceList => Ok(value(&core.list_devices()?)),
        Command::DeviceShow { id, history } => Ok(value(&core.show_device(id, *history)?)),
        Command::PolicySet { .. } | Command::PolicyShow { .. } | Command::PolicyRemove { .. } => {
            apply_policy(core, command)
        }
        Command::DeviceRevoke { id } => {
            core.revoke_device(id)?;
            Ok(json!({ "device": id, "state": "revoked" }))
        }
        Command::JobList => Ok(value(&core.list_jobs()?)),
        Command::JobShow { id } => Ok(value(&find_job(core, id)?)),
        Command::JobRetry { id } => retry(core, id),
        workflow => apply_workflow(core, workflow),
    }
}

fn apply_policy(core: &Core, command: &Command) -> Result<Value, AdminError> {
    match command {
        Command::PolicySet {
            tenant,
            file,
            source,
        } => {
            let policy = policy::parse(source, file)
                .map_err(|error| AdminError::Refused(error.to_string()))?;
            core.set_policy(tenant.as_deref(), &policy, source)?;
            let rules = policy.rules.len();
            Ok(json!({ "policy": policy.name, "version": policy.version, "rules": rules }))
        }
        Command::PolicyShow { tenant } => {
            let stored = core.policy(tenant.as_deref())?;
            let made = policy::READY_MADE.first();
            let source = stored.map(|stored| stored.source);
            let source = source.or_else(|| made.map(|made| made.source.to_owned()));
            Ok(json!({ "source": source }))
        }
        Command::PolicyRemove { tenant } => {
            core.remove_policy(tenant.as_deref())?;
            Ok(json!({ "policy": "baseline", "state": "removed" }))
        }
        _ => Err(AdminError::Refused("not a policy command".to_owned())),
    }
}

fn apply_workflow(core: &Core, command: &Command) -> Result<Value, AdminError> {
    match command {
        Command::WorkflowAdd {
            tenant,
            file,
            source,
        } => {
            let workflow = Workflow::parse(source, file)
                .map_err(|error| AdminError::Refused(error.to_string()))?;
            let wire = workflow.to_wire(0);
            let added = core.put_workflow(tenant.as_deref(), &wire, source)?;
            Ok(json!({ "workflow": added.id, "name": added.name, "version": added.version }))
        }
        Command::WorkflowShow { tenant, id } => {
            let found = find_workflow(core, tenant.as_deref(), id)?;
            Ok(json!({
                "workflow": found.wire.id,
                "name": found.wire.name,
                "version": found.wire.version,
                "source": found.source,
            }))
        }
        Command::WorkflowRemove { tenant, id } => {
            let found = find_workflow(core, tenant.as_deref(), id)?;
            core.remove_workflow(tenant.as_deref(), &found.wire.id)?;
            Ok(json!({ "workflow": found.wire.id, "state": "removed" }))
        }
        Command::WorkflowList { tenant } => {
            let all = core.list_workflows(tenant.as_deref())?;
            let row = |known: &crate::core::record::StoredWorkflow| {
                json!({
                    "workflow": known.wire.id,
                    "name": known.wire.name,
                    "version": known.wire.version,
                    "changed_at_ms": known.changed_at_ms,
                })
            };
            Ok(all.iter().map(row).collect())
        }
        _ => Err(AdminError::Refused("not a workflow command".to_owned())),
    }
}

fn find_workflow(
    core: &Core,
    tenant: Option<&str>,
    id: &str,
) -> Result<crate::core::record::StoredWorkflow, AdminError> {
    let mut all = core.list_workflows(tenant)?.into_iter();
    all.find(|known| known.wire.id == id || known.wire.name == id)
        .ok_or_else(|| AdminError::NotFound(format!("workflow {id}")))
}

fn find_job(core: &Core, id: &str) -> Result<crate::core::admin::JobView, AdminError> {
    let mut all = core.list_jobs()?.into_iter();
    all.find(|known| known.job == id)
        .ok_or_else(|| AdminError::NotFound(format!("job {id}")))
}

fn retry(core: &Core, id: &str) -> Result<Value, AdminError> {
    let found = find_job(core, id)?;
    let job = crate::core::record::JobRef {
        tenant: found.tenant,
        device: found.device,
        job: found.job,
    };
    if !runner::retry(core.ports(), &job)? {
        return Err(AdminError::Refused(format!("job {id} has not failed")));
    }
    core.wake_runner();
    Ok(json!({ "job": id, "state": "queued" }))
}

fn value(view: &impl Serialize) -> Value {
    serde_json::to_value(view).expect("our views have a JSON form")
}

/// An answer on the socket.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Reply {
    Done(Value),
    Error(String),
}

/// Opens the socket; what lies there from a process that died is replaced.
///
/// # Errors
/// When the system refuses.
pub fn listen(path: &Path) -> io::Result<UnixListener> {
    drop(std::fs::remove_file(path));
    with_short_path(path, |path| UnixListener::bind(path))
}

/// Answers commands until the process ends.
pub fn serve(core: &Arc<Core>, listener: &UnixListener) {
    for stream in listener.incoming() {
        // One at a time: operators are few, and a command is short.
        let served = stream.and_then(|stream| answer(core, &stream));
        if let Err(error) = served {
            log::warn!("an operator command was cut off: {error}");
        }
    }
}

fn answer(core: &Core, mut stream: &UnixStream) -> io::Result<()> {
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    let peer = rustix::net::sockopt::socket_peercred(stream)?;
    let reply = if peer.uid.is_root() || peer.uid == rustix::process::geteuid() {
        let mut line = String::new();
        BufReader::new(stream.take(LINE_BYTES_MAX)).read_line(&mut line)?;
        match serde_json::from_str::<Command>(&line) {
            Err(error) => Reply::Error(format!("not a command: {error}")),
            Ok(command) => {
                apply(core, &command).map_or_else(|error| Reply::Error(chain(&error)), Reply::Done)
            }
        }
    } else {
        Reply::Error("only the user who runs the cloud may command it".to_owned())
    };
    let mut line = serde_json::to_vec(&reply).expect("a reply has a JSON form");
    line.push(b'\n');
    stream.write_all(&line)
}

/// Sends a command to a running `serve`; `None` when none runs. The inner error is its words.
///
/// # Errors
/// When it does not answer.
///
/// # Panics
/// Never: every command has a JSON form.
pub fn ask(path: &Path, command: &Command) -> io::Result<Option<Result<Value, String>>> {
    let mut stream = match with_short_path(path, |path| UnixStream::connect(path)) {
        Ok(stream) => stream,
        Err(error) => {
            return match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => Ok(None),
                _ => Err(error),
            };
        }
    };
    stream.set_read_timeout(Some(TIMEOUT))?;
    let mut line = serde_json::to_vec(command).expect("a command has a JSON form");
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut reply = String::new();
    BufReader::new(stream).read_line(&mut reply)?;
    match serde_json::from_str(&reply).map_err(io::Error::other)? {
        Reply::Done(value) => Ok(Some(Ok(value))),
        Reply::Error(words) => Ok(Some(Err(words))),
    }
}

/// Socket paths may have some hundred bytes only; a deep one is reached through its open folder.
fn with_short_path<T>(path: &Path, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
    const PATH_BYTES_MAX: usize = 100;
    let (Some(folder), Some(name)) = (path.parent(), path.file_name()) else {
        return act(path);
    };
    if path.as_os_str().len() <= PATH_BYTES_MAX {
        return act(path);
    }
    let folder = std::fs::File::open(folder)?;
    let short = PathBuf::from(format!("/proc/self/fd/{}", folder.as_raw_fd())).join(name);
    act(&short)
}
