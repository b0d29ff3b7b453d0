//! A job while it runs: each event as a line, and one live line while pages move.

use std::time::Duration;

use scantrip_hal::clock::Instant;

use super::{bytes, count, plain};
use crate::api::JobEvent;

/// Something to show.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Shown {
    /// Nothing: the words for it are not known here.
    Nothing,
    /// A line that stays.
    Line(String),
    /// The line that a terminal rewrites. Elsewhere it is written only at milestones.
    Live {
        /// What to show.
        text: String,
        /// Worth a line of its own where nothing can be rewritten.
        milestone: bool,
    },
}

/// What is known of a job from its events so far.
#[derive(Debug, Default)]
pub(crate) struct Progress {
    pages: u32,
    page_bytes: u64,
    feeding: Option<Feeding>,
    sending_since: Option<(Instant, u64)>,
    sent: u64,
    total: u64,
    quarters_told: u64,
}

/// When this stack began, and how many pages there were before.
#[derive(Debug)]
struct Feeding {
    since: Instant,
    pages_before: u32,
}

impl Progress {
    /// Takes an event; tells what to show.
    pub(crate) fn handle(&mut self, event: &JobEvent, now: Instant) -> Shown {
        Shown::Line(match event {
            JobEvent::Adapted { message } => plain(message),
            JobEvent::Feeding => {
                self.feeding = Some(Feeding {
                    since: now,
                    pages_before: self.pages,
                });
                "feeding paper (Ctrl-C stops it; saved pages stay)".to_owned()
            }
            JobEvent::PageSaved { page, bytes } => {
                self.pages = self.pages.max(*page);
                self.page_bytes = self.page_bytes.saturating_add(*bytes);
                return self.live(now, true);
            }
            JobEvent::Sending { sent, total } => return self.sending(*sent, *total, now),
            JobEvent::Paused { message, .. } => {
                self.feeding = None;
                let saved = count(self.pages.into(), "page stays", "pages stay");
                format!("paused: {}; {saved} saved", plain(message))
            }
            JobEvent::StackEnd => {
                self.feeding = None;
                format!("the stack is through: {}", self.pages_text())
            }
            JobEvent::Saved { pages } => {
                self.feeding = None;
                self.pages = *pages;
                format!("saved here: {}, sealed; will be sent", self.pages_text())
            }
            JobEvent::Waiting { message } => format!("waiting: {}", plain(message)),
            JobEvent::Received {
                receipt_code,
                sealed_bytes,
            } => format!(
                "received by the cloud: receipt {}, {} sealed",
                plain(receipt_code),
                bytes(*sealed_bytes)
            ),
            JobEvent::Delivered { place, name } => {
                format!("delivered: {} in {}", plain(name), plain(place))
            }
            JobEvent::Failed { message } => format!("failed: {}", plain(message)),
            JobEvent::Discarded => "thrown away".to_owned(),
            JobEvent::Other => return Shown::Nothing,
        })
    }

    fn sending(&mut self, sent: u64, total: u64, now: Instant) -> Shown {
        if self.sending_since.is_none() {
            self.sending_since = Some((now, sent));
        }
        self.sent = sent;
        self.total = total;
        // While paper moves, the pages are the milestones and the total still grows.
        let quarters = percent(sent, total) / 25;
        let milestone = self.feeding.is_none() && quarters > self.quarters_told;
        if milestone {
            self.quarters_told = quarters;
        }
        self.live(now, milestone)
    }

    fn live(&self, now: Instant, milestone: bool) -> Shown {
        let mut parts = Vec::new();
        if let Some(feeding) = &self.feeding {
            let mut part = format!("page {} saved, {}", self.pages, bytes(self.page_bytes));
            let fed = u64::from(self.pages.saturating_sub(feeding.pages_before));
            if let Some(speed) = per_second(fed * 60, now.since(feeding.since)) {
                part.push_str(&format!(", {speed} pages/min"));
            }
            parts.push(part);
        }
        if self.total > 0 {
            let percent = percent(self.sent, self.total);
            let (sent, total) = (bytes(self.sent), bytes(self.total));
            let mut part = format!("sent {sent} of {total} ({percent} %)");
            let speed = self
                .sending_since
                .and_then(|(since, at)| per_second(self.sent.saturating_sub(at), now.since(since)));
            if let Some(speed) = speed {
                part.push_str(&format!(", {}/s", bytes(speed)));
            }
            parts.push(part);
        }
        if parts.is_empty() {
            parts.push(self.pages_text());
        }
        Shown::Live {
            text: parts.join("; "),
            milestone,
        }
    }

    fn pages_text(&self) -> String {
        count(self.pages.into(), "page", "pages")
    }
}

fn percent(part: u64, whole: u64) -> u64 {
    let percent = u128::from(part) * 100 / u128::from(whole.max(1));
    u64::try_from(percent.min(100)).unwrap_or(100)
}

/// A rate, once a second has passed; before, it says nothing.
fn per_second(number: u64, passed: Duration) -> Option<u64> {
    let ms = passed.as_millis();
    if ms < 1000 {
        return None;
    }
    let rate = u64::try_from(u128::from(number) * 1000 / ms).ok()?;
    (rate > 0).then_some(rate)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(ms: u64) -> Instant {
        Instant::from_millis(ms)
    }

    fn live(text: &str, milestone: bool) -> Shown {
        Shown::Live {
            text: text.to_owned(),
            milestone,
        }
    }

    #[test]
    fn pages_and_bytes_are_counted_while_feeding() {
        let mut progress = Progress::default();
        assert!(matches!(
            progress.handle(&JobEvent::Feeding, at(0)),
            Shown::Line(_)
        ));
        let page = |page| JobEvent::PageSaved {
            page,
            bytes: 600_000,
        };
        assert_eq!(
            progress.handle(&page(1), at(500)),
            live("page 1 saved, 600 kB", true)
        );
        assert_eq!(
            progress.handle(&page(2), at(3_000)),
            live("page 2 saved, 1.2 MB, 40 pages/min", true)
        );
        let sending = JobEvent::Sending {
            sent: 300_000,
            total: 1_200_000,
        };
        assert_eq!(
            progress.handle(&sending, at(3_000)),
            live(
                "page 2 saved, 1.2 MB, 40 pages/min; sent 300 kB of 1.2 MB (25 %)",
                false
            )
        );
    }

    #[test]
    fn sending_tells_share_and_rate_and_each_quarter() {
        let mut progress = Progress::default();
        let mut sending = |sent, ms| {
            let total = 10_000_000;
            progress.handle(&JobEvent::Sending { sent, total }, at(ms))
        };
        assert_eq!(sending(0, 0), live("sent 0 B of 10.0 MB (0 %)", false));
        assert_eq!(
            sending(3_000_000, 1_500),
            live("sent 3.0 MB of 10.0 MB (30 %), 2.0 MB/s", true)
        );
        assert_eq!(
            sending(4_000_000, 2_000),
            live("sent 4.0 MB of 10.0 MB (40 %), 2.0 MB/s", false)
        );
        assert_eq!(
            sending(10_000_000, 5_000),
            live("sent 10.0 MB of 10.0 MB (100 %), 2.0 MB/s", true)
        );
    }

    #[test]
    fn results_are_plain_words() {
        let mut progress = Progress::default();
        let mut line = |event: JobEvent| match progress.handle(&event, at(0)) {
            Shown::Line(line) => line,
            other => panic!("no line: {other:?}"),
        };
        assert_eq!(
            line(JobEvent::Saved { pages: 1 }),
            "saved here: 1 page, sealed; will be sent"
        );
        let message = "paper jam: clear it and put page 2 back".to_owned();
        assert_eq!(
            line(JobEvent::Paused {
                message,
                resumable: true,
                doubts: None,
            }),
            "paused: paper jam: clear it and put page 2 back; 1 page stays saved"
        );
        let received = JobEvent::Received {
            receipt_code: "7K3M9P".to_owned(),
            sealed_bytes: 20_100_000,
        };
        assert_eq!(
            line(received),
            "received by the cloud: receipt 7K3M9P, 20.1 MB sealed"
        );
        let delivered = JobEvent::Delivered {
            place: "out".to_owned(),
            name: "a\x07.pdf".to_owned(),
        };
        assert_eq!(line(delivered), "delivered: a\\u{7}.pdf in out");
    }

    #[test]
    fn nonsense_numbers_do_no_harm() {
        let mut progress = Progress::default();
        let sending = JobEvent::Sending {
            sent: u64::MAX,
            total: 1,
        };
        assert!(matches!(
            progress.handle(&sending, at(0)),
            Shown::Live { .. }
        ));
    }
}
