//! A way into the tables of SNMP: a version and a community that the device answers to. Rows are
//! read one by one, as many as the reader says at most.

use zeroize::Zeroize as _;

use super::community::Community;
use super::snmp::{self, ObjectId, Value, Version};
use super::wire::{Datagram, Wire};

/// Names of communities from the factory. Only asked with, never set with.
pub(super) const FACTORY: [&[u8]; 2] = [b"public", b"private"];
/// `sysDescr` of RFC 3418, which every agent has.
pub(super) const SYS_DESCR: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 1, 0];

/// For how long tables of one address are read, from its first answer on.
const TABLES_MS: u64 = 60_000;

/// What came back at most, of several questions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Heard {
    #[default]
    Silence,
    /// The host says that nobody listens for SNMP.
    Refusal,
    /// Something that is no answer to the question.
    Strange,
    Answer,
}

/// What the device answers to. The community may be a secret: it is never printed.
pub(super) struct Access<'a> {
    port: u16,
    version: Version,
    community: &'a [u8],
    /// When no more rows are asked for.
    until_ms: u64,
}

/// Rows of a table: the name of the first column's cell, and the values of all columns.
#[derive(Debug)]
pub(super) struct Rows {
    pub(super) rows: Vec<(ObjectId, Vec<Value>)>,
    /// The device said that no more follow.
    pub(super) is_whole: bool,
}

impl<'a> Access<'a> {
    /// With the operator's community, else with one from the factory.
    pub(super) fn open(
        wire: &mut dyn Wire,
        port: u16,
        community: Option<&'a Community>,
    ) -> Option<Self> {
        let own = community.map(Community::as_bytes);
        let all: Vec<&[u8]> = own.into_iter().chain(FACTORY).collect();
        Self::find(wire, port, &all).ok()
    }

    /// With the first of these communities that is answered; the newer version first.
    pub(super) fn find(
        wire: &mut dyn Wire,
        port: u16,
        communities: &[&'a [u8]],
    ) -> Result<Self, Heard> {
        let mut heard = Heard::Silence;
        for community in communities {
            for version in [Version::V2c, Version::V1] {
                let until_ms = wire.now_ms() + TABLES_MS;
                let access = Self {
                    port,
                    version,
                    community,
                    until_ms,
                };
                let object = [ObjectId::new(SYS_DESCR)];
                match access.exchange(wire, snmp::GET, 1, &object) {
                    Ok(_description) => return Ok(access),
                    Err(other) => heard = heard.max(other),
                }
            }
        }
        Err(heard)
    }

    fn exchange(
        &self,
        wire: &mut dyn Wire,
        kind: u8,
        id: u32,
        objects: &[ObjectId],
    ) -> Result<Vec<(ObjectId, Value)>, Heard> {
        let question = snmp::question(self.version, self.community, kind, id, objects);
        match wire.ask(self.port, &question) {
            Datagram::Answer(mut bytes) => {
                let values = snmp::answer(&bytes, id);
                // It repeats the community.
                bytes.zeroize();
                values.ok_or(Heard::Strange)
            }
            Datagram::Refused => Err(Heard::Refusal),
            Datagram::Silent => Err(Heard::Silence),
        }
    }

    /// Names and values of the answer to one question.
    pub(super) fn ask(
        &self,
        wire: &mut dyn Wire,
        kind: u8,
        id: u32,
        objects: &[ObjectId],
    ) -> Option<Vec<(ObjectId, Value)>> {
        self.exchange(wire, kind, id, objects).ok()
    }

    /// The value of one object.
    pub(super) fn get(&self, wire: &mut dyn Wire, object: &[u32]) -> Option<Value> {
        let values = self.ask(wire, snmp::GET, 2, &[ObjectId::new(object)])?;
        values.into_iter().next().map(|(_, value)| value)
    }

    /// Rows of a table, a question for each: columns side by side, until the first one ends.
    pub(super) fn walk(
        &self,
        wire: &mut dyn Wire,
        table: &[u32],
        columns: &[u32],
        most: usize,
    ) -> Rows {
        let column = |number: &u32| ObjectId::new(&[table, &[*number]].concat());
        let starts: Vec<ObjectId> = columns.iter().map(column).collect();
        let (mut rows, mut at) = (Vec::new(), starts.clone());
        let mut is_whole = false;
        while rows.len() < most && wire.now_ms() < self.until_ms {
            let id = rows.len() as u32 + 3;
            let Some(found) = self.ask(wire, snmp::GET_NEXT, id, &at) else {
                break;
            };
            let is_in = |((name, value), start): (&(ObjectId, Value), &ObjectId)| {
                *value != Value::Absent && name.is_below(start)
            };
            is_whole = found
                .first()
                .zip(starts.first())
                .is_some_and(|it| !is_in(it));
            // One that gives the same name again would go on for ever.
            let moves = |((name, _), before): (&(ObjectId, Value), &ObjectId)| name != before;
            if found.len() != starts.len()
                || !found.iter().zip(&starts).all(is_in)
                || !found.iter().zip(&at).all(moves)
            {
                break;
            }
            let (names, values) = found.into_iter().unzip();
            at = names;
            rows.extend(at.first().cloned().zip(Some(values)));
        }
        Rows { rows, is_whole }
    }
}
