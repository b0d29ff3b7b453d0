//! Where logs are sent.

use super::*;

const ID: &str = "log.remote_over_tls";
const TLS_ACTION: &str = "action(type=\"omfwd\" target=\"x\" protocol=\"tcp\" StreamDriver=\"gtls\" StreamDriverMode=\"1\")\n";
const COMMENTED: &str = "module(load=\"imuxsock\") /* not yet:\naction(type=\"omfwd\" target=\"x\" protocol=\"tcp\" StreamDriver=\"gtls\" StreamDriverMode=\"1\")\n*/\n";
const RSYSLOG: (&str, &str) = ("/run/rsyslogd.pid", "1\n");
const RSYSLOG_CONF: &str = "/etc/rsyslog.conf";
const RSYSLOG_D: &str = "/etc/rsyslog.d/a.conf";
const SYSLOG_NG: (&str, &str) = ("/run/syslog-ng.pid", "1\n");
const SYSLOG_NG_CONF: &str = "/etc/syslog-ng/syslog-ng.conf";
const NG_TLS: &str = "destination d { network(\"h\"\n transport(\"tls\") tls(peer-verify(yes))); };\nlog { source(s); destination(d); };\n";
const UPLOAD: (&str, &str) = (
    "/etc/systemd/system/multi-user.target.wants/systemd-journal-upload.service",
    "",
);

pub(super) const CASES: &[Case] = &[
    (
        ID,
        &[("/etc/rsyslog.conf", "*.* @@host:514\n")],
        "false bad",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (
                "/etc/rsyslog.conf",
                "$DefaultNetstreamDriver gtls\n$ActionSendStreamDriverMode 1\n*.* @@host:6514\n",
            ),
        ],
        "true ok",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (
                "/etc/rsyslog.d/a.conf",
                "*.* action(type=\"omfwd\"\n target=\"x\" protocol=\"tcp\"\n StreamDriver=\"gtls\" StreamDriverMode=\"1\")\n",
            ),
        ],
        "true ok",
    ),
    (
        ID,
        &[(
            "/etc/rsyslog.d/a.conf",
            "action(type=\"omfwd\" target=\"x\" StreamDriver=\"gtls\" StreamDriverMode=\"1\")\n*.* @udp\n",
        )],
        "false bad",
    ),
    (
        ID,
        &[
            UPLOAD,
            (
                "/etc/systemd/journal-upload.conf",
                "[Upload]\nURL=https://x:19532\n",
            ),
        ],
        "true ok",
    ),
    (ID, &[], "false bad"),
    // rsyslog: UDP knows no TLS, and what is set for one action is not set for another.
    (
        ID,
        &[
            RSYSLOG,
            (
                RSYSLOG_D,
                "action(type=\"omfwd\" target=\"x\" StreamDriver=\"gtls\" StreamDriverMode=\"1\")\n",
            ),
        ],
        "false bad",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (RSYSLOG_CONF, "global(DefaultNetstreamDriver=\"gtls\")\n"),
            (
                RSYSLOG_D,
                "action(type=\"omfwd\" protocol=\"tcp\" StreamDriver=\"ptcp\" StreamDriverMode=\"1\")\n",
            ),
        ],
        "false bad",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (RSYSLOG_CONF, "global(DefaultNetstreamDriver=\"gtls\")\n"),
            (
                RSYSLOG_D,
                "action (\n type = \"omfwd\" action.resumeRetryCount=\"-1\"\n protocol=\"tcp\" StreamDriverMode=\"1\")\n",
            ),
        ],
        "true ok",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (RSYSLOG_D, TLS_ACTION),
            (RSYSLOG_CONF, "action (type=\"omfwd\" target=\"y\")\n"),
        ],
        "false bad",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (RSYSLOG_D, TLS_ACTION),
            (RSYSLOG_CONF, "action(type=\"omhttp\" server=\"y\")\n"),
        ],
        "not-supported",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (RSYSLOG_D, TLS_ACTION),
            (RSYSLOG_CONF, ":msg, contains, \"x y\" @host\n"),
        ],
        "false bad",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (RSYSLOG_D, TLS_ACTION),
            (RSYSLOG_CONF, "if $msg contains \"x\" then @@host\n"),
        ],
        "false bad",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (RSYSLOG_D, TLS_ACTION),
            (RSYSLOG_CONF, "*.* :omrelp:host:2514\n"),
        ],
        "false bad",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (RSYSLOG_D, TLS_ACTION),
            (RSYSLOG_CONF, "$IncludeConfig /opt/*.conf\n"),
        ],
        "not-supported",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (RSYSLOG_D, TLS_ACTION),
            (RSYSLOG_CONF, "$IncludeConfig /etc/rsyslog.d/*.conf\n"),
        ],
        "true ok",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (RSYSLOG_D, TLS_ACTION),
            (RSYSLOG_CONF, "include(file=\"/opt/x\")\n"),
        ],
        "not-supported",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (RSYSLOG_D, TLS_ACTION),
            (RSYSLOG_CONF, "if ($x == 1 then stop\n"),
        ],
        "not-supported",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (
                RSYSLOG_D,
                "/* off\naction(type=\"omrelp\" target=\"x\" tls=\"on\")\n*/\n",
            ),
        ],
        "not-supported",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (
                RSYSLOG_D,
                "action(type=\"omrelp\" target=\"x\" tls=\"on\")\n",
            ),
        ],
        "true ok",
    ),
    (ID, &[(RSYSLOG_D, TLS_ACTION)], "not-supported"),
    (
        ID,
        &[
            RSYSLOG,
            (
                RSYSLOG_CONF,
                "$DefaultNetstreamDriver gtls\n$ActionSendStreamDriverMode 1\n*.* @@a\n$ActionSendStreamDriverMode 0\n*.* @@b\n",
            ),
        ],
        "false bad",
    ),
    (
        ID,
        &[
            RSYSLOG,
            (
                RSYSLOG_CONF,
                "$DefaultNetstreamDriver gtls\n*.* @@a\n$ActionSendStreamDriverMode 1\n",
            ),
        ],
        "false bad",
    ),
    // syslog-ng: over several lines, by name, and used.
    (ID, &[SYSLOG_NG, (SYSLOG_NG_CONF, NG_TLS)], "true ok"),
    (ID, &[(SYSLOG_NG_CONF, NG_TLS)], "not-supported"),
    (
        ID,
        &[
            SYSLOG_NG,
            (SYSLOG_NG_CONF, NG_TLS),
            (
                "/etc/syslog-ng/conf.d/a.conf",
                "destination e {\n udp(\"h\");\n};\n",
            ),
        ],
        "false bad",
    ),
    (
        ID,
        &[
            SYSLOG_NG,
            (
                SYSLOG_NG_CONF,
                "destination d_tls { network(\"tls.example\" port(1)); };\n",
            ),
        ],
        "false bad",
    ),
    (
        ID,
        &[
            SYSLOG_NG,
            (
                SYSLOG_NG_CONF,
                "destination d { syslog(\"h\" transport(\"tls\")); };\n",
            ),
        ],
        "not-supported",
    ),
    (
        ID,
        &[
            SYSLOG_NG,
            (SYSLOG_NG_CONF, NG_TLS),
            (
                "/etc/syslog-ng/conf.d/a.conf",
                "destination e { http(url(\"x\")); file(\"/var/log/x\"); };\n",
            ),
        ],
        "not-supported",
    ),
    // systemd-journal-upload must run.
    (
        ID,
        &[(
            "/etc/systemd/journal-upload.conf",
            "[Upload]\nURL=https://x:19532\n",
        )],
        "not-supported",
    ),
    (
        ID,
        &[
            UPLOAD,
            ("/etc/systemd/journal-upload.conf", "URL=https://x\n"),
            (
                "/etc/systemd/journal-upload.conf.d/a.conf",
                "URL=http://x\n",
            ),
        ],
        "false bad",
    ),
    // What a comment hides is not sent, wherever in its line the comment begins.
    (ID, &[RSYSLOG, (RSYSLOG_D, COMMENTED)], "not-supported"),
    (
        ID,
        &[
            RSYSLOG,
            (
                RSYSLOG_CONF,
                "$IncludeConfig /etc/rsyslog.d/*.conf\ninclude(file=\"/etc/rsyslog.d/*.conf\")\n",
            ),
            (RSYSLOG_D, TLS_ACTION),
        ],
        "true ok",
    ),
];
