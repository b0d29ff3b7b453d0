//! The security settings as a table to act on: what is wrong, how to mend it, where it is written.

use std::fmt::Write as _;

use scantrip_cloud_client::posture::assess::{Assessment, Finding, Outcome};
use scantrip_cloud_client::posture::score::{COVERAGE_MIN_PERCENT, Grade, Score};
use scantrip_cloud_client::wire::Severity::{self, Critical, High, Low, Medium};

use super::{count, plain, time, wrapped};
use crate::api::{SettingView, SettingsView};

/// Where the text of a finding begins: behind the longest severity.
const INDENT: usize = 10;

/// The whole page, lines of at most `width` where words allow.
pub(crate) fn page(view: &SettingsView, assessment: &Assessment, width: usize) -> String {
    if view.settings.is_empty() {
        return "the settings of this device cannot be read: its backend has no reader\n"
            .to_owned();
    }
    let mut page = Page {
        text: String::new(),
        width,
    };
    page.head(assessment);
    let with = |wanted: fn(&Finding) -> bool| {
        let worst_first = [Critical, High, Medium, Low]
            .into_iter()
            .flat_map(|severity| {
                let all = assessment.findings.iter();
                all.filter(move |finding| finding.severity == severity)
            });
        let wanted = worst_first.filter(|finding| wanted(finding));
        wanted.collect::<Vec<&Finding>>()
    };
    page.wrong(view, &with(Finding::counts_as_failure));
    page.unknown(view, &with(|finding| is_undecided(finding.outcome)));
    page.unknown_others(view, assessment);
    page.accepted(&with(|finding| finding.accepted.is_some()));
    page.values("FINE", &with(|finding| finding.outcome == Outcome::Pass));
    page.values(
        "SHOWN ONLY, AS THE POLICY SAYS",
        &with(|finding| finding.outcome == Outcome::Informational),
    );
    page.not_applicable(
        view,
        assessment,
        &with(|finding| finding.outcome == Outcome::NotApplicable),
    );
    page.others(view, assessment);
    page.foot(view, &assessment.score);
    page.text
}

/// What changed since the reference.
pub(crate) fn changes(view: &SettingsView) -> String {
    let since = time(view.reference_at_ms);
    if view.changes.is_empty() {
        return format!("nothing has changed since {since}\n");
    }
    let mut text = format!("changed since {since}:\n");
    for change in &view.changes {
        let seen = view.seen.iter().rfind(|seen| seen.change.id == change.id);
        let seen = seen.map_or_else(String::new, |seen| format!(", seen {}", time(seen.at_ms)));
        let (id, from, to) = (plain(&change.id), plain(&change.from), plain(&change.to));
        let _ = writeln!(text, "  {id}: was {from}, is {to}{seen}");
    }
    text.push_str("if this is right, make it the new reference: scantrip settings --accept\n");
    text
}

struct Page {
    text: String,
    width: usize,
}

impl Page {
    fn head(&mut self, assessment: &Assessment) {
        let name = plain(&assessment.policy);
        self.wrapped(
            "policy:   ",
            &format!("{name}, version {}", assessment.version),
        );
        self.wrapped("score:    ", &score(&assessment.score));
    }

    fn wrong(&mut self, view: &SettingsView, findings: &[&Finding]) {
        self.title("WRONG", findings);
        for (at, finding) in findings.iter().enumerate() {
            // Air between things to do: each is a block of five lines.
            if at > 0 {
                self.text.push('\n');
            }
            let setting = find(view, &finding.id);
            let (value, expected) = (shown(&finding.value), expected(finding, setting));
            let line = format!("{} is {value}, should be {expected}", plain(&finding.id));
            self.wrapped(&severity(finding.severity), &line);
            self.about(setting, &finding.remedy);
        }
    }

    fn unknown(&mut self, view: &SettingsView, findings: &[&Finding]) {
        self.title("NOT KNOWN", findings);
        for finding in findings {
            let setting = find(view, &finding.id);
            let detail = setting.and_then(|setting| setting.reason.as_deref());
            let why = match finding.outcome {
                Outcome::Error => format!("{} makes no sense here", shown(&finding.value)),
                _ => plain(detail.or(finding.reason.as_deref()).unwrap_or("not read")),
            };
            let line = format!("{}: {why}", plain(&finding.id));
            self.wrapped(&severity(finding.severity), &line);
            let says_more = |setting: &&SettingView| {
                !setting.evidence.is_empty() && !why.contains(&setting.evidence)
            };
            if let Some(setting) = setting.filter(says_more) {
                let (method, evidence) = (plain(&setting.method), plain(&setting.evidence));
                self.named("seen", &format!("{evidence} ({method})"));
            }
        }
    }

    /// What is not known and the policy does not ask for: by the reason, which many share.
    fn unknown_others(&mut self, view: &SettingsView, assessment: &Assessment) {
        let mut by_reason: Vec<(&str, Vec<&str>)> = Vec::new();
        let others = not_asked_for(view, assessment).filter(|setting| setting.value.is_empty());
        for setting in others.filter(|setting| setting.verdict == "unknown") {
            let why = setting.reason.as_deref().unwrap_or("not read");
            match by_reason.iter_mut().find(|(reason, _)| *reason == why) {
                Some((_, ids)) => ids.push(&setting.id),
                None => by_reason.push((why, vec![&setting.id])),
            }
        }
        if !by_reason.is_empty() {
            self.text
                .push_str("\nNOT KNOWN, NOT ASKED FOR BY THE POLICY\n");
        }
        for (why, ids) in by_reason {
            let line = format!("{}: {}", plain(&ids.join(", ")), plain(why));
            self.wrapped(&blank(), &line);
        }
    }

    fn accepted(&mut self, findings: &[&Finding]) {
        self.title("ACCEPTED", findings);
        for finding in findings {
            let Some(accepted) = &finding.accepted else {
                continue;
            };
            let (id, value) = (plain(&finding.id), shown(&finding.value));
            let (owner, reason) = (plain(&accepted.owner), plain(&accepted.reason));
            // The last day counts as a whole: it ends where the exception does.
            let until = time(accepted.until_ms.saturating_sub(1));
            let until = until.split(' ').next().unwrap_or_default();
            let line = format!("{id} is {value}; by {owner} until {until}: {reason}");
            self.wrapped(&severity(finding.severity), &line);
        }
    }

    fn values(&mut self, title: &str, findings: &[&Finding]) {
        self.title(title, findings);
        let longest = findings.iter().map(|finding| finding.id.len()).max();
        for finding in findings {
            let id = plain(&finding.id);
            let first = format!(
                "{}{id:width$}  ",
                severity(finding.severity),
                width = longest.unwrap_or(0)
            );
            self.wrapped(&first, &shown(&finding.value));
        }
    }

    fn not_applicable(
        &mut self,
        view: &SettingsView,
        assessment: &Assessment,
        findings: &[&Finding],
    ) {
        let others = not_asked_for(view, assessment).filter(|it| it.verdict == "not-applicable");
        let ids = findings.iter().map(|finding| plain(&finding.id));
        let ids: Vec<String> = ids.chain(others.map(|it| plain(&it.id))).collect();
        if !ids.is_empty() {
            self.text.push_str("\nNOT FOR THIS DEVICE\n");
            self.wrapped(&blank(), &ids.join(", "));
        }
    }

    /// Settings that the policy does not ask for.
    fn others(&mut self, view: &SettingsView, assessment: &Assessment) {
        let others = not_asked_for(view, assessment).filter(|setting| !setting.value.is_empty());
        let others: Vec<&SettingView> = others.collect();
        if others.is_empty() {
            return;
        }
        self.text.push_str("\nREAD, NOT ASKED FOR BY THE POLICY\n");
        let longest = others.iter().map(|setting| setting.id.len()).max();
        for setting in others {
            let (id, width) = (plain(&setting.id), longest.unwrap_or(0));
            let wrong = match setting.verdict.as_str() {
                "not-secure" => " (not secure)",
                _ => "",
            };
            let first = format!("{}{id:width$}  ", blank());
            self.wrapped(&first, &format!("{}{wrong}", plain(&setting.value)));
        }
    }

    fn foot(&mut self, view: &SettingsView, score: &Score) {
        let rules = |number: u32, what: &str| (number > 0).then(|| format!("{number} {what}"));
        let parts = [
            rules(score.failed, "wrong"),
            rules(score.undecided, "not known"),
            rules(score.accepted, "accepted"),
            rules(score.passed, "fine"),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        // Again at the end: that is what a terminal still shows.
        let points = match (score.points, score.grade) {
            (Some(_), Grade::NotEnoughData) | (None, _) => "not enough data for a grade".to_owned(),
            (Some(points), _) => format!("{points} of 100"),
        };
        let _ = writeln!(self.text, "\n{points}: {}", parts.join(", "));
        let changed = view.changes.len() as u64;
        if changed > 0 {
            let changed = count(changed, "setting has", "settings have");
            let since = time(view.reference_at_ms);
            self.wrapped("", &format!("{changed} changed since {since};"));
            self.text
                .push_str("to see them: scantrip settings --diff\n");
        }
    }

    /// What a setting is, how to mend it, and where that is written.
    fn about(&mut self, setting: Option<&SettingView>, remedy: &str) {
        let Some(setting) = setting else {
            if !remedy.is_empty() {
                self.named("mend", &plain(remedy));
            }
            return;
        };
        self.wrapped(&blank(), &plain(&setting.title));
        let remedy = if remedy.is_empty() {
            &setting.remedy
        } else {
            remedy
        };
        self.named("mend", &plain(remedy));
        let (method, evidence) = (plain(&setting.method), plain(&setting.evidence));
        self.named("seen", &format!("{evidence} ({method})"));
        self.named("why", &plain(&setting.reference));
    }

    /// A line of a finding: what it tells, and the text.
    fn named(&mut self, name: &str, text: &str) {
        let name = format!("{name}:");
        self.wrapped(&format!("{}{name:6}", blank()), text);
    }

    fn title(&mut self, title: &str, findings: &[&Finding]) {
        if !findings.is_empty() {
            let _ = writeln!(self.text, "\n{title}");
        }
    }

    fn wrapped(&mut self, first: &str, text: &str) {
        self.text.push_str(&wrapped(first, text, self.width));
    }
}

/// Settings that no rule of the policy names.
fn not_asked_for<'a>(
    view: &'a SettingsView,
    assessment: &'a Assessment,
) -> impl Iterator<Item = &'a SettingView> {
    let asked = |id: &str| assessment.findings.iter().any(|finding| finding.id == id);
    view.settings.iter().filter(move |it| !asked(&it.id))
}

fn score(score: &Score) -> String {
    let coverage = format!(
        "{} % of the policy could be checked",
        score.coverage_percent
    );
    let Some(points) = score.points else {
        return format!("not enough data; {coverage}");
    };
    let grade = match score.grade {
        Grade::A => "grade A",
        Grade::B => "grade B",
        Grade::C => "grade C",
        Grade::D => "grade D",
        Grade::NotEnoughData => {
            return format!(
                "{points} of 100, but not enough data for a grade; {coverage}, at least \
                 {COVERAGE_MIN_PERCENT} % are needed"
            );
        }
    };
    let capped = score.capped_by.map_or_else(String::new, |severity| {
        format!(
            "; not more while a setting of severity {} is wrong",
            severity.as_str()
        )
    });
    format!("{points} of 100, {grade}; {coverage}{capped}")
}

const fn is_undecided(outcome: Outcome) -> bool {
    matches!(
        outcome,
        Outcome::Unknown | Outcome::Error | Outcome::NotChecked
    )
}

fn expected(finding: &Finding, setting: Option<&SettingView>) -> String {
    let own = setting.filter(|_| finding.expected == "secure");
    plain(own.map_or(&finding.expected, |setting| &setting.secure_value))
}

fn find<'a>(view: &'a SettingsView, id: &str) -> Option<&'a SettingView> {
    view.settings.iter().find(|setting| setting.id == id)
}

fn shown(value: &str) -> String {
    if value.is_empty() {
        "none".to_owned()
    } else {
        plain(value)
    }
}

fn severity(severity: Severity) -> String {
    format!("{:INDENT$}", severity.as_str())
}

fn blank() -> String {
    " ".repeat(INDENT)
}

#[cfg(test)]
mod tests {
    use scantrip_cloud_client::posture::assess::assess;
    use scantrip_cloud_client::posture::diff::Change;
    use scantrip_cloud_client::posture::policy;
    use scantrip_cloud_client::wire::ReportDevice;

    use super::*;
    use crate::commands::reading;
    use crate::drivers::posture::SeenChange;

    fn setting(id: &str, value: &str, verdict: &str, severity: &str) -> SettingView {
        SettingView {
            id: id.to_owned(),
            title: format!("What {id} is about, in some more words than fit"),
            value: value.to_owned(),
            secure_value: "all".to_owned(),
            severity: severity.to_owned(),
            verdict: verdict.to_owned(),
            reason: (verdict == "unknown").then(|| "needs root".to_owned()),
            method: "linux".to_owned(),
            evidence: "/etc/x".to_owned(),
            reference: "FDP_DSK_EXT.1".to_owned(),
            remedy: "Turn it on.".to_owned(),
        }
    }

    fn view() -> SettingsView {
        SettingsView {
            settings: vec![
                setting("fw.tpm", "", "unknown", "low"),
                setting("net.firewall", "", "unknown", "medium"),
                setting("net.ftp", "true", "not-secure", "high"),
                setting("net.telnet", "false", "secure", "critical"),
                setting("net.tftp", "false", "secure", "medium"),
                setting("storage.encryption", "none", "not-secure", "critical"),
                setting("storage.swap_encrypted", "", "not-applicable", "medium"),
                setting("time.synchronised", "", "unknown", "medium"),
                setting("usb.storage_allowed", "true", "not-secure", "low"),
            ],
            device: ReportDevice::default(),
            policy: None,
            reference_at_ms: 0,
            changes: Vec::new(),
            seen: Vec::new(),
        }
    }

    fn shown_page(view: &SettingsView, width: usize) -> String {
        let text = "name = \"House\"\nversion = 2\nsecure = [\"net.ftp\", \"net.telnet\", \
                    \"net.tftp\", \"storage.encryption\", \"time.synchronised\"]\n\
                    [[exceptions]]\nid = \"net.ftp\"\nreason = \"old\"\nowner = \"it\"\n\
                    until = \"1970-01-02\"";
        let policy = policy::parse(text, "p").expect("a policy");
        let readings: Vec<_> = view.settings.iter().map(reading).collect();
        page(view, &assess(&policy, &readings, 0), width)
    }

    #[test]
    fn the_page_says_what_is_wrong_how_to_mend_it_and_where_it_is_written() {
        assert_eq!(
            shown_page(&view(), 60),
            "policy:   House, version 2\n\
             score:    49 of 100, grade D; 90 % of the policy could be\n\
             \x20         checked; not more while a setting of severity\n\
             \x20         critical is wrong\n\
             \n\
             WRONG\n\
             critical  storage.encryption is none, should be all\n\
             \x20         What storage.encryption is about, in some more\n\
             \x20         words than fit\n\
             \x20         mend: Turn it on.\n\
             \x20         seen: /etc/x (linux)\n\
             \x20         why:  FDP_DSK_EXT.1\n\
             \n\
             NOT KNOWN\n\
             medium    time.synchronised: needs root\n\
             \x20         seen: /etc/x (linux)\n\
             \n\
             NOT KNOWN, NOT ASKED FOR BY THE POLICY\n\
             \x20         fw.tpm, net.firewall: needs root\n\
             \n\
             ACCEPTED\n\
             high      net.ftp is true; by it until 1970-01-02: old\n\
             \n\
             FINE\n\
             critical  net.telnet  false\n\
             medium    net.tftp    false\n\
             \n\
             NOT FOR THIS DEVICE\n\
             \x20         storage.swap_encrypted\n\
             \n\
             READ, NOT ASKED FOR BY THE POLICY\n\
             \x20         usb.storage_allowed  true (not secure)\n\
             \n\
             49 of 100: 1 wrong, 1 not known, 1 accepted, 2 fine\n"
        );
    }

    #[test]
    fn no_line_is_longer_than_the_terminal() {
        for width in [60, 80, 120] {
            let page = shown_page(&view(), width);
            let longest = page.lines().map(|line| line.chars().count()).max();
            assert!(longest <= Some(width), "{longest:?} in\n{page}");
        }
    }

    #[test]
    fn changes_are_told_with_the_time_they_were_seen() {
        let mut view = view();
        assert_eq!(
            changes(&view),
            "nothing has changed since 1970-01-01 00:00:00 UTC\n"
        );
        let change = Change {
            id: "net.ftp".to_owned(),
            from: "false".to_owned(),
            to: "true".to_owned(),
        };
        view.changes = vec![change.clone()];
        view.seen = vec![SeenChange {
            change,
            at_ms: 60_000,
        }];
        let text = changes(&view);
        let line = "  net.ftp: was false, is true, seen 1970-01-01 00:01:00 UTC";
        assert!(text.lines().any(|found| found == line), "{text}");
        assert!(shown_page(&view, 80).contains("--diff"));
    }

    #[test]
    fn a_device_without_a_reader_says_so() {
        let mut view = view();
        view.settings.clear();
        assert!(shown_page(&view, 80).contains("no reader"));
    }
}
