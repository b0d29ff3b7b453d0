//! The names of jobs and uploads.

use std::fmt;

use scantrip_cloud_client::problem::ProblemKind;

use super::metadata;
use crate::blobs::Folder;
use crate::core::Core;
use crate::core::answer::{Refusal, refuse};
use crate::core::global;
use crate::core::principal::Principal;
use crate::core::record::Upload;
use crate::ports::{hex, unhex};
use crate::sealed_store::Place;

/// Names an upload: its job, its object, and a tag over all that it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct UploadId {
    /// Job id.
    pub(crate) job: String,
    /// Object number.
    pub(crate) object: u32,
    tag: [u8; 16],
}

/// An upload as a creation announces it.
pub(super) struct Announced {
    /// Its id.
    pub(super) id: UploadId,
    /// SHA-256 of all its bytes, hexadecimal.
    pub(super) sha256: String,
}

/// Checks a job id: a UUID in lower case, as RFC 9562 writes it.
pub(crate) fn job_id(text: &str) -> Result<String, Refusal> {
    let dashes = |(place, byte): (usize, u8)| (byte == b'-') == matches!(place, 8 | 13 | 18 | 23);
    let fits = text.len() == 36
        && text.bytes().enumerate().all(dashes)
        && unhex::<16>(&text.replace('-', "")).is_some();
    if fits {
        return Ok(text.to_owned());
    }
    Err(refuse(
        ProblemKind::BadRequest,
        "the job's id is no UUID in lower case",
    ))
}

/// What the ids of a job's uploads begin with.
pub(crate) fn id_prefix(job: &str) -> String {
    format!("{}-", job.replace('-', ""))
}

impl UploadId {
    /// Reads an id. One that cannot be ours is as one that is not there.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        Self::read(text).ok_or_else(|| {
            refuse(
                ProblemKind::NotFound,
                "there is no such upload of this device",
            )
        })
    }

    fn read(text: &str) -> Option<Self> {
        let mut pieces = text.split('-');
        let (job, object, tag) = (pieces.next()?, pieces.next()?, pieces.next()?);
        if pieces.next().is_some() {
            return None;
        }
        let job = hex(&unhex::<16>(job)?);
        let (a, rest) = job.split_at_checked(8)?;
        let (b, rest) = rest.split_at_checked(4)?;
        let (c, rest) = rest.split_at_checked(4)?;
        let (d, e) = rest.split_at_checked(4)?;
        Some(Self {
            job: format!("{a}-{b}-{c}-{d}-{e}"),
            object: u32::from_be_bytes(unhex::<4>(object)?),
            tag: unhex::<16>(tag)?,
        })
    }

    /// The id of the object that a creation's metadata names.
    pub(super) fn of_metadata(
        core: &Core,
        device: &Principal,
        header: Option<&str>,
    ) -> Result<Announced, Refusal> {
        let bad = |detail| refuse(ProblemKind::BadRequest, detail);
        let mut named = metadata(header.unwrap_or_default());
        let mut take = |key| {
            let missing = "Upload-Metadata must have job, object and sha256, values in base64";
            named.remove(key).ok_or_else(|| bad(missing))
        };
        let job = job_id(&take("job")?)?;
        let object = take("object")?.parse();
        let object: u32 = object.map_err(|_cause| bad("object must be the object's number"))?;
        let sha256 = take("sha256")?;
        if unhex::<32>(&sha256).is_none() {
            return Err(bad("sha256 must be 64 lower-case hexadecimal digits"));
        }
        let (tenant, device) = (device.tenant(), &device.device);
        let text = format!("{tenant}/{device}/{job}/{object}/{sha256}");
        let mac = global::index(&core.ports, "upload", text.as_bytes())?;
        let tag = mac
            .get(..32)
            .and_then(unhex::<16>)
            .expect("a MAC has 64 digits");
        Ok(Announced {
            id: Self { job, object, tag },
            sha256,
        })
    }

    /// Where the upload lies while it is not complete.
    pub(super) fn unfinished(&self, device: &str) -> Place {
        Place::new(Upload::unfinished(device), self.to_string())
    }

    /// Where the upload lies when it is complete.
    pub(super) fn complete(&self, device: &str) -> Place {
        let sort = format!("{}{:08x}#{}", Upload::PREFIX, self.object, hex(&self.tag));
        Place::new(Upload::complete(device, &self.job), sort)
    }

    /// Where its parts lie.
    pub(super) fn folder(&self, device: &Principal) -> Folder {
        Folder::new(&[device.tenant(), &device.device, &self.job])
    }
}

impl fmt::Display for UploadId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}{:08x}-{}",
            id_prefix(&self.job),
            self.object,
            hex(&self.tag)
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_survive_their_text() {
        let id = UploadId {
            job: "01234567-89ab-4def-8123-456789abcdef".to_owned(),
            object: 10_000,
            tag: [0xa5; 16],
        };
        assert_eq!(UploadId::read(&id.to_string()), Some(id.clone()));
        assert!(id.to_string().starts_with(&id_prefix(&id.job)));
        for text in [
            "",
            "a-b-c",
            "-",
            &format!("{id}-"),
            &id.to_string().to_uppercase(),
        ] {
            assert_eq!(UploadId::read(text), None, "{text}");
        }
    }

    #[test]
    fn job_ids_are_uuids_in_lower_case() {
        let good = "01234567-89ab-4def-8123-456789abcdef";
        assert_eq!(job_id(good).unwrap(), good);
        for bad in [
            "",
            "01234567-89AB-4def-8123-456789abcdef",
            "0123456789ab4def8123456789abcdef",
            "01234567-89ab-4def-8123-456789abcdeg",
            "../../..-89ab-4def-8123-456789abcdef",
        ] {
            assert!(job_id(bad).is_err(), "{bad}");
        }
    }
}
