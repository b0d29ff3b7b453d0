//! What stopped a job, in the words of the scanner's trait.

use super::super::status::{AdfState, JobInfo, JobState, Status};
use super::Job;
use crate::scanner::ScannerErrorKind;

/// Of a feeder without paper.
pub(super) const NO_PAPER: &str = "there is no paper in the feeder";

/// Of a feeder that does not tell whether there is paper, and does not feed.
pub(super) const PERHAPS_NO_PAPER: &str =
    "the scanner does not feed; there is probably no paper in the feeder";

/// Of a feeder that tells when it is empty, and tells of paper that no other job has scanned.
pub(super) const PAPER_LEFT: &str =
    "the scanner ended the job with paper left in the feeder, and does not feed it";

/// Of a feeder that tells of a jam when a job begins, and of none before (Canon MF410, Xerox 3345).
pub(super) const JAM_WITHOUT_PAPER: &str =
    "the scanner tells of a jam and has fed nothing; there is probably no paper in the feeder";

/// What stopped a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Fault {
    /// Its class.
    pub(crate) kind: ScannerErrorKind,
    /// What happened, for people; lower case, no full stop.
    pub(crate) message: String,
    /// Whether the last whole page should be looked at.
    pub(crate) doubts_last_page: bool,
}

impl Fault {
    pub(super) fn new(kind: ScannerErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            doubts_last_page: false,
        }
    }
}

/// The fault that the feeder tells, if it is one that stops paper.
pub(super) fn of_feeder(adf: &AdfState) -> Option<Fault> {
    use ScannerErrorKind as Kind;
    let (kind, message) = match adf {
        AdfState::Jam => (Kind::PaperJam, "paper is stuck"),
        AdfState::Mispick => (Kind::FeederFault, "a sheet was not taken in"),
        AdfState::Multipick => (Kind::DoubleFeed, "two sheets went in at once"),
        AdfState::HatchOpen => (Kind::CoverOpen, "the feeder's cover is open"),
        AdfState::DuplexSize => (
            Kind::DuplexSize,
            "the paper is too short or too long for both sides",
        ),
        AdfState::Tray => (
            Kind::FeederFault,
            "the feeder's tray has a fault or holds too much",
        ),
        AdfState::Processing | AdfState::Loaded | AdfState::Empty | AdfState::Other(_) => {
            return None;
        }
    };
    Some(Fault::new(kind, message))
}

impl Job {
    /// The fault that the status tells of this job, if it tells one.
    pub(super) fn told_fault(&self, status: &Status, job: Option<&JobInfo>) -> Option<Fault> {
        let ended = job.and_then(|job| job.state);
        if ended == Some(JobState::Canceled) {
            let fault = Fault::new(
                ScannerErrorKind::Cancelled,
                "the job was ended at the device",
            );
            return Some(self.with_counts(fault));
        }
        let feeder = status.adf.as_ref().filter(|_| !self.glass());
        // Of a job that was completed the feeder's state says nothing any more.
        let of_feeder = feeder
            .and_then(of_feeder)
            .filter(|_| ended != Some(JobState::Completed));
        // Devices that cannot see paper give up at the first sheet (AirSane; Kyocera and Epson say
        // `Processing` of an empty feeder).
        let without_paper =
            ended == Some(JobState::Aborted) && self.received == 0 && !self.keeps_a_page(job);
        let reasons = job.map_or("", |job| job.reasons.as_str());
        // No reason, whatever NAPS2 says.
        let unexplained = matches!(reasons, "" | "JobCompletedSuccessfully");
        let not_ready = reasons.contains("ResourcesAreNotReady");
        let of_feeder = of_feeder.or_else(|| match feeder? {
            AdfState::Empty if without_paper => {
                Some(Fault::new(ScannerErrorKind::FeederEmpty, NO_PAPER))
            }
            // A job that has followed another one may have been asked for by a status that lies.
            state @ (AdfState::Processing | AdfState::Loaded)
                if without_paper
                    && match self.earlier > 0 {
                        true => not_ready || unexplained,
                        false => not_ready && *state == AdfState::Processing,
                    } =>
            {
                Some(Fault::new(ScannerErrorKind::FeederEmpty, PERHAPS_NO_PAPER))
            }
            _ => None,
        });
        let fault = of_feeder.or_else(|| {
            if ended != Some(JobState::Aborted) {
                return None;
            }
            let before = match self.received == 0 && feeder.is_some() {
                true => " before its first page; is there paper in the feeder?",
                false => "",
            };
            let message = match unexplained {
                true => format!("the scanner gave the job up{before}"),
                false => format!("the scanner gave the job up ({reasons})"),
            };
            Some(Fault::new(ScannerErrorKind::Interrupted, message))
        });
        fault.map(|fault| self.with_counts(fault))
    }

    /// Whether a job that has followed another one has scanned a page and given none: the one before
    /// it counted right, or none would follow.
    pub(super) fn keeps_a_page(&self, job: Option<&JobInfo>) -> bool {
        let counted = job.and_then(|job| job.completed);
        self.earlier > 0 && self.received == 0 && counted.is_some_and(|count| count > 0)
    }

    /// What the counters add: a page that was scanned and is lost, or one too many here.
    pub(super) fn with_counts(&self, mut fault: Fault) -> Fault {
        use ScannerErrorKind as Kind;
        fault.doubts_last_page |= self.doubtful && self.received > 0;
        if self.counted.is_believed() {
            if self.counted.completed > self.received {
                let lost = self.counted.completed - self.received;
                fault.message =
                    format!("{}; {lost} went through and did not arrive", fault.message);
                // What is stuck or was not taken in is then perhaps not the page to go on from.
                if let Kind::PaperJam | Kind::DoubleFeed | Kind::CoverOpen | Kind::FeederFault =
                    fault.kind
                {
                    fault.kind = Kind::Interrupted;
                }
            } else if self.counted.completed < self.received {
                fault.doubts_last_page = true;
            }
        }
        fault
    }
}
