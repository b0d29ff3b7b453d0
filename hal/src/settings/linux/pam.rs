//! What a stack of PAM does with those who sign in or change a password: pam.d(5). Whatever is not
//! understood, such as a file that is included, leaves the setting unknown.

use std::collections::VecDeque;
use std::path::PathBuf;

use super::{Reading, Root, Row, Unread, Why, lines};

/// Where signing in from far away has a stack of its own, beside that at the device.
const REMOTE: &str = "password-auth";

/// Where the services have their stacks: the device's own, which come first, and those shipped.
const FOLDER: &str = "/etc/pam.d";
const SHIPPED: &str = "/usr/lib/pam.d";
const SHIPPED_BY_SUSE: &str = "/usr/etc/pam.d";
/// In the names of files that updates leave there.
const LEFT_OVER: &[&str] = &[".dpkg-", ".pam-old", ".rpm", ".ucf-"];
/// Modules that take no password, and none that is new. Some let in without: nothing is guessed there.
const HARMLESS: &[&str] = &[
    "pam_access",
    "pam_cap",
    "pam_deny",
    "pam_env",
    "pam_faildelay",
    "pam_fprintd",
    "pam_gnome_keyring",
    "pam_group",
    "pam_keyinit",
    "pam_lastlog",
    "pam_listfile",
    "pam_mail",
    "pam_nologin",
    "pam_permit",
    "pam_rootok",
    "pam_securetty",
    "pam_selinux",
    "pam_sepermit",
    "pam_shells",
    "pam_ssh_add",
    "pam_succeed_if",
    "pam_time",
    "pam_timestamp",
    "pam_warn",
    "pam_wheel",
];

/// What comes after a module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Step {
    Next,
    /// The next, but the whole is refused in the end.
    Bad,
    Skip(usize),
    Stop,
    /// The end, and refused.
    Die,
}

/// One line of a stack.
pub(super) struct Module {
    pub(super) name: String,
    arguments: Vec<String>,
    /// What comes after it has agreed (`true`) or has not.
    steps: Vec<(bool, Step)>,
}

/// The lines of one type.
pub(super) struct Stack {
    pub(super) path: String,
    pub(super) modules: Vec<Module>,
}

/// How sure it is that a way through a stack comes to a module.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    Always,
    Never,
    Maybe,
}

/// Asks the first of these files of `/etc/pam.d` that is there, and that for signing in from far
/// away, about its lines of one type. They must say the same, but one that is not secure is enough.
pub(super) fn of_stacks(
    root: &Root,
    id: &str,
    (files, kind): (&[&str], &str),
    read: &dyn Fn(&Stack) -> Result<Reading, Unread>,
) -> Result<Reading, Unread> {
    let unknown = |detail, path| Ok(Reading::unknown(Why::NotSupported, detail, path));
    let mut paths = files.iter().map(|file| format!("/etc/pam.d/{file}"));
    let first = paths.find(|path| root.has(path));
    let remote = Some(format!("/etc/pam.d/{REMOTE}")).filter(|path| root.has(path));
    let mut agreed = None;
    let paths: Vec<String> = first.into_iter().chain(remote).collect();
    let looked_at: Vec<PathBuf> = paths.iter().map(|path| root.inside(path)).collect();
    for path in paths {
        let text = root.text(&path)?.replace("\\\n", " ");
        let mut modules = Vec::new();
        for line in lines(&text) {
            let Some(found) = module(line, kind) else {
                return unknown(
                    "the stack of PAM includes another or is not understood",
                    path,
                );
            };
            modules.extend(found);
        }
        let stack = Stack { path, modules };
        let reading = read(&stack)?;
        // No other stack makes that better.
        if Row::find(id).and_then(|row| reading.is_secure(row, 0)) == Some(false) {
            return Ok(reading);
        }
        match (&agreed, &reading) {
            (None, _) => agreed = Some(reading),
            (Some(Reading::Value { value: one, .. }), Reading::Value { value: other, .. })
                if one == other => {}
            _ => return unknown("the stacks of PAM differ", stack.path),
        }
    }
    match agreed {
        Some(reading) => match stranger(root, &looked_at, kind)? {
            None => Ok(reading),
            Some(path) => unknown("a stack of PAM beside the others is not understood", path),
        },
        None => unknown("no stack of PAM to read", "/etc/pam.d".to_owned()),
    }
}

/// A service with a stack of its own, beside those that were looked at.
fn stranger(root: &Root, looked_at: &[PathBuf], kind: &str) -> Result<Option<String>, Unread> {
    let own = root.names(FOLDER)?;
    for folder in [FOLDER, SHIPPED, SHIPPED_BY_SUSE] {
        for name in root.names(folder)? {
            let path = format!("{folder}/{name}");
            let is_hidden = folder != FOLDER && own.contains(&name);
            let is_left_over = LEFT_OVER.iter().any(|it| name.contains(it));
            if is_hidden || is_left_over || looked_at.contains(&root.inside(&path)) {
                continue;
            }
            let text = root.text(&path)?.replace("\\\n", " ");
            if !lines(&text).all(|line| is_harmless(line, kind)) {
                return Ok(Some(path));
            }
        }
    }
    Ok(None)
}

/// Whether a line takes no password. The files that are included are looked at themselves.
fn is_harmless(line: &str, kind: &str) -> bool {
    let mut words = line.split_whitespace();
    let included = match (words.next(), words.next()) {
        (Some("@include"), file) => file,
        (Some(_), Some("include" | "substack")) => words.next(),
        _ => {
            // One that skips may skip a line of what is included next.
            let skips = |it: &Module| it.steps.iter().any(|it| matches!(it.1, Step::Skip(_)));
            let is_known = |it: Module| HARMLESS.contains(&it.name.as_str()) && !skips(&it);
            return module(line, kind).is_some_and(|it| it.is_none_or(is_known));
        }
    };
    included.is_some_and(|file| !file.contains('/'))
}

/// The module of a line; `Some(None)` when it is of another type, `None` when not understood.
fn module(line: &str, kind: &str) -> Option<Option<Module>> {
    const KINDS: &[&str] = &["account", "auth", "password", "session"];
    let (word, rest) = line.split_once(char::is_whitespace)?;
    let of = word.trim_start_matches('-').to_ascii_lowercase();
    if of != kind {
        return KINDS.contains(&of.as_str()).then_some(None);
    }
    let rest = rest.trim_start();
    let (control, rest) = match rest.strip_prefix('[') {
        Some(list) => {
            let (list, rest) = list.split_once(']')?;
            (listed(list)?, rest)
        }
        None => {
            let (word, rest) = rest.split_once(char::is_whitespace)?;
            (named(word)?, rest)
        }
    };
    let mut words = rest.split_whitespace();
    let name = words.next()?.rsplit('/').next()?;
    Some(Some(Module {
        name: name.trim_end_matches(".so").to_owned(),
        arguments: words
            .map(|it| it.trim_matches(['[', ']']).to_owned())
            .collect(),
        steps: control,
    }))
}

fn named(control: &str) -> Option<Vec<(bool, Step)>> {
    let (agreed, refused) = match control.to_ascii_lowercase().as_str() {
        "required" => (Step::Next, Step::Bad),
        "requisite" => (Step::Next, Step::Die),
        "sufficient" => (Step::Stop, Step::Next),
        "optional" => (Step::Next, Step::Next),
        _ => return None,
    };
    Some(vec![(true, agreed), (false, refused)])
}

/// `success=2 default=ignore`: what is not listed is `bad`.
fn listed(control: &str) -> Option<Vec<(bool, Step)>> {
    let mut steps = Vec::new();
    let mut default = Step::Bad;
    for pair in control.split_whitespace() {
        let (result, step) = pair.split_once('=')?;
        let step = match step {
            "ignore" | "ok" => Step::Next,
            "bad" => Step::Bad,
            "done" => Step::Stop,
            "die" => Step::Die,
            count => Step::Skip(count.parse().ok().filter(|count| *count > 0)?),
        };
        match result {
            "default" => default = step,
            "success" | "new_authtok_reqd" => steps.push((true, step)),
            _ => steps.push((false, step)),
        }
    }
    if !control.contains("success=") {
        steps.push((true, default));
    }
    steps.push((false, default));
    Some(steps)
}

impl Module {
    /// Whether the module is told this word.
    pub(super) fn is_told(&self, word: &str) -> bool {
        self.arguments.iter().any(|argument| argument == word)
    }

    /// The value of an argument `key=value`; of several the last counts.
    pub(super) fn argument(&self, key: &str) -> Option<String> {
        self.arguments.iter().rev().find_map(|argument| {
            let (name, value) = argument.split_once('=')?;
            (name == key).then(|| value.to_owned())
        })
    }

    /// Whether it always goes on so when the module refuses.
    pub(super) fn refuses_by(&self, steps: &[Step]) -> bool {
        let mut refusals = self.steps.iter().filter(|(agreed, _)| !agreed);
        refusals.all(|(_, step)| steps.contains(step))
    }
}

impl Stack {
    /// How sure it is that one comes to a module, looking at those results of the others that
    /// `counts` takes: whether a module agrees.
    pub(super) fn reach(
        &self,
        wanted: &dyn Fn(&Module) -> bool,
        counts: &dyn Fn(&Module, bool) -> bool,
    ) -> Reach {
        // From the end: what comes after each line is known when the line is looked at.
        let mut after: VecDeque<Reach> = VecDeque::new();
        for module in self.modules.iter().rev() {
            let results = module
                .steps
                .iter()
                .filter(|(agrees, _)| counts(module, *agrees));
            let mut reaches = results.map(|(_, step)| {
                let skipped = match step {
                    Step::Next | Step::Bad => 0,
                    Step::Skip(count) => *count,
                    Step::Stop | Step::Die => return Reach::Never,
                };
                after.get(skipped).copied().unwrap_or(Reach::Never)
            });
            let first = reaches.next().unwrap_or(Reach::Never);
            let reach = match wanted(module) {
                true => Reach::Always,
                false if reaches.all(|it| it == first) => first,
                false => Reach::Maybe,
            };
            after.push_front(reach);
        }
        after.front().copied().unwrap_or(Reach::Never)
    }
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
