//! Logs.

use super::*;

const DISK: (&str, &str) = (MOUNTS, "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n");
const MEMORY: (&str, &str) = (
    MOUNTS,
    "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:5 / /var/log rw - tmpfs t rw\n",
);
pub(super) const CASES: &[Case] = &[
    (
        "log.audit_enabled",
        &[
            ("/run/auditd.pid", "1\n"),
            DISK,
            ("/var/log/audit/audit.log", ""),
        ],
        "true ok",
    ),
    (
        "log.audit_enabled",
        &[(JOURNAL, ""), DISK, ("/var/log/journal/x", "")],
        "true ok",
    ),
    ("log.audit_enabled", &[(JOURNAL, ""), DISK], "false bad"),
    (
        "log.audit_enabled",
        &[
            (JOURNAL, ""),
            DISK,
            ("/var/log/journal/x", ""),
            (
                "/etc/systemd/journald.conf.d/a.conf",
                "[Journal]\nStorage=none\n",
            ),
        ],
        "false bad",
    ),
    ("log.audit_enabled", &[], "false bad"),
    // A log in memory does not outlive a restart, nor one of which nobody knows where it is.
    (
        "log.audit_enabled",
        &[("/run/syslogd.pid", ""), ("/var/log/messages", ""), MEMORY],
        "false bad",
    ),
    (
        "log.audit_enabled",
        &[("/run/syslogd.pid", ""), ("/var/log/messages", ""), DISK],
        "true ok",
    ),
    (
        "log.audit_enabled",
        &[("/run/syslogd.pid", ""), DISK],
        "not-supported",
    ),
    (
        "log.audit_enabled",
        &[(JOURNAL, ""), MEMORY, ("/var/log/journal/x", "")],
        "false bad",
    ),
    (
        "log.audit_enabled",
        &[("/run/auditd.pid", ""), ("/var/log/audit/audit.log", "")],
        "not-supported",
    ),
    // Of what is dropped in the last name counts, and /etc hides the same name elsewhere.
    (
        "log.audit_enabled",
        &[
            (JOURNAL, ""),
            DISK,
            ("/usr/lib/systemd/journald.conf.d/9.conf", "Storage=none\n"),
            (
                "/etc/systemd/journald.conf.d/1.conf",
                "Storage=persistent\n",
            ),
        ],
        "false bad",
    ),
    (
        "log.audit_enabled",
        &[
            (JOURNAL, ""),
            DISK,
            ("/usr/lib/systemd/journald.conf.d/9.conf", "Storage=none\n"),
            (
                "/etc/systemd/journald.conf.d/9.conf",
                "Storage=persistent\n",
            ),
        ],
        "true ok",
    ),
];
