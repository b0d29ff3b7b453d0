//! The bytes of an upload on their way in.

use std::io::Read as _;

use http::StatusCode;
use scantrip_cloud_client::problem::ProblemKind;
use sha2::{Digest as _, Sha256};

use super::id::UploadId;
use super::{Found, LIFETIME_MS, Lock, created, open_job, remove, remove_parts, tus};
use crate::blobs::{BlobError, Folder, ObjectReader, Part, PartWriter};
use crate::core::Core;
use crate::core::answer::{Answer, Refusal, refuse};
use crate::core::jobs::RACES_MAX;
use crate::core::principal::Principal;
use crate::core::record::{Job, Upload};
use crate::core::too_large;
use crate::ports::{Ports, hex};
use crate::sealed_store::{Stored, VaultError};

/// Twice what appends of 1 MiB need for the largest object: bounds the list of parts.
const PARTS_MAX: usize = 4096;

/// A creation or an append under way. The upload is locked while it lives.
pub(crate) struct Append {
    device: Principal,
    id: UploadId,
    lock: Lock,
    found: Found,
    job: Option<Stored<Job>>,
    upload: Upload,
    folder: Folder,
    creating: bool,
    /// The body is of no use: the upload is further already.
    ignoring: bool,
    part: Option<(String, Box<dyn PartWriter>)>,
    received: u64,
    hash: Option<Sha256>,
    fault: Option<Refusal>,
}

impl Append {
    /// Bytes for `upload` from its offset on.
    pub(super) fn new(
        core: &Core,
        (device, id, lock): (Principal, UploadId, Lock),
        (found, job, upload): (Found, Option<Stored<Job>>, Upload),
    ) -> Self {
        Self {
            folder: id.folder(&device),
            hash: core.uploads.hash(&lock, upload.offset),
            device,
            id,
            lock,
            found,
            job,
            upload,
            creating: false,
            ignoring: false,
            part: None,
            received: 0,
            fault: None,
        }
    }

    /// Of a creation: the body has the object's first bytes.
    pub(super) fn creating(mut self, coming: Option<u64>) -> Self {
        self.creating = true;
        self.ignoring = self.upload.offset > 0;
        let left = self.upload.size;
        if !self.ignoring && coming.is_some_and(|coming| coming > left) {
            self.fault = Some(too_large(left));
        }
        self
    }

    /// Takes bytes.
    pub(crate) fn push(&mut self, ports: &Ports, bytes: &[u8]) {
        if bytes.is_empty() || self.ignoring || self.fault.is_some() {
            return;
        }
        let left = self.upload.size - self.upload.offset - self.received;
        if bytes.len() as u64 > left {
            self.fault = Some(too_large(self.upload.size - self.upload.offset));
        } else if let Err(error) = self.write(ports, bytes) {
            self.fault = Some(error.into());
        }
    }

    fn write(&mut self, ports: &Ports, bytes: &[u8]) -> Result<(), BlobError> {
        let (_, writer) = match &mut self.part {
            Some(part) => part,
            None => {
                let name = ports.random_name();
                let writer = ports.blobs.begin(&self.folder, &name)?;
                self.part.insert((name, writer))
            }
        };
        writer.push(bytes)?;
        if let Some(hash) = &mut self.hash {
            hash.update(bytes);
        }
        self.received += bytes.len() as u64;
        Ok(())
    }

    /// Makes what came in durable and answers where the upload is.
    pub(crate) fn finish(mut self, core: &Core) -> Result<Answer, Refusal> {
        if let Some(fault) = self.fault.take() {
            return Err(fault);
        }
        if self.ignoring {
            return Ok(created(&self.id, &self.upload));
        }
        self.keep_part(core)?;
        if self.received > 0 || self.found.live(core.now_ms()).is_none() {
            self.upload.expires_at_ms = core.now_ms() + LIFETIME_MS;
            let complete = self.upload.offset == self.upload.size;
            if complete && !self.is_intact(core)? {
                return Err(self.erase(core));
            }
            if let Err(refusal) = self.store(core, complete) {
                self.drop_part(core);
                return Err(refusal);
            }
            if let (false, Some(hash)) = (complete, self.hash.take()) {
                core.uploads.remember(&self.lock, self.upload.offset, hash);
            }
        }
        Ok(if self.creating {
            created(&self.id, &self.upload)
        } else {
            tus(StatusCode::NO_CONTENT, &self.upload)
        })
    }

    /// The received bytes become a durable part.
    fn keep_part(&mut self, core: &Core) -> Result<(), Refusal> {
        let Some((name, writer)) = self.part.take() else {
            return Ok(());
        };
        if self.upload.parts.len() >= PARTS_MAX {
            drop(writer);
            self.clear(core)?;
            let detail = "the upload is in too many pieces: create it again, send larger ones";
            return Err(refuse(ProblemKind::Gone, detail));
        }
        writer.finish()?;
        self.upload.parts.push(Part {
            name,
            length: self.received,
        });
        self.upload.offset += self.received;
        Ok(())
    }

    /// Whether all bytes have the announced hash; they are read back when it is not known.
    fn is_intact(&mut self, core: &Core) -> Result<bool, Refusal> {
        let hash = match self.hash.take() {
            Some(hash) => hash,
            None => self.read_back(core)?,
        };
        Ok(hex(&hash.finalize()) == self.upload.sha256)
    }

    fn read_back(&self, core: &Core) -> Result<Sha256, BlobError> {
        let mut hash = Sha256::new();
        let mut reader = ObjectReader::new(&*core.ports.blobs, &self.folder, &self.upload.parts);
        let mut piece = vec![0; 64 * 1024];
        loop {
            let count = reader.read(&mut piece).map_err(|source| BlobError {
                operation: "read back",
                part: self.folder.as_str().to_owned(),
                source,
            })?;
            match piece.get(..count) {
                Some(read @ [_, ..]) => hash.update(read),
                _ => return Ok(hash),
            }
        }
    }

    /// The transaction: the upload's new offset, or its move to its job's complete objects.
    fn store(&mut self, core: &Core, complete: bool) -> Result<(), Refusal> {
        for _ in 0..RACES_MAX {
            let mut batch = self.device.vault.batch();
            match &self.job {
                Some(job) => batch.check(job),
                None => {
                    let place = Job::place(&self.device.device, &self.id.job);
                    batch.create(&place, &Job::Open)?;
                }
            }
            let unfinished = self.found.unfinished.as_ref();
            if complete {
                let place = self.id.complete(&self.device.device);
                batch.put_over(&place, self.found.complete.as_ref(), &self.upload)?;
                if let Some(unfinished) = unfinished {
                    batch.remove(unfinished);
                }
            } else {
                let place = self.id.unfinished(&self.device.device);
                batch.put_over(&place, unfinished, &self.upload)?;
            }
            match batch.commit() {
                Err(error) if error.is_conflict() => {}
                Err(error) => return Err(error.into()),
                Ok(()) => {
                    self.drop_expired(core);
                    return Ok(());
                }
            }
            // The job was made by a sibling, or was taken or discarded: look again.
            self.job = open_job(&self.device, &self.id.job)?;
            let now = Found::look(&self.device, &self.id)?;
            if !now.same(&self.found) {
                let detail = "another front door is writing to this upload";
                return Err(refuse(ProblemKind::UploadLocked, detail));
            }
        }
        Err(VaultError::Races.into())
    }

    /// Erases the bytes of an expired upload that this one replaced.
    fn drop_expired(&self, core: &Core) {
        let Some(old) = self.found.newest().map(|old| &old.value) else {
            return;
        };
        let kept = |name: &str| self.upload.parts.iter().any(|part| part.name == name);
        for part in old.parts.iter().filter(|part| !kept(&part.name)) {
            if let Err(error) = core.ports.blobs.remove(&self.folder, &part.name) {
                log::warn!("{error}");
            }
        }
    }

    /// Erases the part that no item came to name.
    fn drop_part(&self, core: &Core) {
        if let Some(part) = self.upload.parts.last().filter(|_| self.received > 0)
            && let Err(error) = core.ports.blobs.remove(&self.folder, &part.name)
        {
            log::warn!("{error}");
        }
    }

    /// The bytes are not what was announced: the upload goes.
    fn erase(&self, core: &Core) -> Refusal {
        if let Err(error) = self.clear(core) {
            return error;
        }
        let detail = "the bytes do not have the announced hash: send the object again";
        refuse(ProblemKind::DigestMismatch, detail)
    }

    fn clear(&self, core: &Core) -> Result<(), Refusal> {
        let vault = &self.device.vault;
        if self.found.newest().is_some() {
            remove(
                vault,
                &self.folder,
                (&self.found, &self.upload),
                self.job.as_ref(),
            )?;
        } else {
            remove_parts(vault, &self.folder, &self.upload)?;
        }
        drop(core.uploads.hash(&self.lock, u64::MAX));
        Ok(())
    }
}

impl Found {
    fn same(&self, other: &Self) -> bool {
        let state = |found: &Self| {
            let offset =
                |stored: &Stored<Upload>| (stored.value.offset, stored.value.parts.clone());
            (
                found.unfinished.as_ref().map(offset),
                found.complete.as_ref().map(offset),
            )
        };
        state(self) == state(other)
    }
}
