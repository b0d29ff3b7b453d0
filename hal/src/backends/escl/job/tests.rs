//! Timelines: what the device says and what must be asked next. Time is the sum of the waits.

mod doubts;
mod follow;

use proptest::prelude::*;

use super::super::capabilities::Capabilities;
use super::super::settings::clamp;
use super::super::status::{AdfState, State as DeviceState};
use super::*;
use crate::scanner::{ColorMode, DocumentFormat, MediaSize, ScanSettings};

/// A job and what was done with it.
struct Talk {
    job: Job,
    waited: Duration,
}

fn ticket(source: InputSource, color_mode: ColorMode) -> Ticket {
    let source_caps = "<SettingProfiles><SettingProfile><ColorModes><ColorMode>RGB24</ColorMode>\
        <ColorMode>BlackAndWhite1</ColorMode></ColorModes></SettingProfile></SettingProfiles>";
    let text = format!(
        "<ScannerCapabilities><Platen><PlatenInputCaps>{source_caps}</PlatenInputCaps></Platen>\
         <Adf><AdfSimplexInputCaps>{source_caps}</AdfSimplexInputCaps></Adf></ScannerCapabilities>"
    );
    let caps = Capabilities::parse(text.as_bytes()).unwrap();
    let wish = ScanSettings {
        source,
        duplex: false,
        color_mode,
        resolution_dpi: 300,
        media: MediaSize::A4,
        format: DocumentFormat::Jpeg,
    };
    clamp(&caps, &wish).unwrap()
}

const FACTS: Facts = Facts {
    format: DocumentFormat::Jpeg,
    images: 1,
    width: 2480,
    height: 3508,
    late_height: 0,
};

fn whole() -> Answer {
    Answer::Page(FACTS, Duration::from_secs(3))
}

fn code(code: u16) -> Answer {
    Answer::Code(code, None)
}

fn failed() -> Answer {
    Answer::Failed("connection reset".to_owned())
}

/// A status with our job in it.
fn status(adf: AdfState, state: JobState, completed: u32, to_transfer: u32) -> Answer {
    Answer::Status(Status {
        state: DeviceState::Processing,
        adf: Some(adf),
        jobs: vec![JobInfo {
            path: "/eSCL/ScanJobs/7".to_owned(),
            uuid: "7".to_owned(),
            state: Some(state),
            reasons: String::new(),
            completed: Some(completed),
            to_transfer: Some(to_transfer),
        }],
    })
}

/// A status without jobs.
fn idle(adf: AdfState) -> Answer {
    Answer::Status(Status {
        adf: Some(adf),
        ..Status::default()
    })
}

impl Talk {
    fn new(quirks: Quirks) -> Self {
        Self::about(InputSource::Adf, quirks, None)
    }

    fn about(source: InputSource, quirks: Quirks, told: Option<ScannerErrorKind>) -> Self {
        let mut job = Job::new(ticket(source, ColorMode::Rgb24), quirks, told);
        job.start();
        Self {
            job,
            waited: Duration::ZERO,
        }
    }

    /// What is asked next; waits pass.
    fn asks(&mut self) -> &'static str {
        loop {
            match self.job.step() {
                Step::Wait(time) => {
                    self.waited += time;
                    self.job.handle_waited();
                }
                Step::Ask(Ask::Status) => return "status",
                Step::Ask(Ask::Create(_)) => return "create",
                Step::Ask(Ask::Next(path)) => {
                    assert_eq!(path, "/eSCL/ScanJobs/7");
                    return "next";
                }
                Step::Ask(Ask::Delete(_)) => return "delete",
                Step::Done(_) => return "done",
            }
        }
    }

    fn expect(&mut self, asks: &str, answer: Answer) -> &mut Self {
        assert_eq!(self.asks(), asks);
        self.job.handle_answer(answer);
        self
    }

    fn reached(&mut self) -> Result<Done, Fault> {
        assert_eq!(self.asks(), "done");
        match self.job.step() {
            Step::Done(reached) => reached,
            step => panic!("{step:?}"),
        }
    }

    fn kind(&mut self) -> ScannerErrorKind {
        self.reached().unwrap_err().kind
    }

    /// A job that has begun, with so many pages in.
    fn with_pages(quirks: Quirks, pages: u32) -> Self {
        let mut talk = Self::new(quirks);
        talk.expect("status", idle(AdfState::Loaded));
        talk.expect("create", Answer::Created("/eSCL/ScanJobs/7".to_owned()));
        assert_eq!(talk.reached(), Ok(Done::Started));
        for page in 1..=pages {
            talk.job.load();
            talk.expect("next", whole());
            talk.expect(
                "status",
                status(AdfState::Loaded, JobState::Processing, page, 0),
            );
            assert_eq!(talk.reached(), Ok(Done::Page(FACTS)));
        }
        talk.waited = Duration::ZERO;
        talk.job.load();
        talk
    }

    fn pages(pages: u32) -> Self {
        Self::with_pages(Quirks::default(), pages)
    }
}

#[test]
fn a_stack_ends_with_404_and_the_job_is_deleted() {
    let mut talk = Talk::pages(2);
    talk.expect("next", code(404));
    talk.expect("status", status(AdfState::Empty, JobState::Completed, 2, 0));
    talk.expect("delete", code(200));
    assert_eq!(talk.reached(), Ok(Done::End));
    assert!(talk.job.is_over() && talk.waited.is_zero());
}

#[test]
fn the_glass_gives_one_page_and_is_not_asked_again() {
    let mut talk = Talk::about(InputSource::Platen, Quirks::default(), None);
    talk.expect("status", idle(AdfState::Empty));
    talk.expect("create", Answer::Created("/eSCL/ScanJobs/7".to_owned()));
    talk.job.load();
    talk.expect("next", whole());
    talk.expect(
        "status",
        status(AdfState::Empty, JobState::Processing, 1, 0),
    );
    talk.job.load();
    talk.expect("delete", code(404));
    assert_eq!(talk.reached(), Ok(Done::End));
}

#[test]
fn a_feeder_in_trouble_takes_no_job() {
    for (adf, kind) in [
        (AdfState::Empty, ScannerErrorKind::FeederEmpty),
        (AdfState::Jam, ScannerErrorKind::PaperJam),
        (AdfState::HatchOpen, ScannerErrorKind::CoverOpen),
        (AdfState::Multipick, ScannerErrorKind::DoubleFeed),
    ] {
        let mut talk = Talk::new(Quirks::default());
        talk.expect("status", idle(adf));
        assert_eq!(talk.kind(), kind);
    }
    for adf in [AdfState::Processing, AdfState::Other("x".to_owned())] {
        let mut talk = Talk::new(Quirks::default());
        assert_eq!(talk.expect("status", idle(adf)).asks(), "create");
    }
}

#[test]
fn a_jam_that_was_told_before_is_tried_again() {
    let told = Some(ScannerErrorKind::PaperJam);
    let mut talk = Talk::about(InputSource::Adf, Quirks::default(), told);
    talk.expect("status", idle(AdfState::Jam));
    talk.expect("create", code(409));
    talk.expect("status", idle(AdfState::Jam));
    assert_eq!(talk.kind(), ScannerErrorKind::PaperJam);
}

#[test]
fn a_busy_scanner_is_asked_ten_times_a_second_apart() {
    let mut talk = Talk::new(Quirks::default());
    talk.expect("status", idle(AdfState::Loaded));
    for _ in 0..11 {
        talk.expect("create", code(503));
    }
    assert_eq!(talk.waited, Duration::from_secs(10));
    assert_eq!(talk.kind(), ScannerErrorKind::Busy);
}

#[test]
fn retry_after_is_obeyed_within_1_and_30_seconds() {
    for (asked, waited) in [(Some(0), 1), (Some(7), 7), (Some(9999), 30), (None, 1)] {
        let mut talk = Talk::new(Quirks::default());
        talk.expect("status", idle(AdfState::Loaded));
        talk.expect("create", Answer::Code(503, asked));
        assert_eq!(talk.asks(), "create");
        assert_eq!(talk.waited, Duration::from_secs(waited));
    }
}

#[test]
fn black_and_white_that_is_refused_is_asked_for_in_gray() {
    let ticket = ticket(InputSource::Adf, ColorMode::BlackAndWhite1);
    let mut talk = Talk::new(Quirks::default());
    talk.job = Job::new(ticket, Quirks::default(), None);
    talk.job.start();
    talk.expect("status", idle(AdfState::Loaded));
    talk.expect("create", code(409));
    let Step::Ask(Ask::Create(text)) = talk.job.step() else {
        panic!("{:?}", talk.job.step());
    };
    assert!(text.contains("Grayscale8"), "{text}");
    talk.expect("create", code(409));
    talk.expect("status", idle(AdfState::Loaded));
    assert_eq!(talk.kind(), ScannerErrorKind::Unsupported);
}

#[test]
fn a_job_whose_answer_was_lost_is_found_in_the_status() {
    for answer in [failed(), Answer::NoPage("no Location".to_owned(), false)] {
        let mut talk = Talk::new(Quirks::default());
        talk.expect("status", idle(AdfState::Loaded));
        talk.expect("create", answer);
        talk.expect("status", status(AdfState::Loaded, JobState::Pending, 0, 0));
        assert_eq!(talk.reached(), Ok(Done::Started));
        talk.job.load();
        assert_eq!(talk.asks(), "next");
    }
    let mut talk = Talk::new(Quirks::default());
    talk.expect("status", idle(AdfState::Loaded));
    talk.expect("create", failed());
    talk.expect("status", idle(AdfState::Loaded));
    assert_eq!(talk.kind(), ScannerErrorKind::Offline);
}

#[test]
fn a_page_that_is_not_ready_is_waited_for_two_minutes() {
    let running = || status(AdfState::Processing, JobState::Processing, 0, 0);
    let mut talk = Talk::pages(0);
    for answer in (1..=120).map(|second| second % 5 == 0) {
        talk.expect("next", code(503));
        if answer {
            talk.expect("status", running());
        }
    }
    talk.expect("next", whole());
    assert_eq!(talk.waited, Duration::from_secs(120));
    // Nor is it waited for longer when the device asks for much at a time, or tells no status.
    let mut talk = Talk::pages(1);
    for _ in 0..4 {
        talk.expect("next", Answer::Code(503, Some(30)));
    }
    talk.expect("next", Answer::Code(503, Some(30)));
    talk.expect("status", code(404));
    talk.expect("delete", code(200));
    assert_eq!(talk.kind(), ScannerErrorKind::Interrupted);
}

#[test]
fn a_404_while_pages_wait_is_not_the_end() {
    let mut talk = Talk::pages(1);
    talk.expect("next", code(404));
    talk.expect(
        "status",
        status(AdfState::Empty, JobState::Processing, 2, 1),
    );
    talk.expect("next", whole());
    assert_eq!(talk.waited, Duration::from_secs(1));
}

#[test]
fn a_conflict_before_the_end_is_passed_over() {
    let mut talk = Talk::pages(1);
    talk.expect("next", code(409));
    talk.expect(
        "status",
        status(AdfState::Empty, JobState::Processing, 1, 0),
    );
    talk.expect("next", code(404));
    talk.expect("status", status(AdfState::Empty, JobState::Completed, 1, 0));
    talk.expect("delete", code(200));
    assert_eq!(talk.reached(), Ok(Done::End));
}

#[test]
fn a_jam_is_told_whatever_the_page_is_answered_with() {
    for answer in [code(404), code(409), code(410), code(500), failed()] {
        let mut talk = Talk::pages(36);
        talk.expect("next", answer);
        talk.expect("status", status(AdfState::Jam, JobState::Aborted, 36, 0));
        talk.expect("delete", code(404));
        let fault = talk.reached().unwrap_err();
        assert_eq!(fault.kind, ScannerErrorKind::PaperJam);
        assert!(!fault.doubts_last_page);
    }
}

#[test]
fn a_jam_after_a_page_that_did_not_arrive_says_so() {
    let mut talk = Talk::pages(36);
    talk.expect("next", code(404));
    talk.expect("status", status(AdfState::Jam, JobState::Aborted, 37, 0));
    talk.expect("delete", code(200));
    let fault = talk.reached().unwrap_err();
    assert!(
        fault.message.contains("1 went through and did not arrive"),
        "{}",
        fault.message
    );
}

#[test]
fn a_page_that_the_device_takes_back_is_doubted() {
    let mut talk = Talk::pages(1);
    talk.expect("next", whole());
    talk.expect("status", status(AdfState::Jam, JobState::Aborted, 1, 0));
    assert_eq!(
        talk.reached(),
        Ok(Done::Page(FACTS)),
        "a whole page is never taken away"
    );
    talk.job.load();
    talk.expect("next", code(404));
    talk.expect("status", status(AdfState::Jam, JobState::Aborted, 1, 0));
    talk.expect("delete", code(200));
    assert!(talk.reached().unwrap_err().doubts_last_page);
}

#[test]
fn a_restart_in_the_middle_is_never_the_end() {
    // The device is back before it is asked again, and knows nothing.
    let mut talk = Talk::pages(2);
    talk.expect("next", code(404));
    for _ in 0..3 {
        talk.expect("status", idle(AdfState::Loaded))
            .expect("next", code(404));
    }
    talk.expect("status", idle(AdfState::Loaded))
        .expect("delete", code(404));
    assert_eq!(talk.kind(), ScannerErrorKind::Interrupted);
    // The connection broke, and the feeder is empty after it.
    let mut talk = Talk::pages(2);
    talk.expect("next", failed());
    talk.expect("status", idle(AdfState::Empty));
    talk.expect("delete", code(404));
    assert_eq!(talk.kind(), ScannerErrorKind::Interrupted);
    // It does not come back.
    let mut talk = Talk::pages(2);
    talk.expect("next", failed());
    for _ in 0..4 {
        talk.expect("status", failed());
    }
    talk.expect("delete", failed());
    assert_eq!(talk.kind(), ScannerErrorKind::Interrupted);
}

#[test]
fn a_connection_that_breaks_before_a_page_is_tried_again() {
    let mut talk = Talk::pages(1);
    talk.expect("next", failed());
    talk.expect(
        "status",
        status(AdfState::Loaded, JobState::Processing, 2, 1),
    );
    talk.expect("next", whole());
    talk.expect(
        "status",
        status(AdfState::Loaded, JobState::Processing, 2, 0),
    );
    assert_eq!(talk.reached(), Ok(Done::Page(FACTS)));
}

#[test]
fn a_page_lost_on_the_way_is_missed_at_the_end() {
    let mut talk = Talk::pages(1);
    talk.expect("next", failed());
    talk.expect(
        "status",
        status(AdfState::Empty, JobState::Processing, 3, 2),
    );
    talk.expect("next", whole());
    talk.expect(
        "status",
        status(AdfState::Empty, JobState::Processing, 3, 1),
    );
    talk.reached().unwrap();
    talk.job.load();
    for _ in 0..4 {
        talk.expect("next", code(404));
        talk.expect("status", status(AdfState::Empty, JobState::Completed, 3, 0));
    }
    talk.expect("delete", code(200));
    let fault = talk.reached().unwrap_err();
    assert_eq!(fault.kind, ScannerErrorKind::Interrupted);
    assert!(
        fault.message.contains("did not arrive"),
        "{}",
        fault.message
    );
}

#[test]
fn a_page_that_is_cut_off_names_itself_and_ends_the_job() {
    let mut talk = Talk::pages(1);
    talk.expect(
        "next",
        Answer::NoPage("the image is cut off".to_owned(), true),
    );
    talk.expect(
        "status",
        status(AdfState::Loaded, JobState::Processing, 2, 0),
    );
    talk.expect("delete", code(200));
    assert_eq!(talk.kind(), ScannerErrorKind::Truncated);
}

#[test]
fn a_page_without_bytes_is_asked_for_again() {
    let mut talk = Talk::pages(1);
    talk.expect(
        "next",
        Answer::NoPage("the answer has no bytes".to_owned(), false),
    );
    talk.expect(
        "status",
        status(AdfState::Loaded, JobState::Processing, 1, 0),
    );
    talk.expect("next", whole());
}

#[test]
fn a_job_ended_at_the_device_is_told_as_such() {
    let mut talk = Talk::pages(1);
    talk.expect("next", code(410));
    talk.expect("status", status(AdfState::Loaded, JobState::Canceled, 1, 0));
    talk.expect("delete", code(410));
    assert_eq!(talk.kind(), ScannerErrorKind::Cancelled);
}

#[test]
fn counters_that_never_agreed_are_not_believed() {
    let mut talk = Talk::pages(0);
    talk.expect("next", whole());
    talk.expect(
        "status",
        status(AdfState::Empty, JobState::Processing, 9, 4),
    );
    talk.reached().unwrap();
    talk.job.load();
    talk.expect("next", code(404));
    talk.expect("status", status(AdfState::Empty, JobState::Completed, 9, 0));
    talk.expect("delete", code(200));
    assert_eq!(talk.reached(), Ok(Done::End));
}

#[test]
fn an_empty_feeder_that_nobody_saw_is_told_after_a_look() {
    let mut talk = Talk::pages(0);
    for _ in 0..4 {
        talk.expect("next", code(404));
        talk.expect(
            "status",
            status(AdfState::Processing, JobState::Completed, 0, 0),
        );
    }
    talk.expect("delete", code(200));
    assert_eq!(talk.kind(), ScannerErrorKind::FeederEmpty);
}

#[test]
fn quirks_wait_and_spare_the_delete() {
    let quirks = Quirks {
        early_404: true,
        slow_delete: true,
        ..Quirks::default()
    };
    let mut talk = Talk::with_pages(quirks, 1);
    assert_eq!(talk.asks(), "next");
    assert_eq!(
        talk.waited,
        Duration::from_secs(1),
        "half of 3 s, at most 1 s"
    );
    talk.expect("next", code(404));
    talk.expect("status", status(AdfState::Empty, JobState::Completed, 1, 0));
    assert_eq!(talk.reached(), Ok(Done::End));
}

#[test]
fn cancelling_takes_ten_seconds_at_most() {
    let mut talk = Talk::pages(1);
    talk.job.cancel();
    talk.expect("delete", code(200));
    talk.expect(
        "status",
        status(AdfState::Loaded, JobState::Processing, 1, 0),
    );
    talk.expect("status", status(AdfState::Loaded, JobState::Canceled, 1, 0));
    assert_eq!(talk.reached(), Ok(Done::Stopped));
    let mut talk = Talk::pages(1);
    talk.job.cancel();
    talk.expect("delete", code(200));
    for _ in 0..10 {
        let processing = status(AdfState::Loaded, JobState::Processing, 1, 0);
        talk.expect("status", processing);
    }
    assert_eq!(talk.reached(), Ok(Done::Stopped));
    assert_eq!(talk.waited, Duration::from_secs(10));
}

#[test]
fn a_device_that_answers_nothing_is_not_waited_for_to_cancel() {
    let mut talk = Talk::pages(1);
    talk.job.cancel();
    talk.expect("delete", failed());
    talk.expect("status", failed());
    assert_eq!(talk.reached(), Ok(Done::Stopped));
}

#[test]
fn a_stop_gives_the_page_in_hand_up_and_ends_the_job_at_once() {
    let on_its_way: [&[Answer]; 3] = [
        &[],
        &[Answer::NoPage("it was stopped".to_owned(), true)],
        &[Answer::Code(503, Some(30))],
    ];
    for answers in on_its_way {
        let mut talk = Talk::pages(2);
        for answer in answers {
            talk.expect("next", answer.clone());
        }
        talk.job.handle_stop();
        talk.expect("delete", code(200));
        assert!(talk.waited.is_zero(), "{answers:?}");
        talk.expect("status", status(AdfState::Loaded, JobState::Canceled, 2, 0));
        assert_eq!(talk.kind(), ScannerErrorKind::SinkRefused);
        assert!(talk.job.is_over() && talk.job.pages() == 2);
    }
}

#[test]
fn a_stop_before_the_job_asks_for_none() {
    let before: [&[(&str, Answer)]; 4] = [
        &[],
        &[("status", code(503))],
        // The look at the status was given up.
        &[("status", failed())],
        &[("status", idle(AdfState::Loaded)), ("create", code(503))],
    ];
    for answers in before {
        let mut talk = Talk::new(Quirks::default());
        for (ask, answer) in answers {
            talk.expect(ask, answer.clone());
        }
        assert!(talk.job.handle_stop());
        assert_eq!(talk.kind(), ScannerErrorKind::SinkRefused, "{answers:?}");
        assert!(talk.job.is_over());
    }
}

#[test]
fn a_stop_while_the_job_is_asked_for_ends_it_once_it_is_known() {
    for lost in [false, true] {
        let mut talk = Talk::new(Quirks::default());
        talk.expect("status", idle(AdfState::Loaded));
        assert!(
            !talk.job.only_waits(),
            "a new job is never given up half-way"
        );
        if lost {
            talk.expect("create", failed());
            assert!(!talk.job.handle_stop(), "it is to come again");
            let found = status(AdfState::Loaded, JobState::Processing, 0, 0);
            talk.expect("status", found);
        } else {
            let created = Answer::Created("/eSCL/ScanJobs/7".to_owned());
            talk.expect("create", created);
        }
        assert!(talk.job.handle_stop());
        talk.expect("delete", code(200));
        talk.expect("status", status(AdfState::Loaded, JobState::Canceled, 0, 0));
        assert_eq!(talk.kind(), ScannerErrorKind::SinkRefused);
        assert!(talk.job.is_over());
    }
}

#[test]
fn a_stop_takes_no_whole_page_away() {
    let mut talk = Talk::pages(2);
    talk.expect("next", whole());
    talk.job.handle_stop();
    talk.expect(
        "status",
        status(AdfState::Loaded, JobState::Processing, 3, 0),
    );
    assert_eq!(talk.reached(), Ok(Done::Page(FACTS)));
}

#[test]
fn a_job_is_found_in_the_status_without_the_query_of_its_address() {
    let mut talk = Talk::new(Quirks::default());
    talk.expect("status", idle(AdfState::Loaded));
    let path = "/eSCL/ScanJobs/7?session=abc".to_owned();
    talk.expect("create", Answer::Created(path.clone()));
    talk.job.load();
    assert_eq!(talk.job.step(), Step::Ask(Ask::Next(path)));
    talk.job.handle_answer(code(410));
    talk.expect("status", status(AdfState::Jam, JobState::Aborted, 0, 0));
    talk.expect("delete", code(200));
    assert_eq!(talk.kind(), ScannerErrorKind::PaperJam);
    assert!(talk.job.listed);
}

fn any_status() -> impl Strategy<Value = Answer> {
    let adf = prop_oneof![
        Just(AdfState::Loaded),
        Just(AdfState::Empty),
        Just(AdfState::Jam),
        Just(AdfState::Processing),
    ];
    let state = prop_oneof![
        Just(JobState::Processing),
        Just(JobState::Completed),
        Just(JobState::Aborted),
        Just(JobState::Canceled),
    ];
    (adf, state, 0_u32..5, 0_u32..3, any::<bool>()).prop_map(|(adf, state, done, left, listed)| {
        match listed {
            true => status(adf, state, done, left),
            false => idle(adf),
        }
    })
}

/// What becomes of a job that follows.
fn any_created() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(Answer::Created("/eSCL/ScanJobs/7".to_owned())),
        1 => prop_oneof![Just(409_u16), Just(500), Just(503)].prop_map(code),
        1 => Just(failed()),
    ]
}

fn any_answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        4 => Just(whole()),
        1 => prop_oneof![Just(404_u16), Just(409), Just(410), Just(500), Just(503)].prop_map(code),
        1 => any::<bool>().prop_map(|passed| Answer::NoPage("cut".to_owned(), passed)),
        1 => Just(failed()),
        1 => Just(Answer::Unsent("connection refused".to_owned())),
    ]
}

proptest! {
    /// Whatever the device says: every job ends, no whole page is dropped or made up, the device is
    /// told, and the end is never believed after a load that broke off for good, or with paper in a
    /// feeder that tells when it is empty.
    #[test]
    fn every_job_ends_and_counts_what_came(
        answers in proptest::collection::vec(any_answer(), 1..40),
        statuses in proptest::collection::vec(any_status(), 1..40),
        creates in proptest::collection::vec(any_created(), 1..10),
        tells_empty: bool,
    ) {
        let mut talk = Talk::pages(0);
        talk.job = talk.job.with_feeder(tells_empty, false);
        let (mut answers, mut statuses) = (answers.iter().cycle(), statuses.iter().cycle());
        let (mut creates, mut loaded) = (creates.iter().cycle(), false);
        let (mut came, mut told, mut deleted, mut broken) = (0, 0, 0, false);
        for _ in 0..4000 {
            match talk.asks() {
                "next" => {
                    let answer = answers.next().unwrap().clone();
                    came += u32::from(matches!(answer, Answer::Page(..)));
                    broken = match &answer {
                        Answer::Page(..) => false,
                        Answer::Failed(_) | Answer::NoPage(..) => true,
                        _ => broken,
                    };
                    talk.job.handle_answer(answer);
                }
                "status" => {
                    let mut answer = statuses.next().unwrap().clone();
                    if let Answer::Status(status) = &mut answer {
                        loaded = status.adf == Some(AdfState::Loaded);
                        // Most devices count right, or nothing would follow.
                        for job in status.jobs.iter_mut().filter(|job| job.completed >= Some(2)) {
                            job.completed = Some(talk.job.received);
                        }
                    }
                    talk.job.handle_answer(answer);
                }
                "create" => talk.job.handle_answer(creates.next().unwrap().clone()),
                "delete" => {
                    deleted += 1;
                    talk.job.handle_answer(code(200));
                }
                _ => match talk.reached() {
                    Ok(Done::Page(_)) if told < 30 => {
                        told += 1;
                        talk.job.load();
                    }
                    Ok(Done::Page(_)) => {
                        told += 1;
                        talk.job.cancel();
                    }
                    reached => {
                        prop_assert_eq!(came, told);
                        prop_assert!(talk.job.is_over() && deleted >= 1);
                        prop_assert!(reached != Ok(Done::End) || came > 0);
                        let left = loaded && talk.job.tells_empty();
                        prop_assert!(!(reached == Ok(Done::End) && left));
                        prop_assert!(!(reached == Ok(Done::End) && broken) || came > 0);
                        return Ok(());
                    }
                },
            }
        }
        prop_assert!(false, "the job does not end");
    }
}
