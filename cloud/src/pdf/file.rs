//! Finds the pages of a PDF that a scanner made.
//!
//! Scanners write short, plain files, and now and then wrong tables of where objects lie. So the
//! table is not read at all: the file is gone through once, from front to back, and of several
//! objects with one number the last counts, as for a viewer that repairs a file. Only object streams
//! are inflated, with one cap for all; images stay the bytes that they are.
//!
//! Everything is bounded by the file's length or by the constants below; a file that asks for more
//! is refused.

use std::collections::{HashMap, HashSet};
use std::io::Read as _;

use flate2::read::ZlibDecoder;
use thiserror::Error;

use super::object::{Cursor, NoObject, Object};

/// A PDF in memory.
#[derive(Debug)]
pub struct File<'a> {
    bytes: &'a [u8],
    /// Object streams.
    inflated: Vec<Vec<u8>>,
    inflated_bytes: usize,
    places: HashMap<u32, Place>,
    root: Option<u32>,
    faults: u32,
    /// Whether an object stream cannot be read. That the file is encrypted may be told behind it.
    unreadable: bool,
}

/// Where an object lies.
#[derive(Clone, Copy, Debug)]
enum Place {
    /// In the file, with the bytes of its stream.
    Body {
        at: usize,
        stream: Option<(usize, usize)>,
    },
    /// In an object stream.
    Inflated { stream: usize, at: usize },
}

/// A page, with what it has from the nodes above it.
#[derive(Clone, Debug)]
pub(super) struct Page {
    /// Left, bottom, right, top in units of 1/72 inch.
    pub(super) media_box: [f64; 4],
    pub(super) crop_box: Option<[f64; 4]>,
    /// Clockwise turn: 0, 90, 180 or 270.
    pub(super) rotation: u16,
    /// The object that holds its resources: itself or a node above.
    pub(super) resources_in: Option<u32>,
    /// Its own object.
    pub(super) number: u32,
}

/// Why a PDF cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The first bytes are another format's.
    #[error("it is not a PDF file")]
    NotPdf,
    /// Only the holder of a password may read it.
    #[error("it is an encrypted PDF; turn the encryption of PDFs off at the scanner")]
    Encrypted,
    /// The bytes end before the file does.
    #[error("the PDF is cut off")]
    Truncated,
    /// Not as the standard says.
    #[error("the PDF is damaged ({what})")]
    Damaged {
        /// Which part.
        what: &'static str,
    },
    /// More than scanners make.
    #[error("the PDF has too many {what}")]
    TooMuch {
        /// Of what.
        what: &'static str,
    },
}

impl<'a> File<'a> {
    /// Finds the objects.
    ///
    /// # Errors
    ///
    /// If it is no whole and plain PDF.
    pub fn read(bytes: &'a [u8]) -> Result<Self, FileError> {
        if !bytes.starts_with(b"%PDF-") {
            return Err(FileError::NotPdf);
        }
        let mut file = Self {
            bytes,
            inflated: Vec::new(),
            inflated_bytes: 0,
            places: HashMap::new(),
            root: None,
            faults: 0,
            unreadable: false,
        };
        let mut at = 0;
        while let Some((number, start, body)) = next_object(bytes, at) {
            file.trailer(bytes.get(at..start).unwrap_or_default())?;
            at = file.object(number, body)?;
        }
        file.trailer(bytes.get(at..).unwrap_or_default())?;
        match file.unreadable {
            true => Err(DAMAGED_STREAM),
            false => Ok(file),
        }
    }

    /// Takes note of the object whose body begins at `at`; returns where it ends.
    fn object(&mut self, number: u32, at: usize) -> Result<usize, FileError> {
        if self.places.len() >= OBJECTS_MAX {
            return Err(FileError::TooMuch { what: "objects" });
        }
        let mut cursor = Cursor::new(self.bytes, at);
        let Ok(object) = cursor.object() else {
            self.faults += 1;
            let many = FileError::Damaged { what: "objects" };
            return (self.faults < FAULTS_MAX).then_some(at).ok_or(many);
        };
        let mut end = cursor.at();
        let stream = match &object {
            Object::Dictionary(_) if cursor.word(b"stream") => {
                let told = object.get(b"/Length").and_then(Object::integer);
                let found = stream(self.bytes, cursor.at(), told).ok_or(FileError::Truncated)?;
                end = found.1;
                Some(found)
            }
            _ => None,
        };
        self.places.insert(number, Place::Body { at, stream });
        if object.is(b"/Type", b"/XRef") {
            self.note_trailer(&object)?;
        }
        if let Some((start, end)) = stream.filter(|_| object.is(b"/Type", b"/ObjStm")) {
            let data = self.bytes.get(start..end).unwrap_or_default();
            match self.object_stream(&object, data) {
                Err(FileError::Damaged { .. }) => self.unreadable = true,
                read => read?,
            }
        }
        Ok(end)
    }

    fn object_stream(&mut self, head: &Object<'_>, data: &[u8]) -> Result<(), FileError> {
        let damaged = DAMAGED_STREAM;
        let mut plain = Vec::new();
        match head.get(b"/Filter") {
            None => plain.extend_from_slice(data),
            Some(filter) => {
                let one = match filter {
                    Object::Array(filters) => filters.first().filter(|_| filters.len() == 1),
                    filter => Some(filter),
                };
                if one != Some(&Object::Raw(b"/FlateDecode")) || head.get(b"/DecodeParms").is_some()
                {
                    return Err(damaged);
                }
                let room = INFLATED_BYTES_MAX.saturating_sub(self.inflated_bytes) as u64;
                let read = ZlibDecoder::new(data)
                    .take(room + 1)
                    .read_to_end(&mut plain);
                read.map_err(|_damage| damaged)?;
            }
        }
        self.inflated_bytes += plain.len();
        if self.inflated_bytes > INFLATED_BYTES_MAX {
            return Err(FileError::TooMuch {
                what: "bytes in object streams",
            });
        }
        let number = |key: &[u8]| head.get(key).and_then(Object::integer).ok_or(damaged);
        let (count, first) = (number(b"/N")?, number(b"/First")?);
        let mut cursor = Cursor::new(&plain, 0);
        let stream = self.inflated.len();
        for _ in 0..count {
            let pair = cursor.digits().zip(cursor.digits());
            let (number, offset) = pair.ok_or(damaged)?;
            let at = first.saturating_add(offset as usize);
            if self.places.len() >= OBJECTS_MAX {
                return Err(FileError::TooMuch { what: "objects" });
            }
            self.places.insert(number, Place::Inflated { stream, at });
        }
        self.inflated.push(plain);
        Ok(())
    }

    /// Looks for a trailer between two objects.
    fn trailer(&mut self, gap: &[u8]) -> Result<(), FileError> {
        let Some(found) = find(gap, b"trailer") else {
            return Ok(());
        };
        let mut cursor = Cursor::new(gap, found + b"trailer".len());
        match cursor.object() {
            Ok(trailer) => self.note_trailer(&trailer),
            Err(NoObject) => Ok(()),
        }
    }

    fn note_trailer(&mut self, trailer: &Object<'_>) -> Result<(), FileError> {
        if trailer.get(b"/Encrypt").is_some() {
            return Err(FileError::Encrypted);
        }
        let root = trailer.get(b"/Root").and_then(Object::reference);
        self.root = root.or(self.root);
        Ok(())
    }

    /// The object and the bytes of its stream; none if there is no such object.
    pub(super) fn get(&self, number: u32) -> Option<(Object<'_>, Option<&'a [u8]>)> {
        match *self.places.get(&number)? {
            Place::Body { at, stream } => {
                let object = Cursor::new(self.bytes, at).object().ok()?;
                let stream = stream.and_then(|(start, end)| self.bytes.get(start..end));
                Some((object, stream))
            }
            Place::Inflated { stream, at } => {
                let object = Cursor::new(self.inflated.get(stream)?, at).object().ok()?;
                Some((object, None))
            }
        }
    }

    /// What a copy of all of it may take, written a little wider than it was.
    pub(super) fn copy_bytes_max(&self) -> usize {
        (self.bytes.len() + self.inflated_bytes) * 2
    }

    /// Whether there is such an object.
    pub(super) fn has(&self, number: u32) -> bool {
        self.places.contains_key(&number)
    }

    /// The value of a key, followed if it is a reference.
    fn value<'s>(&'s self, object: &Object<'s>, key: &[u8]) -> Option<Object<'s>> {
        match object.get(key)? {
            Object::Reference(number) => Some(self.get(*number)?.0),
            found => Some(found.clone()),
        }
    }

    /// The pages in order.
    pub(super) fn pages(&self) -> Result<Vec<Page>, FileError> {
        let damaged = FileError::Damaged { what: "its pages" };
        let catalog = match self.root {
            Some(root) => self.get(root).map(|found| found.0),
            None => self.catalog(),
        };
        let catalog = catalog.ok_or(damaged)?;
        let top = catalog.get(b"/Pages").and_then(Object::reference);
        let mut seen = HashSet::new();
        let mut pages = Vec::new();
        let mut todo = vec![(top.ok_or(damaged)?, Inherited::default())];
        while let Some((number, above)) = todo.pop() {
            if !seen.insert(number) {
                return Err(damaged);
            }
            let node = self.get(number).ok_or(damaged)?.0;
            let inherited = self.inherit(number, &node, &above);
            match self.value(&node, b"/Kids") {
                Some(Object::Array(kids)) => {
                    let kids = kids.iter().rev().filter_map(Object::reference);
                    todo.extend(kids.map(|kid| (kid, inherited)));
                }
                _ if node.is(b"/Type", b"/Pages") => {}
                _ => pages.push(inherited.page(number)),
            }
            if pages.len() > PAGES_MAX || todo.len() > PAGES_MAX {
                return Err(FileError::TooMuch { what: "pages" });
            }
        }
        match pages.is_empty() {
            true => Err(damaged),
            false => Ok(pages),
        }
    }

    fn catalog(&self) -> Option<Object<'_>> {
        let mut numbers: Vec<u32> = self.places.keys().copied().collect();
        numbers.sort_unstable();
        let mut objects = numbers.into_iter().filter_map(|it| Some(self.get(it)?.0));
        objects.find(|object| object.is(b"/Type", b"/Catalog"))
    }

    fn inherit(&self, number: u32, node: &Object<'_>, above: &Inherited) -> Inherited {
        let rotation = self.value(node, b"/Rotate").and_then(|it| it.number());
        let own = node.get(b"/Resources").map(|_| number);
        Inherited {
            media_box: self.rectangle(node, b"/MediaBox").or(above.media_box),
            crop_box: self.rectangle(node, b"/CropBox").or(above.crop_box),
            rotation: rotation.or(above.rotation),
            resources_in: own.or(above.resources_in),
        }
    }

    fn rectangle(&self, node: &Object<'_>, key: &[u8]) -> Option<[f64; 4]> {
        let Object::Array(sides) = self.value(node, key)? else {
            return None;
        };
        let mut numbers = sides.iter().map(|side| match side {
            Object::Reference(number) => self.get(*number)?.0.number(),
            side => side.number(),
        });
        let mut next = || numbers.next().flatten();
        let (a, b, c, d) = (next()?, next()?, next()?, next()?);
        // Any two opposite corners may be given (section 7.9.5).
        let sides = [a.min(c), b.min(d), a.max(c), b.max(d)];
        let fits = |from: f64, to: f64| to - from >= 1.0 && to.abs().max(from.abs()) <= UNITS_MAX;
        (fits(sides[0], sides[2]) && fits(sides[1], sides[3])).then_some(sides)
    }
}

/// What a page has from above.
#[derive(Clone, Copy, Debug, Default)]
struct Inherited {
    media_box: Option<[f64; 4]>,
    crop_box: Option<[f64; 4]>,
    rotation: Option<f64>,
    resources_in: Option<u32>,
}

impl Inherited {
    fn page(self, number: u32) -> Page {
        let turned = self.rotation.unwrap_or(0.0).rem_euclid(360.0);
        let rotation = [90_u16, 180, 270]
            .into_iter()
            .find(|it| f64::from(*it) == turned);
        Page {
            media_box: self.media_box.unwrap_or(LETTER),
            crop_box: self.crop_box,
            rotation: rotation.unwrap_or(0),
            resources_in: self.resources_in,
            number,
        }
    }
}

/// The next `12 0 obj` at or behind `from`: its number, where it begins and where its body does.
fn next_object(bytes: &[u8], mut from: usize) -> Option<(u32, usize, usize)> {
    loop {
        let at = from + find(bytes.get(from..)?, b"obj")?;
        let body = at + b"obj".len();
        // Backwards over the generation and the number; neither has more than ten digits.
        let head = bytes.get(from.max(at.saturating_sub(40))..at)?;
        let start = backwards(head).map(|length| at - length);
        if let Some(start) = start {
            let number = Cursor::new(bytes, start).digits();
            if let Some(number) = number {
                return Some((number, start, body));
            }
        }
        from = body;
    }
}

/// How long `12 0 ` is at the end of `head`.
fn backwards(head: &[u8]) -> Option<usize> {
    let mut rest = head;
    for _ in 0..2 {
        rest = rest.trim_ascii_end();
        let digits = rest
            .iter()
            .rev()
            .take_while(|byte| byte.is_ascii_digit())
            .count();
        rest = rest.get(..rest.len() - digits).filter(|_| digits > 0)?;
    }
    // `10 obj` has a number only, and no space between it and a generation.
    Some(head.len() - rest.len())
}

/// The bytes of a stream whose keyword ends at `at`: from where to where.
fn stream(bytes: &[u8], at: usize, told: Option<usize>) -> Option<(usize, usize)> {
    let rest = bytes.get(at..)?;
    let start = at
        + match rest {
            [b'\r', b'\n', ..] => 2,
            [b'\n' | b'\r', ..] => 1,
            _ => 0,
        };
    if let Some(end) = told.and_then(|length| start.checked_add(length))
        && end <= bytes.len()
        && Cursor::new(bytes, end).word(b"endstream")
    {
        return Some((start, end));
    }
    // The length is in another object, or wrong.
    let data = bytes.get(start..)?;
    let mut data = data.get(..find(data, b"endstream")?)?;
    if let Some(without) = data.strip_suffix(b"\n") {
        data = without.strip_suffix(b"\r").unwrap_or(without);
    } else if let Some(without) = data.strip_suffix(b"\r") {
        data = without;
    }
    Some((start, start + data.len()))
}

/// Where `what` begins.
fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    let first = *what.first()?;
    let mut from = 0;
    loop {
        from += bytes.get(from..)?.iter().position(|byte| *byte == first)?;
        if bytes.get(from..)?.starts_with(what) {
            return Some(from);
        }
        from += 1;
    }
}

const DAMAGED_STREAM: FileError = FileError::Damaged {
    what: "an object stream",
};
/// What viewers take for a page that says no size.
const LETTER: [f64; 4] = [0.0, 0.0, 612.0, 792.0];
/// A page's longest side in 1/72 inch (annex C).
const UNITS_MAX: f64 = 14_400.0;
/// A scanned page has five objects, a page with text behind its image twenty.
const OBJECTS_MAX: usize = 200_000;
/// Objects that cannot be read; each costs at most a megabyte of reading.
const FAULTS_MAX: u32 = 100;
/// Of a file; what a document may have.
const PAGES_MAX: usize = 10_000;
/// Object streams hold dictionaries: 200 bytes each.
const INFLATED_BYTES_MAX: usize = 64 << 20;
