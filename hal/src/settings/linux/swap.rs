//! `storage.swap_encrypted`: whether memory that is swapped out is encrypted or stays in memory.

use super::block;
use super::{Reading, Root, Unread};

const SWAPS: &str = "/proc/swaps";

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let text = root.text(SWAPS)?;
    let swaps: Vec<&str> = text
        .lines()
        .skip(1)
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    if swaps.is_empty() {
        return Ok(Reading::NotApplicable(format!("{SWAPS}: no swap")));
    }
    for swap in swaps {
        if !is_safe(root, swap)? {
            return Ok(Reading::bool(false, SWAPS));
        }
    }
    Ok(Reading::bool(true, SWAPS))
}

fn is_safe(root: &Root, swap: &str) -> Result<bool, Unread> {
    let folder = match swap.strip_prefix("/dev/") {
        Some(name) if name.starts_with("zram") => {
            let backing = root.optional_text(&format!("/sys/block/{name}/backing_dev"))?;
            return Ok(backing.is_none_or(|backing| backing.trim() == "none"));
        }
        Some(name) => block::named(root, name)?,
        None => match block::holder(root, swap)? {
            Some(mount) => mount.folder(root)?,
            None => None,
        },
    };
    match folder {
        Some(folder) => block::is_over(root, &folder, &["CRYPT-LUKS", "CRYPT-PLAIN"]),
        None => Ok(false),
    }
}
