//! `fw.tpm`: the version of the trusted platform module.

use super::{Reading, Root, Unread, Why};

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    const FOLDER: &str = "/sys/class/tpm";
    const VERSION: &str = "/sys/class/tpm/tpm0/tpm_version_major";
    if !root.has("/sys/class") {
        let detail = "/sys is not mounted";
        return Ok(Reading::unknown(Why::NotSupported, detail, FOLDER));
    }
    if !root.has("/sys/class/tpm/tpm0") {
        return Ok(Reading::value("none", FOLDER));
    }
    Ok(Reading::value(
        match root.text(VERSION)?.trim() {
            "1" => "1.2",
            "2" => "2.0",
            _ => "",
        },
        VERSION,
    ))
}
