//! Rules of the repository that a program can check.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use scantrip_tests::program;
use serde_json::Value;

/// The arrows of the blueprint; development dependencies count as well.
const ARROWS: &[(&str, &[&str])] = &[
    ("scantrip-aead", &[]),
    ("scantrip-config", &[]),
    ("scantrip-hal", &["scantrip-aead"]),
    ("scantrip-cloud-client", &["scantrip-aead"]),
    // Of the HAL, the catalogue of settings alone: plain tables, no backend.
    ("scantrip-cloud", &["scantrip-cloud-client", "scantrip-hal"]),
    (
        "scantrip",
        &["scantrip-config", "scantrip-hal", "scantrip-cloud-client"],
    ),
    (
        "scantrip-tests",
        &[
            "scantrip",
            "scantrip-cloud",
            "scantrip-config",
            "scantrip-hal",
            "scantrip-cloud-client",
        ],
    ),
];

/// The packages the customer named.
const GIVEN: &[&str] = &[
    "embedded-svc",
    "rustls",
    "ureq",
    "serde",
    "serde_json",
    "heapless",
    "sha2",
    "aes-gcm",
    "log",
    "toml",
];

/// Build scripts that compile C and may be part of the agent.
const AGENT_C: &[&str] = &["ring"];

#[test]
fn only_the_arrows_of_the_blueprint_exist() {
    let metadata = metadata(&["--no-deps"]);
    let packages = array(&metadata, "packages");
    assert_eq!(
        packages.len(),
        ARROWS.len(),
        "a crate has no line in ARROWS"
    );
    for package in packages {
        let name = text(package, "name");
        let (_, allowed) = ARROWS
            .iter()
            .find(|(from, _)| *from == name)
            .expect("a known crate");
        for dependency in array(package, "dependencies") {
            let to = text(dependency, "name");
            if to.starts_with("scantrip") {
                assert!(allowed.contains(&to), "{name} must not depend on {to}");
            }
        }
    }
}

#[test]
fn every_given_package_is_used_by_product_code() {
    let sources: Vec<String> = ["aead", "agent", "hal", "cloud-client", "config", "cloud"]
        .iter()
        .flat_map(|folder| rust_files(&root().join(folder).join("src")))
        .map(|path| fs::read_to_string(path).expect("a readable source file"))
        .collect();
    for package in GIVEN {
        let path = format!("{}::", package.replace('-', "_"));
        assert!(
            sources.iter().any(|source| source.contains(&path)),
            "{package} is not used by any product crate"
        );
    }
}

#[test]
fn the_agent_links_no_c_but_rings() {
    let tree = cargo(&[
        "tree",
        "-p",
        "scantrip",
        "-e",
        "normal,build",
        "--prefix",
        "none",
    ]);
    let crates: BTreeSet<&str> = tree.lines().filter_map(|l| l.split(' ').next()).collect();
    let compilers = ["cc", "cmake", "bindgen", "pkg-config"];
    let metadata = metadata(&[]);
    for package in array(&metadata, "packages") {
        let name = text(package, "name");
        let builds_c = array(package, "dependencies").iter().any(|dependency| {
            dependency.get("kind").and_then(Value::as_str) == Some("build")
                && compilers.contains(&text(dependency, "name"))
                && dependency.get("optional") == Some(&Value::Bool(false))
        });
        assert!(
            !builds_c || !crates.contains(name) || AGENT_C.contains(&name),
            "{name} compiles C and is part of the agent"
        );
    }
    assert!(crates.contains("ring"), "the tree was not read");
}

#[test]
fn every_dependency_has_a_known_licence_and_source() {
    let deny = fs::read_to_string(root().join("deny.toml")).expect("deny.toml");
    let deny: toml::Table = deny.parse().expect("deny.toml is TOML");
    let allowed: BTreeSet<&str> = deny["licenses"]["allow"]
        .as_array()
        .expect("a list of licences")
        .iter()
        .filter_map(toml::Value::as_str)
        .collect();
    let metadata = metadata(&[]);
    for package in array(&metadata, "packages") {
        let name = text(package, "name");
        let licence = package
            .get("license")
            .and_then(Value::as_str)
            .unwrap_or_default();
        assert!(
            is_allowed(licence, &allowed),
            "{name}: licence {licence:?} is not in deny.toml"
        );
        let source = package.get("source").and_then(Value::as_str);
        let from_registry = source.is_some_and(|s| s.starts_with("registry+"));
        assert!(
            source.is_none() || from_registry,
            "{name} comes from {source:?}"
        );
    }
}

/// Reads the SPDX expressions that crates use: `A OR B`, `A/B`, `(A OR B) AND C`.
fn is_allowed(licence: &str, allowed: &BTreeSet<&str>) -> bool {
    let spaced = licence.replace('/', " OR ");
    !spaced.is_empty()
        && spaced.split(" AND ").all(|part| {
            part.trim_matches(['(', ')', ' '])
                .split(" OR ")
                .any(|one| allowed.contains(one.trim_matches(['(', ')', ' '])))
        })
}

#[test]
fn no_file_is_called_mod_rs_and_none_names_this_machine() {
    let here = root();
    let home = here.parent().expect("a folder above").display().to_string();
    for path in tracked_files() {
        assert_ne!(
            path.file_name().and_then(|n| n.to_str()),
            Some("mod.rs"),
            "{path:?}"
        );
        let Ok(text) = fs::read_to_string(here.join(&path)) else {
            continue;
        };
        if home.len() > 1 {
            assert!(
                !text.contains(&format!("{home}/")),
                "{path:?} names a path of this machine"
            );
        }
    }
}

#[test]
fn every_decision_is_numbered_once_and_fits_a_page() {
    let mut numbers = BTreeSet::new();
    for entry in fs::read_dir(root().join("docs/decisions")).expect("docs/decisions") {
        let path = entry.expect("a readable folder").path();
        let name = path
            .file_name()
            .and_then(|n| n.to_str())
            .expect("a UTF-8 name")
            .to_owned();
        let number: u32 = name
            .split('-')
            .next()
            .unwrap_or_default()
            .parse()
            .expect("NNNN-title");
        assert!(numbers.insert(number), "decision {number} exists twice");
        let lines = fs::read_to_string(&path)
            .expect("a readable file")
            .lines()
            .count();
        assert!(
            lines <= 60,
            "{name} has {lines} lines; a decision is one page"
        );
    }
}

#[test]
fn every_path_named_in_the_readme_exists() {
    let readme = fs::read_to_string(root().join("README.md")).expect("README.md");
    let paths = readme.split(['`', '(', ')']).filter(|word| {
        !word.contains([' ', '\n', '*', '<']) && word.contains('/') && !word.contains("://")
    });
    for path in paths.filter(|path| !path.starts_with("target/")) {
        assert!(
            root().join(path).exists(),
            "README names {path}, which does not exist"
        );
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .to_path_buf()
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let mut command = program::command(cargo);
    command.args(arguments).arg("--locked").current_dir(root());
    program::run(&mut command).expect("cargo answers")
}

fn metadata(arguments: &[&str]) -> Value {
    let mut all = vec!["metadata", "--format-version", "1", "--all-features"];
    all.extend(arguments);
    serde_json::from_str(&cargo(&all)).expect("cargo metadata is JSON")
}

fn array<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value.get(key).and_then(Value::as_array).expect("a list")
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value.get(key).and_then(Value::as_str).expect("a text")
}

fn rust_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            found.extend(rust_files(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn tracked_files() -> Vec<PathBuf> {
    let mut command = program::command("git");
    command.args(["ls-files"]).current_dir(root());
    let list = program::run(&mut command).expect("git answers");
    list.lines().map(PathBuf::from).collect()
}
