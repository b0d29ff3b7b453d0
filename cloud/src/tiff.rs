//! Takes the images out of a TIFF file as a PDF can hold them.
//!
//! An image that lies in one strip and is coded as PDF knows it (JPEG, CCITT G3 and G4) stays as it
//! is; any other is decoded and compressed without loss. TIFF 6.0; for the tags of CCITT: section
//! 11; JPEG: Technical Note 2.
//!
//! Bounded: images in a file, pixels of a strip and of all images together.

use std::borrow::Cow;
use std::io::{Cursor, Write as _};

use flate2::Compression;
use flate2::write::ZlibEncoder;
use thiserror::Error;
use tiff::decoder::ifd::Value;
use tiff::decoder::{ChunkType, Decoder, DecodingResult, Limits};
use tiff::tags::Tag;
use tiff::{ColorType, TiffError as Fault};

use crate::jpeg::{Jpeg, JpegError};

/// A TIFF file in memory, read image by image.
pub struct Tiff<'a> {
    bytes: &'a [u8],
    decoder: Decoder<Cursor<&'a [u8]>>,
    images: usize,
    /// Bytes of all strips so far, as they are in the file and decoded.
    coded: u64,
    decoded: u64,
    over: bool,
}

/// An image as a PDF holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TiffImage<'a> {
    /// Width in pixels, at least 1.
    pub width: u32,
    /// Height in pixels, at least 1.
    pub height: u32,
    /// Color space, bits and filter, as entries of a PDF's dictionary.
    pub coding: String,
    /// What the filter reads.
    pub data: Cow<'a, [u8]>,
    /// Pixels in a thousand inches across and down, if the file says so.
    pub resolution_mdpi: Option<[u32; 2]>,
    /// Clockwise turn that the file asks for: 0, 90, 180 or 270.
    pub rotation: u16,
}

/// Why a TIFF file cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum TiffError {
    /// Cut off, or it contradicts itself.
    #[error("the TIFF image is cut off or damaged")]
    Damaged,
    /// Of a kind that scanners do not make.
    #[error("the TIFF image has {what}, which cannot be used")]
    Kind {
        /// What is special.
        what: &'static str,
    },
    /// More than scanners make.
    #[error("the TIFF file has too many {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
    },
    /// The JPEG image in it.
    #[error(transparent)]
    Jpeg(#[from] JpegError),
}

impl From<Fault> for TiffError {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::UnsupportedError(_) => Self::Kind { what: "a coding" },
            Fault::LimitsExceeded | Fault::IntSizeError => Self::TooMuch { what: "pixels" },
            _ => Self::Damaged,
        }
    }
}

/// What the tags of one image say.
struct Tags<'a> {
    width: u32,
    height: u32,
    compression: u16,
    photometric: u16,
    /// Whether the first bit of a byte is its lowest.
    bits_turned: bool,
    strips: Vec<&'a [u8]>,
}

impl<'a> Tiff<'a> {
    /// Reads the first image's tags.
    ///
    /// # Errors
    ///
    /// If it is no TIFF file.
    pub fn read(bytes: &'a [u8]) -> Result<Self, TiffError> {
        let mut limits = Limits::default();
        limits.decoding_buffer_size = STRIP_BYTES_MAX;
        limits.intermediate_buffer_size = STRIP_BYTES_MAX;
        Ok(Self {
            decoder: Decoder::new(Cursor::new(bytes))?.with_limits(limits),
            bytes,
            images: 0,
            coded: 0,
            decoded: 0,
            over: false,
        })
    }

    /// The next image; none behind the last.
    ///
    /// # Errors
    ///
    /// If it cannot be used.
    pub fn next_image(&mut self) -> Result<Option<TiffImage<'a>>, TiffError> {
        if self.over {
            return Ok(None);
        }
        self.images += 1;
        if self.images > IMAGES_MAX {
            return Err(TiffError::TooMuch { what: "images" });
        }
        let image = self.image()?;
        self.over = !self.decoder.more_images();
        if !self.over {
            self.decoder.next_image()?;
        }
        Ok(Some(image))
    }

    fn image(&mut self) -> Result<TiffImage<'a>, TiffError> {
        let tags = self.tags()?;
        let (coding, data) = match (tags.compression, tags.strips.as_slice()) {
            (JPEG, [strip]) => self.jpeg(&tags, strip)?,
            (FAX_3 | FAX_4, [strip]) => self.fax(&tags, strip)?,
            _ => self.decoded(&tags)?,
        };
        Ok(TiffImage {
            width: tags.width,
            height: tags.height,
            coding,
            data,
            resolution_mdpi: self.resolution()?,
            rotation: match self.number(Tag::Orientation)? {
                Some(3) => 180,
                Some(6) => 90,
                Some(8) => 270,
                _ => 0,
            },
        })
    }

    fn tags(&mut self) -> Result<Tags<'a>, TiffError> {
        let (width, height) = self.decoder.dimensions()?;
        if width == 0 || height == 0 {
            return Err(TiffError::Damaged);
        }
        if self.decoder.get_chunk_type() == ChunkType::Tile {
            return Err(TiffError::Kind { what: "tiles" });
        }
        if self.number(Tag::PlanarConfiguration)?.unwrap_or(1) != 1 {
            let what = "its colors in planes of their own";
            return Err(TiffError::Kind { what });
        }
        let offsets = self.decoder.get_tag_u64_vec(Tag::StripOffsets)?;
        let lengths = self.decoder.get_tag_u64_vec(Tag::StripByteCounts)?;
        if offsets.len() != lengths.len() || offsets.is_empty() {
            return Err(TiffError::Damaged);
        }
        let bytes = self.bytes;
        let strip = |(from, length): (u64, u64)| {
            let from = usize::try_from(from).ok()?;
            bytes.get(from..from.checked_add(usize::try_from(length).ok()?)?)
        };
        let strips = offsets.into_iter().zip(lengths).map(strip);
        let strips: Vec<_> = strips.collect::<Option<_>>().ok_or(TiffError::Damaged)?;
        // Strips that share bytes would make a small file a long work.
        self.coded += strips.iter().map(|strip| strip.len() as u64).sum::<u64>();
        if strips.len() > STRIPS_MAX || self.coded > 2 * bytes.len() as u64 {
            return Err(TiffError::TooMuch { what: "strips" });
        }
        Ok(Tags {
            width,
            height,
            compression: self.number(Tag::Compression)?.unwrap_or(1),
            photometric: self.number(Tag::PhotometricInterpretation)?.unwrap_or(0),
            bits_turned: self.number(Tag::FillOrder)? == Some(2),
            strips,
        })
    }

    fn number(&mut self, tag: Tag) -> Result<Option<u16>, TiffError> {
        Ok(self.decoder.find_tag_unsigned(tag)?)
    }

    /// The JPEG image as it is, with the tables that the file keeps apart.
    fn jpeg(
        &mut self,
        tags: &Tags<'a>,
        strip: &'a [u8],
    ) -> Result<(String, Cow<'a, [u8]>), TiffError> {
        let data = with_tables(strip, &self.jpeg_tables()?);
        let info = Jpeg::parse(&data)?.info();
        if u32::from(info.width) != tags.width || u32::from(info.height) < tags.height {
            return Err(TiffError::Damaged);
        }
        let (space, transform) = match tags.photometric {
            RGB => ("DeviceRGB", "/DecodeParms<</ColorTransform 0>>"),
            YCBCR => ("DeviceRGB", "/DecodeParms<</ColorTransform 1>>"),
            BLACK_IS_ZERO => ("DeviceGray", ""),
            _ => return Err(TiffError::Kind { what: "colors" }),
        };
        let coding = format!("/ColorSpace/{space}/BitsPerComponent 8/Filter/DCTDecode{transform}");
        Ok((coding, data))
    }

    /// The CCITT image as it is.
    fn fax(
        &mut self,
        tags: &Tags<'a>,
        strip: &'a [u8],
    ) -> Result<(String, Cow<'a, [u8]>), TiffError> {
        let options = self
            .decoder
            .find_tag_unsigned::<u32>(Tag::Unknown(T4_OPTIONS))?;
        let options = options.unwrap_or(0);
        let k = match tags.compression {
            FAX_4 => "-1",
            _ if options & 1 == 0 => "0",
            _ => "1",
        };
        // Only if all of it can be decoded; the decoder knows neither G3 nor turned bits.
        if tags.compression == FAX_4 && !tags.bits_turned {
            drop(self.decoder.read_chunk(0)?);
        }
        let black = if tags.photometric == 0 {
            ""
        } else {
            "/BlackIs1 true"
        };
        let coding = format!(
            "/ColorSpace/DeviceGray/BitsPerComponent 1/Filter/CCITTFaxDecode/DecodeParms<</K {k}\
             /Columns {}/Rows {}{black}>>",
            tags.width, tags.height
        );
        let data = match tags.bits_turned {
            true => strip.iter().map(|byte| byte.reverse_bits()).collect(),
            false => Cow::Borrowed(strip),
        };
        Ok((coding, data))
    }

    /// The samples of all strips, compressed.
    fn decoded(&mut self, tags: &Tags<'a>) -> Result<(String, Cow<'a, [u8]>), TiffError> {
        let (space, bits) = match self.decoder.colortype()? {
            ColorType::Gray(bits @ (1 | 2 | 4 | 8 | 16)) => ("DeviceGray", bits),
            ColorType::RGB(bits @ (8 | 16)) => ("DeviceRGB", bits),
            ColorType::YCbCr(8) if tags.compression == JPEG => ("YCbCr", 8),
            _ => return Err(TiffError::Kind { what: "colors" }),
        };
        if tags.bits_turned && bits < 8 {
            let what = "the bits of its bytes turned around";
            return Err(TiffError::Kind { what });
        }
        if tags.compression == JPEG {
            self.check_jpeg_strips(tags)?;
        }
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        for index in 0..self.decoder.strip_count()? {
            let mut samples = match self.decoder.read_chunk(index)? {
                DecodingResult::U8(samples) => samples,
                DecodingResult::U16(samples) => {
                    samples.iter().flat_map(|it| it.to_be_bytes()).collect()
                }
                _ => return Err(TiffError::Kind { what: "samples" }),
            };
            self.decoded += samples.len() as u64;
            if self.decoded > DECODED_BYTES_MAX {
                return Err(TiffError::TooMuch { what: "pixels" });
            }
            if space == "YCbCr" {
                to_rgb(&mut samples);
            }
            // Into memory: it cannot fail.
            encoder
                .write_all(&samples)
                .map_err(|_never| TiffError::Damaged)?;
        }
        let space = if space == "YCbCr" { "DeviceRGB" } else { space };
        let coding = format!("/ColorSpace/{space}/BitsPerComponent {bits}/Filter/FlateDecode");
        let data = encoder.finish().map_err(|_never| TiffError::Damaged)?;
        Ok((coding, Cow::Owned(data)))
    }

    /// The decoder of JPEG believes the strip's own size, so that is looked at before.
    fn check_jpeg_strips(&mut self, tags: &Tags<'a>) -> Result<(), TiffError> {
        let (_, rows) = self.decoder.chunk_dimensions();
        let tables = self.jpeg_tables()?;
        for strip in &tags.strips {
            let info = Jpeg::parse(&with_tables(strip, &tables)).map(|jpeg| jpeg.info())?;
            let (width, height) = (u32::from(info.width), u32::from(info.height));
            if width != tags.width || height > rows.saturating_add(64) {
                return Err(TiffError::Damaged);
            }
        }
        Ok(())
    }

    fn jpeg_tables(&mut self) -> Result<Vec<u8>, TiffError> {
        let tables = match self.decoder.find_tag(Tag::JPEGTables)? {
            Some(tables) => tables.into_u8_vec()?,
            None => Vec::new(),
        };
        match tables.len() {
            0..=JPEG_TABLES_BYTES_MAX => Ok(tables),
            _ => Err(TiffError::Damaged),
        }
    }

    /// Resolution across and down, if the file says one that a scanner can have.
    fn resolution(&mut self) -> Result<Option<[u32; 2]>, TiffError> {
        let unit = match self.number(Tag::ResolutionUnit)?.unwrap_or(2) {
            2 => 1.0,
            3 => 2.54,
            _ => return Ok(None),
        };
        let mut axis = |tag| {
            let dpi = match self.decoder.find_tag(tag)? {
                Some(Value::Rational(above, below)) => f64::from(above) / f64::from(below) * unit,
                _ => return Ok(None),
            };
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "within DPI"
            )]
            let mdpi = (dpi * 1000.0).round() as u32;
            Ok::<_, TiffError>(DPI.contains(&dpi).then_some(mdpi))
        };
        let both = axis(Tag::XResolution)?.zip(axis(Tag::YResolution)?);
        Ok(both.map(|(across, down)| [across, down]))
    }
}

/// A JPEG image behind whose start the tables of another stand, without the start and end of those.
fn with_tables<'a>(image: &'a [u8], tables: &[u8]) -> Cow<'a, [u8]> {
    match tables.get(2..tables.len().saturating_sub(2)) {
        None | Some([]) => Cow::Borrowed(image),
        Some(tables) => {
            let (start, rest) = image.split_at(image.len().min(2));
            Cow::Owned([start, tables, rest].concat())
        }
    }
}

/// ITU-R BT.601 with full range, as JFIF has it.
fn to_rgb(samples: &mut [u8]) {
    for pixel in samples.chunks_exact_mut(3) {
        if let [y, cb, cr] = pixel {
            let (luma, blue, red) = (
                i32::from(*y) << 16,
                i32::from(*cb) - 128,
                i32::from(*cr) - 128,
            );
            let byte = |value: i32| ((value + 0x8000) >> 16).clamp(0, 255).to_le_bytes()[0];
            *y = byte(luma + 91_881 * red);
            *cb = byte(luma - 22_554 * blue - 46_802 * red);
            *cr = byte(luma + 116_130 * blue);
        }
    }
}

const FAX_3: u16 = 3;
const FAX_4: u16 = 4;
const JPEG: u16 = 7;
const BLACK_IS_ZERO: u16 = 1;
const RGB: u16 = 2;
const YCBCR: u16 = 6;
/// T4Options.
const T4_OPTIONS: u16 = 292;
/// What scanners can; anything else was not meant as a resolution.
const DPI: std::ops::RangeInclusive<f64> = 20.0..=10_000.0;
/// Images in one file: one is a page.
const IMAGES_MAX: usize = 10_000;
/// A strip is decoded as a whole; A3 in color at 600 dpi has 420 MB, and scanners make strips.
const STRIP_BYTES_MAX: usize = 512 << 20;
/// Of all images together, decoded: 80 color pages of A4 at 600 dpi.
const DECODED_BYTES_MAX: u64 = 8 << 30;
/// Strips of one row each make the most.
const STRIPS_MAX: usize = 100_000;
/// Huffman and quantization tables have 2 kB.
const JPEG_TABLES_BYTES_MAX: usize = 16 * 1024;

#[cfg(test)]
mod tests;
