//! `scan`: paper in, document out.

use std::collections::BTreeMap;

use super::access::Access;
use super::args::{ColorMode, ScanOptions, Source};
use super::failure::Failure;
use super::follow::{Follow, Goal};
use super::{Exit, World};
use crate::api::{Reply, Request, ScanRequest};

/// `scan`: begins a job and follows it.
pub(crate) fn scan(
    world: &mut World<'_>,
    access: &Access,
    options: &ScanOptions,
) -> Result<(), Failure> {
    // Before paper moves, so that Ctrl-C never hits a moving feeder.
    let interrupted = (world.interrupted)();
    let reply = access.open_job(Request::Scan(request(options)?), &interrupted)?;
    let Reply::Started { job } = reply else {
        return Err(Failure::strange(&reply));
    };
    let goal = if options.hold {
        Goal::StackEnd
    } else {
        Goal::Sent
    };
    Follow::new(access, job, interrupted).to(world, goal)
}

fn request(options: &ScanOptions) -> Result<ScanRequest, Failure> {
    let mut fields = BTreeMap::new();
    for (name, value) in &options.fields {
        if fields.insert(name.clone(), value.clone()).is_some() {
            let message = format!("--field {name} is given twice; give each field once");
            return Err(Failure::new(Exit::Usage, message));
        }
    }
    Ok(ScanRequest {
        workflow: options.workflow.clone(),
        fields,
        source: options.source.map(Source::as_str).map(str::to_owned),
        duplex: match (options.duplex, options.simplex) {
            (true, _) => Some(true),
            (_, true) => Some(false),
            _ => None,
        },
        color_mode: options.color.map(ColorMode::as_str).map(str::to_owned),
        resolution_dpi: options.dpi,
        finish_at_end: !options.hold,
    })
}
