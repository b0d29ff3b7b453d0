//! What SNMP tells of the device's security: which versions and communities it answers to, and
//! what stands in its tables.

use std::collections::BTreeSet;

use super::access::{Access, FACTORY, Heard, SYS_DESCR};
use super::community::Community;
use super::listeners::{self, Listeners};
use super::snmp::{self, ObjectId, Value};
use super::wire::{Datagram, Wire};

/// What SNMP version 3 answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum V3 {
    #[default]
    Silent,
    /// The host says that nobody listens.
    Refused,
    /// Something answers; no more is known.
    Present,
    /// It gives values to anybody.
    NoAuth,
}

/// What SNMP answers.
#[derive(Debug, Default)]
pub(super) struct SnmpFacts {
    /// To a community's name from the factory.
    pub(super) to_factory: Heard,
    /// To the community that the operator has configured.
    pub(super) to_own: Heard,
    pub(super) v3: V3,
    pub(super) forwarding: Option<i64>,
    /// Types of print channels that accept jobs.
    pub(super) channels: BTreeSet<i64>,
    /// Whether those are all.
    pub(super) has_all_channels: bool,
    /// Whether names of jobs can be read; `None`: no job is listed.
    pub(super) jobs_shown: Option<bool>,
    /// What the device calls itself, free text: `hrDeviceDescr`, `sysDescr`.
    pub(super) descriptions: Vec<String>,
    pub(super) listeners: Option<Listeners>,
}

impl SnmpFacts {
    /// Whether anything answers, so that silence to one question says something: agents are silent
    /// to a community's name that they do not know (RFC 3584, 5.2.1).
    pub(super) fn is_there(&self) -> bool {
        self.to_factory.max(self.to_own) >= Heard::Strange
            || matches!(self.v3, V3::Present | V3::NoAuth)
    }

    /// Whether the host says that nobody listens, and nothing contradicts that.
    pub(super) fn is_refused(&self) -> bool {
        let refusal = [self.to_factory, self.to_own].contains(&Heard::Refusal);
        (refusal || self.v3 == V3::Refused) && !self.is_there()
    }
}

/// Asks one address; of who listens only when that is wanted, which takes many questions.
pub(super) fn ask(
    wire: &mut dyn Wire,
    port: u16,
    community: Option<&Community>,
    wants_listeners: bool,
) -> SnmpFacts {
    let mut facts = SnmpFacts::default();
    let own: Vec<&[u8]> = community.iter().map(|it| it.as_bytes()).collect();
    let own = Access::find(wire, port, &own);
    let factory = Access::find(wire, port, &FACTORY);
    let heard = |found: &Result<_, Heard>| found.as_ref().err().map_or(Heard::Answer, |it| *it);
    (facts.to_own, facts.to_factory) = (heard(&own), heard(&factory));
    facts.v3 = ask_v3(wire, port, &[ObjectId::new(SYS_DESCR)]);
    if let Ok(access) = own.or(factory) {
        ask_tables(wire, &access, &mut facts);
        if wants_listeners {
            facts.listeners = Some(listeners::read(wire, &access));
        }
    }
    facts
}

fn ask_v3(wire: &mut dyn Wire, port: u16, description: &[ObjectId]) -> V3 {
    let discovery = snmp::question_v3(2, &[], "", &[]);
    let bytes = match wire.ask(port, &discovery) {
        Datagram::Answer(bytes) => bytes,
        Datagram::Refused => return V3::Refused,
        Datagram::Silent => return V3::Silent,
    };
    match snmp::answer_v3(&bytes, 2) {
        Some(snmp::AnswerV3::Report { engine }) => {
            let question = snmp::question_v3(3, &engine, "", description);
            let Datagram::Answer(bytes) = wire.ask(port, &question) else {
                return V3::Present;
            };
            of_values(snmp::answer_v3(&bytes, 3))
        }
        other => of_values(other),
    }
}

/// What values without a key say. Anything else shows that somebody is there, and no more.
fn of_values(answer: Option<snmp::AnswerV3>) -> V3 {
    match answer {
        Some(snmp::AnswerV3::Values(values)) if !values.is_empty() => V3::NoAuth,
        _ => V3::Present,
    }
}

fn ask_tables(wire: &mut dyn Wire, access: &Access<'_>, facts: &mut SnmpFacts) {
    const FORWARDING: &[u32] = &[1, 3, 6, 1, 2, 1, 4, 1, 0];
    /// `hrDeviceDescr` of RFC 2790, of the first device.
    const DEVICE: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 3, 2, 1, 3, 1];
    /// `prtChannelEntry` of RFC 3805; column 2 is the type, 6 the state.
    const CHANNEL: [u32; 10] = [1, 3, 6, 1, 2, 1, 43, 14, 1, 1];
    /// `jmJob` of RFC 2707, without its last number.
    const JOBS: &[u32] = &[1, 3, 6, 1, 4, 1, 2699, 1, 1, 1];
    const JOB: u32 = 3;
    const ACCEPTS_JOBS: i64 = 3;
    const CHANNELS_MAX: usize = 32;
    if let Some(Value::Integer(number)) = access.get(wire, FORWARDING) {
        facts.forwarding = Some(number);
    }
    let channels = access.walk(wire, &CHANNEL, &[2, 6], CHANNELS_MAX);
    facts.has_all_channels = channels.is_whole;
    let kinds = channels.rows.iter().filter_map(|(_, row)| match **row {
        [Value::Integer(kind), Value::Integer(ACCEPTS_JOBS)] => Some(kind),
        _ => None,
    });
    facts.channels = kinds.collect();
    let jobs = access.walk(wire, JOBS, &[JOB], 1);
    facts.jobs_shown = (!jobs.rows.is_empty()).then_some(true);
    for object in [DEVICE, SYS_DESCR] {
        if let Some(Value::Octets(text)) = access.get(wire, object) {
            let text = String::from_utf8_lossy(&text).into_owned();
            facts.descriptions.push(text);
        }
    }
}
