//! `usb.storage_allowed`: whether a memory stick would be taken: not when every USB bus refuses
//! new devices, nor when the driver may not be loaded.

use super::{Reading, Root, Unread, Why, lines};

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
    if !root.has("/sys/bus") {
        let detail = "/sys is not mounted, so that the driver may be loaded already";
        return Ok(Reading::unknown(Why::NotSupported, detail, DRIVER));
    }
    const MODPROBE: &str = "/etc/modprobe.d";
    // Every rule must forbid: which of them counts, depends on other folders too. An old
    // modprobe.conf is passed over, as modprobe does.
    let (mut forbids, mut loads) = (None, false);
    for (path, text) in root.texts("/etc/modprobe.conf", &[MODPROBE], ".conf")? {
        for line in lines(&text) {
            let line: Vec<&str> = line.split_whitespace().collect();
            if let ["install", "usb-storage" | "usb_storage", command @ ..] = line.as_slice() {
                let refuses = |it: &str| it.ends_with("/false") || it.ends_with("/true");
                match command {
                    [command] if refuses(command) && path.starts_with(MODPROBE) => {
                        forbids = Some(path.clone());
                    }
                    _ => loads = true,
                }
            }
        }
    }
    Ok(match forbids {
        Some(path) if !loads => Reading::bool(false, path),
        _ => Reading::bool(true, format!("{MODPROBE}: the driver may be loaded")),
    })
}
