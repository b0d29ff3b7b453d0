//! `net.dot1x`: whether wpa_supplicant runs and is set up to sign in to a wired network. Names and
//! passwords in its files are passed over.

use super::{Reading, Root, Unread, lines};

const CONFIG: &str = "/etc/wpa_supplicant";

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    const RUNNING: &str = "/run/wpa_supplicant";
    let is_wired = |link: &String| {
        let wireless = ["phy80211", "wireless"];
        !link.starts_with("p2p-")
            && !wireless
                .iter()
                .any(|it| root.has(&format!("/sys/class/net/{link}/{it}")))
    };
    if !root.names(RUNNING)?.iter().any(is_wired) {
        return Ok(Reading::bool(
            false,
            format!("{RUNNING}: none runs on a wire"),
        ));
    }
    for (_, text) in root.texts("/etc/wpa_supplicant.conf", &[CONFIG], ".conf")? {
        let lines = lines(&text).map(|line| line.split_whitespace().collect::<String>());
        let lines = Vec::from_iter(lines);
        let has = |wanted: &str| lines.iter().any(|line| line == wanted);
        // With a choice of ways, or where a network is off, it may do without.
        if has("key_mgmt=IEEE8021X") && !has("disabled=1") {
            return Ok(Reading::bool(true, CONFIG));
        }
    }
    Ok(Reading::bool(false, CONFIG))
}
