//! The instruction-count gate: how many instructions one operation of a hot path takes.
//!
//! Valgrind runs this very program on a path twice, with few and with many operations; the
//! difference is free of start-up. Valgrind's processor is always the same one (AES-NI but no
//! SHA extensions), so that the count does not depend on the machine and hardly on the day. The
//! budgets lie in `tests/budgets.toml`. A count outside of its budget by more than
//! [`TOLERANCE`] is red, in both directions: who made a path faster lowers its budget.

use std::collections::BTreeMap;

use anyhow::{Context, bail, ensure};
use serde_json::{Value, json};

use super::paths::PATHS;
use crate::program;

/// A share of the budget; counts repeat to within one per cent.
const TOLERANCE: f64 = 0.05;
const BUDGETS: &str = include_str!("../../budgets.toml");

/// Runs every path; fails when one is outside of its budget.
///
/// # Errors
/// When a path cannot be run, has no budget or does not keep it.
pub(super) fn gate() -> anyhow::Result<Value> {
    let budgets = budgets()?;
    let (mut told, mut outside) = (serde_json::Map::new(), Vec::new());
    for path in PATHS {
        let budget = budgets.get(path.name);
        let count = count(path.name, path.operations)?;
        told.insert(
            format!("instructions_{}", path.name.replace('-', "_")),
            json!(count),
        );
        let kept = budget.is_some_and(|budget| (count / budget - 1.0).abs() <= TOLERANCE);
        if !kept {
            outside.push(format!(
                "{}: {count} instructions, budget {budget:?}",
                path.name
            ));
        }
    }
    super::tell(&Value::Object(told.clone()));
    ensure!(
        outside.is_empty(),
        "outside of tests/budgets.toml by more than {} %: {}",
        TOLERANCE * 100.0,
        outside.join("; ")
    );
    Ok(Value::Object(told))
}

fn budgets() -> anyhow::Result<BTreeMap<String, f64>> {
    let file: BTreeMap<String, BTreeMap<String, f64>> = toml::from_str(BUDGETS)?;
    file.get("instructions").cloned().context("no budgets")
}

/// Instructions per operation.
fn count(name: &str, operations: u32) -> anyhow::Result<f64> {
    let few = instructions(name, operations)?;
    let many = instructions(name, operations * 3)?;
    Ok(((many - few) / f64::from(operations * 2)).round())
}

/// Instructions of a whole run.
fn instructions(name: &str, operations: u32) -> anyhow::Result<f64> {
    let mut valgrind = program::command("valgrind");
    valgrind
        .args(["--tool=cachegrind", "--cache-sim=no"])
        .arg("--cachegrind-out-file=/dev/null")
        .arg(std::env::current_exe()?)
        .args(["path", name, &operations.to_string()]);
    let output = program::output_with_input(&mut valgrind, b"")
        .context("valgrind is not installed; run `make setup`")?;
    let text = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() {
        bail!("{name} under valgrind: {text}");
    }
    // `==42== I   refs:      1,234,567`
    let line = text.lines().find(|line| line.contains("refs:"));
    let digits: String = line
        .and_then(|line| line.rsplit("refs:").next())
        .context("valgrind counted nothing")?
        .chars()
        .filter(char::is_ascii_digit)
        .collect();
    Ok(digits.parse()?)
}

/// Runs one path: what valgrind is put around.
pub(super) fn run(name: &str, operations: u32) -> anyhow::Result<()> {
    let path = PATHS.iter().find(|path| path.name == name);
    (path.with_context(|| format!("no path {name}"))?.run)(operations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_path_has_a_budget_and_every_budget_a_path() {
        let budgeted: Vec<String> = budgets().unwrap().into_keys().collect();
        let mut paths: Vec<&str> = PATHS.iter().map(|path| path.name).collect();
        paths.sort_unstable();
        assert_eq!(budgeted, paths);
    }

    #[test]
    fn every_path_runs() {
        for path in PATHS {
            (path.run)(2).unwrap_or_else(|error| panic!("{}: {error:#}", path.name));
        }
    }
}
