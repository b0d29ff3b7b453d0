//! Tag, length and value as BER and DER write them: reading for answers, writing for questions.
//! Definite lengths only; tags of one byte.

/// What is left to read.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reader<'a>(pub(super) &'a [u8]);

impl<'a> Reader<'a> {
    /// The next element: its tag and its value.
    pub(super) fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (tag, rest) = self.0.split_first()?;
        let (first, rest) = rest.split_first()?;
        let (length, rest) = match *first {
            short @ 0..=0x7f => (usize::from(short), rest),
            long @ 0x81..=0x84 => {
                let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f))?;
                let length = bytes
                    .iter()
                    .fold(0_u64, |sum, it| sum << 8 | u64::from(*it));
                (usize::try_from(length).ok()?, rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        (tag & 0x1f != 0x1f).then_some((*tag, value))
    }

    /// The value of the next element, which must have this tag.
    pub(super) fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        let (found, value) = self.next()?;
        (found == tag).then_some(value)
    }

    /// The inside of the next element, which must have this tag.
    pub(super) fn enter(&mut self, tag: u8) -> Option<Self> {
        self.expect(tag).map(Reader)
    }

    /// A whole number of at most eight bytes.
    pub(super) fn integer(&mut self) -> Option<i64> {
        number(self.expect(INTEGER)?)
    }
}

/// A whole number of at most eight bytes.
pub(super) fn number(bytes: &[u8]) -> Option<i64> {
    let first = *bytes.first()?;
    let start = if first & 0x80 != 0 { -1 } else { 0 };
    (bytes.len() <= 8).then(|| {
        bytes
            .iter()
            .fold(start, |sum, it| sum << 8 | i64::from(*it))
    })
}

/// One element.
pub(super) fn element(tag: u8, value: &[u8]) -> Vec<u8> {
    const HEAD_BYTES_MAX: usize = 6;
    // Room for all of it at once: a buffer that grows leaves copies, of secrets too.
    let mut bytes = Vec::with_capacity(HEAD_BYTES_MAX + value.len());
    bytes.push(tag);
    match value.len() {
        short @ 0..=0x7f => bytes.push(short as u8),
        long => {
            let long = (long as u32).to_be_bytes();
            let zeros = long.iter().take_while(|it| **it == 0).count();
            bytes.push(0x80 | (4 - zeros) as u8);
            bytes.extend(long.iter().skip(zeros));
        }
    }
    bytes.extend_from_slice(value);
    bytes
}

/// A number from 0 to 2^31 - 1.
pub(super) fn integer(number: u32) -> Vec<u8> {
    let bytes = number.to_be_bytes();
    let zeros = bytes.iter().take_while(|it| **it == 0).count().min(3);
    let mut value: Vec<u8> = bytes.into_iter().skip(zeros).collect();
    if value.first().is_some_and(|it| it & 0x80 != 0) {
        value.insert(0, 0);
    }
    element(INTEGER, &value)
}

pub(super) const INTEGER: u8 = 0x02;
pub(super) const BIT_STRING: u8 = 0x03;
pub(super) const OCTETS: u8 = 0x04;
pub(super) const NULL: u8 = 0x05;
pub(super) const OID: u8 = 0x06;
pub(super) const SEQUENCE: u8 = 0x30;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_reads_back() {
        for length in [0, 1, 127, 128, 255, 256, 70_000] {
            let value = vec![7; length];
            let bytes = element(OCTETS, &value);
            assert_eq!(Reader(&bytes).expect(OCTETS), Some(value.as_slice()));
        }
        for number in [0, 127, 128, 255, 256, 0x7fff_ffff] {
            let bytes = integer(number);
            assert_eq!(Reader(&bytes).integer(), Some(i64::from(number)));
        }
    }

    #[test]
    fn lengths_beyond_the_end_are_refused() {
        for bytes in [
            &[4, 5, 1][..],
            &[4, 0x84, 0xff, 0xff, 0xff, 0xff],
            &[4, 0x80],
            &[0x1f, 0],
        ] {
            assert!(Reader(bytes).next().is_none(), "{bytes:?}");
        }
        assert_eq!(number(&[0xff]), Some(-1));
        assert_eq!(number(&[0; 9]), None);
    }
}
