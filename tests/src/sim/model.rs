//! What was promised to people, and whether it was kept.
//!
//! The panel's words count: a page is owed from the moment it is called saved, a document from the
//! moment somebody finished it, and nothing may come of a document after it was called discarded.

use std::collections::BTreeMap;

use scantrip::api::JobEvent;
use scantrip::job_id::JobId;
use scantrip::journal::JobState;

use super::paper::pages_of;
use super::report::Wrong;
use super::shared::Shared;

/// What is owed of a page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Owed {
    /// It left the scanner; nobody was told that it is safe.
    Maybe,
    /// It was called saved.
    Yes,
    /// It was taken out, or a person was told to scan it again.
    No,
}

/// A page that left the scanner whole.
#[derive(Clone, Debug)]
pub(crate) struct Page {
    /// Its number.
    pub(crate) number: u64,
    bytes: Vec<u8>,
    pub(crate) owed: Owed,
}

/// How far a document is, as people were told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum State {
    /// Paper moves, or an answer is awaited.
    Busy,
    /// It waits for a person.
    Resting,
    /// It was finished and is on its way.
    Saved,
    /// The cloud has it.
    Received,
    /// It did not go and waits for a person.
    Failed,
    /// It was thrown away.
    Discarded,
    /// It never came to be.
    Never,
}

/// One document.
#[derive(Clone, Debug)]
pub(crate) struct Scan {
    pub(crate) device: usize,
    tenant: String,
    pub(crate) pages: Vec<Page>,
    /// The order of pages as shown, by number; `None`: not sure after a power cut.
    pub(crate) shown: Option<Vec<u64>>,
    pub(crate) state: State,
    /// Somebody asked to finish it.
    pub(crate) finishing: bool,
    /// Somebody asked to throw it away.
    pub(crate) discarding: bool,
    /// Its order was changed and power went before it was finished for sure.
    reordered: bool,
    /// A block of its file has rotted.
    pub(crate) rotten: bool,
    /// Where it arrived.
    paths: Vec<String>,
}

impl Scan {
    fn owed(&self) -> usize {
        self.count(Owed::Yes)
    }

    fn count(&self, owed: Owed) -> usize {
        self.pages.iter().filter(|page| page.owed == owed).count()
    }

    /// Whether nothing more is to come.
    pub(crate) fn is_over(&self) -> bool {
        match self.state {
            State::Discarded | State::Never => true,
            _ => !self.paths.is_empty(),
        }
    }
}

/// What a device finds of a document when it is switched on.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    /// Pages of the draft, if it is one.
    pub(crate) draft: Option<usize>,
    /// Pages that are reported as damaged.
    pub(crate) damaged: usize,
    /// Whether the spool has a file of it.
    pub(crate) file: bool,
    /// What the journal says.
    pub(crate) journal: Option<JobState>,
}

/// All documents.
pub(crate) struct Model {
    shared: Shared,
    pub(crate) scans: BTreeMap<JobId, Scan>,
}

impl Model {
    pub(crate) const fn new(shared: Shared) -> Self {
        Self {
            shared,
            scans: BTreeMap::new(),
        }
    }

    fn wrong(&self, kind: Wrong, job: JobId, text: &str) {
        self.shared.wrong(kind, format!("job {job}: {text}"));
    }

    /// A device begins a document.
    pub(crate) fn begin(&mut self, job: JobId, device: usize, tenant: &str) {
        let scan = Scan {
            device,
            tenant: tenant.to_owned(),
            pages: Vec::new(),
            shown: Some(Vec::new()),
            state: State::Busy,
            finishing: false,
            discarding: false,
            reordered: false,
            rotten: false,
            paths: Vec::new(),
        };
        self.scans.insert(job, scan);
    }

    /// What the device was about to begin is refused; no paper has moved.
    pub(crate) fn refused(&mut self, device: usize) {
        for scan in self.scans.values_mut().filter(|scan| scan.device == device) {
            if scan.state == State::Busy && scan.pages.is_empty() {
                scan.state = State::Never;
            }
        }
    }

    /// A page left the scanner; `refused`: the agent says that it does not have it.
    pub(crate) fn fed(&mut self, job: JobId, number: u64, bytes: Vec<u8>, refused: bool) {
        let Some(scan) = self.scans.get_mut(&job) else {
            return;
        };
        let owed = if refused { Owed::No } else { Owed::Maybe };
        scan.pages.push(Page {
            number,
            bytes,
            owed,
        });
    }

    /// The panel tells something.
    pub(crate) fn told(&mut self, job: JobId, event: &JobEvent) {
        let Some(scan) = self.scans.get_mut(&job) else {
            return;
        };
        match event {
            JobEvent::PageSaved { .. } => {
                let page = scan
                    .pages
                    .iter_mut()
                    .rev()
                    .find(|page| page.owed == Owed::Maybe);
                let Some(page) = page else {
                    return self.wrong(Wrong::Lost, job, "a page is called saved that nobody fed");
                };
                page.owed = Owed::Yes;
                let number = page.number;
                if let Some(shown) = &mut scan.shown {
                    shown.push(number);
                }
            }
            JobEvent::Feeding => scan.state = State::Busy,
            JobEvent::Paused { .. } | JobEvent::StackEnd => scan.state = State::Resting,
            JobEvent::Saved { pages } => {
                scan.state = State::Saved;
                let (owed, maybe) = (scan.owed(), scan.count(Owed::Maybe));
                let said = *pages as usize;
                let asked = scan.finishing;
                if !(owed..=owed + maybe).contains(&said) {
                    let text = format!("{said} pages are called saved, {owed} were");
                    self.wrong(Wrong::Lost, job, &text);
                }
                if !asked {
                    self.wrong(Wrong::Altered, job, "it was finished and nobody asked");
                }
            }
            JobEvent::Received { .. } => scan.state = State::Received,
            JobEvent::Delivered { .. } => {
                if scan.paths.is_empty() {
                    self.wrong(Wrong::Lost, job, "it is called delivered and is not there");
                }
            }
            JobEvent::Failed { .. } => scan.state = State::Failed,
            JobEvent::Discarded => {
                scan.state = State::Discarded;
                let (asked, paths) = (scan.discarding, scan.paths.clone());
                if !asked {
                    self.wrong(Wrong::Lost, job, "it was thrown away and nobody asked");
                }
                if !paths.is_empty() {
                    self.wrong(Wrong::Duplicated, job, "it is called discarded and arrived");
                }
            }
            JobEvent::Adapted { .. }
            | JobEvent::Sending { .. }
            | JobEvent::Waiting { .. }
            | JobEvent::Other => {}
        }
    }

    /// A page was taken out.
    pub(crate) fn removed(&mut self, job: JobId, number: u64) {
        if let Some(scan) = self.scans.get_mut(&job) {
            for page in &mut scan.pages {
                if page.number == number {
                    page.owed = Owed::No;
                }
            }
            if let Some(shown) = &mut scan.shown {
                shown.retain(|shown| *shown != number);
            }
        }
    }

    /// A page was to be scanned again, and that was refused: whether it is gone, nobody was told.
    pub(crate) fn perhaps_removed(&mut self, job: JobId, number: u64) {
        if let Some(scan) = self.scans.get_mut(&job) {
            for page in &mut scan.pages {
                if page.number == number {
                    page.owed = Owed::Maybe;
                }
            }
            scan.shown = None;
        }
    }

    /// Pages were put into another order.
    pub(crate) fn reordered(&mut self, job: JobId, order: Vec<u64>) {
        if let Some(scan) = self.scans.get_mut(&job) {
            scan.shown = Some(order);
            scan.reordered = true;
        }
    }

    /// The device's power went while `removing` was asked and not answered.
    pub(crate) fn power_cut(&mut self, device: usize, removing: &[(JobId, u64)]) {
        for (job, number) in removing {
            if let Some(scan) = self.scans.get_mut(job) {
                for page in &mut scan.pages {
                    if page.number == *number {
                        page.owed = Owed::Maybe;
                    }
                }
            }
        }
        for scan in self.scans.values_mut().filter(|scan| scan.device == device) {
            if matches!(scan.state, State::Busy | State::Resting) {
                scan.shown = None;
            }
        }
    }

    /// What a device finds when it is switched on.
    pub(crate) fn found(&mut self, job: JobId, found: &Found) {
        let Some(scan) = self.scans.get_mut(&job) else {
            return;
        };
        if matches!(scan.state, State::Discarded | State::Never) {
            return;
        }
        let (owed, maybe, finishing) = (scan.owed(), scan.count(Owed::Maybe), scan.finishing);
        match &found.journal {
            Some(JobState::Discarded) if scan.discarding => {
                scan.state = State::Discarded;
                return;
            }
            Some(JobState::Received | JobState::Delivered { .. }) if !found.file => {
                scan.state = State::Received;
                return;
            }
            _ => {}
        }
        if !matches!(scan.state, State::Busy | State::Resting) {
            return;
        }
        let damaged = found.damaged;
        let Some(pages) = found.draft else {
            if found.file && (finishing || scan.discarding) {
                // It was sealed, or is being thrown away; which, is told by what follows.
                scan.state = State::Saved;
            } else if scan.discarding {
                scan.state = State::Discarded;
            } else if owed > 0 && !scan.rotten {
                self.wrong(
                    Wrong::Lost,
                    job,
                    "its saved pages are gone after a power cut",
                );
            } else {
                scan.state = State::Never;
            }
            return;
        };
        scan.state = State::Resting;
        let least = owed.saturating_sub(if scan.rotten { damaged } else { 0 });
        if !(least..=owed + maybe).contains(&pages) {
            let text = format!("{owed} pages were called saved, {pages} are there after a cut");
            return self.wrong(Wrong::Lost, job, &text);
        }
        let sure = if pages == owed + maybe {
            Some(Owed::Yes)
        } else {
            (pages == owed).then_some(Owed::No)
        };
        if let Some(sure) = sure.filter(|_| damaged == 0) {
            for page in &mut scan.pages {
                if page.owed == Owed::Maybe {
                    page.owed = sure;
                }
            }
            let numbers = scan.pages.iter().filter(|page| page.owed == Owed::Yes);
            scan.shown = Some(numbers.map(|page| page.number).collect());
        } else if pages < owed {
            // Which one is damaged is told when the document arrives.
            for page in &mut scan.pages {
                if page.owed == Owed::Yes {
                    page.owed = Owed::Maybe;
                }
            }
        }
    }

    /// What lies on the share now.
    pub(crate) fn present(&mut self, paths: &[String]) {
        for scan in self.scans.values_mut() {
            scan.paths.retain(|path| paths.contains(path));
        }
    }

    /// A document has arrived.
    pub(crate) fn arrived(&mut self, tenant: &str, path: &str, document: &[u8]) {
        let pages = pages_of(document);
        let numbers: Vec<u64> = pages.iter().map(|(number, _)| *number).collect();
        let of = |scan: &Scan| scan.pages.iter().any(|page| numbers.contains(&page.number));
        let owners: Vec<JobId> = self
            .scans
            .iter()
            .filter(|(_, scan)| of(scan))
            .map(|(job, _)| *job)
            .collect();
        let [job] = owners[..] else {
            let text = format!("{path} holds pages of {} documents", owners.len());
            return self.shared.wrong(Wrong::Altered, text);
        };
        self.shared
            .trace("share", &format!("{path} of {job} with pages {numbers:?}"));
        let wrongs = self.scans.get_mut(&job).map(|scan| {
            let wrongs = judge(scan, tenant, &pages, &numbers);
            scan.paths.push(path.to_owned());
            wrongs
        });
        for (kind, text) in wrongs.unwrap_or_default() {
            self.wrong(kind, job, &text);
        }
    }

    /// Judges the end: everything has come to rest.
    pub(crate) fn end(&self) {
        for (job, scan) in &self.scans {
            if scan.is_over() {
                continue;
            }
            let text = format!(
                "it ends as {:?}, on the share: {:?}",
                scan.state, scan.paths
            );
            let kind = match scan.state {
                State::Received if scan.paths.is_empty() => Wrong::Lost,
                _ => Wrong::Stuck,
            };
            self.wrong(kind, *job, &text);
        }
    }
}

fn judge(
    scan: &Scan,
    tenant: &str,
    pages: &[(u64, Vec<u8>)],
    numbers: &[u64],
) -> Vec<(Wrong, String)> {
    let mut wrongs = Vec::new();
    if scan.tenant != tenant {
        wrongs.push((
            Wrong::Readable,
            format!("it arrived at the foreign tenant {tenant}"),
        ));
    }
    if !scan.paths.is_empty() {
        wrongs.push((
            Wrong::Duplicated,
            format!("it lies already at {:?}", scan.paths),
        ));
    }
    if scan.state == State::Discarded {
        wrongs.push((
            Wrong::Duplicated,
            "it arrives after it was discarded".to_owned(),
        ));
    }
    if !scan.finishing {
        wrongs.push((
            Wrong::Altered,
            "it arrives and nobody finished it".to_owned(),
        ));
    }
    for (number, bytes) in pages {
        match scan.pages.iter().find(|page| page.number == *number) {
            None => wrongs.push((
                Wrong::Altered,
                format!("page {number} is of another document"),
            )),
            Some(page) if page.bytes != *bytes => {
                wrongs.push((Wrong::Altered, format!("page {number} has other bytes")));
            }
            Some(page) if page.owed == Owed::No => {
                wrongs.push((Wrong::Altered, format!("page {number} had been taken out")));
            }
            Some(_) => {}
        }
    }
    for page in scan.pages.iter().filter(|page| page.owed == Owed::Yes) {
        if !numbers.contains(&page.number) {
            wrongs.push((Wrong::Lost, format!("page {} is missing", page.number)));
        }
    }
    let fed: Vec<u64> = scan.pages.iter().map(|page| page.number).collect();
    let follows = |order: &[u64]| {
        let mut rest = order.iter();
        numbers.iter().all(|number| rest.any(|next| next == number))
    };
    let in_order = match &scan.shown {
        Some(shown) => follows(shown) || (scan.reordered && follows(&fed)),
        None => scan.reordered || follows(&fed),
    };
    if !in_order {
        wrongs.push((
            Wrong::Altered,
            format!("the pages are in the order {numbers:?}"),
        ));
    }
    wrongs
}

#[cfg(test)]
mod tests {
    use super::*;
    use scantrip_hal::sim::disk::Dice;

    fn model() -> (Model, Shared, JobId) {
        let shared = Shared::new(false);
        let job = JobId::from_bytes([7; 16]);
        let mut model = Model::new(shared.clone());
        model.begin(job, 0, "t");
        (model, shared, job)
    }

    fn wrongs(shared: &Shared) -> Vec<Wrong> {
        shared.end().1.into_iter().map(|(kind, _)| kind).collect()
    }

    fn saved(model: &mut Model, job: JobId, pages: u64) -> Vec<Vec<u8>> {
        let mut dice = Dice::new(1);
        let mut made = Vec::new();
        for number in 1..=pages {
            let bytes = super::super::paper::page(number, &mut dice);
            model.fed(job, number, bytes.clone(), false);
            model.told(job, &JobEvent::PageSaved { page: 1, bytes: 1 });
            made.push(bytes);
        }
        if let Some(scan) = model.scans.get_mut(&job) {
            scan.finishing = true;
        }
        model.told(
            job,
            &JobEvent::Saved {
                pages: pages as u32,
            },
        );
        made
    }

    #[test]
    fn a_whole_document_is_fine_once_and_wrong_twice() {
        let (mut model, shared, job) = model();
        let document = saved(&mut model, job, 2).concat();
        model.arrived("t", "t/in/a.pdf", &document);
        assert_eq!(wrongs(&shared), []);
        model.arrived("t", "t/in/b.pdf", &document);
        assert_eq!(wrongs(&shared), [Wrong::Duplicated]);
    }

    #[test]
    fn a_missing_a_foreign_an_altered_and_a_moved_page_are_seen() {
        type Change<'a> = &'a dyn Fn(&mut Vec<Vec<u8>>);
        let cases: [(&str, Change<'_>, Wrong); 3] = [
            ("t", &|pages| drop(pages.pop()), Wrong::Lost),
            ("t", &|pages| pages[0][40] ^= 1, Wrong::Altered),
            ("t", &|pages| pages.swap(0, 1), Wrong::Altered),
        ];
        for (tenant, change, wrong) in cases {
            let (mut model, shared, job) = model();
            let mut pages = saved(&mut model, job, 2);
            change(&mut pages);
            model.arrived(tenant, "t/in/a.pdf", &pages.concat());
            assert_eq!(wrongs(&shared), [wrong]);
        }
        let (mut model, shared, job) = model();
        let document = saved(&mut model, job, 1).concat();
        model.arrived("other", "other/in/a.pdf", &document);
        assert_eq!(wrongs(&shared), [Wrong::Readable]);
    }

    #[test]
    fn a_saved_page_that_a_restart_does_not_find_is_lost() {
        let (mut model, shared, job) = model();
        model.fed(job, 1, vec![1], false);
        model.told(job, &JobEvent::PageSaved { page: 1, bytes: 1 });
        model.power_cut(0, &[]);
        model.found(job, &Found::default());
        assert_eq!(wrongs(&shared), [Wrong::Lost]);
    }

    #[test]
    fn a_finished_document_that_never_arrives_is_not_forgotten() {
        let (mut model, shared, job) = model();
        saved(&mut model, job, 1);
        model.end();
        assert_eq!(wrongs(&shared), [Wrong::Stuck]);
    }
}
