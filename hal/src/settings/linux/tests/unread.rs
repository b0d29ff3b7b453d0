//! What is there and not read: too much, too deep, or by no name.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;

use super::*;

const ROOT: &str = "auth.root_remote_login";
const INCLUDES: &[u8] = b"Include sshd_config.d/*.conf\nPermitRootLogin no\n";

#[test]
#[expect(clippy::disallowed_methods, reason = "a tree for a test")]
fn a_file_whose_name_is_no_text_is_not_passed_over() {
    const TLS: &[u8] = b"*.* action(type=\"omfwd\" protocol=\"tcp\" StreamDriver=\"gtls\" \
        StreamDriverMode=\"1\")\n";
    for (id, folder, says, files) in [
        (
            ROOT,
            "etc/ssh/sshd_config.d",
            "PermitRootLogin yes\n",
            &[(SSHD, INCLUDES)][..],
        ),
        (
            "log.remote_over_tls",
            "etc/rsyslog.d",
            "*.* @x\n",
            &[("/etc/rsyslog.conf", TLS), ("/run/rsyslogd.pid", b"1\n")],
        ),
        (
            "auth.lockout_tries",
            "etc/pam.d",
            "auth required pam_unix.so\n",
            &[(AUTH, pam_lockout::DEBIAN.as_bytes())],
        ),
    ] {
        let secure = read_all(files, &Told::default()).remove(id).unwrap();
        assert_eq!(secure.verdict, Verdict::Secure, "{id}");
        let all = tree(files);
        let folder = all.path().join(folder);
        fs::create_dir_all(&folder).unwrap();
        fs::write(folder.join(OsStr::from_bytes(b"\xff.conf")), says).unwrap();
        let verdict = &read_below(&all, &Told::default())[id].verdict;
        let unread = matches!(verdict, Verdict::Unknown(it) if it.why == Why::NotAnswered);
        assert!(unread, "{id}: {verdict:?}");
    }
}

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
