//! `log.audit_enabled`: whether sign-ins and the like are written to a log that outlives a restart:
//! auditd, journald with storage, or a syslog daemon.

use super::pam::configured;
use super::{Reading, Root, Unread};

const JOURNALD: &str = "/etc/systemd/journald.conf";

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    const DAEMONS: &[&str] = &[
        "/run/auditd.pid",
        "/run/rsyslogd.pid",
        "/run/syslog-ng.pid",
        "/run/syslogd.pid",
    ];
    if let Some(path) = DAEMONS.iter().find(|path| root.has(path)) {
        return Ok(Reading::bool(true, *path));
    }
    if !root.has("/run/systemd/journal/socket") {
        return Ok(Reading::bool(false, "/run: no auditd, journald or syslog"));
    }
    // The file itself is the weakest; what is dropped in counts more.
    let folders = [
        "/usr/lib/systemd/journald.conf.d",
        "/run/systemd/journald.conf.d",
        "/etc/systemd/journald.conf.d",
    ];
    let texts = root.texts(JOURNALD, &folders, ".conf")?;
    let storage = configured(&texts, "Storage").unwrap_or_default();
    let kept = match storage.as_str() {
        "persistent" => true,
        "none" | "volatile" => false,
        _ => root.has("/var/log/journal"),
    };
    Ok(Reading::bool(kept, JOURNALD))
}
