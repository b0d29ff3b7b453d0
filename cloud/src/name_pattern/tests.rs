//! Names from hostile input.

use proptest::prelude::*;

use super::*;

fn name(pattern: &str, customer: &str) -> String {
    let fields = BTreeMap::from([("customer".to_owned(), customer.to_owned())]);
    let facts = NameFacts {
        scanned_ms: 1_795_373_229_000,
        counter: 7,
        workflow: "Invoices",
        device: "dev-1",
        job: "0f8e",
        fields: &fields,
        extension: "pdf",
    };
    NamePattern::parse(pattern, ["customer"])
        .unwrap()
        .render(&facts)
}

fn refused(pattern: &str) -> String {
    NamePattern::parse(pattern, ["customer"])
        .unwrap_err()
        .to_string()
}

#[test]
fn every_name_is_filled_in() {
    let pattern = "{date}-{time}-{workflow}-{device}-{job}-{customer}-{counter:04}-{counter}.pdf";
    let expected = "2026-11-22-184709-Invoices-dev-1-0f8e-Miller-0007-7.pdf";
    assert_eq!(name(pattern, "Miller"), expected);
}

#[test]
fn hostile_values_cannot_leave_the_folder_or_hide() {
    for (value, expected) in [
        ("../../etc/passwd", "_._.._etc_passwd.pdf"),
        ("a\nb\tc\0d", "a_b_c_d.pdf"),
        ("C:\\temp\\x", "C__temp_x.pdf"),
        (".hidden", "_hidden.pdf"),
        ("-rf", "_rf.pdf"),
        ("nul", "_nul.pdf"),
        ("COM1.txt", "_COM1.txt.pdf"),
        ("LPT¹", "_LPT¹.pdf"),
        ("  spaced  ", "spaced.pdf"),
        ("dots...", "dots.pdf"),
        ("fdp\u{202E}exe", "fdp_exe.pdf"),
        ("", "document.pdf"),
        ("...", "_.pdf"),
        ("Müller & Söhne 株式会社", "Müller & Söhne 株式会社.pdf"),
    ] {
        assert_eq!(name("{customer}.pdf", value), expected, "of {value:?}");
    }
}

#[test]
fn long_names_are_cut_before_the_extension_and_between_characters() {
    let long = name("{customer}-{counter}.pdf", &"ü".repeat(200));
    assert!(
        long.len() <= NAME_BYTES_MAX && long.ends_with("ü.pdf"),
        "{long}"
    );
}

#[test]
fn extension_is_added_unless_it_is_there() {
    assert_eq!(name("{date}", ""), "2026-11-22.pdf");
    assert_eq!(name("{date}.PDF", ""), "2026-11-22.PDF");
    assert_eq!(name("{date}.tif", ""), "2026-11-22.tif.pdf");
}

#[test]
fn a_taken_name_gets_a_number() {
    assert_eq!(numbered("scan.pdf", 2), "scan (2).pdf");
    assert_eq!(numbered("scan", 3), "scan (3)");
    let long = format!("{}.pdf", "a".repeat(116));
    assert_eq!(numbered(&long, 12).len(), NAME_BYTES_MAX);
}

#[test]
fn faults_in_a_pattern_say_what_to_write() {
    let known = "known here are `counter`, `date`, `device`, `job`, `time`, `workflow`, `customer`";
    assert_eq!(
        refused("{client}.pdf"),
        format!("`{{client}}` is unknown; {known}")
    );
    assert!(refused("{counter:4}").contains("write for example `{counter:04}`"));
    assert!(refused("{counter:013}").contains("write for example"));
    assert!(refused("{date:04}").contains("only `counter` does"));
    assert!(refused("{date").contains("no partner"));
    assert!(refused("date}").contains("no partner"));
    assert!(refused("{{date}}").contains("no partner"));
    assert!(refused("in/{date}").contains("put folders into `folder`"));
    assert!(refused(" ").contains("the name is empty"));
}

proptest! {
    #[test]
    fn every_value_gives_one_safe_component(
        value in any::<String>(),
        number in 2_u32..10_000,
        shape in 0_usize..3,
    ) {
        let pattern = ["{customer}.pdf", "{customer}", "x{customer}{customer}.pdf"][shape];
        let plain = name(pattern, &value);
        for name in [numbered(&plain, number), plain] {
            prop_assert!(!name.is_empty() && name.len() <= NAME_BYTES_MAX);
            prop_assert!(name.ends_with(".pdf") && name.len() > 4);
            prop_assert!(!name.starts_with(['.', '-', ' ']));
            let forbidden = ['/', '\\', '\0', '\n', ':', '\u{202E}'];
            prop_assert!(!name.contains(forbidden));
            prop_assert!(!name.chars().any(char::is_control));
            let path = std::path::Path::new("/out").join(&name);
            prop_assert_eq!(path.parent(), Some(std::path::Path::new("/out")));
        }
    }
}
