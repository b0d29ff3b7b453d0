//! `storage.lock_password`: whether ATA disks are locked with a password, from what they say of
//! themselves (IDENTIFY DEVICE, word 128). Other disks have no such lock, or hide it (Opal).

use super::{Reading, Root, Unread, Why};

const FOLDER: &str = "/sys/class/ata_device";

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    const SECURITY: usize = 128;
    const ENABLED: u16 = 1 << 1;
    let mut disks = 0_u32;
    // Whose lock is not told, or is of another kind.
    let names = root.names("/sys/block")?;
    let mut others = names
        .iter()
        .any(|it| it.starts_with("nvme") || it.starts_with("mmcblk"));
    for name in root.names(FOLDER)? {
        let class = root.optional_text(&format!("{FOLDER}/{name}/class"))?;
        if class.is_none_or(|class| class.trim() != "ata") {
            continue;
        }
        let words = root.text(&format!("{FOLDER}/{name}/id"))?;
        let word = words.split_whitespace().nth(SECURITY);
        let Some(word) = word.and_then(|word| u16::from_str_radix(word, 16).ok()) else {
            others = true;
            continue;
        };
        if word & ENABLED == 0 {
            return Ok(Reading::bool(false, format!("{FOLDER}/{name}/id")));
        }
        disks += 1;
    }
    if disks > 0 && !others {
        return Ok(Reading::bool(true, format!("{FOLDER}/*/id")));
    }
    let detail = "only ATA disks tell; locks of other disks (Opal) are not read";
    Ok(Reading::unknown(Why::NotSupported, detail, FOLDER))
}
