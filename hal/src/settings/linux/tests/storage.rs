//! Storage, swap and USB.

use super::*;

pub(super) const CASES: &[Case] = &[
    (
        "storage.lock_password",
        &[
            ("/sys/class/ata_device/dev1.0/class", "ata\n"),
            ("/sys/class/ata_device/dev1.0/id", LOCKED),
        ],
        "true ok",
    ),
    (
        "storage.lock_password",
        &[
            ("/sys/class/ata_device/dev1.0/class", "ata\n"),
            ("/sys/class/ata_device/dev1.0/id", UNLOCKED),
        ],
        "false bad",
    ),
    ("storage.lock_password", &[], "not-supported"),
    (
        "storage.swap_encrypted",
        &[("/proc/swaps", "Filename Type\n")],
        "none",
    ),
    (
        "storage.swap_encrypted",
        &[
            ("/proc/swaps", "F\n/dev/zram0 partition 1\n"),
            ("/sys/block/zram0/backing_dev", "none\n"),
        ],
        "true ok",
    ),
    (
        "storage.swap_encrypted",
        &[
            ("/proc/swaps", "F\n/dev/zram0 partition 1\n"),
            ("/sys/block/zram0/backing_dev", "/dev/sda3\n"),
        ],
        "false bad",
    ),
    (
        "storage.swap_encrypted",
        &[
            ("/proc/swaps", "F\n/dev/dm-1 partition 1\n"),
            ("/sys/block/dm-1/dm/uuid", "CRYPT-PLAIN-swap\n"),
        ],
        "true ok",
    ),
    (
        "storage.swap_encrypted",
        &[
            ("/proc/swaps", "F\n/dev/sda2 partition 1\n"),
            ("/sys/block/sda/sda2/partition", "2\n"),
        ],
        "false bad",
    ),
    (
        "storage.swap_encrypted",
        &[
            ("/proc/swaps", "F\n/swapfile file 1\n"),
            (MOUNTS, LUKS_MOUNT),
            ("/sys/block/dm-0/dev", "254:0\n"),
            ("/sys/block/dm-0/dm/uuid", LUKS),
        ],
        "true ok",
    ),
    (
        "storage.encryption",
        &[
            (MOUNTS, LUKS_MOUNT),
            ("/sys/block/dm-0/dev", "254:0\n"),
            ("/sys/block/dm-0/dm/uuid", LUKS),
        ],
        "all ok",
    ),
    (
        "storage.encryption",
        &[
            (MOUNTS, LUKS_MOUNT),
            ("/sys/block/dm-0/dev", "254:0\n"),
            ("/sys/block/dm-0/dm/uuid", "LVM-abc\n"),
            ("/sys/block/dm-0/slaves/dm-1", ""),
            ("/sys/block/dm-1/dm/uuid", LUKS),
        ],
        "all ok",
    ),
    (
        "storage.encryption",
        &[
            (MOUNTS, LUKS_MOUNT),
            ("/sys/block/dm-0/dev", "254:0\n"),
            ("/sys/block/dm-0/dm/uuid", "LVM-abc\n"),
            ("/sys/block/dm-0/slaves/dm-1", ""),
            ("/sys/block/dm-0/slaves/sda3", ""),
            ("/sys/block/dm-1/dm/uuid", LUKS),
            ("/sys/block/sda/sda3/partition", "3\n"),
        ],
        "none bad",
    ),
    (
        "storage.encryption",
        &[
            (
                MOUNTS,
                "1 0 254:0 / / rw - ext4 /dev/dm-0 rw\n2 1 8:2 / /var rw - ext4 /dev/sda2 rw\n3 1 8:1 / /boot rw - ext4 /dev/sda1 rw\n",
            ),
            ("/sys/block/dm-0/dev", "254:0\n"),
            ("/sys/block/dm-0/dm/uuid", LUKS),
            ("/sys/block/sda/sda2/dev", "8:2\n"),
            ("/sys/block/sda/sda2/partition", "2\n"),
        ],
        "partial bad",
    ),
    (
        "storage.encryption",
        &[
            (
                MOUNTS,
                "1 0 179:2 / / ro - squashfs /dev/mmcblk0p2 ro\n2 1 179:3 / /data rw - ext4 /dev/mmcblk0p3 rw\n",
            ),
            ("/sys/block/mmcblk0/mmcblk0p3/dev", "179:3\n"),
            ("/sys/block/mmcblk0/mmcblk0p3/partition", "3\n"),
        ],
        "none bad",
    ),
    (
        "storage.encryption",
        &[(MOUNTS, "1 0 0:30 / / rw - overlay overlay rw\n")],
        "not-supported",
    ),
    (
        "storage.encryption",
        &[
            (MOUNTS, "1 0 0:31 / / rw - btrfs /dev/mapper/root rw\n"),
            ("/sys/block/dm-0/dm/name", "root\n"),
            ("/sys/block/dm-0/dm/uuid", LUKS),
        ],
        "all ok",
    ),
    ("storage.encryption", &[], "not-supported"),
    (
        "usb.storage_allowed",
        &[("/sys/bus/usb/devices/usb1/authorized_default", "0\n")],
        "false ok",
    ),
    (
        "usb.storage_allowed",
        &[
            ("/sys/bus/usb/devices/usb1/authorized_default", "0\n"),
            ("/sys/bus/usb/devices/usb2/authorized_default", "1\n"),
        ],
        "true bad",
    ),
    (
        "usb.storage_allowed",
        &[
            ("/sys/bus/usb/devices/usb1/authorized_default", "1\n"),
            ("/etc/modprobe.d/x.conf", "install usb-storage /bin/false\n"),
        ],
        "false ok",
    ),
    (
        "usb.storage_allowed",
        &[
            ("/sys/module/usb_storage/x", ""),
            ("/etc/modprobe.d/x.conf", "install usb-storage /bin/false\n"),
        ],
        "true bad",
    ),
    ("usb.storage_allowed", &[("/sys/bus/pci/x", "")], "none"),
    // Another disk whose lock nobody tells.
    (
        "storage.lock_password",
        &[
            ("/sys/class/ata_device/dev1.0/class", "ata\n"),
            ("/sys/class/ata_device/dev1.0/id", LOCKED),
            ("/sys/block/mmcblk0/dev", "179:0\n"),
        ],
        "not-supported",
    ),
    (
        "storage.lock_password",
        &[
            ("/sys/class/ata_device/dev1.0/class", "ata\n"),
            ("/sys/class/ata_device/dev1.0/id", LOCKED),
            ("/sys/class/ata_device/dev2.0/class", "ata\n"),
            ("/sys/class/ata_device/dev2.0/id", "0000\n"),
        ],
        "not-supported",
    ),
    // Rules of modprobe that load the driver all the same, or that nobody reads.
    (
        "usb.storage_allowed",
        &[
            ("/sys/bus/usb/devices/usb1/authorized_default", "1\n"),
            (
                "/etc/modprobe.d/x.conf",
                "install usb-storage /bin/false || modprobe -i usb-storage\n",
            ),
        ],
        "true bad",
    ),
    (
        "usb.storage_allowed",
        &[
            ("/sys/bus/usb/devices/usb1/authorized_default", "1\n"),
            ("/etc/modprobe.d/x.conf", "install usb-storage /bin/false\n"),
            ("/etc/modprobe.d/y.conf", "install usb_storage /sbin/load\n"),
        ],
        "true bad",
    ),
    (
        "usb.storage_allowed",
        &[
            ("/sys/bus/usb/devices/usb1/authorized_default", "1\n"),
            ("/etc/modprobe.conf", "install usb-storage /bin/false\n"),
        ],
        "true bad",
    ),
    (
        "usb.storage_allowed",
        &[("/etc/modprobe.d/x.conf", "install usb-storage /bin/false\n")],
        "not-supported",
    ),
];

#[test]
fn a_folder_that_its_file_system_encrypts_is_a_part_and_never_all() {
    const PLAIN: Files = &[
        (MOUNTS, "1 0 8:2 / / rw - ext4 /dev/sda2 rw\n"),
        ("/sys/block/sda/sda2/dev", "8:2\n"),
        ("/sys/block/sda/sda2/partition", "2\n"),
        ("/jobs/", ""),
    ];
    for (fscrypt, told_as) in [
        ("jobs", "partial bad"),
        ("/var/lib/documents", "partial bad"),
        ("elsewhere", "none bad"),
    ] {
        let kernel = Told {
            fscrypt,
            ..Told::default()
        };
        assert_eq!(told("storage.encryption", PLAIN, &kernel), told_as);
    }
}
