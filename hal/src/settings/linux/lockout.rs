//! `auth.lockout_tries` and `auth.lockout_seconds`: pam_faillock, which locks an account after
//! wrong passwords. It must be asked before the password (`preauth`) and told of each wrong one
//! (`authfail`).

use super::pam::{self, Module, Reach, Stack, Step};
use super::{Reading, Root, Unread, Why, sshd};

const CONFIG: &str = "/etc/security/faillock.conf";
const STACKS: &[&str] = &["common-auth", "system-auth", "base-auth"];
/// Modules that ask for a password or what stands for it.
const ASKING: &[&str] = &[
    "pam_fprintd",
    "pam_krb5",
    "pam_ldap",
    "pam_sss",
    "pam_unix",
    "pam_winbind",
];
/// What an account that stays locked for good is told as: ten years.
const FOR_GOOD: &str = "315360000";

pub(super) fn tries(root: &Root) -> Result<Reading, Unread> {
    pam::of_stacks(root, "auth.lockout_tries", (STACKS, "auth"), &|stack| {
        tries_of(root, stack)
    })
}

pub(super) fn seconds(root: &Root) -> Result<Reading, Unread> {
    pam::of_stacks(root, "auth.lockout_seconds", (STACKS, "auth"), &|stack| {
        // Where no number of tries locks an account, none stays locked.
        let tries = tries_of(root, stack)?;
        if !tries.text().parse::<u32>().is_ok_and(|tries| tries > 0) {
            return Ok(tries);
        }
        Ok(match of_stack(root, stack, ("unlock_time", "600"))? {
            Reading::Value { value, evidence } if matches!(value.as_str(), "never" | "0") => {
                Reading::value(FOR_GOOD, evidence)
            }
            other => other,
        })
    })
}

fn tries_of(root: &Root, stack: &Stack) -> Result<Reading, Unread> {
    of_stack(root, stack, ("deny", "3"))
}

fn of_stack(root: &Root, stack: &Stack, key: (&str, &str)) -> Result<Reading, Unread> {
    let unknown = |detail| Ok(Reading::unknown(Why::NotSupported, detail, &stack.path));
    let is = |module: &Module, word| module.name == "pam_faillock" && module.is_told(word);
    match stack.reach(&|it| is(it, "authfail"), &with_wrong_password) {
        Reach::Always => {}
        Reach::Never => {
            let evidence = format!("{}: no pam_faillock is told of wrong passwords", stack.path);
            return Ok(Reading::value("0", evidence));
        }
        Reach::Maybe => return unknown("pam_faillock may not be told of every wrong password"),
    }
    // Refusing at once locks as well: what counts are the ways on.
    let before = stack.reach(&|it| is(it, "preauth"), &|it, agrees| {
        agrees || !it.refuses_by(&[Step::Die])
    });
    let mut asked = stack.modules.iter().filter(|it| is(it, "preauth"));
    if before != Reach::Always || !asked.all(|it| it.refuses_by(&[Step::Bad, Step::Die])) {
        return unknown("pam_faillock may not be asked before a password counts");
    }
    if !asked_by_ssh(root)? {
        return unknown("a server of SSH may take a password without asking PAM");
    }
    let mut found: Option<(String, String)> = None;
    for module in &stack.modules {
        if is(module, "preauth") || is(module, "authfail") {
            let told = value(root, stack, module, key)?;
            if found.get_or_insert_with(|| told.clone()).0 != told.0 {
                return unknown("pam_faillock is told one number here and another there");
            }
        }
    }
    let (value, evidence) = found.unwrap_or_default();
    Ok(Reading::value(value, evidence))
}

/// Whether every server of SSH leaves passwords to PAM: by itself sshd does not, and what another
/// one does is not known.
fn asked_by_ssh(root: &Root) -> Result<bool, Unread> {
    let text = match sshd::text(root)? {
        Ok(text) => text,
        Err(server) => return Ok(server.is_none()),
    };
    let (mut said, mut denied) = (false, false);
    let unread = sshd::each(root, &text, &mut |line| {
        if line.key == "usepam" {
            said = true;
            denied |= !line.value.eq_ignore_ascii_case("yes");
        }
    })?;
    Ok(said && !denied && unread.is_none() && sshd::other(root).is_none())
}

/// Which results there are when somebody who is not locked gives a wrong password.
fn with_wrong_password(module: &Module, agrees: bool) -> bool {
    match module.name.as_str() {
        "pam_deny" => !agrees,
        "pam_permit" | "pam_faillock" => agrees,
        name if ASKING.contains(&name) => !agrees,
        _ => true,
    }
}

/// What a line asks for, and where that stands.
fn value(
    root: &Root,
    stack: &Stack,
    module: &Module,
    (key, default): (&str, &str),
) -> Result<(String, String), Unread> {
    if let Some(value) = module.argument(key) {
        return Ok((value, stack.path.clone()));
    }
    let config = module.argument("conf");
    let config = config.as_deref().unwrap_or(CONFIG);
    let value = pam::configured(&root.texts(config, &[], "")?, key);
    Ok((
        value.unwrap_or_else(|| default.to_owned()),
        config.to_owned(),
    ))
}
