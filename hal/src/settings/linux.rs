//! Settings of the device's own Linux, read from files and by system calls; no program is started.
//!
//! Every file is looked for below a root folder: `/`, or where a container has its host's files,
//! or a tree made by a test. A file that may not be read makes its settings unknown, never secure.
//! Hashes, user names and keys stay in here: what leaves are numbers, yes or no, and paths of the
//! system.

mod apt;
mod audit;
mod block;
mod dot1x;
mod encryption;
mod firewall;
mod ip_forwarding;
mod kernel;
mod listeners;
mod lock_password;
mod lockdown;
mod lockout;
mod pam;
mod password_length;
mod remote_log;
mod root_login;
mod rootfs;
mod secure_boot;
mod sha_crypt;
mod shadow;
mod sshd;
mod swap;
mod systemd;
mod time_sync;
mod tpm;
mod update;
mod usb_storage;
mod wifi_direct;

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};

use self::kernel::{Kernel, LiveKernel};
use super::{Method, Reading, Revision, Row, Setting, SettingsSource, Why};

/// Every probe, in the order of their ids.
const PROBES: &[Probe] = &[
    ("auth.accounts_without_password", shadow::without_password),
    ("auth.admin_password_default", shadow::from_the_factory),
    ("auth.lockout_seconds", lockout::seconds),
    ("auth.lockout_tries", lockout::tries),
    ("auth.password_min_length", password_length::read),
    ("auth.root_remote_login", root_login::read),
    ("auth.weak_password_hashes", shadow::weak_hashes),
    ("fw.kernel_lockdown", lockdown::read),
    ("fw.rootfs_verified", rootfs::read),
    ("fw.secure_boot", secure_boot::read),
    ("fw.tpm", tpm::read),
    ("fw.update_verified", update::read),
    ("log.audit_enabled", audit::read),
    ("log.remote_over_tls", remote_log::read),
    ("net.discovery_services", listeners::discovery),
    ("net.dot1x", dot1x::read),
    ("net.firewall", firewall::read),
    ("net.ftp", listeners::ftp),
    ("net.ip_forwarding", ip_forwarding::read),
    ("net.listening_ports", listeners::ports),
    ("net.telnet", listeners::telnet),
    ("net.tftp", listeners::tftp),
    ("net.wifi_direct", wifi_direct::read),
    ("storage.encryption", encryption::read),
    ("storage.lock_password", lock_password::read),
    ("storage.swap_encrypted", swap::read),
    ("time.synchronised", time_sync::read),
    ("usb.storage_allowed", usb_storage::read),
];

/// A setting's id and how it is read.
type Probe = (&'static str, fn(&Root) -> Result<Reading, Unread>);

/// Largest file that is looked into: a rule set or a mount table of a busy server.
const FILE_BYTES_MAX: u64 = 1024 * 1024;
/// Longest table of sockets: some hundred thousand, of a device that somebody floods.
const TABLE_BYTES_MAX: u64 = 64 * 1024 * 1024;
/// A UUID is written with so many.
const BOOT_ID_BYTES_MAX: usize = 36;
/// Most entries of a folder that are looked at.
const ENTRIES_MAX: usize = 4096;
/// Most links that are followed on the way to one file.
const LINKS_MAX: u8 = 40;

/// The settings that this system's files and kernel tell.
pub struct LinuxSource {
    root: Root,
}

impl LinuxSource {
    /// Reads below `root`, normally `/`, and asks the running kernel. `documents`: folders where
    /// this program keeps documents.
    #[must_use]
    pub fn new(root: PathBuf, documents: Vec<PathBuf>) -> Self {
        let kernel = Box::new(LiveKernel);
        Self {
            root: Root {
                path: root,
                documents,
                kernel,
            },
        }
    }
}

impl SettingsSource for LinuxSource {
    fn read(&mut self, each: &mut dyn FnMut(Setting)) {
        let ids: Vec<&str> = PROBES.iter().map(|(id, _)| *id).collect();
        self.read_some(&ids, each);
    }

    fn read_some(&mut self, ids: &[&str], each: &mut dyn FnMut(Setting)) {
        for (id, run) in PROBES.iter().filter(|(id, _)| ids.contains(id)) {
            let Some(row) = Row::find(id) else { continue };
            let reading = run(&self.root).unwrap_or_else(Unread::reading);
            // No rule of these settings looks at the time.
            each(reading.setting(row, Method::Linux, 0));
        }
    }

    fn revision(&mut self) -> Revision {
        let told = self.root.text("/proc/sys/kernel/random/boot_id").ok();
        let boot_id = told.map(|text| text.trim().to_owned());
        Revision {
            boot_id: boot_id.filter(|id| (1..=BOOT_ID_BYTES_MAX).contains(&id.len())),
            ..Revision::default()
        }
    }
}

/// Where files are looked for, and the kernel that is asked.
struct Root {
    path: PathBuf,
    documents: Vec<PathBuf>,
    kernel: Box<dyn Kernel>,
}

/// Why a file or an answer of the kernel cannot be used.
#[derive(Debug)]
struct Unread {
    why: Why,
    detail: String,
    evidence: String,
}

impl Unread {
    fn new(path: &str, error: &io::Error) -> Self {
        let (why, detail) = match error.kind() {
            io::ErrorKind::PermissionDenied => (
                Why::NoRight,
                format!("the agent may not read {path}; root may"),
            ),
            io::ErrorKind::NotFound => (Why::NotSupported, format!("{path} is not there")),
            kind => (Why::NotAnswered, format!("{path} cannot be read: {kind}")),
        };
        let evidence = path.to_owned();
        Self {
            why,
            detail,
            evidence,
        }
    }

    fn reading(self) -> Reading {
        Reading::unknown(self.why, self.detail, self.evidence)
    }
}

impl Root {
    /// The content of a file; what is not UTF-8 is replaced.
    fn text(&self, path: &str) -> Result<String, Unread> {
        let bytes = self.bytes(path)?;
        Ok(String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()))
    }

    /// The same; `None` when there is no such file.
    fn optional_text(&self, path: &str) -> Result<Option<String>, Unread> {
        match self.text(path) {
            Ok(text) => Ok(Some(text)),
            Err(_) if !self.has(path) => Ok(None),
            Err(unread) => Err(unread),
        }
    }

    fn bytes(&self, path: &str) -> Result<Vec<u8>, Unread> {
        let mut bytes = Vec::new();
        let limit = FILE_BYTES_MAX + 1;
        let read = File::open(self.at(path))
            .and_then(|file| file.take(limit).read_to_end(&mut bytes))
            .map_err(|error| Unread::new(path, &error))?;
        if read as u64 == limit {
            let error = io::Error::from(io::ErrorKind::FileTooLarge);
            return Err(Unread::new(path, &error));
        }
        Ok(bytes)
    }

    /// The lines of a table that may be long, without ever holding all of it.
    fn each_line(&self, path: &str, each: &mut dyn FnMut(&str)) -> Result<(), Unread> {
        let unread = |error: io::Error| Unread::new(path, &error);
        let file = File::open(self.at(path)).map_err(unread)?;
        let mut table = BufReader::new(file.take(TABLE_BYTES_MAX));
        let mut line = Vec::new();
        while table.read_until(b'\n', &mut line).map_err(unread)? > 0 {
            each(&String::from_utf8_lossy(&line));
            line.clear();
        }
        match table.into_inner().limit() {
            0 => Err(unread(io::ErrorKind::FileTooLarge.into())),
            _ => Ok(()),
        }
    }

    /// Names in a folder, sorted; none when there is no such folder.
    fn names(&self, path: &str) -> Result<Vec<String>, Unread> {
        let folder = match self.at(path).read_dir() {
            Ok(folder) => folder,
            Err(error) => {
                return match error.kind() {
                    io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Ok(Vec::new()),
                    _ => Err(Unread::new(path, &error)),
                };
            }
        };
        let mut names = Vec::new();
        for entry in folder.take(ENTRIES_MAX) {
            let entry = entry.map_err(|error| Unread::new(path, &error))?;
            // What is not looked at may say the opposite.
            let Ok(name) = entry.file_name().into_string() else {
                return Err(Unread::new(path, &io::ErrorKind::InvalidData.into()));
            };
            names.push(name);
        }
        if names.len() == ENTRIES_MAX {
            let error = io::Error::from(io::ErrorKind::FileTooLarge);
            return Err(Unread::new(path, &error));
        }
        names.sort_unstable();
        Ok(names)
    }

    /// The texts of a file and of the files `*SUFFIX` in folders, with their paths.
    fn texts(
        &self,
        file: &str,
        folders: &[&str],
        suffix: &str,
    ) -> Result<Vec<(String, String)>, Unread> {
        let mut paths = vec![file.to_owned()];
        for folder in folders {
            let names = self.names(folder)?;
            let wanted = names.iter().filter(|name| name.ends_with(suffix));
            paths.extend(wanted.map(|name| format!("{folder}/{name}")));
        }
        let mut texts = Vec::new();
        for path in paths {
            if let Some(text) = self.optional_text(&path)? {
                texts.push((path, text));
            }
        }
        Ok(texts)
    }

    fn has(&self, path: &str) -> bool {
        // What may not be looked at is taken to be there.
        match self.at(path).try_exists() {
            Ok(there) => there,
            Err(error) => error.kind() != io::ErrorKind::NotADirectory,
        }
    }

    fn at(&self, path: &str) -> PathBuf {
        self.path.join(self.inside(path))
    }

    /// A path below the root folder with its links followed as the device itself would: one that
    /// begins with `/` begins at the root folder.
    fn inside(&self, path: &str) -> PathBuf {
        let parts = |path: &Path| {
            let parts = path.components().rev().map(|it| it.as_os_str().to_owned());
            parts.collect::<Vec<_>>()
        };
        let (mut left, mut found, mut links) = (parts(Path::new(path)), PathBuf::new(), 0);
        while let Some(part) = left.pop() {
            let link = self.path.join(&found).join(&part).read_link();
            if part == "/" {
                found.clear();
            } else if part == ".." {
                found.pop();
            } else if let Ok(target) = link
                && links < LINKS_MAX
            {
                links += 1;
                left.extend(parts(&target));
            } else {
                found.push(part);
            }
        }
        found
    }
}

/// Lines without comments and white space around them; empty ones left out.
fn lines(text: &str) -> impl Iterator<Item = &str> {
    text.lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
}

/// `key = value` or `key value` of a line.
fn key_value(line: &str) -> Option<(&str, &str)> {
    let at = line.find(|symbol: char| symbol == '=' || symbol.is_whitespace())?;
    let (key, value) = line.split_at_checked(at)?;
    let value = value.trim_start_matches(|symbol: char| symbol == '=' || symbol.is_whitespace());
    Some((key, value))
}

#[cfg(test)]
mod tests;
