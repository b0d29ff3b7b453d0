//! Passwords that PAM takes.

use super::*;

pub(super) const CASES: &[Case] = &[
    (
        "auth.lockout_tries",
        &[(AUTH, "auth required pam_unix.so\n")],
        "0 bad",
    ),
    (
        "auth.lockout_tries",
        &[(AUTH, "auth required pam_faillock.so preauth\n")],
        "3 ok",
    ),
    (
        "auth.lockout_tries",
        &[
            (AUTH, "auth required pam_faillock.so deny=9\n"),
            (FAILLOCK, "deny = 2\n"),
        ],
        "9 bad",
    ),
    (
        "auth.lockout_tries",
        &[(FAILLOCK, "# deny = 9\ndeny = 5\n")],
        "5 ok",
    ),
    (
        "auth.lockout_tries",
        &[(FAILLOCK, "deny = many\n")],
        "not-answered",
    ),
    ("auth.lockout_tries", &[], "not-supported"),
    (
        "auth.lockout_seconds",
        &[(FAILLOCK, "unlock_time = 299\n")],
        "299 bad",
    ),
    (
        "auth.lockout_seconds",
        &[(FAILLOCK, "unlock_time = 300\n")],
        "300 ok",
    ),
    (
        "auth.lockout_seconds",
        &[(FAILLOCK, "unlock_time = 0\n")],
        "315360000 ok",
    ),
    (
        "auth.lockout_seconds",
        &[(AUTH, "auth required pam_unix.so\n")],
        "0 bad",
    ),
    (
        "auth.password_min_length",
        &[
            (PASSWORD, "password requisite pam_pwquality.so retry=3\n"),
            ("/etc/security/pwquality.conf", "minlen = 14\n"),
        ],
        "14 ok",
    ),
    (
        "auth.password_min_length",
        &[(PASSWORD, "password requisite pam_pwquality.so retry=3\n")],
        "8 bad",
    ),
    (
        "auth.password_min_length",
        &[
            (PASSWORD, "password [success=1] pam_unix.so obscure\n"),
            ("/etc/security/pwquality.conf", "minlen = 14\n"),
        ],
        "6 bad",
    ),
    (
        "auth.password_min_length",
        &[(PASSWORD, "password [success=1] pam_unix.so minlen=15\n")],
        "15 ok",
    ),
    (
        "auth.password_min_length",
        &[("/etc/login.defs", "PASS_MIN_LEN 12\n")],
        "12 ok",
    ),
    ("auth.password_min_length", &[], "not-supported"),
];
