//! Where syslog-ng sends what: syslog-ng.conf(5).

use super::super::{Root, Unread, lines, systemd};
use super::{Ways, calls};

const CONFIG: &str = "/etc/syslog-ng/syslog-ng.conf";
/// Destinations on the device itself.
const LOCAL: &[&str] = &[
    "file",
    "pipe",
    "program",
    "unix-dgram",
    "unix-stream",
    "usertty",
];

pub(super) fn read(root: &Root, ways: &mut Ways) -> Result<(), Unread> {
    let texts = root.texts(CONFIG, &["/etc/syslog-ng/conf.d"], ".conf")?;
    let texts: Vec<(String, String)> = texts
        .into_iter()
        .map(|(path, text)| (path, Vec::from_iter(lines(&text)).join(" ")))
        .collect();
    let runs = root.has("/run/syslog-ng.pid") || systemd::starts(root, "syslog-ng");
    let after = |text: &'_ str, word: &str| -> Vec<String> {
        let parts = text.split(word).skip(1);
        parts.map(|part| part.trim_start().to_owned()).collect()
    };
    let mut used: Vec<String> = Vec::new();
    for (_, text) in &texts {
        let references = after(text, "destination").into_iter();
        used.extend(references.filter_map(|it| {
            let name = it.strip_prefix('(')?.split(')').next()?;
            Some(name.trim().trim_matches('"').to_owned())
        }));
    }
    for (path, text) in &texts {
        for block in after(text, "destination") {
            let Some((name, body)) = block.split_once('{').filter(|_| !block.starts_with('('))
            else {
                continue;
            };
            let name = name.trim().trim_matches('"');
            let body = body.split('}').next().unwrap_or_default();
            let runs = runs && (name.is_empty() || used.iter().any(|it| it == name));
            let Some(drivers) = calls(body) else {
                ways.add(None, path);
                continue;
            };
            for (driver, inner) in drivers {
                let over_tls =
                    inner.contains("transport(\"tls\")") || inner.contains("transport(tls)");
                match driver.as_str() {
                    "network" | "syslog" if over_tls => ways.add(runs.then_some(true), path),
                    "network" | "syslog" | "tcp" | "tcp6" | "udp" | "udp6" => {
                        ways.add(Some(false), path);
                    }
                    local if LOCAL.contains(&local) => {}
                    _ => ways.add(None, path),
                }
            }
        }
    }
    Ok(())
}
