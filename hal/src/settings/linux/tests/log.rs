//! Logs.

use super::*;

pub(super) const CASES: &[Case] = &[
    (
        "log.audit_enabled",
        &[("/run/auditd.pid", "1\n")],
        "true ok",
    ),
    (
        "log.audit_enabled",
        &[(JOURNAL, ""), ("/var/log/journal/x", "")],
        "true ok",
    ),
    ("log.audit_enabled", &[(JOURNAL, "")], "false bad"),
    (
        "log.audit_enabled",
        &[
            (JOURNAL, ""),
            ("/var/log/journal/x", ""),
            (
                "/etc/systemd/journald.conf.d/a.conf",
                "[Journal]\nStorage=none\n",
            ),
        ],
        "false bad",
    ),
    ("log.audit_enabled", &[], "false bad"),
    (
        "log.remote_over_tls",
        &[("/etc/rsyslog.conf", "*.* @@host:514\n")],
        "false bad",
    ),
    (
        "log.remote_over_tls",
        &[(
            "/etc/rsyslog.conf",
            "$DefaultNetstreamDriver gtls\n$ActionSendStreamDriverMode 1\n*.* @@host:6514\n",
        )],
        "true ok",
    ),
    (
        "log.remote_over_tls",
        &[(
            "/etc/rsyslog.d/a.conf",
            "*.* action(type=\"omfwd\"\n target=\"x\" protocol=\"tcp\"\n StreamDriver=\"gtls\" StreamDriverMode=\"1\")\n",
        )],
        "true ok",
    ),
    (
        "log.remote_over_tls",
        &[(
            "/etc/rsyslog.d/a.conf",
            "action(type=\"omfwd\" target=\"x\" StreamDriver=\"gtls\" StreamDriverMode=\"1\")\n*.* @udp\n",
        )],
        "false bad",
    ),
    (
        "log.remote_over_tls",
        &[(
            "/etc/systemd/journal-upload.conf",
            "[Upload]\nURL=https://x:19532\n",
        )],
        "true ok",
    ),
    ("log.remote_over_tls", &[], "false bad"),
];
