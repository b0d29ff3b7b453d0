//! Reads the small XML documents of scanners into a tree, within bounds.
//!
//! Scanners differ in prefixes and put known names into wrong namespaces, so that elements are
//! known by their local names alone. A document type is refused, and with it every entity but the
//! five of XML; the tree has at most [`DEPTH_MAX`] levels and [`ELEMENTS_MAX`] elements.

use std::borrow::Cow;

/// The longest document: the largest seen in the field has 60 kB.
pub(crate) const DOCUMENT_BYTES_MAX: usize = 1024 * 1024;
/// Real documents have 10 levels.
const DEPTH_MAX: usize = 32;
/// Real documents have 1,500 elements; each takes about 100 bytes here.
const ELEMENTS_MAX: usize = 20_000;
/// Real elements have 3.
const ATTRIBUTES_MAX: usize = 32;

/// An element and what is in it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Element {
    /// The name without its prefix.
    pub(crate) name: String,
    /// Names without their prefixes, and values.
    attributes: Vec<(String, String)>,
    /// All text directly inside, trimmed.
    pub(crate) text: String,
    children: Vec<Self>,
}

/// A document cannot be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum XmlError {
    /// Longer than [`DOCUMENT_BYTES_MAX`].
    #[error("the document is longer than 1 MiB")]
    TooLong,
    /// More levels or elements than any scanner sends.
    #[error("the document has too many elements")]
    TooMuch,
    /// It has a document type, which no scanner needs.
    #[error("the document has a document type")]
    DocumentType,
    /// It is no XML.
    #[error("the document is not XML, at byte {0}")]
    Malformed(usize),
}

impl Element {
    /// The first child of that name.
    pub(crate) fn child(&self, name: &str) -> Option<&Self> {
        self.children.iter().find(|child| child.name == name)
    }

    /// Every child of that name.
    pub(crate) fn children<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Self> {
        self.children.iter().filter(move |child| child.name == name)
    }

    /// Every element below of that name, however deep.
    pub(crate) fn below<'a>(&'a self, name: &'a str) -> Vec<&'a Self> {
        let mut found = Vec::new();
        let mut left: Vec<&Self> = self.children.iter().rev().collect();
        while let Some(element) = left.pop() {
            if element.name == name {
                found.push(element);
            }
            left.extend(element.children.iter().rev());
        }
        found
    }

    /// The text of the first child of that name; none when there is none or it is empty.
    pub(crate) fn text_of(&self, name: &str) -> Option<&str> {
        self.child(name)
            .map(|child| child.text.as_str())
            .filter(|text| !text.is_empty())
    }

    /// The text of the first child of that name as a number.
    pub(crate) fn number(&self, name: &str) -> Option<u32> {
        let text = self.text_of(name)?;
        let whole = text.split_once('.').map_or(text, |(whole, _)| whole);
        whole.parse().ok()
    }

    /// An attribute.
    pub(crate) fn attribute(&self, name: &str) -> Option<&str> {
        self.attributes
            .iter()
            .find(|(known, _)| known == name)
            .map(|(_, value)| value.as_str())
    }
}

/// Reads a document.
pub(crate) fn parse(bytes: &[u8]) -> Result<Element, XmlError> {
    if bytes.len() > DOCUMENT_BYTES_MAX {
        return Err(XmlError::TooLong);
    }
    let text = text_of(bytes);
    let mut reader = Reader {
        text: text.trim_start_matches('\u{feff}'),
        at: 0,
        open: Vec::new(),
        elements: 0,
    };
    loop {
        if let Some(root) = reader.step()? {
            return Ok(root);
        }
    }
}

/// The document as text: UTF-8, or UTF-16 as its first bytes tell (XML 1.0, appendix F).
fn text_of(bytes: &[u8]) -> Cow<'_, str> {
    let units = |number: fn([u8; 2]) -> u16| {
        let pairs = bytes.chunks_exact(2);
        let units = pairs.filter_map(|pair| pair.try_into().ok()).map(number);
        char::decode_utf16(units)
            .map(|symbol| symbol.unwrap_or(char::REPLACEMENT_CHARACTER))
            .collect()
    };
    match bytes {
        [0xFF, 0xFE, ..] | [b'<', 0, ..] => Cow::Owned(units(u16::from_le_bytes)),
        [0xFE, 0xFF, ..] | [0, b'<', ..] => Cow::Owned(units(u16::from_be_bytes)),
        _ => String::from_utf8_lossy(bytes),
    }
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
    /// From the root to where we are.
    open: Vec<Element>,
    elements: usize,
}

impl<'a> Reader<'a> {
    /// Reads text and one tag; the root when it is complete. What follows it is not read.
    fn step(&mut self) -> Result<Option<Element>, XmlError> {
        let text = self.until("<")?;
        if let Some(open) = self.open.last_mut() {
            append(&mut open.text, &decoded(text));
        }
        let rest = self.rest();
        if rest.starts_with("!--") {
            self.until("-->")?;
        } else if rest.starts_with("![CDATA[") {
            let raw = self.until("]]>")?;
            let raw = raw.strip_prefix("![CDATA[").unwrap_or(raw);
            if let Some(open) = self.open.last_mut() {
                append(&mut open.text, raw);
            }
        } else if rest.starts_with('!') {
            return Err(XmlError::DocumentType);
        } else if rest.starts_with('?') {
            self.until("?>")?;
        } else if rest.starts_with('/') {
            return self.end_tag();
        } else {
            return self.start_tag();
        }
        Ok(None)
    }

    fn start_tag(&mut self) -> Result<Option<Element>, XmlError> {
        let malformed = XmlError::Malformed(self.at);
        let tag = self.tag()?;
        let (tag, closed) = match tag.strip_suffix('/') {
            Some(tag) => (tag, true),
            None => (tag, false),
        };
        let end = tag.find(char::is_whitespace).unwrap_or(tag.len());
        let (name, rest) = tag.split_at_checked(end).ok_or(malformed)?;
        if name.is_empty() {
            return Err(malformed);
        }
        self.elements += 1;
        if self.elements > ELEMENTS_MAX || self.open.len() >= DEPTH_MAX {
            return Err(XmlError::TooMuch);
        }
        self.open.push(Element {
            name: local(name).to_owned(),
            attributes: attributes(rest).ok_or(malformed)?,
            ..Element::default()
        });
        if closed { self.close() } else { Ok(None) }
    }

    fn end_tag(&mut self) -> Result<Option<Element>, XmlError> {
        let malformed = XmlError::Malformed(self.at);
        let tag = self.tag()?;
        let name = local(tag.trim_start_matches('/').trim());
        if self.open.last().is_none_or(|open| open.name != name) {
            return Err(malformed);
        }
        self.close()
    }

    /// The innermost open element is complete.
    fn close(&mut self) -> Result<Option<Element>, XmlError> {
        let mut element = self.open.pop().ok_or(XmlError::Malformed(self.at))?;
        let trimmed = element.text.trim();
        if trimmed.len() != element.text.len() {
            element.text = trimmed.to_owned();
        }
        match self.open.last_mut() {
            Some(parent) => {
                parent.children.push(element);
                Ok(None)
            }
            None => Ok(Some(element)),
        }
    }

    /// What stands in a tag, up to its `>`; one in quotes does not end it.
    fn tag(&mut self) -> Result<&'a str, XmlError> {
        let mut quote = None;
        let rest = self.rest();
        for (index, symbol) in rest.char_indices() {
            match (quote, symbol) {
                (None, '>') => {
                    self.at += index + 1;
                    return rest.get(..index).ok_or(XmlError::Malformed(self.at));
                }
                (None, '"' | '\'') => quote = Some(symbol),
                (Some(open), _) if open == symbol => quote = None,
                _ => {}
            }
        }
        Err(XmlError::Malformed(self.at))
    }

    /// The text before the next `end`, which is passed over as well.
    fn until(&mut self, end: &str) -> Result<&'a str, XmlError> {
        let rest = self.rest();
        let (before, _) = rest.split_once(end).ok_or(XmlError::Malformed(self.at))?;
        self.at += before.len() + end.len();
        Ok(before)
    }

    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }
}

fn append(to: &mut String, text: &str) {
    // White space between elements is most of a document.
    if !to.is_empty() || !text.trim().is_empty() {
        to.push_str(text);
    }
}

fn local(name: &str) -> &str {
    name.rsplit_once(':').map_or(name, |(_, local)| local)
}

/// `name="value" ...`, without the declarations of namespaces.
fn attributes(text: &str) -> Option<Vec<(String, String)>> {
    let mut found = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let (name, after) = rest.split_once('=')?;
        let after = after.trim_start();
        let quote = after.chars().next().filter(|it| matches!(it, '"' | '\''))?;
        let (value, after) = after.get(1..)?.split_once(quote)?;
        let name = name.trim();
        if !name.starts_with("xmlns") {
            if found.len() >= ATTRIBUTES_MAX {
                return None;
            }
            found.push((local(name).to_owned(), decoded(value).into_owned()));
        }
        rest = after.trim_start();
    }
    Some(found)
}

/// Text with the entities of XML replaced; an unknown one stays as it is.
fn decoded(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        out.push_str(before);
        let entity = after.split_once(';').and_then(|(name, after)| {
            let symbol = entity(name)?;
            Some((symbol, after))
        });
        match entity {
            Some((symbol, after)) => {
                out.push(symbol);
                rest = after;
            }
            None => {
                out.push('&');
                rest = after;
            }
        }
    }
    out.push_str(rest);
    Cow::Owned(out)
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "lt" => '<',
        "gt" => '>',
        "amp" => '&',
        "quot" => '"',
        "apos" => '\'',
        _ => {
            let code = name.strip_prefix('#')?;
            let code = match code.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => code.parse().ok()?,
            };
            char::from_u32(code)?
        }
    })
}

/// Text as it may stand between tags.
pub(crate) fn escaped(text: &str) -> Cow<'_, str> {
    if !text.contains(['&', '<', '>']) {
        return Cow::Borrowed(text);
    }
    let text = text.replace('&', "&amp;").replace('<', "&lt;");
    Cow::Owned(text.replace('>', "&gt;"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn names_are_known_without_prefix_and_namespace() {
        for text in [
            "<s:A xmlns:s='urn:x'><s:B> 7 </s:B></s:A>",
            "<A xmlns=\"urn:x\"><B>7</B></A>",
            "\u{feff}<?xml version=\"1.0\"?>\n<!-- > --><x:A><B><![CDATA[7]]></B></x:A> rest",
        ] {
            let root = parse(text.as_bytes()).unwrap();
            assert_eq!((root.name.as_str(), root.number("B")), ("A", Some(7)));
        }
    }

    #[test]
    fn utf_16_is_read_with_and_without_its_mark() {
        let text = "<?xml version=\"1.0\" encoding=\"UTF-16\"?><A><B>\u{fc}\u{1f5a8}</B></A>";
        for mark in ["\u{feff}", ""] {
            let units: Vec<u16> = format!("{mark}{text}").encode_utf16().collect();
            let little: Vec<u8> = units.iter().flat_map(|it| it.to_le_bytes()).collect();
            let big: Vec<u8> = units.iter().flat_map(|it| it.to_be_bytes()).collect();
            for bytes in [&little, &big] {
                let root = parse(bytes).unwrap();
                assert_eq!(root.text_of("B"), Some("\u{fc}\u{1f5a8}"));
                assert!(parse(&bytes[..bytes.len() - 7]).is_err());
            }
        }
    }

    #[test]
    fn entities_and_attributes_are_read() {
        let root = parse(b"<a p:ref='x &gt; y' b = \"2\"><c>&lt;&#65;&#x42;&amp;&no;</c><d/></a>");
        let root = root.unwrap();
        assert_eq!(root.attribute("ref"), Some("x > y"));
        assert_eq!(root.attribute("b"), Some("2"));
        assert_eq!(root.text_of("c"), Some("<AB&&no;"));
        assert_eq!(root.text_of("d"), None);
        assert!(root.child("d").is_some());
    }

    #[test]
    fn a_document_type_is_refused_before_anything_is_expanded() {
        let bomb = b"<?xml version='1.0'?><!DOCTYPE a [<!ENTITY b 'bbbb'>]><a>&b;</a>";
        assert_eq!(parse(bomb), Err(XmlError::DocumentType));
    }

    #[test]
    fn depth_number_and_length_are_limited() {
        assert_eq!(parse("<a>".repeat(33).as_bytes()), Err(XmlError::TooMuch));
        let many = format!("<a>{}</a>", "<b/>".repeat(20_001));
        assert_eq!(parse(many.as_bytes()), Err(XmlError::TooMuch));
        let long = vec![b' '; DOCUMENT_BYTES_MAX + 1];
        assert_eq!(parse(&long), Err(XmlError::TooLong));
    }

    #[test]
    fn what_is_cut_or_crossed_is_not_xml() {
        let whole = "<a b='1'><c>x</c><d/></a>";
        for end in 0..whole.len() {
            assert!(parse(&whole.as_bytes()[..end]).is_err(), "{end}");
        }
        for text in ["<a></b>", "</a>", "<>", "<a b></a>", "x"] {
            assert!(parse(text.as_bytes()).is_err(), "{text}");
        }
    }

    #[test]
    fn elements_below_come_in_their_order() {
        let root = parse(b"<a><b><c>1</c></b><c>2</c><b><d><c>3</c></d></b></a>").unwrap();
        let texts: Vec<_> = root.below("c").iter().map(|c| c.text.clone()).collect();
        assert_eq!(texts, ["1", "2", "3"]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _read = parse(&bytes);
        }

        #[test]
        fn near_xml_is_survived(text in "[<>/a-c!?='\"& \\[\\]-]{0,60}") {
            let _read = parse(text.as_bytes());
        }

        #[test]
        fn text_is_read_as_it_was_escaped(text in "[^\u{0}-\u{1f} ][^\u{0}-\u{1f}]{0,30}[^\u{0}-\u{1f} ]") {
            let document = format!("<a>{}</a>", escaped(&text));
            prop_assert_eq!(parse(document.as_bytes()).unwrap().text, text.trim());
        }
    }
}
