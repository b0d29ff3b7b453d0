//! `fw.kernel_lockdown`: whether even the administrator may not change the running kernel.

use super::{Reading, Root, Unread, Why};

const PATH: &str = "/sys/kernel/security/lockdown";

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let Some(text) = root.optional_text(PATH)? else {
        if root.names("/sys/kernel/security")?.is_empty() {
            let detail = "securityfs is not mounted";
            return Ok(Reading::unknown(Why::NotSupported, detail, PATH));
        }
        return Ok(Reading::value("none", PATH));
    };
    let chosen = text
        .split_whitespace()
        .find_map(|word| word.strip_prefix('[')?.strip_suffix(']'));
    Ok(Reading::value(chosen.unwrap_or_default(), PATH))
}
