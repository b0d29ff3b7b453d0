//! `auth.root_remote_login`: what sshd would allow, with the files it includes and its defaults.

use super::listeners;
use super::{Reading, Root, Unread, Why, key_value, lines};

const CONFIG: &str = "/etc/ssh/sshd_config";
/// sshd stops here as well.
const DEPTH_MAX: u8 = 16;

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let Some(text) = root.optional_text(CONFIG)? else {
        if listeners::listens(root, "tcp/22")? {
            let detail = "a server answers on port 22, and sshd_config is not there";
            return Ok(Reading::unknown(Why::NotSupported, detail, CONFIG));
        }
        let evidence = format!("no {CONFIG}, nothing listens on port 22");
        return Ok(Reading::NotApplicable(evidence));
    };
    let mut sshd = Sshd {
        root,
        general: None,
        allowed_by_match: false,
        unread: None,
    };
    sshd.file(&text, 0)?;
    if sshd.allowed_by_match || sshd.general.is_some_and(|allowed| allowed) {
        return Ok(Reading::bool(true, CONFIG));
    }
    if let Some(pattern) = sshd.unread {
        let detail = format!("an Include of sshd_config is not followed: {pattern}");
        return Ok(Reading::unknown(Why::NotSupported, detail, CONFIG));
    }
    // The default, prohibit-password, lets root in with a key.
    Ok(Reading::bool(sshd.general.is_none(), CONFIG))
}

struct Sshd<'a> {
    root: &'a Root,
    /// The first `PermitRootLogin` outside of any `Match`, which is the one that counts.
    general: Option<bool>,
    /// Whether some `Match` lets root in.
    allowed_by_match: bool,
    /// An `Include` that was not understood.
    unread: Option<String>,
}

impl Sshd<'_> {
    fn file(&mut self, text: &str, depth: u8) -> Result<(), Unread> {
        let mut in_match = false;
        for line in lines(text) {
            let Some((key, value)) = key_value(line) else {
                continue;
            };
            let value = value.trim().trim_matches('"');
            match key.to_ascii_lowercase().as_str() {
                "match" => in_match = !value.eq_ignore_ascii_case("all"),
                "include" => self.include(value, depth)?,
                "permitrootlogin" => {
                    let allowed = !value.eq_ignore_ascii_case("no");
                    if in_match {
                        self.allowed_by_match |= allowed;
                    } else {
                        self.general.get_or_insert(allowed);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn include(&mut self, patterns: &str, depth: u8) -> Result<(), Unread> {
        for pattern in patterns.split_whitespace() {
            let pattern = pattern.trim_matches('"');
            let path = match pattern.starts_with('/') {
                true => pattern.to_owned(),
                false => format!("/etc/ssh/{pattern}"),
            };
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            if depth == DEPTH_MAX || folder.contains(['*', '?', '[']) || name.contains(['[', '?']) {
                self.unread = Some(pattern.to_owned());
                continue;
            }
            for file in self.root.names(folder)? {
                if matches(name, &file) {
                    let text = self.root.text(&format!("{folder}/{file}"))?;
                    self.file(&text, depth + 1)?;
                }
            }
        }
        Ok(())
    }
}

/// A pattern with `*` for any text.
fn matches(pattern: &str, name: &str) -> bool {
    let Some((first, rest)) = pattern.split_once('*') else {
        return pattern == name;
    };
    let Some(mut left) = name.strip_prefix(first) else {
        return false;
    };
    if name.starts_with('.') && first.is_empty() {
        return false;
    }
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        match left.split_once(part) {
            Some((_, after)) => left = after,
            None => return false,
        }
    }
    left.ends_with(last)
}
