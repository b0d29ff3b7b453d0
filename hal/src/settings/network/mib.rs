//! What SNMP tells of the device's security: which versions and communities it answers to, and
//! what stands in its tables.

use std::collections::BTreeSet;

use super::access::{Access, FACTORY, SYS_DESCR};
use super::community::Community;
use super::listeners::{self, Listeners};
use super::snmp::{self, ObjectId, Value};
use super::wire::{Datagram, Wire};

/// What SNMP version 3 answers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum V3 {
    #[default]
    Silent,
    /// It is there.
    Present,
    /// It gives values to anybody.
    NoAuth,
}

/// What SNMP answers.
#[derive(Debug, Default)]
pub(super) struct SnmpFacts {
    /// The host says that nobody listens.
    pub(super) is_refused: bool,
    /// Whether it answers to a community's name from the factory.
    pub(super) is_from_factory: bool,
    /// Whether it answers to the community that the operator has configured.
    pub(super) is_configured: bool,
    pub(super) v3: V3,
    pub(super) forwarding: Option<i64>,
    /// Types of print channels that accept jobs.
    pub(super) channels: BTreeSet<i64>,
    /// Whether names of jobs can be read; `None`: no job is listed.
    pub(super) jobs_shown: Option<bool>,
    /// What the device calls itself, free text: `hrDeviceDescr`, `sysDescr`.
    pub(super) descriptions: Vec<String>,
    pub(super) listeners: Option<Listeners>,
}

impl SnmpFacts {
    /// Whether anything shows that the host is there.
    pub(super) fn is_up(&self) -> bool {
        let answers = self.is_from_factory || self.is_configured || self.v3 != V3::Silent;
        self.is_refused || answers
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
    let found = (
        Access::find(wire, port, &own),
        Access::find(wire, port, &FACTORY),
    );
    let (Ok(own), Ok(factory)) = found else {
        facts.is_refused = true;
        return facts;
    };
    facts.is_from_factory = factory.is_some();
    facts.is_configured = own.is_some();
    facts.v3 = ask_v3(wire, port, &[ObjectId::new(SYS_DESCR)]);
    if let Some(access) = own.or(factory) {
        ask_tables(wire, &access, &mut facts);
        if wants_listeners {
            facts.listeners = Some(listeners::read(wire, &access));
        }
    }
    facts
}

fn ask_v3(wire: &mut dyn Wire, port: u16, description: &[ObjectId]) -> V3 {
    let discovery = snmp::question_v3(2, &[], "", &[]);
    let Datagram::Answer(bytes) = wire.ask(port, &discovery) else {
        return V3::Silent;
    };
    match snmp::answer_v3(&bytes, 2) {
        Some(snmp::AnswerV3::Report { engine }) => {
            let question = snmp::question_v3(3, &engine, "", description);
            let Datagram::Answer(bytes) = wire.ask(port, &question) else {
                return V3::Present;
            };
            match snmp::answer_v3(&bytes, 3) {
                Some(snmp::AnswerV3::Values(_)) => V3::NoAuth,
                _ => V3::Present,
            }
        }
        Some(snmp::AnswerV3::Values(_)) => V3::NoAuth,
        None => V3::Silent,
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
    if let Some(Value::Integer(number)) = access.get(wire, FORWARDING) {
        facts.forwarding = Some(number);
    }
    for index in 1..=12 {
        let column = |number| ObjectId::new(&[&CHANNEL[..], &[number, 1, index]].concat());
        match access
            .ask(wire, snmp::GET, 4 + index, &[column(2), column(6)])
            .as_deref()
        {
            Some([(_, Value::Integer(kind)), (_, Value::Integer(ACCEPTS_JOBS))]) => {
                let _new = facts.channels.insert(*kind);
            }
            Some([(_, Value::Integer(_)), _]) => {}
            // The table ends here, or there is none.
            _ => break,
        }
    }
    let jobs = access.walk(wire, JOBS, &[JOB], 1);
    facts.jobs_shown = (!jobs.rows.is_empty()).then_some(true);
    for object in [DEVICE, SYS_DESCR] {
        if let Some(Value::Octets(text)) = access.get(wire, object) {
            let text = String::from_utf8_lossy(&text).into_owned();
            facts.descriptions.push(text);
        }
    }
}
