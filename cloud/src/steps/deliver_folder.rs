//! `deliver_folder`: puts the document into a folder, exactly once.
//!
//! Takes a document and gives it on. Options: `folder`, absolute, or relative to the tenant's own
//! folder in the cloud's data; `name`, a [`NamePattern`].
//!
//! The record goes planned -> ready -> delivered, and each state is durable before the next act:
//!
//! 1. *planned* {name, temporary name, SHA-256}: the temporary file is written, from the start
//!    if need be, and made durable with its folder;
//! 2. *ready*: it is renamed to the name, never over another file. If the temporary file is gone,
//!    the rename was done before a crash. If the name is taken, the next one is recorded first;
//! 3. *delivered*: nothing is left to do.

use std::io;
use std::path::{Component, PathBuf};

use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use toml::Spanned;

use super::folders::Folder;
use super::{Done, OptionsError, Shape, Step, StepFault, StepMeta, StepOptions, Work};
use crate::name_pattern::{NameFacts, NamePattern, numbered};
use crate::ports::hex;

/// The registry's entry.
pub const META: StepMeta = StepMeta {
    name: "deliver_folder",
    summary: "Puts the document into a folder under a name made of fields, date and counter.",
    takes: Shape::Document,
    gives: Shape::Document,
    delivers: true,
    parse,
};

/// How many names are tried: beyond, somebody must tidy up or use `{counter}`.
const NAMES_MAX: u32 = 10_000;

#[derive(Debug)]
struct DeliverFolder {
    folder: PathBuf,
    name: NamePattern,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    folder: Spanned<String>,
    name: Spanned<String>,
}

/// What the step remembers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Record {
    state: State,
    /// The name to be had.
    name: String,
    /// The name wished for, before clashes.
    wished: String,
    /// Which try `name` is, 1 and up.
    number: u32,
    counter: u64,
    temporary: String,
    sha256: String,
    /// The folder that the temporary file was written into; 0 before.
    folder_id: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum State {
    Planned,
    Ready,
    Delivered,
}

fn parse(options: StepOptions<'_>) -> Result<Box<dyn Step>, OptionsError> {
    let raw = Options::deserialize(options.table)?;
    let wrong = |message: String, span| {
        Err(OptionsError {
            message,
            span: Some(span),
        })
    };
    let folder = PathBuf::from(raw.folder.get_ref());
    if raw.folder.get_ref().is_empty() || raw.folder.get_ref().contains('\0') {
        let message = "expected a folder, for example \"/srv/scans\" or \"invoices\"".to_owned();
        return wrong(message, raw.folder.span());
    }
    if folder.components().any(|part| part == Component::ParentDir) {
        return wrong(
            "a folder cannot hold `..`; write it out".to_owned(),
            raw.folder.span(),
        );
    }
    match NamePattern::parse(raw.name.get_ref(), options.fields.iter().copied()) {
        Ok(name) => Ok(Box::new(DeliverFolder { folder, name })),
        Err(error) => wrong(error.to_string(), raw.name.span()),
    }
}

impl Step for DeliverFolder {
    fn run(&self, work: &mut dyn Work) -> Result<Done, StepFault> {
        let mut record = match work.record() {
            Some(record) => Record::deserialize(record).map_err(StepFault::internal)?,
            None => self.plan(work)?,
        };
        loop {
            match record.state {
                State::Planned => self.write(work, &mut record)?,
                State::Ready => self.rename(work, &mut record)?,
                State::Delivered => {
                    let place = self.folder.display().to_string();
                    return Ok(Done::Delivered {
                        place,
                        name: record.name,
                    });
                }
            }
        }
    }
}

impl DeliverFolder {
    fn plan(&self, work: &mut dyn Work) -> Result<Record, StepFault> {
        let counter = work.next_counter()?;
        let document = work
            .document()
            .ok_or_else(|| StepFault::internal("no document to deliver"))?;
        let facts = work.facts();
        let name = self.name.render(&NameFacts {
            scanned_ms: facts.scanned_ms,
            counter,
            workflow: &facts.workflow,
            device: &facts.device,
            job: &facts.job,
            fields: &facts.fields,
            extension: &document.extension,
        });
        let record = Record {
            state: State::Planned,
            wished: name.clone(),
            name,
            number: 1,
            counter,
            temporary: format!(".scantrip-{}-{}.part", facts.job, facts.step),
            sha256: document.sha256.clone(),
            folder_id: 0,
        };
        save(work, &record)?;
        Ok(record)
    }

    /// Writes the temporary file; on success it and its name are durable.
    fn write(&self, work: &mut dyn Work, record: &mut Record) -> Result<(), StepFault> {
        let folder = self.open(work)?;
        let cannot = |error| self.cannot("write into", &error);
        let mut file = folder.create(&record.temporary).map_err(cannot)?;
        let mut hash = Sha256::new();
        work.read_document(&mut |bytes| {
            hash.update(bytes);
            file.write(bytes).map_err(cannot)
        })?;
        if hex(&hash.finalize()) != record.sha256 {
            return Err(StepFault::internal(
                "the document differs from the one that was planned",
            ));
        }
        file.sync().and_then(|()| folder.sync()).map_err(cannot)?;
        record.folder_id = folder.id();
        record.state = State::Ready;
        save(work, record)
    }

    /// Gives the file its name, or records another name if this one is taken.
    fn rename(&self, work: &mut dyn Work, record: &mut Record) -> Result<(), StepFault> {
        let folder = self.open(work)?;
        match folder.rename_new(&record.temporary, &record.name) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let cannot = |error| self.cannot("read", &error);
                if folder.contains(&record.temporary).map_err(cannot)? {
                    self.next_name(folder.as_ref(), record)?;
                    return save(work, record);
                }
            }
            // Renamed before a crash, unless another folder lies here now.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                if folder.id() != record.folder_id {
                    return Err(self.other_folder());
                }
            }
            Err(error) => return Err(self.cannot("rename in", &error)),
        }
        folder
            .sync()
            .map_err(|error| self.cannot("write into", &error))?;
        record.state = State::Delivered;
        save(work, record)
    }

    fn next_name(&self, folder: &dyn Folder, record: &mut Record) -> Result<(), StepFault> {
        while record.number < NAMES_MAX {
            record.number += 1;
            record.name = numbered(&record.wished, record.number);
            if !folder
                .contains(&record.name)
                .map_err(|error| self.cannot("read", &error))?
            {
                return Ok(());
            }
        }
        let place = self.folder.display();
        let reason = format!(
            "the folder {place} has {NAMES_MAX} documents of the same name; move some away, and \
             put `{{counter:04}}` into the name"
        );
        Err(StepFault::Retry { reason })
    }

    fn other_folder(&self) -> StepFault {
        let place = self.folder.display();
        let reason = format!(
            "the folder {place} is not the one that the document was written into; check that \
             the right share is mounted"
        );
        StepFault::Retry { reason }
    }

    fn open(&self, work: &dyn Work) -> Result<Box<dyn Folder>, StepFault> {
        let opened = work.folders().open(&work.facts().tenant, &self.folder);
        opened.map_err(|error| self.cannot("open", &error))
    }

    fn cannot(&self, verb: &str, error: &io::Error) -> StepFault {
        let place = self.folder.display();
        let advice = match error.kind() {
            io::ErrorKind::NotFound => "make the folder or mount its share",
            io::ErrorKind::PermissionDenied => "let the cloud's user write there",
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => "free some space",
            _ => "check the folder",
        };
        StepFault::Retry {
            reason: format!("cannot {verb} the folder {place} ({error}); {advice}"),
        }
    }
}

fn save(work: &mut dyn Work, record: &Record) -> Result<(), StepFault> {
    work.save_record(serde_json::to_value(record).map_err(StepFault::internal)?)
}

#[cfg(test)]
mod tests;
