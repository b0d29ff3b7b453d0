//! Reads a job file's records in order and keeps what they add up to.
//!
//! The same code serves recovery, which checks every body, and the reader, which hops from header
//! to header and checks bodies when they are used. Whatever does not parse is stepped over one
//! block at a time, so that one bad record hides no good one behind it.

use std::collections::BTreeSet;

use scantrip_cloud_client::wire::INTENT_OBJECT;
use scantrip_hal::disk::{DiskError, DiskFile};
use serde::{Deserialize, Serialize};

use super::PageDetails;
use super::record::{
    BLOCK_BYTES, BODY_BYTES_MAX, HEADER_BYTES, Header, HeaderFault, Kind, RECORD_BYTES, checksum,
};
use crate::job_id::JobId;

/// Body of an *opened*, *page* or *sealed* record, as a JSON line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Closing {
    /// Sealed size of the object in bytes.
    pub(super) size: u64,
    /// SHA-256 of its sealed bytes.
    #[serde(with = "hexadecimal")]
    pub(super) sha256: [u8; 32],
    /// Of a page: what the manifest says of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) page: Option<PageDetails>,
    /// Of the manifest: the highest page number, so that a lost last page is missed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) last: Option<u32>,
}

/// A whole object in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) object: u32,
    pub(super) size: u64,
    pub(super) sha256: [u8; 32],
    /// Where its first record starts; the others follow without a gap.
    pub(super) offset: u64,
}

/// How much of the file is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Depth {
    /// Headers, and the bodies of closing records.
    Headers,
    /// Everything, and the pages' details are kept.
    Bodies,
}

/// An object whose chunks have begun and whose closing record has not come.
#[derive(Clone, Copy, Debug)]
struct Building {
    object: u32,
    offset: u64,
    bytes: u64,
    whole: bool,
}

/// What a job file's records add up to.
#[derive(Debug)]
pub(super) struct Index {
    job: JobId,
    depth: Depth,
    /// Pages that are whole and count, in the order of scanning.
    pub(super) pages: Vec<Entry>,
    /// Details of `pages`, place by place; empty at [`Depth::Headers`].
    pub(super) details: Vec<PageDetails>,
    pub(super) intent: Option<Entry>,
    pub(super) manifest: Option<Entry>,
    /// Pages that may have been called saved and are not whole.
    pub(super) damaged: BTreeSet<u32>,
    pub(super) salt: Option<[u8; 16]>,
    /// Version of a whole record of a later version, if there is one.
    pub(super) newer: Option<u16>,
    /// End of the last valid record: where the next one goes.
    pub(super) end: u64,
    pub(super) next_sequence: u64,
    /// The highest page number met.
    pub(super) last_object: u32,
    /// Objects closed, by whatever record: 0 in a file that never began.
    pub(super) closings: u32,
    building: Option<Building>,
    voided: BTreeSet<u32>,
}

impl Index {
    pub(super) fn new(job: JobId, depth: Depth) -> Self {
        Self {
            job,
            depth,
            pages: Vec::new(),
            details: Vec::new(),
            intent: None,
            manifest: None,
            damaged: BTreeSet::new(),
            salt: None,
            newer: None,
            end: 0,
            next_sequence: 0,
            last_object: 0,
            closings: 0,
            building: None,
            voided: BTreeSet::new(),
        }
    }

    /// The job whose file it is.
    pub(super) const fn job(&self) -> JobId {
        self.job
    }

    /// Reads on from the last valid record to the end of the file.
    pub(super) fn advance(&mut self, file: &dyn DiskFile) -> Result<(), DiskError> {
        let length = file.len()?;
        let mut body = Vec::new();
        let mut offset = self.end;
        while offset.saturating_add(HEADER_BYTES as u64) <= length {
            offset += match self.read_record(file, offset, length, &mut body)? {
                Some(header) => {
                    self.take(&header, offset, &body);
                    self.end = offset + header.span();
                    header.span()
                }
                None => BLOCK_BYTES,
            };
        }
        Ok(())
    }

    /// The object left unfinished at the end of the file, if there is one.
    pub(super) fn unfinished(&self) -> Option<u32> {
        self.building.map(|building| building.object)
    }

    /// Whether creation was cut off before anybody was told: nothing is closed, or nothing but an
    /// intent whose beginning is not there.
    pub(super) fn never_began(&self) -> bool {
        let intent_alone = self.closings == 1 && self.last_object == 0 && self.damaged.is_empty();
        self.closings == 0 || (intent_alone && self.intent.is_none() && self.manifest.is_none())
    }

    /// The record at `offset`, if there is a valid one that belongs here.
    fn read_record(
        &mut self,
        file: &dyn DiskFile,
        offset: u64,
        length: u64,
        body: &mut Vec<u8>,
    ) -> Result<Option<Header>, DiskError> {
        let mut bytes = [0; HEADER_BYTES];
        if file.read_at(offset, &mut bytes)? < HEADER_BYTES {
            return Ok(None);
        }
        let header = match Header::parse(&bytes) {
            Ok(header) => header,
            Err(HeaderFault::Newer(version)) => {
                self.newer = Some(version);
                return Ok(None);
            }
            Err(HeaderFault::Broken) => return Ok(None),
        };
        let ours = header.job == self.job && self.salt.is_none_or(|salt| salt == header.salt);
        let body_offset = offset + HEADER_BYTES as u64;
        let body_bytes = u64::from(header.body_bytes);
        if !ours
            || !header.fits(offset)
            || header.sequence < self.next_sequence
            || length.saturating_sub(body_offset) < body_bytes
        {
            return Ok(None);
        }
        body.clear();
        let looks = header.kind != Kind::Chunk || self.depth == Depth::Bodies;
        if looks || !is_followed(file, &header, offset)? {
            body.resize(header.body_bytes as usize, 0);
            let read = file.read_at(body_offset, body)?;
            if read < body.len() || checksum(body) != header.body_checksum {
                return Ok(None);
            }
        }
        Ok(Some(header))
    }

    /// Takes a valid record into account.
    fn take(&mut self, header: &Header, offset: u64, body: &[u8]) {
        let gap = header.sequence > self.next_sequence;
        self.salt = Some(header.salt);
        self.next_sequence = header.sequence + 1;
        let object = header.object;
        if is_page(object) {
            if gap {
                self.note_missing(object);
            }
            self.last_object = self.last_object.max(object);
        }
        if let Some(left) = self.building.filter(|building| building.object != object) {
            // Something else follows an object without its end: unless a void record says
            // otherwise, its end is what was lost.
            self.note_damage(left.object);
            self.building = None;
        }
        match header.kind {
            Kind::Chunk => self.take_chunk(header, offset),
            Kind::Void => self.take_void(object),
            Kind::Opened => self.intent = self.close(object, body).map(|(entry, _)| entry),
            Kind::Sealed => self.take_sealed(object, body),
            Kind::Page => self.take_page(object, body),
            Kind::Entry => {}
        }
    }

    fn take_chunk(&mut self, header: &Header, offset: u64) {
        let bytes = u64::from(header.body_bytes);
        match &mut self.building {
            Some(building) if header.position != 0 => {
                building.whole &= building.bytes == header.position;
                building.bytes = header.position.saturating_add(bytes);
            }
            _ => {
                self.building = Some(Building {
                    object: header.object,
                    offset,
                    bytes: header.position.saturating_add(bytes),
                    whole: header.position == 0,
                });
            }
        }
    }

    fn take_page(&mut self, object: u32, body: &[u8]) {
        match self.close(object, body) {
            Some((
                entry,
                Closing {
                    page: Some(details),
                    ..
                },
            )) if is_page(object) && self.pages.last().is_none_or(|page| page.object < object) => {
                self.damaged.remove(&object);
                self.pages.push(entry);
                if self.depth == Depth::Bodies {
                    self.details.push(details);
                }
            }
            _ => self.note_damage(object),
        }
    }

    fn take_sealed(&mut self, object: u32, body: &[u8]) {
        let Some((entry, closing)) = self.close(object, body) else {
            return;
        };
        self.manifest = Some(entry);
        if let Some(last) = closing.last {
            self.note_missing(last.saturating_add(1));
            self.last_object = self.last_object.max(last);
        }
    }

    fn take_void(&mut self, object: u32) {
        self.building = None;
        self.voided.insert(object);
        self.damaged.remove(&object);
        self.forget(object);
    }

    /// The object that a closing record ends, when all of it is there.
    fn close(&mut self, object: u32, body: &[u8]) -> Option<(Entry, Closing)> {
        self.closings = self.closings.saturating_add(1);
        let built = self.building.take();
        let closing: Closing = serde_json::from_slice(body).ok()?;
        let (bytes, offset, whole) =
            built.map_or((0, self.end, true), |b| (b.bytes, b.offset, b.whole));
        let entry = Entry {
            object,
            size: closing.size,
            sha256: closing.sha256,
            offset,
        };
        (whole && bytes == closing.size).then_some((entry, closing))
    }

    /// Leaves an object out.
    pub(super) fn forget(&mut self, object: u32) {
        if let Some(place) = self.pages.iter().position(|page| page.object == object) {
            self.pages.remove(place);
            if place < self.details.len() {
                self.details.remove(place);
            }
        }
        if object == 0 {
            self.manifest = None;
        }
    }

    /// Whole pages may have stood in a gap before page `next`; their numbers are all that is left.
    fn note_missing(&mut self, next: u32) {
        let first = self.last_object.saturating_add(1);
        self.damaged.extend((first..next).take(GAP_PAGES_MAX));
    }

    fn note_damage(&mut self, object: u32) {
        if is_page(object) && !self.voided.contains(&object) {
            self.damaged.insert(object);
        }
    }
}

impl Entry {
    /// Where the record stands that holds the object's bytes from `position` on.
    pub(super) const fn record_offset(&self, position: u64) -> u64 {
        self.offset + position / BODY_BYTES_MAX as u64 * RECORD_BYTES as u64
    }
}

/// Whether an object's number is a page's.
pub(super) const fn is_page(object: u32) -> bool {
    object != 0 && object != INTENT_OBJECT
}

/// Most pages that one gap is said to have held: a gap in a job of the longest kind.
const GAP_PAGES_MAX: usize = scantrip_cloud_client::wire::PAGES_MAX as usize;

/// Whether the next record stands where this one says that it ends: then its length is believed
/// without a look at its body. A torn one may have others within the place that it claims, written
/// after a power cut.
fn is_followed(file: &dyn DiskFile, header: &Header, offset: u64) -> Result<bool, DiskError> {
    let mut bytes = [0; HEADER_BYTES];
    let read = file.read_at(offset + header.span(), &mut bytes)?;
    Ok(read == HEADER_BYTES
        && Header::parse(&bytes).is_ok_and(|next| {
            let of_the_file = (next.job, next.salt) == (header.job, header.salt);
            of_the_file && next.sequence == header.sequence + 1
        }))
}

/// SHA-256 in JSON: lower-case hexadecimal, as on the wire.
mod hexadecimal {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    pub(super) fn serialize<S: Serializer>(hash: &[u8; 32], to: S) -> Result<S::Ok, S::Error> {
        to.serialize_str(&base16ct::lower::encode_string(hash))
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<[u8; 32], D::Error> {
        let text = String::deserialize(from)?;
        let mut hash = [0; 32];
        match base16ct::lower::decode(&text, &mut hash) {
            Ok(read) if read.len() == 32 => Ok(hash),
            _ => Err(D::Error::custom("a SHA-256 is 64 hexadecimal digits")),
        }
    }
}
