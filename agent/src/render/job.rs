//! Jobs: the list and a single one.

use super::{plain, table, time, wrapped};
use crate::api::JobView;

/// Symbols of a job id that a list shows; enough to name one.
const ID_SHOWN: usize = 8;

/// Characters of a line.
const LINE_WIDTH: usize = 80;

/// The list, newest first.
pub(crate) fn list(jobs: &[JobView]) -> String {
    if jobs.is_empty() {
        return "no jobs yet; begin one with: scantrip scan --workflow NAME\n".to_owned();
    }
    let header = [
        "JOB", "OPENED", "WORKFLOW", "PAGES", "STATE", "RECEIPT", "RESULT",
    ];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    for job in jobs {
        rows.push(vec![
            short_id(&job.job),
            time(job.opened_at_ms),
            plain(&job.workflow),
            job.pages.to_string(),
            plain(&job.state),
            job.receipt_code
                .as_deref()
                .map_or_else(|| "-".to_owned(), plain),
            job.outcome.as_deref().map(plain).unwrap_or_default(),
        ]);
    }
    table(&rows)
}

/// One job, and what can be done with it; of a draft with a page in doubt, what was told of it.
pub(crate) fn one(job: &JobView, doubt: Option<(String, u32)>) -> String {
    let mut rows = vec![
        row("job", plain(&job.job)),
        row("workflow", plain(&job.workflow)),
        row("opened", time(job.opened_at_ms)),
        row("pages", job.pages.to_string()),
        row(
            "state",
            format!("{} ({})", plain(&job.state), meaning(&job.state)),
        ),
    ];
    if let Some(code) = &job.receipt_code {
        rows.push(row("receipt", plain(code)));
    }
    if let Some(outcome) = &job.outcome {
        rows.push(row("result", plain(outcome)));
    }
    let mut text = table(&rows);
    if job.state == "draft" {
        let (told, page) = doubt.unzip();
        if let Some(told) = told {
            text.push_str(&wrapped("", &plain(&told), LINE_WIDTH));
        }
        text.push_str(&choices(&job.job, page));
    }
    text
}

/// What a person can do with a draft, of which page `doubts` is perhaps not whole.
pub(crate) fn choices(job: &str, doubts: Option<u32>) -> String {
    let id = short_id(job);
    let again = doubts.map_or_else(String::new, |page| {
        let name = format!("scan page {page} again:");
        format!("{name:20} scantrip jobs continue {id} --again {page}\n")
    });
    format!(
        "scan the rest:       scantrip jobs continue {id}\n\
         {again}\
         send what is saved:  scantrip jobs finish {id}\n\
         throw it away:       scantrip jobs discard {id}\n"
    )
}

/// The first symbols of an id, enough to name a job.
pub(crate) fn short_id(job: &str) -> String {
    plain(&job.chars().take(ID_SHOWN).collect::<String>())
}

fn meaning(state: &str) -> &'static str {
    match state {
        "scanning" => "paper moves",
        "draft" => "saved here, waits for a person",
        "queued" => "saved here, will be sent",
        "sending" => "saved here, on its way",
        "received" => "the cloud has it and has signed for it",
        "delivered" => "at its destination",
        "failed" => "needs a person",
        "discarded" => "thrown away",
        _ => "a state this version does not know",
    }
}

fn row(name: &str, value: String) -> Vec<String> {
    vec![format!("{name}:"), value]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(state: &str) -> JobView {
        JobView {
            job: "0d6ff2b1-59a5-4a34-8a8b-0c8ad8a0e2b4".to_owned(),
            workflow: "Invoices".to_owned(),
            pages: 20,
            state: state.to_owned(),
            opened_at_ms: 0,
            receipt_code: None,
            outcome: None,
        }
    }

    #[test]
    fn list_is_a_table() {
        let mut delivered = job("delivered");
        delivered.receipt_code = Some("7K3M9P".to_owned());
        delivered.outcome = Some("a.pdf in out".to_owned());
        assert_eq!(
            list(&[job("queued"), delivered]),
            "JOB       OPENED                   WORKFLOW  PAGES  STATE      RECEIPT  RESULT\n\
             0d6ff2b1  1970-01-01 00:00:00 UTC  Invoices  20     queued     -\n\
             0d6ff2b1  1970-01-01 00:00:00 UTC  Invoices  20     delivered  7K3M9P   a.pdf in out\n"
        );
        assert!(list(&[]).contains("scantrip scan"));
    }

    #[test]
    fn draft_tells_what_can_be_done() {
        let text = one(&job("draft"), None);
        assert!(
            text.contains("state:     draft (saved here, waits for a person)"),
            "{text}"
        );
        for verb in ["continue", "finish", "discard"] {
            assert!(
                text.contains(&format!("scantrip jobs {verb} 0d6ff2b1")),
                "{text}"
            );
        }
        assert!(!one(&job("queued"), None).contains("jobs finish"));
    }
}
