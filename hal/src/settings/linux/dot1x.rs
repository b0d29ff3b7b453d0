//! `net.dot1x`: whether wpa_supplicant runs and is set up to sign in to a wired network. Names and
//! passwords in its files are passed over.

use super::{Reading, Root, Unread, lines};

const CONFIG: &str = "/etc/wpa_supplicant";

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    const RUNNING: &str = "/run/wpa_supplicant";
    if root.names(RUNNING)?.is_empty() {
        return Ok(Reading::bool(false, format!("{RUNNING}: none runs")));
    }
    for (_, text) in root.texts("/etc/wpa_supplicant.conf", &[CONFIG], ".conf")? {
        let signs_in = |line: &str| {
            let line: String = line.split_whitespace().collect();
            line.starts_with("key_mgmt=") && line.contains("IEEE8021X")
        };
        if lines(&text).any(signs_in) {
            return Ok(Reading::bool(true, CONFIG));
        }
    }
    Ok(Reading::bool(false, CONFIG))
}
