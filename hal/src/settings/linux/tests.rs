//! One table for all: files and answers of the kernel in, values out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::kernel::ClockState;
use super::*;
use crate::settings::Verdict;

macro_rules! zeros {
    () => {
        "0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 \
     0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 \
     0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 \
     0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 \
     0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 \
     0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 \
     0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 \
     0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 0000 "
    };
}

/// A kernel that says what the test wants.
#[derive(Clone, Default)]
struct Told {
    chains: Vec<u8>,
    /// The chains may not be asked for.
    refused: bool,
    clock: ClockState,
    /// The name of the folder that the file system encrypts.
    fscrypt: &'static str,
}

impl Kernel for Told {
    fn nft_chains(&self) -> io::Result<Vec<u8>> {
        match self.refused {
            true => Err(io::ErrorKind::PermissionDenied.into()),
            false => Ok(self.chains.clone()),
        }
    }

    fn clock(&self) -> io::Result<ClockState> {
        Ok(self.clock)
    }

    fn is_encrypted(&self, folder: &Path) -> io::Result<bool> {
        Ok(!self.fscrypt.is_empty() && folder.ends_with(self.fscrypt))
    }
}

#[expect(clippy::disallowed_methods, reason = "a tree for a test")]
fn tree(files: &[(&str, &[u8])]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (path, content) in files {
        let path = folder.path().join(path.trim_start_matches('/'));
        if path.as_os_str().as_encoded_bytes().ends_with(b"/") {
            fs::create_dir_all(path).unwrap();
        } else {
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, content).unwrap();
        }
    }
    folder
}

fn read_all(files: &[(&str, &[u8])], kernel: &Told) -> BTreeMap<&'static str, Setting> {
    let folder = tree(files);
    let root = Root {
        path: folder.path().to_owned(),
        documents: vec![PathBuf::from("/var/lib/documents")],
        kernel: Box::new(kernel.clone()),
    };
    let mut settings = BTreeMap::new();
    LinuxSource { root }.read(&mut |it| assert!(settings.insert(it.id, it).is_none()));
    settings
}

#[test]
fn each_start_of_the_system_has_its_name() {
    const ID: &str = "6f9b1c0e-1f2a-4d5b-9c3d-0a1b2c3d4e5f";
    for (text, boot_id) in [
        (Some("6f9b1c0e-1f2a-4d5b-9c3d-0a1b2c3d4e5f\n"), Some(ID)),
        (Some("\n"), None),
        (Some("6f9b1c0e-1f2a-4d5b-9c3d-0a1b2c3d4e5f and more"), None),
        (None, None),
    ] {
        let file = text.map(|it| ("/proc/sys/kernel/random/boot_id", it.as_bytes()));
        let folder = tree(&Vec::from_iter(file));
        let mut source = LinuxSource::new(folder.path().to_owned(), Vec::new());
        assert_eq!(source.revision().boot_id.as_deref(), boot_id, "{text:?}");
    }
}

/// Files as path and text.
type Files = &'static [(&'static str, &'static str)];

#[track_caller]
fn told(id: &str, files: Files, kernel: &Told) -> String {
    let files: Vec<(&str, &[u8])> = files.iter().map(|(p, t)| (*p, t.as_bytes())).collect();
    let setting = read_all(&files, kernel).remove(id).unwrap();
    match setting.verdict {
        Verdict::Secure => format!("{} ok", setting.value),
        Verdict::NotSecure => format!("{} bad", setting.value),
        Verdict::NotApplicable => "none".to_owned(),
        Verdict::Unknown(unknown) => unknown.why.as_str().to_owned(),
    }
}

const AUTH: &str = "/etc/pam.d/common-auth";
const PASSWORD: &str = "/etc/pam.d/common-password";
const FAILLOCK: &str = "/etc/security/faillock.conf";
const SSHD: &str = "/etc/ssh/sshd_config";
const MOUNTS: &str = "/proc/self/mountinfo";
const TCP: &str = "/proc/net/tcp";
const UDP: &str = "/proc/net/udp";
const NO_SOCKETS: &str = "  sl  local_address rem_address   st\n";
const JOURNAL: &str = "/run/systemd/journal/socket";
const IMA: &str = "/sys/kernel/security/ima/policy";
/// `openssl passwd -6 -salt saltsalt 12345678`.
const FACTORY_HASH: &str = "$6$saltsalt$9vIXh5xFJESF2.DxxXyWlpOT.0t06Y2Pk11StIw2L8oaOTl42ZfuhPPi5h2PPjbLI.FnnhTBEMMcL05LS2ZmY.";

/// Setting, files, and what is told.
const CASES: &[(&str, Files, &str)] = &[
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
    (
        "fw.update_verified",
        &[(
            "/etc/apt/sources.list",
            "deb http://deb.debian.org/debian bookworm main\n",
        )],
        "true ok",
    ),
    (
        "fw.update_verified",
        &[(
            "/etc/apt/sources.list",
            "deb [ trusted=yes ] http://x/ y z\n",
        )],
        "false bad",
    ),
    (
        "fw.update_verified",
        &[(
            "/etc/apt/sources.list.d/x.sources",
            "Types: deb\nTrusted: yes\n",
        )],
        "false bad",
    ),
    (
        "fw.update_verified",
        &[(
            "/etc/apt/apt.conf.d/9x",
            "APT::Get::AllowUnauthenticated \"true\";\n",
        )],
        "false bad",
    ),
    (
        "fw.update_verified",
        &[(
            "/etc/apt/apt.conf.d/9x",
            "// APT::Get::AllowUnauthenticated \"true\";\n",
        )],
        "true ok",
    ),
    (
        "fw.update_verified",
        &[("/etc/rauc/system.conf", "[system]\n")],
        "false bad",
    ),
    (
        "fw.update_verified",
        &[("/etc/swupdate.cfg", "public-key-file = \"/x\";\n")],
        "true ok",
    ),
    ("fw.update_verified", &[], "not-supported"),
    (
        "log.audit_enabled",
        &[("/run/auditd.pid", "1\n")],
        "true ok",
    ),
    (
        "log.audit_enabled",
        &[(JOURNAL, ""), ("/var/log/journal/x", "")],
        "true ok",
    ),
    ("log.audit_enabled", &[(JOURNAL, "")], "false bad"),
    (
        "log.audit_enabled",
        &[
            (JOURNAL, ""),
            ("/var/log/journal/x", ""),
            (
                "/etc/systemd/journald.conf.d/a.conf",
                "[Journal]\nStorage=none\n",
            ),
        ],
        "false bad",
    ),
    ("log.audit_enabled", &[], "false bad"),
    (
        "log.remote_over_tls",
        &[("/etc/rsyslog.conf", "*.* @@host:514\n")],
        "false bad",
    ),
    (
        "log.remote_over_tls",
        &[(
            "/etc/rsyslog.conf",
            "$DefaultNetstreamDriver gtls\n$ActionSendStreamDriverMode 1\n*.* @@host:6514\n",
        )],
        "true ok",
    ),
    (
        "log.remote_over_tls",
        &[(
            "/etc/rsyslog.d/a.conf",
            "*.* action(type=\"omfwd\"\n target=\"x\" protocol=\"tcp\"\n StreamDriver=\"gtls\" StreamDriverMode=\"1\")\n",
        )],
        "true ok",
    ),
    (
        "log.remote_over_tls",
        &[(
            "/etc/rsyslog.d/a.conf",
            "action(type=\"omfwd\" target=\"x\" StreamDriver=\"gtls\" StreamDriverMode=\"1\")\n*.* @udp\n",
        )],
        "false bad",
    ),
    (
        "log.remote_over_tls",
        &[(
            "/etc/systemd/journal-upload.conf",
            "[Upload]\nURL=https://x:19532\n",
        )],
        "true ok",
    ),
    ("log.remote_over_tls", &[], "false bad"),
    (
        "net.discovery_services",
        &[
            (TCP, "h\n"),
            (UDP, "h\n 0: 00000000:14E9 00000000:0000 07\n"),
        ],
        "mdns ok",
    ),
    (
        "net.discovery_services",
        &[
            (TCP, "h\n"),
            (
                UDP,
                "h\n 0: 00000000:14E9 00000000:0000 07\n 1: 00000000:076C 00000000:0000 07\n",
            ),
        ],
        "mdns,ssdp bad",
    ),
    (
        "net.dot1x",
        &[
            (
                "/etc/wpa_supplicant/wpa.conf",
                "network={\n key_mgmt=IEEE8021X\n}\n",
            ),
            ("/run/wpa_supplicant/eth0", ""),
        ],
        "true ok",
    ),
    (
        "net.dot1x",
        &[(
            "/etc/wpa_supplicant/wpa.conf",
            "network={\n key_mgmt=IEEE8021X\n}\n",
        )],
        "false bad",
    ),
    (
        "net.ftp",
        &[
            (TCP, "h\n 0: 00000000:0015 00000000:0000 0A\n"),
            (UDP, "h\n"),
        ],
        "true bad",
    ),
    (
        "net.ftp",
        &[
            (TCP, "h\n 0: 0100007F:0015 00000000:0000 0A\n"),
            (UDP, "h\n"),
        ],
        "false ok",
    ),
    (
        "net.telnet",
        &[
            (TCP, "h\n 0: 0100007F:0017 00000000:0000 0A\n"),
            (
                "/proc/net/tcp6",
                "h\n 0: 00000000000000000000000000000000:0017 0:0 0A\n",
            ),
            (UDP, "h\n"),
        ],
        "true bad",
    ),
    (
        "net.telnet",
        &[
            (TCP, "h\n"),
            (
                "/proc/net/tcp6",
                "h\n 0: 00000000000000000000000001000000:0017 0:0 0A\n",
            ),
            (UDP, "h\n"),
        ],
        "false ok",
    ),
    (
        "net.tftp",
        &[
            (TCP, "h\n"),
            (UDP, "h\n 0: 00000000:0045 00000000:0000 07\n"),
        ],
        "true bad",
    ),
    (
        "net.tftp",
        &[
            (TCP, "h\n"),
            (UDP, "h\n 0: 00000000:0045 00000000:0001 01\n"),
        ],
        "false ok",
    ),
    (
        "net.listening_ports",
        &[
            (
                TCP,
                "h\n 0: 00000000:01BB 00000000:0000 0A\n 1: 00000000:01BC 00000000:0001 01\n",
            ),
            (UDP, "h\n"),
        ],
        "tcp/443 ok",
    ),
    (
        "net.listening_ports",
        &[
            (
                TCP,
                "h\n 0: 00000000:01BB 00000000:0000 0A\n 1: 00000000:0016 00000000:0000 0A\n",
            ),
            (UDP, "h\n"),
        ],
        "tcp/22,tcp/443 bad",
    ),
    ("net.listening_ports", &[], "not-supported"),
    (
        "net.ip_forwarding",
        &[
            ("/proc/sys/net/ipv4/ip_forward", "0\n"),
            ("/proc/sys/net/ipv6/conf/all/forwarding", "0\n"),
        ],
        "false ok",
    ),
    (
        "net.ip_forwarding",
        &[("/proc/sys/net/ipv4/ip_forward", "1\n")],
        "true bad",
    ),
    (
        "net.ip_forwarding",
        &[
            ("/proc/sys/net/ipv4/ip_forward", "0\n"),
            ("/proc/sys/net/ipv6/conf/all/forwarding", "1\n"),
        ],
        "true bad",
    ),
    (
        "net.wifi_direct",
        &[("/sys/class/net/eth0/type", "1\n")],
        "none",
    ),
    (
        "net.wifi_direct",
        &[
            ("/sys/class/net/wlan0/phy80211/x", ""),
            ("/sys/class/net/p2p-wlan0-0/type", "1\n"),
        ],
        "true bad",
    ),
    (
        "net.wifi_direct",
        &[
            ("/sys/class/net/wlan0/phy80211/x", ""),
            ("/etc/wpa_supplicant.conf", "p2p_disabled=1\n"),
        ],
        "false ok",
    ),
    (
        "net.wifi_direct",
        &[("/sys/class/net/wlan0/phy80211/x", "")],
        "not-supported",
    ),
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
];

const LUKS: &str = "CRYPT-LUKS2-0123-root\n";
const LUKS_MOUNT: &str =
    "1 0 254:0 / / rw - ext4 /dev/mapper/root rw\n2 1 0:5 / /tmp rw - tmpfs t rw\n";
/// 128 words of zero and the one that matters.
const LOCKED: &str = concat!(zeros!(), "0023");
const UNLOCKED: &str = concat!(zeros!(), "0021");

#[test]
fn each_setting_is_what_the_files_say() {
    let wrong: Vec<String> = CASES
        .iter()
        .filter_map(|(id, files, expected)| {
            let found = told(id, files, &Told::default());
            (found != *expected).then(|| format!("{id} {files:?}: {found}, not {expected}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_probe_is_seen_secure_and_not_secure() {
    // These three need more than a table of texts; their tests are below.
    const ELSEWHERE: &[&str] = &["fw.secure_boot", "net.firewall", "time.synchronised"];
    for (id, _) in PROBES.iter().filter(|(id, _)| !ELSEWHERE.contains(id)) {
        let of = |end: &str| {
            CASES
                .iter()
                .any(|(it, _, told)| it == id && told.ends_with(end))
        };
        let defaults = *id == "auth.admin_password_default";
        assert!(of(" ok") && (of(" bad") || defaults), "{id}");
    }
}

#[test]
fn probes_are_those_of_the_catalogue_that_linux_can_read() {
    let ids: Vec<_> = PROBES.iter().map(|(id, _)| *id).collect();
    let of_linux = crate::settings::CATALOGUE
        .iter()
        .filter(|row| row.methods.contains(&Method::Linux));
    assert_eq!(ids, of_linux.map(|row| row.id).collect::<Vec<_>>());
}

#[test]
fn an_empty_tree_has_nothing_secure_but_what_the_kernel_says() {
    let kernel = Told {
        refused: true,
        ..Told::default()
    };
    for (id, setting) in read_all(&[], &kernel) {
        let kept = id == "time.synchronised";
        assert!(kept || setting.verdict != Verdict::Secure, "{id}");
        assert!(!setting.evidence.is_empty(), "{id}");
    }
}

#[test]
fn what_may_not_be_read_is_unknown() {
    let error = io::Error::from(io::ErrorKind::PermissionDenied);
    let reading = Unread::new("/etc/shadow", &error).reading();
    let row = Row::find("auth.weak_password_hashes").unwrap();
    let Verdict::Unknown(unknown) = reading.setting(row, Method::Linux, 0).verdict else {
        panic!("known");
    };
    assert_eq!(unknown.why, Why::NoRight);
    assert_eq!(
        unknown.detail,
        "the agent may not read /etc/shadow; root may"
    );
}

#[test]
fn a_file_that_is_too_large_is_not_read() {
    let large = vec![b'a'; FILE_BYTES_MAX as usize + 1];
    let settings = read_all(&[("/etc/ssh/sshd_config", &large)], &Told::default());
    let verdict = &settings["auth.root_remote_login"].verdict;
    assert!(matches!(verdict, Verdict::Unknown(it) if it.why == Why::NotAnswered));
}

#[test]
fn a_password_from_the_factory_is_found() {
    let shadow = format!("admin:{FACTORY_HASH}:1:::\n");
    let settings = read_all(&[("/etc/shadow", shadow.as_bytes())], &Told::default());
    assert_eq!(settings["auth.admin_password_default"].value, "true");
}

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
fn a_clock_is_kept_when_the_kernel_says_so() {
    let of = |state, status, offset_us| {
        let clock = ClockState {
            state,
            status,
            offset_us,
        };
        let kernel = Told {
            clock,
            ..Told::default()
        };
        told("time.synchronised", &[], &kernel)
    };
    assert_eq!(of(0, 0x2001, 900_000), "true ok");
    assert_eq!(of(0, 0x2001, -1_000_000), "false bad");
    assert_eq!(of(0, 0x41, 0), "false bad");
    assert_eq!(of(5, 0, 0), "false bad");
}

/// A chain as the kernel lists it.
fn chain(family: u8, hook: u32, policy: u32, rules: u32) -> Vec<u8> {
    let attribute = |kind: u16, value: &[u8]| {
        let mut bytes = (value.len() as u16 + 4).to_ne_bytes().to_vec();
        bytes.extend_from_slice(&kind.to_ne_bytes());
        bytes.extend_from_slice(value);
        bytes
    };
    let hook = attribute(1, &hook.to_be_bytes());
    let mut body = vec![family, 0, 0, 0];
    body.extend(attribute(1, b"table\0\0\0"));
    body.extend(attribute(4 | 0x8000, &hook));
    body.extend(attribute(5, &policy.to_be_bytes()));
    body.extend(attribute(6, &rules.to_be_bytes()));
    message(10 << 8 | 3, &body)
}

fn message(kind: u16, body: &[u8]) -> Vec<u8> {
    let mut bytes = (body.len() as u32 + 16).to_ne_bytes().to_vec();
    bytes.extend_from_slice(&kind.to_ne_bytes());
    bytes.extend_from_slice(&[0; 10]);
    bytes.extend_from_slice(body);
    bytes
}

#[test]
fn packets_are_filtered_only_when_the_rest_is_dropped() {
    const IPV6: Files = &[("/proc/net/if_inet6", "")];
    let of = |files, chains: &[Vec<u8>]| {
        let kernel = Told {
            chains: chains.concat(),
            ..Told::default()
        };
        told("net.firewall", files, &kernel)
    };
    assert_eq!(of(&[], &[]), "off bad");
    assert_eq!(of(IPV6, &[chain(1, 1, 0, 5)]), "filter ok");
    assert_eq!(of(IPV6, &[chain(2, 1, 0, 5)]), "not-supported");
    assert_eq!(
        of(IPV6, &[chain(2, 1, 0, 5), chain(10, 1, 0, 5)]),
        "filter ok"
    );
    assert_eq!(of(&[], &[chain(2, 1, 0, 5)]), "filter ok");
    assert_eq!(of(&[], &[chain(1, 1, 1, 5)]), "not-supported");
    assert_eq!(of(&[], &[chain(1, 1, 1, 0)]), "off bad");
    assert_eq!(of(&[], &[chain(1, 2, 0, 5)]), "off bad");
    assert_eq!(
        of(&[("/proc/net/ip_tables_names", "filter\n")], &[]),
        "not-supported"
    );
    let refused = Told {
        refused: true,
        ..Told::default()
    };
    assert_eq!(told("net.firewall", &[], &refused), "no-right");
}

#[test]
fn a_broken_list_of_chains_does_no_harm() {
    let whole = [chain(1, 1, 0, 5), message(3, &[0; 4])].concat();
    assert!(firewall::ends(&whole).unwrap());
    for end in 0..whole.len() {
        let kernel = Told {
            chains: whole[..end].to_vec(),
            ..Told::default()
        };
        let _told = told("net.firewall", &[], &kernel);
    }
    let refused = message(2, &(-1_i32).to_ne_bytes());
    let error = firewall::ends(&refused).unwrap_err();
    assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
}

#[test]
fn nothing_secret_leaves_the_files() {
    const SECRETS: &[&str] = &["canary-user", "canaryhash", "canary-psk", "canary-host"];
    let files: &[(&str, &[u8])] = &[
        ("/etc/shadow", b"canary-user:$1$canaryhash$canaryhash:1:::\ncanary-user2::1\n"),
        ("/etc/ssh/sshd_config", b"AllowUsers canary-user\nMatch User canary-user\nPermitRootLogin yes\nInclude /etc/*/canary-\n"),
        ("/etc/wpa_supplicant/a.conf", b"network={\nkey_mgmt=IEEE8021X\nidentity=\"canary-user\"\npassword=\"canary-psk\"\n}\n"),
        ("/run/wpa_supplicant/eth0", b""),
        ("/etc/rsyslog.conf", b"*.* @@canary-host:514\n"),
        ("/etc/systemd/journal-upload.conf", b"URL=https://canary-user:canary-psk@canary-host\n"),
        ("/etc/apt/sources.list", b"deb [trusted=yes] https://canary-user:canary-psk@canary-host/ x y\n"),
        ("/proc/self/mountinfo", b"1 0 8:1 / / rw - ext4 /dev/sda1 rw\n2 1 0:9 / /home/canary-user rw - fuse.x canary-host rw\n"),
        ("/sys/block/sda/sda1/dev", b"8:1\n"),
        ("/proc/swaps", b"F\n/home/canary-user/swap file 1\n"),
        ("/etc/security/faillock.conf", b"deny = canary-psk\n"),
    ];
    for (id, setting) in read_all(files, &Told::default()) {
        let told = format!("{setting:?}");
        for secret in SECRETS {
            assert!(!told.contains(secret), "{id}: {told}");
        }
    }
}

#[test]
fn a_listener_is_found_behind_thousands_of_other_sockets() {
    let line = |state: &str, port: u16| {
        let zeros = "00000000:0000 00:00000000 00000000     0        0 12345 1 0 100 0 0 10 0";
        format!("   0: 00000000:{port:04X} 00000000:0000 {state} {zeros}\n")
    };
    let mut table = "  sl  local_address rem_address   st tx_queue rx_queue\n".to_owned();
    for port in 0..20_000 {
        table.push_str(&line("06", port));
    }
    table.push_str(&line("0A", 23));
    assert!(table.len() as u64 > FILE_BYTES_MAX);
    let files: [(&str, &[u8]); 2] = [(TCP, table.as_bytes()), ("/proc/net/udp", b"")];
    let settings = read_all(&files, &Told::default());
    assert_eq!(settings["net.telnet"].value, "true");
    assert_eq!(settings["net.listening_ports"].value, "tcp/23");
}

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

#[test]
fn the_running_kernel_says_whether_a_folder_is_encrypted() {
    let folder = tree(&[]);
    assert!(LiveKernel.is_encrypted(folder.path()).is_ok());
    assert!(LiveKernel.is_encrypted(&folder.path().join("no")).is_err());
}
