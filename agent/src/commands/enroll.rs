//! `enroll` and `unenroll`.

use std::fs::File;
use std::path::Path;

use scantrip_cloud_client::code::EnrollmentCode;
use zeroize::Zeroizing;

use super::access::Access;
use super::args::EnrollOptions;
use super::failure::Failure;
use super::prompt::read_line;
use super::{Exit, World};
use crate::api::{Reply, Request};
use crate::render::{count, plain, time};

/// How often a person may mistype the code before the command gives up.
const TRIES: u32 = 3;

/// A code on the command line is a secret that others have seen.
pub(crate) fn refuse_code_in_arguments(options: &EnrollOptions) -> Result<(), Failure> {
    if options.refused.is_empty() && options.code.is_none() {
        return Ok(());
    }
    Err(Failure::new(
        Exit::Usage,
        "an enrolment code never goes on the command line: other users see it there, and the \
         shell keeps it; run `scantrip enroll` alone and type it when asked, or use \
         --code-file FILE. If this was a real code, have it withdrawn",
    ))
}

/// `enroll`: asks for the code and enrols.
pub(crate) fn enroll(
    world: &mut World<'_>,
    access: &Access,
    options: &EnrollOptions,
) -> Result<(), Failure> {
    let code = read_code(world, options)?;
    world.output.line("enrolling; this may take a moment");
    let view = access.service.enroll(code)?;
    world.output.answer(&view, || {
        let tls = view
            .tls
            .as_deref()
            .map(|tls| format!(", over {}", plain(tls)));
        format!(
            "enrolled as {}{}\nthe certificate ends {} and renews itself before\n\
             next: scantrip workflows\n",
            plain(&view.device),
            tls.unwrap_or_default(),
            time(view.certificate_ends_ms)
        )
    });
    Ok(())
}

fn read_code(world: &mut World<'_>, options: &EnrollOptions) -> Result<EnrollmentCode, Failure> {
    let unread = |error: std::io::Error| {
        Failure::new(
            Exit::Usage,
            format!("cannot read the enrolment code: {error}"),
        )
    };
    let from_file = options
        .code_file
        .as_deref()
        .filter(|file| *file != Path::new("-"));
    if let Some(file) = from_file {
        let opened = File::open(file).and_then(|mut file| read_line(&mut file));
        let text = opened.map_err(|error| {
            let message = format!("cannot read the code from {}: {error}", file.display());
            Failure::new(Exit::Usage, message)
        })?;
        return parse(&text.unwrap_or_default());
    }
    if options.code_file.is_some() || !world.person.is_there() {
        return parse(&world.person.piped().map_err(unread)?);
    }
    let mut tries = 1;
    loop {
        let question = "Enrolment code (XXXX-XXXX-XXXX, not shown): ";
        let Some(text) = world.person.ask_hidden(question).map_err(unread)? else {
            return Err(Failure::new(
                Exit::Usage,
                "no code was typed; nothing was changed",
            ));
        };
        match parse(&text) {
            Err(failure) if tries < TRIES => world.output.remark(&failure.message),
            result => return result,
        }
        tries += 1;
    }
}

fn parse(text: &Zeroizing<String>) -> Result<EnrollmentCode, Failure> {
    EnrollmentCode::parse(text.trim()).map_err(|error| Failure::caused(Exit::Usage, &error))
}

/// `unenroll`: tells what would be lost, asks, wipes.
pub(crate) fn unenroll(world: &mut World<'_>, access: &Access, yes: bool) -> Result<(), Failure> {
    if !yes {
        let unsent = wipe(access, false)?;
        let lost = match unsent {
            0 => "no job would be lost".to_owned(),
            _ => format!(
                "{} not in the cloud yet and would be LOST",
                jobs_are(unsent)
            ),
        };
        if !world.person.is_there() || world.output.is_json() {
            let message = format!("{lost}; to wipe identity, spool and journal, add --yes");
            return Err(Failure::new(Exit::Usage, message));
        }
        world.output.remark(&format!(
            "{lost}; identity, spool and journal will be wiped"
        ));
        let answer = world.person.ask("Type \"yes\" to go on: ");
        let answer = answer.map_err(|error| Failure::caused(Exit::Usage, &error))?;
        if answer.as_deref() != Some("yes") {
            return Err(Failure::new(Exit::Usage, "nothing was changed"));
        }
    }
    let lost = wipe(access, true)?;
    let reply = Reply::Unenroll {
        unsent_jobs: lost,
        done: true,
    };
    world.output.answer(&reply, || match lost {
        0 => "wiped identity, spool and journal; no job was lost\n".to_owned(),
        _ => format!(
            "wiped identity, spool and journal; {} lost\n",
            jobs_are(lost)
        ),
    });
    Ok(())
}

fn wipe(access: &Access, confirmed: bool) -> Result<u32, Failure> {
    match access.service.call(Request::Unenroll { confirmed })? {
        Reply::Unenroll { unsent_jobs, done } if done == confirmed => Ok(unsent_jobs),
        other => Err(Failure::strange(&other)),
    }
}

fn jobs_are(number: u32) -> String {
    count(number.into(), "job is", "jobs are")
}
