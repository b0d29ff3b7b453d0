//! `storage.encryption`: whether every mounted storage lies on LUKS.
//!
//! Left out: `/boot` and its like (the boot loader must read them), read-only images (they hold
//! nobody's documents), memory and network file systems. The file system itself can encrypt folders
//! (fscrypt): where the agent keeps documents or a folder right below a mount is encrypted so, some of
//! the storage is. It never counts as all: names of files beside it and free space stay in clear.

use std::path::Path;

use super::block::{self, MOUNTS, Mount};
use super::{Reading, Root, Unread, Why};

const BOOT: &[&str] = &["/boot", "/boot/efi", "/boot/firmware", "/efi"];
const IMAGES: &[&str] = &["cramfs", "erofs", "iso9660", "romfs", "squashfs"];
/// They have storage below that the mount table does not name.
const HIDDEN: &[&str] = &["bcachefs", "ubifs", "zfs"];
/// The same, when the whole system is on one: a container or a virtual machine.
const HIDDEN_ROOT: &[&str] = &["9p", "aufs", "overlay", "virtiofs"];

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let (mut encrypted, mut plain, mut hidden) = (0_u32, None, false);
    let mut plain_places = Vec::new();
    for mount in block::mounts(root)? {
        let kind = mount.kind.as_str();
        if BOOT.contains(&mount.place.as_str()) || IMAGES.contains(&kind) {
            continue;
        }
        if HIDDEN.contains(&kind) || mount.place == "/" && HIDDEN_ROOT.contains(&kind) {
            hidden = true;
        } else if has_device(&mount) {
            match mount.folder(root)? {
                None => hidden = true,
                Some(folder) if block::is_over(root, &folder, &["CRYPT-LUKS"])? => encrypted += 1,
                Some(folder) => {
                    plain = Some(folder);
                    plain_places.push(mount.place);
                }
            }
        }
    }
    if let Some(folder) = plain {
        // Names of folders may be those of people: not told.
        let (value, by) = if encrypted > 0 {
            ("partial", "")
        } else if is_in_folders(root, &plain_places) {
            ("partial", "fscrypt in a folder; ")
        } else {
            ("none", "")
        };
        let evidence = format!("{MOUNTS}; {by}plain: {folder}");
        return Ok(Reading::value(value, evidence));
    }
    if hidden || encrypted == 0 {
        let detail = "the mount table does not tell on which storage the files lie";
        return Ok(Reading::unknown(Why::NotSupported, detail, MOUNTS));
    }
    Ok(Reading::value(
        "all",
        format!("{MOUNTS}; /sys/block/*/dm/uuid"),
    ))
}

/// Whether a file system encrypts a folder of documents, or one right below its top.
fn is_in_folders(root: &Root, mounts: &[String]) -> bool {
    // What cannot be asked is not known to be encrypted.
    let is_encrypted = |folder: &Path| root.kernel.is_encrypted(folder).unwrap_or(false);
    let below = |place: &String| {
        let names = root.names(place).unwrap_or_default();
        let mut folders = names.iter().map(|name| root.at(place).join(name));
        folders.any(|folder| is_encrypted(&folder))
    };
    root.documents.iter().any(|folder| is_encrypted(folder)) || mounts.iter().any(below)
}

fn has_device(mount: &Mount) -> bool {
    !mount.device.starts_with("0:") || mount.kind == "btrfs" || mount.kind == "jffs2"
}
