//! People at the panel: they scan, jam and go on, stop, edit, cancel, walk away, come back.

use scantrip::api::{Edit, Request, ScanRequest};
use scantrip::job_id::JobId;
use scantrip_hal::sim::disk::Dice;

use super::agent::{Asked, Device};
use super::model::{Model, State};
use super::options::{Options, below};

/// What people may do with a document that waits for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Choice {
    Finish,
    AddMore,
    Again,
    Delete,
    Reorder,
    Rotate,
    Discard,
    WalkAway,
}

/// Somebody comes with paper.
pub(crate) fn scan(device: &mut Device, options: &Options, note: &str) {
    let sheets = 1 + device.dice.below(options.sheets);
    {
        let mut tray = device.scanner.tray();
        tray.sheets = sheets;
        tray.jam = options.jam;
    }
    let finish_at_end = device.dice.below(2) == 0;
    let request = ScanRequest {
        workflow: "Archive".to_owned(),
        fields: [("note".to_owned(), note.to_owned())].into_iter().collect(),
        finish_at_end,
        ..ScanRequest::default()
    };
    device.ask(Request::Scan(request), Asked::Scan(finish_at_end));
}

/// Somebody decides about a document that waits; in `calm` times it is brought to its end.
pub(crate) fn choose(
    device: &mut Device,
    model: &mut Model,
    job: JobId,
    options: &Options,
    calm: bool,
) {
    let Some(scan) = model.scans.get(&job) else {
        return;
    };
    let state = scan.state;
    let pages = device.draft_pages(job).unwrap_or(0);
    let known = scan
        .shown
        .as_ref()
        .is_some_and(|shown| shown.len() == pages);
    let choice = match state {
        State::Failed if scan.rotten && device.dice.below(2) == 0 => Choice::Discard,
        State::Failed => Choice::Finish,
        State::Resting if calm && pages == 0 => Choice::Discard,
        State::Resting if calm => Choice::Finish,
        State::Resting => draw(&mut device.dice, pages, known),
        _ => return,
    };
    let edit = match choice {
        Choice::WalkAway => return,
        Choice::Finish => Edit::Finish,
        Choice::Discard => Edit::Discard,
        Choice::AddMore => {
            let sheets = 1 + device.dice.below(options.sheets);
            device.scanner.tray().sheets = sheets;
            Edit::AddMore
        }
        Choice::Again => {
            // Perhaps the sheet is not put back.
            let sheets = device.dice.below(1 + options.sheets);
            device.scanner.tray().sheets = sheets;
            Edit::Again { page: pages as u32 }
        }
        Choice::Delete => Edit::Delete {
            page: 1 + below(&mut device.dice, pages as u64) as u32,
        },
        Choice::Rotate => Edit::Rotate {
            page: 1 + below(&mut device.dice, pages as u64) as u32,
            degrees: 90,
        },
        Choice::Reorder => Edit::Reorder {
            pages: shuffled(&mut device.dice, pages),
        },
    };
    edit_job(device, model, job, edit);
}

/// Asks for an edit and notes what it may change.
pub(crate) fn edit_job(device: &mut Device, model: &mut Model, job: JobId, edit: Edit) {
    if let Some(scan) = model.scans.get_mut(&job) {
        scan.finishing |= edit == Edit::Finish;
        scan.discarding |= edit == Edit::Discard;
    }
    let request = Request::Edit {
        job: job.to_string(),
        edit: edit.clone(),
    };
    device.ask(request, Asked::Edit(job, edit));
}

fn draw(dice: &mut Dice, pages: usize, known: bool) -> Choice {
    let choices = [
        Choice::Finish,
        Choice::Finish,
        Choice::Finish,
        Choice::AddMore,
        Choice::AddMore,
        Choice::Again,
        Choice::Discard,
        Choice::WalkAway,
        Choice::Delete,
        Choice::Reorder,
        Choice::Rotate,
    ];
    let choice = choices[below(dice, choices.len() as u64)];
    match choice {
        Choice::Finish | Choice::Again | Choice::Delete | Choice::Reorder | Choice::Rotate
            if pages == 0 =>
        {
            Choice::AddMore
        }
        Choice::Again | Choice::Delete | Choice::Reorder if !known => Choice::Finish,
        Choice::Delete if pages < 2 => Choice::Finish,
        choice => choice,
    }
}

fn shuffled(dice: &mut Dice, pages: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (1..=pages as u32).collect();
    for at in (1..order.len()).rev() {
        let other = below(dice, at as u64 + 1);
        order.swap(at, other);
    }
    order
}
