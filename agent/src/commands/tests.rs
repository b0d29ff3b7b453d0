//! Commands against a service that answers from a script.

use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use scantrip_cloud_client::code::EnrollmentCode;
use scantrip_hal::clock::{Instant, UnixTime};
use scantrip_hal::settings::CATALOGUE;
use zeroize::Zeroizing;

use super::*;
use crate::api::{
    Edit, EnrolledView, JobEvent, JobView, Refusal, RefusalKind, Reply, Request, Service,
};

const JOB: &str = "0d6ff2b1-59a5-4a34-8a8b-0c8ad8a0e2b4";

/// What the agent of a test answers, and what it was asked.
#[derive(Default)]
struct Script {
    replies: Mutex<VecDeque<Result<Reply, Refusal>>>,
    /// Each look for events takes one list; then there are none.
    events: Mutex<VecDeque<Vec<JobEvent>>>,
    asked: Mutex<Vec<Request>>,
    enrolled: Mutex<u32>,
    clock: Arc<Ticking>,
}

/// A clock that goes on with each look for events.
#[derive(Default)]
struct Ticking(Mutex<u64>);

impl Clock for Ticking {
    fn boot(&self) -> Instant {
        Instant::from_millis(*self.0.lock().unwrap())
    }

    fn wall(&self) -> UnixTime {
        UnixTime::from_millis(*self.0.lock().unwrap())
    }
}

impl Service for Script {
    fn call(&self, request: Request) -> Result<Reply, Refusal> {
        self.asked.lock().unwrap().push(request);
        self.replies
            .lock()
            .unwrap()
            .pop_front()
            .expect("no more replies")
    }

    fn enroll(&self, _code: EnrollmentCode) -> Result<EnrolledView, Refusal> {
        *self.enrolled.lock().unwrap() += 1;
        Ok(EnrolledView {
            device: "d-1".to_owned(),
            certificate_ends_ms: 0,
            tls: Some("TLS 1.2".to_owned()),
        })
    }

    fn events(&self, job: &str, _from: usize, wait: Duration) -> Result<Vec<JobEvent>, Refusal> {
        assert_eq!(job, JOB);
        *self.clock.0.lock().unwrap() += u64::try_from(wait.as_millis()).unwrap();
        Ok(self.events.lock().unwrap().pop_front().unwrap_or_default())
    }
}

/// Answers from a list; `None`: nobody is there.
struct Fixed(Option<VecDeque<&'static str>>);

impl Person for Fixed {
    fn is_there(&self) -> bool {
        self.0.is_some()
    }

    fn ask(&mut self, _question: &str) -> io::Result<Option<String>> {
        let answers = self.0.as_mut().expect("nobody is there");
        Ok(answers.pop_front().map(str::to_owned))
    }

    fn ask_hidden(&mut self, question: &str) -> io::Result<Option<Zeroizing<String>>> {
        Ok(self.ask(question)?.map(Zeroizing::new))
    }

    fn piped(&mut self) -> io::Result<Zeroizing<String>> {
        Ok(Zeroizing::new("1234".to_owned()))
    }
}

struct Ran {
    exit: Exit,
    out: String,
    err: String,
    asked: Vec<Request>,
    script: Arc<Script>,
}

/// A command with what the agent answers and what happens.
#[derive(Default)]
struct Case {
    replies: Vec<Result<Reply, Refusal>>,
    events: Vec<Vec<JobEvent>>,
    person: Option<Vec<&'static str>>,
    /// Ctrl-C before the first look for events.
    interrupted: bool,
}

thread_local! {
    static SCRIPT: OnceLock<Arc<Script>> = const { OnceLock::new() };
    static INTERRUPTED: AtomicBool = const { AtomicBool::new(false) };
}

fn open_script(_: &Config, _: &Arc<dyn Clock>, _: Mode) -> Result<Access, Failure> {
    Ok(Access {
        service: SCRIPT.with(|script| Arc::clone(script.get().unwrap())) as _,
        remote: true,
        _lock: None,
    })
}

fn interrupted_script() -> Arc<AtomicBool> {
    let set = INTERRUPTED.with(|flag| flag.load(Ordering::SeqCst));
    Arc::new(AtomicBool::new(set))
}

impl Case {
    fn run(self, line: &str) -> Ran {
        let script = Arc::new(Script {
            replies: Mutex::new(self.replies.into()),
            events: Mutex::new(self.events.into()),
            ..Script::default()
        });
        assert!(
            SCRIPT.with(|it| it.set(Arc::clone(&script)).is_ok()),
            "one run a test"
        );
        INTERRUPTED.with(|flag| flag.store(self.interrupted, Ordering::SeqCst));
        let folder = tempfile::tempdir().unwrap();
        let config = folder.path().join("scantrip.toml");
        #[expect(clippy::disallowed_methods, reason = "a scratch file of this test")]
        std::fs::write(&config, "").unwrap();
        let line = format!("scantrip {line}");
        let mut args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
        args.extend(["--config".into(), config.into()]);
        let matches = Cli::command().try_get_matches_from(args).unwrap();
        let cli = Cli::from_arg_matches(&matches).unwrap();
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let exit = World {
            output: Output::to(&mut out, &mut err, cli.json, false),
            person: Box::new(Fixed(self.person.map(VecDeque::from))),
            clock: Arc::clone(&script.clock) as _,
            open: open_script,
            interrupted: interrupted_script,
        }
        .carry_out(&cli);
        let asked = std::mem::take(&mut *script.asked.lock().unwrap());
        Ran {
            exit,
            out: String::from_utf8(out).unwrap(),
            err: String::from_utf8(err).unwrap(),
            asked,
            script,
        }
    }
}

fn started() -> Result<Reply, Refusal> {
    Ok(Reply::Started {
        job: JOB.to_owned(),
    })
}

fn page(page: u32) -> JobEvent {
    JobEvent::PageSaved {
        page,
        bytes: 600_000,
    }
}

fn received() -> JobEvent {
    JobEvent::Received {
        receipt_code: "7K3M9P".to_owned(),
        sealed_bytes: 1_200_000,
    }
}

fn delivered() -> JobEvent {
    JobEvent::Delivered {
        place: "out".to_owned(),
        name: "a.pdf".to_owned(),
    }
}

fn waiting() -> JobEvent {
    JobEvent::Waiting {
        message: "no route to the cloud; tried again in 2 s".to_owned(),
    }
}

fn paused(resumable: bool) -> JobEvent {
    JobEvent::Paused {
        message: "paper jam: clear it and put page 2 back".to_owned(),
        resumable,
        doubts: None,
    }
}

fn draft() -> Reply {
    Reply::Jobs(vec![JobView {
        job: JOB.to_owned(),
        workflow: "Invoices".to_owned(),
        pages: 2,
        state: "draft".to_owned(),
        opened_at_ms: 0,
        receipt_code: None,
        outcome: None,
    }])
}

fn edit(edit: Edit) -> Request {
    Request::Edit {
        job: JOB.to_owned(),
        edit,
    }
}

#[test]
fn scan_tells_each_step_until_the_delivery() {
    let ran = Case {
        replies: vec![started()],
        events: vec![
            vec![JobEvent::Feeding, page(1), page(2)],
            vec![JobEvent::StackEnd, JobEvent::Saved { pages: 2 }],
            vec![],
            vec![JobEvent::Sending {
                sent: 1_200_000,
                total: 1_200_000,
            }],
            vec![received()],
            vec![delivered()],
        ],
        ..Case::default()
    }
    .run("scan --workflow Invoices --field customer=4711 --duplex --dpi 300 --color gray");
    assert_eq!(ran.exit, Exit::Done);
    assert_eq!(
        ran.out.lines().collect::<Vec<_>>(),
        [
            "feeding paper (Ctrl-C stops it; saved pages stay)",
            "page 1 saved, 600 kB",
            "page 2 saved, 1.2 MB",
            "the stack is through: 2 pages",
            "saved here: 2 pages, sealed; will be sent",
            "sent 1.2 MB of 1.2 MB (100 %)",
            "received by the cloud: receipt 7K3M9P, 1.2 MB sealed",
            "delivered: a.pdf in out",
        ]
    );
    let [Request::Scan(scan)] = ran.asked.as_slice() else {
        panic!("{:?}", ran.asked);
    };
    assert_eq!(scan.fields["customer"], "4711");
    assert_eq!(scan.color_mode.as_deref(), Some("gray"));
    assert_eq!((scan.duplex, scan.resolution_dpi), (Some(true), Some(300)));
    assert!(scan.finish_at_end && scan.source.is_none());
}

#[test]
fn scan_for_a_machine_is_a_line_each() {
    let ran = Case {
        replies: vec![started()],
        events: vec![vec![page(1), received(), delivered()]],
        ..Case::default()
    }
    .run("scan --workflow Invoices --json");
    let lines: Vec<serde_json::Value> = ran
        .out
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert_eq!(lines.len(), 4, "{}", ran.out);
    assert!(lines.iter().all(|line| line["job"] == JOB));
    assert_eq!(lines[0]["event"], "page-saved");
    assert_eq!(lines[1]["receipt_code"], "7K3M9P");
    assert_eq!(lines[3]["result"], "delivered");
    assert_eq!(ran.err, "");
}

#[test]
fn an_event_of_a_newer_agent_is_passed_over() {
    let told = r#"[{"event":"feeding"},{"event":"straightened","page":1,"by":{"degrees":2}}]"#;
    let events: Vec<JobEvent> = serde_json::from_str(told).unwrap();
    let ran = Case {
        replies: vec![started()],
        events: vec![events, vec![page(1), delivered()]],
        ..Case::default()
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert_eq!(
        ran.out.lines().collect::<Vec<_>>(),
        [
            "feeding paper (Ctrl-C stops it; saved pages stay)",
            "page 1 saved, 600 kB",
            "delivered: a.pdf in out",
        ]
    );
}

#[test]
fn scan_without_the_cloud_is_saved_and_done() {
    let ran = Case {
        replies: vec![started()],
        events: vec![vec![page(1), JobEvent::Saved { pages: 1 }], vec![waiting()]],
        ..Case::default()
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.exit, Exit::Done);
    let last = ran.out.lines().last().unwrap();
    assert!(last.starts_with("saved here, will be sent"), "{}", ran.out);
    assert!(last.contains("scantrip jobs show 0d6ff2b1"), "{}", ran.out);
}

#[test]
fn waiting_for_a_delivery_never_gives_up() {
    // A pause of the past is over: something has followed.
    let past = vec![page(1), paused(true), JobEvent::Saved { pages: 1 }];
    let mut events = vec![past, vec![waiting()]];
    events.extend(vec![vec![]; 1000]);
    events.push(vec![received(), delivered()]);
    let ran = Case {
        replies: vec![Ok(draft())],
        events,
        ..Case::default()
    }
    .run("jobs wait 0d6ff2b1");
    assert_eq!(ran.exit, Exit::Done);
    assert!(
        ran.out.ends_with("delivered: a.pdf in out\n"),
        "{}",
        ran.out
    );
}

#[test]
fn scan_does_not_wait_for_a_long_retry() {
    let ran = Case {
        replies: vec![started()],
        events: vec![vec![JobEvent::Saved { pages: 1 }, waiting()]],
        ..Case::default()
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.exit, Exit::Done);
    let passed = ran.script.clock.boot().as_millis();
    assert!((5_000..6_000).contains(&passed), "{passed}");
}

#[test]
fn scan_does_not_wait_for_a_cloud_that_no_door_leads_to() {
    let ran = Case {
        replies: vec![started()],
        events: vec![vec![JobEvent::Saved { pages: 1 }]],
        ..Case::default()
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.exit, Exit::Done);
    let passed = ran.script.clock.boot().as_millis();
    assert!((30_000..31_000).contains(&passed), "{passed}");
}

#[test]
fn scan_ends_with_the_receipt_when_the_delivery_takes_long() {
    let ran = Case {
        replies: vec![started()],
        events: vec![vec![JobEvent::Saved { pages: 1 }, received()]],
        ..Case::default()
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.exit, Exit::Done);
    assert!(ran.out.contains("the cloud has it"), "{}", ran.out);
}

#[test]
fn jam_leaves_a_draft_when_nobody_is_there() {
    let ran = Case {
        replies: vec![started()],
        events: vec![vec![JobEvent::Feeding, page(1), paused(true)]],
        ..Case::default()
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.exit, Exit::Person);
    assert!(
        ran.out
            .contains("paused: paper jam: clear it and put page 2 back; 1 page stays")
    );
    assert!(
        ran.err.contains("scantrip jobs continue 0d6ff2b1"),
        "{}",
        ran.err
    );
    assert_eq!(ran.asked.len(), 1);
}

#[test]
fn jam_is_cleared_by_a_person_who_is_there() {
    let ran = Case {
        replies: vec![started(), Ok(Reply::Done)],
        events: vec![vec![page(1), paused(true)], vec![page(2), delivered()]],
        person: Some(vec!["what?", ""]),
        ..Case::default()
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.exit, Exit::Done);
    assert_eq!(ran.asked[1], edit(Edit::AddMore));
}

#[test]
fn a_page_in_doubt_is_scanned_again_with_one_key() {
    let doubt = JobEvent::Paused {
        message: "page 1 is in doubt".to_owned(),
        resumable: true,
        doubts: Some(1),
    };
    let ran = Case {
        replies: vec![started(), Ok(Reply::Done)],
        events: vec![vec![page(1), doubt], vec![page(1), delivered()]],
        person: Some(vec!["l"]),
        ..Case::default()
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.exit, Exit::Done);
    assert_eq!(ran.asked[1], edit(Edit::Again { page: 1 }));
}

#[test]
fn no_page_is_scanned_again_by_a_key_where_none_is_in_doubt() {
    let ran = Case {
        replies: vec![started(), Ok(Reply::Done)],
        events: vec![vec![page(1), paused(true)], vec![page(2), delivered()]],
        person: Some(vec!["l", ""]),
        ..Case::default()
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.asked[1], edit(Edit::AddMore));
}

#[test]
fn a_draft_goes_on_with_its_last_page_again() {
    let ran = Case {
        replies: vec![Ok(draft()), Ok(Reply::Done)],
        events: vec![vec![], vec![page(2), delivered()]],
        ..Case::default()
    }
    .run("jobs continue 0d6ff2b1 --again 2");
    assert_eq!(ran.asked[1], edit(Edit::Again { page: 2 }));
}

/// A command about a draft of which page 1 is in doubt.
fn doubted(command: &str) -> Ran {
    let doubt = JobEvent::Paused {
        message: "page 1 is in doubt".to_owned(),
        resumable: true,
        doubts: Some(1),
    };
    Case {
        replies: vec![Ok(draft()), Ok(Reply::Done)],
        events: vec![vec![doubt], vec![page(2), delivered()]],
        ..Case::default()
    }
    .run(command)
}

#[test]
fn who_goes_on_with_a_draft_reads_which_page_is_in_doubt() {
    let ran = doubted("jobs continue 0d6ff2b1");
    assert!(ran.out.starts_with("page 1 is in doubt\n"), "{}", ran.out);
}

#[test]
fn who_scans_the_page_in_doubt_again_is_not_told_of_it() {
    let ran = doubted("jobs continue 0d6ff2b1 --again 1");
    assert!(!ran.out.contains("in doubt"), "{}", ran.out);
}

#[test]
fn a_draft_is_shown_with_its_page_in_doubt() {
    let ran = doubted("jobs show 0d6ff2b1");
    assert!(ran.out.contains("page 1 is in doubt\n"), "{}", ran.out);
    assert!(ran.out.contains("--again 1"), "{}", ran.out);
}

#[test]
fn person_may_send_what_is_saved_or_throw_it_away() {
    let ran = Case {
        replies: vec![started(), Ok(Reply::Done), Ok(Reply::Done)],
        events: vec![
            vec![page(1), paused(false)],
            vec![paused(false)],
            vec![JobEvent::Discarded],
        ],
        // Enter does not go on where nothing can go on.
        person: Some(vec!["", "s", "d"]),
        ..Case::default()
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.exit, Exit::Done);
    assert_eq!(ran.asked[1..], [edit(Edit::Finish), edit(Edit::Discard)]);
}

#[test]
fn interrupt_stops_the_feeder_once_and_keeps_pages() {
    let stopped = JobEvent::Paused {
        message: "stopped by a person".to_owned(),
        resumable: true,
        doubts: None,
    };
    let ran = Case {
        replies: vec![started(), Ok(Reply::Done)],
        events: vec![
            vec![JobEvent::Feeding, page(1)],
            vec![page(2)],
            vec![stopped],
        ],
        person: Some(vec![]),
        interrupted: true,
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.exit, Exit::Person);
    assert_eq!(ran.asked[1..], [edit(Edit::Stop)]);
    assert!(
        ran.out
            .contains("stopping the feeder; saved pages stay saved"),
        "{}",
        ran.out
    );
}

#[test]
fn interrupt_while_sending_leaves_the_job_to_the_agent() {
    let ran = Case {
        replies: vec![started()],
        events: vec![vec![JobEvent::Saved { pages: 1 }]],
        interrupted: true,
        ..Case::default()
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.exit, Exit::Done);
    assert_eq!(ran.asked.len(), 1);
    assert!(ran.out.contains("saved here, will be sent"));
}

#[test]
fn held_job_stays_open() {
    let ran = Case {
        replies: vec![started()],
        events: vec![vec![page(1), JobEvent::StackEnd]],
        ..Case::default()
    }
    .run("scan --workflow Invoices --hold");
    assert_eq!(ran.exit, Exit::Done);
    assert!(
        ran.out.contains("scantrip jobs finish 0d6ff2b1"),
        "{}",
        ran.out
    );
    assert!(matches!(&ran.asked[0], Request::Scan(scan) if !scan.finish_at_end));
}

#[test]
fn refusals_have_their_exit_codes() {
    for (kind, exit) in [
        (RefusalKind::Invalid, Exit::Usage),
        (RefusalKind::NotEnrolled, Exit::NotEnrolled),
        (RefusalKind::Busy, Exit::Busy),
        (RefusalKind::Full, Exit::Full),
        (RefusalKind::Refused, Exit::Refused),
        (RefusalKind::Unreachable, Exit::Unreachable),
        (RefusalKind::Scanner, Exit::Person),
        (RefusalKind::Posture, Exit::Posture),
        (RefusalKind::Internal, Exit::Internal),
    ] {
        let refused = move || {
            let message = "why\u{7} and what to do".to_owned();
            Case {
                replies: vec![Err(Refusal { kind, message })],
                ..Case::default()
            }
            .run("scan --workflow Invoices")
        };
        let ran = std::thread::spawn(refused).join().unwrap();
        assert_eq!(ran.exit, exit);
        assert_eq!(ran.err, "scantrip: why\\u{7} and what to do\n");
        assert_eq!(ran.out, "");
    }
}

#[test]
fn failed_job_is_told_once() {
    let ran = Case {
        replies: vec![started()],
        events: vec![vec![JobEvent::Failed {
            message: "the cloud refused the job".to_owned(),
        }]],
        ..Case::default()
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.exit, Exit::Refused);
    assert_eq!(
        (ran.out + &ran.err)
            .matches("the cloud refused the job")
            .count(),
        1
    );
}

#[test]
fn field_given_twice_is_refused() {
    let ran = Case::default().run("scan --workflow Invoices --field a=1 --field a=2");
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("--field a is given twice") && ran.asked.is_empty());
}

#[test]
fn draft_is_found_by_the_beginning_of_its_id() {
    let ran = Case {
        replies: vec![Ok(draft()), Ok(Reply::Done)],
        events: vec![
            vec![page(1), page(2), paused(false)],
            vec![JobEvent::Saved { pages: 2 }, received(), delivered()],
        ],
        ..Case::default()
    }
    .run("jobs finish 0D6F");
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert_eq!(ran.asked[1], edit(Edit::Finish));
    assert!(
        !ran.out.contains("paused"),
        "the past is not told again: {}",
        ran.out
    );
}

#[test]
fn continued_draft_is_finished_at_the_end_of_the_stack() {
    let ran = Case {
        replies: vec![Ok(draft()), Ok(Reply::Done), Ok(Reply::Done)],
        events: vec![
            vec![],
            vec![JobEvent::Feeding, page(3), JobEvent::StackEnd],
            vec![],
            vec![delivered()],
        ],
        ..Case::default()
    }
    .run("jobs continue 0d6ff2b1");
    assert_eq!(ran.exit, Exit::Done);
    assert_eq!(ran.asked[1..], [edit(Edit::AddMore), edit(Edit::Finish)]);
}

#[test]
fn draft_that_finishes_by_itself_is_not_finished_twice() {
    let ran = Case {
        replies: vec![Ok(draft()), Ok(Reply::Done)],
        events: vec![
            vec![],
            vec![page(3), JobEvent::StackEnd],
            vec![JobEvent::Saved { pages: 3 }],
            vec![],
            vec![delivered()],
        ],
        ..Case::default()
    }
    .run("jobs continue 0d6ff2b1");
    assert_eq!(ran.exit, Exit::Done);
    assert_eq!(ran.asked[1..], [edit(Edit::AddMore)]);
}

#[test]
fn early_interrupt_is_repeated_until_the_feeder_hears_it() {
    let busy = Err(Refusal {
        kind: RefusalKind::Busy,
        message: "the scanner is being prepared".to_owned(),
    });
    let ran = Case {
        replies: vec![started(), busy, Ok(Reply::Done)],
        events: vec![vec![], vec![JobEvent::Feeding], vec![], vec![paused(true)]],
        interrupted: true,
        ..Case::default()
    }
    .run("scan --workflow Invoices");
    assert_eq!(ran.exit, Exit::Person);
    assert_eq!(ran.asked[1..], [edit(Edit::Stop), edit(Edit::Stop)]);
    assert_eq!(ran.out.matches("stopping the feeder").count(), 1);
}

#[test]
fn unknown_job_is_refused() {
    let ran = Case {
        replies: vec![Ok(draft())],
        ..Case::default()
    }
    .run("jobs discard ffff");
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("there is no job \"ffff\""), "{}", ran.err);
}

#[test]
fn enrolment_asks_again_after_a_slip() {
    static CODE: OnceLock<String> = OnceLock::new();
    let code = EnrollmentCode::generate(&mut |bytes| bytes.fill(7));
    let code = CODE.get_or_init(|| code.format().to_string());
    let ran = Case {
        person: Some(vec!["ABCD-EFGH-JKMX", code]),
        ..Case::default()
    }
    .run("enroll");
    assert_eq!(ran.exit, Exit::Done, "{}", ran.err);
    assert!(
        ran.err.contains("mistyped") && !ran.err.contains("EFGH"),
        "{}",
        ran.err
    );
    assert!(
        ran.out.contains("enrolled as d-1, over TLS 1.2"),
        "{}",
        ran.out
    );
    assert!(!(ran.out + &ran.err).contains(code.as_str()));
    assert_eq!(*ran.script.enrolled.lock().unwrap(), 1);
}

#[test]
fn code_on_the_command_line_is_refused() {
    for line in ["enroll ABCD-EFGH-JKMN", "enroll --code ABCD-EFGH-JKMN"] {
        let ran = std::thread::spawn(|| Case::default().run(line))
            .join()
            .unwrap();
        assert_eq!(ran.exit, Exit::Usage);
        assert!(
            ran.err.contains("never goes on the command line"),
            "{}",
            ran.err
        );
        assert!(!ran.err.contains("EFGH"));
    }
}

#[test]
fn piped_code_is_tried_once() {
    let ran = Case::default().run("enroll --code-file -");
    assert_eq!(ran.exit, Exit::Usage);
    assert!(ran.err.contains("12 symbols"), "{}", ran.err);
}

fn unsent(unsent_jobs: u32, done: bool) -> Result<Reply, Refusal> {
    Ok(Reply::Unenroll { unsent_jobs, done })
}

#[test]
fn unenrolment_tells_what_would_be_lost_and_asks() {
    let ran = Case {
        replies: vec![unsent(2, false), unsent(2, true)],
        person: Some(vec!["yes"]),
        ..Case::default()
    }
    .run("unenroll");
    assert_eq!(ran.exit, Exit::Done);
    assert!(
        ran.err
            .contains("2 jobs are not in the cloud yet and would be LOST"),
        "{}",
        ran.err
    );
    assert_eq!(ran.asked[1], Request::Unenroll { confirmed: true });
}

#[test]
fn unenrolment_without_consent_changes_nothing() {
    for person in [Some(vec!["no"]), Some(vec![]), None] {
        let refused = move || {
            Case {
                replies: vec![unsent(1, false)],
                person,
                ..Case::default()
            }
            .run("unenroll")
        };
        let ran = std::thread::spawn(refused).join().unwrap();
        assert_eq!(ran.exit, Exit::Usage);
        assert_eq!(ran.asked, [Request::Unenroll { confirmed: false }]);
    }
}

/// A command that cannot have the agent's state.
fn without_state(line: &str, open: Open) -> (Exit, String, String) {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("scantrip.toml");
    let text = format!(
        "[device.options]\nserial = \"S1\"\nvendor = \"Example\"\n[settings]\nsources = [\"linux\"]\nroot = {:?}\n",
        folder.path()
    );
    #[expect(clippy::disallowed_methods, reason = "a scratch file of this test")]
    std::fs::write(&config, text).unwrap();
    let mut args: Vec<OsString> = line.split(' ').map(OsString::from).collect();
    args.extend(["--config".into(), config.into()]);
    let matches = Cli::command().try_get_matches_from(args).unwrap();
    let cli = Cli::from_arg_matches(&matches).unwrap();
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let exit = World {
        output: Output::to(&mut out, &mut err, cli.json, false),
        person: Box::new(Fixed(None)),
        clock: Arc::new(Ticking::default()),
        open,
        interrupted: interrupted_script,
    }
    .carry_out(&cli);
    let text = |bytes| String::from_utf8(bytes).unwrap();
    (exit, text(out), text(err))
}

#[test]
fn settings_are_read_without_the_agents_state_and_that_is_said() {
    let locked: Open = |_, _, _| Err(Failure::new(Exit::Internal, "cannot lock /x/lock"));
    let (exit, out, err) = without_state("scantrip settings", locked);
    assert_eq!(exit, Exit::Done, "{err}");
    assert_eq!(
        err,
        "nothing is compared or remembered: cannot lock /x/lock\n"
    );
    assert!(out.contains("policy:   Baseline") && out.contains("NOT KNOWN"));
    let (exit, out, _) = without_state("scantrip settings --json", locked);
    let document: serde_json::Value = serde_json::from_str(&out).unwrap();
    let settings = document["settings"].as_array().unwrap();
    assert_eq!((exit, settings.len()), (Exit::Done, CATALOGUE.len()));
    let (_, out, _) = without_state("scantrip settings --pwg", locked);
    assert!(out.contains("\"VendorName\":\"Example\""), "{out}");
}

#[test]
fn a_slip_in_a_policy_given_by_hand_is_told_and_the_rest_is_judged() {
    let folder = tempfile::tempdir().unwrap();
    let policy = folder.path().join("house.toml");
    #[expect(clippy::disallowed_methods, reason = "a scratch file of this test")]
    std::fs::write(&policy, "name = 'H'\nsecure = ['net.ftpp', 'net.ftp']\n").unwrap();
    let locked: Open = |_, _, _| Err(Failure::new(Exit::Internal, "cannot lock /x/lock"));
    let line = format!("scantrip settings --policy {}", policy.display());
    let (exit, out, err) = without_state(&line, locked);
    assert_eq!(exit, Exit::Done);
    let note = "a rule is not checked: there is no setting `net.ftpp`; did you mean `net.ftp`, `net.tftp`?\n";
    assert!(err.contains(note), "{err}");
    assert!(
        out.contains("policy:   H") && out.contains("net.ftpp"),
        "{out}"
    );
}

#[test]
fn what_needs_the_agents_state_or_a_right_configuration_fails_without() {
    let locked: Open = |_, _, _| Err(Failure::new(Exit::Internal, "cannot lock /x/lock"));
    for line in [
        "scantrip settings --diff",
        "scantrip settings --accept",
        "scantrip status",
    ] {
        let (exit, out, err) = without_state(line, locked);
        assert_eq!((exit, out.as_str()), (Exit::Internal, ""), "{line}");
        assert_eq!(err, "scantrip: cannot lock /x/lock\n");
    }
    let wrong: Open = |_, _, _| Err(Failure::new(Exit::Config, "no such backend"));
    let (exit, out, _) = without_state("scantrip settings", wrong);
    assert_eq!((exit, out.as_str()), (Exit::Config, ""));
}

#[test]
fn strange_answer_is_no_panic() {
    let ran = Case {
        replies: vec![Ok(Reply::Done)],
        ..Case::default()
    }
    .run("status");
    assert_eq!(ran.exit, Exit::Internal);
    assert!(ran.err.contains("restart it"), "{}", ran.err);
}

#[test]
fn configuration_is_checked_with_places() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bad.toml");
    #[expect(clippy::disallowed_methods, reason = "a scratch file of this test")]
    std::fs::write(&file, "[cloud]\nregoin = 'x'\n").unwrap();
    let check = |options: &str| {
        let line = format!("config check {}{options}", file.display());
        std::thread::spawn(move || Case::default().run(&line))
            .join()
            .unwrap()
    };
    let ran = check("");
    assert_eq!(ran.exit, Exit::Config);
    assert!(
        ran.err.contains("bad.toml:2:1: unknown key \"regoin\""),
        "{}",
        ran.err
    );
    let ran = check(" --json");
    let document: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
    assert_eq!(document["mistakes"][0]["line"], 2);
    assert_eq!(ran.exit, Exit::Config);
}

#[test]
fn configuration_in_effect_is_shown() {
    let ran = Case::default().run("config show");
    assert_eq!(ran.exit, Exit::Done);
    assert!(
        ran.out.contains("[spool]\nbytes_max = 2147483648\n"),
        "{}",
        ran.out
    );
}
