//! `auth.password_min_length`: what PAM asks of a new password.

use super::pam::{self, Stack};
use super::{Reading, Root, Unread};

const STACKS: &[&str] = &["common-password", "system-auth", "base-password", "passwd"];
const QUALITY: &str = "/etc/security/pwquality.conf";
const LOGIN: &str = "/etc/login.defs";

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let quality = || root.texts(QUALITY, &["/etc/security/pwquality.conf.d"], ".conf");
    let arguments = match pam::module(root, STACKS, "pam_pwquality.so")? {
        Stack::With(arguments) => arguments,
        Stack::Without(path) => return unix(root, path),
        Stack::Absent => {
            if let Some(value) = pam::configured(&quality()?, "minlen") {
                return Ok(Reading::value(value, QUALITY));
            }
            let text = root.text(LOGIN)?;
            let texts = [(LOGIN.to_owned(), text)];
            let value = pam::configured(&texts, "PASS_MIN_LEN");
            return Ok(Reading::value(value.as_deref().unwrap_or("0"), LOGIN));
        }
    };
    let value = match pam::argument(&arguments, "minlen") {
        Some(value) => Some(value),
        None => pam::configured(&quality()?, "minlen"),
    };
    // The default of pam_pwquality, and the least it accepts.
    let value = value.and_then(|value| value.parse::<u32>().ok());
    Ok(Reading::value(
        value.unwrap_or(8).max(6).to_string(),
        QUALITY,
    ))
}

/// Without pam_pwquality: pam_unix itself asks for six.
fn unix(root: &Root, path: String) -> Result<Reading, Unread> {
    let value = match pam::module(root, STACKS, "pam_unix.so")? {
        Stack::With(arguments) => pam::argument(&arguments, "minlen"),
        Stack::Without(_) | Stack::Absent => Some("0".to_owned()),
    };
    Ok(Reading::value(value.as_deref().unwrap_or("6"), path))
}
