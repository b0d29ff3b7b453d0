//! Whether the device was restarted or set otherwise, by IPP (`printer-up-time` of RFC 8011,
//! `printer-config-change*` of PWG 5100.13) and, for what that does not tell, by SNMP
//! (`hrSystemUptime` of RFC 2790, `prtGeneralConfigChanges` of RFC 3805). A question of each.

use super::access::Access;
use super::community::Community;
use super::snmp::{self, ObjectId, Value};
use super::wire::Wire;
use super::{NetworkOptions, Ports, Revision, inquiry};
use crate::settings::Uptime;

/// Asks one address.
pub(super) fn ask(wire: &mut dyn Wire, options: &NetworkOptions, host: &str) -> Revision {
    let by_ipp = ask_ipp(wire, &options.ports, host).unwrap_or_default();
    if by_ipp.up.is_some() && by_ipp.changes.is_some() {
        return by_ipp;
    }
    let by_snmp = ask_snmp(wire, options.ports.snmp, options.community.as_ref());
    by_ipp.or(by_snmp.unwrap_or_default())
}

fn ask_ipp(wire: &mut dyn Wire, ports: &Ports, host: &str) -> Option<Revision> {
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
    let answer = inquiry::find(wire, ports, host, &wanted).found?.answer;
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

fn ask_snmp(wire: &mut dyn Wire, port: u16, community: Option<&Community>) -> Option<Revision> {
    const SYS_UP_TIME: &[u32] = &[1, 3, 6, 1, 2, 1, 1, 3];
    const HR_SYSTEM_UPTIME: &[u32] = &[1, 3, 6, 1, 2, 1, 25, 1, 1];
    const CONFIG_CHANGES: &[u32] = &[1, 3, 6, 1, 2, 1, 43, 5, 1, 1, 1];
    const ID: u32 = 1;
    let access = Access::open(wire, port, community)?;
    let columns = [SYS_UP_TIME, HR_SYSTEM_UPTIME, CONFIG_CHANGES].map(ObjectId::new);
    // The next ones: the first printer need not be number 1.
    let found = access.ask(wire, snmp::GET_NEXT, ID, &columns)?;
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
