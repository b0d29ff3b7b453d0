//! DNS messages (RFC 1035) as far as DNS-SD over multicast needs them (RFC 6762, 6763).
//!
//! What comes from the network is read within bounds: a name has at most 255 bytes and its
//! pointers lead backwards only, a message at most [`RECORDS_MAX`] records.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// More than any answer holds that fits into a datagram and matters.
const RECORDS_MAX: usize = 256;
/// RFC 1035, section 3.1.
const NAME_BYTES_MAX: usize = 255;
/// Strings of a TXT record that are read.
const STRINGS_MAX: usize = 64;

const CLASS_IN: u16 = 1;
/// In a question: answer to me alone (RFC 6762, section 5.4).
const UNICAST: u16 = 0x8000;
const RESPONSE: u16 = 0x8000;

/// Types of records.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Type {
    /// An IPv4 address.
    A = 1,
    /// Another name.
    Ptr = 12,
    /// Strings.
    Txt = 16,
    /// An IPv6 address.
    Aaaa = 28,
    /// Host and port of a service.
    Srv = 33,
}

/// A name as its labels; ASCII letters are in lower case, for names are compared so.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name(Vec<String>);

/// What is said about a name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Record {
    pub(crate) name: Name,
    pub(crate) data: Data,
    /// It is true no longer (RFC 6762, section 10.1).
    pub(crate) is_goodbye: bool,
}

/// What a record holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Data {
    Address(IpAddr),
    /// The name and, for people, its labels as they were written.
    Pointer(Name, Vec<String>),
    Strings(Vec<String>),
    Service(Name, u16),
}

/// Bytes are no DNS message.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a DNS message")]
pub(crate) struct NotDns;

impl Name {
    /// From text whose labels have no dots in them.
    pub(crate) fn new(text: &str) -> Self {
        Self(text.split('.').map(str::to_ascii_lowercase).collect())
    }

    /// Whether it ends with the other one.
    pub(crate) fn is_below(&self, zone: &Self) -> bool {
        self.0.len() > zone.0.len() && self.0.ends_with(&zone.0)
    }

    /// How many labels it has.
    pub(crate) const fn len(&self) -> usize {
        self.0.len()
    }

    fn write(&self, out: &mut Vec<u8>) {
        for label in &self.0 {
            let bytes = label.as_bytes();
            let bytes = bytes.get(..63).unwrap_or(bytes);
            out.push(u8::try_from(bytes.len()).unwrap_or(0));
            out.extend_from_slice(bytes);
        }
        out.push(0);
    }
}

/// A query for all of `questions`, to be answered to the sender alone.
pub(crate) fn query(questions: &[(&Name, Type)]) -> Vec<u8> {
    let count = u16::try_from(questions.len()).unwrap_or(u16::MAX);
    let mut out = vec![0, 0, 0, 0];
    out.extend(count.to_be_bytes());
    out.extend([0; 6]);
    for (name, kind) in questions.iter().take(count.into()) {
        name.write(&mut out);
        out.extend((*kind as u16).to_be_bytes());
        out.extend((CLASS_IN | UNICAST).to_be_bytes());
    }
    out
}

/// The records of an answer; those of types that do not matter here are left out.
pub(crate) fn answer(message: &[u8]) -> Result<Vec<Record>, NotDns> {
    let mut reader = Reader { message, at: 0 };
    let [_id, flags, questions, answers, authorities, more] = reader.head()?;
    if flags & RESPONSE == 0 {
        return Err(NotDns);
    }
    for _ in 0..questions {
        reader.name()?;
        reader.u16()?;
        reader.u16()?;
    }
    let count = usize::from(answers) + usize::from(authorities) + usize::from(more);
    let mut records = Vec::new();
    for _ in 0..count.min(RECORDS_MAX) {
        records.extend(reader.record()?);
    }
    Ok(records)
}

struct Reader<'a> {
    message: &'a [u8],
    at: usize,
}

impl Reader<'_> {
    fn head(&mut self) -> Result<[u16; 6], NotDns> {
        let mut head = [0; 6];
        for field in &mut head {
            *field = self.u16()?;
        }
        Ok(head)
    }

    fn record(&mut self) -> Result<Option<Record>, NotDns> {
        let (name, _) = self.name()?;
        let kind = self.u16()?;
        let _class = self.u16()?;
        let is_goodbye = (self.u16()?, self.u16()?) == (0, 0);
        let length = usize::from(self.u16()?);
        let end = self.at.checked_add(length).ok_or(NotDns)?;
        let body = self.message.get(self.at..end).ok_or(NotDns)?;
        let data = match (kind, body) {
            (1, &[a, b, c, d]) => Some(Data::Address(Ipv4Addr::new(a, b, c, d).into())),
            (28, _) => <[u8; 16]>::try_from(body)
                .ok()
                .map(|bytes| Data::Address(Ipv6Addr::from(bytes).into())),
            (12, _) => {
                let (name, labels) = self.name()?;
                Some(Data::Pointer(name, labels))
            }
            (16, _) => Some(Data::Strings(strings(body))),
            (33, _) => {
                let (_priority, _weight, port) = (self.u16()?, self.u16()?, self.u16()?);
                Some(Data::Service(self.name()?.0, port))
            }
            _ => None,
        };
        self.at = end;
        Ok(data.map(|data| Record {
            name,
            data,
            is_goodbye,
        }))
    }

    /// A name, and its labels as they were written.
    fn name(&mut self) -> Result<(Name, Vec<String>), NotDns> {
        let (mut labels, mut written) = (Vec::new(), Vec::new());
        let (mut at, mut length) = (self.at, 0);
        // Where reading goes on, once a pointer was followed.
        let mut after = None;
        loop {
            let size = *self.message.get(at).ok_or(NotDns)?;
            match size {
                0 => break,
                1..=63 => {
                    let end = at + 1 + usize::from(size);
                    let label = self.message.get(at + 1..end).ok_or(NotDns)?;
                    length += label.len() + 1;
                    if length > NAME_BYTES_MAX {
                        return Err(NotDns);
                    }
                    let label = String::from_utf8_lossy(label);
                    labels.push(label.to_ascii_lowercase());
                    written.push(label.into_owned());
                    at = end;
                }
                0xC0.. => {
                    let low = *self.message.get(at + 1).ok_or(NotDns)?;
                    let to = usize::from(u16::from_be_bytes([size & 0x3F, low]));
                    if to >= at {
                        return Err(NotDns);
                    }
                    after.get_or_insert(at + 2);
                    at = to;
                }
                _ => return Err(NotDns),
            }
        }
        self.at = after.unwrap_or(at + 1);
        Ok((Name(labels), written))
    }

    fn u16(&mut self) -> Result<u16, NotDns> {
        let bytes = self.message.get(self.at..self.at + 2).ok_or(NotDns)?;
        self.at += 2;
        <[u8; 2]>::try_from(bytes)
            .map(u16::from_be_bytes)
            .map_err(|_two_bytes| NotDns)
    }
}

fn strings(mut body: &[u8]) -> Vec<String> {
    let mut all = Vec::new();
    while let Some((&size, rest)) = body.split_first() {
        let Some((text, rest)) = rest.split_at_checked(size.into()) else {
            break;
        };
        if all.len() < STRINGS_MAX {
            all.push(String::from_utf8_lossy(text).into_owned());
        }
        body = rest;
    }
    all
}

#[cfg(test)]
pub(crate) mod tests {
    use proptest::prelude::*;

    use super::*;

    /// An answer with these records, without compression.
    pub(crate) fn message(records: &[(&str, Type, Vec<u8>)]) -> Vec<u8> {
        let mut out = vec![0, 0, 0x84, 0, 0, 0];
        out.extend(u16::try_from(records.len()).unwrap().to_be_bytes());
        out.extend([0; 4]);
        for (name, kind, body) in records {
            out.extend(labels(name));
            out.extend((*kind as u16).to_be_bytes());
            out.extend([0x80, 1, 0, 0, 0, 120]);
            out.extend(u16::try_from(body.len()).unwrap().to_be_bytes());
            out.extend(body);
        }
        out
    }

    /// A name; `|` parts its labels, which may have dots.
    pub(crate) fn labels(name: &str) -> Vec<u8> {
        let mut out = Vec::new();
        for label in name.split('|') {
            out.push(u8::try_from(label.len()).unwrap());
            out.extend(label.as_bytes());
        }
        out.push(0);
        out
    }

    #[test]
    fn records_are_read() {
        let mut srv = vec![0, 0, 0, 0, 0x1F, 0x90];
        srv.extend(labels("MFP|local"));
        let read = answer(&message(&[
            (
                "_uscan|_tcp|local",
                Type::Ptr,
                labels("A.B|_uscan|_tcp|local"),
            ),
            ("x", Type::Srv, srv),
            ("MFP|local", Type::A, vec![10, 0, 0, 1]),
            ("x", Type::Txt, b"\x04rs=x\x03a=b".to_vec()),
        ]))
        .unwrap();
        let Data::Pointer(instance, written) = &read[0].data else {
            panic!("{read:?}");
        };
        assert!(instance.is_below(&Name::new("_uscan._tcp.local")) && written[0] == "A.B");
        assert_eq!(read[1].data, Data::Service(Name::new("mfp.local"), 8080));
        assert_eq!(read[2].data, Data::Address([10, 0, 0, 1].into()));
        assert_eq!(read[2].name, Name::new("mfp.local"));
        assert_eq!(
            read[3].data,
            Data::Strings(vec!["rs=x".into(), "a=b".into()])
        );
    }

    #[test]
    fn a_pointer_leads_back_and_never_in_circles() {
        let mut packed = message(&[("mfp|local", Type::A, vec![10, 0, 0, 1])]);
        packed[7] = 2;
        // "x", then where "mfp.local" stands.
        packed.extend([1, b'x', 0xC0, 12, 0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 10, 0, 0, 2]);
        assert_eq!(answer(&packed).unwrap()[1].name, Name::new("x.mfp.local"));
        for target in [12, 13, 40] {
            let mut circle = vec![0, 0, 0x84, 0, 0, 0, 0, 1, 0, 0, 0, 0];
            circle.extend([0xC0, target, 0, 1, 0, 1, 0, 0, 0, 0, 0, 0]);
            assert_eq!(answer(&circle), Err(NotDns), "{target}");
        }
    }

    #[test]
    fn a_query_is_no_answer() {
        let name = Name::new("_uscan._tcp.local");
        let asked = query(&[(&name, Type::Ptr), (&name, Type::Srv)]);
        assert_eq!(answer(&asked), Err(NotDns));
        assert_eq!(
            asked.len(),
            12 + 2 * (labels("_uscan|_tcp|local").len() + 4)
        );
    }

    proptest! {
        #[test]
        fn any_bytes_are_survived(mut bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Some(flags) = bytes.get_mut(2) {
                *flags |= 0x80;
            }
            let _read = answer(&bytes);
        }

        #[test]
        fn damaged_answers_are_survived(at in 0_usize..90, value: u8) {
            let mut srv = vec![0, 0, 0, 0, 0x1F, 0x90];
            srv.extend(labels("mfp|local"));
            let mut bytes = message(&[("a|b", Type::Srv, srv), ("a", Type::Txt, vec![1, 2])]);
            if let Some(byte) = bytes.get_mut(at) {
                *byte = value;
            }
            let _read = answer(&bytes);
        }
    }
}
