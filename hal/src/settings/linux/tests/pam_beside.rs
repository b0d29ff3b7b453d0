//! Ways to sign in that pass by a lockout: another server, a service with a stack of its own.

use super::pam_lockout::{DEBIAN, SECONDS, TRIES};
use super::*;

pub(super) const CASES: &[Case] = &[
    // Another server of SSH, or one that is told to by a file of its own.
    (
        TRIES,
        &[(AUTH, DEBIAN), ("/usr/sbin/dropbear", "")],
        "not-supported",
    ),
    (
        SECONDS,
        &[
            (AUTH, DEBIAN),
            (SSHD, "UsePAM yes\n"),
            ("/etc/dropbear/x", ""),
        ],
        "not-supported",
    ),
    (
        TRIES,
        &[(AUTH, DEBIAN), ("/usr/sbin/sshd", "")],
        "not-supported",
    ),
    (
        TRIES,
        &[
            (AUTH, DEBIAN),
            (SSHD, "Include /etc/vendor/*.conf\nUsePAM yes\n"),
            ("/etc/vendor/a.conf", "UsePAM no\n"),
        ],
        "not-supported",
    ),
    (
        TRIES,
        &[
            (AUTH, DEBIAN),
            (SSHD, "Port 22\n"),
            ("/etc/ssh/sshd_config.d/a.conf", "UsePAM yes\n"),
        ],
        "not-supported",
    ),
    (
        TRIES,
        &[
            (AUTH, DEBIAN),
            (SSHD, "Include sshd_config.d/*.conf\n"),
            ("/etc/ssh/sshd_config.d/a.conf", "UsePAM yes\n"),
        ],
        "3 ok",
    ),
    // Services whose stacks lead to those that were looked at, and such that do not.
    (
        TRIES,
        &[
            (AUTH, DEBIAN),
            (
                "/etc/pam.d/login",
                "auth optional pam_faildelay.so delay=3000000\n@include common-auth\n",
            ),
            (
                "/etc/pam.d/su",
                "auth sufficient pam_rootok.so\n@include common-auth\nsession required pam_x.so\n",
            ),
            ("/etc/pam.d/su-l", "auth include su\n"),
            (
                "/etc/pam.d/common-password",
                "password required pam_unix.so\n",
            ),
            (
                "/etc/pam.d/common-auth.pam-old",
                "auth required pam_unix.so\n",
            ),
            ("/usr/lib/pam.d/su", "auth required pam_unix.so\n"),
        ],
        "3 ok",
    ),
    (
        TRIES,
        &[
            (AUTH, DEBIAN),
            (
                "/etc/pam.d/greeter",
                "auth required pam_permit.so\nsession required pam_systemd.so\n",
            ),
            (
                "/etc/pam.d/finger",
                "auth required pam_sepermit.so\nauth required pam_fprintd.so\n",
            ),
            (
                "/etc/pam.d/sudo",
                "auth sufficient pam_timestamp.so\n@include common-auth\n\
                 auth optional pam_mail.so\nauth optional pam_ssh_add.so\n\
                 auth required pam_lastlog.so\n",
            ),
        ],
        "3 ok",
    ),
    (
        TRIES,
        &[
            (AUTH, DEBIAN),
            ("/etc/pam.d/panel", "auth required pam_unix.so\n"),
        ],
        "not-supported",
    ),
    (
        SECONDS,
        &[
            (AUTH, DEBIAN),
            (
                "/etc/pam.d/panel",
                "-auth sufficient pam_vendor.so\n@include common-auth\n",
            ),
        ],
        "not-supported",
    ),
    (
        TRIES,
        &[
            (AUTH, DEBIAN),
            ("/etc/pam.d/panel", "auth include /opt/vendor/pam\n"),
        ],
        "not-supported",
    ),
    (
        TRIES,
        &[
            (AUTH, DEBIAN),
            ("/usr/lib/pam.d/panel", "auth required pam_unix.so\n"),
        ],
        "not-supported",
    ),
    (
        TRIES,
        &[
            (AUTH, DEBIAN),
            ("/usr/etc/pam.d/panel", "auth required pam_unix.so\n"),
        ],
        "not-supported",
    ),
    (
        TRIES,
        &[
            (AUTH, "auth required pam_unix.so\n"),
            ("/etc/pam.d/panel", "auth required pam_unix.so\n"),
        ],
        "0 bad",
    ),
    // What is bad as it is gets no better by what stands beside, nor does it get good.
    (
        TRIES,
        &[
            (AUTH, DEBIAN),
            (FAILLOCK, "deny = 9\n"),
            ("/etc/pam.d/panel", "auth required pam_unix.so\n"),
        ],
        "9 bad",
    ),
    (
        SECONDS,
        &[
            (AUTH, DEBIAN),
            (FAILLOCK, "unlock_time = 60\n"),
            ("/etc/pam.d/panel", "auth required pam_unix.so\n"),
        ],
        "60 bad",
    ),
    (
        SECONDS,
        &[
            (AUTH, DEBIAN),
            (FAILLOCK, "unlock_time = 0\n"),
            ("/etc/pam.d/panel", "auth required pam_unix.so\n"),
        ],
        "not-supported",
    ),
    (
        "auth.password_min_length",
        &[
            (PASSWORD, "password required pam_unix.so\n"),
            ("/etc/pam.d/panel", "password required pam_vendor.so\n"),
        ],
        "6 bad",
    ),
    // A file that cannot be read.
    (
        "auth.password_min_length",
        &[
            (PASSWORD, "password required pam_unix.so\n"),
            ("/etc/pam.d/panel/x", ""),
        ],
        "6 bad",
    ),
    (
        TRIES,
        &[
            (AUTH, DEBIAN),
            (
                "/etc/pam.d/panel",
                "auth [success=1 default=ignore] pam_succeed_if.so quiet uid > 0\n@include common-auth\n",
            ),
        ],
        "not-supported",
    ),
    (
        TRIES,
        &[
            (AUTH, DEBIAN),
            (SSHD, "Include /etc/*/x.conf\nUsePAM yes\n"),
        ],
        "not-supported",
    ),
];
