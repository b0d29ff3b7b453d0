//! `storage.encryption`: whether every mounted storage lies on LUKS.
//!
//! Left out: `/boot` and its like (the boot loader must read them), read-only images (they hold
//! nobody's documents), memory and network file systems. Encryption by the file system itself
//! (fscrypt) is not seen and counts as none.

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
                Some(folder) => plain = Some(folder),
            }
        }
    }
    if let Some(folder) = plain {
        let value = if encrypted > 0 { "partial" } else { "none" };
        return Ok(Reading::value(value, format!("{MOUNTS}; plain: {folder}")));
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

fn has_device(mount: &Mount) -> bool {
    !mount.device.starts_with("0:") || mount.kind == "btrfs" || mount.kind == "jffs2"
}
