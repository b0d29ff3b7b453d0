//! Workflows: what each asks and how it may scan.

use std::fmt::Write as _;

use scantrip_cloud_client::wire::{Field, FieldKind, ScanRules};

use super::plain;
use crate::api::WorkflowView;

/// All workflows, each with what to type.
pub(crate) fn list(workflows: &[WorkflowView]) -> String {
    if workflows.is_empty() {
        return "no workflows yet; the administrator assigns them, then run: scantrip sync\n"
            .into();
    }
    let mut text = String::new();
    for view in workflows {
        let workflow = &view.workflow;
        let _ = writeln!(text, "{}  ({})", plain(&workflow.name), plain(&workflow.id));
        if let Some(reason) = &view.unavailable {
            let _ = writeln!(text, "  cannot be used here: {}", plain(reason));
        }
        for asked in &workflow.fields {
            let _ = writeln!(text, "  {}", field(asked));
        }
        let rules = scan_rules(&workflow.scan);
        if !rules.is_empty() {
            let _ = writeln!(text, "  scan: {rules}");
        }
    }
    text
}

fn field(field: &Field) -> String {
    let kind = match field.kind {
        FieldKind::Number => "number",
        FieldKind::Date => "date YYYY-MM-DD",
        FieldKind::Choice => "choice",
        _ => "text",
    };
    let mut text = format!(
        "--field {}=...  {}, {kind}",
        plain(&field.name),
        plain(&field.label)
    );
    if !field.choices.is_empty() {
        let _ = write!(text, " of {}", joined(&field.choices, " | "));
    }
    if let Some(pattern) = &field.pattern {
        let _ = write!(text, ", matching {}", plain(pattern));
    }
    match &field.default {
        Some(default) => {
            let _ = write!(text, ", default \"{}\"", plain(default));
        }
        None if field.required => text.push_str(", required"),
        None => {}
    }
    text
}

fn scan_rules(rules: &ScanRules) -> String {
    let mut parts = Vec::new();
    if !rules.sources.is_empty() {
        parts.push(joined(&rules.sources, " or "));
    }
    if !rules.color_modes.is_empty() {
        parts.push(joined(&rules.color_modes, " or "));
    }
    if !rules.resolutions_dpi.is_empty() {
        let dpi: Vec<String> = rules.resolutions_dpi.iter().map(u16::to_string).collect();
        parts.push(format!("{} dpi", dpi.join(" or ")));
    }
    match rules.duplex {
        Some(true) => parts.push("both sides".to_owned()),
        Some(false) => parts.push("one side".to_owned()),
        None => {}
    }
    if rules.must && !parts.is_empty() {
        parts.push("nothing else".to_owned());
    }
    parts.join(", ")
}

fn joined(values: &[String], with: &str) -> String {
    let values: Vec<String> = values.iter().map(|value| plain(value)).collect();
    values.join(with)
}

#[cfg(test)]
mod tests {
    use scantrip_cloud_client::wire::Workflow;

    use super::*;

    #[test]
    fn workflow_tells_what_to_type() {
        let asked = |name: &str, kind, required| Field {
            name: name.to_owned(),
            label: format!("The {name}"),
            kind,
            default: None,
            required,
            pattern: None,
            choices: Vec::new(),
        };
        let mut choice = asked("kind", FieldKind::Choice, false);
        choice.choices = vec!["in".to_owned(), "out".to_owned()];
        choice.default = Some("in".to_owned());
        let view = WorkflowView {
            workflow: Workflow {
                id: "w1".to_owned(),
                version: 1,
                name: "Invoices".to_owned(),
                fields: vec![asked("customer", FieldKind::Text, true), choice],
                scan: ScanRules {
                    sources: vec!["adf".to_owned()],
                    color_modes: Vec::new(),
                    resolutions_dpi: vec![300, 600],
                    duplex: Some(true),
                    must: true,
                },
                must_understand: Vec::new(),
                requires: Vec::new(),
            },
            unavailable: Some("it needs a newer agent".to_owned()),
        };
        assert_eq!(
            list(&[view]).lines().collect::<Vec<_>>(),
            [
                "Invoices  (w1)",
                "  cannot be used here: it needs a newer agent",
                "  --field customer=...  The customer, text, required",
                "  --field kind=...  The kind, choice of in | out, default \"in\"",
                "  scan: adf, 300 or 600 dpi, both sides, nothing else",
            ]
        );
        assert!(list(&[]).contains("scantrip sync"));
    }
}
