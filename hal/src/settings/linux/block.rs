//! Block devices and what lies beneath them: partition, LVM, RAID, encryption.

use std::path::Path;

use super::{Root, Unread};

/// Deeper stacks than anybody builds.
const DEPTH_MAX: u8 = 8;

/// One mount of `/proc/self/mountinfo`.
pub(super) struct Mount {
    /// `major:minor`.
    pub(super) device: String,
    pub(super) place: String,
    pub(super) kind: String,
    pub(super) source: String,
}

/// The mount table.
pub(super) const MOUNTS: &str = "/proc/self/mountinfo";

pub(super) fn mounts(root: &Root) -> Result<Vec<Mount>, Unread> {
    let text = root.text(MOUNTS)?;
    Ok(text.lines().filter_map(mount).collect())
}

/// The mount on which a file lies: the one with the longest path before it.
pub(super) fn holder(root: &Root, path: &str) -> Result<Option<Mount>, Unread> {
    let path = Path::new("/").join(root.inside(path));
    let mounts = mounts(root)?.into_iter();
    let mounts = mounts.filter(|mount| path.starts_with(&mount.place));
    Ok(mounts.max_by_key(|mount| mount.place.len()))
}

fn mount(line: &str) -> Option<Mount> {
    let (first, last) = line.split_once(" - ")?;
    let mut first = first.split(' ');
    let mut last = last.split(' ');
    Some(Mount {
        device: first.nth(2)?.to_owned(),
        place: first.nth(1)?.replace("\\040", " "),
        kind: last.next()?.to_owned(),
        source: last.next()?.to_owned(),
    })
}

impl Mount {
    /// The folder of the device in `/sys`; `None` when the mount has no device of its own.
    pub(super) fn folder(&self, root: &Root) -> Result<Option<String>, Unread> {
        if self.device.starts_with("0:") {
            // Btrfs hides its device behind a number of its own.
            return match self.source.strip_prefix("/dev/") {
                Some(name) => named(root, name),
                None => Ok(None),
            };
        }
        let direct = format!("/sys/dev/block/{}", self.device);
        if root.has(&direct) {
            return Ok(Some(direct));
        }
        for disk in disks(root)? {
            if is_device(root, &disk, &self.device)? {
                return Ok(Some(disk));
            }
            for part in root.names(&disk)? {
                let part = format!("{disk}/{part}");
                if root.has(&format!("{part}/dev")) && is_device(root, &part, &self.device)? {
                    return Ok(Some(part));
                }
            }
        }
        Ok(None)
    }
}

fn is_device(root: &Root, folder: &str, device: &str) -> Result<bool, Unread> {
    let text = root.optional_text(&format!("{folder}/dev"))?;
    Ok(text.is_some_and(|text| text.trim() == device))
}

fn disks(root: &Root) -> Result<Vec<String>, Unread> {
    let names = root.names("/sys/block")?;
    Ok(names.iter().map(|it| format!("/sys/block/{it}")).collect())
}

/// The folder in `/sys` of a device by its name below `/dev`.
pub(super) fn named(root: &Root, name: &str) -> Result<Option<String>, Unread> {
    if let Some(mapped) = name.strip_prefix("mapper/") {
        for disk in disks(root)? {
            let known = root.optional_text(&format!("{disk}/dm/name"))?;
            if known.is_some_and(|known| known.trim() == mapped) {
                return Ok(Some(disk));
            }
        }
        return Ok(None);
    }
    if name.contains('/') {
        return Ok(None);
    }
    for folder in ["/sys/class/block", "/sys/block"] {
        let path = format!("{folder}/{name}");
        if root.has(&path) {
            return Ok(Some(path));
        }
    }
    let parts = disks(root)?
        .into_iter()
        .map(|disk| format!("{disk}/{name}"));
    Ok(parts.into_iter().find(|path| root.has(path)))
}

/// Whether everything under this device passes through a layer whose dm uuid begins so.
pub(super) fn is_over(root: &Root, folder: &str, uuids: &[&str]) -> Result<bool, Unread> {
    is_over_at(root, folder, uuids, 0)
}

fn is_over_at(root: &Root, folder: &str, uuids: &[&str], depth: u8) -> Result<bool, Unread> {
    if depth == DEPTH_MAX {
        return Ok(false);
    }
    let uuid = root.optional_text(&format!("{folder}/dm/uuid"))?;
    if uuid.is_some_and(|uuid| uuids.iter().any(|wanted| uuid.starts_with(wanted))) {
        return Ok(true);
    }
    if root.has(&format!("{folder}/partition")) {
        return is_over_at(root, &format!("{folder}/.."), uuids, depth + 1);
    }
    let slaves = root.names(&format!("{folder}/slaves"))?;
    for slave in &slaves {
        let beneath = match named(root, slave)? {
            Some(path) => path,
            None => format!("{folder}/slaves/{slave}"),
        };
        if !is_over_at(root, &beneath, uuids, depth + 1)? {
            return Ok(false);
        }
    }
    Ok(!slaves.is_empty())
}
