//! Commands that only show something: `status`, `workflows`, and `sync`.

use super::World;
use super::access::Access;
use super::failure::Failure;
use crate::api::{Reply, Request};
use crate::render;

/// `status`: the one page.
pub(crate) fn status(world: &mut World<'_>, access: &Access) -> Result<(), Failure> {
    match access.service.call(Request::Status)? {
        Reply::Status(status) => {
            let now = world.clock.wall().as_millis();
            let agent = if access.remote {
                "agent is running"
            } else {
                "no agent is running; start it with: scantrip run"
            };
            world.output.line(agent);
            world
                .output
                .answer(&status, || render::status::page(&status, now));
            Ok(())
        }
        other => Err(Failure::strange(&other)),
    }
}

/// `workflows`: what can be scanned for.
pub(crate) fn workflows(world: &mut World<'_>, access: &Access) -> Result<(), Failure> {
    match access.service.call(Request::Workflows)? {
        Reply::Workflows(list) => {
            world.output.answer(&list, || render::workflow::list(&list));
            Ok(())
        }
        other => Err(Failure::strange(&other)),
    }
}

/// `sync`: asks the cloud now.
pub(crate) fn sync(world: &mut World<'_>, access: &Access) -> Result<(), Failure> {
    let reply = access.service.call(Request::Sync)?;
    if reply != Reply::Done {
        return Err(Failure::strange(&reply));
    }
    world
        .output
        .answer(&reply, || "up to date with the cloud\n".to_owned());
    Ok(())
}
