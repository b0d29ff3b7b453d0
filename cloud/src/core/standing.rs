//! How a device stands: secure or not, heard of or silent, and the story of that, bounded.
//!
//! A change of state is logged once and kept in the device's history. Only the cloud's clock says
//! who is silent; only the tenant's policy, judged here again, says who is secure.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};

use scantrip_cloud_client::posture::assess::{Assessment, assess};
use scantrip_cloud_client::posture::expect::Expectation;
use scantrip_cloud_client::posture::policy;
use scantrip_cloud_client::posture::score::COVERAGE_MIN_PERCENT;
use scantrip_cloud_client::wire::{self, EventKind, ReportSetting, Severity};
use scantrip_hal::settings::Row;
use serde::{Deserialize, Serialize};

use super::Core;
use super::jobs::RACES_MAX;
use super::record::{Device, StoredPolicy, Telemetry, device_partition, sequence};
use crate::sealed_store::{Batch, Place, Stored, Vault, VaultError};

/// Rows of a device's history: months of an ordinary device.
pub const HISTORY_MAX: u64 = 500;
/// A device is silent when it missed so many polls.
const POLLS_MISSED_MAX: u64 = 3;
/// But not sooner: networks have short breaks.
const SILENT_MS_MIN: u64 = 5 * 60 * 1000;

/// Whether a device is as its policy asks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Posture {
    /// Too little is known.
    #[default]
    Unknown,
    /// Nothing of high or critical severity is wrong.
    Secure,
    /// Something is.
    NotSecure,
}

impl Posture {
    /// The word in logs and metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Secure => "secure",
            Self::NotSecure => "not-secure",
        }
    }
}

/// How a device stands.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// Whether it is as its policy asks.
    pub posture: Posture,
    /// Since when.
    pub posture_since_ms: u64,
    /// Settings of high or critical severity that are wrong.
    pub wrong: Vec<String>,
    /// Since when it is silent; `None`: it is not.
    pub silent_since_ms: Option<u64>,
    /// When it was heard of, as far as it was written down.
    pub seen_ms: u64,
    /// Number of the next row of the history.
    pub history_next: u64,
    /// The epoch in which its events count, and the last event taken.
    pub event: (u64, u64),
    /// What one report has shown it to be. It is told when the next one shows it too, so that a
    /// setting that flaps is no news.
    #[serde(default)]
    pub pending: Option<Posture>,
}

impl Standing {
    /// Where it lies.
    #[must_use]
    pub fn place(device: &str) -> Place {
        Place::new(device_partition(device), "S")
    }
}

/// What came in or was noticed at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HistoryRow {
    /// The cloud's clock.
    pub at_ms: u64,
    /// In order.
    pub happened: Vec<Happened>,
}

/// One thing in a device's history.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Happened {
    /// The device told an event.
    Event {
        /// The device's clock.
        device_at_ms: u64,
        /// What it told.
        #[serde(flatten)]
        event: EventKind,
    },
    /// It is as the policy asks, or not any more.
    Posture {
        /// What it was.
        from: Posture,
        /// What it is.
        to: Posture,
        /// What is wrong now.
        wrong: Vec<String>,
    },
    /// It is not heard of any more.
    Silent {
        /// When it was last.
        seen_ms: u64,
    },
    /// It is heard of again.
    Back,
    /// It runs another version.
    Version {
        /// `agent` or `firmware`.
        of: String,
        /// What it was.
        from: String,
        /// What it is.
        to: String,
    },
    /// The device had no room for so many events.
    Dropped {
        /// How many.
        events: u64,
    },
}

/// Where row number `seq` of the history lies.
fn history_place(device: &str, seq: u64) -> Place {
    Place::new(history_partition(device), sequence(seq))
}

/// The partition of a device's history.
fn history_partition(device: &str) -> String {
    format!("{}#T", device_partition(device))
}

/// A device's history, oldest first.
///
/// # Errors
/// When it cannot be read.
pub fn history(vault: &Vault, device: &str) -> Result<Vec<HistoryRow>, VaultError> {
    let rows = vault.all::<HistoryRow>(&history_partition(device), "")?;
    Ok(rows.into_iter().map(|row| row.value).collect())
}

/// The policy of a tenant: its own, or the baseline.
///
/// # Errors
/// When it cannot be read.
pub fn policy_of(vault: &Vault) -> Result<wire::Policy, VaultError> {
    let stored = vault.get::<StoredPolicy>(&StoredPolicy::place())?;
    Ok(stored.map_or_else(policy::baseline, |stored| stored.value.wire))
}

/// Adds a row to the history in `batch`, and lets the oldest go.
pub(crate) fn tell(
    batch: &mut Batch<'_>,
    vault: &Vault,
    device: &str,
    standing: &mut Standing,
    happened: Vec<Happened>,
) -> Result<(), VaultError> {
    if happened.is_empty() {
        return Ok(());
    }
    let seq = standing.history_next;
    standing.history_next += 1;
    if let Some(oldest) = seq.checked_sub(HISTORY_MAX)
        && let Some(row) = vault.get::<HistoryRow>(&history_place(device, oldest))?
    {
        batch.remove(&row);
    }
    let row = HistoryRow {
        at_ms: vault.ports().clock.now_ms(),
        happened,
    };
    batch.create(&history_place(device, seq), &row)
}

/// Whether a change of state waits for a second report that agrees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Certainty {
    /// Nobody doubts it.
    AtOnce,
    /// It may flap.
    Twice,
}

/// How sure the step from one reading to the next is: a critical change is believed at once, and so
/// is the first reading.
pub(crate) fn certainty(
    policy: &wire::Policy,
    before: Option<&[ReportSetting]>,
    settings: &[ReportSetting],
) -> Certainty {
    let Some(before) = before else {
        return Certainty::AtOnce;
    };
    let rules = policy.rules.iter();
    let rules = rules.filter(|rule| rule.severity == Some(Severity::Critical));
    let ids: BTreeSet<&str> = rules.map(|rule| rule.id.as_str()).collect();
    let critical = |list: &[ReportSetting]| {
        let all = list
            .iter()
            .filter(|it| it.severity == Severity::Critical || ids.contains(it.id.as_str()));
        let all = all.map(|it| (it.id.clone(), it.value.clone(), it.verdict));
        let mut all: Vec<_> = all.collect();
        all.sort_by(|a, b| (&a.0, &a.1).cmp(&(&b.0, &b.1)));
        all
    };
    match critical(before) == critical(settings) {
        true => Certainty::Twice,
        false => Certainty::AtOnce,
    }
}

/// Judges a reading; gives the change of state, if it is one.
pub(crate) fn judge(
    standing: &mut Standing,
    policy: &wire::Policy,
    (settings, certainty): (&[ReportSetting], Certainty),
    now_ms: u64,
) -> Option<Happened> {
    let assessment = assess(policy, settings, now_ms);
    let (from, to) = (standing.posture, posture_of(&assessment));
    let seen_before = standing.pending.take() == Some(to);
    if from != to && certainty == Certainty::Twice && !seen_before {
        standing.pending = Some(to);
        return None;
    }
    standing.posture = to;
    standing.wrong = wrong(&assessment);
    if from == to {
        return None;
    }
    standing.posture_since_ms = now_ms;
    Some(Happened::Posture {
        from,
        to,
        wrong: standing.wrong.clone(),
    })
}

/// Applies `policy` to a reading, for people: what the policy leaves to the catalogue is told in the
/// catalogue's words.
pub(crate) fn explained(
    policy: &wire::Policy,
    settings: &[ReportSetting],
    now_ms: u64,
) -> Assessment {
    let mut assessment = assess(policy, settings, now_ms);
    for (finding, rule) in assessment.findings.iter_mut().zip(&policy.rules) {
        let Some(row) = Row::find(&rule.id) else {
            continue;
        };
        if Expectation::of(rule) == Some(Expectation::Secure) {
            row.secure_value.clone_into(&mut finding.expected);
        }
        if finding.remedy.is_empty() {
            row.remedy.clone_into(&mut finding.remedy);
        }
    }
    assessment
}

fn posture_of(assessment: &Assessment) -> Posture {
    if !wrong(assessment).is_empty() {
        Posture::NotSecure
    } else if assessment.score.coverage_percent < COVERAGE_MIN_PERCENT {
        Posture::Unknown
    } else {
        Posture::Secure
    }
}

/// What counts for the state: one weak setting of low severity makes no device insecure.
fn wrong(assessment: &Assessment) -> Vec<String> {
    let all = assessment.findings.iter();
    all.filter(|finding| finding.counts_as_failure() && finding.severity >= Severity::High)
        .map(|finding| finding.id.clone())
        .collect()
}

/// Logs a change of state.
pub(crate) fn log(tenant: &str, device: &str, happened: &Happened) {
    match happened {
        Happened::Posture { from, to, wrong } => {
            let (from, to) = (from.as_str(), to.as_str());
            let wrong = wrong.join(", ");
            let colon = if wrong.is_empty() { "" } else { ": " };
            log::warn!("device {device} of tenant {tenant}: {from} -> {to}{colon}{wrong}");
        }
        Happened::Silent { seen_ms } => {
            let seen = crate::logger::rfc3339(*seen_ms);
            log::warn!("device {device} of tenant {tenant}: silent, last heard of {seen}");
        }
        Happened::Back => log::warn!("device {device} of tenant {tenant}: back"),
        _ => {}
    }
}

/// When devices were last heard of. In memory: a poll must not write.
#[derive(Debug, Default)]
pub(crate) struct Presence {
    devices: Mutex<Option<HashMap<String, Seen>>>,
}

#[derive(Clone, Debug)]
struct Seen {
    tenant: String,
    at_ms: u64,
    silent: bool,
    posture: Posture,
}

impl Presence {
    /// A device has proven that it is there.
    pub(crate) fn touch(&self, tenant: &str, device: &str, now_ms: u64) {
        let mut guard = self.lock();
        let devices = guard.get_or_insert_default();
        match devices.get_mut(device) {
            Some(seen) => seen.at_ms = now_ms,
            None => {
                devices.insert(device.to_owned(), Seen::new(tenant, now_ms));
            }
        }
    }

    pub(crate) fn judged(&self, device: &str, posture: Posture) {
        if let Some(seen) = self.lock().as_mut().and_then(|all| all.get_mut(device)) {
            seen.posture = posture;
        }
    }

    pub(crate) fn forget(&self, device: &str) {
        if let Some(all) = self.lock().as_mut() {
            all.remove(device);
        }
    }

    pub(crate) fn seen_ms(&self, device: &str) -> Option<u64> {
        Some(self.lock().as_ref()?.get(device)?.at_ms)
    }

    /// How many devices there are, and how many of each state.
    pub(crate) fn count(&self, silent: bool) -> usize {
        let guard = self.lock();
        let all = guard.iter().flat_map(HashMap::values);
        all.filter(|seen| seen.silent == silent).count()
    }

    pub(crate) fn count_posture(&self, posture: Posture) -> usize {
        let guard = self.lock();
        let all = guard.iter().flat_map(HashMap::values);
        all.filter(|seen| seen.posture == posture).count()
    }

    fn lock(&self) -> MutexGuard<'_, Option<HashMap<String, Seen>>> {
        self.devices.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn new(tenant: &str, now_ms: u64) -> Self {
        Self {
            tenant: tenant.to_owned(),
            at_ms: now_ms,
            silent: false,
            posture: Posture::Unknown,
        }
    }
}

impl Core {
    /// Looks who became silent and who is back; to be called each minute. Returns how many changed.
    ///
    /// # Errors
    /// When something cannot be read or written; the next call goes on.
    pub fn watch(&self) -> Result<usize, VaultError> {
        let now = self.now_ms();
        if !self
            .watching
            .swap(true, std::sync::atomic::Ordering::AcqRel)
            && let Err(error) = self.remember_devices(now)
        {
            self.watching
                .store(false, std::sync::atomic::Ordering::Release);
            return Err(error);
        }
        let limit = self.silent_after_ms();
        let changed: Vec<(String, Seen)> = {
            let guard = self.presence.lock();
            let all = guard.iter().flatten();
            all.filter(|(_, seen)| (now.saturating_sub(seen.at_ms) > limit) != seen.silent)
                .map(|(device, seen)| (device.clone(), seen.clone()))
                .collect()
        };
        for (device, seen) in &changed {
            self.change_presence(device, seen)?;
            if let Some(known) = self
                .presence
                .lock()
                .as_mut()
                .and_then(|all| all.get_mut(device))
            {
                known.silent = !seen.silent;
            }
        }
        Ok(changed.len())
    }

    fn silent_after_ms(&self) -> u64 {
        let polls = u64::from(self.settings.poll_interval_seconds) * 1000 * POLLS_MISSED_MAX;
        polls.max(SILENT_MS_MIN)
    }

    /// After a start: every device counts as heard of now, so that none is called silent for the
    /// cloud's own absence.
    fn remember_devices(&self, now_ms: u64) -> Result<(), VaultError> {
        for tenant in super::global::tenants(&self.ports)? {
            let vault = Vault::open(&self.ports, &tenant)?;
            for device in super::admin::device_ids(&vault)? {
                let known = vault.get::<Device>(&Device::place(&device))?;
                if known.is_none_or(|known| known.value.revoked) {
                    continue;
                }
                let standing = vault.get::<Standing>(&Standing::place(&device))?;
                let standing = standing.map(|standing| standing.value).unwrap_or_default();
                let silent = standing.silent_since_ms.is_some();
                let at_ms = if silent { standing.seen_ms } else { now_ms };
                let mut guard = self.presence.lock();
                let seen = guard.get_or_insert_default().entry(device);
                let seen = seen.or_insert_with(|| Seen::new(&tenant, at_ms));
                seen.silent = silent;
                seen.posture = standing.posture;
            }
        }
        Ok(())
    }

    fn change_presence(&self, device: &str, seen: &Seen) -> Result<(), VaultError> {
        let vault = Vault::open(&self.ports, &seen.tenant)?;
        let now_ms = self.now_ms();
        let happened = match seen.silent {
            true => Happened::Back,
            false => Happened::Silent {
                seen_ms: seen.at_ms,
            },
        };
        change(&vault, device, |standing| {
            standing.seen_ms = seen.at_ms;
            standing.silent_since_ms = (!seen.silent).then_some(now_ms);
            Some(happened.clone())
        })?;
        log(&seen.tenant, device, &happened);
        Ok(())
    }

    /// Judges every device of a tenant again: its policy is another one.
    ///
    /// # Errors
    /// When something cannot be read or written.
    pub(crate) fn judge_all(&self, vault: &Vault) -> Result<(), VaultError> {
        let policy = policy_of(vault)?;
        let now_ms = self.now_ms();
        for device in super::admin::device_ids(vault)? {
            let telemetry = vault.get::<Telemetry>(&Telemetry::place(&device))?;
            let Some((_, settings)) = telemetry.and_then(|telemetry| telemetry.value.settings)
            else {
                continue;
            };
            let mut posture = Posture::Unknown;
            let happened = change(vault, &device, |standing| {
                let newest = (settings.as_slice(), Certainty::AtOnce);
                let happened = judge(standing, &policy, newest, now_ms);
                posture = standing.posture;
                happened
            })?;
            self.presence.judged(&device, posture);
            if let Some(happened) = happened {
                log(vault.tenant(), &device, &happened);
            }
        }
        Ok(())
    }
}

/// Changes how a device stands, with what is to be told of it, in one transaction.
fn change(
    vault: &Vault,
    device: &str,
    mut with: impl FnMut(&mut Standing) -> Option<Happened>,
) -> Result<Option<Happened>, VaultError> {
    let place = Standing::place(device);
    for _ in 0..RACES_MAX {
        let old: Option<Stored<Standing>> = vault.get(&place)?;
        let mut standing = old
            .as_ref()
            .map(|old| old.value.clone())
            .unwrap_or_default();
        let happened = with(&mut standing);
        let mut batch = vault.batch();
        tell(
            &mut batch,
            vault,
            device,
            &mut standing,
            happened.iter().cloned().collect(),
        )?;
        batch.put_over(&place, old.as_ref(), &standing)?;
        match batch.commit() {
            Ok(()) => return Ok(happened),
            Err(error) if error.is_conflict() => {}
            Err(error) => return Err(error),
        }
    }
    Err(VaultError::Races)
}
