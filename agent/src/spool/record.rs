//! One record of a job file or of the journal: a header, a body, zeros up to the next block.
//!
//! The layout is fixed in `docs/formats.md`, section 2. Any later version keeps these 72 bytes, so
//! that an older agent can tell a newer file from a broken one.

use crate::job_id::JobId;

/// Records start on these boundaries: the unit that disks write whole.
pub(crate) const BLOCK_BYTES: u64 = 4096;
/// The longest record. A multiple of the block, few system calls for a page, little memory.
pub(crate) const RECORD_BYTES: usize = 256 * 1024;
/// Length of a header.
pub(crate) const HEADER_BYTES: usize = 72;
/// The longest body.
pub(crate) const BODY_BYTES_MAX: usize = RECORD_BYTES - HEADER_BYTES;

const MAGIC: [u8; 4] = *b"STJR";
const VERSION: u16 = 1;
/// Length of what the header's own checksum covers.
const CHECKED_BYTES: usize = HEADER_BYTES - 4;

/// What a record says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The intent is whole: scanning may begin.
    Opened,
    /// A piece of an object.
    Chunk,
    /// A page is whole.
    Page,
    /// An object does not count.
    Void,
    /// The manifest is whole: the job is complete.
    Sealed,
    /// A journal entry.
    Entry,
}

impl Kind {
    const fn number(self) -> u16 {
        match self {
            Self::Opened => 1,
            Self::Chunk => 2,
            Self::Page => 3,
            Self::Void => 4,
            Self::Sealed => 5,
            Self::Entry => 6,
        }
    }

    const fn from_number(number: u16) -> Option<Self> {
        match number {
            1 => Some(Self::Opened),
            2 => Some(Self::Chunk),
            3 => Some(Self::Page),
            4 => Some(Self::Void),
            5 => Some(Self::Sealed),
            6 => Some(Self::Entry),
            _ => None,
        }
    }
}

/// A record's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    /// What the record says.
    pub(crate) kind: Kind,
    /// The job it belongs to.
    pub(crate) job: JobId,
    /// Random, one per file.
    pub(crate) salt: [u8; 16],
    /// Place in the file: 0 and up, without gaps.
    pub(crate) sequence: u64,
    /// Bytes of the body.
    pub(crate) body_bytes: u32,
    /// The object it speaks of.
    pub(crate) object: u32,
    /// Of a chunk: where its body starts in the object.
    pub(crate) position: u64,
    /// CRC-32 of the body.
    pub(crate) body_checksum: u32,
}

/// Bytes that are no header of this version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum HeaderFault {
    /// Not a record, or a broken one.
    Broken,
    /// A whole record of a later version.
    Newer(u16),
}

impl Header {
    /// The header as it is written.
    pub(crate) fn encode(&self) -> [u8; HEADER_BYTES] {
        let mut out = [0; HEADER_BYTES];
        let fields = MAGIC
            .into_iter()
            .chain(VERSION.to_le_bytes())
            .chain(self.kind.number().to_le_bytes())
            .chain(*self.job.as_bytes())
            .chain(self.salt)
            .chain(self.sequence.to_le_bytes())
            .chain(self.body_bytes.to_le_bytes())
            .chain(self.object.to_le_bytes())
            .chain(self.position.to_le_bytes())
            .chain(self.body_checksum.to_le_bytes());
        for (place, byte) in out.iter_mut().zip(fields) {
            *place = byte;
        }
        if let Some((checked, sum)) = out.split_last_chunk_mut::<4>() {
            *sum = checksum(checked).to_le_bytes();
        }
        out
    }

    /// Reads a header. Never trusts a length before the checksum held.
    pub(crate) fn parse(bytes: &[u8; HEADER_BYTES]) -> Result<Self, HeaderFault> {
        let (checked, sum) = bytes.split_at(CHECKED_BYTES);
        if checksum(checked).to_le_bytes() != *sum {
            return Err(HeaderFault::Broken);
        }
        Self::parse_fields(checked)?.ok_or(HeaderFault::Broken)
    }

    fn parse_fields(mut rest: &[u8]) -> Result<Option<Self>, HeaderFault> {
        let rest = &mut rest;
        if take(rest) != Some(MAGIC) {
            return Ok(None);
        }
        match take(rest).map(u16::from_le_bytes) {
            Some(VERSION) => {}
            Some(later) if later > VERSION => return Err(HeaderFault::Newer(later)),
            _ => return Ok(None),
        }
        Ok(Self::parse_body(rest).filter(|header| {
            usize::try_from(header.body_bytes).is_ok_and(|length| length <= BODY_BYTES_MAX)
        }))
    }

    fn parse_body(rest: &mut &[u8]) -> Option<Self> {
        Some(Self {
            kind: Kind::from_number(u16::from_le_bytes(take(rest)?))?,
            job: JobId::from_bytes(take(rest)?),
            salt: take(rest)?,
            sequence: u64::from_le_bytes(take(rest)?),
            body_bytes: u32::from_le_bytes(take(rest)?),
            object: u32::from_le_bytes(take(rest)?),
            position: u64::from_le_bytes(take(rest)?),
            body_checksum: u32::from_le_bytes(take(rest)?),
        })
    }

    /// Whether it can stand at `offset`: a record takes a block at least, so that no more records
    /// are before it than blocks. One can always be added to such a number.
    pub(crate) const fn fits(&self, offset: u64) -> bool {
        self.sequence <= offset / BLOCK_BYTES
    }

    /// Bytes from this record's start to the next one's.
    pub(crate) fn span(&self) -> u64 {
        padded(HEADER_BYTES as u64 + u64::from(self.body_bytes))
    }
}

/// The checksum of records: CRC-32. It tells torn and rotten records from whole ones and costs a
/// fraction of a hash; the content itself is held by the objects' SHA-256.
pub(crate) fn checksum(bytes: &[u8]) -> u32 {
    crc32fast::hash(bytes)
}

/// `bytes` rounded up to the next block.
pub(crate) const fn padded(bytes: u64) -> u64 {
    bytes.next_multiple_of(BLOCK_BYTES)
}

fn take<const N: usize>(rest: &mut &[u8]) -> Option<[u8; N]> {
    let (head, tail) = rest.split_first_chunk::<N>()?;
    *rest = tail;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn sample() -> Header {
        Header {
            kind: Kind::Chunk,
            job: JobId::from_bytes([7; 16]),
            salt: [9; 16],
            sequence: 3,
            body_bytes: 100,
            object: 5,
            position: 262_072,
            body_checksum: 0xDEAD_BEEF,
        }
    }

    #[test]
    fn a_header_reads_back() {
        assert_eq!(Header::parse(&sample().encode()), Ok(sample()));
    }

    #[test]
    fn any_flipped_bit_is_found() {
        let bytes = sample().encode();
        for bit in 0..HEADER_BYTES * 8 {
            let mut flipped = bytes;
            flipped[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(
                Header::parse(&flipped),
                Err(HeaderFault::Broken),
                "bit {bit}"
            );
        }
    }

    #[test]
    fn a_whole_record_of_a_later_version_is_told_apart() {
        let mut bytes = sample().encode();
        bytes[4] = 2;
        let sum = checksum(&bytes[..CHECKED_BYTES]);
        bytes[CHECKED_BYTES..].copy_from_slice(&sum.to_le_bytes());
        assert_eq!(Header::parse(&bytes), Err(HeaderFault::Newer(2)));
    }

    #[test]
    fn a_body_longer_than_a_record_is_refused() {
        let header = Header {
            body_bytes: BODY_BYTES_MAX as u32 + 1,
            ..sample()
        };
        assert_eq!(Header::parse(&header.encode()), Err(HeaderFault::Broken));
    }

    #[test]
    fn a_record_whose_number_is_beyond_its_place_does_not_fit() {
        let header = sample();
        for (offset, fits) in [
            (0, false),
            (3 * BLOCK_BYTES - 1, false),
            (3 * BLOCK_BYTES, true),
        ] {
            assert_eq!(header.fits(offset), fits, "{offset}");
        }
    }

    proptest! {
        #[test]
        fn arbitrary_bytes_never_panic(bytes in prop::array::uniform32(any::<u8>()), fix in any::<bool>()) {
            let mut header = [0; HEADER_BYTES];
            header[..4].copy_from_slice(&MAGIC);
            header[4..36].copy_from_slice(&bytes);
            if fix {
                let sum = checksum(&header[..CHECKED_BYTES]);
                header[CHECKED_BYTES..].copy_from_slice(&sum.to_le_bytes());
            }
            if let Ok(parsed) = Header::parse(&header) {
                prop_assert!(parsed.body_bytes as usize <= BODY_BYTES_MAX);
                prop_assert_eq!(parsed.encode(), header);
            }
        }
    }
}
