//! The manifest on its way to being sealed: the wire's words without a copy for each page.

use std::collections::BTreeMap;

use scantrip_cloud_client::wire::DeviceTime;
use scantrip_hal::scanner::Side;
use serde::ser::SerializeSeq;
use serde::{Serialize, Serializer};

use super::{Page, Recipient};
use crate::job_id::JobId;

/// All that goes into a manifest, and to whom it is sealed. Serialises as
/// [`wire::Manifest`](scantrip_cloud_client::wire::Manifest).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ManifestPlan {
    /// The job.
    pub job: JobId,
    /// The workflow's id.
    pub workflow: String,
    /// The version that the person saw.
    pub workflow_version: u64,
    /// Field values by name; empty when the intent holds them.
    pub fields: BTreeMap<String, String>,
    /// Object number of the intent, when it holds the fields.
    pub intent: Option<u32>,
    /// When scanning began.
    pub scanned_at: DeviceTime,
    /// The pages in their order.
    pub pages: Vec<Page>,
    /// To whom it is sealed.
    pub recipient: Recipient,
}

impl Serialize for ManifestPlan {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Written {
            version: 1,
            job: self.job,
            workflow: &self.workflow,
            workflow_version: self.workflow_version,
            fields: &self.fields,
            intent: self.intent,
            scanned_at: self.scanned_at,
            pages: Pages(&self.pages),
        }
        .serialize(to)
    }
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    job: JobId,
    workflow: &'a str,
    workflow_version: u64,
    fields: &'a BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    intent: Option<u32>,
    scanned_at: DeviceTime,
    pages: Pages<'a>,
}

struct Pages<'a>(&'a [Page]);

impl Serialize for Pages<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut list = to.serialize_seq(Some(self.0.len()))?;
        for page in self.0 {
            list.serialize_element(&WrittenPage {
                object: page.object,
                media_type: page.format.media_type(),
                images: page.images,
                rotation: page.rotation,
                resolution_dpi: page.dpi,
                side: match page.side {
                    Side::Front => "front",
                    Side::Back => "back",
                },
                doubtful: page.doubtful,
                late_height: page.late_height,
            })?;
        }
        list.end()
    }
}

#[derive(Serialize)]
struct WrittenPage {
    object: u32,
    media_type: &'static str,
    images: u16,
    rotation: u16,
    resolution_dpi: u16,
    side: &'static str,
    doubtful: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    late_height: bool,
}

#[cfg(test)]
mod tests {
    use scantrip_cloud_client::wire::{INTENT_OBJECT, Manifest, ManifestPage};
    use scantrip_hal::scanner::DocumentFormat;

    use super::*;

    #[test]
    fn it_is_written_as_the_wire_reads_it() {
        let page = Page {
            object: 7,
            format: DocumentFormat::Jpeg,
            images: 1,
            rotation: 90,
            dpi: 300,
            side: Side::Back,
            doubtful: true,
            late_height: true,
        };
        let plan = ManifestPlan {
            job: JobId::from_bytes([7; 16]),
            workflow: "w".to_owned(),
            workflow_version: 3,
            fields: BTreeMap::from([("a".to_owned(), "b".to_owned())]),
            intent: Some(INTENT_OBJECT),
            scanned_at: DeviceTime {
                unix_ms: 5,
                skew_ms: Some(-1),
            },
            pages: vec![page],
            recipient: Recipient {
                tenant: "t".to_owned(),
                device: "d".to_owned(),
                spki: Vec::new(),
            },
        };
        let json = serde_json::to_vec(&plan).unwrap();
        let read: Manifest = serde_json::from_slice(&json).unwrap();
        assert_eq!(read.job, plan.job.to_string());
        assert_eq!(read.intent, Some(INTENT_OBJECT));
        assert_eq!(read.fields, plan.fields);
        let expected = ManifestPage {
            object: 7,
            media_type: "image/jpeg".to_owned(),
            images: 1,
            rotation: 90,
            resolution_dpi: 300,
            side: "back".to_owned(),
            doubtful: true,
            late_height: true,
        };
        assert_eq!(read.pages, [expected]);
        assert_eq!(serde_json::to_vec(&read).unwrap(), json);
    }
}
