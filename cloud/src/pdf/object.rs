//! Reads and writes the objects of a PDF (ISO 32000-1, section 7.3) without understanding them: what
//! is no array, dictionary or reference stays the bytes that it was.

use thiserror::Error;

/// An object that lies in a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Object<'a> {
    /// A number, string, name, or one of `true`, `false` and `null`.
    Raw(&'a [u8]),
    /// `[...]`.
    Array(Vec<Self>),
    /// `<<...>>`: names with their slash.
    Dictionary(Vec<(&'a [u8], Self)>),
    /// `12 0 R`.
    Reference(u32),
}

/// The bytes are no object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("no object")]
pub(super) struct NoObject;

impl<'a> Object<'a> {
    /// The value of a dictionary's key, given with its slash.
    pub(super) fn get(&self, key: &[u8]) -> Option<&Self> {
        let Self::Dictionary(entries) = self else {
            return None;
        };
        entries
            .iter()
            .find(|(name, _)| *name == key)
            .map(|it| &it.1)
    }

    /// Whether the dictionary's key has this name for a value.
    pub(super) fn is(&self, key: &[u8], name: &[u8]) -> bool {
        self.get(key) == Some(&Object::Raw(name))
    }

    pub(super) fn number(&self) -> Option<f64> {
        let Self::Raw(text) = self else { return None };
        let number = str::from_utf8(text).ok()?.parse::<f64>().ok()?;
        number.is_finite().then_some(number)
    }

    pub(super) fn integer(&self) -> Option<usize> {
        let Self::Raw(text) = self else { return None };
        str::from_utf8(text).ok()?.parse().ok()
    }

    pub(super) fn reference(&self) -> Option<u32> {
        match self {
            Self::Reference(number) => Some(*number),
            _ => None,
        }
    }

    /// Appends the object. `renumber` tells the new number of one that it refers to, or that there
    /// is none, which is the same as `null`.
    pub(super) fn write(&self, out: &mut Vec<u8>, renumber: &mut dyn FnMut(u32) -> Option<usize>) {
        match self {
            Self::Raw(text) => out.extend_from_slice(text),
            Self::Reference(number) => match renumber(*number) {
                Some(number) => out.extend_from_slice(format!("{number} 0 R").as_bytes()),
                None => out.extend_from_slice(b"null"),
            },
            Self::Array(items) => {
                out.push(b'[');
                for item in items {
                    item.write(out, renumber);
                    out.push(b' ');
                }
                out.push(b']');
            }
            Self::Dictionary(entries) => {
                out.extend_from_slice(b"<<");
                for (name, value) in entries {
                    out.extend_from_slice(name);
                    out.push(b' ');
                    value.write(out, renumber);
                }
                out.extend_from_slice(b">>");
            }
        }
    }
}

/// Goes through bytes that hold objects.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Cursor<'a> {
    pub(super) const fn new(bytes: &'a [u8], at: usize) -> Self {
        Self { bytes, at }
    }

    /// Where it is.
    pub(super) const fn at(&self) -> usize {
        self.at
    }

    /// Reads an object and goes behind it.
    pub(super) fn object(&mut self) -> Result<Object<'a>, NoObject> {
        // One object is short: what is long in a PDF is a stream.
        let end = self.at.saturating_add(OBJECT_BYTES_MAX);
        let bytes = self.bytes;
        self.bytes = bytes.get(..end.min(bytes.len())).ok_or(NoObject)?;
        let read = self.nested(DEPTH_MAX);
        self.bytes = bytes;
        read
    }

    /// Goes over `word` if it is next.
    pub(super) fn word(&mut self, word: &[u8]) -> bool {
        self.space();
        let found = self.rest().starts_with(word);
        if found {
            self.at += word.len();
        }
        found
    }

    fn nested(&mut self, depth: u32) -> Result<Object<'a>, NoObject> {
        self.space();
        let start = self.at;
        let depth = depth.checked_sub(1).ok_or(NoObject)?;
        match self.rest() {
            [b'<', b'<', ..] => {
                self.at += 2;
                let mut entries = Vec::new();
                while !self.word(b">>") {
                    let name = self.name()?;
                    entries.push((name, self.nested(depth)?));
                }
                return Ok(Object::Dictionary(entries));
            }
            [b'[', ..] => {
                self.at += 1;
                let mut items = Vec::new();
                while !self.word(b"]") {
                    items.push(self.nested(depth)?);
                }
                return Ok(Object::Array(items));
            }
            [b'<', ..] => {
                self.run(|byte| byte != b'>');
                self.at += 1;
            }
            [b'(', ..] => self.text()?,
            [b'/', ..] => drop(self.name()?),
            [b'0'..=b'9', ..] => {
                if let Some(reference) = self.reference() {
                    return Ok(reference);
                }
                self.run(is_number);
            }
            [b'+' | b'-' | b'.', ..] => self.run(is_number),
            _ => {
                let words: [&[u8]; 3] = [b"true", b"false", b"null"];
                if !words.into_iter().any(|word| self.word(word)) {
                    return Err(NoObject);
                }
            }
        }
        self.bytes
            .get(start..self.at)
            .map(Object::Raw)
            .ok_or(NoObject)
    }

    fn name(&mut self) -> Result<&'a [u8], NoObject> {
        self.space();
        let start = self.at;
        if !self.word(b"/") {
            return Err(NoObject);
        }
        self.run(|byte| !is_space(byte) && !DELIMITERS.contains(&byte));
        self.bytes.get(start..self.at).ok_or(NoObject)
    }

    /// `(...)` with balanced parentheses.
    fn text(&mut self) -> Result<(), NoObject> {
        let mut open = 0_u32;
        loop {
            let byte = *self.bytes.get(self.at).ok_or(NoObject)?;
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'(' => open += 1,
                b')' => open -= 1,
                _ => {}
            }
            if open == 0 {
                return Ok(());
            }
        }
    }

    fn reference(&mut self) -> Option<Object<'a>> {
        let mut ahead = *self;
        let number = ahead.digits()?;
        ahead.digits()?;
        if !ahead.word(b"R") {
            return None;
        }
        *self = ahead;
        Some(Object::Reference(number))
    }

    /// A number without a sign.
    pub(super) fn digits(&mut self) -> Option<u32> {
        self.space();
        let start = self.at;
        self.run(|byte| byte.is_ascii_digit());
        str::from_utf8(self.bytes.get(start..self.at)?)
            .ok()?
            .parse()
            .ok()
    }

    /// Goes over white space and comments.
    pub(super) fn space(&mut self) {
        loop {
            self.run(is_space);
            if !self.rest().starts_with(b"%") {
                return;
            }
            self.run(|byte| byte != b'\n' && byte != b'\r');
        }
    }

    fn run(&mut self, is_of_it: impl Fn(u8) -> bool) {
        let rest = self.rest();
        let length = rest.iter().position(|byte| !is_of_it(*byte));
        self.at += length.unwrap_or(rest.len());
    }

    fn rest(&self) -> &'a [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }
}

const fn is_space(byte: u8) -> bool {
    matches!(byte, 0 | b'\t' | b'\n' | 0x0C | b'\r' | b' ')
}

const fn is_number(byte: u8) -> bool {
    byte.is_ascii_digit() || matches!(byte, b'+' | b'-' | b'.')
}

const DELIMITERS: &[u8] = b"()<>[]{}/%";
/// Arrays in arrays; scanners need five.
const DEPTH_MAX: u32 = 40;
/// The largest objects that are no streams are lists of ten thousand pages: 100 kB.
const OBJECT_BYTES_MAX: usize = 1 << 20;

#[cfg(test)]
mod tests {
    use super::*;

    fn again(text: &str) -> Option<String> {
        let mut cursor = Cursor::new(text.as_bytes(), 0);
        let object = cursor.object().ok()?;
        let mut out = Vec::new();
        object.write(&mut out, &mut |number| {
            (number < 50).then_some(number as usize + 100)
        });
        Some(String::from_utf8(out).unwrap())
    }

    #[test]
    fn objects_keep_their_bytes_and_references_get_new_numbers() {
        for (given, written) in [
            ("  <</A 1/B[2 0 R 3 4]>>", "<</A 1/B [102 0 R 3 4 ]>>"),
            (
                "<</S (a\\)(b)) /H <0 aF> /N/x#20y>>",
                "<</S (a\\)(b))/H <0 aF>/N /x#20y>>",
            ),
            ("[-1.5 .5 true null 99 0 R]", "[-1.5 .5 true null null ]"),
            ("% no\n<< % here\r /K/V >>", "<</K /V>>"),
            ("7 0 obj", "7"),
        ] {
            assert_eq!(again(given).as_deref(), Some(written), "{given}");
        }
    }

    #[test]
    fn what_is_open_or_too_deep_is_no_object() {
        for text in [
            "", "<<", "<</A", "[1 2", "(a", "<12", ">>", "endobj", "<<1 2>>", "(\\",
        ] {
            assert_eq!(again(text), None, "{text}");
        }
        assert_eq!(again(&"[".repeat(100_000)), None);
        let long = format!("({})", "x".repeat(OBJECT_BYTES_MAX));
        assert_eq!(again(&long), None);
    }
}
