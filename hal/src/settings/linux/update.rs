//! `fw.update_verified`: whether the updaters of this system refuse what is not signed: apt, RAUC,
//! SWUpdate, Mender.

use super::{Reading, Root, Unread, Why, apt, lines};

/// Whether an updater verifies, the worst first.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Verifies {
    No,
    Unclear,
    Yes,
}

/// Whether it verifies, and the file that says so; `None` when it is not there.
pub(super) type Found = Result<Option<(Verifies, String)>, Unread>;

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let mut worst = None;
    for updater in [apt::read, rauc, swupdate, mender] {
        let found = updater(root)?;
        worst = [worst, found].into_iter().flatten().min();
    }
    let (detail, path) = match worst {
        Some((Verifies::No, path)) => return Ok(Reading::bool(false, path)),
        Some((Verifies::Yes, path)) => return Ok(Reading::bool(true, path)),
        Some((Verifies::Unclear, path)) => ("what the updater is told is not understood", path),
        None => {
            let detail = "no updater that is known here (apt, RAUC, SWUpdate, Mender)";
            (detail, "/etc".to_owned())
        }
    };
    Ok(Reading::unknown(Why::NotSupported, detail, path))
}

/// A text as its updater reads it, and the file.
fn of_file(root: &Root, path: &str, read: fn(&str) -> Verifies) -> Found {
    let text = root.optional_text(path)?;
    Ok(text.map(|text| (read(&text), path.to_owned())))
}

/// All of these must be there, and not empty.
fn named(names: &[&str]) -> Verifies {
    match names.is_empty() || names.contains(&"") {
        true => Verifies::No,
        false => Verifies::Yes,
    }
}

fn rauc(root: &Root) -> Found {
    of_file(root, "/etc/rauc/system.conf", |text| {
        let mut in_keyring = false;
        let mut keys = Vec::new();
        for line in lines(text) {
            if line.starts_with('[') {
                in_keyring = line == "[keyring]";
            } else if let Some((name, value)) = line.split_once('=')
                && in_keyring
                && matches!(name.trim(), "path" | "directory")
            {
                keys.push(value.trim().trim_matches('"'));
            }
        }
        named(&keys)
    })
}

fn swupdate(root: &Root) -> Found {
    of_file(root, "/etc/swupdate.cfg", |text| {
        let Some(statements) = statements(text) else {
            return Verifies::Unclear;
        };
        let mut words = statements
            .iter()
            .flat_map(|(_, words)| words.iter().copied());
        let mut keys = Vec::new();
        while let Some(word) = words.next() {
            if word.trim_end_matches([':', '=']) == "public-key-file" {
                let value = words.find(|word| !matches!(*word, ":" | "="));
                keys.push(value.unwrap_or_default());
            }
        }
        named(&keys)
    })
}

fn mender(root: &Root) -> Found {
    of_file(root, "/etc/mender/mender.conf", |text| {
        const NAME: &str = "\"ArtifactVerifyKey";
        let keys = text.split(NAME).skip(1).map(|rest| {
            // `": "..."` or `s": ["...", ...]`.
            let mut symbols = rest.strip_prefix('s').unwrap_or(rest);
            for (symbol, needed) in [('"', true), (':', true), ('[', false), ('"', true)] {
                let after = symbols.trim_start().strip_prefix(symbol);
                symbols = after.unwrap_or(if needed { "" } else { symbols });
            }
            symbols.split('"').next().unwrap_or_default()
        });
        named(&Vec::from_iter(keys))
    })
}

/// Words up to each `;`, `{` or `}`, with the names of the blocks around them, each with `::`
/// after it: the syntax of apt.conf(5), and near enough that of libconfig. `None`: it has no end.
pub(super) fn statements(text: &str) -> Option<Vec<(String, Vec<&str>)>> {
    let (mut found, mut blocks, mut words) = (Vec::new(), Vec::new(), Vec::new());
    let mut rest = text.trim_start();
    while let Some(symbol) = rest.chars().next() {
        let is_word = rest.starts_with("#include") || rest.starts_with("#clear");
        if rest.starts_with("//") || symbol == '#' && !is_word {
            rest = rest.split_once('\n').map_or("", |(_, rest)| rest);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/")?.1;
        } else if let Some(quoted) = rest.strip_prefix('"') {
            let word;
            (word, rest) = quoted.split_once('"')?;
            words.push(word);
        } else if let Some(after) = rest.strip_prefix([';', '{', '}']) {
            rest = after;
            let name = words.first().copied().unwrap_or_default();
            found.push((blocks.concat(), std::mem::take(&mut words)));
            match symbol {
                '{' => blocks.push(format!("{}::", name.trim_end_matches([':', '=']))),
                '}' => drop(blocks.pop()),
                _ => {}
            }
        } else {
            let ends = |it: char| it.is_whitespace() || "\";{}".contains(it);
            let word;
            (word, rest) = rest.split_at_checked(rest.find(ends).unwrap_or(rest.len()))?;
            words.push(word);
        }
        rest = rest.trim_start();
    }
    words.is_empty().then_some(found)
}
