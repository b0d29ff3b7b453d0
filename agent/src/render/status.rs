//! The one page for a technician.

use scantrip_cloud_client::text::clock;
use scantrip_cloud_client::wire::{ReportPrinter, ReportScanner};

use super::{bytes, count, job, plain, span, table, time};
use crate::api::{EntryPointView, JobView, StatusView};

/// The status page; `now_ms` is the wall clock.
pub(crate) fn page(status: &StatusView, now_ms: u64) -> String {
    let mut rows = Vec::new();
    let mut row = |name: &str, value: String| rows.push(vec![name.to_owned(), value]);
    row("device:", plain(&status.device_name));
    row("agent:", plain(&status.version));
    for line in status.printer.iter().flat_map(printer) {
        row(line.0, line.1);
    }
    if let Some(told) = &status.scanner {
        row("scanner:", scanner(told));
    }
    row("identity:", identity(status));
    if let Some(ends) = status.certificate_ends_ms {
        row("certificate:", certificate(ends, now_ms));
    }
    row("tenant:", or_unknown(status.tenant.as_deref()));
    row("entry point:", entry_point(status.entry_point.as_ref()));
    for measured in status.entry_point.iter().flat_map(|it| &it.measured) {
        row("", measurement(measured));
    }
    row("last TLS:", or_unknown(status.tls.as_deref()));
    row("last poll:", ago(status.last_poll_ms, now_ms));
    if let Some(seconds) = status.next_poll_seconds {
        row("next poll:", format!("in {}", span(seconds)));
    }
    let skew = status.skew_ms.map(clock);
    let skew = skew.unwrap_or_else(|| "not compared with the cloud yet".to_owned());
    row("clock:", skew);
    row(
        "to be sent:",
        count(status.queued_jobs.into(), "job", "jobs"),
    );
    let (used, most) = (bytes(status.spool_bytes), bytes(status.spool_bytes_max));
    row("spool:", format!("{used} of {most}"));
    let error = status.last_error.as_ref();
    let error = error.map(|(error, at)| format!("{} ({})", plain(error), time(*at)));
    row("last error:", error.unwrap_or_else(|| "none".to_owned()));
    let mut text = table(&rows);
    text.extend(status.drafts.iter().map(draft));
    text
}

/// What the printer told, and each supply on a line of its own.
fn printer((at_ms, told): &(u64, ReportPrinter)) -> Vec<(&'static str, String)> {
    let of_itself = ReportPrinter {
        supplies: Vec::new(),
        ..told.clone()
    };
    let head = format!("{} (asked {})", plain(&of_itself.to_string()), time(*at_ms));
    let supplies = told.supplies.iter();
    let supplies = supplies.map(|supply| ("", format!("  {}", plain(&supply.to_string()))));
    std::iter::once(("printer:", head))
        .chain(supplies)
        .collect()
}

/// What the last scan left behind.
fn scanner(told: &ReportScanner) -> String {
    let Some(reason) = told.reasons.first() else {
        return plain(&told.state);
    };
    let why = match reason.as_str() {
        "media-empty" => "its feeder was empty",
        "media-jam" => "paper jam",
        "multiple-feed-error" => "two sheets went in at once",
        "scan-media-path-input-feed-error" => "its feeder has a fault",
        "cover-open" => "its cover was open",
        "shutdown" => "it did not answer",
        _ => "a fault",
    };
    format!("stopped: {why}; see: scantrip device")
}

fn draft(draft: &JobView) -> String {
    let id = job::short_id(&draft.job);
    let pages = count(draft.pages.into(), "page", "pages");
    let workflow = plain(&draft.workflow);
    format!(
        "draft {id}: {pages} for {workflow}, waits for a decision: \
         scantrip jobs finish|continue|discard {id}\n"
    )
}

fn identity(status: &StatusView) -> String {
    let device = status.device.as_deref().map(plain);
    let device = device.map(|id| format!(" as {id}")).unwrap_or_default();
    let advice = match status.identity.as_str() {
        "not-enrolled" => "; run: scantrip enroll",
        "expired" => "; it is renewed as soon as the cloud can be reached",
        "suspect" => "; the cloud does not know this device, see the last error",
        "revoked" => "; ask the administrator, then run: scantrip enroll",
        _ => "",
    };
    format!("{}{device}{advice}", plain(&status.identity))
}

fn certificate(ends_ms: u64, now_ms: u64) -> String {
    let when = if ends_ms >= now_ms {
        format!("in {}", span((ends_ms - now_ms) / 1000))
    } else {
        format!("{} ago", span((now_ms - ends_ms) / 1000))
    };
    format!("ends {} ({when})", time(ends_ms))
}

fn entry_point(chosen: Option<&EntryPointView>) -> String {
    let chosen = chosen.map(|chosen| {
        let (name, url, why) = (plain(&chosen.name), plain(&chosen.url), plain(&chosen.why));
        format!("{name}, {url} ({why})")
    });
    chosen.unwrap_or_else(|| "none chosen yet".to_owned())
}

fn measurement((name, region, median): &(String, String, Option<u32>)) -> String {
    let time = median.map_or_else(|| "no answer".to_owned(), |ms| format!("{ms} ms"));
    let place = if region.is_empty() {
        String::new()
    } else {
        format!(" ({})", plain(region))
    };
    format!("  {}{place}: {time}", plain(name))
}

fn ago(at_ms: Option<u64>, now_ms: u64) -> String {
    let ago = at_ms.map(|at| {
        format!(
            "{} ({} ago)",
            time(at),
            span(now_ms.saturating_sub(at) / 1000)
        )
    });
    ago.unwrap_or_else(|| "never".to_owned())
}

fn or_unknown(text: Option<&str>) -> String {
    text.map_or_else(|| "not known yet".to_owned(), plain)
}

#[cfg(test)]
mod tests {
    use scantrip_cloud_client::wire::ReportSupply;

    use super::*;

    fn fresh() -> StatusView {
        StatusView {
            version: "0.1.0".to_owned(),
            identity: "not-enrolled".to_owned(),
            device_name: "ScanTrip Simulated MFP, serial 1".to_owned(),
            device: None,
            tenant: None,
            certificate_ends_ms: None,
            entry_point: None,
            tls: None,
            last_poll_ms: None,
            next_poll_seconds: None,
            queued_jobs: 0,
            spool_bytes: 0,
            spool_bytes_max: 2_147_483_648,
            skew_ms: None,
            last_error: None,
            printer: None,
            scanner: None,
            drafts: Vec::new(),
        }
    }

    #[test]
    fn fresh_device_says_what_to_do() {
        assert_eq!(
            page(&fresh(), 0),
            "device:       ScanTrip Simulated MFP, serial 1\n\
             agent:        0.1.0\n\
             identity:     not-enrolled; run: scantrip enroll\n\
             tenant:       not known yet\n\
             entry point:  none chosen yet\n\
             last TLS:     not known yet\n\
             last poll:    never\n\
             clock:        not compared with the cloud yet\n\
             to be sent:   0 jobs\n\
             spool:        0 B of 2.1 GB\n\
             last error:   none\n"
        );
    }

    fn jammed() -> ReportScanner {
        ReportScanner {
            state: "stopped".to_owned(),
            reasons: vec!["media-jam".to_owned()],
        }
    }

    #[test]
    fn enrolled_device_tells_all() {
        let status = StatusView {
            identity: "enrolled".to_owned(),
            device: Some("d-1".to_owned()),
            tenant: Some("Acme".to_owned()),
            certificate_ends_ms: Some(86_400_000 * 90),
            entry_point: Some(EntryPointView {
                name: "Frankfurt".to_owned(),
                url: "https://fra".to_owned(),
                why: "nearest".to_owned(),
                measured: vec![
                    ("Frankfurt".to_owned(), "eu".to_owned(), Some(12)),
                    ("Tokyo".to_owned(), "jp".to_owned(), None),
                    ("alone".to_owned(), String::new(), Some(3)),
                ],
            }),
            tls: Some("TLS 1.2".to_owned()),
            last_poll_ms: Some(60_000),
            next_poll_seconds: Some(45),
            skew_ms: Some(-3_600_000),
            last_error: Some(("no route\n".to_owned(), 0)),
            printer: Some((
                60_000,
                ReportPrinter {
                    state: "stopped".to_owned(),
                    reasons: vec!["media-empty".to_owned()],
                    supplies: vec![ReportSupply {
                        name: "Black\u{1b}[2J".to_owned(),
                        kind: "toner".to_owned(),
                        left_percent: Some(8),
                        low: true,
                    }],
                },
            )),
            scanner: Some(jammed()),
            drafts: vec![JobView {
                job: "0d6ff2b1-59a5".to_owned(),
                workflow: "Invoices".to_owned(),
                pages: 3,
                state: "draft".to_owned(),
                opened_at_ms: 0,
                receipt_code: None,
                outcome: None,
            }],
            ..fresh()
        };
        let text = page(&status, 120_000);
        for line in [
            "printer:      stopped, media-empty (asked 1970-01-01 00:01:00 UTC)",
            "                Black\\u{1b}[2J 8 % LOW",
            "scanner:      stopped: paper jam; see: scantrip device",
            "identity:     enrolled as d-1",
            "certificate:  ends 1970-04-01 00:00:00 UTC (in 89 days)",
            "entry point:  Frankfurt, https://fra (nearest)",
            "                Frankfurt (eu): 12 ms",
            "                Tokyo (jp): no answer",
            "                alone: 3 ms",
            "last poll:    1970-01-01 00:01:00 UTC (60 s ago)",
            "next poll:    in 45 s",
            "clock:        60 min fast, compared with the cloud",
            "last error:   no route\\n (1970-01-01 00:00:00 UTC)",
            "draft 0d6ff2b1: 3 pages for Invoices, waits for a decision: \
             scantrip jobs finish|continue|discard 0d6ff2b1",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line:?} in\n{text}"
            );
        }
    }

    #[test]
    fn a_feeder_with_a_fault_is_not_told_to_have_taken_two_sheets() {
        let told = |reason: &str| {
            scanner(&ReportScanner {
                state: "stopped".to_owned(),
                reasons: vec![reason.to_owned()],
            })
        };
        for (reason, why) in [
            ("scan-media-path-input-feed-error", "its feeder has a fault"),
            ("multiple-feed-error", "two sheets went in at once"),
            ("other", "a fault"),
        ] {
            assert_eq!(
                told(reason),
                format!("stopped: {why}; see: scantrip device")
            );
        }
    }

    #[test]
    fn certificate_of_the_past_is_told() {
        assert_eq!(
            certificate(0, 300_000),
            "ends 1970-01-01 00:00:00 UTC (5 min ago)"
        );
    }
}
