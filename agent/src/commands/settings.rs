//! `settings`: the security settings, judged by a policy.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::sync::Arc;

use scantrip_cloud_client::posture::assess::{Assessment, assess};
use scantrip_cloud_client::posture::diff::{Change, config_state};
use scantrip_cloud_client::posture::policy::{self, POLICY_BYTES_MAX, READY_MADE};
use scantrip_cloud_client::posture::{pwg, requirement};
use scantrip_cloud_client::wire::{Policy, ReportSetting, Severity, Verdict};
use scantrip_config::Config;
use scantrip_hal::settings::{CATALOGUE, Row};
use serde::Serialize;

use super::World;
use super::access::Access;
use super::args::SettingsOptions;
use super::device;
use super::exit::Exit;
use super::failure::Failure;
use crate::api::{Reply, Request, SettingView, SettingsView};
use crate::compose;
use crate::drivers::posture::SeenChange;
use crate::drivers::web;
use crate::render;
use crate::render::plain;
use crate::render::progress::Shown;
use crate::runtime::{StartError, settings_alone};

/// The document for machines.
#[derive(Serialize)]
struct Document<'a> {
    assessment: &'a Assessment,
    settings: &'a [SettingView],
    config_state: String,
    reference_at_ms: u64,
    changes: &'a [Change],
    seen: &'a [SeenChange],
}

/// Reads, judges, shows. Without the agent and its state too: then nothing is compared.
pub(crate) fn settings(
    world: &mut World<'_>,
    config: &Config,
    access: Result<Access, Failure>,
    options: &SettingsOptions,
) -> Result<(), Failure> {
    // What is remembered cannot be told without the state, and a mistake is mended first.
    let access = match access {
        Err(failure) if options.accept || options.diff || failure.exit == Exit::Config => {
            return Err(failure);
        }
        other => other,
    };
    let chosen = options.policy.as_deref().map(choose).transpose()?;
    for rule in chosen.iter().flat_map(|policy| &policy.rules) {
        // It may be of a later version: kept, and told.
        if Row::find(&rule.id).is_none() {
            let why = requirement::unknown(&rule.id, CATALOGUE.iter().map(|row| row.id));
            world
                .output
                .remark(&format!("a rule is not checked: {why}"));
        }
    }
    world.output.progress(&Shown::Live {
        text: "reading the settings; over the network this can take a minute".to_owned(),
        milestone: false,
    });
    let view = match &access {
        Ok(access) => match access.service.call(Request::Settings)? {
            Reply::Settings(view) => view,
            other => return Err(Failure::strange(&other)),
        },
        Err(failure) => alone(world, config, failure)?,
    };
    if options.accept {
        return accept(world, &access?);
    }
    let readings: Vec<ReportSetting> = view.settings.iter().map(reading).collect();
    if options.pwg {
        world.output.document(&pwg::health(&view.device, &readings));
        return Ok(());
    }
    if options.diff && !world.output.is_json() {
        world
            .output
            .answer(&view.changes, || render::posture::changes(&view));
        return Ok(());
    }
    show(world, &view, &readings, chosen);
    Ok(())
}

/// Reads without the agent, whose state cannot be used; says so.
fn alone(
    world: &mut World<'_>,
    config: &Config,
    failure: &Failure,
) -> Result<Box<SettingsView>, Failure> {
    let why = plain(&failure.message);
    world
        .output
        .remark(&format!("nothing is compared or remembered: {why}"));
    // A scanner that did not answer is not asked again: the settings are mostly told by others.
    let mfp = match failure.exit {
        Exit::Person => None,
        _ => match device::open(world, config) {
            Err(failure) if failure.exit == Exit::Config => return Err(failure),
            opened => opened.ok(),
        },
    };
    let device = mfp.as_ref().map(|mfp| mfp.identity.identity());
    let mut source = match mfp.and_then(|mfp| mfp.settings) {
        Some(source) => source,
        None => {
            let ports = web::ports(Arc::clone(&world.clock), None);
            compose::settings(config, &ports).map_err(StartError::from)?
        }
    };
    Ok(Box::new(settings_alone(&mut *source, device.as_ref())))
}

fn show(
    world: &mut World<'_>,
    view: &SettingsView,
    readings: &[ReportSetting],
    chosen: Option<Policy>,
) {
    let policy = chosen.or_else(|| view.policy.clone());
    let policy = policy.unwrap_or_else(policy::baseline);
    let assessment = assess(&policy, readings, world.clock.wall().as_millis());
    let document = Document {
        assessment: &assessment,
        settings: &view.settings,
        config_state: config_state(readings),
        reference_at_ms: view.reference_at_ms,
        changes: &view.changes,
        seen: &view.seen,
    };
    let width = world.output.width();
    world.output.answer(&document, || {
        render::posture::page(view, &assessment, width)
    });
}

fn accept(world: &mut World<'_>, access: &Access) -> Result<(), Failure> {
    match access.service.call(Request::AcceptSettings)? {
        Reply::Done => {
            let text = "from now on, changes are told against the settings as they are now\n";
            world.output.answer(&Reply::Done, || text.to_owned());
            Ok(())
        }
        other => Err(Failure::strange(&other)),
    }
}

/// A ready-made policy by its name, or a file.
fn choose(name: &str) -> Result<Policy, Failure> {
    if let Some(policy) = policy::ready_made(name) {
        return Ok(policy);
    }
    let mut text = String::new();
    let read = File::open(Path::new(name)).and_then(|file| {
        file.take(POLICY_BYTES_MAX as u64 + 1)
            .read_to_string(&mut text)
    });
    read.map_err(|error| {
        let known: Vec<&str> = READY_MADE.iter().map(|made| made.name).collect();
        let known = known.join(", ");
        let message = format!("no policy `{name}`: {error}; give a file, or one of: {known}");
        Failure::new(Exit::Config, message)
    })?;
    policy::parse(&text, name).map_err(|error| Failure::new(Exit::Config, error.to_string()))
}

/// A setting as policies judge it.
pub(crate) fn reading(setting: &SettingView) -> ReportSetting {
    ReportSetting {
        id: setting.id.clone(),
        value: setting.value.clone(),
        severity: match setting.severity.as_str() {
            "critical" => Severity::Critical,
            "high" => Severity::High,
            "low" => Severity::Low,
            _ => Severity::Medium,
        },
        verdict: match setting.verdict.as_str() {
            "secure" => Verdict::Secure,
            "not-secure" => Verdict::NotSecure,
            "not-applicable" => Verdict::NotApplicable,
            _ => Verdict::Unknown,
        },
        reason: setting.reason.clone(),
    }
}
