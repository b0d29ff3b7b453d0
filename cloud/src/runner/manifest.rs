//! Reads what a device has sealed about a job, and holds it against what it sent.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use scantrip_cloud_client::seal::{ObjectId, ObjectKind};
use scantrip_cloud_client::wire::{
    DeviceTime, EnvelopeObject, INTENT_OBJECT, Intent, Manifest, PAGES_MAX, Receipt,
};
use serde::de::DeserializeOwned;

use super::{Context, opening};
use crate::core::jobs;
use crate::core::record::{Job, JobRef};
use crate::steps::{Facts, StepFault};

/// All that the steps need of a job.
#[derive(Clone, Debug)]
pub(super) struct JobContent {
    /// The job id's bytes.
    pub(super) job_bytes: [u8; 16],
    /// The workflow's id.
    pub(super) workflow: String,
    /// What each object is, by number.
    pub(super) objects: BTreeMap<u32, EnvelopeObject>,
    /// What steps may know; the workflow's name is not known here.
    pub(super) facts: Facts,
}

impl JobContent {
    fn object_id(&self, kind: ObjectKind, object: u32) -> ObjectId {
        ObjectId {
            kind,
            tenant: self.facts.tenant.clone(),
            device: self.facts.device.clone(),
            job: self.job_bytes,
            object,
        }
    }
}

/// Opens the manifest, and the intent if the manifest stands for a draft that was cut off.
pub(super) fn read(context: &Context<'_>) -> Result<JobContent, StepFault> {
    let job = context.job;
    let envelope = jobs::envelope(context.vault, job)?
        .ok_or_else(|| refuse("its content is not in the cloud any more"))?;
    let mut content = JobContent {
        job_bytes: uuid(&job.job).ok_or_else(|| refuse("its id is no UUID"))?,
        workflow: String::new(),
        objects: envelope
            .objects
            .into_iter()
            .map(|object| (object.object, object))
            .collect(),
        facts: Facts {
            job: job.job.clone(),
            step: 0,
            tenant: job.tenant.clone(),
            device: job.device.clone(),
            workflow: String::new(),
            fields: BTreeMap::new(),
            scanned_ms: 0,
            pages: Vec::new(),
        },
    };
    let what = "the job's description";
    let manifest: Manifest = open_json(context, &content, (ObjectKind::Manifest, 0, what))?;
    check(manifest.version, &manifest.job, job)?;
    let scanned_at = if let Some(number) = manifest.intent {
        if number != INTENT_OBJECT {
            return Err(refuse("it names an intent that is none"));
        }
        let what = "what was entered before scanning";
        let intent: Intent = open_json(context, &content, (ObjectKind::Intent, number, what))?;
        check(intent.version, &intent.job, job)?;
        content.workflow = intent.workflow;
        content.facts.fields = intent.fields;
        intent.scanned_at
    } else {
        content.workflow = manifest.workflow;
        content.facts.fields = manifest.fields;
        manifest.scanned_at
    };
    content.facts.scanned_ms = scanned_ms(scanned_at, received_at_ms(context)?);
    content.facts.pages = manifest.pages;
    check_pages(&content)?;
    Ok(content)
}

fn check(version: u32, named: &str, job: &JobRef) -> Result<(), StepFault> {
    if version != 1 {
        return Err(refuse(
            "its description is of a newer version; update the cloud",
        ));
    }
    if named != job.job {
        return Err(refuse("its description is of another job"));
    }
    Ok(())
}

fn check_pages(content: &JobContent) -> Result<(), StepFault> {
    if content.facts.pages.len() > PAGES_MAX as usize {
        return Err(refuse(&format!("it has more than {PAGES_MAX} pages")));
    }
    for (index, page) in content.facts.pages.iter().enumerate() {
        let is_page = page.object != 0 && page.object != INTENT_OBJECT;
        if !is_page || !content.objects.contains_key(&page.object) {
            return Err(refuse(&format!("its page {} was never sent", index + 1)));
        }
    }
    Ok(())
}

fn open_json<T: DeserializeOwned>(
    context: &Context<'_>,
    content: &JobContent,
    (kind, number, what): (ObjectKind, u32, &str),
) -> Result<T, StepFault> {
    let missing = || refuse(&format!("{what} was never sent"));
    let named = content.objects.get(&number).ok_or_else(missing)?;
    let text = read_object(context, content, (kind, named, what), JSON_BYTES_MAX)?;
    // The parser's words could hold field values.
    serde_json::from_slice(&text).map_err(|_error| refuse(&format!("{what} cannot be read")))
}

/// Opens a whole object into memory.
pub(super) fn read_object(
    context: &Context<'_>,
    content: &JobContent,
    (kind, named, what): (ObjectKind, &EnvelopeObject, &str),
    bytes_max: u64,
) -> Result<Vec<u8>, StepFault> {
    let len = usize::try_from(named.size)
        .ok()
        .filter(|_| named.size <= bytes_max);
    let len = len.ok_or_else(|| {
        let (size, max) = (named.size >> 20, bytes_max >> 20);
        refuse(&format!(
            "{what} has {size} MiB; at most {max} MiB can be processed"
        ))
    })?;
    let object = jobs::object(context.vault, context.job, named)?;
    let reader = object.reader(context.ports);
    let id = content.object_id(kind, named.object);
    let mut plain = Vec::with_capacity(len);
    opening::open(context.keyring, &id, &named.sha256, reader, &mut |bytes| {
        plain.extend_from_slice(bytes);
        Ok(())
    })
    .map_err(|fault| fault.of(what))?;
    Ok(plain)
}

fn received_at_ms(context: &Context<'_>) -> Result<u64, StepFault> {
    let place = Job::place(&context.job.device, &context.job.job);
    let stored = context.vault.get::<Job>(&place)?;
    let Some(Job::Committed(committed)) = stored.map(|stored| stored.value) else {
        return Err(StepFault::internal("the job was not committed"));
    };
    let bytes = BASE64_STANDARD
        .decode(&committed.receipt.receipt)
        .map_err(StepFault::internal)?;
    let receipt: Receipt = serde_json::from_slice(&bytes).map_err(StepFault::internal)?;
    Ok(receipt.received_at_ms)
}

/// The device's time, put right by what is known of its clock. Never after the job came in, and
/// not more than a quarter before: such a clock was never set.
fn scanned_ms(at: DeviceTime, received_ms: u64) -> u64 {
    let skew_ms = at.skew_ms.unwrap_or(0);
    let corrected_ms = at.unix_ms.saturating_add_signed(skew_ms);
    if corrected_ms > received_ms || received_ms - corrected_ms > OFFLINE_MS_MAX {
        return received_ms;
    }
    corrected_ms
}

fn uuid(text: &str) -> Option<[u8; 16]> {
    crate::ports::unhex(&text.replace('-', ""))
}

fn refuse(problem: &str) -> StepFault {
    StepFault::Refused {
        reason: format!("the job cannot be processed: {problem}"),
    }
}

/// A manifest of 10,000 pages has 1.5 MiB; fields add at most 80 KiB.
const JSON_BYTES_MAX: u64 = 8 * 1024 * 1024;
/// How long a device may have been without a network.
const OFFLINE_MS_MAX: u64 = 92 * 24 * 60 * 60 * 1000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_devices_time_is_put_right() {
        let day_ms = 24 * 60 * 60 * 1000;
        let received_ms = 1000 * day_ms;
        let at = |unix_ms, skew_ms| scanned_ms(DeviceTime { unix_ms, skew_ms }, received_ms);
        assert_eq!(at(received_ms - 5, None), received_ms - 5);
        assert_eq!(
            at(received_ms - 5 - day_ms, Some(1_i64 << 26)),
            received_ms - 5 - day_ms + (1 << 26)
        );
        assert_eq!(at(received_ms + day_ms, Some(-86_400_000)), received_ms);
        assert_eq!(
            at(received_ms + day_ms, None),
            received_ms,
            "a clock that is ahead"
        );
        assert_eq!(at(7, None), received_ms, "a clock that was never set");
        assert_eq!(at(u64::MAX, Some(i64::MAX)), received_ms);
        assert_eq!(at(0, Some(i64::MIN)), received_ms);
    }
}
