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
            ("/proc/cmdline", "quiet\n"),
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
    (
        "fw.rootfs_verified",
        &[
            (MOUNTS, "1 0 8:1 / / ro - ext4 /dev/sda1 ro\n"),
            ("/sys/block/sda/sda1/dev", "8:1\n"),
            (IMA, "appraise fowner=0\n"),
            ("/proc/cmdline", "root=/dev/sda1 ima_appraise=log\n"),
        ],
        "not-supported",
    ),
    (
        "fw.rootfs_verified",
        &[
            (MOUNTS, "1 0 8:1 / / ro - ext4 /dev/sda1 ro\n"),
            ("/sys/block/sda/sda1/dev", "8:1\n"),
            (IMA, "appraise func=MODULE_CHECK appraise_type=imasig\n"),
            ("/proc/cmdline", "quiet\n"),
        ],
        "not-supported",
    ),
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

#[test]
fn secure_boot_is_off_when_the_boot_loader_checks_nothing() {
    const NAME: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";
    const SHIM: &str =
        "/sys/firmware/efi/efivars/MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23";
    let paths =
        ["SecureBoot", "SetupMode"].map(|it| format!("/sys/firmware/efi/efivars/{it}-{NAME}"));
    for (shim, expected) in [(0, "on"), (1, "off")] {
        let files: &[(&str, &[u8])] = &[
            (&paths[0], &[6, 0, 0, 0, 1]),
            (&paths[1], &[6, 0, 0, 0, 0]),
            (SHIM, &[6, 0, 0, 0, shim]),
        ];
        assert_eq!(
            read_all(files, &Told::default())["fw.secure_boot"].value,
            expected
        );
    }
}
