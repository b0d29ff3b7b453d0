//! How the agent does, in the words of the API.

use scantrip_cloud_client::posture::diff::changes;
use scantrip_cloud_client::posture::requirement::{self, check_all};
use scantrip_cloud_client::receipt;
use scantrip_cloud_client::text::kind;
use scantrip_cloud_client::wire::ReportSetting;
use scantrip_hal::identity::DeviceIdentity;
use scantrip_hal::settings::{CATALOGUE, Method, Row, Setting, SettingsSource, Verdict, Why};

use crate::api::{
    EntryPointView, JobEvent, JobView, Refusal, RefusalKind, SettingView, SettingsView, StatusView,
    WorkflowView,
};
use crate::drivers::scanner::GATE_AGE_MAX;
use crate::drivers::{Context, described, posture};
use crate::engine::capture::unmet_reason;
use crate::engine::failure::chain;
use crate::engine::moment::Moment;
use crate::engine::{Engine, fields};
use crate::journal::{JobEntry, JobState};
use crate::store::DesiredState;

/// The agent at a moment.
pub(super) struct View<'a> {
    pub(super) engine: &'a Engine,
    pub(super) context: &'a Context,
    pub(super) now: Moment,
    pub(super) spool_bytes_max: u64,
}

impl View<'_> {
    /// The one page that tells how the agent does.
    pub(super) fn status(&self) -> Result<StatusView, Refusal> {
        let engine = self.engine;
        let session = engine.session();
        let identity = engine.identity().identity();
        let certificate = identity.and_then(|known| known.certificate(known.active));
        let device = &self.context.device;
        let mut drafts = self.jobs()?;
        drafts.retain(|job| job.state == "draft");
        let next = session
            .poll_timeout()
            .filter(|_| engine.is_online())
            .map(|at| at.since(self.now.boot).as_secs());
        Ok(StatusView {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            identity: engine.identity().word(&self.now).to_owned(),
            // A machine without a scanner has neither maker nor model.
            device_name: format!("{} {}", kind(&device.vendor, &device.model), device.serial)
                .trim()
                .to_owned(),
            device: identity.map(|identity| identity.device.clone()),
            tenant: session.desired().map(|desired| desired.tenant_name.clone()),
            certificate_ends_ms: certificate.map(|certificate| certificate.not_after_ms),
            entry_point: self.entry_point(),
            tls: engine.tls().map(str::to_owned),
            last_poll_ms: session.last_poll_ms(),
            next_poll_seconds: next,
            queued_jobs: engine.queued(),
            spool_bytes: self.context.spool.usage().bytes,
            spool_bytes_max: self.spool_bytes_max,
            skew_ms: session.skew_ms(),
            last_error: engine.last_error().cloned(),
            printer: self.context.printer(),
            scanner: self.context.scanner(),
            drafts,
        })
    }

    /// Every job, newest first.
    pub(super) fn jobs(&self) -> Result<Vec<JobView>, Refusal> {
        let entries = self.context.journal.list().map_err(|error| Refusal {
            kind: RefusalKind::Internal,
            message: chain(&error),
        })?;
        let capture = self.engine.capture();
        let view = |entry: JobEntry| {
            let mut view = job(&entry);
            if let Some(pages) = capture.pages(entry.job) {
                view.pages = pages;
                if capture.busy_with() != Some(entry.job) {
                    "draft".clone_into(&mut view.state);
                }
            }
            view
        };
        Ok(entries.into_iter().map(view).collect())
    }

    /// The workflows of this device.
    pub(super) fn workflows(&self) -> Vec<WorkflowView> {
        let view = |workflow: &scantrip_cloud_client::wire::Workflow| WorkflowView {
            workflow: workflow.clone(),
            unavailable: fields::unavailable(workflow),
        };
        self.engine.workflows().iter().map(view).collect()
    }

    fn entry_point(&self) -> Option<EntryPointView> {
        let session = self.engine.session();
        let choice = session.choice()?;
        let url = session.url();
        let name_of = |url: &str| {
            let door = choice.known.iter().find(|door| door.url == url);
            door.map_or_else(|| url.to_owned(), |door| door.name.clone())
        };
        let why = match url == choice.url {
            true => choice.why.clone(),
            false => format!("{} does not answer", name_of(&choice.url)),
        };
        let measured = choice.known.iter().enumerate().map(|(index, door)| {
            let ms = choice.measured_ms.get(index).copied().flatten();
            (door.name.clone(), door.region.clone(), ms)
        });
        Some(EntryPointView {
            name: name_of(&url),
            why,
            measured: measured.collect(),
            url,
        })
    }
}

/// The security settings, read now, and whether any changed.
pub(super) fn settings(context: &Context) -> (SettingsView, bool) {
    let mut settings = Vec::new();
    let gate = context.read_settings(&mut |setting| add(&mut settings, &setting));
    let known = context.known_settings();
    let desired = context.state.load::<DesiredState>();
    let desired = desired.inspect_err(|error| log::warn!("settings: {}", chain(error)));
    let view = SettingsView {
        settings,
        device: described(&context.device),
        policy: desired
            .ok()
            .flatten()
            .and_then(|state| state.desired.policy),
        reference_at_ms: known.reference_at_ms,
        changes: changes(&known.reference, &gate.readings),
        seen: known.changes,
    };
    (view, gate.changed)
}

/// The security settings as `source` reads them, by who may not use the agent's state: nothing to
/// compare them with, no policy but those that come with the program.
pub(crate) fn settings_alone(
    source: &mut (dyn SettingsSource + 'static),
    device: Option<&DeviceIdentity>,
) -> SettingsView {
    let mut settings = Vec::new();
    let all = CATALOGUE.iter().collect();
    let restarted = |row: &Row, _readings: &[ReportSetting]| {
        let detail = "nothing is remembered that a restart could be seen by";
        Setting::unknown(row, Why::NotAnswered, detail, Method::Compared, "")
    };
    posture::read(Some(source), all, restarted, &mut |setting| {
        add(&mut settings, &setting);
    });
    SettingsView {
        settings,
        device: device.map(described).unwrap_or_default(),
        policy: None,
        reference_at_ms: 0,
        changes: Vec::new(),
        seen: Vec::new(),
    }
}

/// Keeps the order of ids.
fn add(settings: &mut Vec<SettingView>, setting: &Setting) {
    let at = settings.partition_point(|it| it.id.as_str() < setting.id);
    settings.insert(at, setting_view(setting));
}

fn setting_view(setting: &Setting) -> SettingView {
    let (verdict, reason) = match &setting.verdict {
        Verdict::Secure => ("secure", None),
        Verdict::NotSecure => ("not-secure", None),
        Verdict::NotApplicable => ("not-applicable", None),
        Verdict::Unknown(unknown) => ("unknown", Some(unknown.detail.as_str().to_owned())),
    };
    SettingView {
        id: setting.id.to_owned(),
        title: setting.title.to_owned(),
        value: setting.value.as_str().to_owned(),
        secure_value: setting.secure_value.to_owned(),
        severity: setting.severity.as_str().to_owned(),
        verdict: verdict.to_owned(),
        reason,
        method: setting.method.as_str().to_owned(),
        evidence: setting.evidence.as_str().to_owned(),
        reference: setting.reference.to_owned(),
        remedy: setting.remedy.to_owned(),
    }
}

/// Says of workflows that require settings whether this device meets them.
pub(super) fn gate(context: &Context, workflows: &mut [WorkflowView]) {
    let gated =
        |view: &&mut WorkflowView| view.unavailable.is_none() && !view.workflow.requires.is_empty();
    let gated: Vec<_> = workflows.iter_mut().filter(gated).collect();
    if gated.is_empty() {
        return;
    }
    let requires = gated.iter().flat_map(|view| &view.workflow.requires);
    let ids = requirement::ids(&Vec::from_iter(requires.cloned()));
    let readings = context.recent_settings(&ids, GATE_AGE_MAX).readings;
    let now_ms = context.time.wall().as_millis();
    for view in gated {
        let met = check_all(&view.workflow.requires, &readings, now_ms);
        view.unavailable = met.err().map(|unmet| unmet_reason(&unmet));
    }
}

/// What the journal knows of a job.
fn job(entry: &JobEntry) -> JobView {
    let (state, outcome) = match &entry.state {
        JobState::Scanning => ("scanning", None),
        JobState::Draft => ("draft", None),
        JobState::Queued => ("queued", None),
        JobState::Sending => ("sending", None),
        JobState::Received => ("received", None),
        JobState::Delivered { place, name } => ("delivered", Some(format!("{name} in {place}"))),
        JobState::Failed { reason } | JobState::Refused { reason } => {
            ("failed", Some(reason.clone()))
        }
        JobState::Discarding | JobState::Discarded => ("discarded", None),
    };
    JobView {
        job: entry.job.to_string(),
        workflow: entry.workflow_name.clone(),
        pages: entry.pages,
        state: state.to_owned(),
        opened_at_ms: entry.opened_at_ms,
        receipt_code: code(entry),
        outcome,
    }
}

/// A job's story as far as the journal knows it, for those who begin to follow it now.
pub(super) fn events(entry: &JobEntry) -> Vec<JobEvent> {
    let mut events = Vec::new();
    if !matches!(
        entry.state,
        JobState::Scanning | JobState::Draft | JobState::Discarding | JobState::Discarded
    ) {
        events.push(JobEvent::Saved { pages: entry.pages });
    }
    if let Some(receipt_code) = code(entry) {
        let sealed_bytes = 0;
        events.push(JobEvent::Received {
            receipt_code,
            sealed_bytes,
        });
    }
    match &entry.state {
        JobState::Delivered { place, name } => events.push(JobEvent::Delivered {
            place: place.clone(),
            name: name.clone(),
        }),
        JobState::Failed { reason } | JobState::Refused { reason } => {
            let message = reason.clone();
            events.push(JobEvent::Failed { message });
        }
        JobState::Discarding | JobState::Discarded => events.push(JobEvent::Discarded),
        _ => {}
    }
    events
}

fn code(entry: &JobEntry) -> Option<String> {
    entry
        .receipt
        .as_ref()
        .and_then(|signed| receipt::code(signed).ok())
}
