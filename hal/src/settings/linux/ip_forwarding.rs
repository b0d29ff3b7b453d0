//! `net.ip_forwarding`: whether the device passes packets on, over IPv4 or IPv6.

use super::{Reading, Root, Unread};

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    const V4: &str = "/proc/sys/net/ipv4";
    const V6: &str = "/proc/sys/net/ipv6";
    let is_on = |text: &str| text.trim() != "0";
    if is_on(&root.text(&format!("{V4}/ip_forward"))?) {
        return Ok(Reading::bool(true, format!("{V4}/ip_forward")));
    }
    // One interface may do so where the switch for all is off.
    for family in [V4, V6] {
        for link in root.names(&format!("{family}/conf"))? {
            let path = format!("{family}/conf/{link}/forwarding");
            if root.optional_text(&path)?.is_some_and(|text| is_on(&text)) {
                return Ok(Reading::bool(true, path));
            }
        }
    }
    Ok(Reading::bool(false, format!("{V4}, {V6}: forwarding")))
}
