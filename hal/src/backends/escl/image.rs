//! What can be told of a page from its bytes as they pass: what it is, how large, whether whole.
//!
//! Headers are not believed: devices send JPEG as `application/pdf`, end a cancelled page cleanly
//! in mid-image, and deliver another resolution than they were asked for. Markers: ITU-T T.81,
//! annex B.

mod tiff;

use self::tiff::Tiff;
use crate::scanner::DocumentFormat;

/// The bytes that tell the format.
const MAGIC_BYTES: usize = 5;
/// Of a segment as much is kept as any that matters has: a frame header, or a JFIF header.
const SEGMENT_BYTES: usize = 16;
/// The end of a PDF is marked within its last kilobyte.
const PDF_TAIL_BYTES: usize = 1024;

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DNL: u8 = 0xDC;

/// What is known of a whole page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// What it is.
    pub(crate) format: DocumentFormat,
    /// Images in it, at least 1.
    pub(crate) images: u16,
    /// Width in pixels, 0 when not known.
    pub(crate) width: u32,
    /// Height in pixels, 0 when not known or, of a JPEG, told only at its end (DNL).
    pub(crate) height: u32,
    /// Height as told at the end of a JPEG.
    pub(crate) late_height: u32,
}

/// Why a page is none.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum NoPage {
    /// Nothing came.
    #[error("the answer has no bytes")]
    Empty,
    /// Neither JPEG nor PDF nor TIFF.
    #[error("it is neither JPEG nor PDF nor TIFF")]
    Unknown,
    /// The end is missing.
    #[error("the image is cut off")]
    CutOff,
    /// Markers contradict each other.
    #[error("the image is damaged")]
    Damaged,
    /// It does not say its size anywhere.
    #[error("the image does not say its size")]
    NoSize,
}

/// Looks at a page as it passes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Look {
    bytes: u64,
    magic: Vec<u8>,
    kind: Option<Kind>,
}

#[derive(Clone, Debug)]
enum Kind {
    Jpeg(Jpeg),
    Pdf(Pdf),
    Tiff(Tiff),
    Unknown,
}

impl Look {
    /// The next bytes.
    ///
    /// # Errors
    /// As soon as it is clear that this is no page.
    pub(crate) fn see(&mut self, bytes: &[u8]) -> Result<(), NoPage> {
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        let held;
        let mut bytes = bytes;
        if self.kind.is_none() {
            self.magic.extend_from_slice(bytes);
            if self.magic.len() < MAGIC_BYTES {
                return Ok(());
            }
            held = std::mem::take(&mut self.magic);
            bytes = &held;
            self.kind = Some(Kind::of(bytes));
        }
        match &mut self.kind {
            Some(Kind::Jpeg(jpeg)) => jpeg.see(bytes),
            Some(Kind::Pdf(pdf)) => {
                pdf.see(bytes);
                Ok(())
            }
            Some(Kind::Tiff(tiff)) => {
                tiff.see(bytes);
                Ok(())
            }
            Some(Kind::Unknown) | None => Err(NoPage::Unknown),
        }
    }

    /// How many of the bytes that were seen last stand behind the end of the image: some devices pad,
    /// and not only with zeros.
    pub(crate) const fn surplus(&self) -> usize {
        match &self.kind {
            Some(Kind::Jpeg(jpeg)) => jpeg.surplus,
            _ => 0,
        }
    }

    /// Whether the format is known, so that bytes may be passed on.
    pub(crate) const fn is_known(&self) -> bool {
        self.kind.is_some()
    }

    /// What it was.
    ///
    /// # Errors
    /// When it is not a whole page.
    pub(crate) fn finish(self) -> Result<Facts, NoPage> {
        let facts = |format| Facts {
            format,
            images: 1,
            width: 0,
            height: 0,
            late_height: 0,
        };
        match self.kind {
            None if self.bytes == 0 => Err(NoPage::Empty),
            None | Some(Kind::Unknown) => Err(NoPage::Unknown),
            Some(Kind::Jpeg(jpeg)) => jpeg.finish(facts(DocumentFormat::Jpeg)),
            Some(Kind::Pdf(pdf)) => {
                if !contains(&pdf.tail, b"%%EOF") {
                    return Err(NoPage::CutOff);
                }
                let images = pdf.pages.max(1);
                Ok(Facts {
                    images,
                    ..facts(DocumentFormat::Pdf)
                })
            }
            Some(Kind::Tiff(tiff)) => tiff.finish(facts(DocumentFormat::Tiff)),
        }
    }
}

impl Kind {
    fn of(bytes: &[u8]) -> Self {
        match bytes {
            [0xFF, SOI, ..] => Self::Jpeg(Jpeg::default()),
            [b'%', b'P', b'D', b'F', ..] => Self::Pdf(Pdf::default()),
            [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => Self::Tiff(Tiff::default()),
            _ => Self::Unknown,
        }
    }
}

/// Where the reader of a JPEG image is.
#[derive(Clone, Debug, Default)]
struct Jpeg {
    place: Place,
    size: Option<(u16, u16)>,
    late_height: Option<u16>,
    /// Of the bytes that were seen last, those behind the end.
    surplus: usize,
}

#[derive(Clone, Debug, Default)]
enum Place {
    /// Before a marker's first byte.
    #[default]
    Marker,
    /// After 0xFF.
    Code,
    /// Before the second byte of a length.
    Length(u8, Option<u8>),
    /// In a segment: its marker, bytes to come, the first bytes.
    Segment(u8, u16, Vec<u8>),
    /// In the picture itself; whether the last byte was 0xFF.
    Scan(bool),
    /// Behind the end.
    End,
}

impl Jpeg {
    fn see(&mut self, mut bytes: &[u8]) -> Result<(), NoPage> {
        self.surplus = 0;
        while let Some((&byte, rest)) = bytes.split_first() {
            bytes = rest;
            self.place = match std::mem::take(&mut self.place) {
                Place::Marker if byte == 0xFF => Place::Code,
                Place::Marker => return Err(NoPage::Damaged),
                Place::Code => match byte {
                    0x00 => return Err(NoPage::Damaged),
                    0xFF => Place::Code,
                    EOI => Place::End,
                    SOI | 0x01 | 0xD0..=0xD7 => Place::Marker,
                    marker => Place::Length(marker, None),
                },
                Place::Length(marker, None) => Place::Length(marker, Some(byte)),
                Place::Length(marker, Some(high)) => {
                    let length = u16::from_be_bytes([high, byte]).checked_sub(2);
                    let length = length.ok_or(NoPage::Damaged)?;
                    self.segment(marker, length, Vec::new())
                }
                Place::Segment(marker, left, mut head) => {
                    // This byte, and as many of the rest as belong to the segment.
                    let more = usize::from(left - 1).min(bytes.len());
                    let (inside, behind) = bytes.split_at(more);
                    head.push(byte);
                    let room = SEGMENT_BYTES.saturating_sub(head.len());
                    head.extend(inside.iter().take(room));
                    bytes = behind;
                    let taken = u16::try_from(more).unwrap_or(u16::MAX);
                    self.segment(marker, left - 1 - taken, head)
                }
                Place::Scan(false) if byte != 0xFF => {
                    let skip = bytes.iter().position(|it| *it == 0xFF);
                    bytes = bytes.get(skip.unwrap_or(bytes.len())..).unwrap_or_default();
                    Place::Scan(false)
                }
                Place::Scan(false) => Place::Scan(true),
                Place::Scan(true) => match byte {
                    0xFF => Place::Scan(true),
                    0x00 | 0xD0..=0xD7 => Place::Scan(false),
                    EOI => Place::End,
                    marker => Place::Length(marker, None),
                },
                Place::End => {
                    self.place = Place::End;
                    self.surplus = bytes.len() + 1;
                    return Ok(());
                }
            };
        }
        Ok(())
    }

    /// In a segment with `left` bytes to come.
    fn segment(&mut self, marker: u8, left: u16, head: Vec<u8>) -> Place {
        if left > 0 {
            return Place::Segment(marker, left, head);
        }
        let number = |at: usize| Some(u16::from_be_bytes([*head.get(at)?, *head.get(at + 1)?]));
        match marker {
            SOS => return Place::Scan(false),
            DNL => self.late_height = number(0),
            0xC4 | 0xC8 | 0xCC => {}
            0xC0..=0xCF => {
                if let (None, Some(height), Some(width)) = (self.size, number(1), number(3)) {
                    self.size = Some((width, height));
                }
            }
            _ => {}
        }
        Place::Marker
    }

    fn finish(self, facts: Facts) -> Result<Facts, NoPage> {
        if !matches!(self.place, Place::End) {
            return Err(NoPage::CutOff);
        }
        let (width, height) = self.size.ok_or(NoPage::Damaged)?;
        let late_height = self.late_height.unwrap_or(0);
        // HP feeders begin before they know the height: 0 or 65535, and DNL at the end.
        let unknown = height == 0 || (height == u16::MAX && late_height > 0);
        if width == 0 || (unknown && late_height == 0) {
            return Err(NoPage::NoSize);
        }
        Ok(Facts {
            width: width.into(),
            height: if unknown { 0 } else { height.into() },
            late_height: if unknown { late_height.into() } else { 0 },
            ..facts
        })
    }
}

/// The end of a PDF so far, and the pages seen in it.
#[derive(Clone, Debug, Default)]
struct Pdf {
    tail: Vec<u8>,
    pages: u16,
}

impl Pdf {
    fn see(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8 * PDF_TAIL_BYTES) {
            // A page's type may lie across the border of two pieces.
            let border = self.tail.len().saturating_sub(16);
            let mut seen = self.tail.split_off(border);
            let before = count_pages(&seen);
            seen.extend_from_slice(piece);
            self.pages = self.pages.saturating_add(count_pages(&seen) - before);
            self.tail.extend_from_slice(&seen);
            let surplus = self.tail.len().saturating_sub(PDF_TAIL_BYTES);
            self.tail.drain(..surplus);
        }
    }
}

/// `/Type /Page` that is not `/Pages`, with or without the space.
fn count_pages(bytes: &[u8]) -> u16 {
    let after_type = |at: usize| {
        let rest = bytes.get(at..)?.strip_prefix(b"/Type")?;
        let rest = rest.strip_prefix(b" ").unwrap_or(rest);
        rest.strip_prefix(b"/Page")?.first().copied()
    };
    let found = (0..bytes.len()).filter(|at| after_type(*at).is_some_and(|it| it != b's'));
    u16::try_from(found.count()).unwrap_or(u16::MAX)
}

fn contains(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|window| window == what)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
        out.extend([0xFF, marker]);
        out.extend((u16::try_from(body.len()).unwrap() + 2).to_be_bytes());
        out.extend(body);
    }

    pub(crate) fn jpeg(height: u16, dnl: Option<u16>) -> Vec<u8> {
        let mut out = vec![0xFF, SOI];
        segment(&mut out, 0xE1, &[7; 300]);
        let [h1, h0] = height.to_be_bytes();
        segment(&mut out, 0xC0, &[8, h1, h0, 0x09, 0xB0, 1, 1, 0x11, 0]);
        segment(&mut out, SOS, &[1, 1, 0, 0, 63, 0]);
        out.extend([0x11, 0xFF, 0x00, 0x22, 0xFF, 0xD0, 0x33]);
        if let Some(lines) = dnl {
            segment(&mut out, DNL, &lines.to_be_bytes());
        }
        out.extend([0xFF, EOI]);
        out
    }

    fn look(pieces: &[&[u8]]) -> Result<Facts, NoPage> {
        let mut look = Look::default();
        for piece in pieces {
            look.see(piece)?;
        }
        look.finish()
    }

    #[test]
    fn a_jpeg_tells_its_size_however_it_is_cut_into_pieces() {
        let image = jpeg(3508, None);
        for cut in 0..image.len() {
            let (a, b) = image.split_at(cut);
            let facts = look(&[a, b]).unwrap();
            assert_eq!((facts.width, facts.height), (2480, 3508), "{cut}");
        }
        let bytes: Vec<&[u8]> = image.chunks(1).collect();
        assert_eq!(look(&bytes), look(&[&image]));
    }

    #[test]
    fn every_cut_of_a_jpeg_is_noticed() {
        let image = jpeg(3508, Some(9));
        for end in 0..image.len() {
            assert!(look(&[&image[..end]]).is_err(), "{end}");
        }
    }

    #[test]
    fn what_stands_behind_the_end_is_told_however_it_is_cut_into_pieces() {
        let image = jpeg(3508, Some(9));
        for padding in [
            &[0_u8; 9][..],
            b"\r\n",
            &[0xFF, EOI, 1, 0xFF],
            b"--end--\r\n",
        ] {
            let padded = [&image, padding].concat();
            for cut in 0..padded.len() {
                let mut look = Look::default();
                let mut passed = 0;
                for piece in [&padded[..cut], &padded[cut..]] {
                    look.see(piece).unwrap();
                    passed += piece.len() - look.surplus();
                }
                assert_eq!(passed, image.len(), "{cut}");
                assert!(look.finish().is_ok());
            }
        }
    }

    #[test]
    fn a_height_told_at_the_end_is_told_as_late() {
        for unknown in [0, u16::MAX] {
            let facts = look(&[&jpeg(unknown, Some(3300))]).unwrap();
            assert_eq!((facts.height, facts.late_height), (0, 3300));
        }
        assert_eq!(look(&[&jpeg(0, None)]), Err(NoPage::NoSize));
    }

    #[test]
    fn the_bytes_tell_the_format() {
        let pdf = b"%PDF-1.4 <</Type /Pages>> <</Type /Page /A>> <</Type/Page>> trailer %%EOF\n";
        for cut in 0..pdf.len() {
            let (a, b) = pdf.split_at(cut);
            let facts = look(&[a, b]).unwrap();
            assert_eq!(
                (facts.format, facts.images),
                (DocumentFormat::Pdf, 2),
                "{cut}"
            );
        }
        assert_eq!(look(&[&pdf[..60]]), Err(NoPage::CutOff));
        let tiff = [b'I', b'I', b'*', 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(look(&[&tiff]).unwrap().format, DocumentFormat::Tiff);
        assert_eq!(look(&[&tiff[..13]]), Err(NoPage::CutOff));
        assert_eq!(look(&[b"<html></html>"]), Err(NoPage::Unknown));
        assert_eq!(look(&[b"\xFF\xD8"]), Err(NoPage::Unknown));
        assert_eq!(look(&[]), Err(NoPage::Empty));
    }

    proptest! {
        #[test]
        fn hostile_images_are_survived(
            changes in proptest::collection::vec((0_usize..360, any::<u8>()), 0..8),
            cut in 0_usize..360,
        ) {
            let mut image = jpeg(0, Some(77));
            for (at, value) in changes {
                if let Some(byte) = image.get_mut(at) {
                    *byte = value;
                }
            }
            let (a, b) = image.split_at(cut.min(image.len()));
            prop_assert_eq!(look(&[a, b]), look(&[&image]));
        }
    }
}
