//! `fw.secure_boot`: what UEFI says of itself. Boards without UEFI keep this in fuses of their
//! own, which only the vendor can read.

use super::{Reading, Root, Unread, Why};

const FOLDER: &str = "/sys/firmware/efi/efivars";
const GUID: &str = "8be4df61-93ca-11d2-aa0d-00e098032b8c";

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let names = root.names(FOLDER)?;
    if names.is_empty() {
        let detail = "the system shows no UEFI variables; fuses of the board are not read";
        return Ok(Reading::unknown(Why::NotSupported, detail, FOLDER));
    }
    let path = |name: &str| format!("{FOLDER}/{name}-{GUID}");
    if !names.contains(&format!("SecureBoot-{GUID}")) {
        return Ok(Reading::value("off", FOLDER));
    }
    // The boot loader of many systems may be told to let everything through all the same.
    const SHIM: &str = "MokSBStateRT-605dab50-e046-4300-abb6-3dd810dd8b23";
    if names.iter().any(|name| name == SHIM) {
        let path = format!("{FOLDER}/{SHIM}");
        if root.bytes(&path)?.get(4) != Some(&0) {
            return Ok(Reading::value("off", path));
        }
    }
    // Four bytes of attributes, then the value.
    let byte = |name: &str| Ok(root.bytes(&path(name))?.get(4).copied());
    let value = match (byte("SecureBoot")?, byte("SetupMode")?) {
        (_, Some(1)) => "setup",
        (Some(1), Some(0)) => "on",
        (Some(0), Some(0)) => "off",
        _ => "",
    };
    Ok(Reading::value(value, path("SecureBoot")))
}
