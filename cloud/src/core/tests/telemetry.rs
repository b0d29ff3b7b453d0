//! What is made of reports: how devices stand, their history, and the operator's numbers.

use std::collections::BTreeMap;

use scantrip_cloud_client::posture::policy;
use scantrip_cloud_client::wire::{
    Desired, EventKind, Report, ReportEvent, ReportSetting, Severity, Verdict,
};

use super::*;
use crate::core::metrics;
use crate::core::standing::{HISTORY_MAX, Happened, Posture, Standing};

const POLICY: &str = "name = \"House\"\nsecure = [\"net.ftp\"]";

/// A cloud with one device whose tenant asks for no FTP.
struct Scene {
    cloud: Cloud,
    device: Device,
    sequence: u64,
}

impl Scene {
    fn new() -> Self {
        let cloud = Cloud::new();
        let tenant = cloud.tenant("a");
        let policy = policy::parse(POLICY, "p").unwrap();
        cloud
            .core
            .set_policy(Some(&tenant), &policy, POLICY)
            .unwrap();
        let device = cloud.device(&tenant, "SN-1");
        let sequence = 0;
        Self {
            cloud,
            device,
            sequence,
        }
    }

    fn send(&mut self, report: &Report) {
        let body = serde_json::to_vec(report).unwrap();
        let call = (Method::POST, "/v1/device/reports");
        let answer = self.cloud.call(&self.device.peer, call, &[], &body);
        assert_eq!(answer.status(), StatusCode::NO_CONTENT, "{}", text(&answer));
    }

    fn report(&mut self, change: impl FnOnce(&mut Report)) -> Report {
        self.sequence += 1;
        let mut report = Report {
            sequence: self.sequence,
            epoch: 7,
            ..Report::default()
        };
        change(&mut report);
        self.send(&report);
        report
    }

    fn ftp(&mut self, verdict: Verdict) {
        self.ftp_of(Severity::High, verdict);
    }

    fn ftp_of(&mut self, severity: Severity, verdict: Verdict) {
        let value = if verdict == Verdict::Unknown { "" } else { "x" };
        let setting = ReportSetting {
            id: "net.ftp".to_owned(),
            value: value.to_owned(),
            severity,
            verdict,
            reason: None,
        };
        self.report(|report| report.settings = Some(vec![setting]));
    }

    fn history(&self) -> Vec<Happened> {
        let detail = self.cloud.core.show_device(&self.device.id, true).unwrap();
        let rows = detail.history.unwrap();
        rows.into_iter().flat_map(|row| row.happened).collect()
    }

    fn posture(&self) -> Posture {
        let detail = self.cloud.core.show_device("SN-1", false).unwrap();
        detail.standing.posture
    }
}

fn event(seq: u64) -> ReportEvent {
    ReportEvent {
        seq,
        at_ms: seq,
        what: EventKind::ScannerFault {
            reason: format!("r{seq}"),
        },
    }
}

fn changes(history: &[Happened]) -> Vec<(Posture, Posture)> {
    let of = |happened: &Happened| match happened {
        Happened::Posture { from, to, .. } => Some((*from, *to)),
        _ => None,
    };
    history.iter().filter_map(of).collect()
}

#[test]
fn a_change_of_state_is_told_once() {
    use Posture::{NotSecure, Secure, Unknown};
    let mut scene = Scene::new();
    for verdict in [
        Verdict::Secure,
        Verdict::Secure,
        Verdict::NotSecure,
        Verdict::NotSecure,
        Verdict::NotSecure,
        Verdict::Unknown,
        Verdict::Unknown,
        Verdict::Secure,
        Verdict::Secure,
    ] {
        scene.ftp(verdict);
    }
    let expected = [
        (Unknown, Secure),
        (Secure, NotSecure),
        (NotSecure, Unknown),
        (Unknown, Secure),
    ];
    assert_eq!(changes(&scene.history()), expected);
}

#[test]
fn a_state_that_flaps_is_told_when_two_reports_agree() {
    use Posture::{NotSecure, Secure, Unknown};
    let mut scene = Scene::new();
    for _ in 0..5 {
        scene.ftp(Verdict::Secure);
        scene.ftp(Verdict::NotSecure);
        assert_eq!(scene.posture(), Secure);
    }
    scene.ftp(Verdict::Secure);
    assert_eq!(changes(&scene.history()), [(Unknown, Secure)]);
    // A report without settings says that they are as they were.
    scene.ftp(Verdict::NotSecure);
    scene.report(|_| {});
    scene.report(|_| {});
    let told = [(Unknown, Secure), (Secure, NotSecure)];
    assert_eq!(changes(&scene.history()), told);
}

#[test]
fn a_critical_change_of_state_is_told_at_once_both_ways() {
    use Posture::{NotSecure, Secure, Unknown};
    let mut scene = Scene::new();
    for verdict in [Verdict::Secure, Verdict::NotSecure, Verdict::Secure] {
        scene.ftp_of(Severity::Critical, verdict);
    }
    let told = [(Unknown, Secure), (Secure, NotSecure), (NotSecure, Secure)];
    assert_eq!(changes(&scene.history()), told);
}

#[test]
fn a_standing_written_before_states_waited_can_be_read() {
    let old = serde_json::json!({
        "posture": "secure", "posture_since_ms": 1, "wrong": [], "silent_since_ms": null,
        "seen_ms": 2, "history_next": 3, "event": [4, 5],
    });
    let read: Standing = serde_json::from_value(old).unwrap();
    assert_eq!((read.posture, read.pending), (Posture::Secure, None));
}

#[test]
fn a_new_policy_judges_what_was_reported_and_reaches_the_device() {
    let mut scene = Scene::new();
    scene.ftp(Verdict::NotSecure);
    assert_eq!(scene.posture(), Posture::NotSecure);
    let text = "name = \"Lax\"\n[[rules]]\nid = \"net.ftp\"\neq = \"x\"";
    let lax = policy::parse(text, "p").unwrap();
    let tenant = scene.device.tenant.clone();
    scene
        .cloud
        .core
        .set_policy(Some(&tenant), &lax, text)
        .unwrap();
    assert_eq!(scene.posture(), Posture::Secure);
    let answer = scene.cloud.get(&scene.device, "/v1/device/desired", &[]);
    let desired: Desired = serde_json::from_slice(answer.body()).unwrap();
    assert_eq!(desired.policy.unwrap().name, "Lax");

    scene.cloud.core.remove_policy(Some(&tenant)).unwrap();
    assert_eq!(
        scene.posture(),
        Posture::NotSecure,
        "the baseline asks for no FTP"
    );
    assert!(scene.cloud.core.remove_policy(Some(&tenant)).is_err());
}

#[test]
fn a_device_is_silent_after_missed_polls_by_the_clouds_clock_and_back_with_the_next() {
    let mut scene = Scene::new();
    let watch = |scene: &Scene| scene.cloud.core.watch().unwrap();
    assert_eq!(watch(&scene), 0);
    scene.cloud.world.advance_seconds(300);
    assert_eq!(watch(&scene), 0);
    scene.cloud.world.advance_seconds(1);
    assert_eq!((watch(&scene), watch(&scene)), (1, 0), "told once");

    // A cloud that was away does not call everybody silent, and does not forget who was.
    scene.cloud.restart();
    scene.cloud.world.advance_seconds(3600);
    assert_eq!(watch(&scene), 0);
    scene.cloud.get(&scene.device, "/v1/device/desired", &[]);
    assert_eq!((watch(&scene), watch(&scene)), (1, 0));
    let history = scene.history();
    assert!(
        matches!(history[..], [Happened::Silent { .. }, Happened::Back]),
        "{history:?}"
    );
    scene.cloud.core.revoke_device(&scene.device.id).unwrap();
    scene.cloud.world.advance_seconds(3600);
    assert_eq!(watch(&scene), 0, "nobody waits for a revoked device");
    scene.sequence = 0;
}

#[test]
fn events_are_taken_once_however_often_they_come() {
    let mut scene = Scene::new();
    let sent = scene.report(|report| report.events = vec![event(1), event(2)]);
    scene.send(&sent);
    // The answer was lost: the device sends them again in its next report.
    scene.report(|report| {
        report.events = vec![event(1), event(2), event(3)];
        report.events_dropped = 5;
    });
    let history = scene.history();
    let count = |wanted: fn(&Happened) -> bool| history.iter().filter(|one| wanted(one)).count();
    assert_eq!(count(|one| matches!(one, Happened::Event { .. })), 3);
    assert_eq!(
        count(|one| matches!(one, Happened::Dropped { events: 5 })),
        1
    );
    // It enrolled anew and counts from the start.
    let again = Report {
        sequence: 1,
        epoch: 8,
        events: vec![event(1)],
        ..Report::default()
    };
    scene.send(&again);
    assert_eq!(scene.history().len(), history.len() + 1);
}

#[test]
fn the_history_is_bounded_and_sealed() {
    let mut scene = Scene::new();
    for seq in 1..=HISTORY_MAX + 20 {
        scene.report(|report| report.events = vec![event(seq)]);
    }
    let history = scene.history();
    assert_eq!(history.len() as u64, HISTORY_MAX);
    let Some(Happened::Event { event, .. }) = history.first() else {
        panic!("{:?}", history.first());
    };
    let oldest = EventKind::ScannerFault {
        reason: "r21".to_owned(),
    };
    assert_eq!(*event, oldest);
    let huge = EventKind::ScannerFault {
        reason: "canary".repeat(10_000),
    };
    scene.report(|report| {
        report.events = vec![ReportEvent {
            seq: 9999,
            at_ms: 0,
            what: huge,
        }];
    });
    let stored = scene.cloud.world.everything_stored();
    assert!(!String::from_utf8_lossy(&stored).contains("media-jam"));
    assert!(matches!(
        scene.history().last(),
        Some(Happened::Event {
            event: EventKind::Unknown,
            ..
        })
    ));
}

#[test]
fn a_new_version_is_part_of_the_story() {
    let mut scene = Scene::new();
    scene.report(|report| report.device.firmware = "1".to_owned());
    scene.report(|report| report.device.firmware = "2".to_owned());
    let expected = Happened::Version {
        of: "firmware".to_owned(),
        from: "1".to_owned(),
        to: "2".to_owned(),
    };
    assert_eq!(scene.history(), [expected]);
}

/// Reads the Prometheus text format (version 0.0.4) as strictly as its description is.
fn samples(page: &str) -> BTreeMap<String, u64> {
    let is_name = |name: &str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':');
        !name.is_empty() && name.bytes().all(fits) && !name.as_bytes()[0].is_ascii_digit()
    };
    assert!(page.ends_with('\n'));
    let (mut family, mut helped, mut seen) = (String::new(), String::new(), Vec::new());
    let mut found = BTreeMap::new();
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            helped = help.split(' ').next().unwrap().to_owned();
            assert!(is_name(&helped) && !seen.contains(&helped), "{line}");
            seen.push(helped.clone());
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            assert_eq!(name, helped, "HELP and TYPE go together");
            assert_eq!(kind == "counter", name.ends_with("_total"), "{line}");
            assert!(matches!(kind, "counter" | "gauge"), "{line}");
            name.clone_into(&mut family);
        } else {
            let (series, value) = line.rsplit_once(' ').unwrap();
            let (name, labels) = series.split_once('{').unwrap_or((series, "}"));
            assert_eq!(name, family, "samples stand below their family");
            for label in labels
                .strip_suffix('}')
                .unwrap()
                .split(',')
                .filter(|l| !l.is_empty())
            {
                let (name, value) = label.split_once('=').unwrap();
                assert!(is_name(name), "{line}");
                let value = value.strip_prefix('"').unwrap().strip_suffix('"').unwrap();
                assert!(!value.contains(['"', '\\', '\n']), "{line}");
            }
            let value = value.parse().unwrap_or_else(|_| panic!("{line}"));
            assert_eq!(found.insert(series.to_owned(), value), None, "{line} twice");
        }
    }
    found
}

#[test]
fn the_numbers_are_well_formed_and_name_nobody() {
    let mut scene = Scene::new();
    scene.ftp(Verdict::NotSecure);
    scene.report(|report| report.events_dropped = 3);
    let route = &crate::core::route::ROUTES[0];
    scene.cloud.core.metrics().count(route, 200);
    scene.cloud.core.metrics().count(route, 404);
    scene.cloud.core.metrics().set_queue(4, 5);
    let page = metrics::text(&scene.cloud.core, Some(6));
    let samples = samples(&page);
    for (series, value) in [
        ("scantrip_devices{state=\"present\"}", 1),
        ("scantrip_devices{state=\"silent\"}", 0),
        ("scantrip_devices_posture{state=\"not-secure\"}", 1),
        ("scantrip_reports_total", 2),
        ("scantrip_report_events_dropped_total", 3),
        ("scantrip_runner_jobs{state=\"due\"}", 4),
        ("scantrip_runner_jobs{state=\"later\"}", 5),
        ("process_resident_memory_bytes", 6),
        (
            "scantrip_requests_total{route=\"entry-points\",code=\"2xx\"}",
            1,
        ),
        (
            "scantrip_requests_total{route=\"entry-points\",code=\"4xx\"}",
            1,
        ),
    ] {
        assert_eq!(samples.get(series), Some(&value), "{series} in\n{page}");
    }
    for secret in [&scene.device.id, &scene.device.tenant, "SN-1"] {
        assert!(!page.contains(secret), "{secret}");
    }
}

#[test]
fn what_the_policy_leaves_to_the_catalogue_is_told_in_its_words() {
    let mut scene = Scene::new();
    scene.ftp(Verdict::NotSecure);
    let detail = scene.cloud.core.show_device("SN-1", false).unwrap();
    let findings = detail.assessment.unwrap().findings;
    let ftp = findings.iter().find(|one| one.id == "net.ftp").unwrap();
    assert_eq!(ftp.expected, "false");
    assert_eq!(ftp.remedy, "Turn the FTP server off.");

    let text = "name = \"House\"\nversion = 2\n[[rules]]\nid = \"net.ftp\"\nne = \"x\"\n\
                remedy = \"Ask IT.\"";
    let policy = policy::parse(text, "p").unwrap();
    scene.cloud.core.set_policy(None, &policy, text).unwrap();
    let detail = scene.cloud.core.show_device("SN-1", false).unwrap();
    let ftp = detail.assessment.unwrap().findings.remove(0);
    assert_eq!(
        (ftp.expected.as_str(), ftp.remedy.as_str()),
        ("not x", "Ask IT.")
    );
}
