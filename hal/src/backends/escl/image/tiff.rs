//! Whether a TIFF file is whole, from its first directory as it passes (TIFF 6.0, section 2).
//!
//! The directory stands behind the strips or before them. Where it does, and the lists that it
//! refers to, is known from its first bytes on, so that a window of the file is enough.

use super::{Facts, NoPage};

/// Of the file as much is kept from the directory on: five thousand entries, or the lists of eight
/// thousand strips behind it.
const WINDOW_BYTES: usize = 64 * 1024;
/// Of each list; scanners make a few hundred strips.
const STRIPS_MAX: usize = 8_192;

const WIDTH: u16 = 256;
const HEIGHT: u16 = 257;
const STRIP_OFFSETS: u16 = 273;
const STRIP_BYTE_COUNTS: u16 = 279;
/// Bytes of a value, by its type less one.
const SIZES: [u64; 12] = [1, 1, 2, 4, 8, 1, 1, 2, 4, 8, 4, 8];

/// What was kept of a TIFF file.
#[derive(Clone, Debug, Default)]
pub(super) struct Tiff {
    passed: u64,
    head: Vec<u8>,
    /// From the directory on.
    window: Vec<u8>,
}

/// A value of the directory.
struct Entry {
    tag: u16,
    kind: u16,
    count: u64,
    /// Where the value is: in the window, from here.
    at: Option<usize>,
}

impl Tiff {
    pub(super) fn see(&mut self, bytes: &[u8]) {
        let start = self.passed;
        self.passed = self.passed.saturating_add(bytes.len() as u64);
        let room = 8_usize.saturating_sub(self.head.len());
        self.head.extend(bytes.iter().take(room));
        let Some(directory) = self.directory() else {
            return;
        };
        let next = directory.saturating_add(self.window.len() as u64);
        let Ok(skip) = usize::try_from(next.saturating_sub(start)) else {
            return;
        };
        let room = WINDOW_BYTES.saturating_sub(self.window.len());
        self.window.extend(bytes.iter().skip(skip).take(room));
    }

    /// What is known of the whole page.
    pub(super) fn finish(&self, facts: Facts) -> Result<Facts, NoPage> {
        let entries = self.entries()?;
        let list = |tag| {
            let entry = entries.iter().find(|entry| entry.tag == tag);
            entry.map(|entry| self.numbers(entry)).unwrap_or_default()
        };
        let strips = list(STRIP_OFFSETS).into_iter().zip(list(STRIP_BYTE_COUNTS));
        for (offset, length) in strips {
            if u64::from(offset) + u64::from(length) > self.passed {
                return Err(NoPage::CutOff);
            }
        }
        let side = |tag| list(tag).first().copied().unwrap_or(0);
        Ok(Facts {
            width: side(WIDTH),
            height: side(HEIGHT),
            ..facts
        })
    }

    fn entries(&self) -> Result<Vec<Entry>, NoPage> {
        let directory = self.directory().ok_or(NoPage::CutOff)?;
        let count = self.u16(0).ok_or(NoPage::CutOff)?;
        let mut entries = Vec::new();
        for index in 0..usize::from(count) {
            let at = 2 + index * 12;
            let entry = (
                self.u16(at),
                self.u16(at + 2),
                self.u32(at + 4),
                self.u32(at + 8),
            );
            let (Some(tag), Some(kind), Some(values), Some(offset)) = entry else {
                return Err(NoPage::CutOff);
            };
            let size = SIZES
                .get(usize::from(kind).wrapping_sub(1))
                .copied()
                .unwrap_or(1);
            let length = u64::from(values).saturating_mul(size);
            let at = if length <= 4 {
                Some(at + 8)
            } else {
                if u64::from(offset).saturating_add(length) > self.passed {
                    return Err(NoPage::CutOff);
                }
                let inside = u64::from(offset).checked_sub(directory);
                inside.and_then(|inside| usize::try_from(inside).ok())
            };
            entries.push(Entry {
                tag,
                kind,
                count: values.into(),
                at,
            });
        }
        // Where the next directory is, if there is one.
        let next = self
            .u32(2 + usize::from(count) * 12)
            .ok_or(NoPage::CutOff)?;
        if next != 0 && u64::from(next) + 2 > self.passed {
            return Err(NoPage::CutOff);
        }
        Ok(entries)
    }

    /// The numbers of a value, as far as they were kept.
    fn numbers(&self, entry: &Entry) -> Vec<u32> {
        let width = match entry.kind {
            3 => 2,
            4 => 4,
            _ => return Vec::new(),
        };
        let count = usize::try_from(entry.count).unwrap_or(STRIPS_MAX);
        let number = |index: usize| {
            let at = entry.at?.checked_add(index * width)?;
            match width {
                2 => self.u16(at).map(u32::from),
                _ => self.u32(at),
            }
        };
        (0..count.min(STRIPS_MAX)).map_while(number).collect()
    }

    fn directory(&self) -> Option<u64> {
        let place = match self.head[..] {
            [b'I', _, _, _, a, b, c, d] => u32::from_le_bytes([a, b, c, d]),
            [_, _, _, _, a, b, c, d] => u32::from_be_bytes([a, b, c, d]),
            _ => return None,
        };
        // It cannot lie in the head.
        (place >= 8).then_some(place.into())
    }

    fn u16(&self, at: usize) -> Option<u16> {
        let pair = [*self.window.get(at)?, *self.window.get(at.checked_add(1)?)?];
        Some(match self.head.first() {
            Some(b'I') => u16::from_le_bytes(pair),
            _ => u16::from_be_bytes(pair),
        })
    }

    fn u32(&self, at: usize) -> Option<u32> {
        let (first, second) = (self.u16(at)?, self.u16(at.checked_add(2)?)?);
        let (high, low) = match self.head.first() {
            Some(b'I') => (second, first),
            _ => (first, second),
        };
        Some(u32::from(high) << 16 | u32::from(low))
    }
}

#[cfg(test)]
mod tests {
    use super::super::Look;
    use super::*;
    use crate::scanner::DocumentFormat;

    fn look(pieces: &[&[u8]]) -> Result<Facts, NoPage> {
        let mut look = Look::default();
        for piece in pieces {
            look.see(piece)?;
        }
        look.finish()
    }

    /// Two strips of ten bytes behind the directory, as streaming devices write it.
    fn directory_first(big_endian: bool) -> Vec<u8> {
        let short = |value: u16| match big_endian {
            true => value.to_be_bytes(),
            false => value.to_le_bytes(),
        };
        let long = |value: u32| match big_endian {
            true => value.to_be_bytes(),
            false => value.to_le_bytes(),
        };
        let mut out = if big_endian { b"MM\0*" } else { b"II*\0" }.to_vec();
        out.extend(long(8));
        out.extend(short(4));
        for (tag, kind, count, value) in [
            (WIDTH, 4, 1, 2480),
            (HEIGHT, 4, 1, 3508),
            (STRIP_OFFSETS, 4, 2, 62),
            (STRIP_BYTE_COUNTS, 4, 2, 70),
        ] {
            out.extend(short(tag));
            out.extend(short(kind));
            out.extend(long(count));
            out.extend(long(value));
        }
        out.extend(long(0));
        for value in [78, 88, 10, 10] {
            out.extend(long(value));
        }
        out.extend([7; 20]);
        out
    }

    #[test]
    fn every_cut_of_a_tiff_is_noticed_wherever_its_directory_is() {
        let wrote_last = include_bytes!("../../../../../tests/fixtures/tiff/g4-two-pages.tif");
        let strips = include_bytes!("../../../../../tests/fixtures/tiff/gray-raw.tif");
        for image in [
            &directory_first(false),
            &directory_first(true),
            &strips.to_vec(),
        ] {
            assert!(look(&[image]).is_ok());
            for end in 0..image.len() {
                assert!(look(&[&image[..end]]).is_err(), "{end} of {}", image.len());
            }
        }
        // Of a second image the directory is looked for.
        assert!(look(&[wrote_last]).is_ok());
        assert_eq!(look(&[&wrote_last[..200]]), Err(NoPage::CutOff));
    }

    #[test]
    fn a_tiff_tells_its_size_however_it_is_cut_into_pieces() {
        let image = directory_first(false);
        for cut in 0..image.len() {
            let (a, b) = image.split_at(cut);
            let facts = look(&[a, b]).unwrap();
            assert_eq!(facts.format, DocumentFormat::Tiff);
            assert_eq!((facts.width, facts.height), (2480, 3508), "{cut}");
        }
        let bytes: Vec<&[u8]> = image.chunks(1).collect();
        assert_eq!(look(&bytes), look(&[&image]));
    }
}
