//! `net.ip_forwarding`: whether the device passes packets on, over IPv4 or IPv6.

use super::{Reading, Root, Unread};

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    const V4: &str = "/proc/sys/net/ipv4/ip_forward";
    const V6: &str = "/proc/sys/net/ipv6/conf/all/forwarding";
    let on = |text: &str| text.trim() != "0";
    if on(&root.text(V4)?) {
        return Ok(Reading::bool(true, V4));
    }
    let v6 = root.optional_text(V6)?;
    Ok(Reading::bool(v6.is_some_and(|text| on(&text)), V6))
}
