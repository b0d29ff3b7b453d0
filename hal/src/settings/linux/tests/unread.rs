//! What is there and not read: too much, or too deep.

use super::*;

const ROOT: &str = "auth.root_remote_login";
const INCLUDES: &[u8] = b"Include sshd_config.d/*.conf\nPermitRootLogin no\n";

#[test]
fn files_of_sshd_that_include_one_another_are_not_followed_for_ever() {
    let names = ["a", "b", "c", "d"].map(|name| format!("/etc/ssh/sshd_config.d/{name}.conf"));
    let mut files: Vec<(&str, &[u8])> = vec![(SSHD, INCLUDES)];
    files.extend(names.iter().map(|name| (name.as_str(), INCLUDES)));
    let verdict = &read_all(&files, &Told::default())[ROOT].verdict;
    assert!(matches!(verdict, Verdict::Unknown(_)), "{verdict:?}");
}

#[test]
fn more_files_of_sshd_than_are_looked_at_are_unknown_and_as_many_are_not() {
    // The pattern itself counts as one.
    for (count, is_secure) in [(63, true), (64, false)] {
        let names =
            Vec::from_iter((0..count).map(|it| format!("/etc/ssh/sshd_config.d/{it:02}.conf")));
        let mut files: Vec<(&str, &[u8])> = vec![(SSHD, INCLUDES)];
        files.extend(names.iter().map(|name| (name.as_str(), &b"Port 22\n"[..])));
        let verdict = &read_all(&files, &Told::default())[ROOT].verdict;
        assert_eq!(*verdict == Verdict::Secure, is_secure, "{verdict:?}");
        assert!(
            is_secure || matches!(verdict, Verdict::Unknown(_)),
            "{verdict:?}"
        );
    }
}
