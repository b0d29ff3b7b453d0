//! `log.audit_enabled`: whether sign-ins and the like are written to a log that outlives a restart:
//! by auditd, journald with storage, or a syslog daemon.

use super::pam::configured;
use super::{Reading, Root, Unread, Why, block, systemd};

const JOURNALD: &str = "journald.conf";
const DAEMONS: &[&str] = &[
    "/run/auditd.pid",
    "/run/rsyslogd.pid",
    "/run/syslog-ng.pid",
    "/run/syslogd.pid",
];
/// What they write, when nobody set up something else.
const LOGS: &[&str] = &[
    "/var/log/audit/audit.log",
    "/var/log/auth.log",
    "/var/log/messages",
    "/var/log/secure",
    "/var/log/syslog",
];

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let daemon = DAEMONS.iter().find(|path| root.has(path));
    let journald = root.has("/run/systemd/journal/socket");
    if daemon.is_none() && !journald {
        return Ok(Reading::bool(false, "/run: no auditd, journald or syslog"));
    }
    let holder = block::holder(root, "/var/log")?;
    if holder.is_none_or(|mount| matches!(mount.kind.as_str(), "tmpfs" | "ramfs")) {
        return Ok(Reading::bool(false, "/var/log lies in memory"));
    }
    if let Some(path) = daemon.filter(|_| LOGS.iter().any(|path| root.has(path))) {
        return Ok(Reading::bool(true, *path));
    }
    let texts = systemd::texts(root, JOURNALD)?;
    let storage = configured(&texts, "Storage").unwrap_or_default();
    let kept = match storage.as_str() {
        "persistent" => true,
        "none" | "volatile" => false,
        _ => root.has("/var/log/journal"),
    };
    Ok(match daemon {
        Some(path) if !kept || !journald => {
            let detail = "a daemon runs, but none of its usual logs is there";
            Reading::unknown(Why::NotSupported, detail, *path)
        }
        _ => Reading::bool(kept, format!("/etc/systemd/{JOURNALD}")),
    })
}
