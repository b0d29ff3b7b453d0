//! Reads what a JPEG file says of its picture: size and resolution (ITU-T T.81, B.2; JFIF 1.02).

use std::io::{self, Read, Seek, SeekFrom};

/// What the headers of a JPEG file say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct JpegInfo {
    pub(super) width: u16,
    pub(super) height: u16,
    /// Pixels per inch across, when the file says so.
    pub(super) dpi: Option<u16>,
}

const START_OF_IMAGE: u8 = 0xd8;
const START_OF_SCAN: u8 = 0xda;
const APPLICATION_0: u8 = 0xe0;

/// Reads markers up to the frame header.
pub(super) fn read_info(file: &mut (impl Read + Seek)) -> io::Result<JpegInfo> {
    let damaged = || io::Error::new(io::ErrorKind::InvalidData, "not a JPEG image");
    if take::<2>(file)? != [0xff, START_OF_IMAGE] {
        return Err(damaged());
    }
    let mut dpi = None;
    loop {
        let [0xff, marker] = take(file)? else {
            return Err(damaged());
        };
        let length = u16::from_be_bytes(take(file)?);
        let mut left = i64::from(length) - 2;
        match marker {
            // SOF0 to SOF15 without DHT, JPG and DAC, which lie between them.
            0xc0..=0xcf if !matches!(marker, 0xc4 | 0xc8 | 0xcc) => {
                let [_precision, h1, h0, w1, w0] = take(file)?;
                return Ok(JpegInfo {
                    width: u16::from_be_bytes([w1, w0]),
                    height: u16::from_be_bytes([h1, h0]),
                    dpi,
                });
            }
            START_OF_SCAN => return Err(damaged()),
            APPLICATION_0 if left >= 12 => {
                let head: [u8; 12] = take(file)?;
                left -= 12;
                if let [b'J', b'F', b'I', b'F', 0, _, _, unit, x1, x0, _, _] = head {
                    dpi = density(unit, u16::from_be_bytes([x1, x0]));
                }
            }
            _ => {}
        }
        file.seek(SeekFrom::Current(left.max(0)))?;
    }
}

fn density(unit: u8, value: u16) -> Option<u16> {
    match unit {
        1 => Some(value),
        2 => u16::try_from(u32::from(value) * 254 / 100).ok(),
        _ => None,
    }
}

fn take<const N: usize>(file: &mut impl Read) -> io::Result<[u8; N]> {
    let mut bytes = [0; N];
    file.read_exact(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    #[test]
    fn size_and_resolution_are_read() {
        let mut file = vec![0xff, 0xd8, 0xff, 0xe0, 0, 16];
        file.extend_from_slice(b"JFIF\0\x01\x02\x02\0\x76\0\x76\0\0");
        file.extend_from_slice(&[0xff, 0xfe, 0, 4, 1, 2]);
        file.extend_from_slice(&[0xff, 0xc2, 0, 11, 8, 0x0d, 0xb4, 0x09, 0xb0, 1]);
        let info = read_info(&mut Cursor::new(file)).unwrap();
        let expected = JpegInfo {
            width: 2480,
            height: 3508,
            dpi: Some(299),
        };
        assert_eq!(info, expected);
    }

    #[test]
    fn other_files_are_refused() {
        for file in [
            b"".as_slice(),
            b"%PDF-1.7",
            b"\xff\xd8\xff\xda\0\x02",
            b"\xff\xd8\xff",
        ] {
            assert!(read_info(&mut Cursor::new(file)).is_err());
        }
    }
}
