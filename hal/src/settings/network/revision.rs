//! Whether the device was restarted or set otherwise, by IPP (`printer-up-time` of RFC 8011,
//! `printer-config-change*` of PWG 5100.13) and, for what that does not tell, by SNMP
//! (`hrSystemUptime` of RFC 2790, `prtGeneralConfigChanges` of RFC 3805). A question of each.

use super::ask::{exchange_ipp, factory_community};
use super::ipp::{self, Answer};
use super::snmp::{self, ObjectId, Value};
use super::wire::{Datagram, Wire};
use super::{Ports, Revision};
use crate::settings::Uptime;

/// Asks one address.
pub(super) fn ask(wire: &mut dyn Wire, ports: &Ports, host: &str) -> Revision {
    let by_ipp = ask_ipp(wire, ports.ipp, host).unwrap_or_default();
    if by_ipp.up.is_some() && by_ipp.changes.is_some() {
        return by_ipp;
    }
    by_ipp.or(ask_snmp(wire, ports.snmp).unwrap_or_default())
}

fn ask_ipp(wire: &mut dyn Wire, port: u16, host: &str) -> Option<Revision> {
    const UP: &str = "printer-up-time";
    /// The surest first.
    const CHANGES: [&str; 3] = [
        "printer-config-changes",
        "printer-config-change-date-time",
        "printer-config-change-time",
    ];
    /// CUPS tells the Unix time in the place of the time since its start.
    const UNIX_TIME: u32 = 1_000_000_000;
    let wanted = [&CHANGES[..], &[UP]].concat();
    let ask = |path: &&str| {
        let question = (ipp::GET_PRINTER_ATTRIBUTES, *path, wanted.as_slice());
        let (_status, answer) = exchange_ipp(wire, port, host, question)?;
        answer.filter(Answer::is_success)
    };
    let answer = ["/ipp/print", "/"].iter().find_map(ask)?;
    let told = |name: &str| answer.values(name)?.first();
    let up = told(UP).and_then(|it| it.parse().ok());
    // A date is bytes: written so that it can be kept as text.
    let change = |name: &&str| told(name).map(|it| format!("{name} {it:?}"));
    Some(Revision {
        boot_id: None,
        up: up
            .filter(|seconds| *seconds < UNIX_TIME)
            .map(|seconds| Uptime { by: UP, seconds }),
        changes: CHANGES.iter().find_map(change),
    })
}

fn ask_snmp(wire: &mut dyn Wire, port: u16) -> Option<Revision> {
    const SYS_UP_TIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3];
    const HR_SYSTEM_UPTIME: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 1, 1];
    const CONFIG_CHANGES: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1, 1];
    const ID: u32 = 1;
    let (version, community) = factory_community(wire, port).ok()??;
    let columns = [SYS_UP_TIME, HR_SYSTEM_UPTIME, CONFIG_CHANGES].map(ObjectId::new);
    // The next ones: the first printer need not be number 1.
    let question = snmp::question(version, community, snmp::GET_NEXT, ID, &columns);
    let Datagram::Answer(bytes) = wire.ask(port, &question) else {
        return None;
    };
    let found = snmp::answer(&bytes, ID)?;
    let told = |at: usize| match (found.get(at)?, columns.get(at)?) {
        // Some leave out the zero byte before a large number.
        ((name, Value::Integer(number)), column) if name.is_below(column) => Some(*number as u32),
        _ => None,
    };
    let up = |by, at| {
        let seconds = told(at)? / 100;
        Some(Uptime { by, seconds })
    };
    Some(Revision {
        boot_id: None,
        // That of the host: the one of SNMP falls when only SNMP is set up anew.
        up: up("hrSystemUptime", 1).or_else(|| up("sysUpTime", 0)),
        changes: told(2).map(|it| format!("prtGeneralConfigChanges {it}")),
    })
}
