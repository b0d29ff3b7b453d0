//! Files that other programs wrote, in `tests/fixtures/pdf`; that viewers see the same pages is
//! checked in `tests/it/formats.rs`.

use std::convert::Infallible;

use proptest::prelude::*;

use super::*;

const TWO_PAGES: &[u8] = include_bytes!("../../../../tests/fixtures/pdf/two-pages.pdf");
const OBJECT_STREAMS: &[u8] = include_bytes!("../../../../tests/fixtures/pdf/object-streams.pdf");
const WRONG_TABLE: &[u8] = include_bytes!("../../../../tests/fixtures/pdf/wrong-table.pdf");
const LINEARIZED: &[u8] = include_bytes!("../../../../tests/fixtures/pdf/linearized.pdf");

fn taken(bytes: &[u8], rotation: u16) -> Result<Vec<u8>, PageError<Infallible>> {
    let file = File::read(bytes).map_err(PageError::File)?;
    let mut out = Vec::new();
    let mut sink = |bytes: &[u8]| {
        out.extend_from_slice(bytes);
        Ok(())
    };
    let mut pdf = Pdf::begin(0, &mut sink)?;
    pdf.pages_of(&file, rotation, &mut sink)?;
    pdf.finish(&mut sink)?;
    Ok(out)
}

fn refusal(bytes: &[u8]) -> String {
    taken(bytes, 0).unwrap_err().to_string()
}

/// What stands between `key` and `end`, wherever it does.
fn all(pdf: &[u8], key: &str, end: char) -> Vec<String> {
    let text = String::from_utf8_lossy(pdf);
    let found = text.split(key).skip(1);
    found
        .map(|rest| rest.split(end).next().unwrap().to_owned())
        .collect()
}

#[test]
fn pages_come_with_what_they_show_and_without_what_they_do() {
    for bytes in [TWO_PAGES, OBJECT_STREAMS, LINEARIZED] {
        let out = taken(bytes, 90).unwrap();
        assert_eq!(all(&out, "/MediaBox[", ']'), ["0 0 144 72", "0 0 72 144"]);
        assert_eq!(all(&out, "/Rotate ", '/'), ["90", "180"]);
        assert_eq!(all(&out, "/Type/Pages/Count ", '/'), ["2"]);
        let text = String::from_utf8_lossy(&out);
        for word in ["JavaScript", "alert", "Annot", "OpenAction"] {
            assert!(!text.contains(word), "{word}");
        }
        assert_eq!(text.matches("/DeviceGray").count(), 2);
    }
}

#[test]
fn a_wrong_table_is_not_looked_at_and_the_last_of_two_objects_counts() {
    let out = taken(WRONG_TABLE, 0).unwrap();
    assert_eq!(all(&out, "/MediaBox[", ']'), ["0 0 144 72", "0 0 72 144"]);
    assert_eq!(all(&out, "/Rotate ", '/'), ["180", "270"]);
    // The lengths, one in another object and one wrong, are those of the bytes.
    assert_eq!(all(&out, "/Length ", '>')[..2], ["28", "2"]);
    assert_eq!(taken(WRONG_TABLE, 0).unwrap(), out, "the same bytes again");
}

#[test]
fn what_cannot_be_used_is_refused_in_words() {
    for name in ["encrypted.pdf", "encrypted-object-streams.pdf"] {
        let path = format!("../tests/fixtures/pdf/{name}");
        let reason = refusal(&std::fs::read(path).unwrap());
        assert!(reason.contains("encrypted PDF"), "{reason}");
    }
    assert!(refusal(b"%!PS").contains("not a PDF"));
    assert!(refusal(b"%PDF-1.4\n%%EOF").contains("damaged (its pages)"));
    assert!(refusal(b"%PDF-1.4 1 0 obj <<>> stream 123").contains("cut off"));
    let round = b"%PDF-1.4 1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj \
                  2 0 obj<</Type/Pages/Kids[2 0 R]>>endobj";
    assert!(refusal(round).contains("damaged (its pages)"));
    assert!(
        taken(TWO_PAGES, 45)
            .unwrap_err()
            .to_string()
            .contains("45 degrees")
    );
}

#[test]
fn a_small_file_cannot_ask_for_much() {
    let head = "%PDF-1.4 1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj ";
    // The same long list in each of many pages.
    let kids: String = (4..9000).map(|number| format!("{number} 0 R ")).collect();
    let long = "/X".repeat(200_000);
    let pages: String = (4..9000)
        .map(|number| format!("{number} 0 obj<</Type/Page>>endobj "))
        .collect();
    let wide =
        format!("{head}2 0 obj<</Type/Pages/Kids[{kids}]/Resources<</A[{long}]>>>>endobj {pages}");
    assert!(refusal(wide.as_bytes()).contains("too many bytes"));
    // More pages than any document has.
    let kids = "3 0 R ".repeat(10_001);
    let many = format!("{head}2 0 obj<</Type/Pages/Kids[{kids}]>>endobj");
    assert!(refusal(many.as_bytes()).contains("too many pages"));
    // Object streams that inflate without end.
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    std::io::copy(
        &mut std::io::Read::take(std::io::repeat(b' '), 65 << 20),
        &mut encoder,
    )
    .unwrap();
    let bomb = encoder.finish().unwrap();
    let head = format!(
        "{head}5 0 obj<</Type/ObjStm/N 1/First 4/Filter/FlateDecode/Length {}>>stream\n",
        bomb.len()
    );
    let bytes = [head.as_bytes(), &bomb, b"\nendstream endobj"].concat();
    assert!(refusal(&bytes).contains("too many bytes in object streams"));
    // Objects that end nowhere.
    let open = format!("%PDF-1.4 {}", "1 0 obj (".repeat(200));
    assert!(refusal(open.as_bytes()).contains("damaged (objects)"));
}

proptest! {
    #[test]
    fn damaged_files_are_survived(
        which in 0_usize..4,
        changes in proptest::collection::vec((0_usize..2700, any::<u8>()), 1..12),
    ) {
        let mut bytes = [TWO_PAGES, OBJECT_STREAMS, WRONG_TABLE, LINEARIZED][which].to_vec();
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        drop(taken(&bytes, 0));
    }
}
