//! Where rsyslog sends what, in both of its languages: rsyslog.conf(5).

use super::super::{Root, Unread, lines, systemd};
use super::{Ways, calls};

const INCLUDED: &str = "/etc/rsyslog.d/*.conf";
/// Actions that send nothing over the network.
const LOCAL: &[&str] = &[
    "omfile",
    "omjournal",
    "ompipe",
    "omprog",
    "omstdout",
    "omusrmsg",
    "omuxsock",
];
/// Drivers that speak TLS.
const TLS: &[&str] = &["gtls", "ossl"];

pub(super) fn read(root: &Root, ways: &mut Ways) -> Result<(), Unread> {
    let texts = root.texts("/etc/rsyslog.conf", &["/etc/rsyslog.d"], ".conf")?;
    let texts: Vec<(String, String)> = texts
        .into_iter()
        .map(|(path, text)| {
            let plain: Vec<&str> = lines(&text).collect();
            (path, plain.join("\n").to_ascii_lowercase())
        })
        .collect();
    let runs = root.has("/run/rsyslogd.pid") || systemd::starts(root, "rsyslog");
    let driver = texts.iter().any(|(_, text)| {
        let legacy = |line: &str| {
            words(line) == ["$defaultnetstreamdriver", "gtls"]
                || words(line) == ["$defaultnetstreamdriver", "ossl"]
        };
        text.lines().any(legacy)
            || calls(text).unwrap_or_default().iter().any(|(name, inner)| {
                let value = value(inner, "defaultnetstreamdriver");
                name == "global" && value.is_some_and(|it| TLS.contains(&it))
            })
    });
    for (path, text) in &texts {
        let mut add = |tls: Option<bool>| {
            let known = tls.filter(|tls| runs || !tls);
            ways.add(known, path);
        };
        legacy(text, driver, &mut add);
        // A comment over several lines hides actions from nobody but the reader.
        let Some(calls) = calls(text).filter(|_| !has_comment(text)) else {
            add(None);
            continue;
        };
        for (name, inner) in &calls {
            match name.as_str() {
                "action" => action(inner, driver, &mut add),
                "include" if value(inner, "file") != Some(INCLUDED) => add(None),
                _ => {}
            }
        }
    }
    Ok(())
}

/// Lines of the old language: `*.* @@host`, and what is set before them.
fn legacy(text: &str, driver: bool, add: &mut dyn FnMut(Option<bool>)) {
    let mut mode = false;
    for line in text.lines() {
        match words(line).as_slice() {
            ["$actionsendstreamdrivermode", value] => mode = *value == "1",
            ["$resetconfigvariables"] => mode = false,
            ["$includeconfig", path] if *path != INCLUDED => add(None),
            _ => {}
        }
        if line.starts_with('$') {
            continue;
        }
        for word in unquoted(line).split_whitespace() {
            let word = word.trim_start_matches('&');
            if word.starts_with("@@") {
                add(Some(driver && mode));
            } else if word.starts_with('@') || word.starts_with(":omrelp:") {
                add(Some(false));
            }
        }
    }
}

fn action(inner: &str, driver: bool, add: &mut dyn FnMut(Option<bool>)) {
    let is = |name, wanted| value(inner, name) == Some(wanted);
    let kind = value(inner, "type").unwrap_or_default();
    match kind.trim_start_matches("builtin:") {
        "omfwd" => {
            let own = value(inner, "streamdriver").or_else(|| value(inner, "streamdriver.name"));
            let driver = own.map_or(driver, |own| TLS.contains(&own));
            // Over UDP, which is the default, there is no TLS.
            add(Some(
                driver && is("streamdrivermode", "1") && is("protocol", "tcp"),
            ));
        }
        "omrelp" => add(Some(is("tls", "on"))),
        local if LOCAL.contains(&local) => {}
        _ => add(None),
    }
}

/// The value of `name="value"`.
fn value<'a>(inner: &'a str, name: &str) -> Option<&'a str> {
    let mut parts = inner.split('"');
    while let (Some(key), Some(value)) = (parts.next(), parts.next()) {
        if key.strip_suffix('=') == Some(name) {
            return Some(value);
        }
    }
    None
}

/// Whether a comment over several lines begins. The `/*` of a line of the old language is no comment.
fn has_comment(text: &str) -> bool {
    let mut lines = text.lines().filter(|line| !line.starts_with('$'));
    lines.any(|line| unquoted(line).contains("/*"))
}

fn unquoted(line: &str) -> String {
    Vec::from_iter(line.split('"').step_by(2)).concat()
}

fn words(line: &str) -> Vec<&str> {
    line.split_whitespace().collect()
}
