use super::*;
use scantrip_cloud_client::wire::{DeviceTime, EventKind, Severity, Verdict};
use scantrip_cloud_client::wire::{Field, FieldKind, ScanRules};
use scantrip_hal::clock::UnixTime;
use scantrip_hal::scanner::{ColorMode, InputSource, MediaSize, SourceCapabilities};
use scantrip_hal::scanner::{DocumentFormat, ScannerErrorKind, Side};

mod sheets;

const JOB: JobId = JobId::from_bytes([7; 16]);

/// A machine and the world around it.
struct Scene {
    machine: Machine,
    workflows: Vec<Workflow>,
    recipient: Option<Recipient>,
    token: u64,
}

impl Scene {
    fn new() -> Self {
        Self::with(Vec::new())
    }

    fn with(drafts: Vec<Draft>) -> Self {
        let field = Field {
            name: "customer".to_owned(),
            label: "Customer".to_owned(),
            kind: FieldKind::Text,
            default: None,
            required: true,
            pattern: None,
            choices: Vec::new(),
        };
        let workflow = Workflow {
            id: "w-1".to_owned(),
            version: 3,
            name: "Invoices".to_owned(),
            fields: vec![field],
            scan: ScanRules::default(),
            must_understand: Vec::new(),
            requires: Vec::new(),
        };
        let recipient = Recipient {
            tenant: "t-1".to_owned(),
            device: "d-1".to_owned(),
            spki: vec![1],
        };
        Self {
            machine: Machine::new(drafts),
            workflows: vec![workflow],
            recipient: Some(recipient),
            token: 0,
        }
    }

    fn world<'a>(workflows: &'a [Workflow], recipient: Option<&'a Recipient>) -> World<'a> {
        World {
            workflows,
            recipient,
            time: DeviceTime {
                unix_ms: 5,
                skew_ms: None,
            },
        }
    }

    fn scan(&mut self, change: impl FnOnce(&mut ScanRequest)) {
        let mut request = ScanRequest {
            workflow: "Invoices".to_owned(),
            fields: [("customer".to_owned(), "Miller".to_owned())].into(),
            ..ScanRequest::default()
        };
        change(&mut request);
        self.token += 1;
        let world = Self::world(&self.workflows, self.recipient.as_ref());
        self.machine
            .handle_scan(Token(self.token), JOB, request, &world);
    }

    fn edit(&mut self, edit: Edit) {
        self.token += 1;
        let world = Self::world(&self.workflows, self.recipient.as_ref());
        assert!(
            self.machine
                .handle_edit(Token(self.token), JOB, edit, &world)
        );
    }

    fn looked(&mut self) {
        let world = Self::world(&self.workflows, self.recipient.as_ref());
        self.machine.handle_looked(Ok(capabilities()), None, &world);
    }

    fn fed(&mut self, fed: Fed) {
        let world = Self::world(&self.workflows, self.recipient.as_ref());
        self.machine.handle_fed(fed, &world);
    }

    fn voided(&mut self) {
        let world = Self::world(&self.workflows, self.recipient.as_ref());
        self.machine.handle_voided(Ok(()), &world);
    }

    fn halted(&mut self, paper_left: bool) {
        let world = Self::world(&self.workflows, self.recipient.as_ref());
        self.machine.handle_halted(paper_left, &world);
    }

    /// Everything to do now, in short words.
    fn actions(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.machine.poll_action())
            .map(|action| brief(&action))
            .collect()
    }

    #[track_caller]
    fn expect(&mut self, expected: &[&str]) {
        assert_eq!(self.actions(), expected);
    }

    /// Opens a job and saves `pages` of it.
    fn open(&mut self, pages: u32, finish_at_end: bool) {
        self.scan(|request| request.finish_at_end = finish_at_end);
        self.expect(&["look"]);
        self.looked();
        self.expect(&["begin new"]);
        self.machine.handle_begun(Ok(0));
        self.expect(&["opened", "reply started", "feeding", "next 1"]);
        for object in 1..=pages {
            self.fed(page(object));
            let next = format!("next {}", object + 1);
            self.expect(&[&format!("saved {object}"), "page saved", &next]);
        }
    }
}

fn brief(action: &Action) -> String {
    match action {
        Action::Scan(Scan::Look { settings }) if settings.is_empty() => "look".to_owned(),
        Action::Scan(Scan::Look { settings }) => {
            let ids: Vec<&str> = settings.iter().map(String::as_str).collect();
            format!("look at {}", ids.join(" "))
        }
        Action::Refused(EventKind::WorkflowRefused { workflow, settings }) => {
            format!("refused {workflow} for {}", settings.join(" "))
        }
        Action::Refused(other) => format!("{other:?}"),
        Action::Scan(Scan::Begin { new, .. }) => match new {
            Some(_) => "begin new".to_owned(),
            None => "begin more".to_owned(),
        },
        Action::Scan(Scan::NextPage { object, .. }) => format!("next {object}"),
        Action::Scan(Scan::Halt) => "halt".to_owned(),
        Action::Scan(Scan::Void { object, .. }) => format!("void {object}"),
        Action::Scan(Scan::Seal(plan)) => {
            let pages: Vec<_> = plan.pages.iter().map(|p| (p.object, p.rotation)).collect();
            format!(
                "seal {pages:?} fields {} intent {}",
                plan.fields.len(),
                plan.intent.is_some()
            )
        }
        Action::Scan(Scan::Close { .. }) => "close".to_owned(),
        Action::Reply(_, Ok(Reply::Started { .. })) => "reply started".to_owned(),
        Action::Reply(_, Ok(_)) => "reply done".to_owned(),
        Action::Reply(_, Err(refusal)) => {
            format!("refused {:?}: {}", refusal.kind, refusal.message)
        }
        Action::Tell(_, JobEvent::Adapted { message }) => format!("adapted: {message}"),
        Action::Tell(_, JobEvent::Feeding) => "feeding".to_owned(),
        Action::Tell(_, JobEvent::PageSaved { page, .. }) => format!("saved {page}"),
        Action::Tell(
            _,
            JobEvent::Paused {
                message, resumable, ..
            },
        ) => {
            format!("paused {resumable}: {message}")
        }
        Action::Tell(_, JobEvent::StackEnd) => "end".to_owned(),
        Action::Tell(_, JobEvent::Saved { pages }) => format!("sealed {pages}"),
        Action::Tell(_, event) => format!("{event:?}"),
        Action::Opened(_) => "opened".to_owned(),
        Action::PageSaved(_) => "page saved".to_owned(),
        Action::Sealed { with_intent, .. } => format!("hand over, intent {with_intent}"),
        Action::Discard(..) => "discard".to_owned(),
    }
}

fn capabilities() -> ScannerCapabilities {
    let source = SourceCapabilities {
        max: MediaSize::A4,
        color_modes: [ColorMode::Rgb24].into_iter().collect(),
        resolutions_dpi: [75, 300].into_iter().collect(),
        formats: [DocumentFormat::Jpeg].into_iter().collect(),
    };
    ScannerCapabilities {
        platen: Some(source.clone()),
        adf: Some(source),
        adf_duplex: false,
    }
}

fn a_page(object: u32) -> Page {
    Page {
        object,
        format: DocumentFormat::Jpeg,
        images: 1,
        rotation: 0,
        dpi: 300,
        side: Side::Front,
        doubtful: false,
        late_height: false,
    }
}

fn page(object: u32) -> Fed {
    Fed::Page(a_page(object), 1000)
}

fn jam() -> Fed {
    Fed::Fault {
        kind: ScannerErrorKind::PaperJam,
        message: "stuck".to_owned(),
        doubts_last: false,
    }
}

fn draft(pages: u32, intent_lost: bool) -> Draft {
    Draft {
        job: JOB,
        workflow: "w-1".to_owned(),
        workflow_version: 2,
        opened_at: UnixTime::from_millis(5),
        scan: None,
        pages: (1..=pages).map(a_page).collect(),
        damaged: 0,
        intent_lost,
    }
}

#[test]
fn a_stop_is_told_to_the_page_in_hand_and_the_saved_ones_stay() {
    for edit in [Edit::Stop, Edit::Discard] {
        let mut scene = Scene::new();
        scene.scan(|_| {});
        scene.looked();
        scene.machine.handle_begun(Ok(0));
        scene.fed(page(1));
        let scans: Vec<Action> = std::iter::from_fn(|| scene.machine.poll_action()).collect();
        let flags = scans.iter().filter_map(|action| match action {
            Action::Scan(Scan::NextPage { stop, .. }) => Some(stop.clone()),
            _ => None,
        });
        let flags: Vec<StopFlag> = flags.collect();
        scene.edit(edit.clone());
        let raised: Vec<bool> = flags.iter().map(StopFlag::is_raised).collect();
        assert_eq!(raised, [false, true], "the page before it is not meant");
        let _replied = scene.actions();
        scene.fed(Fed::Stopped);
        scene.expect(&["halt"]);
        scene.halted(true);
        match edit {
            Edit::Stop => scene.expect(&[
                "paused true: stopped; put page 2 and what follows back to go on. Page 2 is the sheet \
                 after page 1: it came out last, or is the next in the feeder",
            ]),
            _ => scene.expect(&["close"]),
        }
    }
}

#[test]
fn a_job_that_nobody_waits_for_is_not_opened() {
    let stopped = "refused Scanner: stopped before paper moved";
    let mut scene = Scene::new();
    // While the scanner is asked what it can do.
    scene.scan(|_| {});
    scene.machine.handle_cancel(Token(9));
    scene.looked();
    scene.expect(&["look", "reply done", stopped]);
    assert!(scene.machine.is_idle());
    // While it starts; a cancel counts for the job that is being opened, not for the next.
    scene.scan(|_| {});
    scene.looked();
    let begun = std::iter::from_fn(|| scene.machine.poll_action()).last();
    let Some(Action::Scan(Scan::Begin { stop, .. })) = begun else {
        panic!("{begun:?}");
    };
    assert!(!stop.is_raised());
    scene.machine.handle_cancel(Token(9));
    assert!(stop.is_raised());
    // It had started all the same: no page is fed.
    scene.machine.handle_begun(Ok(0));
    scene.expect(&["reply done", "opened", "reply started", "feeding", "halt"]);
    scene.halted(true);
    assert!(scene.actions()[0].starts_with("paused true: stopped; put page 1"));
    // While a page is taken back.
    scene.edit(Edit::AddMore);
    scene.looked();
    scene.actions();
    scene.machine.handle_begun(Ok(0));
    scene.fed(page(1));
    scene.fed(jam());
    scene.actions();
    scene.edit(Edit::Again { page: 1 });
    scene.machine.handle_cancel(Token(9));
    scene.voided();
    scene.expect(&[
        "void 1",
        "reply done",
        &format!(
            "{stopped}; page 1 is taken back and not saved any more: put its sheet back and go on"
        ),
    ]);
    assert!(scene.machine.is_idle());
}

#[test]
fn a_stack_is_scanned_and_finished_by_itself() {
    let mut scene = Scene::new();
    scene.open(2, true);
    scene.fed(Fed::End);
    scene.expect(&["end", "seal [(1, 0), (2, 0)] fields 1 intent false"]);
    scene.machine.handle_sealed(Ok(()));
    scene.expect(&["sealed 2", "hand over, intent false"]);
    assert!(scene.machine.is_idle());
}

#[test]
fn a_jam_names_the_page_to_put_back_and_the_job_goes_on() {
    let mut scene = Scene::new();
    scene.open(2, false);
    scene.fed(jam());
    scene.expect(&[
        "paused true: the paper is stuck; take it out, then put page 3 and what \
         follows back into the feeder and go on. Page 3 is the sheet that was stuck",
    ]);
    scene.edit(Edit::AddMore);
    scene.expect(&["look"]);
    scene.looked();
    scene.expect(&["begin more"]);
    // The page given up in the jam has used up its number.
    scene.machine.handle_begun(Ok(3));
    scene.expect(&["reply done", "feeding", "next 4"]);
    scene.fed(page(4));
    scene.expect(&["saved 3", "page saved", "next 5"]);
    scene.fed(Fed::End);
    scene.expect(&["end"]);
    scene.edit(Edit::Finish);
    scene.expect(&["seal [(1, 0), (2, 0), (4, 0)] fields 1 intent false"]);
}

#[test]
fn a_page_that_cannot_be_saved_pauses_and_keeps_the_others() {
    let mut scene = Scene::new();
    scene.open(1, true);
    let full = true;
    scene.fed(Fed::NotKept {
        full,
        reason: "the spool is full".to_owned(),
    });
    let told = scene.actions().remove(0);
    assert!(
        told.starts_with("paused true: page 2 could not be saved"),
        "{told}"
    );
    scene.edit(Edit::Finish);
    scene.expect(&["seal [(1, 0)] fields 1 intent false"]);
}

#[test]
fn pages_are_turned_moved_and_left_out_by_their_position() {
    let mut scene = Scene::new();
    scene.open(3, false);
    scene.fed(Fed::End);
    scene.expect(&["end"]);
    scene.edit(Edit::Rotate {
        page: 3,
        degrees: 270,
    });
    scene.edit(Edit::Reorder {
        pages: vec![3, 1, 2],
    });
    scene.edit(Edit::Rotate {
        page: 1,
        degrees: 180,
    });
    scene.expect(&["reply done", "reply done", "reply done"]);
    scene.edit(Edit::Delete { page: 2 });
    scene.expect(&["void 1"]);
    scene.voided();
    scene.expect(&["reply done"]);
    scene.edit(Edit::Finish);
    scene.expect(&["seal [(3, 90), (2, 0)] fields 1 intent false"]);
}

#[test]
fn impossible_edits_change_nothing() {
    let mut scene = Scene::new();
    scene.open(2, false);
    scene.edit(Edit::Finish);
    let refused = scene.actions().remove(0);
    assert!(refused.starts_with("refused Busy"), "{refused}");
    scene.fed(Fed::End);
    scene.actions();
    for edit in [
        Edit::Reorder { pages: vec![1] },
        Edit::Reorder { pages: vec![1, 1] },
        Edit::Delete { page: 3 },
        Edit::Delete { page: 0 },
        Edit::Rotate {
            page: 1,
            degrees: 45,
        },
    ] {
        scene.edit(edit.clone());
        let refused = scene.actions().remove(0);
        assert!(
            refused.starts_with("refused Invalid"),
            "{edit:?}: {refused}"
        );
    }
    scene.edit(Edit::Finish);
    scene.expect(&["seal [(1, 0), (2, 0)] fields 1 intent false"]);
}

#[test]
fn stopping_takes_effect_after_the_page_in_hand() {
    let mut scene = Scene::new();
    scene.open(1, true);
    scene.edit(Edit::Stop);
    scene.expect(&["reply done"]);
    scene.fed(page(2));
    scene.expect(&["saved 2", "page saved", "halt"]);
    scene.halted(true);
    assert!(scene.actions()[0].contains("put page 3 and what follows back to go on. Page 3 is"));
}

#[test]
fn discarding_while_feeding_closes_the_job_first() {
    let mut scene = Scene::new();
    scene.open(1, true);
    scene.edit(Edit::Discard);
    scene.expect(&[]);
    scene.fed(page(2));
    scene.expect(&["saved 2", "page saved", "halt"]);
    scene.halted(true);
    scene.expect(&["close"]);
    scene.machine.handle_closed();
    scene.expect(&["discard"]);
    assert_eq!(scene.machine.unfinished(), 0);
}

#[test]
fn discarding_at_the_end_of_the_stack_does_not_finish_the_job() {
    let mut scene = Scene::new();
    scene.open(1, true);
    scene.edit(Edit::Discard);
    scene.fed(Fed::End);
    scene.expect(&["close"]);
}

#[test]
fn nothing_is_opened_when_the_scanner_refuses() {
    let mut scene = Scene::new();
    scene.scan(|_| {});
    scene.looked();
    scene.actions();
    scene.machine.handle_begun(Err(Refusal {
        kind: RefusalKind::Scanner,
        message: "no paper".to_owned(),
    }));
    scene.expect(&["refused Scanner: no paper"]);
    assert!(scene.machine.is_idle() && scene.machine.unfinished() == 0);
}

#[test]
fn requests_are_checked_before_the_scanner_is_asked() {
    let mut scene = Scene::new();
    scene.scan(|request| "Taxes".clone_into(&mut request.workflow));
    scene.scan(|request| request.fields.clear());
    let refused = scene.actions();
    assert!(
        refused[0].contains("Taxes") && refused[0].contains("Invoices"),
        "{refused:?}"
    );
    assert!(refused[1].contains("Customer is required"), "{refused:?}");
    scene.recipient = None;
    scene.scan(|_| {});
    assert!(scene.actions()[0].starts_with("refused Unreachable"));
}

#[test]
fn settings_that_the_device_or_the_workflow_does_not_allow_are_refused() {
    for (change, words) in [
        (
            (|r: &mut ScanRequest| r.duplex = Some(true)) as fn(&mut ScanRequest),
            "one side",
        ),
        (|r| r.resolution_dpi = Some(1200), "75, 300"),
        (|r| r.source = Some("tray".to_owned()), "`adf` or `platen`"),
        (|r| r.color_mode = Some("bw".to_owned()), "allows color"),
    ] {
        let mut scene = Scene::new();
        scene.workflows[0].scan.color_modes = vec!["color".to_owned()];
        scene.scan(change);
        scene.expect(&["look"]);
        scene.looked();
        let refused = scene.actions().remove(0);
        assert!(
            refused.starts_with("refused Invalid") && refused.contains(words),
            "{refused}"
        );
    }
}

#[test]
fn of_what_the_workflow_allows_the_first_that_the_device_has_is_taken() {
    let rules = ScanRules {
        sources: ["adf", "platen"].map(str::to_owned).to_vec(),
        color_modes: ["bw", "color"].map(str::to_owned).to_vec(),
        resolutions_dpi: vec![600, 300],
        duplex: Some(true),
        must: false,
    };
    let glass = ScannerCapabilities {
        adf: None,
        ..capabilities()
    };
    let request = ScanRequest::default();
    let (settings, instead) = rules::settings(Some(&rules), &request, &glass).unwrap();
    assert_eq!(instead, None);
    assert_eq!(settings.source, InputSource::Platen);
    assert_eq!(settings.color_mode, ColorMode::Rgb24);
    assert_eq!((settings.resolution_dpi, settings.duplex), (300, false));
    // What a person asks for is taken at its word.
    let asked = |request: ScanRequest| rules::settings(Some(&rules), &request, &glass).is_err();
    assert!(asked(ScanRequest {
        source: Some("adf".to_owned()),
        ..ScanRequest::default()
    }));
    assert!(asked(ScanRequest {
        resolution_dpi: Some(600),
        ..ScanRequest::default()
    }));
    let nothing = ScannerCapabilities {
        platen: None,
        ..glass
    };
    let refused = rules::settings(Some(&rules), &request, &nothing).unwrap_err();
    assert!(refused.message.contains("neither"), "{}", refused.message);
}

#[test]
fn of_what_the_device_has_nothing_of_the_nearest_is_taken_and_told() {
    let mut scene = Scene::new();
    let rules = &mut scene.workflows[0].scan;
    rules.color_modes = vec!["bw".to_owned()];
    rules.resolutions_dpi = vec![200];
    scene.scan(|_| {});
    scene.looked();
    let begun = std::iter::from_fn(|| scene.machine.poll_action()).last();
    let Some(Action::Scan(Scan::Begin { settings, .. })) = begun else {
        panic!("{begun:?}");
    };
    assert_eq!(settings.resolution_dpi, 300);
    assert_eq!(settings.color_mode, ColorMode::Rgb24);
    scene.machine.handle_begun(Ok(0));
    scene.expect(&[
        "opened",
        "reply started",
        "adapted: this device cannot do all that the workflow asks for: in color instead of bw, \
         with 300 dpi instead of 200 dpi",
        "feeding",
        "next 1",
    ]);
}

#[test]
fn the_rest_of_a_stack_is_scanned_with_the_nearest_too() {
    let mut scene = Scene::new();
    scene.workflows[0].scan.resolutions_dpi = vec![200];
    scene.scan(|_| {});
    scene.looked();
    scene.machine.handle_begun(Ok(0));
    scene.fed(page(1));
    scene.fed(jam());
    let _before = scene.actions();
    scene.edit(Edit::AddMore);
    scene.looked();
    scene.expect(&["look", "begin more"]);
}

#[test]
fn a_rule_that_is_a_must_is_refused_by_a_device_that_cannot() {
    let musts: [fn(&mut ScanRules); 4] = [
        |rules| rules.duplex = Some(true),
        |rules| rules.resolutions_dpi = vec![200],
        |rules| rules.color_modes = vec!["gray".to_owned()],
        |rules| rules.sources = vec!["adf".to_owned()],
    ];
    let glass = ScannerCapabilities {
        adf: None,
        ..capabilities()
    };
    let request = ScanRequest::default();
    for must in musts {
        let mut rules = ScanRules::default();
        must(&mut rules);
        let (_, instead) = rules::settings(Some(&rules), &request, &glass).unwrap();
        assert!(instead.is_some(), "{rules:?}");
        rules.must = true;
        rules::settings(Some(&rules), &request, &glass).unwrap_err();
    }
}

#[test]
fn a_person_may_ask_for_what_a_rule_comes_to_on_the_device_and_for_nothing_else() {
    let rules = ScanRules {
        resolutions_dpi: vec![400],
        ..ScanRules::default()
    };
    let asked = |dpi| {
        let request = ScanRequest {
            resolution_dpi: Some(dpi),
            ..ScanRequest::default()
        };
        rules::settings(Some(&rules), &request, &capabilities()).map_err(|it| it.message)
    };
    assert_eq!(asked(300).unwrap().0.resolution_dpi, 300);
    assert!(asked(400).unwrap_err().contains("this device cannot"));
    assert!(asked(75).unwrap_err().contains("does not allow 75"));
}

#[test]
fn a_feeder_that_takes_one_side_leaves_no_back_out_unasked() {
    let rules = ScanRules {
        duplex: Some(true),
        ..ScanRules::default()
    };
    let refused = rules::settings(Some(&rules), &ScanRequest::default(), &capabilities());
    assert!(refused.unwrap_err().message.contains("--simplex"));
}

#[test]
fn a_scanner_that_takes_no_job_does_not_ask_for_sheets_that_never_moved() {
    for kind in [
        ScannerErrorKind::Busy,
        ScannerErrorKind::Unsupported,
        ScannerErrorKind::Protocol,
        ScannerErrorKind::Offline,
        ScannerErrorKind::FeederEmpty,
        ScannerErrorKind::CoverOpen,
        ScannerErrorKind::PaperJam,
        ScannerErrorKind::FeederFault,
    ] {
        let message = refusal_message(kind, "why", 1);
        assert!(!message.contains("put page"), "{message}");
        assert!(!message.contains("go on"), "{message}");
    }
    let stuck = refusal_message(ScannerErrorKind::PaperJam, "why", 1);
    assert!(stuck.contains("take it out"), "{stuck}");
    let away = refusal_message(ScannerErrorKind::Offline, "why", 1);
    assert!(away.ends_with("see: scantrip device"), "{away}");
    let words = |kind| refusal_message(kind, "no paper", 1);
    assert_eq!(
        words(ScannerErrorKind::CoverOpen),
        "the cover is open; close it, then try again"
    );
    assert_eq!(
        words(ScannerErrorKind::FeederEmpty),
        "no paper; load the stack and try again"
    );
    // A job that is there goes on.
    let open = refusal_message(ScannerErrorKind::CoverOpen, "why", 4);
    assert!(open.contains("put page 4 and what follows back"), "{open}");
}

#[test]
fn a_job_goes_on_after_pages_in_another_resolution_than_was_asked_for() {
    let mut found = draft(2, false);
    for page in &mut found.pages {
        page.dpi = 100;
    }
    for allowed in [vec![300], Vec::new()] {
        let mut scene = Scene::with(vec![found.clone()]);
        scene.actions();
        scene.workflows[0].scan.resolutions_dpi = allowed;
        scene.edit(Edit::AddMore);
        scene.expect(&["look"]);
        scene.looked();
        let actions = scene.actions();
        assert!(actions[0].starts_with("begin"), "{actions:?}");
    }
}

#[test]
fn a_job_goes_on_as_an_earlier_run_has_scanned_it() {
    let mut found = draft(2, false);
    let remembered = ScanSettings {
        source: InputSource::Platen,
        duplex: false,
        color_mode: ColorMode::Grayscale8,
        resolution_dpi: 75,
        media: MediaSize::A4,
        format: DocumentFormat::Jpeg,
    };
    found.scan = Some(memo(&remembered));
    // What the workflow no longer allows is left to it.
    for (modes, taken) in [
        (vec![], remembered.color_mode),
        (vec!["color".to_owned()], ColorMode::Rgb24),
    ] {
        let mut scene = Scene::with(vec![found.clone()]);
        scene.workflows[0].scan.color_modes = modes;
        scene.actions();
        scene.edit(Edit::AddMore);
        scene.expect(&["look"]);
        let mut can = capabilities();
        let platen = can.platen.as_mut().unwrap();
        platen.color_modes.push(ColorMode::Grayscale8).unwrap();
        let world = Scene::world(&scene.workflows, scene.recipient.as_ref());
        scene.machine.handle_looked(Ok(can), None, &world);
        let Some(Action::Scan(Scan::Begin { settings, .. })) = scene.machine.poll_action() else {
            panic!("nothing is begun");
        };
        let expected = ScanSettings {
            color_mode: taken,
            ..remembered
        };
        assert_eq!(settings, expected);
    }
}

#[test]
fn one_job_is_scanned_at_a_time_and_one_at_rest_does_not_block_the_next() {
    let mut scene = Scene::new();
    scene.open(1, false);
    scene.scan(|_| {});
    assert!(scene.actions()[0].starts_with("refused Busy"));
    scene.fed(jam());
    scene.actions();
    scene.scan(|_| {});
    scene.expect(&["look"]);
}

#[test]
fn a_draft_is_offered_and_finished_with_its_sealed_intent() {
    let mut scene = Scene::with(vec![draft(2, false)]);
    let offered = scene.actions().remove(0);
    assert!(offered.contains("2 pages are safe"), "{offered}");
    scene.edit(Edit::Finish);
    scene.expect(&["seal [(1, 0), (2, 0)] fields 0 intent true"]);
    scene.machine.handle_sealed(Ok(()));
    scene.expect(&["sealed 2", "hand over, intent true", "reply done"]);
}

#[test]
fn a_draft_without_pages_or_without_its_intent_cannot_be_finished() {
    for (draft, words) in [
        (draft(0, false), "no page yet"),
        (draft(2, true), "cannot be read"),
    ] {
        let mut scene = Scene::with(vec![draft]);
        scene.actions();
        scene.edit(Edit::Finish);
        let refused = scene.actions().remove(0);
        assert!(refused.contains(words), "{refused}");
        scene.edit(Edit::Discard);
        scene.expect(&["close"]);
    }
}

#[test]
fn ten_thousand_pages_fit_and_the_next_one_is_not_fed() {
    let full = || {
        let mut scene = Scene::with(vec![draft(PAGES_MAX - 1, false)]);
        scene.edit(Edit::AddMore);
        scene.looked();
        scene.machine.handle_begun(Ok(PAGES_MAX - 1));
        scene.actions();
        scene.fed(page(PAGES_MAX));
        scene.expect(&["saved 10000", "page saved", "halt"]);
        scene
    };
    let mut scene = full();
    scene.halted(true);
    let told = scene.actions().remove(0);
    assert!(
        told.starts_with("paused false: a job has at most 10000 pages"),
        "{told}"
    );
    scene.edit(Edit::AddMore);
    assert!(scene.actions()[0].starts_with("refused Invalid"));

    let mut scene = full();
    scene.halted(false);
    scene.expect(&["end"]);
}

#[test]
fn a_job_of_another_tenant_is_never_sealed_to_this_one() {
    let mut scene = Scene::new();
    scene.open(1, false);
    scene.fed(Fed::End);
    scene.actions();
    if let Some(recipient) = &mut scene.recipient {
        "t-2".clone_into(&mut recipient.tenant);
    }
    scene.edit(Edit::Finish);
    assert!(scene.actions()[0].contains("another tenant"));
}

#[test]
fn when_sealing_fails_the_job_is_still_there_to_be_finished_again() {
    let mut scene = Scene::new();
    scene.open(1, true);
    scene.fed(Fed::End);
    scene.actions();
    scene.machine.handle_sealed(Err("disk".to_owned()));
    assert!(scene.actions()[0].starts_with("paused true"));
    scene.edit(Edit::Finish);
    scene.expect(&["seal [(1, 0)] fields 1 intent false"]);
}

/// A scene whose workflow requires an encrypted storage.
fn gated() -> Scene {
    let mut scene = Scene::new();
    scene.workflows[0].requires = vec!["storage.encryption=all".to_owned()];
    scene
}

fn reading(value: &str, verdict: Verdict) -> Vec<ReportSetting> {
    vec![ReportSetting {
        id: "storage.encryption".to_owned(),
        value: value.to_owned(),
        severity: Severity::Critical,
        verdict,
        reason: None,
    }]
}

fn looked_at(scene: &mut Scene, readings: Option<&[ReportSetting]>) {
    let world = Scene::world(&scene.workflows, scene.recipient.as_ref());
    scene
        .machine
        .handle_looked(Ok(capabilities()), readings, &world);
}

#[test]
fn a_job_starts_on_a_device_that_is_as_its_workflow_requires() {
    let mut scene = gated();
    scene.scan(|_| {});
    scene.expect(&["look at storage.encryption"]);
    looked_at(&mut scene, Some(&reading("all", Verdict::Secure)));
    scene.expect(&["begin new"]);
}

#[test]
fn no_paper_moves_on_a_device_that_is_not_and_the_cloud_is_told() {
    for (value, verdict, why) in [
        ("none", Verdict::NotSecure, "is none, it must be all"),
        ("", Verdict::Unknown, "is not known (not read)"),
    ] {
        let mut scene = gated();
        scene.scan(|_| {});
        scene.expect(&["look at storage.encryption"]);
        looked_at(&mut scene, Some(&reading(value, verdict)));
        scene.expect(&[
            "refused w-1 for storage.encryption",
            &format!(
                "refused Posture: workflow `Invoices` is refused: on this device \
                 `storage.encryption` {why}; the settings are changed by the administrator"
            ),
        ]);
        assert!(scene.machine.is_idle());
        scene.scan(|_| {});
        scene.expect(&["look at storage.encryption"]);
    }
}

#[test]
fn without_a_reading_nothing_passes_the_gate() {
    let mut scene = gated();
    scene.scan(|_| {});
    scene.expect(&["look at storage.encryption"]);
    looked_at(&mut scene, None);
    assert_eq!(scene.actions()[0], "refused w-1 for storage.encryption");
}

#[test]
fn pages_are_added_to_a_job_only_while_the_device_is_as_required() {
    let mut scene = Scene::new();
    scene.open(1, false);
    scene.fed(Fed::End);
    scene.expect(&["end"]);
    scene.workflows[0].requires = vec!["storage.encryption=all".to_owned()];
    scene.edit(Edit::AddMore);
    scene.expect(&["look at storage.encryption"]);
    looked_at(&mut scene, Some(&reading("none", Verdict::NotSecure)));
    assert_eq!(scene.actions()[0], "refused w-1 for storage.encryption");
    // What is saved can still be finished.
    scene.edit(Edit::Finish);
    assert!(scene.actions()[0].starts_with("seal"));
}
