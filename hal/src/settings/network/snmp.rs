//! Questions and answers of SNMP versions 1, 2c and 3 (RFC 1157, 3416, 3412, 3414). Only `get` and
//! `get-next` are ever asked; nothing here can set a value.

use zeroize::Zeroizing;

use super::tlv::{INTEGER, NULL, OCTETS, OID, Reader, SEQUENCE, element, integer, number};

pub(super) const GET: u8 = 0xa0;
pub(super) const GET_NEXT: u8 = 0xa1;
const RESPONSE: u8 = 0xa2;
const REPORT: u8 = 0xa8;
/// Types of RFC 2578.
const COUNTER32: u8 = 0x41;
const TIME_TICKS: u8 = 0x43;
/// Most values of an answer that are looked at.
const BINDINGS_MAX: usize = 64;

/// A version that sends the community's name in clear.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    V1,
    V2c,
}

/// A name in the tree of objects, as its BER bytes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ObjectId(Vec<u8>);

impl ObjectId {
    /// From numbers: at least two, the first below 3.
    pub(super) fn new(numbers: &[u32]) -> Self {
        let mut bytes = Vec::new();
        if let [first, second, rest @ ..] = numbers {
            bytes.push((first * 40 + second) as u8);
            for number in rest {
                let groups = (32 - number.leading_zeros()).div_ceil(7).max(1);
                for group in (0..groups).rev() {
                    let more = if group > 0 { 0x80 } else { 0 };
                    bytes.push((number >> (group * 7)) as u8 & 0x7f | more);
                }
            }
        }
        Self(bytes)
    }

    pub(super) fn is_below(&self, above: &Self) -> bool {
        self.0.starts_with(&above.0)
    }

    /// The numbers that follow those of another name.
    pub(super) fn below(&self, above: &Self) -> Option<Vec<u32>> {
        let (mut numbers, mut number) = (Vec::new(), 0_u32);
        let bytes = self.0.strip_prefix(above.0.as_slice())?;
        for byte in bytes {
            number = number.checked_mul(128)? | u32::from(byte & 0x7f);
            if byte & 0x80 == 0 {
                numbers.push(std::mem::take(&mut number));
            }
        }
        let is_cut = bytes.last().is_some_and(|it| it & 0x80 != 0);
        (!is_cut).then_some(numbers)
    }
}

/// A value of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Value {
    /// A number, a counter or a time.
    Integer(i64),
    Octets(Vec<u8>),
    /// Another type; present.
    Other,
    /// `noSuchObject`, `noSuchInstance`, `endOfMibView` or null.
    Absent,
}

/// A question under a community's name.
pub(super) fn question(
    version: Version,
    community: &[u8],
    kind: u8,
    id: u32,
    objects: &[ObjectId],
) -> Zeroizing<Vec<u8>> {
    let version = match version {
        Version::V1 => 0,
        Version::V2c => 1,
    };
    // The community may be a secret: no copy of it stays in memory.
    let community = Zeroizing::new(element(OCTETS, community));
    let parts = [&integer(version), &*community, &pdu(kind, id, objects)];
    let parts = Zeroizing::new(parts.map(Vec::as_slice).concat());
    Zeroizing::new(element(SEQUENCE, &parts))
}

fn pdu(kind: u8, id: u32, objects: &[ObjectId]) -> Vec<u8> {
    let binding = |it: &ObjectId| {
        let parts = [element(OID, &it.0), element(NULL, &[])];
        element(SEQUENCE, &parts.concat())
    };
    let bindings: Vec<Vec<u8>> = objects.iter().map(binding).collect();
    let bindings = element(SEQUENCE, &bindings.concat());
    element(
        kind,
        &[integer(id), integer(0), integer(0), bindings].concat(),
    )
}

/// A question of version 3 without a key: with an empty engine it only asks for the engine's id.
pub(super) fn question_v3(id: u32, engine: &[u8], user: &str, objects: &[ObjectId]) -> Vec<u8> {
    const REPORTABLE: u8 = 4;
    const USM: u32 = 3;
    let header = [
        integer(id),
        integer(65_507),
        element(OCTETS, &[REPORTABLE]),
        integer(USM),
    ];
    let usm = [
        element(OCTETS, engine),
        integer(0),
        integer(0),
        element(OCTETS, user.as_bytes()),
        element(OCTETS, &[]),
        element(OCTETS, &[]),
    ];
    let scoped = [
        element(OCTETS, engine),
        element(OCTETS, &[]),
        pdu(GET, id, objects),
    ];
    let parts = [
        integer(3),
        element(SEQUENCE, &header.concat()),
        element(OCTETS, &element(SEQUENCE, &usm.concat())),
        element(SEQUENCE, &scoped.concat()),
    ];
    element(SEQUENCE, &parts.concat())
}

/// The values of an answer to question `id`; `None` when it is not one. What version 1 calls
/// `noSuchName` is that nothing has a value; one that tells another error has no values.
pub(super) fn answer(bytes: &[u8], id: u32) -> Option<Vec<(ObjectId, Value)>> {
    let mut message = Reader(bytes).enter(SEQUENCE)?;
    if message.integer()? > 1 {
        return None;
    }
    let _community = message.expect(OCTETS)?;
    bindings(message.enter(RESPONSE)?, id)
}

/// An answer of version 3 without a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum AnswerV3 {
    /// The engine tells its id, and that the question was not good enough.
    Report { engine: Vec<u8> },
    /// Values were given without authentication.
    Values(Vec<(ObjectId, Value)>),
}

/// What version 3 answered to question `id`; `None` when it is not such an answer.
pub(super) fn answer_v3(bytes: &[u8], id: u32) -> Option<AnswerV3> {
    let mut message = Reader(bytes).enter(SEQUENCE)?;
    if message.integer()? != 3 {
        return None;
    }
    let mut header = message.enter(SEQUENCE)?;
    if header.integer()? != i64::from(id) {
        return None;
    }
    let usm = message.expect(OCTETS)?;
    let engine = Reader(usm).enter(SEQUENCE)?.expect(OCTETS)?;
    let mut scoped = message.enter(SEQUENCE)?;
    let (_engine, _name) = (scoped.expect(OCTETS)?, scoped.expect(OCTETS)?);
    match scoped.next()? {
        (REPORT, _) => Some(AnswerV3::Report {
            engine: engine.to_vec(),
        }),
        (RESPONSE, pdu) => bindings(Reader(pdu), id).map(AnswerV3::Values),
        _ => None,
    }
}

fn bindings(mut pdu: Reader<'_>, id: u32) -> Option<Vec<(ObjectId, Value)>> {
    const NO_SUCH_NAME: i64 = 2;
    let (found, status, _index) = (pdu.integer()?, pdu.integer()?, pdu.integer()?);
    if found != i64::from(id) {
        return None;
    }
    let mut values = Vec::new();
    if ![0, NO_SUCH_NAME].contains(&status) {
        return Some(values);
    }
    let mut list = pdu.enter(SEQUENCE)?;
    while values.len() < BINDINGS_MAX
        && let Some(mut binding) = list.enter(SEQUENCE)
    {
        let object = ObjectId(binding.expect(OID)?.to_vec());
        let value = match binding.next()? {
            _ if status == NO_SUCH_NAME => Value::Absent,
            (INTEGER | COUNTER32 | TIME_TICKS, bytes) => Value::Integer(number(bytes)?),
            (OCTETS, bytes) => Value::Octets(bytes.to_vec()),
            (NULL | 0x80..=0x82, _) => Value::Absent,
            _ => Value::Other,
        };
        values.push((object, value));
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_is_what_the_standard_prints() {
        let name = ObjectId::new(&[1, 3, 6, 1, 2, 1, 1, 1, 0]);
        assert_eq!(
            *question(Version::V2c, b"public", GET, 1, &[name]),
            [
                0x30, 0x26, 2, 1, 1, 4, 6, b'p', b'u', b'b', b'l', b'i', b'c', 0xa0, 0x19, 2, 1, 1,
                2, 1, 0, 2, 1, 0, 0x30, 0x0e, 0x30, 0x0c, 6, 8, 0x2b, 6, 1, 2, 1, 1, 1, 0, 5, 0
            ]
        );
        let large = ObjectId::new(&[1, 3, 2699, 127, 128]);
        assert_eq!(large.0, [0x2b, 0x95, 0x0b, 0x7f, 0x81, 0x00]);
        let below = |name: &[u8]| ObjectId(name.to_vec()).below(&ObjectId::new(&[1, 3]));
        assert_eq!(below(&large.0), Some(vec![2699, 127, 128]));
        assert_eq!(
            below(&[0x2b, 0x8f, 0xff, 0xff, 0xff, 0x7f]),
            Some(vec![u32::MAX])
        );
        for (what, name) in [
            ("cut", &[0x2b, 0x95][..]),
            ("too large", &[0x2b, 0x90, 0x80, 0x80, 0x80, 0x00]),
            ("elsewhere", &[0x2a, 1]),
        ] {
            assert_eq!(below(name), None, "{what}");
        }
    }

    /// A question turned into its answer.
    fn response(id: u32, value: &[u8]) -> Vec<u8> {
        response_of(id, 0, value)
    }

    fn response_of(id: u32, status: u32, value: &[u8]) -> Vec<u8> {
        let name = element(OID, &ObjectId::new(&[1, 3, 6]).0);
        let binding = element(SEQUENCE, &[name, value.to_vec()].concat());
        let list = element(SEQUENCE, &binding);
        let pdu = element(
            RESPONSE,
            &[integer(id), integer(status), integer(0), list].concat(),
        );
        element(
            SEQUENCE,
            &[integer(1), element(OCTETS, b"public"), pdu].concat(),
        )
    }

    #[test]
    fn an_answer_belongs_to_its_question() {
        let bytes = response(9, &integer(3));
        let values = answer(&bytes, 9).unwrap();
        assert_eq!(values[0].1, Value::Integer(3));
        assert_eq!(answer(&bytes, 8), None);
        let absent = response(9, &element(0x81, &[]));
        assert_eq!(answer(&absent, 9).unwrap()[0].1, Value::Absent);
    }

    #[test]
    fn an_error_is_an_answer_without_values() {
        let of_status = |status| answer(&response_of(9, status, &integer(3)), 9).unwrap();
        assert_eq!(of_status(2)[0].1, Value::Absent);
        for status in [1, 3, 5, 6, 16, 18] {
            assert_eq!(of_status(status), [], "{status}");
        }
    }

    #[test]
    fn an_answer_cut_short_is_none() {
        let bytes = response(9, &element(OCTETS, b"x"));
        for end in 0..bytes.len() {
            assert_eq!(answer(&bytes[..end], 9), None, "{end}");
        }
    }
}
