//! Checks with a reader of its own that follows the cross-reference table.

use std::convert::Infallible;

use super::*;
use crate::jpeg::tests::Image;

/// A page as a reader finds it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PageSeen {
    pub(crate) image: Vec<u8>,
    pub(crate) media_box: String,
    pub(crate) rotate: u16,
    pub(crate) space: String,
}

/// Reads the pages of a document through its table and tree, as a viewer does.
pub(crate) fn read(pdf: &[u8]) -> Vec<PageSeen> {
    assert!(pdf.starts_with(b"%PDF-1.7\n%"));
    assert!(pdf.ends_with(b"%%EOF\n"));
    let start: usize = number_after(pdf, find_last(pdf, b"startxref\n") + 10);
    let header = line(pdf, start);
    let header = line(pdf, start + header.len() + 1);
    assert!(header.contains("/Type/XRef") && header.contains("/W[1 6 2]"));
    let (count, len) = (number(header, "/Size "), number(header, "/Length "));
    let table = start + find(&pdf[start..], b"stream\n") + "stream\n".len();
    assert_eq!(len, count * 9);
    let mut objects = vec![String::new()];
    let mut places = vec![0];
    for (id, entry) in pdf[table..table + len].chunks(9).enumerate().skip(1) {
        assert_eq!((entry[0], &entry[7..]), (1, &[0, 0][..]));
        let offset = entry[1..7]
            .iter()
            .fold(0, |sum, &byte| sum << 8 | usize::from(byte));
        let head = format!("{id} 0 obj");
        assert_eq!(
            line(pdf, offset),
            head,
            "object {id} is where the table says"
        );
        let object = line(pdf, offset + head.len() + 1);
        objects.push(object.to_owned());
        places.push(offset + head.len() + 1 + object.len() + 1);
    }
    let root = &objects[number(&objects[1], "/Pages ")];
    let mut pages = Vec::new();
    for node in kids(root) {
        assert_eq!(
            kids(&objects[node]).len(),
            number(&objects[node], "/Count ")
        );
        for page in kids(&objects[node]) {
            let page = &objects[page];
            assert_eq!(number(page, "/Parent "), node);
            let image_id = number(page, "/I ");
            let image = &objects[image_id];
            let at = places[image_id] + "stream\n".len();
            let len = number(image, "/Length ");
            assert!(pdf[at + len..].starts_with(b"\nendstream\nendobj\n"));
            let contents = number(page, "/Contents ");
            let at_contents = places[contents] + "stream\n".len();
            let len_contents = number(&objects[contents], "/Length ");
            assert!(pdf[at_contents + len_contents..].starts_with(b"\nendstream\nendobj\n"));
            pages.push(PageSeen {
                image: pdf[at..at + len].to_vec(),
                media_box: between(page, "/MediaBox[", "]").to_owned(),
                rotate: u16::try_from(number(page, "/Rotate ")).unwrap(),
                space: between(image, "/ColorSpace/", "/").to_owned(),
            });
        }
    }
    assert_eq!(number(root, "/Count "), pages.len());
    pages
}

fn line(bytes: &[u8], at: usize) -> &str {
    let len = bytes[at..].iter().position(|&byte| byte == b'\n').unwrap();
    std::str::from_utf8(&bytes[at..at + len]).unwrap()
}

fn find(bytes: &[u8], what: &[u8]) -> usize {
    bytes
        .windows(what.len())
        .position(|window| window == what)
        .unwrap()
}

fn find_last(bytes: &[u8], what: &[u8]) -> usize {
    bytes
        .windows(what.len())
        .rposition(|window| window == what)
        .unwrap()
}

fn number_after(bytes: &[u8], at: usize) -> usize {
    let digits = bytes[at..].iter().take_while(|byte| byte.is_ascii_digit());
    String::from_utf8(digits.copied().collect())
        .unwrap()
        .parse()
        .unwrap()
}

fn number(object: &str, key: &str) -> usize {
    let at = object
        .find(key)
        .unwrap_or_else(|| panic!("{key} in {object}"));
    number_after(object.as_bytes(), at + key.len())
}

fn between<'a>(object: &'a str, key: &str, end: &str) -> &'a str {
    object.split_once(key).unwrap().1.split_once(end).unwrap().0
}

fn kids(node: &str) -> Vec<usize> {
    let list = between(node, "/Kids[", "]");
    list.split(" 0 R")
        .filter_map(|id| id.trim().parse().ok())
        .collect()
}

fn collect(out: &mut Vec<u8>) -> impl FnMut(&[u8]) -> Result<(), Infallible> {
    |bytes| {
        out.extend_from_slice(bytes);
        Ok(())
    }
}

fn document(pages: &[(Vec<u8>, PageLayout)]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut sink = collect(&mut out);
    let mut pdf = Pdf::begin(1_795_373_229_000, &mut sink).unwrap();
    for (bytes, layout) in pages {
        pdf.page(&Jpeg::parse(bytes).unwrap(), *layout, &mut sink)
            .unwrap();
    }
    pdf.finish(&mut sink).unwrap();
    drop(sink);
    out
}

const PLAIN: PageLayout = PageLayout {
    resolution_dpi: 300,
    rotation: 0,
};

fn numbered(count: usize) -> Vec<(Vec<u8>, PageLayout)> {
    let page = |index: usize| {
        let width = u16::try_from(index + 1).unwrap();
        (
            Image {
                width,
                ..Image::default()
            }
            .bytes(),
            PLAIN,
        )
    };
    (0..count).map(page).collect()
}

#[test]
fn images_are_byte_identical_and_in_order() {
    let pages = numbered(3);
    let seen = read(&document(&pages));
    let images: Vec<_> = seen.into_iter().map(|page| page.image).collect();
    assert_eq!(
        images,
        pages.into_iter().map(|page| page.0).collect::<Vec<_>>()
    );
}

#[test]
fn a4_at_300_dpi_is_a4() {
    let pages = [(Image::default().bytes(), PLAIN)];
    assert_eq!(read(&document(&pages))[0].media_box, "0 0 595.2 841.92");
}

#[test]
fn gray_and_color_are_told_apart() {
    let gray = Image {
        components: 1,
        ..Image::default()
    }
    .bytes();
    let pages = [(gray, PLAIN), (Image::default().bytes(), PLAIN)];
    let seen = read(&document(&pages));
    assert_eq!(
        (seen[0].space.as_str(), seen[1].space.as_str()),
        ("DeviceGray", "DeviceRGB")
    );
}

#[test]
fn turns_of_person_and_camera_add_up() {
    let exif = Image {
        exif: Some(8),
        ..Image::default()
    }
    .bytes();
    let pages = [(
        exif,
        PageLayout {
            rotation: 180,
            ..PLAIN
        },
    )];
    assert_eq!(read(&document(&pages))[0].rotate, 90);
}

#[test]
fn same_pages_give_same_bytes_and_other_pages_another_id() {
    let id = |pdf: &[u8]| {
        let at = find_last(pdf, b"/ID[");
        pdf[at..at + 70].to_vec()
    };
    let (one, again, other) = (
        document(&numbered(2)),
        document(&numbered(2)),
        document(&numbered(3)),
    );
    assert_eq!(one, again);
    assert_ne!(id(&one), id(&other));
    assert!(
        one.windows(38)
            .any(|text| text == b"/CreationDate(D:20261122184709Z)/ModDa")
    );
}

#[test]
fn page_tree_nodes_are_split_and_filled_in_order() {
    for count in [1, 99, 100, 101, 250] {
        let pages = numbered(count);
        let seen = read(&document(&pages));
        assert_eq!(seen.len(), count);
        assert!(
            seen.iter()
                .zip(&pages)
                .all(|(seen, page)| seen.image == page.0)
        );
    }
}

#[test]
fn ten_thousand_pages_are_written() {
    let bytes = Image::default().bytes();
    let image = Jpeg::parse(&bytes).unwrap();
    let (mut total, mut largest) = (0, 0);
    let mut sink = |bytes: &[u8]| {
        total += bytes.len();
        largest = largest.max(bytes.len());
        Ok::<(), Infallible>(())
    };
    let mut pdf = Pdf::begin(0, &mut sink).unwrap();
    for _ in 0..10_000 {
        pdf.page(&image, PLAIN, &mut sink).unwrap();
    }
    pdf.finish(&mut sink).unwrap();
    assert!(total > 10_000 * bytes.len());
    assert!(
        largest < 300 * 1024,
        "the table of 30,103 objects, or the tree, is the largest piece: {largest}"
    );
}

#[test]
fn pages_without_a_size_on_paper_are_refused() {
    let bytes = Image {
        height: 65_000,
        ..Image::default()
    }
    .bytes();
    let image = Jpeg::parse(&bytes).unwrap();
    let mut out = Vec::new();
    let mut sink = collect(&mut out);
    let mut pdf = Pdf::begin(0, &mut sink).unwrap();
    let mut refused = |resolution_dpi, rotation| {
        let layout = PageLayout {
            resolution_dpi,
            rotation,
        };
        pdf.page(&image, layout, &mut sink).unwrap_err().to_string()
    };
    assert!(refused(0, 0).contains("no resolution"));
    assert!(refused(75, 0).contains("866 inches"));
    assert!(refused(600, 45).contains("45 degrees"));
}
