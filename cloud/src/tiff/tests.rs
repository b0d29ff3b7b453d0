//! Files that libtiff wrote, in `tests/fixtures/tiff`; that viewers see the right picture is checked
//! in `tests/it/formats.rs`.

use std::io::Read as _;

use flate2::read::ZlibDecoder;
use proptest::prelude::*;

use super::*;

fn file(name: &str) -> Vec<u8> {
    std::fs::read(format!("../tests/fixtures/tiff/{name}.tif")).unwrap()
}

fn images(bytes: &[u8]) -> Result<Vec<TiffImage<'_>>, TiffError> {
    let mut tiff = Tiff::read(bytes)?;
    let mut all = Vec::new();
    while let Some(image) = tiff.next_image()? {
        all.push(image);
    }
    Ok(all)
}

#[test]
fn what_a_pdf_can_hold_stays_as_it_is() {
    let bytes = file("g4-two-pages");
    let found = images(&bytes).unwrap();
    assert_eq!(found.len(), 2);
    let image = &found[0];
    assert_eq!((image.width, image.height), (24, 16));
    assert_eq!(image.resolution_mdpi, Some([72_000, 72_000]));
    assert!(
        image
            .coding
            .contains("/CCITTFaxDecode/DecodeParms<</K -1/Columns 24/Rows 16/Black")
    );
    assert!(matches!(image.data, Cow::Borrowed(_)));
    let bytes = file("rgb-jpeg");
    let image = &images(&bytes).unwrap()[0];
    assert!(
        image
            .coding
            .ends_with("/DCTDecode/DecodeParms<</ColorTransform 0>>")
    );
    assert!(Jpeg::parse(&image.data).is_ok());
}

#[test]
fn other_codings_lose_nothing() {
    let gray = |x: usize, y: usize| vec![u8::try_from((x * 10 + y * 3) & 255).unwrap()];
    let rgb = |x: usize, y: usize| {
        let byte = |value| u8::try_from(value).unwrap();
        vec![byte(x * 10), byte(y * 15), 128]
    };
    type Pixel<'a> = &'a dyn Fn(usize, usize) -> Vec<u8>;
    let cases: [(&str, &str, Pixel<'_>); 6] = [
        ("gray-raw", "Gray/BitsPerComponent 8/", &gray),
        ("gray-lzw", "Gray/BitsPerComponent 8/", &gray),
        ("gray-16", "Gray/BitsPerComponent 16/", &|x, y| {
            gray(x, y).repeat(2)
        }),
        ("rgb-deflate-predictor", "RGB/BitsPerComponent 8/", &rgb),
        ("rgb-lzw-strips", "RGB/BitsPerComponent 8/", &rgb),
        ("g4-strips", "Gray/BitsPerComponent 1/", &|x, y| {
            match x % 8 {
                0 => (0..8).fold(0, |byte, bit| {
                    byte << 1 | u8::from(((x + bit) / 3 + y / 2) % 2 == 0)
                }),
                _ => return Vec::new(),
            }
            .to_be_bytes()
            .to_vec()
        }),
    ];
    for (name, coding, pixel) in cases {
        let bytes = file(name);
        let image = &images(&bytes).unwrap()[0];
        assert!(image.coding.contains(coding), "{name}: {}", image.coding);
        let mut samples = Vec::new();
        ZlibDecoder::new(&*image.data)
            .read_to_end(&mut samples)
            .unwrap();
        let places = (0..16).flat_map(|y| (0..24).map(move |x| (x, y)));
        let expected: Vec<u8> = places.flat_map(|(x, y)| pixel(x, y)).collect();
        assert_eq!(samples, expected, "{name}");
    }
}

#[test]
fn every_cut_of_a_file_is_noticed_or_leaves_its_images_whole() {
    for name in ["g4-two-pages", "g4-strips", "rgb-jpeg", "gray-lzw"] {
        let bytes = file(name);
        let whole = images(&bytes).unwrap();
        for end in 0..bytes.len() {
            if let Ok(images) = images(&bytes[..end]) {
                assert_eq!(images, whole, "{name} cut at {end}");
            }
        }
    }
}

#[test]
fn strips_that_share_their_bytes_do_not_add_up() {
    let mut bytes = file("rgb-lzw-strips");
    // Every strip where the first is, as long as the file.
    let mut decoder = Decoder::new(Cursor::new(bytes.clone())).unwrap();
    let lengths = decoder.get_tag_u32_vec(Tag::StripByteCounts).unwrap();
    let packed: Vec<u8> = lengths.iter().flat_map(|it| it.to_le_bytes()).collect();
    let short: Vec<u8> = lengths
        .iter()
        .flat_map(|it| u16::try_from(*it).unwrap().to_le_bytes())
        .collect();
    let all = u32::try_from(bytes.len() - 8).unwrap();
    let at = bytes.windows(packed.len()).position(|it| it == packed);
    let (at, width) = match at {
        Some(at) => (at, 4),
        None => (
            bytes
                .windows(short.len())
                .position(|it| it == short)
                .unwrap(),
            2,
        ),
    };
    for index in 0..lengths.len() {
        let place = at + index * width;
        bytes[place..place + width].copy_from_slice(&all.to_le_bytes()[..width]);
    }
    let refused = images(&bytes).unwrap_err();
    assert!(
        matches!(refused, TiffError::TooMuch { .. } | TiffError::Damaged),
        "{refused}"
    );
}

proptest! {
    #[test]
    fn damaged_files_are_survived(
        which in 0_usize..12,
        changes in proptest::collection::vec((0_usize..1200, any::<u8>()), 1..6),
    ) {
        let names = [
            "g4-two-pages", "g4-strips", "g3", "bilevel-packbits", "gray-raw", "gray-lzw",
            "rgb-deflate-predictor", "rgb-lzw-strips", "gray-16", "rgb-jpeg", "rgb-jpeg-strips",
            "white-is-zero",
        ];
        let mut bytes = file(names[which]);
        for (at, value) in changes {
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
        }
        drop(images(&bytes));
    }
}
