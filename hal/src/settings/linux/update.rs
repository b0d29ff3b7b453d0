//! `fw.update_verified`: whether the updaters of this system refuse what is not signed: apt, RAUC,
//! SWUpdate, Mender.

use super::{Reading, Root, Unread, Why, lines};

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let mut known = None;
    for updater in [apt, rauc, swupdate, mender] {
        match updater(root)? {
            Some((false, path)) => return Ok(Reading::bool(false, path)),
            Some((true, path)) => known = known.or(Some(path)),
            None => {}
        }
    }
    Ok(match known {
        Some(path) => Reading::bool(true, path),
        None => Reading::unknown(
            Why::NotSupported,
            "no updater that is known here (apt, RAUC, SWUpdate, Mender)",
            "/etc",
        ),
    })
}

/// Whether it verifies, and the file that says so; `None` when it is not there.
type Found = Result<Option<(bool, String)>, Unread>;

fn apt(root: &Root) -> Found {
    if !root.has("/etc/apt") {
        return Ok(None);
    }
    const SWITCHES: &[&str] = &[
        "allowunauthenticated",
        "allowinsecurerepositories",
        "allowdowngradetoinsecurerepositories",
        "allowweakrepositories",
    ];
    for (path, text) in root.texts("/etc/apt/apt.conf", &["/etc/apt/apt.conf.d"], "")? {
        let text = text.to_ascii_lowercase();
        let plain = text
            .lines()
            .filter(|line| !line.trim_start().starts_with("//"));
        for line in plain.flat_map(lines) {
            let on = ["\"true\"", "\"1\"", "\"yes\"", " true;", " 1;", " yes;"];
            let is_on = on.iter().any(|value| line.contains(value));
            if is_on && SWITCHES.iter().any(|switch| line.contains(switch)) {
                return Ok(Some((false, path)));
            }
        }
    }
    for (path, text) in root.texts("/etc/apt/sources.list", &["/etc/apt/sources.list.d"], "")? {
        let text = text.to_ascii_lowercase();
        for line in lines(&text) {
            let line: String = line.split_whitespace().collect();
            let trusts = ["trusted=yes", "trusted:yes", "insecure=yes", "insecure:yes"];
            if trusts.iter().any(|word| line.contains(word)) {
                return Ok(Some((false, path)));
            }
        }
    }
    Ok(Some((true, "/etc/apt".to_owned())))
}

fn rauc(root: &Root) -> Found {
    mentions(root, "/etc/rauc/system.conf", "[keyring]")
}

fn swupdate(root: &Root) -> Found {
    mentions(root, "/etc/swupdate.cfg", "public-key-file")
}

fn mender(root: &Root) -> Found {
    mentions(root, "/etc/mender/mender.conf", "ArtifactVerifyKey")
}

fn mentions(root: &Root, path: &str, word: &str) -> Found {
    let text = root.optional_text(path)?;
    Ok(text.map(|text| {
        let verifies = lines(&text).any(|line| line.contains(word));
        (verifies, path.to_owned())
    }))
}
