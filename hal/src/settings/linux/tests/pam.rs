//! Passwords that PAM takes.

use super::*;

const ID: &str = "auth.password_min_length";
const QUALITY: &str = "/etc/security/pwquality.conf";
const DROPPED: &str = "/etc/security/pwquality.conf.d/a.conf";
const LONG: (&str, &str) = (QUALITY, "minlen = 14\n");
const ASKED: (&str, &str) = (PASSWORD, "password requisite pam_pwquality.so retry=3\n");

pub(super) const CASES: &[Case] = &[
    (ID, &[ASKED, LONG], "14 ok"),
    (ID, &[ASKED], "8 bad"),
    (ID, &[ASKED, (QUALITY, "minlen = 4\n")], "6 bad"),
    (ID, &[ASKED, (QUALITY, "minlen = long\n")], "not-answered"),
    (ID, &[ASKED, (QUALITY, "minlen =\n")], "not-answered"),
    (
        ID,
        &[ASKED, (QUALITY, "minlen = 14\nenforcing = 0\n")],
        "0 bad",
    ),
    (
        ID,
        &[ASKED, (QUALITY, "minlen = 14\nenforcing = 1\n")],
        "14 ok",
    ),
    // Symbols of some kinds count twice.
    (
        ID,
        &[ASKED, (QUALITY, "minlen = 14\ndcredit = 5\nucredit = 5\n")],
        "4 bad",
    ),
    (
        ID,
        &[ASKED, (QUALITY, "minlen = 14\ndcredit = -1\nocredit = 0\n")],
        "14 ok",
    ),
    (
        ID,
        &[ASKED, (QUALITY, "minlen = 14\ndcredit = x\n")],
        "not-answered",
    ),
    (
        ID,
        &[(
            PASSWORD,
            "password requisite pam_pwquality.so minlen=14 lcredit=3\n",
        )],
        "11 bad",
    ),
    (
        ID,
        &[(
            PASSWORD,
            "password requisite pam_pwquality.so minlen=15 enforcing=0\n",
        )],
        "0 bad",
    ),
    // The file counts more than what is dropped in beside it.
    (
        ID,
        &[ASKED, (QUALITY, "minlen = 8\n"), (DROPPED, "minlen = 14\n")],
        "8 bad",
    ),
    (ID, &[ASKED, (DROPPED, "minlen = 14\n")], "14 ok"),
    // It refuses nothing, or somebody else takes the password before or after.
    (
        ID,
        &[LONG, (PASSWORD, "password optional pam_pwquality.so\n")],
        "not-supported",
    ),
    (
        ID,
        &[LONG, (PASSWORD, "password sufficient pam_pwquality.so\n")],
        "not-supported",
    ),
    (
        ID,
        &[
            LONG,
            (PASSWORD, "password [default=ignore] pam_pwquality.so\n"),
        ],
        "not-supported",
    ),
    (
        ID,
        &[
            LONG,
            (
                PASSWORD,
                "password sufficient pam_unix.so\npassword requisite pam_pwquality.so\n",
            ),
        ],
        "not-supported",
    ),
    (
        ID,
        &[
            LONG,
            (
                PASSWORD,
                "password [success=1 default=ignore] pam_x.so\npassword requisite pam_pwquality.so\n",
            ),
        ],
        "not-supported",
    ),
    (
        ID,
        &[
            LONG,
            (
                PASSWORD,
                "password required pam_pwquality.so\npassword required pam_unix.so\n",
            ),
        ],
        "not-supported",
    ),
    (
        ID,
        &[
            LONG,
            (
                PASSWORD,
                "password required pam_pwquality.so\npassword required pam_unix.so use_authtok\n",
            ),
        ],
        "14 ok",
    ),
    (
        ID,
        &[
            LONG,
            (
                PASSWORD,
                "password include strong\npassword requisite pam_pwquality.so\n",
            ),
        ],
        "not-supported",
    ),
    // Lines of another type, and no stack at all.
    (
        ID,
        &[
            LONG,
            (
                PASSWORD,
                "auth requisite pam_pwquality.so\npassword required pam_unix.so\n",
            ),
        ],
        "6 bad",
    ),
    (ID, &[LONG], "not-supported"),
    (
        ID,
        &[("/etc/login.defs", "PASS_MIN_LEN 12\n")],
        "not-supported",
    ),
    (ID, &[], "not-supported"),
    // Without pam_pwquality.
    (
        ID,
        &[
            LONG,
            (PASSWORD, "password [success=1] pam_unix.so obscure\n"),
        ],
        "6 bad",
    ),
    (
        ID,
        &[(PASSWORD, "password [success=1] pam_unix.so minlen=15\n")],
        "15 ok",
    ),
    (
        ID,
        &[(
            PASSWORD,
            "password required /lib/security/pam_unix.so minlen=15 \\\n minlen=4\n",
        )],
        "4 bad",
    ),
    // A service that takes a new password by itself.
    (
        ID,
        &[
            ASKED,
            LONG,
            ("/etc/pam.d/panel", "password required pam_unix.so\n"),
        ],
        "not-supported",
    ),
    (
        ID,
        &[
            ASKED,
            LONG,
            ("/etc/pam.d/passwd", "@include common-password\n"),
        ],
        "14 ok",
    ),
];

#[test]
fn the_evidence_of_a_length_is_where_it_stands() {
    for (line, path) in [("", QUALITY), (" minlen=14", PASSWORD)] {
        let line = format!("password requisite pam_pwquality.so{line}\n");
        let files: [(&str, &[u8]); 2] = [(PASSWORD, line.as_bytes()), (QUALITY, b"minlen=14\n")];
        let setting = &read_all(&files, &Told::default())[ID];
        assert_eq!(
            (setting.value.as_str(), setting.evidence.as_str()),
            ("14", path)
        );
    }
}
