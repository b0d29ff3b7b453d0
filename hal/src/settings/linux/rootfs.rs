//! `fw.rootfs_verified`: whether the system's files are checked when they are read, by dm-verity
//! or by a policy of IMA that appraises. Mounting read-only alone checks nothing.

use super::block;
use super::{Reading, Root, Unread, Why};

const POLICY: &str = "/sys/kernel/security/ima/policy";

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let mounts = block::mounts(root)?;
    let whole = mounts.iter().rev().find(|mount| mount.place == "/");
    let folder = match whole {
        Some(mount) => mount.folder(root)?,
        None => None,
    };
    if let Some(folder) = &folder
        && block::is_over(root, folder, &["CRYPT-VERITY"])?
    {
        return Ok(Reading::bool(true, format!("{folder}/dm/uuid")));
    }
    let policy = root.optional_text(POLICY)?.unwrap_or_default();
    if super::lines(&policy).any(|line| line.starts_with("appraise ")) {
        return Ok(Reading::bool(true, POLICY));
    }
    if folder.is_none() {
        let detail = "the mount table does not tell on which storage the system lies";
        return Ok(Reading::unknown(Why::NotSupported, detail, block::MOUNTS));
    }
    Ok(Reading::bool(false, format!("{}; {POLICY}", block::MOUNTS)))
}
