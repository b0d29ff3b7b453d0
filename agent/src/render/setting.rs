//! Security settings: what is not secure first.

use std::fmt::Write as _;

use super::{count, plain};
use crate::api::SettingView;

/// All settings, by verdict and severity.
pub(crate) fn list(settings: &[SettingView]) -> String {
    let mut sorted: Vec<&SettingView> = settings.iter().collect();
    sorted.sort_by_key(|setting| (verdict_rank(setting), severity_rank(setting)));
    let mut text = String::new();
    for setting in sorted {
        let verdict = match setting.verdict.as_str() {
            "secure" => "ok",
            "not-secure" => "NOT SECURE",
            "not-applicable" => "not for it",
            _ => "unknown",
        };
        let _ = write!(text, "{verdict:10}  {}: ", plain(&setting.title));
        match (&setting.reason, setting.value.as_str()) {
            (Some(reason), "") => text.push_str(&plain(reason)),
            (_, "") => text.push('-'),
            (_, value) => text.push_str(&plain(value)),
        }
        if setting.verdict == "not-secure" {
            let (severity, secure) = (plain(&setting.severity), plain(&setting.secure_value));
            let _ = write!(text, " ({severity}; should be: {secure})");
        }
        let (id, method) = (plain(&setting.id), plain(&setting.method));
        let _ = writeln!(text, "\n            {id}, read by {method}");
    }
    let with = |verdict: &str| settings.iter().filter(|it| it.verdict == verdict).count();
    let all = count(settings.len() as u64, "setting", "settings");
    let (bad, unknown) = (with("not-secure"), with("unknown"));
    let _ = writeln!(text, "{all}: {bad} not secure, {unknown} unknown");
    text
}

fn verdict_rank(setting: &SettingView) -> u8 {
    match setting.verdict.as_str() {
        "not-secure" => 0,
        "secure" => 2,
        "not-applicable" => 3,
        _ => 1,
    }
}

fn severity_rank(setting: &SettingView) -> u8 {
    match setting.severity.as_str() {
        "critical" => 0,
        "high" => 1,
        "medium" => 2,
        _ => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn setting(id: &str, verdict: &str, severity: &str) -> SettingView {
        SettingView {
            id: id.to_owned(),
            title: format!("Title of {id}"),
            value: "on".to_owned(),
            secure_value: "off".to_owned(),
            severity: severity.to_owned(),
            verdict: verdict.to_owned(),
            reason: None,
            method: "simulation".to_owned(),
        }
    }

    #[test]
    fn worst_comes_first_with_what_it_should_be() {
        let mut unknown = setting("c", "unknown", "low");
        unknown.value = String::new();
        unknown.reason = Some("no answer".to_owned());
        let settings = [
            setting("a", "secure", "critical"),
            setting("b", "not-secure", "medium"),
            unknown,
            setting("d", "not-secure", "critical"),
        ];
        assert_eq!(
            list(&settings).lines().collect::<Vec<_>>(),
            [
                "NOT SECURE  Title of d: on (critical; should be: off)",
                "            d, read by simulation",
                "NOT SECURE  Title of b: on (medium; should be: off)",
                "            b, read by simulation",
                "unknown     Title of c: no answer",
                "            c, read by simulation",
                "ok          Title of a: on",
                "            a, read by simulation",
                "4 settings: 2 not secure, 1 unknown",
            ]
        );
    }
}
