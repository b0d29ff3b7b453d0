//! Takes over the pages of a scanner's PDF: what they show and nothing else. Scripts, links, forms
//! and attachments hang on the parts of a file that are left behind.

use std::collections::HashMap;

use super::file::{File, FileError, Page};
use super::object::Object;
use super::{PageError, Pdf, Sink};

/// Objects of a file on their way into the document.
#[derive(Debug, Default)]
struct Moving {
    /// The new number of each.
    numbers: HashMap<u32, usize>,
    /// Those that are not written yet.
    todo: Vec<u32>,
}

impl Pdf {
    /// Adds all pages of `file`, each turned clockwise by `rotation` more than it is.
    ///
    /// # Errors
    ///
    /// If the file has no pages that can be found, or more than it should; and those of `sink`.
    /// After an error the document is of no use.
    pub fn pages_of<E>(
        &mut self,
        file: &File<'_>,
        rotation: u16,
        sink: &mut Sink<'_, E>,
    ) -> Result<(), PageError<E>> {
        super::quarter_turn(rotation)?;
        let end = self.offset.saturating_add(file.copy_bytes_max() as u64) + SMALL_BYTES;
        let mut moving = Moving::default();
        for page in file.pages().map_err(PageError::File)? {
            let parent = self.node(sink)?;
            let body = self.taken_over(file, &page, (parent, rotation), &mut moving);
            let body = body.map_err(PageError::File)?;
            let id = self.begin_object(sink)?;
            self.put(&body, sink)?;
            self.put(b"\nendobj\n", sink)?;
            self.add_to_node(id);
            while let Some(number) = moving.todo.pop()
                && self.offset <= end
            {
                self.moved(file, number, &mut moving, sink)?;
            }
            if self.offset > end {
                return Err(PageError::File(FileError::TooMuch { what: "bytes" }));
            }
        }
        Ok(())
    }

    /// The new page's dictionary.
    fn taken_over(
        &mut self,
        file: &File<'_>,
        page: &Page,
        (parent, rotation): (usize, u16),
        moving: &mut Moving,
    ) -> Result<Vec<u8>, FileError> {
        let damaged = FileError::Damaged { what: "a page" };
        let mut renumber = |number| self.moving(file, number, moving);
        let (own, _) = file.get(page.number).ok_or(damaged)?;
        let mut out = format!("<</Type/Page/Parent {parent} 0 R").into_bytes();
        out.extend(format!("/Rotate {}", (page.rotation + rotation) % 360).bytes());
        let boxes = [
            ("MediaBox", Some(page.media_box)),
            ("CropBox", page.crop_box),
        ];
        for (name, sides) in boxes {
            if let Some([a, b, c, d]) = sides {
                out.extend(format!("/{name}[{a} {b} {c} {d}]").bytes());
            }
        }
        out.extend_from_slice(b"/Resources ");
        let holder = page.resources_in.and_then(|number| file.get(number));
        match holder
            .as_ref()
            .and_then(|(holder, _)| holder.get(b"/Resources"))
        {
            Some(resources) => resources.write(&mut out, &mut renumber),
            None => out.extend_from_slice(b"<<>>"),
        }
        for key in [&b"/Contents"[..], b"/Group", b"/UserUnit"] {
            if let Some(value) = own.get(key) {
                out.extend_from_slice(key);
                out.push(b' ');
                value.write(&mut out, &mut renumber);
            }
        }
        out.extend_from_slice(b">>");
        Ok(out)
    }

    /// The number that an object of `file` gets here; none if there is no such object.
    fn moving(&mut self, file: &File<'_>, number: u32, moving: &mut Moving) -> Option<usize> {
        if let Some(known) = moving.numbers.get(&number) {
            return Some(*known);
        }
        if !file.has(number) {
            return None;
        }
        self.offsets.push(0);
        moving.numbers.insert(number, self.offsets.len());
        moving.todo.push(number);
        Some(self.offsets.len())
    }

    /// Writes an object that something refers to.
    fn moved<E>(
        &mut self,
        file: &File<'_>,
        number: u32,
        moving: &mut Moving,
        sink: &mut Sink<'_, E>,
    ) -> Result<(), E> {
        let Some(id) = moving.numbers.get(&number).copied() else {
            return Ok(());
        };
        let found = file.get(number).filter(|(object, _)| !is_structure(object));
        let (object, stream) = found.unwrap_or((Object::Raw(b"null"), None));
        let mut out = Vec::new();
        let mut renumber = |number| self.moving(file, number, moving);
        match (object, stream) {
            (Object::Dictionary(mut entries), Some(stream)) => {
                entries.retain(|(key, _)| !NOT_OF_STREAMS.contains(key));
                let length = stream.len().to_string();
                entries.push((b"/Length", Object::Raw(length.as_bytes())));
                Object::Dictionary(entries).write(&mut out, &mut renumber);
                out.extend_from_slice(b"\nstream\n");
            }
            (object, _) => object.write(&mut out, &mut renumber),
        }
        self.begin_fixed(id, sink)?;
        self.put(&out, sink)?;
        if let Some(stream) = stream {
            self.put(stream, sink)?;
            self.put(b"\nendstream", sink)?;
        }
        self.put(b"\nendobj\n", sink)
    }
}

/// Whether the object is part of the file and not of a page.
fn is_structure(object: &Object<'_>) -> bool {
    let names: [&[u8]; 5] = [b"/Page", b"/Pages", b"/Catalog", b"/XRef", b"/ObjStm"];
    names.into_iter().any(|name| object.is(b"/Type", name))
}

/// The length is written anew; the rest would be read from another file (section 7.3.8).
const NOT_OF_STREAMS: &[&[u8]] = &[b"/Length", b"/F", b"/FFilter", b"/FDecodeParms"];
/// What a short file may grow by.
const SMALL_BYTES: u64 = 64 * 1024;

#[cfg(test)]
mod tests;
