//! A tenant's workflows and policy: set by the operator, shown to its devices.

use scantrip_cloud_client::wire;

use super::cache;
use super::jobs::RACES_MAX;
use super::record::{StoredPolicy, StoredWorkflow, Tenant};
use crate::sealed_store::{Stored, Vault, VaultError};

/// All workflows, in order of their ids.
///
/// # Errors
/// When they cannot be read.
pub fn list(vault: &Vault) -> Result<Vec<StoredWorkflow>, VaultError> {
    let all = vault.all::<StoredWorkflow>("", StoredWorkflow::PREFIX)?;
    Ok(all.into_iter().map(|stored| stored.value).collect())
}

/// The workflow called `id`.
///
/// # Errors
/// When it cannot be read.
pub fn get(vault: &Vault, id: &str) -> Result<Option<StoredWorkflow>, VaultError> {
    let stored = vault.get::<StoredWorkflow>(&StoredWorkflow::place(id))?;
    Ok(stored.map(|stored| stored.value))
}

/// Adds a workflow or puts a new version in its place. Returns it with the version it got.
///
/// # Errors
/// When it cannot be stored.
pub fn put(
    vault: &Vault,
    workflow: &wire::Workflow,
    source: &str,
) -> Result<wire::Workflow, VaultError> {
    let place = StoredWorkflow::place(&workflow.id);
    change_tenant(vault, |batch, tenant| {
        let old = vault.get::<StoredWorkflow>(&place)?;
        // Versions only grow, also when a workflow was removed and comes back: the tenant's
        // generation does, and each change of a workflow has its own.
        let wire = wire::Workflow {
            version: tenant.generation,
            ..workflow.clone()
        };
        let new = StoredWorkflow {
            wire: wire.clone(),
            source: source.to_owned(),
            changed_at_ms: vault.ports().clock.now_ms(),
        };
        batch.put_over(&place, old.as_ref(), &new)?;
        Ok(Some(wire))
    })
    .map(|wire| wire.unwrap_or_else(|| workflow.clone()))
}

/// Removes a workflow; `false` when there was none. Jobs already scanned for it fail with a reason.
///
/// # Errors
/// When it cannot be stored.
pub fn remove(vault: &Vault, id: &str) -> Result<bool, VaultError> {
    let removed = change_tenant(vault, |batch, _| {
        let old = vault.get::<StoredWorkflow>(&StoredWorkflow::place(id))?;
        Ok(old.map(|old| batch.remove(&old)))
    })?;
    Ok(removed.is_some())
}

/// The tenant's policy, if it has set one.
///
/// # Errors
/// When it cannot be read.
pub fn policy(vault: &Vault) -> Result<Option<StoredPolicy>, VaultError> {
    let stored = vault.get::<StoredPolicy>(&StoredPolicy::place())?;
    Ok(stored.map(|stored| stored.value))
}

/// Sets the tenant's policy, or removes it. Returns whether there was or is one.
///
/// # Errors
/// When it cannot be stored.
pub fn set_policy(
    vault: &Vault,
    policy: Option<(&wire::Policy, &str)>,
) -> Result<bool, VaultError> {
    let place = StoredPolicy::place();
    let changed = change_tenant(vault, |batch, _| {
        let old = vault.get::<StoredPolicy>(&place)?;
        match (policy, old) {
            (Some((wire, source)), old) => {
                let new = StoredPolicy {
                    wire: wire.clone(),
                    source: source.to_owned(),
                    changed_at_ms: vault.ports().clock.now_ms(),
                };
                batch.put_over(&place, old.as_ref(), &new)?;
            }
            (None, Some(old)) => batch.remove(&old),
            (None, None) => return Ok(None),
        }
        Ok(Some(()))
    })?;
    Ok(changed.is_some())
}

/// Changes what a tenant's devices shall be: does `change` with the tenant's next generation, in
/// one transaction. Nothing happens when `change` says `None`.
fn change_tenant<T>(
    vault: &Vault,
    change: impl Fn(&mut crate::sealed_store::Batch<'_>, &Tenant) -> Result<Option<T>, VaultError>,
) -> Result<Option<T>, VaultError> {
    for _ in 0..RACES_MAX {
        let stored: Stored<Tenant> = vault
            .get(&Tenant::place())?
            .ok_or_else(|| VaultError::Damaged(format!("tenant {}", vault.tenant())))?;
        let tenant = Tenant {
            generation: stored.value.generation + 1,
            ..stored.value.clone()
        };
        let mut batch = vault.batch();
        let Some(result) = change(&mut batch, &tenant)? else {
            return Ok(None);
        };
        batch.replace(&stored, &tenant)?;
        cache::announce(&mut batch, vault.ports())?;
        match batch.commit() {
            Ok(()) => return Ok(Some(result)),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
    }
    Err(VaultError::Races)
}
