//! Workflow files, good and bad.

use proptest::prelude::*;
use scantrip_cloud_client::wire::FieldKind;

use super::*;

const SAMPLE: &str = include_str!("../../testdata/invoices.toml");

fn fault(text: &str) -> String {
    Workflow::parse(text, "w.toml")
        .map(|_| ())
        .unwrap_err()
        .to_string()
}

/// The sample with one piece replaced, and what is said of it.
fn changed(from: &str, to: &str) -> String {
    assert!(SAMPLE.contains(from), "{from}");
    fault(&SAMPLE.replace(from, to))
}

#[test]
fn the_sample_is_a_workflow() {
    let workflow = Workflow::parse(SAMPLE, "invoices.toml").unwrap();
    assert_eq!(
        (workflow.id.as_str(), workflow.retention_days),
        ("invoices", 30)
    );
    let steps: Vec<&str> = workflow.steps.iter().map(|step| step.name).collect();
    assert_eq!(steps, ["assemble_pdf", "deliver_folder"]);
    let wire = workflow.to_wire(7);
    assert_eq!((wire.version, wire.name.as_str()), (7, "Invoices"));
    let kinds: Vec<FieldKind> = wire.fields.iter().map(|field| field.kind).collect();
    assert_eq!(kinds, [FieldKind::Text, FieldKind::Date, FieldKind::Choice]);
    assert_eq!(wire.scan.resolutions_dpi, [300, 200]);
}

#[test]
fn the_id_is_made_of_the_name_or_given() {
    let of = |name: &str| {
        let text = SAMPLE.replace("name = \"Invoices\"", &format!("name = \"{name}\""));
        Workflow::parse(&text, "w").unwrap().id
    };
    assert_eq!(of("Bills & Receipts (2)"), "bills-receipts-2");
    assert!(changed("name = \"Invoices\"", "name = \"請求書\"").contains("write for example id"));
    let given = SAMPLE.replace("name = \"Invoices\"", "name = \"請求書\"\nid = \"seikyu\"");
    assert_eq!(Workflow::parse(&given, "w").unwrap().id, "seikyu");
}

#[test]
fn faults_name_file_line_and_column() {
    let line = SAMPLE
        .lines()
        .position(|line| line.starts_with("label = \"Due"))
        .unwrap()
        + 1;
    let said = changed("label = \"Due on\"", "lable = \"Due on\"");
    assert!(
        said.starts_with(&format!("w.toml:{line}:1: unknown field `lable`, expected")),
        "{said}"
    );
    let said = changed("type = \"date\"", "type = \"day\"");
    assert!(
        said.starts_with(&format!("w.toml:{}:8: unknown variant `day`", line + 1)),
        "{said}"
    );
    assert!(changed("duplex = true", "duplex = 1").contains("expected a boolean"));
    assert!(changed("duplex = true", "duplex = ").starts_with("w.toml:"));
}

#[test]
fn steps_that_would_lose_the_document_are_refused() {
    let (before, _) = SAMPLE.split_once("[[steps]]\nuse = \"deliver").unwrap();
    let said = fault(before);
    assert!(
        said.contains("no step delivers the document, so that it would be lost"),
        "{said}"
    );
    let (before, _) = SAMPLE.split_once("[[steps]]").unwrap();
    assert!(fault(before).contains("there are no steps"));
    let early = SAMPLE.replace("[[steps]]\nuse = \"assemble_pdf\"\n", "");
    let said = fault(&early);
    let expected = "needs one document, but so far there are single pages: put `assemble_pdf` \
                    before it";
    assert!(said.contains(expected), "{said}");
    let twice = SAMPLE.replace(
        "use = \"assemble_pdf\"\n",
        "use = \"assemble_pdf\"\n[[steps]]\nuse = \"assemble_pdf\"\n",
    );
    assert!(
        fault(&twice).contains("needs single pages, but so far there is one document: remove it")
    );
}

#[test]
fn unknown_steps_options_and_names_are_refused() {
    let said = changed("use = \"assemble_pdf\"", "use = \"assemble_tiff\"");
    assert!(
        said.contains("unknown step `assemble_tiff`, expected one of `assemble_pdf`"),
        "{said}"
    );
    assert!(changed("use = \"assemble_pdf\"", "").contains("missing key `use`"));
    assert!(changed("folder = \"invoices\"", "").contains("missing field `folder`"));
    assert!(changed("folder = \"invoices\"", "folder = \"../x\"").contains("cannot hold `..`"));
    let line = SAMPLE.lines().count();
    let said = changed("{customer}", "{client}");
    assert!(
        said.starts_with(&format!("w.toml:{line}:8: `{{client}}` is unknown; known")),
        "{said}"
    );
    assert!(changed("use = \"assemble_pdf\"", "use = \"assemble_pdf\"\ndpi = 3").contains("`dpi`"));
}

#[test]
fn fields_are_checked() {
    let name = |to: &str| changed("name = \"due\"", &format!("name = \"{to}\""));
    assert!(name("Due").contains("lower-case letters"));
    assert!(name("date").contains("call the field for example `document_date`"));
    assert!(name("customer").contains("is there twice"));
    assert!(changed("choices = [\"normal\", \"urgent\"]", "").contains("a choice needs choices"));
    assert!(changed("default = \"normal\"", "default = \"low\"").contains("one of the choices"));
    assert!(changed("type = \"date\"", "choices = [\"a\"]").contains("belong to type"));
    assert!(changed("pattern = \"[^/]{1,60}\"", "pattern = \"(\"").contains("cannot be used"));
    let huge = "pattern = \"(a{1000}){1000}\"";
    assert!(changed("pattern = \"[^/]{1,60}\"", huge).contains("cannot be used"));
    let default = "pattern = \"[0-9]+\"\ndefault = \"12a\"";
    assert!(changed("pattern = \"[^/]{1,60}\"", default).contains("does not match"));
    assert!(
        changed(
            "type = \"date\"",
            "type = \"date\"\ndefault = \"2026-02-30\""
        )
        .contains("a day")
    );
    assert!(changed("type = \"date\"", "type = \"number\"\ndefault = \"x\"").contains("a number"));
}

#[test]
fn scan_rules_and_limits_are_checked() {
    assert!(changed("\"platen\"", "\"tray\"").contains("expected one of `adf`, `platen`"));
    assert!(changed("[300, 200]", "[30]").contains("50 to 2400 dpi"));
    assert!(changed("retention_days = 30", "retention_days = -1").contains("0 to 3650 days"));
    assert!(fault(&format!("{SAMPLE}\n# {}", "x".repeat(64 * 1024))).contains("65536 at most"));
}

proptest! {
    #[test]
    fn hostile_files_never_panic(at in 0_usize..2000, junk in any::<String>(), len in 0_usize..40) {
        let mut text = SAMPLE.to_owned();
        let at = (0..=at.min(text.len())).rev().find(|&at| text.is_char_boundary(at)).unwrap();
        let end = (at + len).min(text.len());
        if text.is_char_boundary(end) {
            text.replace_range(at..end, &junk);
        }
        if let Err(error) = Workflow::parse(&text, "w.toml") {
            prop_assert!(error.line <= text.lines().count() + 1);
        }
    }
}

fn requiring(requirement: &str) -> String {
    let line = format!("name = \"Invoices\"\nrequires = [\"{requirement}\"]");
    SAMPLE.replace("name = \"Invoices\"", &line)
}

#[test]
fn what_a_workflow_requires_goes_to_devices_that_can_check_it() {
    for (given, sent) in [
        ("storage.encryption = all", "storage.encryption=all"),
        (
            "storage.encryption=all|partial",
            "storage.encryption=all|partial",
        ),
        ("net.tls_min_version>=1.2", "net.tls_min_version>=1.2"),
        ("auth.password_min_length>=8", "auth.password_min_length>=8"),
        ("net.telnet", "net.telnet"),
    ] {
        let wire = Workflow::parse(&requiring(given), "w").unwrap().to_wire(1);
        assert_eq!(wire.requires, [sent]);
        assert_eq!(wire.must_understand, ["posture-requires"]);
    }
    let free = Workflow::parse(SAMPLE, "w").unwrap().to_wire(1);
    assert!(free.requires.is_empty() && free.must_understand.is_empty());
}

#[test]
fn a_slip_in_a_requirement_is_found_when_the_workflow_is_added() {
    for (given, said) in [
        (
            "storage.encription=all",
            "did you mean `storage.encryption`?",
        ),
        (
            "net.min_tls_version>=1.2",
            "there is no setting `net.min_tls_version`",
        ),
        ("storage.encryption=full", "is one of none, partial, all"),
        ("net.telnet=off", "is true or false"),
        ("net.telnet>=1", "is true or false"),
        (
            "net.tls_min_version>=1.4",
            "is one of ssl3, 1.0, 1.1, 1.2, 1.3",
        ),
        ("encrypted", "write for example"),
    ] {
        let said_here = fault(&requiring(given));
        assert!(said_here.contains(said), "{said_here}");
        assert!(said_here.starts_with("w.toml:5:13: "), "{said_here}");
    }
}
