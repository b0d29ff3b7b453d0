//! Tests of mappings and exports.

use super::*;
use crate::settings::Verdict;

fn read(export: &str) -> BTreeMap<&'static str, Setting> {
    let file = tempfile::NamedTempFile::new().unwrap();
    io::Write::write_all(&mut file.as_file(), export.as_bytes()).unwrap();
    read_file(file.path())
}

fn read_file(path: &Path) -> BTreeMap<&'static str, Setting> {
    let mapping = Mapping::konica_minolta().unwrap();
    let mut settings = BTreeMap::new();
    VendorSource::new(path.to_owned(), mapping).read(&mut |it| {
        assert!(settings.insert(it.id, it).is_none());
    });
    settings
}

fn detail(setting: &Setting) -> &str {
    match &setting.verdict {
        Verdict::Unknown(unknown) => &unknown.detail,
        known => panic!("{known:?}"),
    }
}

const HARDENED: &str = include_str!("../../../../tests/fixtures/settings/bizhub-hardened.txt");
const DELIVERED: &str = include_str!("../../../../tests/fixtures/settings/bizhub-delivered.txt");

#[test]
fn a_hardened_device_is_secure_in_every_mapped_setting() {
    for (id, setting) in read(HARDENED) {
        assert_eq!(setting.verdict, Verdict::Secure, "{id}: {setting:?}");
        assert!(setting.evidence.starts_with("vendor export: "));
    }
}

#[test]
fn a_device_as_delivered_is_secure_in_none() {
    for (id, setting) in read(DELIVERED) {
        assert_eq!(setting.verdict, Verdict::NotSecure, "{id}: {setting:?}");
    }
}

#[test]
fn each_setting_of_the_mapping_is_told_when_the_export_is_not_an_export() {
    let all = Mapping::konica_minolta().unwrap().lines.len();
    for (export, problem) in [
        ("", "it has no names and values"),
        (
            "FTP Server = ON\nwhat is this\n",
            "line 2 has no name and value",
        ),
        (
            "FTP Server = ON\nFTP Server = OFF\n",
            "line 2 contradicts a line before",
        ),
    ] {
        let settings = read(export);
        assert!(settings.len() <= all && settings.len() > 20);
        for setting in settings.values() {
            assert_eq!(detail(setting), format!("the vendor's export: {problem}"));
        }
    }
    let missing = read_file(Path::new("/nowhere/export"));
    let ftp = &missing["net.ftp"];
    assert_eq!(detail(ftp), "the vendor's export: there is no such file");
    assert_eq!(ftp.evidence, "settings.vendor_export: /nowhere/export");
}

#[test]
fn an_export_that_is_not_text_or_too_large_is_told() {
    let file = tempfile::NamedTempFile::new().unwrap();
    io::Write::write_all(&mut file.as_file(), &[0xff, 0xfe, 0]).unwrap();
    assert!(detail(&read_file(file.path())["net.ftp"]).contains("not text"));
    let large = "a=1\n".repeat(300_000);
    assert!(detail(&read(&large)["net.ftp"]).contains("too large"));
}

#[test]
fn forms_of_lines_mean_the_same() {
    for export in [
        "FTP Server = OFF",
        "ftp server: off",
        "\"FTP Server\",\"OFF\"",
        "FTP Server\tOFF",
        "\u{feff}# x\n[Network]\n\nFTP Server=\"Off\"\r\n",
    ] {
        assert_eq!(read(export)["net.ftp"].value, "false", "{export:?}");
    }
}

#[test]
fn values_that_are_not_known_are_never_repeated() {
    let export = "FTP Server = canary-password\nPassword Minimum Length = canary-key\n\
                  Administrator Password = canary-admin\nUser Authentication = canary-user\n";
    for (id, setting) in read(export) {
        assert!(
            !format!("{setting:?}").contains("canary"),
            "{id}: {setting:?}"
        );
        assert!(matches!(setting.verdict, Verdict::Unknown(_)));
    }
}

#[test]
fn of_the_tries_that_a_mode_allows_the_most_counts() {
    for (theirs, ours) in [("Mode 1", "0"), ("mode 2", "3"), ("2", "2")] {
        let export = format!("Prohibited Functions When Authentication Error = {theirs}");
        assert_eq!(read(&export)["auth.lockout_tries"].value, ours, "{theirs}");
    }
}

#[test]
fn a_wrong_mapping_is_refused_with_its_entry() {
    let entry = |text: &str| {
        Mapping::parse(&format!("[[setting]]\n{text}"))
            .unwrap_err()
            .to_string()
    };
    for (text, problem) in [
        ("id = \"net.ftp\"", "number 1: expected key"),
        ("id = \"net.fpt\"\nkey = \"x\"", "no setting \"net.fpt\""),
        ("id = \"fw.tpm\"\nkey = \"x\"", "not read from a vendor"),
        (
            "id = \"net.ftp\"\nkey = \"x\"\nvalues = { a = \"b\" }",
            "not a value of net.ftp",
        ),
        ("id = \"net.ftp\"\nkey = \"x\"\ntimes = 60", "times"),
        ("id = \"net.firewall\"\nkey = \"x\"", "needs values"),
        (
            "id = \"net.ftp\"\nkey = \"x\"\nvalue = 1",
            "unknown key \"value\"",
        ),
    ] {
        let found = entry(text);
        assert!(found.contains(problem), "{found}");
    }
    assert!(matches!(Mapping::parse("="), Err(MappingError::Toml(_))));
}
