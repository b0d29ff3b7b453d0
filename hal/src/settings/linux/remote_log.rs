//! `log.remote_over_tls`: whether the log is also kept elsewhere, and sent there over TLS only
//! (rsyslog, syslog-ng, systemd-journal-upload). Addresses and keys stay in the files.

mod rsyslog;
mod syslog_ng;

use super::pam::configured;
use super::{Reading, Root, Unread, Why, systemd};

/// Ways that the log leaves the device, each with the file that says so.
#[derive(Default)]
struct Ways {
    plain: Option<String>,
    unclear: Option<String>,
    tls: Option<String>,
}

impl Ways {
    /// `None`: it may be either.
    fn add(&mut self, tls: Option<bool>, path: &str) {
        let place = match tls {
            Some(false) => &mut self.plain,
            None => &mut self.unclear,
            Some(true) => &mut self.tls,
        };
        place.get_or_insert_with(|| path.to_owned());
    }
}

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let mut ways = Ways::default();
    rsyslog::read(root, &mut ways)?;
    syslog_ng::read(root, &mut ways)?;
    const UPLOAD: &str = "journal-upload";
    let texts = systemd::texts(root, &format!("{UPLOAD}.conf"))?;
    if let Some(url) = configured(&texts, "URL").filter(|url| !url.is_empty()) {
        let runs = systemd::starts(root, &format!("systemd-{UPLOAD}"));
        let tls = !url.starts_with("http://");
        ways.add(
            (runs || !tls).then_some(tls),
            &format!("/etc/systemd/{UPLOAD}.conf"),
        );
    }
    Ok(match ways {
        Ways {
            plain: Some(path), ..
        } => Reading::bool(false, path),
        Ways {
            unclear: Some(path),
            ..
        } => {
            let detail = "the log may be sent in clear, or by a service that does not run";
            Reading::unknown(Why::NotSupported, detail, path)
        }
        Ways {
            tls: Some(path), ..
        } => Reading::bool(true, path),
        _ => Reading::bool(false, "/etc: the log is sent nowhere"),
    })
}

/// Each `name ( ... )` of a text, the inner part without white space; `None`: one has no end.
fn calls(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let (mut name, mut inner) = (String::new(), String::new());
    let (mut depth, mut quoted) = (0_u32, false);
    let mut symbols = text.chars();
    while let Some(symbol) = symbols.next() {
        match symbol {
            '\\' => {
                let _escaped = symbols.next();
                continue;
            }
            '"' => quoted = !quoted,
            '(' if !quoted && depth == 0 => {
                depth = 1;
                continue;
            }
            '(' if !quoted => depth += 1,
            ')' if !quoted && depth == 1 => {
                let before = std::mem::take(&mut name);
                let is_part = |it: char| it.is_alphanumeric() || matches!(it, '-' | '_');
                let word = before.trim_end().rsplit(|it| !is_part(it)).next();
                found.push((
                    word.unwrap_or_default().to_owned(),
                    std::mem::take(&mut inner),
                ));
                depth = 0;
                continue;
            }
            ')' if !quoted => depth = depth.saturating_sub(1),
            _ => {}
        }
        match depth {
            0 => name.push(symbol),
            _ if !symbol.is_whitespace() => inner.push(symbol),
            _ => {}
        }
    }
    (depth == 0 && !quoted).then_some(found)
}
