//! Uploads, commits, discards and receipts.

use std::io;

use scantrip_cloud_client::certificate::CertDer;
use scantrip_cloud_client::http::Purpose;
use scantrip_cloud_client::receipt::{self, Covered, ReceiptError};
use scantrip_cloud_client::upload::{NewUpload, ObjectSource, UploadError, upload_object};
use scantrip_cloud_client::wire::{INTENT_OBJECT, Receipt, SignedReceipt};
use scantrip_cloud_client::{commit, outcomes};

use super::{CallFault, CloudDriver};
use crate::drivers::envelope::Envelope;
use crate::drivers::network::{Network, Who, call_failure, local};
use crate::engine::failure::{Failure, chain};
use crate::engine::outbox::{DiscardAnswer, Sent, Verified};
use crate::job_id::JobId;
use crate::spool::{JobReader, ObjectInfo, SpoolError};
use crate::store::Identity;

impl From<UploadError> for CallFault {
    fn from(error: UploadError) -> Self {
        Self(match error {
            UploadError::Call(error) => call_failure(error),
            UploadError::Source(error) => Failure::local(format!(
                "a page cannot be read any more ({error}); discard the job and scan it again"
            )),
            error => Failure::local(chain(&error)),
        })
    }
}

impl<N: Network> CloudDriver<N> {
    /// Sends `wanted`, or the first page after `after`; `None` when there is none.
    pub(super) fn upload(
        &mut self,
        url: &str,
        job: JobId,
        after: u32,
        wanted: Option<u32>,
        resume: bool,
    ) -> Result<Option<Sent>, Failure> {
        let mut reader = self.reader(job)?;
        let Some((info, job_bytes)) = find(&reader, after, wanted) else {
            self.reader = Some(reader);
            return Ok(None);
        };
        let id = job.to_string();
        let sha256 = base16ct::lower::encode_string(&info.sha256);
        let new = NewUpload {
            job: &id,
            object: info.object,
            size: info.size,
            sha256: &sha256,
            resume,
        };
        let mut source = Source {
            reader: &mut reader,
            object: info.object,
        };
        let uploaded = self.call(url, Who::Device, Purpose::Upload, |conn| {
            upload_object(conn, &new, &mut source, &mut |_offset| {})
        })?;
        self.reader = Some(reader);
        Ok(Some(Sent {
            object: info.object,
            size: info.size,
            fresh: uploaded.sent >= info.size,
            job_bytes,
        }))
    }

    pub(super) fn commit(
        &mut self,
        url: &str,
        job: JobId,
        with_intent: bool,
    ) -> Result<Verified, Failure> {
        let reader = self.reader(job)?;
        let (identity, tenant) = self.owner()?;
        let envelope = Envelope {
            job,
            tenant: &tenant,
            device: &identity.device,
            reader: &reader,
            with_intent,
        };
        let measured = envelope.measure().map_err(local)?;
        let id = job.to_string();
        let signed = self.call(url, Who::Device, Purpose::Call, |conn| {
            commit::put(conn, &id, measured.bytes, &mut |to| envelope.write(to))
        })?;
        let anchors = self.anchors()?;
        let covered = Covered {
            tenant: &tenant,
            device: &identity.device,
            job: &id,
            envelope: &measured.sha256,
        };
        let receipt = receipt::verify_for(&signed, &anchors, &covered);
        let verified = verified(signed, receipt)?;
        self.reader = None;
        Ok(verified)
    }

    pub(super) fn discard(
        &mut self,
        url: &str,
        job: JobId,
        with_intent: bool,
    ) -> Result<DiscardAnswer, Failure> {
        self.reader = None;
        let id = job.to_string();
        let answer = self.call(url, Who::Device, Purpose::Call, |conn| {
            commit::discard(conn, &id)
        })?;
        let signed = match answer {
            commit::Discarded::Discarded => return Ok(DiscardAnswer::Discarded),
            commit::Discarded::AlreadyCommitted(signed) => *signed,
        };
        // It must be a receipt for what is here: then this may be erased.
        let reader = self.reader(job)?;
        let (identity, tenant) = self.owner()?;
        let envelope = Envelope {
            job,
            tenant: &tenant,
            device: &identity.device,
            reader: &reader,
            with_intent,
        };
        let measured = envelope.measure().map_err(local)?;
        let covered = Covered {
            tenant: &tenant,
            device: &identity.device,
            job: &id,
            envelope: &measured.sha256,
        };
        let receipt = receipt::verify_for(&signed, &self.anchors()?, &covered);
        Ok(DiscardAnswer::TooLate(Box::new(verified(signed, receipt)?)))
    }

    pub(super) fn receipts(&mut self, url: &str, after: u64) -> Result<Vec<Verified>, Failure> {
        let fetched = self.call(url, Who::Device, Purpose::Call, |conn| {
            outcomes::receipts_after(conn, after)
        })?;
        let anchors: Vec<CertDer> = self.anchors()?;
        let device = self.identity()?.device;
        let mut receipts = Vec::with_capacity(fetched.len());
        for signed in fetched {
            let receipt = receipt::verify(&signed, &anchors);
            let verified = verified(signed, receipt)?;
            if verified.receipt.device == device {
                receipts.push(verified);
            }
        }
        Ok(receipts)
    }

    /// The reader of a job: the one that is open, or a new one. Taken out of `self`, so that a
    /// failure leaves none behind that may have missed something.
    fn reader(&mut self, job: JobId) -> Result<JobReader, Failure> {
        let refreshed = match self.reader.take().filter(|reader| reader.job() == job) {
            Some(mut reader) => reader.refresh().map(|()| reader),
            None => self.context.spool.reader(job),
        };
        refreshed.map_err(|error| unreadable(&error))
    }

    /// To whom the device belongs.
    fn owner(&self) -> Result<(Identity, String), Failure> {
        let identity = self.identity()?;
        match identity.tenant.clone() {
            Some(tenant) => Ok((identity, tenant)),
            None => Err(Failure::local("the device's tenant is not known yet")),
        }
    }
}

/// The object to send and the sealed bytes of the whole job.
fn find(reader: &JobReader, after: u32, wanted: Option<u32>) -> Option<(ObjectInfo, u64)> {
    let total = reader.objects().map(|info| info.size).sum();
    let found = match wanted {
        Some(INTENT_OBJECT) => reader.intent(),
        Some(object) => reader.objects().find(|info| info.object == object),
        None => reader
            .objects()
            .filter(|info| info.object > after)
            .min_by_key(|info| info.object),
    };
    Some((found?, total))
}

fn verified(
    signed: SignedReceipt,
    receipt: Result<Receipt, ReceiptError>,
) -> Result<Verified, Failure> {
    let wrong = |error: ReceiptError| {
        let message = format!(
            "the cloud's receipt is not accepted: {}; the job stays here, tell your administrator",
            chain(&error)
        );
        Failure::local(message)
    };
    let receipt = receipt.map_err(wrong)?;
    let hash = receipt::hash(&signed).map_err(wrong)?;
    let code = receipt::code(&signed).map_err(wrong)?;
    Ok(Verified {
        signed,
        receipt,
        hash,
        code,
    })
}

fn unreadable(error: &SpoolError) -> Failure {
    Failure::local(format!(
        "the job cannot be read any more ({}); discard it and scan it again",
        chain(error)
    ))
}

/// One object of a job file.
struct Source<'a> {
    reader: &'a mut JobReader,
    object: u32,
}

impl ObjectSource for Source<'_> {
    fn read_at(&mut self, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        self.reader
            .read_at(self.object, offset, buf)
            .map_err(io::Error::other)
    }
}
