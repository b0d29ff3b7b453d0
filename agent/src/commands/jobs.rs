//! `jobs`: the list, and decisions about one job.

use std::sync::Arc;
use std::time::Duration;

use super::access::Access;
use super::args::{JobName, JobsCommand};
use super::failure::Failure;
use super::follow::{Follow, Goal};
use super::{Exit, World};
use crate::api::{Edit, JobEvent, JobView, Reply, Request};
use crate::render;

/// `jobs` and its commands.
pub(crate) fn jobs(
    world: &mut World<'_>,
    access: &Access,
    command: Option<&JobsCommand>,
) -> Result<(), Failure> {
    let list = list(access)?;
    match command {
        None => {
            world.output.answer(&list, || render::job::list(&list));
            Ok(())
        }
        Some(JobsCommand::Show(name)) => {
            let job = find(&list, name)?;
            let past = access.service.events(&job.job, 0, Duration::ZERO);
            let doubt = past.ok().and_then(|past| in_doubt(past.last()?));
            world.output.answer(job, || render::job::one(job, doubt));
            Ok(())
        }
        Some(JobsCommand::Wait(name)) => {
            let job = find(&list, name)?.job.clone();
            // Ctrl-C ends the wait, as it ends any command; it is not for the feeder.
            let mut follow = Follow::new(access, job, Arc::default());
            let _last = follow.skip_past(world, 1);
            follow.to(world, Goal::Delivered)
        }
        Some(JobsCommand::Finish(name)) => {
            edit(world, access, find(&list, name)?, Edit::Finish, Goal::Sent)
        }
        Some(JobsCommand::Continue { job, hold, again }) => {
            let goal = if *hold {
                Goal::StackEnd
            } else {
                Goal::Finished
            };
            let more = match again {
                Some(page) => Edit::Again { page: *page },
                None => Edit::AddMore,
            };
            edit(world, access, find(&list, job)?, more, goal)
        }
        Some(JobsCommand::Discard(name)) => discard(world, access, find(&list, name)?),
    }
}

fn list(access: &Access) -> Result<Vec<JobView>, Failure> {
    match access.service.call(Request::Jobs)? {
        Reply::Jobs(list) => Ok(list),
        other => Err(Failure::strange(&other)),
    }
}

/// The only job whose id begins like this.
fn find<'a>(list: &'a [JobView], name: &JobName) -> Result<&'a JobView, Failure> {
    let wanted = name.id.to_ascii_lowercase();
    let mut found = list
        .iter()
        .filter(|job| job.job.starts_with(&wanted) && !wanted.is_empty());
    match (found.next(), found.next()) {
        (Some(job), None) => Ok(job),
        (None, _) => Err(Failure::new(
            Exit::Usage,
            format!("there is no job {:?}; see: scantrip jobs", name.id),
        )),
        (Some(_), Some(_)) => Err(Failure::new(
            Exit::Usage,
            format!(
                "more than one job begins with {:?}; type more of its id",
                name.id
            ),
        )),
    }
}

/// Changes a draft, then follows it.
fn edit(
    world: &mut World<'_>,
    access: &Access,
    job: &JobView,
    edit: Edit,
    goal: Goal,
) -> Result<(), Failure> {
    let interrupted = (world.interrupted)();
    let mut follow = Follow::new(access, job.job.clone(), Arc::clone(&interrupted));
    let last = follow.skip_past(world, 0);
    // A person may have come long after it was told; it can still be stopped.
    if edit == Edit::AddMore
        && let Some((told, _page)) = last.as_ref().and_then(in_doubt)
    {
        world.output.line(&render::plain(&told));
    }
    let job = job.job.clone();
    access.open_job(Request::Edit { job, edit }, &interrupted)?;
    follow.to(world, goal)
}

/// What was told last of a draft with a page in doubt, and that page.
fn in_doubt(last: &JobEvent) -> Option<(String, u32)> {
    match last {
        JobEvent::Paused {
            message,
            doubts: Some(page),
            ..
        } => Some((message.clone(), *page)),
        _ => None,
    }
}

fn discard(world: &mut World<'_>, access: &Access, job: &JobView) -> Result<(), Failure> {
    let reply = call(access, job, Edit::Discard)?;
    world.output.answer(&reply, || {
        format!("job {} is thrown away\n", render::job::short_id(&job.job))
    });
    Ok(())
}

fn call(access: &Access, job: &JobView, edit: Edit) -> Result<Reply, Failure> {
    let job = job.job.clone();
    Ok(access.service.call(Request::Edit { job, edit })?)
}
