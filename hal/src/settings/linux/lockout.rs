//! `auth.lockout_tries` and `auth.lockout_seconds`: pam_faillock, which locks an account after
//! wrong passwords.

use super::pam::{self, Stack};
use super::{Reading, Root, Unread, Why};

const CONFIG: &str = "/etc/security/faillock.conf";
const STACKS: &[&str] = &["common-auth", "system-auth", "base-auth"];
/// What an account that stays locked for good is told as: ten years.
const FOR_GOOD: &str = "315360000";

pub(super) fn tries(root: &Root) -> Result<Reading, Unread> {
    read(root, "deny", "3")
}

pub(super) fn seconds(root: &Root) -> Result<Reading, Unread> {
    let reading = read(root, "unlock_time", "600")?;
    Ok(match reading {
        Reading::Value { value, evidence } if value == "never" => {
            Reading::value(FOR_GOOD, evidence)
        }
        // Zero is "never" too, when accounts are locked at all.
        Reading::Value { value, evidence } if value == "0" && evidence == CONFIG => {
            Reading::value(FOR_GOOD, evidence)
        }
        other => other,
    })
}

fn read(root: &Root, key: &str, default: &str) -> Result<Reading, Unread> {
    let arguments = match pam::module(root, STACKS, "pam_faillock.so")? {
        Stack::Without(path) => {
            return Ok(Reading::value("0", format!("{path}: no pam_faillock")));
        }
        Stack::Absent if !root.has(CONFIG) => {
            let detail = "no PAM stack and no faillock.conf to read";
            return Ok(Reading::unknown(Why::NotSupported, detail, "/etc/pam.d"));
        }
        Stack::Absent => Vec::new(),
        Stack::With(arguments) => arguments,
    };
    let value = match pam::argument(&arguments, key) {
        Some(value) => Some(value),
        None => pam::configured(&root.texts(CONFIG, &[], "")?, key),
    };
    Ok(Reading::value(value.as_deref().unwrap_or(default), CONFIG))
}
