//! `net.wifi_direct`: whether the device opens a wireless network of its own.

use super::{Reading, Root, Unread, Why, lines};

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    const RADIOS: &str = "/sys/class/ieee80211";
    const LINKS: &str = "/sys/class/net";
    if !root.has(LINKS) {
        let detail = "/sys is not mounted";
        return Ok(Reading::unknown(Why::NotSupported, detail, LINKS));
    }
    let links = root.names(LINKS)?;
    let wireless = |link: &String| root.has(&format!("{LINKS}/{link}/phy80211"));
    if root.names(RADIOS)?.is_empty() && !links.iter().any(wireless) {
        return Ok(Reading::NotApplicable(format!("{RADIOS}: no radio")));
    }
    if links.iter().any(|link| link.starts_with("p2p-")) {
        return Ok(Reading::bool(true, LINKS));
    }
    const CONFIG: &str = "/etc/wpa_supplicant";
    let texts = root.texts("/etc/wpa_supplicant.conf", &[CONFIG], ".conf")?;
    let off = |text: &str| lines(text).any(|line| line.replace(' ', "") == "p2p_disabled=1");
    if !texts.is_empty() && texts.iter().all(|(_, text)| off(text)) {
        return Ok(Reading::bool(false, CONFIG));
    }
    let detail = "there is a radio, and nothing says whether Wi-Fi Direct is off";
    Ok(Reading::unknown(Why::NotSupported, detail, CONFIG))
}
