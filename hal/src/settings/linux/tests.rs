//! One table for all: files and answers of the kernel in, values out.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use super::kernel::ClockState;
use super::*;
use crate::settings::Verdict;

mod accounts;
mod chains;
mod fw;
mod fw_updates;
mod log;
mod net;
mod pam;
mod pam_beside;
mod pam_lockout;
mod remote_log;
mod storage;
mod unread;

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
    read_below(&tree(files), kernel)
}

fn read_below(folder: &tempfile::TempDir, kernel: &Told) -> BTreeMap<&'static str, Setting> {
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
type Case = (&'static str, Files, &'static str);

fn cases() -> impl Iterator<Item = &'static Case> {
    let tables = [
        accounts::CASES,
        fw::CASES,
        fw_updates::CASES,
        log::CASES,
        net::CASES,
        pam::CASES,
        pam_beside::CASES,
        pam_lockout::CASES,
        remote_log::CASES,
        storage::CASES,
    ];
    tables.into_iter().flatten()
}

const LUKS: &str = "CRYPT-LUKS2-0123-root\n";
const LUKS_MOUNT: &str =
    "1 0 254:0 / / rw - ext4 /dev/mapper/root rw\n2 1 0:5 / /tmp rw - tmpfs t rw\n";
/// 128 words of zero and the one that matters.
const LOCKED: &str = concat!(zeros!(), "0023");
const UNLOCKED: &str = concat!(zeros!(), "0021");

#[test]
fn each_setting_is_what_the_files_say() {
    let wrong: Vec<String> = cases()
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
        let of = |end: &str| cases().any(|(it, _, told)| it == id && told.ends_with(end));
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
fn the_running_kernel_says_whether_a_folder_is_encrypted() {
    let folder = tree(&[]);
    assert!(LiveKernel.is_encrypted(folder.path()).is_ok());
    assert!(LiveKernel.is_encrypted(&folder.path().join("no")).is_err());
}

#[test]
fn links_are_followed_as_the_device_itself_would() {
    let folder = tree(&[("/usr/etc/a.conf", b"inside"), ("/data/b", b"x")]);
    let link = |to: &str, at: &str| std::os::unix::fs::symlink(to, folder.path().join(at));
    link("/usr/etc", "etc").unwrap();
    link("../../../data", "usr/etc/up").unwrap();
    link("/round", "round").unwrap();
    let root = Root {
        path: folder.path().to_owned(),
        documents: Vec::new(),
        kernel: Box::new(Told::default()),
    };
    assert_eq!(root.text("/etc/a.conf").unwrap(), "inside");
    assert_eq!(root.inside("/etc/up/b"), Path::new("data/b"));
    assert!(root.text("/round").is_err());
}

#[test]
fn a_folder_with_too_much_in_it_is_not_looked_at_in_part() {
    let paths: Vec<String> = (0..ENTRIES_MAX)
        .map(|it| format!("/etc/apt/apt.conf.d/{it}"))
        .collect();
    let mut files: Vec<(&str, &[u8])> =
        paths.iter().map(|path| (path.as_str(), &b""[..])).collect();
    files.push(("/etc/apt/sources.list", b"deb http://x/ y z\n"));
    let verdict = &read_all(&files, &Told::default())["fw.update_verified"].verdict;
    assert!(matches!(verdict, Verdict::Unknown(_)), "{verdict:?}");
}
