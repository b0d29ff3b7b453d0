//! Looks at a delivered document with eyes that did not write it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, ensure};

/// The JPEG streams of a PDF, in the order of their objects in the file: every stream whose
/// dictionary says `DCTDecode`, cut out by its `Length`.
///
/// # Errors
/// When the file cannot be read or is no such PDF.
pub fn jpeg_streams(path: &Path) -> anyhow::Result<Vec<Vec<u8>>> {
    let bytes = fs::read(path).with_context(|| format!("cannot read {path:?}"))?;
    ensure!(bytes.starts_with(b"%PDF-"), "{path:?} is no PDF");
    let mut found = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some(start) = find(rest, b"stream\n").or_else(|| find(rest, b"stream\r\n")) {
        let (dictionary, after) = rest.split_at(start);
        let dictionary = &dictionary[find_last(dictionary, b" obj").unwrap_or(0)..];
        let skip = if after.starts_with(b"stream\r\n") {
            8
        } else {
            7
        };
        let length = number_after(dictionary, b"/Length").context("a stream without a length")?;
        let body = after
            .get(skip..skip + length)
            .context("a stream longer than the file")?;
        if find(dictionary, b"/DCTDecode").is_some() {
            found.push(body.to_vec());
        }
        rest = &after[skip + length..];
        rest = &rest[find(rest, b"endstream").map_or(rest.len(), |end| end + 9)..];
    }
    Ok(found)
}

/// Fails unless the document holds exactly the bytes of `pages`, in their order.
///
/// # Errors
/// Naming the first page that differs.
pub fn holds_exactly(document: &Path, pages: &[PathBuf]) -> anyhow::Result<()> {
    let images = jpeg_streams(document)?;
    ensure!(
        images.len() == pages.len(),
        "{} images, {} pages",
        images.len(),
        pages.len()
    );
    for (image, page) in images.iter().zip(pages) {
        ensure!(
            *image == fs::read(page)?,
            "the image of {page:?} is not the page's bytes"
        );
    }
    Ok(())
}

/// The media boxes of a document's pages, as written.
///
/// # Errors
/// When the file cannot be read.
pub fn media_boxes(path: &Path) -> anyhow::Result<Vec<String>> {
    let bytes = fs::read(path)?;
    let mut boxes = Vec::new();
    let mut rest = bytes.as_slice();
    while let Some(start) = find(rest, b"/MediaBox") {
        rest = &rest[start + 9..];
        let end = find(rest, b"]").context("an open media box")?;
        boxes.push(
            String::from_utf8_lossy(&rest[..end])
                .trim_matches([' ', '['])
                .to_owned(),
        );
    }
    Ok(boxes)
}

/// Where `needle` lies in `bytes`.
#[must_use]
pub fn find(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    while let Some(at) = bytes[from..].iter().position(|byte| *byte == first) {
        if bytes[from + at..].starts_with(needle) {
            return Some(from + at);
        }
        from += at + 1;
    }
    None
}

fn find_last(bytes: &[u8], needle: &[u8]) -> Option<usize> {
    bytes
        .windows(needle.len())
        .rposition(|window| window == needle)
}

fn number_after(bytes: &[u8], key: &[u8]) -> Option<usize> {
    let rest = &bytes[find(bytes, key)? + key.len()..];
    let text: String = rest
        .iter()
        .map(|byte| char::from(*byte))
        .skip_while(|c| c.is_whitespace())
        .take_while(char::is_ascii_digit)
        .collect();
    text.parse().ok()
}
