//! Configuration of systemd's services: systemd-system.conf(5).

use std::collections::BTreeMap;

use super::{Root, Unread};

/// Folders, from the one that counts least. A file hides one of its name in an earlier folder.
const FOLDERS: &[&str] = &[
    "/usr/lib/systemd",
    "/usr/local/lib/systemd",
    "/run/systemd",
    "/etc/systemd",
];

/// The texts of a file and of what is dropped in beside it, in the order in which the last counts.
pub(super) fn texts(root: &Root, name: &str) -> Result<Vec<(String, String)>, Unread> {
    let mut by_name = BTreeMap::new();
    for folder in FOLDERS {
        let file = format!("{folder}/{name}");
        let dropped = format!("{file}.d");
        for (path, text) in root.texts(&file, &[&dropped], ".conf")? {
            // The file itself comes before all that is dropped in.
            let key = path.strip_prefix(&dropped).unwrap_or_default().to_owned();
            let _hidden = by_name.insert(key, (path, text));
        }
    }
    Ok(by_name.into_values().collect())
}

/// Whether a service is started with the system.
pub(super) fn starts(root: &Root, service: &str) -> bool {
    root.has(&format!(
        "/etc/systemd/system/multi-user.target.wants/{service}.service"
    ))
}
