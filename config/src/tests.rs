//! Tests of the whole crate: texts in, configurations or messages out.

use super::*;

#[track_caller]
fn refused(text: &str) -> String {
    Config::parse(text, "scantrip.toml")
        .unwrap_err()
        .to_string()
}

/// The sample with every key taken in.
fn sample_in_full() -> String {
    let is_key = |rest: &&str| {
        let name = rest.split_once(" = ").map(|(name, _)| name);
        keys::KEYS.iter().any(|key| Some(key.name) == name)
    };
    let lines = sample().lines();
    let lines = lines.map(|line| line.strip_prefix('#').filter(is_key).unwrap_or(line));
    lines.collect::<Vec<_>>().join("\n")
}

#[test]
fn empty_file_is_the_default() {
    assert_eq!(Config::parse("", "x").unwrap(), Config::default());
}

#[test]
fn sample_changes_nothing() {
    assert_eq!(
        Config::parse(sample(), "sample").unwrap(),
        Config::default()
    );
}

#[test]
fn sample_has_every_key_with_its_default() {
    let full: toml::Table = sample_in_full().parse().unwrap();
    for key in keys::KEYS {
        let place = format!("{}.{}", key.section, key.name);
        let value = full[key.section].get(key.name);
        let value = value.unwrap_or_else(|| panic!("the sample lacks {place}"));
        if let Some(default) = (key.show)(&Config::default()) {
            let default: toml::Table = format!("it = {default}").parse().unwrap();
            assert_eq!(*value, default["it"], "{place}");
        }
    }
    assert!(Config::parse(&sample_in_full(), "sample").is_ok());
}

#[test]
fn sample_gives_a_reason_for_every_default() {
    let full = sample_in_full();
    for key in keys::KEYS {
        let section = full
            .split(&format!("\n[{}]\n", key.section))
            .nth(1)
            .unwrap();
        let before = section.split(&format!("\n{} = ", key.name)).next().unwrap();
        let comment = before.rsplit("\n\n").next().unwrap();
        let reason = comment.split("# Default").nth(1);
        let unset = (key.show)(&Config::default()).is_none();
        let right =
            reason.is_some_and(|text| text.len() > 20 && text.starts_with(": none") == unset);
        assert!(right, "{}.{}: {comment}", key.section, key.name);
    }
}

#[test]
fn effective_values_read_back_the_same() {
    let mut config = Config::parse(&sample_in_full(), "sample").unwrap();
    config
        .device
        .options
        .insert("a \"b\"".into(), "c\nd".into());
    config.cloud.tls_versions = TlsVersions::Tls12AndTls13;
    config.log.level = LogLevel::Trace;
    assert_eq!(
        Config::parse(&config.effective_toml(), "x").unwrap(),
        config
    );
    let default = Config::default();
    assert_eq!(
        Config::parse(&default.effective_toml(), "x").unwrap(),
        default
    );
    assert!(
        default
            .effective_toml()
            .contains("\n# ca_file is not set\n")
    );
}

#[test]
fn effective_values_hide_secrets() {
    let mut config = Config::default();
    config
        .device
        .options
        .insert("admin_password".into(), "hunter2".into());
    let text = config.effective_toml();
    assert!(!text.contains("hunter2") && text.contains("admin_password = \"(hidden)\""));
}

#[test]
fn options_are_text_whatever_they_are_written_as() {
    let text = "[device.options]\nsheets = 20\nimages = '/a b'\nloop = true\n";
    let options = Config::parse(text, "x").unwrap().device.options;
    assert_eq!(options["sheets"], "20");
    assert_eq!(options["images"], "/a b");
    assert_eq!(options["loop"], "true");
}

#[test]
fn unknown_key_names_the_nearest() {
    assert_eq!(
        refused("[cloud]\nregoin = \"x\"\n"),
        "scantrip.toml:2:1: unknown key \"regoin\" in [cloud]; did you mean \"region\"?"
    );
    assert_eq!(
        refused("[log]\nfile = \"x\"\n"),
        "scantrip.toml:2:1: unknown key \"file\" in [log]; [log] has level"
    );
    assert_eq!(
        refused("[clod]\n"),
        "scantrip.toml:1:2: unknown section \"clod\"; did you mean \"cloud\"?"
    );
    assert_eq!(
        refused("bytes_max = 1\n"),
        "scantrip.toml:1:1: unknown section \"bytes_max\"; the sections are device, cloud, paths, \
         spool, panel, settings, telemetry, log"
    );
}

#[test]
fn wrong_type_tells_what_was_expected() {
    assert_eq!(
        refused("[telemetry]\n  enabled = \"yes\"\n"),
        "scantrip.toml:2:13: telemetry.enabled: expected true or false, found \"yes\""
    );
    assert_eq!(
        refused("[log]\nlevel = 3"),
        "scantrip.toml:2:9: log.level: expected \"error\", \"warn\", \"info\", \"debug\" or \
         \"trace\", found 3"
    );
    assert_eq!(
        refused("log = 3"),
        "scantrip.toml:1:1: log is a section: write it as [log]"
    );
    assert_eq!(
        refused("device.options = 3"),
        "scantrip.toml:1:18: device.options is a section: write it as [device.options]"
    );
    assert_eq!(
        refused("[device.options]\nx = [1, 2]"),
        "scantrip.toml:2:5: device.options.x: expected a text, a whole number, true or false, \
         found [1, 2]"
    );
}

#[test]
fn value_out_of_range_is_refused() {
    assert_eq!(
        refused("[spool]\nbytes_max = 1_000\n"),
        "scantrip.toml:2:13: spool.bytes_max: expected a whole number of bytes from 67_108_864 \
         (64 MiB) to 1_125_899_906_842_624 (1 PiB), found 1000"
    );
    for text in [
        "[spool]\nbytes_max = -1",
        "[spool]\nbytes_max = 1.5",
        "[spool]\nbytes_max = 99999999999999999999999",
        "[telemetry]\nsettings_interval_hours = 0",
        "[telemetry]\nsettings_interval_hours = 169",
        "[cloud]\ntls_versions = [\"1.1\", \"1.2\"]",
        "[cloud]\ntls_versions = []",
        "[cloud]\ntls_versions = \"1.2\"",
        "[cloud]\nca_file = \"ca.pem\"",
        "[cloud]\nbootstrap_url = \"https://a/b\"",
        "[panel]\naddress = \"localhost:80\"",
        "[device]\nbackend = \"\"",
        "[paths]\nsocket = \"/\"",
    ] {
        assert!(refused(text).contains(": expected "), "{text}");
    }
    let long = format!("[paths]\nsocket = \"/{}\"", "s".repeat(107));
    assert!(refused(&long).contains("at most 107 bytes"));
    let hex = Config::parse("[spool]\nbytes_max = 0x4000_0000", "x").unwrap();
    assert_eq!(hex.spool.bytes_max, 1 << 30);
}

#[test]
fn plain_http_is_refused() {
    let message = refused("[cloud]\nbootstrap_url = \"http://cloud.example\"");
    assert!(message.starts_with("scantrip.toml:2:17: cloud.bootstrap_url: expected an address"));
    assert!(message.contains("\"https://\""));
}

#[test]
fn panel_stays_on_loopback() {
    let message = refused("[panel]\naddress = \"0.0.0.0:80\"");
    assert!(message.contains("expected a loopback address"), "{message}");
    assert!(Config::parse("[panel]\naddress = \"[::1]:0\"", "x").is_ok());
}

#[test]
fn secrets_are_refused_without_repeating_them() {
    for text in [
        "[cloud]\npassword = \"hunter2\"",
        "[cloud]\nproxy = \"http://me:hunter2@proxy:1\"",
        "[cloud]\nbootstrap_url = \"https://me:hunter2@cloud\"",
        "[device.options]\nadmin_password = \"hunter2\"",
        "[cloud]\ncode = \"hunter2\"",
        "[settings]\nsnmp_community = \"hunter2\"",
        "token = \"hunter2\"",
    ] {
        let message = refused(text);
        assert!(
            message.contains("never stand") && !message.contains("hunter2"),
            "{message}"
        );
    }
    let file = "[device.options]\nadmin_password_file = \"/run/secret\"";
    assert!(Config::parse(file, "x").is_ok());
}

#[test]
fn all_mistakes_are_told_at_once_by_line() {
    let message = refused("[log]\nlevel = 1\n[cloud]\nregion = 2\n[xxxx]\n");
    let lines: Vec<&str> = message.lines().collect();
    assert_eq!(lines.len(), 3, "{message}");
    assert!(lines[0].starts_with("scantrip.toml:2:9: ") && lines[2].contains(":5:2: "));
}

#[test]
fn broken_toml_has_line_and_column() {
    let message = refused("[log]\nlevel = \"info\n");
    assert!(message.starts_with("scantrip.toml:2:"), "{message}");
    assert!(
        message.contains("not TOML") && message.lines().count() == 1,
        "{message}"
    );
    assert!(refused("[log]\nlevel='info'\nlevel='warn'").starts_with("scantrip.toml:3:1: "));
}

#[test]
fn column_counts_characters() {
    let message = refused("[device.options]\n\"schön\" = [1]");
    assert!(message.starts_with("scantrip.toml:2:11: "), "{message}");
}

#[test]
fn keys_lie_apart_from_the_spool() {
    let message = refused("[paths]\nstate = \"/a\"\nkeys = \"/a/spool/keys\"");
    assert!(message.starts_with("scantrip.toml:3:8: paths.keys: expected a folder apart"));
    refused("[paths]\nstate = \"/a\"\nkeys = \"/a\"");
    refused("[paths]\nstate = \"/var/lib/scantrip/keys\"");
}

#[test]
fn hostile_text_is_escaped_and_cut() {
    let message = refused(&format!(
        "[log]\nlevel = \"\\u001b[2J\\n{}\"",
        "x".repeat(1000)
    ));
    assert!(!message.contains('\u{1b}') && message.lines().count() == 1);
    assert!(message.len() < 300, "{message}");
}

#[test]
fn load_tells_the_file() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("scantrip.toml");
    let error = Config::load(&path).unwrap_err();
    assert!(error.to_string().contains("scantrip.toml"));
    let large = folder.path().join("large");
    #[expect(clippy::disallowed_methods, reason = "a scratch file of this test")]
    std::fs::write(&large, " ".repeat(64 * 1024 + 1)).unwrap();
    assert!(matches!(
        Config::load(&large),
        Err(ConfigError::TooLarge { .. })
    ));
}

#[test]
fn declared_settings_are_canonical_texts() {
    let text = "[settings.declared]\n\"storage.wipe_ready\" = true\n\"a.b\" = [\"y\", \"x\"]\n";
    let config = Config::parse(text, "x").unwrap();
    assert_eq!(config.settings.declared["storage.wipe_ready"], "true");
    assert_eq!(config.settings.declared["a.b"], "x,y");
    let again = Config::parse(&config.effective_toml(), "x").unwrap();
    assert_eq!(again, config);
    assert!(refused("[settings]\ndeclared = 1").contains("[settings.declared]"));
    assert!(refused("[settings.declared]\na = 1.5").contains("found the decimal"));
}

#[test]
fn the_vendors_settings_need_a_file() {
    let found = refused("[settings]\nsources = [\"linux\", \"vendor\"]\n");
    assert!(found.starts_with("scantrip.toml:2:"), "{found}");
    assert!(found.contains("settings.vendor_export"), "{found}");
    let found = refused("[settings]\nsources = [\"linux\", \"fax\"]\n");
    assert!(found.contains("\"network\""), "{found}");
}
