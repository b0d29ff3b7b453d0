//! `fw.rootfs_verified`: whether the system's files are checked when they are read, by dm-verity
//! or by a policy of IMA that appraises. Mounting read-only alone checks nothing.

use super::block;
use super::{Reading, Root, Unread, Why};

const POLICY: &str = "/sys/kernel/security/ima/policy";
const CMDLINE: &str = "/proc/cmdline";

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
    let rules = super::lines(&policy).filter(|line| line.starts_with("appraise "));
    let rules: Vec<&str> = rules.collect();
    if !rules.is_empty() {
        let kernel = root.text(CMDLINE)?;
        let mut modes = kernel
            .split_whitespace()
            .filter_map(|it| it.strip_prefix("ima_appraise="));
        if rules.iter().any(|rule| is_for_all(rule)) && modes.all(|mode| mode == "enforce") {
            return Ok(Reading::bool(true, POLICY));
        }
        let detail = "IMA appraises some files, or does not refuse those that were changed";
        return Ok(Reading::unknown(Why::NotSupported, detail, POLICY));
    }
    if folder.is_none() {
        let detail = "the mount table does not tell on which storage the system lies";
        return Ok(Reading::unknown(Why::NotSupported, detail, block::MOUNTS));
    }
    Ok(Reading::bool(false, format!("{}; {POLICY}", block::MOUNTS)))
}

/// Whether a rule is for whatever is read of the system's files.
fn is_for_all(rule: &str) -> bool {
    let mut words = rule.split_whitespace().skip(1);
    words.all(|word| {
        matches!(word, "fowner=0" | "func=FILE_CHECK" | "mask=MAY_READ")
            || word.starts_with("appraise_type=")
    })
}
