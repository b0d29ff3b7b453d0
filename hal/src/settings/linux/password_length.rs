//! `auth.password_min_length`: what PAM asks of a new password.

use super::pam::{self, Module, Reach, Stack, Step};
use super::{Reading, Root, Unread, Why};

const STACKS: &[&str] = &["common-password", "system-auth", "base-password", "passwd"];
const QUALITY: &str = "/etc/security/pwquality.conf";
/// The least that pam_pwquality takes for `minlen`, and its default.
const LEAST: i64 = 6;
const DEFAULT: i64 = 8;
/// Kinds of symbols for which a password may be shorter.
const CREDITS: &[&str] = &["dcredit", "lcredit", "ocredit", "ucredit"];

pub(super) fn read(root: &Root) -> Result<Reading, Unread> {
    let stacks = (STACKS, "password");
    pam::of_stacks(root, "auth.password_min_length", stacks, &|stack| {
        of_stack(root, stack)
    })
}

fn of_stack(root: &Root, stack: &Stack) -> Result<Reading, Unread> {
    let is_quality = |it: &Module| it.name == "pam_pwquality";
    let Some(quality) = stack.modules.iter().find(|it| is_quality(it)) else {
        return Ok(unix(stack));
    };
    // Folders come before the file: pwquality.conf(5).
    let mut texts = root.texts(QUALITY, &["/etc/security/pwquality.conf.d"], ".conf")?;
    if texts.first().is_some_and(|(path, _)| path == QUALITY) {
        texts.rotate_left(1);
    }
    let text = |key: &str| {
        quality
            .argument(key)
            .or_else(|| pam::configured(&texts, key))
    };
    let number = |key: &str, default| text(key).map_or(Some(default), |it| it.parse::<i64>().ok());
    if number("enforcing", 1) == Some(0) {
        return Ok(unix(stack));
    }
    let credits = CREDITS.iter().map(|key| number(key, 0).map(|it| it.max(0)));
    let credits = credits.sum::<Option<i64>>();
    let (Some(length), Some(credits), Some(_)) =
        (number("minlen", DEFAULT), credits, number("enforcing", 1))
    else {
        let detail = "pam_pwquality is told something that is not a number";
        return Ok(Reading::unknown(Why::NotAnswered, detail, QUALITY));
    };
    // Who goes on after a refusal asks for the password again, unless told not to.
    let unix_obeys = || {
        let mut unix = stack.modules.iter().filter(|it| it.name == "pam_unix");
        unix.all(|it| it.is_told("use_authtok"))
    };
    let refuses = quality.refuses_by(&[Step::Die])
        || quality.refuses_by(&[Step::Bad, Step::Die]) && unix_obeys();
    let reach = stack.reach(&is_quality, &|it, agrees| {
        agrees || !it.refuses_by(&[Step::Die])
    });
    if !refuses || reach != Reach::Always {
        let detail = "pam_pwquality is there, but what it refuses may be taken";
        return Ok(Reading::unknown(Why::NotSupported, detail, &stack.path));
    }
    let evidence = match quality.argument("minlen") {
        Some(_) => &stack.path,
        None => QUALITY,
    };
    let length = length.max(LEAST).saturating_sub(credits).max(0);
    Ok(Reading::value(length.to_string(), evidence))
}

/// Without pam_pwquality: pam_unix itself asks for six.
fn unix(stack: &Stack) -> Reading {
    let unix = stack.modules.iter().find(|it| it.name == "pam_unix");
    let length = match unix {
        Some(unix) => unix.argument("minlen").unwrap_or_else(|| "6".to_owned()),
        None => "0".to_owned(),
    };
    Reading::value(length, &stack.path)
}
