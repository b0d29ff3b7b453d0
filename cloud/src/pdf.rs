//! Writes a PDF of scanned pages, one page at a time.
//!
//! Each page's JPEG bytes become the page's image as they are (PDF 1.7, ISO 32000-1, section
//! 7.4.8): nothing is decoded and nothing lost. Bytes go out as they come, so that a document of
//! ten thousand pages needs the memory of one and eight bytes for each of its objects. The same
//! pages, in the same order, with the same date give the same bytes: nothing in the file is random
//! and its id is a hash of its content.
//!
//! The writer does no input or output: each call is given a `sink` for the bytes.

use sha2::{Digest, Sha256};
use thiserror::Error;
use time::OffsetDateTime;

use crate::jpeg::{Jpeg, JpegColor};
use crate::tiff::TiffImage;

mod copy;
pub mod file;
mod object;

/// A document being written. Call [`Pdf::page`] for each page, then [`Pdf::finish`].
#[derive(Debug)]
pub struct Pdf {
    created: OffsetDateTime,
    /// Bytes written so far.
    offset: u64,
    /// Where each object begins; object 1 first.
    offsets: Vec<u64>,
    /// The tree's inner nodes, each with its pages.
    nodes: Vec<Node>,
    hash: Sha256,
}

/// An inner node of the page tree. Two levels keep every node short at ten thousand pages.
#[derive(Debug)]
struct Node {
    id: usize,
    pages: Vec<usize>,
}

/// How a page is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageLayout {
    /// Pixels per inch, which gives the paper's size.
    pub resolution_dpi: u16,
    /// Clockwise turn: 0, 90, 180 or 270. The image's own wish (EXIF) is added.
    pub rotation: u16,
}

/// Why a page cannot be added.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum PageError<E> {
    /// No resolution, so no paper size.
    #[error("the page has no resolution, so that its size on paper is unknown")]
    NoResolution,
    /// Longer than a PDF page may be (14,400 units of 1/72 inch).
    #[error("the page would be {inches} inches long; at most {PAGE_INCHES_MAX} are possible")]
    TooLong {
        /// The longer side.
        inches: u32,
    },
    /// The PDF that the scanner made cannot be used.
    #[error(transparent)]
    File(file::FileError),
    /// Not a quarter turn.
    #[error("the page is turned by {degrees} degrees; only 0, 90, 180 and 270 are possible")]
    Rotation {
        /// What was asked for.
        degrees: u16,
    },
    /// The sink refused bytes.
    #[error(transparent)]
    Sink(#[from] E),
}

type Sink<'a, E> = dyn FnMut(&[u8]) -> Result<(), E> + 'a;

impl Pdf {
    /// Begins a document dated `created_ms` (milliseconds since 1970).
    ///
    /// # Errors
    ///
    /// Those of `sink`.
    pub fn begin<E>(created_ms: u64, sink: &mut Sink<'_, E>) -> Result<Self, E> {
        let mut pdf = Self {
            created: date(created_ms),
            offset: 0,
            offsets: vec![0; FIXED_OBJECTS],
            nodes: Vec::new(),
            hash: Sha256::new(),
        };
        // Four bytes above 127 tell transfer programs that the file is not text.
        pdf.put(b"%PDF-1.7\n%\xE2\xE3\xCF\xD3\n", sink)?;
        Ok(pdf)
    }

    /// Adds a page that is a JPEG image, which stays as it is.
    ///
    /// # Errors
    ///
    /// If the page cannot be shown as `layout` says, before anything is written; and those of
    /// `sink`, after which the document is of no use.
    pub fn page<E>(
        &mut self,
        image: &Jpeg<'_>,
        layout: PageLayout,
        sink: &mut Sink<'_, E>,
    ) -> Result<(), PageError<E>> {
        let info = image.info();
        let picture = Picture {
            width: info.width.into(),
            height: info.height.into(),
            coding: format!(
                "/ColorSpace/{}/BitsPerComponent 8/Filter/DCTDecode",
                match info.color {
                    JpegColor::Gray => "DeviceGray",
                    JpegColor::Rgb => "DeviceRGB",
                }
            ),
            bytes: image.len(),
            resolution_mdpi: [u32::from(layout.resolution_dpi) * 1000; 2],
            rotation: info.rotation,
        };
        self.picture(&picture, layout.rotation, sink, |pdf, sink| {
            image.write(&mut |bytes| pdf.put(bytes, sink))
        })
    }

    /// Adds a page that is an image of a TIFF file. What the file says of its resolution is
    /// believed before the layout: the layout has only what the scanner was asked for.
    ///
    /// # Errors
    ///
    /// As [`Pdf::page`].
    pub fn tiff_page<E>(
        &mut self,
        image: &TiffImage<'_>,
        layout: PageLayout,
        sink: &mut Sink<'_, E>,
    ) -> Result<(), PageError<E>> {
        let asked = [u32::from(layout.resolution_dpi) * 1000; 2];
        let picture = Picture {
            width: image.width,
            height: image.height,
            coding: image.coding.clone(),
            bytes: image.data.len(),
            resolution_mdpi: image.resolution_mdpi.unwrap_or(asked),
            rotation: image.rotation,
        };
        self.picture(&picture, layout.rotation, sink, |pdf, sink| {
            pdf.put(&image.data, sink)
        })
    }

    /// Adds a page that is one image, whose bytes `write` puts.
    fn picture<'s, E>(
        &mut self,
        picture: &Picture,
        turn: u16,
        sink: &mut Sink<'s, E>,
        write: impl FnOnce(&mut Self, &mut Sink<'s, E>) -> Result<(), E>,
    ) -> Result<(), PageError<E>> {
        let [across, down] = picture.resolution_mdpi;
        let width = paper(picture.width, across)?;
        let height = paper(picture.height, down)?;
        quarter_turn(turn)?;
        let rotation = (turn + picture.rotation) % 360;
        let parent = self.node(sink)?;

        let image_id = self.begin_object(sink)?;
        let header = format!(
            "<</Type/XObject/Subtype/Image/Width {}/Height {}{}/Length {}>>\nstream\n",
            picture.width, picture.height, picture.coding, picture.bytes,
        );
        self.put(header.as_bytes(), sink)?;
        write(self, sink)?;
        self.put(b"\nendstream\nendobj\n", sink)?;

        let contents = format!("q {width} 0 0 {height} 0 0 cm /I Do Q");
        let body = format!(
            "<</Length {}>>\nstream\n{contents}\nendstream",
            contents.len()
        );
        let contents_id = self.object(&body, sink)?;

        let body = format!(
            "<</Type/Page/Parent {parent} 0 R/MediaBox[0 0 {width} {height}]/Rotate {rotation}\
             /Resources<</XObject<</I {image_id} 0 R>>>>/Contents {contents_id} 0 R>>",
        );
        let page_id = self.object(&body, sink)?;
        self.add_to_node(page_id);
        Ok(())
    }

    /// Ends the document.
    ///
    /// # Errors
    ///
    /// Those of `sink`.
    pub fn finish<E>(mut self, sink: &mut Sink<'_, E>) -> Result<(), E> {
        self.end_node(sink)?;
        let kids = references(self.nodes.iter().map(|node| node.id));
        let count: usize = self.nodes.iter().map(|node| node.pages.len()).sum();
        self.fixed(
            CATALOG,
            &format!("<</Type/Catalog/Pages {PAGES} 0 R>>"),
            sink,
        )?;
        self.fixed(
            PAGES,
            &format!("<</Type/Pages/Count {count}/Kids[{kids}]>>"),
            sink,
        )?;
        let created = self.created;
        let stamp = format!(
            "{:04}{:02}{:02}{:02}{:02}{:02}Z",
            created.year(),
            u8::from(created.month()),
            created.day(),
            created.hour(),
            created.minute(),
            created.second(),
        );
        let info = format!("<</Producer(ScanTrip)/CreationDate(D:{stamp})/ModDate(D:{stamp})>>");
        self.fixed(INFO, &info, sink)?;
        self.trailer(sink)
    }

    /// Cross-reference stream (section 7.5.8): the older table has room for 10 GB only, which ten
    /// thousand pages can pass.
    fn trailer<E>(mut self, sink: &mut Sink<'_, E>) -> Result<(), E> {
        let start = self.offset;
        let hash = self.hash.clone().finalize();
        let id: String = hash
            .iter()
            .take(16)
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let table_id = self.offsets.len() + 1;
        // Object 0 is the head of the list of free ones.
        let mut table = vec![0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF];
        for offset in self.offsets.iter().copied().chain([start]) {
            table.push(1);
            table.extend(offset.to_be_bytes().iter().skip(2));
            table.extend([0, 0]);
        }
        let header = format!(
            "{table_id} 0 obj\n<</Type/XRef/Size {}/W[1 6 2]/Root {CATALOG} 0 R/Info {INFO} 0 R\
             /ID[<{id}><{id}>]/Length {}>>\nstream\n",
            table_id + 1,
            table.len(),
        );
        self.put(header.as_bytes(), sink)?;
        self.put(&table, sink)?;
        let end = format!("\nendstream\nendobj\nstartxref\n{start}\n%%EOF\n");
        self.put(end.as_bytes(), sink)
    }

    /// The node for the next page; begins a new one when the last is full.
    fn node<E>(&mut self, sink: &mut Sink<'_, E>) -> Result<usize, E> {
        if let Some(node) = self.nodes.last()
            && node.pages.len() < NODE_PAGES_MAX
        {
            return Ok(node.id);
        }
        self.end_node(sink)?;
        self.offsets.push(0);
        let id = self.offsets.len();
        self.nodes.push(Node {
            id,
            pages: Vec::new(),
        });
        Ok(id)
    }

    fn add_to_node(&mut self, page: usize) {
        if let Some(node) = self.nodes.last_mut() {
            node.pages.push(page);
        }
    }

    /// Writes the last node, now that its pages are known.
    fn end_node<E>(&mut self, sink: &mut Sink<'_, E>) -> Result<(), E> {
        let Some(node) = self.nodes.last() else {
            return Ok(());
        };
        let kids = references(node.pages.iter().copied());
        let count = node.pages.len();
        let body = format!("<</Type/Pages/Parent {PAGES} 0 R/Count {count}/Kids[{kids}]>>");
        self.fixed(node.id, &body, sink)
    }

    /// Writes an object under the next free number.
    fn object<E>(&mut self, body: &str, sink: &mut Sink<'_, E>) -> Result<usize, E> {
        let id = self.begin_object(sink)?;
        self.put(format!("{body}\nendobj\n").as_bytes(), sink)?;
        Ok(id)
    }

    fn begin_object<E>(&mut self, sink: &mut Sink<'_, E>) -> Result<usize, E> {
        self.offsets.push(self.offset);
        let id = self.offsets.len();
        self.put(format!("{id} 0 obj\n").as_bytes(), sink)?;
        Ok(id)
    }

    /// Writes an object whose number was given out before.
    fn fixed<E>(&mut self, id: usize, body: &str, sink: &mut Sink<'_, E>) -> Result<(), E> {
        self.begin_fixed(id, sink)?;
        self.put(format!("{body}\nendobj\n").as_bytes(), sink)
    }

    fn begin_fixed<E>(&mut self, id: usize, sink: &mut Sink<'_, E>) -> Result<(), E> {
        if let Some(offset) = self.offsets.get_mut(id - 1) {
            *offset = self.offset;
        }
        self.put(format!("{id} 0 obj\n").as_bytes(), sink)
    }

    fn put<E>(&mut self, bytes: &[u8], sink: &mut Sink<'_, E>) -> Result<(), E> {
        self.offset += bytes.len() as u64;
        self.hash.update(bytes);
        sink(bytes)
    }
}

/// An image and how it is shown.
struct Picture {
    width: u32,
    height: u32,
    /// Color space, bits and filter, as entries of the image's dictionary.
    coding: String,
    /// Length of what the filter reads.
    bytes: usize,
    /// Pixels in a thousand inches, across and down.
    resolution_mdpi: [u32; 2],
    /// Clockwise turn that the image itself asks for.
    rotation: u16,
}

fn quarter_turn<E>(degrees: u16) -> Result<(), PageError<E>> {
    match degrees {
        0 | 90 | 180 | 270 => Ok(()),
        _ => Err(PageError::Rotation { degrees }),
    }
}

/// A side's length on paper in units of 1/72 inch, with two decimals.
fn paper<E>(pixels: u32, mdpi: u32) -> Result<String, PageError<E>> {
    if mdpi == 0 {
        return Err(PageError::NoResolution);
    }
    let (pixels, mdpi) = (u64::from(pixels) * 1000, u64::from(mdpi));
    if pixels > mdpi * u64::from(PAGE_INCHES_MAX) {
        let inches = u32::try_from(pixels / mdpi).unwrap_or(u32::MAX);
        return Err(PageError::TooLong { inches });
    }
    let hundredths = (pixels * 7200 + mdpi / 2) / mdpi;
    let text = format!("{}.{:02}", hundredths / 100, hundredths % 100);
    Ok(text.trim_end_matches('0').trim_end_matches('.').to_owned())
}

/// The day and time of milliseconds since 1970; years above 9999 become 1970.
pub(crate) fn date(unix_ms: u64) -> OffsetDateTime {
    i64::try_from(unix_ms / 1000)
        .ok()
        .and_then(|seconds| OffsetDateTime::from_unix_timestamp(seconds).ok())
        .unwrap_or(OffsetDateTime::UNIX_EPOCH)
}

fn references(ids: impl Iterator<Item = usize>) -> String {
    ids.map(|id| format!("{id} 0 R"))
        .collect::<Vec<_>>()
        .join(" ")
}

/// Longest side of a page: 14,400 units (ISO 32000-1, annex C).
pub const PAGE_INCHES_MAX: u32 = 200;
/// Pages under one node: 10,000 pages make 100 nodes of 100.
const NODE_PAGES_MAX: usize = 100;
const CATALOG: usize = 1;
const PAGES: usize = 2;
const INFO: usize = 3;
const FIXED_OBJECTS: usize = 3;

#[cfg(test)]
pub(crate) mod tests;
