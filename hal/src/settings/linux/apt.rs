//! Whether apt refuses what is not signed: apt.conf(5) and sources.list(5).

use super::Root;
use super::update::{Found, Verifies, statements};

const CONFIG: &str = "/etc/apt/apt.conf";
const SOURCES: &str = "/etc/apt/sources.list";

pub(super) fn read(root: &Root) -> Found {
    let mut worst = (Verifies::Yes, "/etc/apt".to_owned());
    let mut sources = 0;
    for (path, text) in root.texts(CONFIG, &["/etc/apt/apt.conf.d"], "")? {
        worst = worst.min((of_config(&text.to_ascii_lowercase()), path));
    }
    for (path, text) in root.texts(SOURCES, &["/etc/apt/sources.list.d"], "")? {
        let text = text.to_ascii_lowercase();
        let options = match path.rsplit_once('.') {
            Some((_, "sources")) => fields(&text),
            Some((_, "list")) => text.lines().flat_map(options).collect(),
            _ => continue,
        };
        sources += options.len();
        let verifies = options.iter().map(|(name, value)| of_source(name, value));
        worst = worst.min((verifies.min().unwrap_or(Verifies::Yes), path));
    }
    // Without any source nothing comes by this way.
    let used = sources > 0 || worst.0 != Verifies::Yes;
    Ok(used.then_some(worst))
}

/// apt's own words for yes and no.
fn switch(value: &str) -> Verifies {
    match value {
        "no" | "false" | "without" | "off" | "disable" | "0" => Verifies::Yes,
        "yes" | "true" | "with" | "on" | "enable" | "1" => Verifies::No,
        _ => Verifies::Unclear,
    }
}

fn of_config(text: &str) -> Verifies {
    let Some(statements) = statements(text) else {
        return Verifies::Unclear;
    };
    let verifies = statements.iter().map(|(block, words)| {
        let name = words.first().copied().unwrap_or_default();
        let name = format!("{block}{}", name.trim_end_matches(':'));
        match name.rsplit("::").next().unwrap_or_default() {
            "allowunauthenticated"
            | "allowinsecurerepositories"
            | "allowdowngradetoinsecurerepositories"
            | "allowweakrepositories"
            | "force-yes" => switch(words.get(1).copied().unwrap_or_default()),
            // The files may be others than those that are looked at.
            "#include" | "dir" | "rootdir" => Verifies::Unclear,
            _ if name.starts_with("dir::etc") => Verifies::Unclear,
            _ => Verifies::Yes,
        }
    });
    verifies.min().unwrap_or(Verifies::Yes)
}

fn of_source(name: &str, value: &str) -> Verifies {
    match name.trim_end_matches(['+', '-']) {
        "trusted" | "allow-insecure" | "allow-weak" | "allow-downgrade-to-insecure" => {
            switch(value)
        }
        _ => Verifies::Yes,
    }
}

/// The type of a source as an option without a value, and `deb [name=value ...]`.
fn options(line: &str) -> Vec<(String, String)> {
    let line = line.trim().replace('"', "");
    if line.is_empty() || line.starts_with('#') {
        return Vec::new();
    }
    let end = line.find(|it: char| it.is_whitespace() || it == '[');
    let (kind, rest) = line
        .split_at_checked(end.unwrap_or(line.len()))
        .unwrap_or_default();
    let mut found = vec![(kind.to_owned(), String::new())];
    if let Some(list) = rest.trim_start().strip_prefix('[') {
        let list = list.split(']').next().unwrap_or_default();
        found.extend(list.split_whitespace().map(|word| {
            let (name, value) = word.split_once('=').unwrap_or((word, ""));
            (name.to_owned(), value.to_owned())
        }));
    }
    found
}

/// `Name: value`, where lines that begin with white space go on.
fn fields(text: &str) -> Vec<(String, String)> {
    let mut found: Vec<(String, String)> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        if line.starts_with(char::is_whitespace) {
            if let Some((_, value)) = found.last_mut() {
                value.push_str(line.trim());
            }
        } else if let Some((name, value)) = line.split_once(':') {
            found.push((name.trim().to_owned(), value.trim().to_owned()));
        }
    }
    found
}
