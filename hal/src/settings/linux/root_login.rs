//! `auth.root_remote_login`: what sshd would allow, with the files it includes and its defaults.

use super::{Reading, Root, Unread, Why, listeners, sshd};

/// Ports of services that everybody knows to be another; any other may be that of SSH.
const OF_OTHERS: &[&str] = &[
    "tcp/21", "tcp/80", "tcp/139", "tcp/443", "tcp/445", "tcp/515", "tcp/631", "tcp/9100",
];

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let unknown = |detail: String| Ok(Reading::unknown(Why::NotSupported, detail, sshd::CONFIG));
    let text = match sshd::text(root)? {
        Ok(text) => text,
        Err(Some(path)) => {
            return unknown(format!(
                "{path} may let somebody in; sshd_config is not there"
            ));
        }
        Err(None) => {
            let open = listeners::exposed(root)?;
            let mut open = open.iter().filter(|port| port.starts_with("tcp/"));
            return match open.find(|port| !OF_OTHERS.contains(&port.as_str())) {
                Some(port) => unknown(format!("what listens on {port} may be a server of SSH")),
                None => Ok(Reading::NotApplicable(format!(
                    "no {}, and nothing listens that may be SSH",
                    sshd::CONFIG
                ))),
            };
        }
    };
    // The first outside of any `Match` counts, and whether some `Match` lets root in.
    let (mut general, mut allowed_by_match) = (None, false);
    let unread = sshd::each(root, &text, &mut |line| {
        if line.key == "permitrootlogin" {
            let allowed = !line.value.eq_ignore_ascii_case("no");
            allowed_by_match |= line.in_match && allowed;
            if !line.conditional {
                general.get_or_insert(allowed);
            }
        }
    })?;
    if allowed_by_match || general.is_some_and(|allowed| allowed) {
        return Ok(Reading::bool(true, sshd::CONFIG));
    }
    if let Some(pattern) = unread {
        return unknown(format!(
            "an Include of sshd_config is not followed: {pattern}"
        ));
    }
    // The default, prohibit-password, lets root in with a key.
    match (general, sshd::other(root)) {
        (None, _) => Ok(Reading::bool(true, sshd::CONFIG)),
        (Some(_), None) => Ok(Reading::bool(false, sshd::CONFIG)),
        (Some(_), Some(path)) => unknown(format!("sshd lets root not in, but {path} is there too")),
    }
}
