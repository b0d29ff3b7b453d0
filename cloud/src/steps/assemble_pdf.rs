//! `assemble_pdf`: makes one PDF of the scanned pages.
//!
//! Takes the pages, gives a document; has no options. Each page's JPEG bytes are embedded as they
//! are, its size on paper comes from its pixels and resolution. Of a PDF all pages are taken over,
//! of a TIFF file all images, where they stand among the others. Needs the memory of one page, as
//! the scanner gave it. Run again it makes the same bytes, so that it needs no record.

use serde::Deserialize;

use super::{Done, OptionsError, Shape, Step, StepFault, StepMeta, StepOptions, Work};
use crate::jpeg::Jpeg;
use crate::pdf::file::File;
use crate::pdf::{PageError, PageLayout, Pdf};
use crate::tiff::Tiff;

/// The registry's entry.
pub const META: StepMeta = StepMeta {
    name: "assemble_pdf",
    summary: "Makes one PDF of the pages, each image exactly as it was scanned.",
    takes: Shape::Pages,
    gives: Shape::Document,
    delivers: false,
    parse,
};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct AssemblePdf {}

fn parse(options: StepOptions<'_>) -> Result<Box<dyn Step>, OptionsError> {
    Ok(Box::new(AssemblePdf::deserialize(options.table)?))
}

impl Step for AssemblePdf {
    fn run(&self, work: &mut dyn Work) -> Result<Done, StepFault> {
        let count = work.facts().pages.len();
        if count == 0 {
            let reason = "the document has no pages; scan it again".to_owned();
            return Err(StepFault::Refused { reason });
        }
        let scanned_ms = work.facts().scanned_ms;
        let mut pdf = Pdf::begin(scanned_ms, &mut |bytes| work.write_document(bytes))?;
        for index in 0..count {
            add_page(&mut pdf, work, index)?;
        }
        pdf.finish(&mut |bytes| work.write_document(bytes))?;
        work.finish_document("pdf")?;
        Ok(Done::Document)
    }
}

fn add_page(pdf: &mut Pdf, work: &mut dyn Work, index: usize) -> Result<(), StepFault> {
    let count = work.facts().pages.len();
    let refuse = |problem: String| StepFault::Refused {
        reason: format!(
            "page {} of {count} cannot go into a PDF: {problem}; scan the document again",
            index + 1
        ),
    };
    let Some(page) = work.facts().pages.get(index).cloned() else {
        return Err(refuse("it is not in the list of pages".to_owned()));
    };
    let bytes = work.read_page(index)?;
    let mut layout = PageLayout {
        resolution_dpi: page.resolution_dpi,
        rotation: page.rotation,
    };
    let mut sink = |bytes: &[u8]| work.write_document(bytes);
    let told = |error: PageError<StepFault>| match error {
        PageError::Sink(fault) => fault,
        other => refuse(other.to_string()),
    };
    // The bytes tell what they are; scanners send the one under the other's name.
    match bytes.as_slice() {
        [b'%', b'P', b'D', b'F', ..] => {
            let file = File::read(&bytes).map_err(|error| refuse(error.to_string()))?;
            pdf.pages_of(&file, layout.rotation, &mut sink)
                .map_err(told)
        }
        [b'I', b'I', b'*', 0, ..] | [b'M', b'M', 0, b'*', ..] => {
            let mut tiff = Tiff::read(&bytes).map_err(|error| refuse(error.to_string()))?;
            while let Some(image) = tiff.next_image().map_err(|it| refuse(it.to_string()))? {
                pdf.tiff_page(&image, layout, &mut sink).map_err(told)?;
            }
            Ok(())
        }
        _ => {
            let image = Jpeg::parse(&bytes).map_err(|error| refuse(error.to_string()))?;
            if layout.resolution_dpi == 0 {
                layout.resolution_dpi = image.info().density_dpi.unwrap_or(0);
            }
            pdf.page(&image, layout, &mut sink).map_err(told)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jpeg::tests::Image;
    use crate::pdf::tests::read;
    use crate::steps::fake::FakeWork;

    fn assemble(work: &mut FakeWork) -> Result<Done, StepFault> {
        AssemblePdf {}.run(work)
    }

    fn refusal(work: &mut FakeWork) -> String {
        match assemble(work) {
            Err(StepFault::Refused { reason }) => reason,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn pages_become_a_document_in_order_and_untouched() {
        let page = |width| {
            Image {
                width,
                ..Image::default()
            }
            .bytes()
        };
        let pages = vec![page(3), page(2), page(1)];
        let mut work = FakeWork::of_pages(pages.clone());
        assert_eq!(assemble(&mut work).unwrap(), Done::Document);
        let seen = read(work.document_bytes());
        assert_eq!(
            seen.into_iter().map(|page| page.image).collect::<Vec<_>>(),
            pages
        );
    }

    #[test]
    fn run_again_it_makes_the_same_bytes() {
        let once = || {
            let mut work = FakeWork::of_pages(vec![Image::default().bytes(); 3]);
            assemble(&mut work).unwrap();
            work.document_bytes().to_vec()
        };
        assert_eq!(once(), once());
    }

    #[test]
    fn a_bad_page_is_named() {
        let good = Image::default().bytes();
        let cut = good[..good.len() - 2].to_vec();
        let mut work = FakeWork::of_pages(vec![good.clone(), cut]);
        let reason = refusal(&mut work);
        assert!(reason.starts_with("page 2 of 2 cannot go into a PDF: the JPEG image is cut off"));
        assert!(refusal(&mut FakeWork::of_pages(vec![Vec::new(), good])).contains("page 1 of 2"));
        assert!(refusal(&mut FakeWork::of_pages(Vec::new())).contains("no pages"));
    }

    #[test]
    fn resolution_comes_from_the_job_and_else_from_the_image() {
        let image = Image {
            density: Some((1, 600)),
            ..Image::default()
        }
        .bytes();
        let size = |dpi| {
            let mut work = FakeWork::of_pages(vec![image.clone()]);
            work.facts.pages[0].resolution_dpi = dpi;
            assemble(&mut work).unwrap();
            read(work.document_bytes())[0].media_box.clone()
        };
        assert_eq!(
            (size(300).as_str(), size(0).as_str()),
            ("0 0 595.2 841.92", "0 0 297.6 420.96")
        );
    }

    #[test]
    fn a_height_that_the_scanner_told_late_is_written_where_readers_look() {
        let image = |height, dnl| {
            Image {
                height,
                dnl,
                ..Image::default()
            }
            .bytes()
        };
        let mut work = FakeWork::of_pages(vec![image(0, Some(3300))]);
        work.facts.pages[0].late_height = true;
        assemble(&mut work).unwrap();
        let seen = read(work.document_bytes()).remove(0);
        assert_eq!(seen.image, image(3300, Some(3300)));
        assert_eq!(seen.media_box, "0 0 595.2 792");
    }

    #[test]
    fn the_bytes_tell_the_format_and_what_is_none_is_refused() {
        let pdf = include_bytes!("../../../tests/fixtures/pdf/two-pages.pdf").to_vec();
        let tiff = include_bytes!("../../../tests/fixtures/tiff/g4-two-pages.tif").to_vec();
        let jpeg = Image::default().bytes();
        let mut work = FakeWork::of_pages(vec![jpeg.clone(), pdf, tiff, jpeg.clone()]);
        work.facts.pages[0].media_type = "application/pdf".to_owned();
        assemble(&mut work).unwrap();
        let text = String::from_utf8_lossy(work.document_bytes());
        let boxes = text.split("/MediaBox[").skip(1);
        let sizes: Vec<_> = boxes.map(|rest| rest.split(']').next().unwrap()).collect();
        let a4 = "0 0 595.2 841.92";
        assert_eq!(
            sizes,
            [a4, "0 0 144 72", "0 0 72 144", "0 0 24 16", "0 0 24 16", a4]
        );

        let mut work = FakeWork::of_pages(vec![b"<html></html>".to_vec()]);
        assert!(refusal(&mut work).contains("not a JPEG"));
        let mut work = FakeWork::of_pages(vec![b"II*\0\x08\0\0\0".to_vec()]);
        assert!(refusal(&mut work).contains("page 1 of 1 cannot go into a PDF: the TIFF image"));
        let locked = include_bytes!("../../../tests/fixtures/pdf/encrypted.pdf").to_vec();
        let reason = refusal(&mut FakeWork::of_pages(vec![jpeg, locked]));
        assert!(reason.contains("page 2 of 2"), "{reason}");
        assert!(
            reason.contains("turn the encryption of PDFs off at the scanner"),
            "{reason}"
        );
    }
}
