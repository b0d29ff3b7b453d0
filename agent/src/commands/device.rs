//! `device`: the scanner itself, asked without the agent.

use std::sync::Arc;
use std::time::Duration;

use scantrip_config::Config;
use scantrip_hal::backends::Mfp;
use scantrip_hal::backends::escl::discovery::{self, Found};
use scantrip_hal::backends::escl::{self, Certificate};
use scantrip_hal::scanner::{AdfState, ScannerState, SourceCapabilities};
use scantrip_hal::web::Ports;
use serde::Serialize;

use super::World;
use super::args::DeviceCommand;
use super::exit::Exit;
use super::failure::Failure;
use crate::compose;
use crate::drivers::web;
use crate::engine::capture::color_name;
use crate::render;

/// A scanner on the network.
#[derive(Debug, Serialize)]
pub(crate) struct FoundView {
    pub(crate) name: String,
    pub(crate) model: String,
    pub(crate) place: String,
    pub(crate) uuid: String,
    pub(crate) url: String,
}

/// The scanner that the configuration names.
#[derive(Debug)]
pub(crate) struct Used<'a> {
    pub(crate) url: &'a str,
    /// SHA-256 of the certificate that it shows.
    pub(crate) fingerprint: Option<String>,
}

/// Who the scanner is and what it can do.
#[derive(Debug, Serialize)]
pub(crate) struct CapabilitiesView {
    pub(crate) vendor: String,
    pub(crate) model: String,
    pub(crate) serial: String,
    /// SHA-256 of its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<String>,
    pub(crate) platen: Option<SourceView>,
    pub(crate) adf: Option<SourceView>,
    pub(crate) adf_duplex: bool,
}

/// What one source can do.
#[derive(Debug, Serialize)]
pub(crate) struct SourceView {
    /// Millimetres.
    pub(crate) max_width_mm: u32,
    pub(crate) max_height_mm: u32,
    pub(crate) color_modes: Vec<&'static str>,
    pub(crate) resolutions_dpi: Vec<u16>,
    pub(crate) formats: Vec<&'static str>,
}

/// What scanner and feeder are doing.
#[derive(Debug, Serialize)]
pub(crate) struct StatusView {
    pub(crate) vendor: String,
    pub(crate) model: String,
    pub(crate) serial: String,
    /// SHA-256 of its certificate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) fingerprint: Option<String>,
    pub(crate) state: &'static str,
    pub(crate) feeder: Option<&'static str>,
}

/// Carries out `device`; what fails says what to do.
pub(super) fn device(
    world: &mut World<'_>,
    config: &Config,
    command: Option<&DeviceCommand>,
) -> Result<(), Failure> {
    carry_out(world, config, command).map_err(|mut failure| {
        if failure.exit == Exit::Person && config.device.backend == escl::NAME {
            failure
                .message
                .push_str(&render::device::advice(certificate(world, config).as_ref()));
        }
        failure
    })
}

fn carry_out(
    world: &mut World<'_>,
    config: &Config,
    command: Option<&DeviceCommand>,
) -> Result<(), Failure> {
    match command {
        Some(DeviceCommand::Discover) => discover(world, config),
        Some(DeviceCommand::Capabilities) => {
            let mut mfp = open(world, config)?;
            let mut found = capabilities(&mut mfp)?;
            found.fingerprint = fingerprint(world, config);
            let width = world.output.width();
            let text = || render::device::capabilities(&found, width);
            world.output.answer(&found, text);
            Ok(())
        }
        Some(DeviceCommand::Status) | None => {
            let mut mfp = open(world, config)?;
            let mut found = status(&mut mfp)?;
            found.fingerprint = fingerprint(world, config);
            if config.device.backend == "host" {
                found.state = "none";
            }
            world
                .output
                .answer(&found, || render::device::status(&found));
            Ok(())
        }
    }
}

fn discover(world: &mut World<'_>, config: &Config) -> Result<(), Failure> {
    let ports = web::ports(Arc::clone(&world.clock), None);
    let sleep = |time: Duration| (ports.sleep)(time);
    let found = discovery::discover(&ports.clock, &sleep).map_err(|error| {
        let message = format!("the network cannot be asked: {error}");
        Failure::new(Exit::Unreachable, message)
    })?;
    let found: Vec<FoundView> = found.into_iter().map(view).collect();
    let used = config.device.options.get("url").map(|url| Used {
        url,
        fingerprint: fingerprint(world, config),
    });
    let text = || render::device::found(&found, used.as_ref());
    world.output.answer(&found, text);
    Ok(())
}

fn view(found: Found) -> FoundView {
    FoundView {
        url: found.url.to_string(),
        name: found.name,
        model: found.model,
        place: found.place,
        uuid: found.uuid,
    }
}

pub(super) fn open(world: &World<'_>, config: &Config) -> Result<Mfp, Failure> {
    Ok(compose::mfp(config, ports(world, config))?)
}

fn ports(world: &World<'_>, config: &Config) -> Ports {
    let memory = compose::memory(config);
    // The state is the agent's: what is learned here is not kept.
    web::to_look(web::ports(Arc::clone(&world.clock), memory))
}

fn certificate(world: &World<'_>, config: &Config) -> Option<Certificate> {
    compose::certificate(config, ports(world, config))
}

fn fingerprint(world: &World<'_>, config: &Config) -> Option<String> {
    certificate(world, config).map(|it| it.shown)
}

fn unreached(error: &scantrip_hal::scanner::ScannerError) -> Failure {
    Failure::new(
        Exit::Person,
        format!("the scanner cannot be asked: {error}"),
    )
}

fn capabilities(mfp: &mut Mfp) -> Result<CapabilitiesView, Failure> {
    let can = mfp
        .scanner
        .capabilities()
        .map_err(|error| unreached(&error))?;
    let who = mfp.identity.identity();
    Ok(CapabilitiesView {
        vendor: who.vendor.as_str().to_owned(),
        model: who.model.as_str().to_owned(),
        serial: who.serial.as_str().to_owned(),
        fingerprint: None,
        platen: can.platen.as_ref().map(source),
        adf: can.adf.as_ref().map(source),
        adf_duplex: can.adf_duplex,
    })
}

fn source(can: &SourceCapabilities) -> SourceView {
    let millimetres = |size: u32| (size * 254 + 1500) / 3000;
    let names = can.color_modes.iter();
    SourceView {
        max_width_mm: millimetres(can.max.width),
        max_height_mm: millimetres(can.max.height),
        color_modes: names.map(|mode| color_name(*mode)).collect(),
        resolutions_dpi: can.resolutions_dpi.iter().copied().collect(),
        formats: can.formats.iter().map(|it| it.media_type()).collect(),
    }
}

fn status(mfp: &mut Mfp) -> Result<StatusView, Failure> {
    let status = mfp.scanner.status().map_err(|error| unreached(&error))?;
    let who = mfp.identity.identity();
    Ok(StatusView {
        vendor: who.vendor.as_str().to_owned(),
        model: who.model.as_str().to_owned(),
        serial: who.serial.as_str().to_owned(),
        fingerprint: None,
        state: match status.state {
            ScannerState::Idle => "idle",
            ScannerState::Processing => "processing",
            ScannerState::Stopped => "stopped",
            _ => "down",
        },
        feeder: status.adf.map(|adf| match adf {
            AdfState::Loaded => "loaded",
            AdfState::Empty => "empty",
            AdfState::Jam => "jam",
            AdfState::MultipickDetected => "double-feed",
            AdfState::HatchOpen => "cover-open",
            AdfState::Processing => "ready",
            _ => "fault",
        }),
    })
}
