//! `log.remote_over_tls`: whether the log is also kept elsewhere, and sent there over TLS only
//! (rsyslog, syslog-ng, systemd-journal-upload). Addresses and keys stay in the files.

use super::pam::configured;
use super::{Reading, Root, Unread, lines};

/// Ways that the log leaves the device.
#[derive(Default)]
struct Ways {
    tls: Option<String>,
    plain: Option<String>,
}

impl Ways {
    fn add(&mut self, tls: bool, path: &str) {
        let place = if tls { &mut self.tls } else { &mut self.plain };
        place.get_or_insert_with(|| path.to_owned());
    }
}

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let mut ways = Ways::default();
    rsyslog(root, &mut ways)?;
    for (path, text) in root.texts(
        "/etc/syslog-ng/syslog-ng.conf",
        &["/etc/syslog-ng/conf.d"],
        ".conf",
    )? {
        for line in lines(&text).filter(|line| line.contains("destination")) {
            let remote = ["network(", "syslog(", "tcp(", "udp("];
            if remote.iter().any(|way| line.contains(way)) {
                ways.add(line.contains("tls"), &path);
            }
        }
    }
    const UPLOAD: &str = "/etc/systemd/journal-upload.conf";
    let texts = root.texts(UPLOAD, &["/etc/systemd/journal-upload.conf.d"], ".conf")?;
    if let Some(url) = configured(&texts, "URL").filter(|url| !url.is_empty()) {
        ways.add(!url.starts_with("http://"), UPLOAD);
    }
    Ok(match (ways.plain, ways.tls) {
        (Some(path), _) => Reading::bool(false, path),
        (None, Some(path)) => Reading::bool(true, path),
        (None, None) => Reading::bool(false, "/etc: the log is sent nowhere"),
    })
}

fn rsyslog(root: &Root, ways: &mut Ways) -> Result<(), Unread> {
    let texts = root.texts("/etc/rsyslog.conf", &["/etc/rsyslog.d"], ".conf")?;
    let texts: Vec<(String, String)> = texts
        .into_iter()
        .map(|(path, text)| {
            let plain: Vec<&str> = lines(&text).collect();
            (path, plain.join("\n").to_ascii_lowercase())
        })
        .collect();
    let any = |words: &[&str]| {
        let mut lines = texts.iter().flat_map(|(_, text)| text.lines());
        lines.any(|line| words.iter().all(|word| line.contains(word)))
    };
    let is_tls = |text: &str| text.contains("gtls") || text.contains("ossl");
    let driver = any(&["$defaultnetstreamdriver ", "gtls"])
        || any(&["$defaultnetstreamdriver ", "ossl"])
        || any(&["defaultnetstreamdriver=", "gtls"])
        || any(&["defaultnetstreamdriver=", "ossl"]);
    let mode = any(&["$actionsendstreamdrivermode 1"]);
    for (path, text) in &texts {
        for line in text.lines() {
            let target = line.split_whitespace().nth(1).unwrap_or_default();
            if target.starts_with('@') && !line.starts_with('$') {
                ways.add(target.starts_with("@@") && driver && mode, path);
            }
        }
        for block in text.split("action(").skip(1) {
            let block = block.split(')').next().unwrap_or_default();
            if block.contains("omfwd") {
                let asks = block.contains("streamdrivermode=\"1\"");
                ways.add(asks && (driver || is_tls(block)), path);
            } else if block.contains("omrelp") {
                ways.add(block.contains("tls=\"on\""), path);
            }
        }
    }
    Ok(())
}
