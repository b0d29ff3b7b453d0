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
    // A network of its own is also that of an access point: modes 2 and 3, or hostapd.
    let off = |text: &str| {
        let mut p2p = lines(text)
            .filter(|line| line.starts_with("p2p_disabled"))
            .peekable();
        let is_off = p2p.peek().is_some() && p2p.all(|it| it.replace(' ', "") == "p2p_disabled=1");
        let mut modes = lines(text).filter(|line| line.starts_with("mode"));
        is_off && modes.all(|it| matches!(it.replace(' ', "").as_str(), "mode=0" | "mode=1"))
    };
    if root.names("/run/hostapd")?.is_empty()
        && !texts.is_empty()
        && texts.iter().all(|(_, text)| off(text))
    {
        return Ok(Reading::bool(false, CONFIG));
    }
    let detail = "there is a radio, and nothing says whether Wi-Fi Direct is off";
    Ok(Reading::unknown(Why::NotSupported, detail, CONFIG))
}
