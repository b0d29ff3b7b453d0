//! The JPEG pages of the simulated MFP as scanners wrap them: in a PDF, or in a TIFF file; and their
//! documents in other encodings.

/// A PDF with a page for each image, written as small devices do: a plain table, lengths apart.
pub(crate) fn pdf(images: &[Vec<u8>], dpi: u16) -> Vec<u8> {
    let mut out = b"%PDF-1.4\n".to_vec();
    let mut places = Vec::new();
    let mut object = |out: &mut Vec<u8>, body: &[u8]| {
        places.push(out.len());
        out.extend_from_slice(format!("{} 0 obj\n", places.len()).as_bytes());
        out.extend_from_slice(body);
        out.extend_from_slice(b"\nendobj\n");
    };
    let kids: String = (0..images.len())
        .map(|index| format!("{} 0 R ", 3 + index * 4))
        .collect();
    object(&mut out, b"<< /Type /Catalog /Pages 2 0 R >>");
    let count = images.len();
    let pages = format!("<< /Type /Pages /Count {count} /Kids [ {kids}] >>");
    object(&mut out, pages.as_bytes());
    for (index, image) in images.iter().enumerate() {
        let first = 3 + index * 4;
        let (width, height, channels) = frame(image);
        let points = |pixels: u16| f64::from(pixels) * 72.0 / f64::from(dpi);
        let (across, down) = (points(width), points(height));
        let page = format!(
            "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 {across} {down}] /Contents {} 0 R \
             /Resources << /XObject << /Im0 {} 0 R >> >> >>",
            first + 1,
            first + 2
        );
        object(&mut out, page.as_bytes());
        let contents = format!("q {across} 0 0 {down} 0 0 cm /Im0 Do Q");
        let length = contents.len();
        let contents = format!("<< /Length {length} >>\nstream\n{contents}\nendstream");
        object(&mut out, contents.as_bytes());
        let space = if channels == 1 {
            "DeviceGray"
        } else {
            "DeviceRGB"
        };
        let head = format!(
            "<< /Type /XObject /Subtype /Image /Width {width} /Height {height} /ColorSpace /{space} \
             /BitsPerComponent 8 /Filter /DCTDecode /Length {} 0 R >>\nstream\n",
            first + 3
        );
        let stream = [head.as_bytes(), image, b"\nendstream"].concat();
        object(&mut out, &stream);
        object(&mut out, image.len().to_string().as_bytes());
    }
    let start = out.len();
    let size = places.len() + 1;
    let mut end = format!("xref\n0 {size}\n0000000000 65535 f \n");
    for place in places {
        end.push_str(&format!("{place:010} 00000 n \n"));
    }
    end.push_str(&format!(
        "trailer\n<< /Size {size} /Root 1 0 R >>\nstartxref\n{start}\n%%EOF\n"
    ));
    out.extend_from_slice(end.as_bytes());
    out
}

/// A TIFF file with the image in one strip (compression 7), its directory at the end.
pub(crate) fn tiff(image: &[u8], dpi: u16) -> Vec<u8> {
    let (width, height, channels) = frame(image);
    let image_at = 8;
    let rational_at = image_at + image.len() + image.len() % 2;
    let bits_at = rational_at + 8;
    let directory_at = bits_at + 6;
    let long = |value: usize| u32::try_from(value).unwrap_or(u32::MAX);
    let mut out = b"II*\0".to_vec();
    out.extend(long(directory_at).to_le_bytes());
    out.extend_from_slice(image);
    out.resize(rational_at, 0);
    out.extend(u32::from(dpi).to_le_bytes());
    out.extend(1_u32.to_le_bytes());
    out.extend([8, 0, 8, 0, 8, 0]);
    // Of one channel the value stands in the entry itself.
    let bits = if channels == 1 {
        (1, 8)
    } else {
        (3, long(bits_at))
    };
    let photometric = if channels == 1 { 1 } else { 6 };
    let rational = long(rational_at);
    let entries: [(u16, u16, u32, u32); 13] = [
        (256, 3, 1, width.into()),
        (257, 3, 1, height.into()),
        (258, 3, bits.0, bits.1),
        (259, 3, 1, 7),
        (262, 3, 1, photometric),
        (273, 4, 1, long(image_at)),
        (274, 3, 1, 1),
        (277, 3, 1, channels.into()),
        (278, 3, 1, height.into()),
        (279, 4, 1, long(image.len())),
        (282, 5, 1, rational),
        (283, 5, 1, rational),
        (296, 3, 1, 2),
    ];
    out.extend(13_u16.to_le_bytes());
    for (tag, kind, count, value) in entries {
        out.extend(tag.to_le_bytes());
        out.extend(kind.to_le_bytes());
        out.extend(count.to_le_bytes());
        out.extend(value.to_le_bytes());
    }
    out.extend([0; 4]);
    out
}

/// A document in UTF-16, little-endian, with its mark.
pub(crate) fn utf16(document: &[u8]) -> Vec<u8> {
    let text = String::from_utf8_lossy(document).replace("UTF-8", "UTF-16");
    let units = std::iter::once(0xFEFF).chain(text.encode_utf16());
    units.flat_map(u16::to_le_bytes).collect()
}

/// The bytes as gzip (RFC 1952), in blocks that hold them as they are.
pub(crate) fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut out = vec![0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 0xFF];
    let pieces = bytes.chunks(u16::MAX.into());
    let last = pieces.len().saturating_sub(1);
    for (index, piece) in pieces.enumerate() {
        let length = u16::try_from(piece.len()).unwrap_or(u16::MAX);
        out.push(u8::from(index == last));
        out.extend(length.to_le_bytes());
        out.extend((!length).to_le_bytes());
        out.extend_from_slice(piece);
    }
    let crc = bytes.iter().fold(!0_u32, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| match crc & 1 {
            1 => (crc >> 1) ^ 0xEDB8_8320,
            _ => crc >> 1,
        })
    });
    out.extend((!crc).to_le_bytes());
    out.extend(u32::try_from(bytes.len()).unwrap_or(0).to_le_bytes());
    out
}

/// Width, height and channels of a JPEG image.
fn frame(image: &[u8]) -> (u16, u16, u8) {
    let mut at = 2;
    while let Some([0xFF, marker, high, low]) = image.get(at..at + 4) {
        if let (0xC0..=0xC2, Some([a, b, c, d, channels])) = (marker, image.get(at + 5..at + 10)) {
            return (
                u16::from_be_bytes([*c, *d]),
                u16::from_be_bytes([*a, *b]),
                *channels,
            );
        }
        at += 2 + usize::from(u16::from_be_bytes([*high, *low]));
    }
    (0, 0, 0)
}
