//! The document between two steps: sealed with the tenant's key, in parts.
//!
//! A sealed object has at most 2 GiB, a document of ten thousand pages more, so that it is a row
//! of objects (kind blob) of 64 MiB each, numbered by step and part. They lie in a folder of the
//! step under the job's folder; the list of them is in the sealed [`Run`](super::run::Run).

use scantrip_cloud_client::seal::{CHUNK_BYTES, ObjectId, ObjectKind, Sealer};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::keyring::Keyring;
use super::opening;
use crate::blobs::{BlobError, Folder, ObjectReader, Part, PartWriter};
use crate::core::record::JobRef;
use crate::ports::{Ports, hex};
use crate::steps::{Document, StepFault};

/// A finished document and where its sealed parts are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptDocument {
    /// What it is.
    pub(super) document: Document,
    /// The step that made it.
    pub(super) step: usize,
    /// Its parts in order, each a sealed object.
    pub(super) parts: Vec<KeptPart>,
}

/// One sealed part.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct KeptPart {
    /// Where its bytes are.
    pub(super) part: Part,
    /// SHA-256 of its sealed bytes, hexadecimal.
    pub sha256: String,
}

/// Which document: a job's, made by a step.
pub(super) struct Place<'a> {
    pub(super) ports: &'a Ports,
    pub(super) job: &'a JobRef,
    pub(super) job_bytes: [u8; 16],
    pub(super) step: usize,
}

impl Place<'_> {
    fn folder(&self) -> Folder {
        let JobRef {
            tenant,
            device,
            job,
        } = self.job;
        Folder::new(&[tenant, device, job, INTERMEDIATES, &self.step.to_string()])
    }

    /// Numbers of parts never meet, whatever the step: 65,536 parts are 4 TiB.
    fn object_id(&self, part: usize) -> Result<ObjectId, StepFault> {
        let number = u16::try_from(self.step).ok().zip(u16::try_from(part).ok());
        let (step, part) = number.ok_or_else(|| StepFault::internal("the document is too long"))?;
        Ok(ObjectId {
            kind: ObjectKind::Blob,
            tenant: self.job.tenant.clone(),
            device: self.job.device.clone(),
            job: self.job_bytes,
            object: (u32::from(step) << 16) | u32::from(part),
        })
    }

    /// Hands out a document in pieces.
    pub(super) fn read(
        &self,
        keyring: &Keyring,
        kept: &KeptDocument,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), StepFault>,
    ) -> Result<(), StepFault> {
        let folder = self.folder();
        for (index, part) in kept.parts.iter().enumerate() {
            let parts = std::slice::from_ref(&part.part);
            let sealed = ObjectReader::new(&*self.ports.blobs, &folder, parts);
            let id = self.object_id(index)?;
            opening::open(keyring, &id, &part.sha256, sealed, sink)
                .map_err(|fault| fault.of("the document"))?;
        }
        Ok(())
    }
}

/// Erases what all steps of a job have left.
pub(super) fn erase(ports: &Ports, job: &JobRef) -> Result<(), BlobError> {
    let JobRef {
        tenant,
        device,
        job,
    } = job;
    ports
        .blobs
        .remove_folder(&Folder::new(&[tenant, device, job, INTERMEDIATES]))
}

/// A document being written.
pub(super) struct DocumentWriter {
    parts: Vec<KeptPart>,
    open: Option<OpenPart>,
    bytes: u64,
    hash: Sha256,
}

struct OpenPart {
    sealer: Sealer,
    writer: Box<dyn PartWriter>,
    name: String,
    plain_len: usize,
    sealed_len: u64,
    hash: Sha256,
}

impl DocumentWriter {
    /// Begins a document; what an earlier try left behind is erased.
    pub(super) fn begin(place: &Place<'_>) -> Result<Self, StepFault> {
        place.ports.blobs.remove_folder(&place.folder())?;
        Ok(Self {
            parts: Vec::new(),
            open: None,
            bytes: 0,
            hash: Sha256::new(),
        })
    }

    pub(super) fn push(
        &mut self,
        place: &Place<'_>,
        keyring: &Keyring,
        mut bytes: &[u8],
    ) -> Result<(), StepFault> {
        self.bytes += bytes.len() as u64;
        self.hash.update(bytes);
        while !bytes.is_empty() {
            let open = match &mut self.open {
                Some(open) => open,
                None => self
                    .open
                    .insert(OpenPart::begin(place, keyring, self.parts.len())?),
            };
            let room = PART_BYTES - open.plain_len;
            let (piece, rest) = bytes.split_at(bytes.len().min(room));
            open.push(piece)?;
            if open.plain_len == PART_BYTES {
                self.end_part()?;
            }
            bytes = rest;
        }
        Ok(())
    }

    pub(super) fn finish(
        mut self,
        place: &Place<'_>,
        extension: &str,
    ) -> Result<KeptDocument, StepFault> {
        self.end_part()?;
        let document = Document {
            extension: extension.to_owned(),
            bytes: self.bytes,
            sha256: hex(&self.hash.finalize()),
        };
        Ok(KeptDocument {
            document,
            step: place.step,
            parts: self.parts,
        })
    }

    fn end_part(&mut self) -> Result<(), StepFault> {
        if let Some(open) = self.open.take() {
            self.parts.push(open.finish()?);
        }
        Ok(())
    }
}

impl OpenPart {
    fn begin(place: &Place<'_>, keyring: &Keyring, index: usize) -> Result<Self, StepFault> {
        let ports = place.ports;
        let name = ports.random_name();
        let recipient = keyring.newest()?.public();
        let mut random = |bytes: &mut [u8]| ports.random.fill(bytes);
        let sealer = Sealer::new(
            recipient,
            &place.object_id(index)?,
            CHUNK_BYTES,
            &mut random,
        )
        .map_err(StepFault::internal)?;
        let header = *sealer.header();
        let writer = ports.blobs.begin(&place.folder(), &name)?;
        let mut part = Self {
            sealer,
            writer,
            name,
            plain_len: 0,
            sealed_len: 0,
            hash: Sha256::new(),
        };
        part.write(&header)?;
        Ok(part)
    }

    fn push(&mut self, bytes: &[u8]) -> Result<(), StepFault> {
        self.plain_len += bytes.len();
        let mut sealed = Vec::new();
        // In pieces, so that a large page is not held twice.
        for piece in bytes.chunks(CHUNK_BYTES as usize) {
            self.sealer
                .push(piece, &mut sealed)
                .map_err(StepFault::internal)?;
            self.write(&sealed)?;
            sealed.clear();
        }
        Ok(())
    }

    fn write(&mut self, sealed: &[u8]) -> Result<(), StepFault> {
        self.sealed_len += sealed.len() as u64;
        self.hash.update(sealed);
        Ok(self.writer.push(sealed)?)
    }

    fn finish(mut self) -> Result<KeptPart, StepFault> {
        let mut sealed = Vec::new();
        self.sealer.finish(&mut sealed);
        self.sealed_len += sealed.len() as u64;
        self.hash.update(&sealed);
        self.writer.push(&sealed)?;
        self.writer.finish()?;
        let part = Part {
            name: self.name,
            length: self.sealed_len,
        };
        Ok(KeptPart {
            part,
            sha256: hex(&self.hash.finalize()),
        })
    }
}

/// The folder under a job's folder; objects of devices lie beside it.
const INTERMEDIATES: &str = "run";
/// Plaintext of one part.
const PART_BYTES: usize = 64 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use scantrip_cloud_client::seal::PrivateKey;

    use super::*;
    use crate::testing::World;

    #[test]
    fn a_document_longer_than_a_part_comes_back_whole_and_in_order() {
        let world = World::new();
        let ports = &world.ports;
        let key = PrivateKey::generate(&mut |bytes| ports.random.fill(bytes));
        let secret = key.to_bytes();
        ports
            .keys
            .create("tenant.t.seal.1", secret.as_slice())
            .unwrap();
        let keyring = Keyring::load(ports, "t").unwrap();
        let job = JobRef {
            tenant: "t".to_owned(),
            device: "d".to_owned(),
            job: "j".to_owned(),
        };
        let place = Place {
            ports,
            job: &job,
            job_bytes: [1; 16],
            step: 3,
        };

        let block: Vec<u8> = (0..=250).cycle().take(1_000_003).collect();
        let mut writer = DocumentWriter::begin(&place).unwrap();
        let mut hash = Sha256::new();
        for _ in 0..70 {
            writer.push(&place, &keyring, &block).unwrap();
            hash.update(&block);
        }
        let mut kept = writer.finish(&place, "pdf").unwrap();
        assert_eq!(kept.parts.len(), 2);
        assert_eq!(kept.document.bytes, 70 * 1_000_003);
        assert_eq!(kept.document.sha256, hex(&hash.finalize()));

        let mut read = Sha256::new();
        let mut sink = |bytes: &[u8]| {
            read.update(bytes);
            Ok(())
        };
        place.read(&keyring, &kept, &mut sink).unwrap();
        assert_eq!(hex(&read.finalize()), kept.document.sha256);

        kept.parts.swap(0, 1);
        let swapped = place.read(&keyring, &kept, &mut |_| Ok(()));
        assert!(matches!(swapped, Err(StepFault::Refused { .. })));
        erase(ports, &job).unwrap();
        assert!(world.blobs.dump().is_empty());
    }
}
