//! What holds for every entry of the registry.

use super::STEPS;

#[test]
fn names_are_unique_and_sorted() {
    assert!(STEPS.is_sorted_by(|one, next| one.name < next.name));
}

#[test]
fn every_step_is_documented() {
    for step in STEPS {
        assert!(
            step.summary.ends_with('.') && step.summary.len() > 20,
            "{}",
            step.name
        );
    }
}

#[test]
fn every_step_is_met_by_a_sample_workflow() {
    let sample = include_str!("../../testdata/invoices.toml");
    for step in STEPS {
        assert!(
            sample.contains(&format!("use = \"{}\"", step.name)),
            "{}",
            step.name
        );
    }
}
