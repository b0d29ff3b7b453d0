//! Stacks of PAM that lock an account, and such that only look so.

use super::*;

pub(super) const TRIES: &str = "auth.lockout_tries";
pub(super) const SECONDS: &str = "auth.lockout_seconds";
const SYSTEM: &str = "/etc/pam.d/system-auth";
const REMOTE: &str = "/etc/pam.d/password-auth";

/// As Debian has it: success skips what follows a wrong password.
pub(super) const DEBIAN: &str = "auth requisite pam_faillock.so preauth\n\
    auth [success=2 default=ignore] pam_unix.so nullok\n\
    auth [default=die] pam_faillock.so authfail\n\
    auth requisite pam_deny.so\n\
    auth required pam_permit.so\n\
    account required pam_unix.so\n";
/// As Red Hat has it.
const RED_HAT: &str = "auth required pam_env.so\n\
    auth required pam_faillock.so preauth silent\n\
    auth [default=1 ignore=ignore success=ok] pam_localuser.so\n\
    auth sufficient pam_unix.so nullok\n\
    auth sufficient pam_sss.so forward_pass\n\
    auth required pam_faillock.so authfail\n\
    auth required pam_deny.so\n\
    account include postlogin\n";

pub(super) const CASES: &[Case] = &[
    (TRIES, &[(AUTH, DEBIAN)], "3 ok"),
    (SECONDS, &[(AUTH, DEBIAN)], "600 ok"),
    (TRIES, &[(SYSTEM, RED_HAT), (REMOTE, RED_HAT)], "3 ok"),
    (
        TRIES,
        &[(SYSTEM, RED_HAT), (REMOTE, "auth sufficient pam_unix.so\n")],
        "0 bad",
    ),
    (TRIES, &[(AUTH, DEBIAN), (FAILLOCK, "deny = 9\n")], "9 bad"),
    (
        TRIES,
        &[(AUTH, DEBIAN), (FAILLOCK, "deny = many\n")],
        "not-answered",
    ),
    (TRIES, &[(AUTH, DEBIAN), (FAILLOCK, "deny = 0\n")], "0 bad"),
    (
        SECONDS,
        &[(AUTH, DEBIAN), (FAILLOCK, "deny = 0\n")],
        "0 bad",
    ),
    (
        SECONDS,
        &[(AUTH, DEBIAN), (FAILLOCK, "deny = many\n")],
        "not-answered",
    ),
    (
        SECONDS,
        &[(AUTH, DEBIAN), (FAILLOCK, "unlock_time = 299\n")],
        "299 bad",
    ),
    (
        SECONDS,
        &[(AUTH, DEBIAN), (FAILLOCK, "unlock_time = 300\n")],
        "300 ok",
    ),
    (
        SECONDS,
        &[(AUTH, DEBIAN), (FAILLOCK, "unlock_time = 0\n")],
        "315360000 ok",
    ),
    (
        SECONDS,
        &[(AUTH, DEBIAN), (FAILLOCK, "unlock_time = never\n")],
        "315360000 ok",
    ),
    (SECONDS, &[(AUTH, "auth required pam_unix.so\n")], "0 bad"),
    // Nothing is known of a device without PAM.
    (TRIES, &[], "not-supported"),
    (TRIES, &[(FAILLOCK, "")], "not-supported"),
    (
        SECONDS,
        &[(FAILLOCK, "unlock_time = 900\n")],
        "not-supported",
    ),
    // sshd asks PAM only when it is told to.
    (TRIES, &[(AUTH, DEBIAN), (SSHD, "UsePAM yes\n")], "3 ok"),
    (
        TRIES,
        &[(AUTH, DEBIAN), (SSHD, "Port 22\n")],
        "not-supported",
    ),
    (
        TRIES,
        &[(AUTH, DEBIAN), (SSHD, "usepam=no\nUsePAM yes\n")],
        "not-supported",
    ),
    // Lines that lock nobody.
    (TRIES, &[(AUTH, "auth required pam_unix.so\n")], "0 bad"),
    (
        TRIES,
        &[(
            AUTH,
            "auth required pam_unix.so\naccount required pam_faillock.so\n",
        )],
        "0 bad",
    ),
    (
        TRIES,
        &[(
            AUTH,
            "auth required pam_faillock.so preauth\nauth sufficient pam_unix.so\n",
        )],
        "0 bad",
    ),
    (
        TRIES,
        &[(
            AUTH,
            "# auth required pam_faillock.so preauth\nauth required pam_unix.so # authfail\n",
        )],
        "0 bad",
    ),
    (
        TRIES,
        &[(
            AUTH,
            "auth required pam_faillock.so preauth\nauth [success=1 default=ignore] pam_unix.so\n\
            auth requisite pam_deny.so\nauth required pam_permit.so\nauth required pam_faillock.so authfail\n",
        )],
        "0 bad",
    ),
    (
        TRIES,
        &[(
            AUTH,
            "auth required pam_faillock.so preauth\nauth requisite pam_unix.so\nauth required pam_faillock.so authfail\n",
        )],
        "0 bad",
    ),
    (
        TRIES,
        &[(
            AUTH,
            "auth required pam_faillock.so preauth\nauth [success=1 default=2] pam_unix.so\n\
            auth required pam_faillock.so authfail\nauth required pam_permit.so\n",
        )],
        "0 bad",
    ),
    // Ways round: the password counts before the lock does, or whether is not known.
    (
        TRIES,
        &[(
            AUTH,
            "auth sufficient pam_unix.so\nauth required pam_faillock.so preauth\nauth required pam_faillock.so authfail\n",
        )],
        "not-supported",
    ),
    (
        TRIES,
        &[(
            AUTH,
            "auth optional pam_faillock.so preauth\nauth sufficient pam_unix.so\nauth required pam_faillock.so authfail\n",
        )],
        "not-supported",
    ),
    (
        TRIES,
        &[(
            AUTH,
            "auth sufficient pam_unix.so\nauth required pam_faillock.so authfail\n",
        )],
        "not-supported",
    ),
    (
        TRIES,
        &[(
            AUTH,
            "auth required pam_faillock.so preauth\nauth sufficient pam_vendor.so\nauth required pam_faillock.so authfail\n",
        )],
        "not-supported",
    ),
    (TRIES, &[(AUTH, "@include common-lock\n")], "not-supported"),
    (
        TRIES,
        &[(AUTH, "auth include system-lock\n")],
        "not-supported",
    ),
    (
        TRIES,
        &[(AUTH, "auth [default=reset] pam_x.so\n")],
        "not-supported",
    ),
    // Numbers on the lines.
    (
        TRIES,
        &[
            (
                AUTH,
                "auth required pam_faillock.so preauth deny=9\nauth sufficient pam_unix.so\n\
            auth required pam_faillock.so authfail deny=9\n",
            ),
            (FAILLOCK, "deny = 2\n"),
        ],
        "9 bad",
    ),
    (
        TRIES,
        &[(
            AUTH,
            "auth required pam_faillock.so preauth deny=3 deny=9\nauth sufficient pam_unix.so\n\
            auth required pam_faillock.so authfail deny=9\n",
        )],
        "9 bad",
    ),
    (
        TRIES,
        &[(
            AUTH,
            "auth required pam_faillock.so preauth\nauth sufficient pam_unix.so\n\
            auth required pam_faillock.so authfail deny=5\n",
        )],
        "not-supported",
    ),
    (
        TRIES,
        &[
            (
                AUTH,
                "auth required pam_faillock.so preauth conf=/etc/x\nauth sufficient pam_unix.so\n\
            auth required pam_faillock.so authfail conf=/etc/x\n",
            ),
            ("/etc/x", "deny = 8\n"),
            (FAILLOCK, "deny = 2\n"),
        ],
        "8 bad",
    ),
];
