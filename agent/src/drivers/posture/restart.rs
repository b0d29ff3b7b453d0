//! Restarts of the device: how they are known, and whether its settings outlive them.
//!
//! Each whole reading of the first two minutes after a restart is compared with the last one before it:
//! services come late. What came of it is the setting `config.survives_restart` until the next restart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use scantrip_cloud_client::posture::diff::{Change, changes};
use scantrip_cloud_client::wire::ReportSetting;
use scantrip_hal::clock::Instant;
use scantrip_hal::settings::{Method, Revision, Row, Setting, Why};
use serde::{Deserialize, Serialize};

/// The setting that tells of it.
pub(super) const ID: &str = "config.survives_restart";
/// What is another after a restart though nothing fell back: an update and a new certificate come
/// with restarts, the clock is set long after this program starts, some ports are chosen anew.
const NOT_KEPT: [&str; 5] = [
    ID,
    "fw.version_approved",
    "net.cert_expires",
    "net.listening_ports",
    "time.synchronised",
];
/// So long after the first reading services may come or go. What is as before when it comes later may
/// have been set again by a person.
const LATE_MAX: Duration = Duration::from_secs(120);
/// A time since the start that has gone so far is not told to have begun anew: SNMP's counter ends
/// after 497 days, and is asked often enough within the last forty.
const UP_SECONDS_MAX: u32 = u32::MAX / 100 - 40 * 24 * 3600;
/// A clock that is set moves it a little.
const SLACK_SECONDS: u32 = 60;
/// Room for ids in the evidence, which other words need too.
const IDS_BYTES_MAX: usize = 60;

/// What the device told of itself when its settings were last read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Mark {
    boot_id: Option<String>,
    up: Option<(String, u32)>,
    changes: Option<String>,
}

impl Mark {
    /// What tells that the device was restarted since, if it was.
    fn restart(&self, now: &Revision) -> Option<&str> {
        if let (Some(before), Some(now)) = (&self.boot_id, &now.boot_id) {
            return (before != now).then_some("boot_id");
        }
        let ((by, before), now) = (self.up.as_ref()?, now.up?);
        let fell = now.seconds.saturating_add(SLACK_SECONDS) < *before;
        (by == now.by && fell && *before < UP_SECONDS_MAX).then_some(by)
    }

    /// Whether all settings shall be read anew; if not, how long the device is up is remembered.
    pub(super) fn look(&mut self, now: &Revision) -> bool {
        let changed = now.changes.is_some() && now.changes != self.changes;
        if changed || self.restart(now).is_some() {
            return true;
        }
        self.follow(now);
        false
    }

    /// A device that was silent has not lost what it told before.
    fn follow(&mut self, now: &Revision) {
        if now.boot_id.is_some() {
            self.boot_id.clone_from(&now.boot_id);
        }
        if let Some(up) = now.up {
            self.up = Some((up.by.to_owned(), up.seconds));
        }
    }

    /// The settings were read when the device told this. What they are when it told of no changes
    /// is not sure: they are read again when it does.
    fn renew(&mut self, now: &Revision) {
        self.follow(now);
        self.changes.clone_from(&now.changes);
    }
}

/// What became of the settings at a restart.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Restart {
    /// What told of it.
    by: String,
    /// Settings that were known before and after it.
    compared: usize,
    /// Those of them that are others.
    changed: Vec<String>,
}

/// What is remembered of restarts, over restarts.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Restarts {
    /// At the last whole reading.
    pub(super) mark: Mark,
    /// The last one.
    last: Option<Restart>,
    #[serde(skip)]
    fresh: Option<Fresh>,
    /// Whether the next reading may show that it was otherwise.
    #[serde(skip)]
    is_unsure: bool,
}

/// A restart of the last minutes.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Fresh {
    since: Instant,
    /// What told of it.
    by: String,
    /// The settings before it.
    before: BTreeMap<String, String>,
}

impl Restarts {
    /// Takes what the device told just before a whole reading at `at`. `before`: the last reading, as
    /// it is with the changes `pending` that only one reading has shown.
    pub(super) fn learn(
        &mut self,
        now: &Revision,
        at: Instant,
        (before, pending): (&[ReportSetting], &[Change]),
        reading: &[ReportSetting],
    ) {
        self.is_unsure = false;
        if let Some(by) = self.mark.restart(now) {
            let mut before = states(before);
            for change in pending {
                before.insert(change.id.clone(), change.to.clone());
            }
            let by = by.to_owned();
            let since = at;
            self.fresh = Some(Fresh { since, by, before });
            self.is_unsure = true;
        }
        self.fresh.take_if(|it| at.since(it.since) >= LATE_MAX);
        if let Some(fresh) = &self.fresh {
            let (compared, changed) = compare(&fresh.before, &states(reading));
            // A restart after which nothing can be compared tells nothing.
            if compared > 0 {
                self.is_unsure |= !changed.is_empty();
                self.last = Some(Restart {
                    by: fresh.by.clone(),
                    compared,
                    changed,
                });
            }
        }
        self.mark.renew(now);
    }

    /// Whether another reading is wanted soon.
    pub(super) const fn is_unsure(&self) -> bool {
        self.is_unsure
    }

    /// The setting that tells of it.
    pub(super) fn setting(&self, row: &Row) -> Setting {
        let unknown = |why, detail| Setting::unknown(row, why, detail, Method::Compared, "");
        match &self.last {
            Some(last) => {
                let kept = last.changed.is_empty().to_string();
                Setting::known(row, &kept, Method::Compared, &last.evidence(), 0)
            }
            None if self.mark.boot_id.is_none() && self.mark.up.is_none() => unknown(
                Why::NotSupported,
                "nothing tells when it restarts; the vendor's export may tell this, or you declare it",
            ),
            None => unknown(
                Why::NotAnswered,
                "no restart was seen between two readings yet",
            ),
        }
    }
}

impl Restart {
    /// The ids, but no values: how many changed comes first, for not all may have room.
    fn evidence(&self) -> String {
        let Self {
            by,
            compared,
            changed,
        } = self;
        if changed.is_empty() {
            return format!("all {compared} compared are as before the restart ({by})");
        }
        let mut text = format!("{} of {compared} changed at the restart:", changed.len());
        let room = text.len() + IDS_BYTES_MAX;
        for id in changed {
            if text.len() + id.len() + ", ...".len() > room {
                text.push_str(" ...");
                break;
            }
            let _whole = write!(text, " {id}");
        }
        text
    }
}

/// Settings by their ids, each as a change from nothing to its value.
fn states(reading: &[ReportSetting]) -> BTreeMap<String, String> {
    let mut states = BTreeMap::new();
    for change in changes(&[], reading) {
        states.insert(change.id, change.to);
    }
    states
}

/// How many settings are known before and after, and which are others now. What can no longer be
/// read, and a part that is not there, has not fallen back.
fn compare(
    before: &BTreeMap<String, String>,
    after: &BTreeMap<String, String>,
) -> (usize, Vec<String>) {
    let is_known = |state: &str| !matches!(state, "unknown" | "not read" | "not applicable");
    let (mut compared, mut changed) = (0, Vec::new());
    for (id, was) in before {
        let Some(is) = after.get(id).filter(|is| is_known(is) && is_known(was)) else {
            continue;
        };
        if NOT_KEPT.contains(&id.as_str()) {
            continue;
        }
        compared += 1;
        if was != is {
            changed.push(id.clone());
        }
    }
    (compared, changed)
}

#[cfg(test)]
mod tests;
