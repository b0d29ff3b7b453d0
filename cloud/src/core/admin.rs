//! What an operator may do, until there is a portal.

use scantrip_cloud_client::posture::assess::{Assessment, assess};
use scantrip_cloud_client::posture::score::Score;
use scantrip_cloud_client::wire;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::authority::{Authority, AuthorityError};
use super::global::{self, INDEX_KEY};
use super::record::{Device, DeviceEntry, Job, StoredPolicy, StoredWorkflow, Telemetry};
use super::standing::{self, HistoryRow, Standing};
use super::tenants::{self, TenantView};
use super::{Core, cache, codes, jobs, uploads, workflows};
use crate::keys::KeysError;
use crate::ports::Ports;
use crate::sealed_store::{Vault, VaultError};

/// Longest name of a tenant: one line on a panel.
const NAME_CHARS_MAX: usize = 80;

/// A failed operator command.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AdminError {
    /// What was named is not there.
    #[error("there is no {0}")]
    NotFound(String),
    /// What was given does not fit.
    #[error("{0}")]
    Refused(String),
    /// The cloud failed.
    #[error(transparent)]
    Failed(#[from] VaultError),
}

/// Makes the device CA and the index key, once. Returns the CA's certificate, DER.
///
/// # Errors
/// When the keys cannot be written. Calling it again goes on, or changes nothing.
pub fn init(ports: &Ports) -> Result<Vec<u8>, AuthorityError> {
    let key = Zeroizing::new(ports.random_bytes::<32>());
    match ports.keys.create(INDEX_KEY, &*key) {
        Ok(()) | Err(KeysError::Exists(_)) => {}
        Err(error) => return Err(error.into()),
    }
    let authority = match Authority::open(ports) {
        Err(AuthorityError::Keys(KeysError::Missing(_))) => Authority::create(ports)?,
        other => other?,
    };
    Ok(authority.certificate().to_vec())
}

/// A code as it is shown once.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NewCode {
    /// `XXXX-XXXX-XXXX`.
    pub code: String,
    /// Tenant id.
    pub tenant: String,
    /// When it ends.
    pub expires_at_ms: u64,
}

/// A device for the operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DeviceView {
    /// Its id.
    pub device: String,
    /// Tenant id.
    pub tenant: String,
    /// Tenant's name.
    pub tenant_name: String,
    /// Serial number.
    pub serial: String,
    /// `enrolled` or `revoked`.
    pub state: String,
    /// When it enrolled first.
    pub created_at_ms: u64,
    /// When its newest certificate ends.
    pub certificate_until_ms: Option<u64>,
    /// When its newest report came in.
    pub reported_at_ms: Option<u64>,
    /// Its newest report.
    pub report: Option<wire::Report>,
    /// Its newest security settings.
    pub settings: Option<Vec<wire::ReportSetting>>,
}

/// A device among others.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceRow {
    /// What is known of it.
    #[serde(flatten)]
    pub device: DeviceView,
    /// How it stands.
    pub standing: Standing,
    /// Of its settings, by its tenant's policy.
    pub score: Option<Score>,
}

/// Everything about a device.
#[derive(Clone, Debug, Serialize)]
pub struct DeviceDetail {
    /// What is known of it.
    #[serde(flatten)]
    pub device: DeviceView,
    /// How it stands.
    pub standing: Standing,
    /// Its settings, judged by its tenant's policy.
    pub assessment: Option<Assessment>,
    /// What became of it over time, oldest first, if it was asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub history: Option<Vec<HistoryRow>>,
}

/// A job for the operator.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct JobView {
    /// Its id.
    pub job: String,
    /// Tenant id.
    pub tenant: String,
    /// Device id.
    pub device: String,
    /// `open`, `discarded`, or how far a taken one is.
    pub state: String,
    /// Number of objects of a taken one.
    pub objects: Option<u32>,
    /// Their sealed bytes together.
    pub sealed_bytes: Option<u64>,
    /// What became of a taken one.
    pub outcome: Option<wire::Outcome>,
    /// Its receipt.
    pub receipt: Option<wire::SignedReceipt>,
}

impl Core {
    /// Adds a tenant.
    ///
    /// # Errors
    /// When the name is none or taken.
    pub fn add_tenant(&self, name: &str) -> Result<TenantView, AdminError> {
        let name = name.trim();
        if name.is_empty()
            || name.chars().count() > NAME_CHARS_MAX
            || name.chars().any(char::is_control)
        {
            let message = format!("a tenant's name has 1 to {NAME_CHARS_MAX} printable characters");
            return Err(AdminError::Refused(message));
        }
        if tenants::list(&self.ports)?
            .iter()
            .any(|known| known.tenant.name == name)
        {
            return Err(AdminError::Refused(format!(
                "there is a tenant named {name} already"
            )));
        }
        Ok(tenants::add(&self.ports, name)?)
    }

    /// All tenants.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn list_tenants(&self) -> Result<Vec<TenantView>, AdminError> {
        Ok(tenants::list(&self.ports)?)
    }

    /// Makes an enrolment code.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn create_code(
        &self,
        tenant: Option<&str>,
        serial: Option<&str>,
    ) -> Result<NewCode, AdminError> {
        let tenant = self.find_tenant(tenant)?;
        let vault = Vault::open(&self.ports, &tenant.id)?;
        let (code, expires_at_ms) = codes::create(self, &vault, serial)?;
        Ok(NewCode {
            code: code.to_string(),
            tenant: tenant.id,
            expires_at_ms,
        })
    }

    /// All devices of all tenants.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn list_devices(&self) -> Result<Vec<DeviceRow>, AdminError> {
        let mut found = Vec::new();
        for tenant in tenants::list(&self.ports)? {
            let vault = Vault::open(&self.ports, &tenant.id)?;
            let policy = standing::policy_of(&vault)?;
            for id in device_ids(&vault)? {
                let Some(device) = device_view(&vault, &tenant, &id)? else {
                    continue;
                };
                let settings = device.settings.as_deref();
                found.push(DeviceRow {
                    score: settings.map(|it| assess(&policy, it, self.now_ms()).score),
                    standing: self.standing(&vault, &id)?,
                    device,
                });
            }
        }
        Ok(found)
    }

    /// Everything about a device, found by its id or its serial number.
    ///
    /// # Errors
    /// When there is no such device, or several have that serial number.
    pub fn show_device(&self, wanted: &str, history: bool) -> Result<DeviceDetail, AdminError> {
        let mut found = Vec::new();
        for tenant in tenants::list(&self.ports)? {
            let vault = Vault::open(&self.ports, &tenant.id)?;
            for id in device_ids(&vault)? {
                let view = device_view(&vault, &tenant, &id)?;
                let matches = |view: &DeviceView| view.device == wanted || view.serial == wanted;
                if let Some(view) = view.filter(matches) {
                    found.push(self.device_detail(&vault, view, history)?);
                }
            }
        }
        match <[DeviceDetail; 1]>::try_from(found) {
            Ok([only]) => Ok(only),
            Err(none) if none.is_empty() => Err(AdminError::NotFound(format!("device {wanted}"))),
            Err(many) => Err(AdminError::Refused(format!(
                "{} devices have the serial number {wanted}: name one by its id",
                many.len()
            ))),
        }
    }

    fn device_detail(
        &self,
        vault: &Vault,
        device: DeviceView,
        history: bool,
    ) -> Result<DeviceDetail, AdminError> {
        let policy = standing::policy_of(vault)?;
        let settings = device.settings.as_deref();
        Ok(DeviceDetail {
            assessment: settings.map(|it| standing::explained(&policy, it, self.now_ms())),
            history: match history {
                true => Some(standing::history(vault, &device.device)?),
                false => None,
            },
            standing: self.standing(vault, &device.device)?,
            device,
        })
    }

    /// How a device stands, heard of when it really was.
    fn standing(&self, vault: &Vault, device: &str) -> Result<Standing, VaultError> {
        let stored = vault.get::<Standing>(&Standing::place(device))?;
        let mut standing = stored.map(|stored| stored.value).unwrap_or_default();
        let seen_ms = self.presence.seen_ms(device);
        standing.seen_ms = standing.seen_ms.max(seen_ms.unwrap_or(0));
        Ok(standing)
    }

    /// Sets a tenant's policy; devices learn of it with their next poll, and are judged by it at
    /// once.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn set_policy(
        &self,
        tenant: Option<&str>,
        policy: &wire::Policy,
        source: &str,
    ) -> Result<(), AdminError> {
        let vault = self.vault(tenant)?;
        workflows::set_policy(&vault, Some((policy, source)))?;
        self.refresh();
        Ok(self.judge_all(&vault)?)
    }

    /// A tenant's policy, if it has set one.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn policy(&self, tenant: Option<&str>) -> Result<Option<StoredPolicy>, AdminError> {
        Ok(workflows::policy(&self.vault(tenant)?)?)
    }

    /// Removes a tenant's policy: the baseline holds again.
    ///
    /// # Errors
    /// When there is no such tenant, or it has set none.
    pub fn remove_policy(&self, tenant: Option<&str>) -> Result<(), AdminError> {
        let vault = self.vault(tenant)?;
        if !workflows::set_policy(&vault, None)? {
            return Err(AdminError::NotFound(
                "policy; the baseline holds".to_owned(),
            ));
        }
        self.refresh();
        Ok(self.judge_all(&vault)?)
    }

    /// Revokes a device: its certificates stop working within a second. Its jobs stay.
    ///
    /// # Errors
    /// When there is no such device.
    pub fn revoke_device(&self, id: &str) -> Result<(), AdminError> {
        for tenant in global::tenants(&self.ports)? {
            let vault = Vault::open(&self.ports, &tenant)?;
            while let Some(stored) = vault.get::<Device>(&Device::place(id))? {
                let revoked = Device {
                    revoked: true,
                    certificates: Vec::new(),
                    ..stored.value.clone()
                };
                let mut batch = vault.batch();
                batch.replace(&stored, &revoked)?;
                cache::announce(&mut batch, &self.ports)?;
                match batch.commit() {
                    Err(error) if error.is_conflict() => {}
                    other => {
                        self.presence.forget(id);
                        self.refresh();
                        return Ok(other?);
                    }
                }
            }
        }
        Err(AdminError::NotFound(format!("device {id}")))
    }

    /// Adds or changes a workflow; devices see it with their next poll.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn put_workflow(
        &self,
        tenant: Option<&str>,
        workflow: &wire::Workflow,
        source: &str,
    ) -> Result<wire::Workflow, AdminError> {
        let vault = self.vault(tenant)?;
        let added = workflows::put(&vault, workflow, source)?;
        self.refresh();
        Ok(added)
    }

    /// A tenant's workflows.
    ///
    /// # Errors
    /// When there is no such tenant.
    pub fn list_workflows(&self, tenant: Option<&str>) -> Result<Vec<StoredWorkflow>, AdminError> {
        Ok(workflows::list(&self.vault(tenant)?)?)
    }

    /// Removes a workflow.
    ///
    /// # Errors
    /// When there is no such tenant or workflow.
    pub fn remove_workflow(&self, tenant: Option<&str>, id: &str) -> Result<(), AdminError> {
        let removed = workflows::remove(&self.vault(tenant)?, id)?;
        self.refresh();
        let missing = || AdminError::NotFound(format!("workflow {id}"));
        removed.then_some(()).ok_or_else(missing)
    }

    /// All jobs of all tenants.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn list_jobs(&self) -> Result<Vec<JobView>, AdminError> {
        let mut found = Vec::new();
        for tenant in global::tenants(&self.ports)? {
            let vault = Vault::open(&self.ports, &tenant)?;
            found.extend(jobs::list(&vault)?.into_iter().map(job_view));
        }
        Ok(found)
    }

    /// Removes what has expired.
    ///
    /// # Errors
    /// When something cannot be removed; the next call goes on.
    pub fn sweep(&self) -> Result<usize, VaultError> {
        const AT_ONCE: usize = 1000;
        let mut removed = self.ports.store.sweep(self.now_ms(), AT_ONCE)?;
        for tenant in global::tenants(&self.ports)? {
            let vault = Vault::open(&self.ports, &tenant)?;
            for device in device_ids(&vault)? {
                removed += uploads::sweep(&vault, &device)?;
            }
        }
        Ok(removed)
    }

    /// The tenant with this id or name; without one, the only tenant.
    fn find_tenant(&self, wanted: Option<&str>) -> Result<TenantView, AdminError> {
        let all = tenants::list(&self.ports)?;
        let Some(wanted) = wanted else {
            return <[TenantView; 1]>::try_from(all)
                .map(|[only]| only)
                .map_err(|all| {
                    let count = all.len();
                    AdminError::Refused(format!("there are {count} tenants: name one (--tenant)"))
                });
        };
        all.into_iter()
            .find(|known| known.id == wanted || known.tenant.name == wanted)
            .ok_or_else(|| AdminError::NotFound(format!("tenant {wanted}")))
    }

    fn vault(&self, tenant: Option<&str>) -> Result<Vault, AdminError> {
        Ok(Vault::open(&self.ports, &self.find_tenant(tenant)?.id)?)
    }
}

fn device_view(
    vault: &Vault,
    tenant: &TenantView,
    id: &str,
) -> Result<Option<DeviceView>, VaultError> {
    let device = vault.get::<Device>(&Device::place(id))?;
    let telemetry = vault.get::<Telemetry>(&Telemetry::place(id))?;
    let telemetry = telemetry.map(|telemetry| telemetry.value);
    Ok(device.map(|device| {
        let device = device.value;
        let newest = device.certificates.first();
        let state = if device.revoked {
            "revoked"
        } else {
            "enrolled"
        };
        DeviceView {
            device: id.to_owned(),
            tenant: tenant.id.clone(),
            tenant_name: tenant.tenant.name.clone(),
            state: state.to_owned(),
            created_at_ms: device.created_at_ms,
            certificate_until_ms: newest.map(|newest| newest.not_after_ms),
            serial: device.serial,
            settings: telemetry
                .as_ref()
                .and_then(|last| Some(last.settings.clone()?.1)),
            reported_at_ms: telemetry.as_ref().map(|last| last.received_at_ms),
            report: telemetry.map(|last| last.report),
        }
    }))
}

pub(crate) fn device_ids(vault: &Vault) -> Result<Vec<String>, VaultError> {
    let entries = vault.all::<DeviceEntry>("", DeviceEntry::PREFIX)?;
    let id = |entry: &str| {
        entry
            .strip_prefix(DeviceEntry::PREFIX)
            .unwrap_or_default()
            .to_owned()
    };
    Ok(entries.iter().map(|entry| id(&entry.place.sort)).collect())
}

fn job_view(view: jobs::JobView) -> JobView {
    let (state, committed) = match view.state {
        Job::Open => ("open".to_owned(), None),
        Job::Discarded => ("discarded".to_owned(), None),
        Job::Committed(committed) => {
            let state = serde_json::to_value(committed.outcome.state);
            let text = state
                .ok()
                .and_then(|state| state.as_str().map(str::to_owned));
            (text.unwrap_or_default(), Some(committed))
        }
    };
    JobView {
        job: view.job.job,
        tenant: view.job.tenant,
        device: view.job.device,
        state,
        objects: committed.as_ref().map(|committed| committed.objects),
        sealed_bytes: committed.as_ref().map(|committed| committed.sealed_bytes),
        outcome: committed
            .as_ref()
            .map(|committed| committed.outcome.clone()),
        receipt: committed.map(|committed| committed.receipt),
    }
}
