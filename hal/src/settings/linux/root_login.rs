//! `auth.root_remote_login`: what sshd would allow, with the files it includes and its defaults.

use super::listeners;
use super::{Reading, Root, Unread, Why, key_value, lines};

const CONFIG: &str = "/etc/ssh/sshd_config";
/// sshd stops here as well.
const DEPTH_MAX: u8 = 16;

/// Servers that know nothing of sshd_config, and sshd itself where its file stands elsewhere.
const SERVERS: &[&str] = &[
    "/etc/dropbear",
    "/etc/config/dropbear",
    "/usr/bin/dropbear",
    "/usr/sbin/dropbear",
    "/usr/etc/ssh/sshd_config",
];
const SSHD: &[&str] = &["/usr/sbin/sshd", "/usr/bin/sshd"];
/// Ports of services that everybody knows to be another; any other may be that of SSH.
const OF_OTHERS: &[&str] = &[
    "tcp/21", "tcp/80", "tcp/139", "tcp/443", "tcp/445", "tcp/515", "tcp/631", "tcp/9100",
];

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let unknown = |detail: String| Ok(Reading::unknown(Why::NotSupported, detail, CONFIG));
    let other = SERVERS.iter().find(|path| root.has(path));
    let Some(text) = root.optional_text(CONFIG)? else {
        if let Some(path) = other.or_else(|| SSHD.iter().find(|path| root.has(path))) {
            return unknown(format!(
                "{path} may let somebody in; sshd_config is not there"
            ));
        }
        let open = listeners::exposed(root)?;
        let mut open = open.iter().filter(|port| port.starts_with("tcp/"));
        return match open.find(|port| !OF_OTHERS.contains(&port.as_str())) {
            Some(port) => unknown(format!("what listens on {port} may be a server of SSH")),
            None => Ok(Reading::NotApplicable(format!(
                "no {CONFIG}, and nothing listens that may be SSH"
            ))),
        };
    };
    let mut sshd = Sshd {
        root,
        general: None,
        allowed_by_match: false,
        unread: None,
    };
    sshd.file(&text, 0, false)?;
    if sshd.allowed_by_match || sshd.general.is_some_and(|allowed| allowed) {
        return Ok(Reading::bool(true, CONFIG));
    }
    if let Some(pattern) = sshd.unread {
        return unknown(format!(
            "an Include of sshd_config is not followed: {pattern}"
        ));
    }
    // The default, prohibit-password, lets root in with a key.
    match (sshd.general, other) {
        (None, _) => Ok(Reading::bool(true, CONFIG)),
        (Some(_), None) => Ok(Reading::bool(false, CONFIG)),
        (Some(_), Some(path)) => unknown(format!("sshd lets root not in, but {path} is there too")),
    }
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
    /// `conditional`: the file is included below a `Match`.
    fn file(&mut self, text: &str, depth: u8, conditional: bool) -> Result<(), Unread> {
        let (mut in_match, mut conditional_here) = (conditional, conditional);
        for line in lines(text) {
            let Some((key, value)) = key_value(line) else {
                continue;
            };
            let value = value.trim().trim_matches('"');
            match key.to_ascii_lowercase().as_str() {
                // `Match all` holds for everybody, and comes before what stands outside.
                "match" => {
                    in_match = true;
                    conditional_here = conditional || !value.eq_ignore_ascii_case("all");
                }
                "include" => self.include(value, depth, in_match)?,
                "permitrootlogin" => {
                    let allowed = !value.eq_ignore_ascii_case("no");
                    self.allowed_by_match |= in_match && allowed;
                    if !conditional_here {
                        self.general.get_or_insert(allowed);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    fn include(&mut self, patterns: &str, depth: u8, conditional: bool) -> Result<(), Unread> {
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
                    self.file(&text, depth + 1, conditional)?;
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
