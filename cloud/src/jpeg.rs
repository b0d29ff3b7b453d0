//! Reads the markers of a JPEG image, so that it can be put into a document without decoding it.
//!
//! Pages come from scanners that this program has never met, so nothing here trusts the bytes:
//! every fault is a [`JpegError`] that says what is wrong in words for the person who scanned.
//! Markers: ITU-T T.81, annex B. EXIF orientation: CIPA DC-008, section 4.6.4.

use thiserror::Error;

/// A JPEG image whose markers have been read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Jpeg<'a> {
    bytes: &'a [u8],
    info: JpegInfo,
    /// Where the frame header says no height and the scan's end (DNL) does.
    height_missing_at: Option<usize>,
}

/// What a document must know of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct JpegInfo {
    /// Width in pixels, at least 1.
    pub width: u16,
    /// Height in pixels, at least 1.
    pub height: u16,
    /// Channels.
    pub color: JpegColor,
    /// Pixels per inch as the file says (JFIF); scanners often leave it out.
    pub density_dpi: Option<u16>,
    /// Clockwise turn that the file asks for (EXIF): 0, 90, 180 or 270. Mirrored images are shown
    /// as they are: no scanner sends them.
    pub rotation: u16,
}

/// Channels of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum JpegColor {
    /// One channel.
    Gray,
    /// Three channels, stored as YCbCr or RGB.
    Rgb,
}

/// Why an image cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum JpegError {
    /// Nothing came.
    #[error("the image is empty (0 bytes)")]
    Empty,
    /// The first two bytes are not SOI.
    #[error("the image is not a JPEG file")]
    NotJpeg,
    /// The bytes end before the image does.
    #[error("the JPEG image is cut off after {at} bytes")]
    Truncated {
        /// How many bytes there are.
        at: usize,
    },
    /// A segment contradicts itself.
    #[error("the JPEG image is damaged at byte {at}")]
    Damaged {
        /// Offset of the segment.
        at: usize,
    },
    /// A coding process that documents cannot hold: arithmetic, lossless or hierarchical.
    #[error("the JPEG image uses a coding (SOF{process}) that documents cannot hold")]
    Process {
        /// Number of the SOF marker.
        process: u8,
    },
    /// Not 8 bits a sample.
    #[error("the JPEG image has {bits} bits a sample; only 8 can be used")]
    Precision {
        /// Bits a sample.
        bits: u8,
    },
    /// Neither gray nor color.
    #[error(
        "the JPEG image has {components} color channels; only 1 (gray) and 3 (color) can be used"
    )]
    Components {
        /// Number of channels.
        components: u8,
    },
    /// No width, or no height anywhere.
    #[error("the JPEG image does not say its size")]
    NoSize,
}

impl<'a> Jpeg<'a> {
    /// Reads the markers from start to end of the image. Bytes behind its end are let through.
    ///
    /// # Errors
    ///
    /// If the image is not complete or of a kind that documents cannot hold.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, JpegError> {
        if bytes.is_empty() {
            return Err(JpegError::Empty);
        }
        if !bytes.starts_with(&[0xFF, SOI]) {
            return Err(JpegError::NotJpeg);
        }
        Walk {
            bytes,
            at: 2,
            frame: None,
            line_count: None,
            density_dpi: None,
            rotation: 0,
        }
        .run()
    }

    /// What the markers say.
    #[must_use]
    pub fn info(&self) -> JpegInfo {
        self.info
    }

    /// Length in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether there are no bytes; never true.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Hands out the image's bytes in order. They are the given ones, except that a height known
    /// only from the scan's end (HP feeders) is written into the frame header, where readers look.
    ///
    /// # Errors
    ///
    /// The first error of `sink`.
    pub fn write<E>(&self, sink: &mut dyn FnMut(&[u8]) -> Result<(), E>) -> Result<(), E> {
        let cut = self.height_missing_at.and_then(|at| {
            let (head, rest) = self.bytes.split_at_checked(at)?;
            Some((head, rest.get(2..)?))
        });
        let Some((head, tail)) = cut else {
            return sink(self.bytes);
        };
        sink(head)?;
        sink(&self.info.height.to_be_bytes())?;
        sink(tail)
    }
}

/// One pass over the segments.
struct Walk<'a> {
    bytes: &'a [u8],
    at: usize,
    frame: Option<Frame>,
    line_count: Option<u16>,
    density_dpi: Option<u16>,
    rotation: u16,
}

/// A frame header (SOFn).
struct Frame {
    width: u16,
    height: u16,
    height_at: usize,
    color: JpegColor,
}

impl<'a> Walk<'a> {
    fn run(mut self) -> Result<Jpeg<'a>, JpegError> {
        loop {
            let marker = self.marker()?;
            match marker {
                EOI => return self.finish(),
                TEM | RST0..=RST7 => {}
                SOI | 0x00 => return Err(JpegError::Damaged { at: self.at }),
                _ => self.segment(marker)?,
            }
        }
    }

    /// Reads a marker, with the fill bytes that may stand before it.
    fn marker(&mut self) -> Result<u8, JpegError> {
        if self.byte()? != 0xFF {
            return Err(JpegError::Damaged { at: self.at });
        }
        loop {
            let byte = self.byte()?;
            if byte != 0xFF {
                return Ok(byte);
            }
        }
    }

    fn segment(&mut self, marker: u8) -> Result<(), JpegError> {
        let start = self.at;
        let len = usize::from(u16::from_be_bytes([self.byte()?, self.byte()?]));
        let damaged = JpegError::Damaged { at: start };
        let body_len = len.checked_sub(2).ok_or(damaged)?;
        let body = self
            .bytes
            .get(self.at..)
            .and_then(|rest| rest.get(..body_len));
        let body = body.ok_or(JpegError::Truncated {
            at: self.bytes.len(),
        })?;
        let body_at = self.at;
        self.at += body_len;
        match marker {
            // DHT, JPG and DAC share the range of the frame headers.
            0xC4 | 0xC8 | 0xCC => {}
            0xC0..=0xCF => self.frame(marker, body, body_at).ok_or(damaged)??,
            APP0 => self.density_dpi = self.density_dpi.or_else(|| jfif_density(body)),
            APP1 => self.rotation = exif_rotation(body).unwrap_or(self.rotation),
            DNL => self.line_count = Some(be16(body, 0).ok_or(damaged)?),
            SOS if self.frame.is_none() => return Err(damaged),
            SOS => self.skip_scan()?,
            _ => {}
        }
        Ok(())
    }

    /// Reads a frame header; `None` if it is too short or there was one already.
    fn frame(&mut self, marker: u8, body: &[u8], body_at: usize) -> Option<Result<(), JpegError>> {
        let process = marker - 0xC0;
        if process > 2 {
            return Some(Err(JpegError::Process { process }));
        }
        let bits = *body.first()?;
        if bits != 8 {
            return Some(Err(JpegError::Precision { bits }));
        }
        let color = match *body.get(5)? {
            1 => JpegColor::Gray,
            3 => JpegColor::Rgb,
            components => return Some(Err(JpegError::Components { components })),
        };
        if self.frame.is_some() {
            return None;
        }
        let (height, width) = (be16(body, 1)?, be16(body, 3)?);
        self.frame = Some(Frame {
            width,
            height,
            height_at: body_at + 1,
            color,
        });
        Some(Ok(()))
    }

    /// Moves to the marker that ends a scan: not a stuffed zero, not a restart.
    fn skip_scan(&mut self) -> Result<(), JpegError> {
        let truncated = JpegError::Truncated {
            at: self.bytes.len(),
        };
        loop {
            let rest = self.bytes.get(self.at..).ok_or(truncated)?;
            let found = rest
                .iter()
                .position(|&byte| byte == 0xFF)
                .ok_or(truncated)?;
            self.at += found;
            match *self.bytes.get(self.at + 1).ok_or(truncated)? {
                0x00 | RST0..=RST7 => self.at += 2,
                0xFF => self.at += 1,
                _ => return Ok(()),
            }
        }
    }

    fn byte(&mut self) -> Result<u8, JpegError> {
        let byte = self.bytes.get(self.at).ok_or(JpegError::Truncated {
            at: self.bytes.len(),
        })?;
        self.at += 1;
        Ok(*byte)
    }

    fn finish(self) -> Result<Jpeg<'a>, JpegError> {
        let frame = self.frame.ok_or(JpegError::Damaged { at: self.at })?;
        // HP feeders do not know the height when they begin: 0, or 65535, and DNL at the end.
        let unknown = frame.height == 0 || (frame.height == u16::MAX && self.line_count.is_some());
        let height = if unknown {
            self.line_count.unwrap_or(0)
        } else {
            frame.height
        };
        if frame.width == 0 || height == 0 {
            return Err(JpegError::NoSize);
        }
        let info = JpegInfo {
            width: frame.width,
            height,
            color: frame.color,
            density_dpi: self.density_dpi,
            rotation: self.rotation,
        };
        Ok(Jpeg {
            bytes: self.bytes,
            info,
            height_missing_at: unknown.then_some(frame.height_at),
        })
    }
}

/// Density of a JFIF header in pixels per inch.
fn jfif_density(body: &[u8]) -> Option<u16> {
    let rest = body.strip_prefix(b"JFIF\0")?;
    let horizontal = be16(rest, 3)?;
    let per_inch = match rest.get(2)? {
        1 => u32::from(horizontal),
        2 => (u32::from(horizontal) * 254 + 50) / 100,
        _ => return None,
    };
    u16::try_from(per_inch).ok().filter(|&dpi| dpi > 0)
}

/// Clockwise turn that an EXIF header asks for.
fn exif_rotation(body: &[u8]) -> Option<u16> {
    let tiff = body.strip_prefix(b"Exif\0\0")?;
    let big_endian = match tiff.get(..4)? {
        b"MM\0*" => true,
        b"II*\0" => false,
        _ => return None,
    };
    let read16 = |at: usize| {
        let pair = [*tiff.get(at)?, *tiff.get(at.checked_add(1)?)?];
        Some(if big_endian {
            u16::from_be_bytes(pair)
        } else {
            u16::from_le_bytes(pair)
        })
    };
    let halves = (usize::from(read16(4)?), usize::from(read16(6)?));
    let (high, low) = if big_endian {
        halves
    } else {
        (halves.1, halves.0)
    };
    let directory = (high << 16) | low;
    let entries = usize::from(read16(directory)?);
    for index in 0..entries {
        let entry = directory.checked_add(2 + index * 12)?;
        if read16(entry)? == ORIENTATION_TAG {
            return match read16(entry.checked_add(8)?)? {
                3 => Some(180),
                6 => Some(90),
                8 => Some(270),
                _ => None,
            };
        }
    }
    None
}

fn be16(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

const SOI: u8 = 0xD8;
const EOI: u8 = 0xD9;
const SOS: u8 = 0xDA;
const DNL: u8 = 0xDC;
const TEM: u8 = 0x01;
const RST0: u8 = 0xD0;
const RST7: u8 = 0xD7;
const APP0: u8 = 0xE0;
const APP1: u8 = 0xE1;
/// TIFF tag 274.
const ORIENTATION_TAG: u16 = 0x0112;

#[cfg(test)]
pub(crate) mod tests;
