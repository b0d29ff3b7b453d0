//! A job as its steps see it.

use std::sync::Arc;

use scantrip_cloud_client::seal::ObjectKind;
use serde_json::Value;

use super::Context;
use super::document::{DocumentWriter, KeptDocument, Place};
use super::manifest::{JobContent, read_object};
use super::run::{RunItem, Stage, Steps};
use crate::core::jobs::RACES_MAX;
use crate::sealed_store;
use crate::steps::folders::Folders;
use crate::steps::{Document, Facts, StepFault, Work};

/// One job, from the step it is at.
pub(super) struct JobWork<'a> {
    context: Context<'a>,
    content: JobContent,
    item: &'a mut RunItem,
    /// The document that the running step writes.
    writer: Option<DocumentWriter>,
    /// The document that it has finished.
    made: Option<KeptDocument>,
}

impl<'a> JobWork<'a> {
    pub(super) fn new(context: Context<'a>, content: JobContent, item: &'a mut RunItem) -> Self {
        let mut work = Self {
            context,
            content,
            item,
            writer: None,
            made: None,
        };
        work.content.facts.step = work.position();
        work
    }

    /// The step to do.
    pub(super) fn position(&self) -> usize {
        self.steps().map_or(usize::MAX, |steps| steps.position)
    }

    /// The document goes on to the next step.
    pub(super) fn step_made_document(&mut self) -> Result<(), StepFault> {
        let made = self.made.take();
        self.next(|steps| steps.document = made)
    }

    pub(super) fn step_delivered(&mut self, place: String, name: String) -> Result<(), StepFault> {
        self.next(|steps| steps.delivered = Some((place, name)))
    }

    /// All steps are done.
    pub(super) fn end(&mut self, erase_at_ms: u64) -> Result<(), StepFault> {
        let delivered = self.steps().and_then(|steps| steps.delivered.clone());
        let (place, name) =
            delivered.ok_or_else(|| StepFault::internal("the workflow did not deliver"))?;
        self.item.change(self.context.vault, |run| {
            run.stage = Stage::Delivered {
                place,
                name,
                erase_at_ms,
            };
            run.trouble = None;
        })?;
        Ok(())
    }

    fn next(&mut self, change: impl FnOnce(&mut Steps)) -> Result<(), StepFault> {
        self.writer = None;
        self.item.change(self.context.vault, |run| {
            run.trouble = None;
            if let Stage::Steps(steps) = &mut run.stage {
                change(steps);
                steps.position += 1;
            }
        })?;
        self.content.facts.step = self.position();
        Ok(())
    }

    fn steps(&self) -> Option<&Steps> {
        match &self.item.run.stage {
            Stage::Steps(steps) => Some(steps),
            _ => None,
        }
    }

    fn kept(&self) -> Option<&KeptDocument> {
        self.steps()?.document.as_ref()
    }

    fn place(&self, step: usize) -> Place<'a> {
        let Context { ports, job, .. } = self.context;
        Place {
            ports,
            job,
            job_bytes: self.content.job_bytes,
            step,
        }
    }
}

impl Work for JobWork<'_> {
    fn facts(&self) -> &Facts {
        &self.content.facts
    }

    fn read_page(&mut self, index: usize) -> Result<Vec<u8>, StepFault> {
        let pages = &self.content.facts.pages;
        let what = format!("page {} of {}", index + 1, pages.len());
        let named = pages
            .get(index)
            .and_then(|page| self.content.objects.get(&page.object));
        let named = named.ok_or_else(|| StepFault::Refused {
            reason: format!("{what} was never sent; scan the document again"),
        })?;
        let object = (ObjectKind::Page, named, what.as_str());
        read_object(&self.context, &self.content, object, PAGE_BYTES_MAX)
    }

    fn write_document(&mut self, bytes: &[u8]) -> Result<(), StepFault> {
        let place = self.place(self.position());
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(DocumentWriter::begin(&place)?),
        };
        writer.push(&place, self.context.keyring, bytes)
    }

    fn finish_document(&mut self, extension: &str) -> Result<(), StepFault> {
        let place = self.place(self.position());
        let writer = match self.writer.take() {
            Some(writer) => writer,
            None => DocumentWriter::begin(&place)?,
        };
        self.made = Some(writer.finish(&place, extension)?);
        Ok(())
    }

    fn document(&self) -> Option<&Document> {
        self.kept().map(|kept| &kept.document)
    }

    fn read_document(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), StepFault>,
    ) -> Result<(), StepFault> {
        let kept = self
            .kept()
            .ok_or_else(|| StepFault::internal("there is no document"))?;
        self.place(kept.step).read(self.context.keyring, kept, sink)
    }

    fn record(&self) -> Option<&Value> {
        let steps = self.steps()?;
        steps.records.get(&steps.position)
    }

    fn save_record(&mut self, record: Value) -> Result<(), StepFault> {
        self.item.change(self.context.vault, |run| {
            if let Stage::Steps(steps) = &mut run.stage {
                steps.records.insert(steps.position, record);
            }
        })?;
        Ok(())
    }

    fn next_counter(&mut self) -> Result<u64, StepFault> {
        let vault = self.context.vault;
        let place = sealed_store::Place::new("", format!("N#{}", self.content.workflow));
        for _ in 0..RACES_MAX {
            let stored = vault.get::<u64>(&place)?;
            let next = stored.as_ref().map_or(0, |stored| stored.value) + 1;
            let mut batch = vault.batch();
            batch.put_over(&place, stored.as_ref(), &next)?;
            match batch.commit() {
                Ok(()) => return Ok(next),
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(StepFault::internal("no end of races for the counter"))
    }

    fn folders(&self) -> Arc<dyn Folders> {
        Arc::clone(self.context.folders)
    }
}

/// A page is held in memory: A3 in color at 1200 dpi has about 100 MiB.
const PAGE_BYTES_MAX: u64 = 256 * 1024 * 1024;
