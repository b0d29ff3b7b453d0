//! Firmware.

use super::*;

pub(super) const CASES: &[Case] = &[
    (
        "fw.kernel_lockdown",
        &[(
            "/sys/kernel/security/lockdown",
            "none [integrity] confidentiality\n",
        )],
        "integrity ok",
    ),
    (
        "fw.kernel_lockdown",
        &[(
            "/sys/kernel/security/lockdown",
            "[none] integrity confidentiality\n",
        )],
        "none bad",
    ),
    (
        "fw.kernel_lockdown",
        &[("/sys/kernel/security/lsm", "yama")],
        "none bad",
    ),
    ("fw.kernel_lockdown", &[], "not-supported"),
    (
        "fw.rootfs_verified",
        &[
            (MOUNTS, "1 0 254:0 / / ro - ext4 /dev/dm-0 ro\n"),
            ("/sys/block/dm-0/dev", "254:0\n"),
            ("/sys/block/dm-0/dm/uuid", "CRYPT-VERITY-1-root\n"),
        ],
        "true ok",
    ),
    (
        "fw.rootfs_verified",
        &[
            (MOUNTS, "1 0 8:1 / / ro - ext4 /dev/sda1 ro\n"),
            ("/sys/block/sda/sda1/dev", "8:1\n"),
            ("/sys/block/sda/sda1/partition", "1\n"),
        ],
        "false bad",
    ),
    (
        "fw.rootfs_verified",
        &[
            (MOUNTS, "1 0 8:1 / / ro - ext4 /dev/sda1 ro\n"),
            ("/sys/block/sda/sda1/dev", "8:1\n"),
            (IMA, "dont_appraise fsmagic=0x1\nappraise fowner=0\n"),
        ],
        "true ok",
    ),
    (
        "fw.rootfs_verified",
        &[(MOUNTS, "1 0 0:30 / / rw - overlay overlay rw\n")],
        "not-supported",
    ),
    (
        "fw.tpm",
        &[("/sys/class/tpm/tpm0/tpm_version_major", "2\n")],
        "2.0 ok",
    ),
    (
        "fw.tpm",
        &[("/sys/class/tpm/tpm0/tpm_version_major", "1\n")],
        "1.2 bad",
    ),
    ("fw.tpm", &[("/sys/class/net/lo/type", "772\n")], "none bad"),
    ("fw.tpm", &[], "not-supported"),
];

#[test]
fn secure_boot_needs_the_switch_on_and_the_set_up_over() {
    const NAME: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
    for (boot, setup, expected) in [(1, 0, "on"), (0, 0, "off"), (1, 1, "setup"), (7, 0, "")] {
        let paths =
            ["SecureBoot", "SetupMode"].map(|it| format!("/sys/firmware/efi/efivars/{it}-{NAME}"));
        let files: &[(&str, &[u8])] = &[
            (&paths[0], &[6, 0, 0, 0, boot]),
            (&paths[1], &[6, 0, 0, 0, setup]),
        ];
        let setting = &read_all(files, &Told::default())["fw.secure_boot"];
        assert_eq!(setting.value, expected);
        assert_eq!(setting.verdict == Verdict::Secure, expected == "on");
    }
}
