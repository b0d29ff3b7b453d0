//! Images made by hand: only the markers matter here.

use proptest::prelude::*;

use super::*;

/// A builder of small images; the scan data is not a picture.
pub(crate) struct Image {
    pub(crate) width: u16,
    pub(crate) height: u16,
    pub(crate) components: u8,
    pub(crate) bits: u8,
    pub(crate) sof: u8,
    pub(crate) exif: Option<u16>,
    pub(crate) density: Option<(u8, u16)>,
    pub(crate) dnl: Option<u16>,
    pub(crate) filler: u8,
}

impl Default for Image {
    fn default() -> Self {
        Self {
            width: 2480,
            height: 3508,
            components: 3,
            bits: 8,
            sof: 0xC0,
            exif: None,
            density: None,
            dnl: None,
            filler: 0x11,
        }
    }
}

impl Image {
    pub(crate) fn bytes(&self) -> Vec<u8> {
        let mut out = vec![0xFF, SOI];
        if let Some((unit, dpi)) = self.density {
            let mut body = b"JFIF\0\x01\x02".to_vec();
            body.push(unit);
            body.extend(dpi.to_be_bytes());
            body.extend(dpi.to_be_bytes());
            body.extend([0, 0]);
            segment(&mut out, APP0, &body);
        }
        if let Some(orientation) = self.exif {
            let mut body = b"Exif\0\0II*\0\x08\0\0\0\x01\0\x12\x01\x03\0\x01\0\0\0".to_vec();
            body.extend(orientation.to_le_bytes());
            body.extend([0, 0, 0, 0, 0, 0]);
            segment(&mut out, APP1, &body);
        }
        let mut frame = vec![self.bits];
        frame.extend(self.height.to_be_bytes());
        frame.extend(self.width.to_be_bytes());
        frame.push(self.components);
        frame.extend((0..self.components).flat_map(|id| [id + 1, 0x11, 0]));
        segment(&mut out, self.sof, &frame);
        segment(&mut out, 0xC4, &[0; 17]);
        segment(&mut out, SOS, &[1, 1, 0, 0, 63, 0]);
        out.extend([self.filler; 40]);
        out.extend([0xFF, 0x00, 0xFF, RST0, self.filler]);
        if let Some(lines) = self.dnl {
            segment(&mut out, DNL, &lines.to_be_bytes());
        }
        out.extend([0xFF, EOI]);
        out
    }
}

fn segment(out: &mut Vec<u8>, marker: u8, body: &[u8]) {
    out.extend([0xFF, marker]);
    out.extend((u16::try_from(body.len()).unwrap() + 2).to_be_bytes());
    out.extend(body);
}

fn info(image: &Image) -> Result<JpegInfo, JpegError> {
    Jpeg::parse(&image.bytes()).map(|jpeg| jpeg.info())
}

fn written(jpeg: &Jpeg<'_>) -> Vec<u8> {
    let mut out = Vec::new();
    let done: Result<(), ()> = jpeg.write(&mut |bytes| {
        out.extend_from_slice(bytes);
        Ok(())
    });
    done.unwrap();
    out
}

#[test]
fn size_and_color_come_from_the_frame_header() {
    let color = info(&Image::default()).unwrap();
    assert_eq!(
        (color.width, color.height, color.color),
        (2480, 3508, JpegColor::Rgb)
    );
    let gray = info(&Image {
        components: 1,
        sof: 0xC2,
        ..Image::default()
    })
    .unwrap();
    assert_eq!(gray.color, JpegColor::Gray);
}

#[test]
fn bytes_pass_untouched() {
    let bytes = Image::default().bytes();
    assert_eq!(written(&Jpeg::parse(&bytes).unwrap()), bytes);
}

#[test]
fn a_height_told_at_the_end_is_written_into_the_header() {
    for unknown in [0, u16::MAX] {
        let bytes = Image {
            height: unknown,
            dnl: Some(3300),
            ..Image::default()
        }
        .bytes();
        let fixed = Image {
            height: 3300,
            dnl: Some(3300),
            ..Image::default()
        }
        .bytes();
        assert_eq!(written(&Jpeg::parse(&bytes).unwrap()), fixed);
    }
    assert_eq!(
        info(&Image {
            height: 0,
            ..Image::default()
        }),
        Err(JpegError::NoSize)
    );
}

#[test]
fn density_is_read_in_inches_and_centimeters() {
    let dpi = |density| {
        info(&Image {
            density,
            ..Image::default()
        })
        .unwrap()
        .density_dpi
    };
    assert_eq!(dpi(Some((1, 300))), Some(300));
    assert_eq!(dpi(Some((2, 118))), Some(300));
    assert_eq!(dpi(Some((0, 1))), None);
    assert_eq!(dpi(None), None);
}

#[test]
fn exif_orientation_becomes_a_turn() {
    for (orientation, rotation) in [(1, 0), (3, 180), (6, 90), (8, 270), (2, 0), (77, 0)] {
        let exif = Some(orientation);
        assert_eq!(
            info(&Image {
                exif,
                ..Image::default()
            })
            .unwrap()
            .rotation,
            rotation
        );
    }
}

#[test]
fn what_a_document_cannot_hold_is_named() {
    let refused = |image: Image| info(&image).unwrap_err();
    let base = Image::default;
    assert_eq!(
        refused(Image {
            components: 4,
            ..base()
        }),
        JpegError::Components { components: 4 }
    );
    assert_eq!(
        refused(Image { bits: 12, ..base() }),
        JpegError::Precision { bits: 12 }
    );
    assert_eq!(
        refused(Image {
            sof: 0xC9,
            ..base()
        }),
        JpegError::Process { process: 9 }
    );
    assert_eq!(refused(Image { width: 0, ..base() }), JpegError::NoSize);
    assert_eq!(Jpeg::parse(b""), Err(JpegError::Empty));
    assert_eq!(Jpeg::parse(b"%PDF-1.7"), Err(JpegError::NotJpeg));
}

#[test]
fn every_cut_is_noticed() {
    let bytes = Image {
        exif: Some(6),
        density: Some((1, 300)),
        ..Image::default()
    }
    .bytes();
    for len in 2..bytes.len() {
        assert_eq!(
            Jpeg::parse(&bytes[..len]),
            Err(JpegError::Truncated { at: len })
        );
    }
}

#[test]
fn padding_behind_the_end_is_let_through() {
    let mut bytes = Image::default().bytes();
    bytes.extend([0; 7]);
    assert_eq!(written(&Jpeg::parse(&bytes).unwrap()), bytes);
}

proptest! {
    #[test]
    fn hostile_bytes_never_panic(
        mut bytes in proptest::collection::vec(any::<u8>(), 0..300),
        changes in proptest::collection::vec((0_usize..200, any::<u8>()), 0..8),
    ) {
        bytes.splice(0..0, [0xFF, SOI]);
        let random = Jpeg::parse(&bytes);
        prop_assert!(random.is_err() || random.is_ok());
        let mut near = Image { exif: Some(6), dnl: Some(9), ..Image::default() }.bytes();
        for (at, value) in changes {
            if let Some(byte) = near.get_mut(at) {
                *byte = value;
            }
        }
        if let Ok(jpeg) = Jpeg::parse(&near) {
            prop_assert_eq!(written(&jpeg).len(), near.len());
        }
    }
}
