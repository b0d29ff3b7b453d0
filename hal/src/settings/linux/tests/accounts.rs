//! Accounts and signing in from far away.

use super::*;

pub(super) const CASES: &[Case] = &[
    (
        "auth.accounts_without_password",
        &[("/etc/shadow", "root:*:1\na:$6$x$y:1\n")],
        "0 ok",
    ),
    (
        "auth.accounts_without_password",
        &[("/etc/shadow", "root::1\na:!:1\nb::\n")],
        "2 bad",
    ),
    (
        "auth.accounts_without_password",
        &[("/etc/passwd", "root::0:0::/:/bin/sh\n")],
        "1 bad",
    ),
    (
        "auth.accounts_without_password",
        &[("/etc/passwd", "root:x:0:0::/:/bin/sh\n")],
        "not-supported",
    ),
    ("auth.accounts_without_password", &[], "not-supported"),
    (
        "auth.weak_password_hashes",
        &[("/etc/shadow", "a:$6$x$y:\nb:$y$z:\nc:!$1$locked:\n")],
        "0 ok",
    ),
    (
        "auth.weak_password_hashes",
        &[("/etc/shadow", "a:$1$x$y:\nb:abJnggxhB/yWI:\n")],
        "2 bad",
    ),
    (
        "auth.admin_password_default",
        &[("/etc/shadow", "root:*:1\n")],
        "not-supported",
    ),
    (
        "auth.admin_password_default",
        &[("/etc/shadow", "root:$y$j9T$a$b:1\n")],
        "not-supported",
    ),
    (
        "auth.admin_password_default",
        &[(
            "/etc/shadow",
            "root:$6$saltstring$svn8UoSVapNtMuq1ukKS4tPQd8iKwSMHWjlO/O817G3uBnIFNjnQJuesI68OTLiBFdcbYEdFCoEOfaS35inz1:1\n",
        )],
        "false ok",
    ),
    (
        "auth.root_remote_login",
        &[(SSHD, "PermitRootLogin no\n")],
        "false ok",
    ),
    ("auth.root_remote_login", &[(SSHD, "Port 22\n")], "true bad"),
    (
        "auth.root_remote_login",
        &[(SSHD, "permitrootlogin=prohibit-password\n")],
        "true bad",
    ),
    (
        "auth.root_remote_login",
        &[(
            SSHD,
            "PermitRootLogin no\nMatch User x\n  PermitRootLogin yes\n",
        )],
        "true bad",
    ),
    (
        "auth.root_remote_login",
        &[
            (SSHD, "Include sshd_config.d/*.conf\nPermitRootLogin no\n"),
            ("/etc/ssh/sshd_config.d/a.conf", "PermitRootLogin yes\n"),
        ],
        "true bad",
    ),
    (
        "auth.root_remote_login",
        &[
            (SSHD, "Include sshd_config.d/*.conf\nPermitRootLogin yes\n"),
            ("/etc/ssh/sshd_config.d/a.conf", "PermitRootLogin no\n"),
            ("/etc/ssh/sshd_config.d/b.bak", "PermitRootLogin yes\n"),
        ],
        "false ok",
    ),
    (
        "auth.root_remote_login",
        &[(SSHD, "Include /etc/*/x.conf\nPermitRootLogin no\n")],
        "not-supported",
    ),
    (
        "auth.root_remote_login",
        &[(TCP, NO_SOCKETS), (UDP, NO_SOCKETS)],
        "none",
    ),
    (
        "auth.root_remote_login",
        &[
            (TCP, "h\n 0: 00000000:0016 00000000:0000 0A\n"),
            (UDP, "h\n"),
        ],
        "not-supported",
    ),
    // A hash of DES may begin with any letter.
    (
        "auth.weak_password_hashes",
        &[("/etc/shadow", "a:xbJnggxhB/yWI:\n")],
        "1 bad",
    ),
    (
        "auth.admin_password_default",
        &[(
            "/etc/shadow",
            "root:abJnggxhB/yWI:1\na:$6$saltstring$svn8:1\n",
        )],
        "not-supported",
    ),
    (
        "auth.admin_password_default",
        &[("/etc/shadow", "root::1\na:$6$saltstring$svn8:1\n")],
        "not-supported",
    ),
    // What is included below a `Match`, or said for all by one.
    (
        "auth.root_remote_login",
        &[
            (SSHD, "Match User x\n Include sshd_config.d/*.conf\n"),
            ("/etc/ssh/sshd_config.d/a.conf", "PermitRootLogin no\n"),
        ],
        "true bad",
    ),
    (
        "auth.root_remote_login",
        &[(
            SSHD,
            "PermitRootLogin no\nMatch all\n PermitRootLogin yes\n",
        )],
        "true bad",
    ),
    (
        "auth.root_remote_login",
        &[(SSHD, "Match all\n PermitRootLogin no\n")],
        "false ok",
    ),
    // Another server beside, or one whose files are not known.
    (
        "auth.root_remote_login",
        &[(SSHD, "PermitRootLogin no\n"), ("/etc/dropbear/x", "")],
        "not-supported",
    ),
    (
        "auth.root_remote_login",
        &[(TCP, NO_SOCKETS), (UDP, NO_SOCKETS), ("/usr/sbin/sshd", "")],
        "not-supported",
    ),
    (
        "auth.root_remote_login",
        &[
            (TCP, NO_SOCKETS),
            (UDP, NO_SOCKETS),
            ("/usr/sbin/dropbear", ""),
        ],
        "not-supported",
    ),
    (
        "auth.root_remote_login",
        &[
            (TCP, "h\n 0: 00000000:07E8 00000000:0000 0A\n"),
            (UDP, "h\n"),
        ],
        "not-supported",
    ),
    (
        "auth.root_remote_login",
        &[
            (
                TCP,
                "h\n 0: 00000000:01BB 00000000:0000 0A\n 1: 0100007F:07E8 0:0 0A\n",
            ),
            (UDP, "h\n"),
        ],
        "none",
    ),
    // A name in quotes, with a space in it; and a key in quotes.
    (
        "auth.root_remote_login",
        &[
            (
                SSHD,
                "Include \"/etc/ssh/of vendor/a.conf\"\nPermitRootLogin no\n",
            ),
            ("/etc/ssh/of vendor/a.conf", "PermitRootLogin yes\n"),
        ],
        "not-supported",
    ),
    (
        "auth.root_remote_login",
        &[(SSHD, "\"PermitRootLogin\" yes\nPermitRootLogin no\n")],
        "true bad",
    ),
];
