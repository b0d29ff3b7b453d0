//! Which module of PAM guards passwords, and how it is told to.

use super::{Root, Unread, lines};

/// What the stack says about a module.
pub(super) enum Stack {
    /// There is no such stack to look at.
    Absent,
    /// The stack does without the module.
    Without(String),
    /// The module is used, with the arguments of its first line.
    With(Vec<String>),
}

/// Looks for a module in the first of these files of `/etc/pam.d` that is there.
pub(super) fn module(root: &Root, files: &[&str], module: &str) -> Result<Stack, Unread> {
    for file in files {
        let path = format!("/etc/pam.d/{file}");
        let Some(text) = root.optional_text(&path)? else {
            continue;
        };
        let line = lines(&text).find(|line| line.split_whitespace().any(|word| word == module));
        return Ok(match line {
            None => Stack::Without(path),
            Some(line) => {
                let words = line.split_whitespace().skip_while(|word| *word != module);
                Stack::With(words.skip(1).map(str::to_owned).collect())
            }
        });
    }
    Ok(Stack::Absent)
}

/// The value of an argument `key=value`.
pub(super) fn argument(arguments: &[String], key: &str) -> Option<String> {
    let value = |argument: &String| {
        let (name, value) = argument.split_once('=')?;
        (name == key).then(|| value.to_owned())
    };
    arguments.iter().find_map(value)
}

/// The value of a key in the texts of configuration files, of which the last one counts.
pub(super) fn configured(texts: &[(String, String)], key: &str) -> Option<String> {
    let pairs = texts.iter().flat_map(|(_, text)| lines(text));
    let values = pairs.filter_map(|line| {
        let (name, value) = super::key_value(line)?;
        (name == key).then(|| value.trim().to_owned())
    });
    values.last()
}
