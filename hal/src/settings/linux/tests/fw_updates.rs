//! Updaters and what they are told about signatures.

use super::*;

const ID: &str = "fw.update_verified";
const CONF: &str = "/etc/apt/apt.conf.d/9x";
const LIST: &str = "/etc/apt/sources.list";
const SOURCES: &str = "/etc/apt/sources.list.d/x.sources";
const RAUC: &str = "/etc/rauc/system.conf";
const SWUPDATE: &str = "/etc/swupdate.cfg";
const MENDER: &str = "/etc/mender/mender.conf";
const SIGNED: (&str, &str) = (LIST, "deb http://deb.debian.org/debian bookworm main\n");

pub(super) const CASES: &[Case] = &[
    // The switch of apt.conf, in every word and shape that apt takes.
    (
        ID,
        &[SIGNED, (CONF, "APT::Get::AllowUnauthenticated \"on\";\n")],
        "false bad",
    ),
    (
        ID,
        &[
            SIGNED,
            (CONF, "APT::Get::AllowUnauthenticated \"enable\";\n"),
        ],
        "false bad",
    ),
    (
        ID,
        &[SIGNED, (CONF, "APT::Get::AllowUnauthenticated \"with\";\n")],
        "false bad",
    ),
    (
        ID,
        &[SIGNED, (CONF, "apt::get::allowunauthenticated\ttrue;\n")],
        "false bad",
    ),
    (
        ID,
        &[
            SIGNED,
            (CONF, "APT::Get::AllowUnauthenticated\n  \"true\";\n"),
        ],
        "false bad",
    ),
    (
        ID,
        &[
            SIGNED,
            (CONF, "APT { Get { AllowUnauthenticated \"true\"; }; };\n"),
        ],
        "false bad",
    ),
    (
        ID,
        &[
            SIGNED,
            (CONF, "APT::Get { /* x */ AllowUnauthenticated 1; }\n"),
        ],
        "false bad",
    ),
    (
        ID,
        &[
            SIGNED,
            (CONF, "Acquire::AllowInsecureRepositories \"yes\";\n"),
        ],
        "false bad",
    ),
    (
        ID,
        &[SIGNED, (CONF, "Acquire { AllowWeakRepositories true; };\n")],
        "false bad",
    ),
    (
        ID,
        &[SIGNED, (CONF, "APT::Get::Force-Yes yes;\n")],
        "false bad",
    ),
    (
        ID,
        &[
            SIGNED,
            (CONF, "APT::Get::AllowUnauthenticated \"maybe\";\n"),
        ],
        "not-supported",
    ),
    (
        ID,
        &[SIGNED, (CONF, "APT::Get::AllowUnauthenticated \"0x1\";\n")],
        "not-supported",
    ),
    (
        ID,
        &[SIGNED, (CONF, "APT::Get::AllowUnauthenticated \"true\"\n")],
        "not-supported",
    ),
    (
        ID,
        &[SIGNED, (CONF, "#include \"/root/apt.conf\";\n")],
        "not-supported",
    ),
    (
        ID,
        &[SIGNED, (CONF, "Dir { Etc { SourceList \"/x\"; }; };\n")],
        "not-supported",
    ),
    (
        ID,
        &[SIGNED, (CONF, "APT::Get::AllowUnauthenticated \"off\";\n")],
        "true ok",
    ),
    (
        ID,
        &[
            SIGNED,
            (CONF, "// APT::Get::AllowUnauthenticated \"true\";\n"),
        ],
        "true ok",
    ),
    (
        ID,
        &[
            SIGNED,
            (CONF, "/* APT::Get::AllowUnauthenticated \"true\"; */\n"),
        ],
        "true ok",
    ),
    (
        ID,
        &[SIGNED, (CONF, "APT::Install-Recommends \"true\";\n")],
        "true ok",
    ),
    // Sources that are trusted without a signature.
    (ID, &[SIGNED], "true ok"),
    (
        ID,
        &[(LIST, "deb [ trusted=yes ] http://x/ y z\n")],
        "false bad",
    ),
    (
        ID,
        &[(LIST, "deb [trusted=true] http://x/ y z\n")],
        "false bad",
    ),
    (
        ID,
        &[(LIST, "deb [arch=armhf trusted=1] http://x/ y z\n")],
        "false bad",
    ),
    (
        ID,
        &[(LIST, "deb\t[trusted=\"on\"]\thttp://x/ y z\n")],
        "false bad",
    ),
    (
        ID,
        &[(LIST, "deb [allow-weak=yes] http://x/ y z\n")],
        "false bad",
    ),
    (
        ID,
        &[(LIST, "deb [allow-insecure=with] http://x/ y z\n")],
        "false bad",
    ),
    (
        ID,
        &[(LIST, "deb [note=#1 trusted=yes] http://x/ y z\n")],
        "false bad",
    ),
    (
        ID,
        &[(LIST, "deb [trusted=2] http://x/ y z\n")],
        "not-supported",
    ),
    (ID, &[(LIST, "deb [trusted=no] http://x/ y z\n")], "true ok"),
    (
        ID,
        &[(
            LIST,
            "deb http://x/ y z\n# deb [trusted=yes] http://x/ y z\n",
        )],
        "true ok",
    ),
    (
        ID,
        &[
            SIGNED,
            (
                "/etc/apt/sources.list.d/a.list",
                "deb [trusted=yes] http://x/ y z\n",
            ),
        ],
        "false bad",
    ),
    (
        ID,
        &[
            SIGNED,
            (
                "/etc/apt/sources.list.d/a.list.save",
                "deb [trusted=yes] http://x/ y z\n",
            ),
        ],
        "true ok",
    ),
    (ID, &[(SOURCES, "Types: deb\nTrusted: yes\n")], "false bad"),
    (
        ID,
        &[(SOURCES, "Types: deb\ntrusted : Enable\n")],
        "false bad",
    ),
    (ID, &[(SOURCES, "Types: deb\nTrusted:\n on\n")], "false bad"),
    (
        ID,
        &[(SOURCES, "Types: deb\nAllow-Insecure: 1\n")],
        "false bad",
    ),
    (
        ID,
        &[(SOURCES, "Types: deb\nTrusted: yes please\n")],
        "not-supported",
    ),
    (
        ID,
        &[(SOURCES, "Types: deb\nTrusted: no\nURIs: http://x/\n")],
        "true ok",
    ),
    // Without a source nothing comes by apt.
    (ID, &[(LIST, "# none\n")], "not-supported"),
    (ID, &[(RAUC, "[system]\n")], "false bad"),
    (ID, &[(RAUC, "[keyring]\npath=\n")], "false bad"),
    (ID, &[(RAUC, "[keyring]\n# path=/x\n")], "false bad"),
    (
        ID,
        &[(RAUC, "[keyring]\n[slot.rootfs.0]\npath=/x\n")],
        "false bad",
    ),
    (
        ID,
        &[(RAUC, "[keyring]\npath = /etc/rauc/ca.pem\n")],
        "true ok",
    ),
    (ID, &[(SWUPDATE, "public-key-file = \"/x\";\n")], "true ok"),
    (
        ID,
        &[(
            SWUPDATE,
            "globals : {\n verbose = true\n public-key-file=\"/x\"\n};\n",
        )],
        "true ok",
    ),
    (
        ID,
        &[(SWUPDATE, "globals : { public-key-file = \"\"; };\n")],
        "false bad",
    ),
    (
        ID,
        &[(SWUPDATE, "globals : {\n // public-key-file = \"/x\";\n};\n")],
        "false bad",
    ),
    (
        ID,
        &[(MENDER, "{\"ArtifactVerifyKey\": \"/x.pem\"}\n")],
        "true ok",
    ),
    (
        ID,
        &[(MENDER, "{\"ArtifactVerifyKeys\": [ \"/x.pem\" ]}\n")],
        "true ok",
    ),
    (
        ID,
        &[(MENDER, "{\"ArtifactVerifyKey\": \"\"}\n")],
        "false bad",
    ),
    (
        ID,
        &[(MENDER, "{\"ArtifactVerifyKeys\": []}\n")],
        "false bad",
    ),
    (ID, &[SIGNED, (MENDER, "{}\n")], "false bad"),
    (ID, &[], "not-supported"),
];
