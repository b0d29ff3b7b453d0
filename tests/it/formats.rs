//! PDF and TIFF files of other programs as pages of our documents, seen with poppler's and qpdf's
//! eyes. `tests/fixtures/README.md` says who wrote them.

use std::path::{Path, PathBuf};

use scantrip_cloud::pdf::file::File;
use scantrip_cloud::pdf::{PageLayout, Pdf};
use scantrip_cloud::tiff::Tiff;
use scantrip_tests::{program, stage};
use tempfile::TempDir;

const LAYOUT: PageLayout = PageLayout {
    resolution_dpi: 300,
    rotation: 0,
};

/// A document of one file's pages; qpdf is content with it.
fn document(folder: &Path, file: &Path) -> PathBuf {
    let bytes = std::fs::read(file).expect("a fixture");
    let mut out = Vec::new();
    let mut sink = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok::<_, std::convert::Infallible>(())
    };
    let mut pdf = Pdf::begin(0, &mut sink).expect("a document");
    if bytes.starts_with(b"%PDF") {
        let file = File::read(&bytes).expect("a PDF");
        pdf.pages_of(&file, 0, &mut sink).expect("its pages");
    } else {
        let mut tiff = Tiff::read(&bytes).expect("a TIFF file");
        while let Some(image) = tiff.next_image().expect("an image") {
            pdf.tiff_page(&image, LAYOUT, &mut sink).expect("a page");
        }
    }
    pdf.finish(&mut sink).expect("a document");
    let path = folder.join("document.pdf");
    #[expect(clippy::disallowed_methods, reason = "a test's own file")]
    std::fs::write(&path, out).expect("a file");
    let checked = program::run(program::command("qpdf").arg("--check").arg(&path));
    let said = checked.unwrap_or_else(|error| panic!("{file:?}: {error:#}"));
    assert!(!said.contains("WARNING"), "{file:?}: {said}");
    path
}

/// The first page as poppler shows it without links: width, height, a pixel in RGB for each 1/72
/// inch, from its middle.
fn shown(pdf: &Path) -> (usize, usize, Vec<[u8; 3]>) {
    let stem = pdf.with_extension("");
    let mut show = program::command("pdftoppm");
    show.args(["-r", "288", "-f", "1", "-l", "1"]);
    show.args(["-singlefile", "-hide-annotations"]);
    program::run(show.arg(pdf).arg(&stem)).expect("pdftoppm");
    let bytes = std::fs::read(pdf.with_extension("ppm")).expect("a picture");
    let head = String::from_utf8_lossy(&bytes[..bytes.len().min(40)]).into_owned();
    let mut words = head.split_ascii_whitespace();
    assert_eq!(words.next(), Some("P6"));
    let mut number = || {
        let word = words.next().expect("a number");
        word.parse::<usize>().expect("a number")
    };
    let (width, height) = (number(), number());
    let pixels = &bytes[bytes.len() - width * height * 3..];
    let middle = |index: usize| {
        let (x, y) = (index % (width / 4) * 4 + 2, index / (width / 4) * 4 + 2);
        let at = (y * width + x) * 3;
        [pixels[at], pixels[at + 1], pixels[at + 2]]
    };
    let count = (width / 4) * (height / 4);
    (width / 4, height / 4, (0..count).map(middle).collect())
}

#[test]
fn tiff_files_of_every_coding_show_the_picture_that_was_put_in() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/tiff");
    let files = stage::files(&fixtures).expect("fixtures");
    assert_eq!(files.len(), 12);
    let folder = TempDir::new().expect("a folder");
    for file in files {
        let name = file.file_name().expect("a name").to_string_lossy();
        let (width, height, pixels) = shown(&document(folder.path(), &file));
        // The JPEG images are four times as large, and not exact.
        let (scale, near) = if name.contains("jpeg") {
            (4, 24)
        } else {
            (1, 0)
        };
        assert_eq!((width, height), (24 * scale, 16 * scale), "{name}");
        for (index, pixel) in pixels.into_iter().enumerate() {
            let (x, y) = (index % width / scale, index / width / scale);
            let gray = u8::try_from((x * 10 + y * 3) & 255).expect("a byte");
            let expected = if name.starts_with("rgb") {
                [x * 10, y * 15, 128].map(|it| u8::try_from(it).expect("a byte"))
            } else if name.starts_with("gray") {
                [gray; 3]
            } else {
                [if (x / 3 + y / 2) % 2 == 0 { 255 } else { 0 }; 3]
            };
            let off = pixel
                .into_iter()
                .zip(expected)
                .map(|(a, b)| a.abs_diff(b))
                .max();
            assert!(
                off <= Some(near),
                "{name} at {x},{y}: {pixel:?}, not {expected:?}"
            );
        }
    }
}

#[test]
fn pdf_pages_look_as_they_did() {
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/pdf");
    let folder = TempDir::new().expect("a folder");
    for name in ["two-pages", "object-streams", "linearized", "wrong-table"] {
        let given = fixtures.join(format!("{name}.pdf"));
        let copy = folder.path().join("given.pdf");
        std::fs::copy(&given, &copy).expect("a file");
        assert_eq!(
            shown(&document(folder.path(), &given)),
            shown(&copy),
            "{name}"
        );
    }
}
