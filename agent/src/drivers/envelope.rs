//! The envelope as it is streamed: the same bytes each time, however many objects there are.

use std::io::{self, BufWriter, Write};

use scantrip_cloud_client::wire::ENVELOPE_BYTES_MAX;
use serde::{Serialize, Serializer};
use sha2::{Digest, Sha256};

use crate::job_id::JobId;
use crate::spool::{JobReader, ObjectInfo};

/// Written in small steps; gathered before they become network packets.
const BUFFER_BYTES: usize = 4096;

/// A job's envelope. Serialises as [`wire::Envelope`](scantrip_cloud_client::wire::Envelope).
pub(crate) struct Envelope<'a> {
    pub(crate) job: JobId,
    pub(crate) tenant: &'a str,
    pub(crate) device: &'a str,
    pub(crate) reader: &'a JobReader,
    pub(crate) with_intent: bool,
}

/// Length and hash of an envelope's exact bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Measured {
    pub(crate) bytes: u64,
    pub(crate) sha256: [u8; 32],
}

impl Envelope<'_> {
    /// What its bytes will be.
    pub(crate) fn measure(&self) -> io::Result<Measured> {
        let mut meter = Meter {
            bytes: 0,
            hash: Sha256::new(),
        };
        self.write(&mut meter)?;
        if meter.bytes > ENVELOPE_BYTES_MAX as u64 {
            return Err(io::Error::other("the envelope is over its limit"));
        }
        Ok(Measured {
            bytes: meter.bytes,
            sha256: meter.hash.finalize().into(),
        })
    }

    /// Writes its bytes.
    pub(crate) fn write(&self, to: &mut dyn Write) -> io::Result<()> {
        let mut buffered = BufWriter::with_capacity(BUFFER_BYTES, to);
        serde_json::to_writer(&mut buffered, self)?;
        buffered.flush()
    }

    /// The objects that belong to the job.
    pub(crate) fn objects(&self) -> impl Iterator<Item = ObjectInfo> + '_ {
        let intent = self.with_intent.then(|| self.reader.intent()).flatten();
        self.reader.objects().chain(intent)
    }
}

impl Serialize for Envelope<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        Written {
            version: 1,
            job: self.job,
            tenant: self.tenant,
            device: self.device,
            objects: Objects(self),
        }
        .serialize(to)
    }
}

#[derive(Serialize)]
struct Written<'a> {
    version: u32,
    job: JobId,
    tenant: &'a str,
    device: &'a str,
    objects: Objects<'a>,
}

struct Objects<'a>(&'a Envelope<'a>);

impl Serialize for Objects<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_seq(self.0.objects().map(|info| WrittenObject {
            object: info.object,
            size: info.size,
            sha256: base16ct::lower::encode_string(&info.sha256),
        }))
    }
}

#[derive(Serialize)]
struct WrittenObject {
    object: u32,
    size: u64,
    sha256: String,
}

struct Meter {
    bytes: u64,
    hash: Sha256,
}

impl Write for Meter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        self.hash.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
