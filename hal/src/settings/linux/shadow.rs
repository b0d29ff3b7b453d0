//! Passwords of the system's accounts, `/etc/shadow`: how many are missing, weak, or known from
//! the factory. Only counts leave this file.

use super::{Reading, Root, Unread, Why, sha_crypt};

const SHADOW: &str = "/etc/shadow";
const PASSWD: &str = "/etc/passwd";

/// Passwords that devices are delivered with, and that are tried first by everybody. All were
/// printed in manuals.
const FACTORY: &[&str] = &[
    "0000",
    "00000000",
    "1111",
    "1234",
    "12345678",
    "1234567812345678",
    "Admin",
    "access",
    "admin",
    "administrator",
    "changeme",
    "default",
    "initpass",
    "password",
    "raspberry",
    "root",
    "sysadm",
    "toor",
];

/// An account's name and the hash of its password, not shown to anybody.
struct Account {
    name: String,
    hash: String,
}

/// `auth.accounts_without_password`.
pub(super) fn without_password(root: &Root) -> Result<Reading, Unread> {
    count(root, |hash| hash.is_empty())
}

/// `auth.weak_password_hashes`: DES and MD5, with or without extensions.
pub(super) fn weak_hashes(root: &Root) -> Result<Reading, Unread> {
    count(root, |hash| {
        let weak = ["$1$", "$md5", "$3$", "$sha1", "_"];
        let des = !hash.starts_with('$') && hash.len() >= 13;
        !is_locked(hash) && (des || weak.iter().any(|prefix| hash.starts_with(prefix)))
    })
}

/// `auth.admin_password_default`. Nobody is signed in for it: the hashes are computed here, and
/// those that cannot be leave the setting unknown.
pub(super) fn from_the_factory(root: &Root) -> Result<Reading, Unread> {
    let accounts = accounts(root)?;
    let with_password = accounts.iter().filter(|it| !is_locked(&it.hash));
    let (mut checked, mut skipped) = (0_u32, 0_u32);
    for account in with_password {
        let candidates = FACTORY.iter().copied().chain([account.name.as_str()]);
        match sha_crypt::is_one_of(&account.hash, candidates) {
            Some(true) => return Ok(Reading::bool(true, SHADOW)),
            Some(false) => checked += 1,
            None => skipped += 1,
        }
    }
    if skipped == 0 && checked > 0 {
        return Ok(Reading::bool(false, SHADOW));
    }
    let detail = match skipped {
        0 => "no account has a password; the vendor's administrator is not among them",
        _ => "passwords are stored in a way that is not checked here",
    };
    Ok(Reading::unknown(Why::NotSupported, detail, SHADOW))
}

/// Nobody signs in with a password; `x` of a shadowed account is such a one as well.
fn is_locked(hash: &str) -> bool {
    hash.starts_with(['!', '*']) || hash == "x"
}

fn count(root: &Root, matches: fn(&str) -> bool) -> Result<Reading, Unread> {
    let accounts = accounts(root)?;
    let count = accounts.iter().filter(|it| matches(&it.hash)).count();
    Ok(Reading::value(count.to_string(), SHADOW))
}

/// Those of `/etc/shadow`, and those of `/etc/passwd` that are not kept there.
fn accounts(root: &Root) -> Result<Vec<Account>, Unread> {
    let passwd = root.optional_text(PASSWD)?.unwrap_or_default();
    let mut found: Vec<Account> = passwd.lines().filter_map(account).collect();
    let elsewhere = found.iter().any(|it| it.hash == "x");
    found.retain(|it| it.hash != "x");
    let shadow = match elsewhere || found.is_empty() {
        true => root.text(SHADOW)?,
        false => root.optional_text(SHADOW)?.unwrap_or_default(),
    };
    found.extend(shadow.lines().filter_map(account));
    Ok(found)
}

fn account(line: &str) -> Option<Account> {
    let mut fields = line.split(':');
    let (name, hash) = (fields.next()?, fields.next()?);
    (!name.is_empty()).then(|| Account {
        name: name.to_owned(),
        hash: hash.to_owned(),
    })
}
