//! What sshd is told, with the files it includes: sshd_config(5). Which other servers of SSH are
//! there.

use super::{Root, Unread, key_value, lines};

pub(super) const CONFIG: &str = "/etc/ssh/sshd_config";
/// sshd stops here as well.
const DEPTH_MAX: u8 = 16;
/// Most files and patterns that are looked at: they may include one another.
const INCLUDES_MAX: u8 = 64;

/// Servers that know nothing of sshd_config, and sshd itself where its file stands elsewhere.
const SERVERS: &[&str] = &[
    "/etc/dropbear",
    "/etc/config/dropbear",
    "/sbin/dropbear",
    "/usr/bin/dropbear",
    "/usr/local/sbin/dropbear",
    "/usr/sbin/dropbear",
    "/usr/etc/ssh/sshd_config",
    "/usr/local/sbin/sshd",
];
const SSHD: &[&str] = &["/usr/sbin/sshd", "/usr/bin/sshd"];

/// A server that the file says nothing of.
pub(super) fn other(root: &Root) -> Option<&'static str> {
    SERVERS.iter().copied().find(|path| root.has(path))
}

/// The file; `Err` with a server that may run without it, if there is one.
pub(super) fn text(root: &Root) -> Result<Result<String, Option<&'static str>>, Unread> {
    let text = root.optional_text(CONFIG)?;
    let sshd = || SSHD.iter().copied().find(|path| root.has(path));
    Ok(text.ok_or_else(|| other(root).or_else(sshd)))
}

/// A line.
pub(super) struct Line<'a> {
    /// In small letters.
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    /// Whether it stands below a `Match`.
    pub(super) in_match: bool,
    /// Whether that holds for some only.
    pub(super) conditional: bool,
}

/// Every line of the text and of what it includes; an `Include` that was not followed, if any.
pub(super) fn each(
    root: &Root,
    text: &str,
    each: &mut dyn FnMut(&Line<'_>),
) -> Result<Option<String>, Unread> {
    let mut walk = Walk {
        root,
        each,
        left: INCLUDES_MAX,
        unread: None,
    };
    walk.file(text, 0, false)?;
    Ok(walk.unread)
}

struct Walk<'a> {
    root: &'a Root,
    each: &'a mut dyn FnMut(&Line<'_>),
    left: u8,
    unread: Option<String>,
}

impl Walk<'_> {
    /// `conditional`: the file is included below a `Match`.
    fn file(&mut self, text: &str, depth: u8, conditional: bool) -> Result<(), Unread> {
        let (mut in_match, mut conditional_here) = (conditional, conditional);
        for line in lines(text) {
            let Some((key, value)) = key_value(line) else {
                continue;
            };
            let key = key.trim_matches('"').to_ascii_lowercase();
            let plain = value.trim().trim_matches('"');
            match key.as_str() {
                // `Match all` holds for everybody, and comes before what stands outside.
                "match" => {
                    in_match = true;
                    conditional_here = conditional || !plain.eq_ignore_ascii_case("all");
                }
                "include" => self.include(value, depth, in_match)?,
                key => (self.each)(&Line {
                    key,
                    value: plain,
                    in_match,
                    conditional: conditional_here,
                }),
            }
        }
        Ok(())
    }

    fn include(&mut self, patterns: &str, depth: u8, conditional: bool) -> Result<(), Unread> {
        for pattern in patterns.split_whitespace() {
            let path = match pattern.starts_with('/') {
                true => pattern.to_owned(),
                false => format!("/etc/ssh/{pattern}"),
            };
            let (folder, name) = path.rsplit_once('/').unwrap_or(("", &path));
            // A name in quotes may have spaces in it.
            let is_odd = folder.contains(['*', '?', '[']) || name.contains(['[', '?']);
            let is_quoted = patterns.contains(['"', '\'', '\\']);
            if depth == DEPTH_MAX || is_odd || is_quoted || !self.may_look() {
                self.unread = Some(pattern.to_owned());
                return Ok(());
            }
            for file in self.root.names(folder)? {
                if !matches(name, &file) {
                    continue;
                }
                if !self.may_look() {
                    self.unread = Some(pattern.to_owned());
                    return Ok(());
                }
                let text = self.root.text(&format!("{folder}/{file}"))?;
                self.file(&text, depth + 1, conditional)?;
            }
        }
        Ok(())
    }

    /// Whether one more may be looked at.
    fn may_look(&mut self) -> bool {
        let may = self.left > 0;
        self.left = self.left.saturating_sub(1);
        may
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
