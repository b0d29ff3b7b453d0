//! `ScannerStatus` (eSCL section 9): what a device says it is doing. It may lie.

use super::xml::{self, XmlError};
use crate::scanner::{AdfState as HalAdfState, ScannerState as HalScannerState, ScannerStatus};

/// Jobs looked at; devices keep ten.
const JOBS_MAX: usize = 64;

/// What a device says it is doing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Status {
    /// The device.
    pub(crate) state: State,
    /// The feeder; none when there is none.
    pub(crate) adf: Option<AdfState>,
    /// Its jobs, in the order of the document.
    pub(crate) jobs: Vec<JobInfo>,
}

/// `State`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum State {
    /// Ready. Also what is not told.
    #[default]
    Idle,
    /// At work.
    Processing,
    /// Warming up or calibrating.
    Testing,
    /// Stopped by an error.
    Stopped,
    /// Out of service.
    Down,
}

/// `AdfState`, with the values of AirSane that are not in the standard.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum AdfState {
    /// No problem; says nothing of paper (Kyocera and Epson: also when empty).
    Processing,
    /// Paper is in it.
    Loaded,
    /// No paper is in it.
    Empty,
    /// Paper is stuck.
    Jam,
    /// A sheet was not taken in.
    Mispick,
    /// Two sheets went in at once.
    Multipick,
    /// Its cover is open.
    HatchOpen,
    /// The paper is too short or too long for both sides.
    DuplexSize,
    /// The tray has a fault or holds too much.
    Tray,
    /// Something else.
    Other(String),
}

/// One of the device's jobs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct JobInfo {
    /// The path of its URI.
    pub(crate) path: String,
    /// Its UUID, which need not be one, without `urn:uuid:`.
    pub(crate) uuid: String,
    /// How far it is.
    pub(crate) state: Option<JobState>,
    /// Why, in the words of PWG, joined.
    pub(crate) reasons: String,
    /// Images scanned.
    pub(crate) completed: Option<u32>,
    /// Images scanned and not yet fetched.
    pub(crate) to_transfer: Option<u32>,
}

/// `JobState`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum JobState {
    /// Waits.
    Pending,
    /// At work.
    Processing,
    /// Done.
    Completed,
    /// Ended by a person.
    Canceled,
    /// Ended by the device.
    Aborted,
}

impl Status {
    /// Whether a feeder at rest tells of no problem and no paper, as Kyocera and Epson do of an
    /// empty one.
    pub(crate) fn rests(&self) -> bool {
        self.state == State::Idle && self.adf == Some(AdfState::Processing)
    }

    /// Reads the document.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, XmlError> {
        let root = xml::parse(bytes)?;
        if root.name != "ScannerStatus" {
            return Err(XmlError::Malformed(0));
        }
        let jobs = root.below("JobInfo").into_iter().take(JOBS_MAX);
        let jobs = jobs.map(|job| {
            let reasons = job.below("JobStateReason");
            let reasons: Vec<&str> = reasons.iter().map(|it| it.text.as_str()).take(8).collect();
            let state = job.text_of("JobState").and_then(job_state);
            // No person has ended it, whatever go-mfp calls that.
            let state = match reasons.contains(&"AbortedBySystem") {
                true if state == Some(JobState::Canceled) => Some(JobState::Aborted),
                _ => state,
            };
            JobInfo {
                path: path_of(job.text_of("JobUri").unwrap_or_default()).to_owned(),
                uuid: bare(job.text_of("JobUuid").unwrap_or_default()).to_owned(),
                state,
                reasons: reasons.join(", "),
                completed: job.number("ImagesCompleted"),
                to_transfer: job.number("ImagesToTransfer"),
            }
        });
        Ok(Self {
            state: root.text_of("State").map(state).unwrap_or_default(),
            adf: root.text_of("AdfState").map(adf_state),
            jobs: jobs.collect(),
        })
    }

    /// What the rest of the program needs to know.
    pub(crate) fn scanner(&self) -> ScannerStatus {
        let state = match self.state {
            State::Idle => HalScannerState::Idle,
            State::Processing | State::Testing => HalScannerState::Processing,
            State::Stopped => HalScannerState::Stopped,
            State::Down => HalScannerState::Down,
        };
        let adf = self.adf.as_ref().map(|adf| match adf {
            AdfState::Loaded => HalAdfState::Loaded,
            AdfState::Empty => HalAdfState::Empty,
            AdfState::Jam => HalAdfState::Jam,
            AdfState::Multipick => HalAdfState::MultipickDetected,
            AdfState::HatchOpen => HalAdfState::HatchOpen,
            AdfState::Mispick | AdfState::DuplexSize | AdfState::Tray => HalAdfState::Fault,
            AdfState::Processing | AdfState::Other(_) => HalAdfState::Processing,
        });
        ScannerStatus { state, adf }
    }
}

/// The path of a URI, whatever stands before it: hosts in there are often wrong, and half an IPv6
/// address was seen as well.
pub(crate) fn path_of(uri: &str) -> &str {
    let uri = uri.trim();
    let rest = match uri.split_once("://") {
        Some((scheme, rest)) if scheme.chars().all(|it| it.is_ascii_alphanumeric()) => rest,
        _ => return uri.trim_end_matches('/'),
    };
    let start = rest.find('/').unwrap_or(rest.len());
    rest.get(start..).unwrap_or_default().trim_end_matches('/')
}

/// A path without its query.
pub(crate) fn bare_path(path: &str) -> &str {
    path.split('?').next().unwrap_or_default()
}

/// The name of a job at the end of its path, or its UUID, without `urn:uuid:`.
pub(crate) fn bare(name: &str) -> &str {
    let name = name.rsplit('/').next().unwrap_or_default();
    let (start, rest) = name
        .split_at_checked("urn:uuid:".len())
        .unwrap_or((name, ""));
    if start.eq_ignore_ascii_case("urn:uuid:") {
        rest
    } else {
        name
    }
}

fn state(text: &str) -> State {
    match text {
        "Processing" => State::Processing,
        "Testing" => State::Testing,
        "Stopped" => State::Stopped,
        "Down" => State::Down,
        _ => State::Idle,
    }
}

fn adf_state(text: &str) -> AdfState {
    match text.strip_prefix("ScannerAdf").unwrap_or(text) {
        "Processing" => AdfState::Processing,
        "Loaded" => AdfState::Loaded,
        "Empty" => AdfState::Empty,
        "Jam" => AdfState::Jam,
        "Mispick" => AdfState::Mispick,
        "MultipickDetected" => AdfState::Multipick,
        "HatchOpen" | "DoorOpen" => AdfState::HatchOpen,
        "DuplexPageTooShort" | "DuplexPageTooLong" => AdfState::DuplexSize,
        "InputTrayFailed" | "InputTrayOverloaded" => AdfState::Tray,
        _ => AdfState::Other(text.chars().take(40).collect()),
    }
}

fn job_state(text: &str) -> Option<JobState> {
    Some(match text {
        "Pending" | "PendingHeld" => JobState::Pending,
        "Processing" => JobState::Processing,
        "Completed" => JobState::Completed,
        "Canceled" | "Cancelled" => JobState::Canceled,
        "Aborted" => JobState::Aborted,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn state_feeder_and_jobs_are_read() {
        let text = "<s:ScannerStatus xmlns:s='x'><p:State xmlns:p='y'>Processing</p:State>\
            <AdfState>ScannerAdfDoorOpen</AdfState><Jobs><JobInfo>\
            <JobUri>http://[fe80::1/eSCL/ScanJobs/urn:uuid:7/</JobUri>\
            <ImagesCompleted> 2 </ImagesCompleted><ImagesToTransfer>1</ImagesToTransfer>\
            <JobState>Aborted</JobState><JobStateReasons><JobStateReason>a</JobStateReason>\
            <JobStateReason>b</JobStateReason></JobStateReasons></JobInfo><JobInfo/></Jobs>\
            </s:ScannerStatus>";
        let status = Status::parse(text.as_bytes()).unwrap();
        assert_eq!(status.state, State::Processing);
        assert_eq!(status.adf, Some(AdfState::HatchOpen));
        let expected = JobInfo {
            path: "/eSCL/ScanJobs/urn:uuid:7".to_owned(),
            uuid: String::new(),
            state: Some(JobState::Aborted),
            reasons: "a, b".to_owned(),
            completed: Some(2),
            to_transfer: Some(1),
        };
        assert_eq!(status.jobs, [expected, JobInfo::default()]);
    }

    macro_rules! told {
        ($name:literal) => {
            include_str!(concat!(
                "../../../../tests/fixtures/escl/status/",
                $name,
                ".xml"
            ))
        };
    }

    #[test]
    fn what_makers_say_is_read() {
        use AdfState::{Empty, HatchOpen, Jam, Loaded, Processing};
        use JobState::{Aborted, Completed, Processing as Runs};
        let busy = State::Processing;
        for (document, state, adf, job) in [
            (told!("hp-idle"), State::Idle, Some(Empty), None),
            (told!("hp-processing"), busy, Some(Empty), Some((Runs, 0))),
            (told!("hp-jam"), State::Idle, Some(Jam), Some((Aborted, 36))),
            (
                told!("epson-one-page"),
                busy,
                Some(Processing),
                Some((Completed, 1)),
            ),
            (
                told!("epson-empty"),
                State::Idle,
                Some(Empty),
                Some((Completed, 1)),
            ),
            (told!("kyocera-empty"), State::Idle, Some(Processing), None),
            (
                told!("kyocera-processing"),
                busy,
                Some(Processing),
                Some((Runs, 2)),
            ),
            (told!("canon-empty"), State::Idle, Some(Empty), None),
            (
                told!("canon-jam"),
                State::Stopped,
                Some(Jam),
                Some((Aborted, 0)),
            ),
            (
                told!("xerox-jam"),
                State::Idle,
                Some(Jam),
                Some((Aborted, 0)),
            ),
            (
                told!("brother-loaded"),
                State::Idle,
                Some(Loaded),
                Some((Completed, 1)),
            ),
            (told!("airsane-loaded"), State::Idle, Some(Loaded), None),
            (
                told!("airsane-cover"),
                State::Stopped,
                Some(HatchOpen),
                Some((Aborted, 4)),
            ),
            (told!("glass-only"), State::Testing, None, None),
        ] {
            let status = Status::parse(document.as_bytes()).unwrap();
            assert_eq!(status.state, state, "{document}");
            assert_eq!(status.adf, adf, "{document}");
            let jobs = status.jobs.iter();
            let read = jobs.map(|job| job.state.zip(job.completed)).next();
            assert_eq!(read.flatten(), job, "{document}");
            for job in status.jobs {
                assert!(job.path.starts_with("/eSCL/ScanJobs/"), "{document}");
                assert!(
                    !job.uuid.is_empty() && !job.reasons.is_empty(),
                    "{document}"
                );
            }
        }
    }

    #[test]
    fn a_job_that_the_system_has_ended_was_not_cancelled_by_a_person() {
        for (reason, state) in [
            ("AbortedBySystem", JobState::Aborted),
            ("JobCanceledByUser", JobState::Canceled),
        ] {
            let text = format!(
                "<ScannerStatus><JobInfo><JobState>Canceled</JobState><JobStateReasons>\
                 <JobStateReason>{reason}</JobStateReason></JobStateReasons></JobInfo>\
                 </ScannerStatus>"
            );
            let status = Status::parse(text.as_bytes()).unwrap();
            assert_eq!(status.jobs[0].state, Some(state), "{reason}");
        }
    }

    #[test]
    fn a_job_has_one_name_however_it_is_written() {
        for name in ["a-1", "urn:uuid:a-1", "URN:UUID:a-1", "/eSCL/ScanJobs/a-1"] {
            assert_eq!(bare(name), "a-1");
        }
        assert_eq!(bare("urn:uuid:"), "");
        assert_eq!(bare(""), "");
    }

    #[test]
    fn an_unknown_state_of_the_feeder_is_no_fault() {
        let text = "<ScannerStatus><AdfState>ScannerAdfSinging</AdfState></ScannerStatus>";
        let status = Status::parse(text.as_bytes()).unwrap();
        assert_eq!(status.scanner().adf, Some(HalAdfState::Processing));
        assert_eq!(status.scanner().state, HalScannerState::Idle);
    }

    #[test]
    fn only_the_path_of_a_uri_counts() {
        for (uri, path) in [
            ("/eSCL/ScanJobs/7", "/eSCL/ScanJobs/7"),
            (
                "http://wrong.example:99/eSCL/ScanJobs/7/",
                "/eSCL/ScanJobs/7",
            ),
            ("https://[fe80::1/j/urn:uuid:a", "/j/urn:uuid:a"),
            ("urn:uuid:a", "urn:uuid:a"),
            ("http://host", ""),
            ("", ""),
        ] {
            assert_eq!(path_of(uri), path);
        }
    }

    proptest! {
        #[test]
        fn any_document_is_survived(inner in "[<>/A-Za-z0-9 ]{0,80}") {
            let _read = Status::parse(format!("<ScannerStatus>{inner}</ScannerStatus>").as_bytes());
            let _path = path_of(&inner);
        }
    }
}
