//! `usb.storage_allowed`: whether a memory stick would be taken: not when every USB bus refuses
//! new devices, nor when the driver may not be loaded.

use super::{Reading, Root, Unread, lines};

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    const BUS: &str = "/sys/bus/usb/devices";
    const DRIVER: &str = "/sys/module/usb_storage";
    let names = root.names(BUS)?;
    let buses: Vec<&String> = names
        .iter()
        .filter(|name| name.starts_with("usb"))
        .collect();
    if root.has("/sys/bus") && buses.is_empty() {
        return Ok(Reading::NotApplicable(format!("{BUS}: no USB")));
    }
    let mut refusing = 0;
    for bus in &buses {
        let path = format!("{BUS}/{bus}/authorized_default");
        let text = root.optional_text(&path)?;
        refusing += usize::from(text.is_some_and(|text| text.trim() == "0"));
    }
    if refusing > 0 && refusing == buses.len() {
        return Ok(Reading::bool(
            false,
            format!("{BUS}/usb*/authorized_default"),
        ));
    }
    if root.has(DRIVER) {
        return Ok(Reading::bool(true, DRIVER));
    }
    const MODPROBE: &str = "/etc/modprobe.d";
    for (path, text) in root.texts("/etc/modprobe.conf", &[MODPROBE], ".conf")? {
        for line in lines(&text) {
            let line: Vec<&str> = line.split_whitespace().collect();
            if let ["install", "usb-storage" | "usb_storage", command, ..] = line.as_slice()
                && (command.ends_with("/false") || command.ends_with("/true"))
            {
                return Ok(Reading::bool(false, path));
            }
        }
    }
    Ok(Reading::bool(
        true,
        format!("{MODPROBE}: the driver may be loaded"),
    ))
}
