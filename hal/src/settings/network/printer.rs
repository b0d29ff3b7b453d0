//! The state of the device's printer and its supplies: over IPP (`marker-*` of PWG 5100.9,
//! `printer-input-tray` of PWG 5100.13), else over SNMP (Printer MIB, RFC 3805; Host Resources MIB,
//! RFC 2790). Questions only; what one address answers is bounded in time, rows and text.

use super::access::Access;
use super::community::Community;
use super::ipp::Answer;
use super::snmp::Value;
use super::wire::Wire;
use super::{NetworkOptions, Ports, inquiry};
use crate::printer::{
    NAME_CHARS_MAX, PrinterState, PrinterStatus, REASONS_MAX, SUPPLIES_MAX, Supply,
};

/// Where the device tells no low level of its own.
const LOW_PERCENT: u8 = 10;
/// The kind of what lies in a tray.
const PAPER: &str = "paper";

/// Asks one address; `None`: no printer answers there.
pub(super) fn ask(
    wire: &mut dyn Wire,
    options: &NetworkOptions,
    host: &str,
) -> Option<PrinterStatus> {
    let by_ipp = ask_ipp(wire, &options.ports, host);
    if by_ipp.as_ref().is_some_and(|it| !it.supplies.is_empty()) {
        return by_ipp;
    }
    let by_snmp = ask_snmp(wire, options.ports.snmp, options.community.as_ref());
    match (by_ipp, by_snmp) {
        (Some(ipp), Some(snmp)) => Some(PrinterStatus {
            supplies: snmp.supplies,
            ..ipp
        }),
        (ipp, snmp) => ipp.or(snmp),
    }
}

fn ask_ipp(wire: &mut dyn Wire, ports: &Ports, host: &str) -> Option<PrinterStatus> {
    const WANTED: &[&str] = &[
        "marker-high-levels",
        "marker-levels",
        "marker-low-levels",
        "marker-names",
        "marker-types",
        "printer-input-tray",
        "printer-state",
        "printer-state-reasons",
    ];
    let found = inquiry::find(wire, ports, host, WANTED).found?;
    Some(read(&found.answer))
}

fn read(answer: &Answer) -> PrinterStatus {
    let values = |name| answer.values(name).unwrap_or_default();
    let state = match values("printer-state").first().map(String::as_str) {
        Some("3") => PrinterState::Idle,
        Some("4") => PrinterState::Processing,
        Some("5") => PrinterState::Stopped,
        _ => PrinterState::Unknown,
    };
    let reasons = values("printer-state-reasons").iter();
    let reasons = reasons.filter(|it| *it != "none").map(|it| plain(it));
    // The lists are parallel: what stands at one place belongs together.
    let number = |name, at: usize| values(name).get(at)?.parse::<i64>().ok();
    let marker = |(at, name): (usize, &String)| {
        let kind = values("marker-types").get(at).map(|it| plain(it));
        let kind = kind.unwrap_or_default();
        let level = number("marker-levels", at).and_then(|level| percent(level, 100));
        // A waste container tells how full it is, everything else what is left.
        let is_waste = kind.starts_with("waste");
        let low = match is_waste {
            true => number("marker-high-levels", at).map(|high| 100 - high),
            false => number("marker-low-levels", at),
        };
        let left_percent = level.map(|it| if is_waste { 100 - it } else { it });
        Supply {
            name: plain(name),
            kind,
            left_percent,
            is_low: is_low(left_percent, low.and_then(|low| percent(low, 100))),
        }
    };
    let markers = values("marker-names").iter().enumerate().map(marker);
    let trays = values("printer-input-tray")
        .iter()
        .filter_map(|it| tray(it));
    PrinterStatus {
        state,
        reasons: reasons.take(REASONS_MAX).collect(),
        supplies: markers.chain(trays).take(SUPPLIES_MAX).collect(),
    }
}

/// `type=...;maxcapacity=250;level=125;name=main;` of PWG 5100.13.
fn tray(text: &str) -> Option<Supply> {
    let of = |key: &str| {
        let mut pairs = text.split(';').filter_map(|pair| pair.split_once('='));
        pairs.find(|(it, _)| *it == key).map(|(_, value)| value)
    };
    let number = |key| of(key)?.parse::<i64>().ok();
    paper(
        of("name").unwrap_or("tray"),
        number("level")?,
        number("maxcapacity")?,
    )
}

/// Paper in a tray; nothing of a tray that cannot tell at all, such as "automatic" and "manual".
fn paper(name: &str, level: i64, most: i64) -> Option<Supply> {
    /// Some, but not how much.
    const SOME: i64 = -3;
    let left_percent = percent(level, most);
    (left_percent.is_some() || level == SOME).then(|| Supply {
        name: plain(name),
        kind: PAPER.to_owned(),
        left_percent,
        is_low: is_low(left_percent, None),
    })
}

fn ask_snmp(
    wire: &mut dyn Wire,
    port: u16,
    community: Option<&Community>,
) -> Option<PrinterStatus> {
    /// `hrPrinterEntry`: state and detected errors.
    const PRINTER: [u32; 10] = [1, 3, 6, 1, 2, 1, 25, 3, 5, 1];
    /// `prtMarkerSuppliesEntry`: type, description, most, level.
    const SUPPLIES: [u32; 10] = [1, 3, 6, 1, 2, 1, 43, 11, 1, 1];
    /// `prtInputEntry`: most, level, name.
    const INPUT: [u32; 10] = [1, 3, 6, 1, 2, 1, 43, 8, 2, 1];
    let access = Access::open(wire, port, community)?;
    let mut rows = |table: &[u32], columns: &[u32], most: usize| {
        let rows = access.walk(wire, table, columns, most).rows;
        let values = rows.into_iter().map(|(_, values)| values);
        values.collect::<Vec<_>>()
    };
    let printer = rows(&PRINTER, &[1, 2], 1);
    let supplies = rows(&SUPPLIES, &[5, 6, 8, 9], SUPPLIES_MAX);
    let left = SUPPLIES_MAX - supplies.len();
    let trays = rows(&INPUT, &[9, 10, 13], left);
    let (state, reasons) = printer.first().map(|row| state(row)).unwrap_or_default();
    let supplies = supplies.iter().filter_map(|row| marker(row));
    let trays = trays.iter().filter_map(|row| match row.as_slice() {
        [Value::Integer(most), Value::Integer(level), name] => paper(&text(name), *level, *most),
        _ => None,
    });
    let supplies: Vec<Supply> = supplies.chain(trays).collect();
    (!printer.is_empty() || !supplies.is_empty()).then_some(PrinterStatus {
        state,
        reasons,
        supplies,
    })
}

fn marker(row: &[Value]) -> Option<Supply> {
    let [
        Value::Integer(kind),
        name,
        Value::Integer(most),
        Value::Integer(level),
    ] = row
    else {
        return None;
    };
    // Of a waste container the level is the room that is left (RFC 3805).
    let left_percent = percent(*level, *most);
    Some(Supply {
        name: text(name),
        kind: kind_of(*kind).to_owned(),
        left_percent,
        is_low: is_low(left_percent, None),
    })
}

/// Words of PWG 5100.9 for the numbers of `PrtMarkerSuppliesTypeTC`.
const fn kind_of(number: i64) -> &'static str {
    match number {
        3 => "toner",
        4 => "waste-toner",
        5 => "ink",
        6 => "ink-cartridge",
        8 => "waste-ink",
        9 => "opc",
        10 => "developer",
        15 => "fuser",
        18 => "cleaner-unit",
        20 => "transfer-unit",
        21 => "toner-cartridge",
        32 => "staples",
        _ => "",
    }
}

/// `hrPrinterStatus` and `hrPrinterDetectedErrorState` in the words of IPP.
fn state(row: &[Value]) -> (PrinterState, Vec<String>) {
    /// By bit, the most significant of the first byte first; whether it stops the printer.
    const ERRORS: [(&str, bool); 15] = [
        ("media-low", false),
        ("media-empty", true),
        ("toner-low", false),
        ("toner-empty", true),
        ("door-open", true),
        ("media-jam", true),
        ("offline", true),
        ("service-needed", true),
        ("input-tray-missing", true),
        ("output-tray-missing", true),
        ("marker-supply-missing", true),
        ("output-area-almost-full", false),
        ("output-area-full", true),
        ("input-tray-empty", false),
        ("maintenance-overdue", false),
    ];
    let bits = match row.get(1) {
        Some(Value::Octets(bytes)) => bytes.as_slice(),
        _ => &[],
    };
    let is_set = |bit: usize| {
        bits.get(bit / 8)
            .is_some_and(|it| it & (0x80 >> (bit % 8)) != 0)
    };
    let found = ERRORS.iter().enumerate().filter(|(bit, _)| is_set(*bit));
    let found: Vec<_> = found.map(|(_, error)| error).collect();
    let state = match row.first() {
        Some(Value::Integer(3)) => PrinterState::Idle,
        Some(Value::Integer(4 | 5)) => PrinterState::Processing,
        _ if found.iter().any(|(_, stops)| *stops) => PrinterState::Stopped,
        _ => PrinterState::Unknown,
    };
    (
        state,
        found.iter().map(|(word, _)| (*word).to_owned()).collect(),
    )
}

/// A level in percent; numbers below 0 say why there is none.
fn percent(level: i64, most: i64) -> Option<u8> {
    if level < 0 || most <= 0 {
        return None;
    }
    u8::try_from(level.saturating_mul(100) / most).map_or(Some(100), |it| Some(it.min(100)))
}

fn is_low(left: Option<u8>, low: Option<u8>) -> bool {
    left.is_some_and(|left| left <= low.unwrap_or(LOW_PERCENT))
}

fn text(value: &Value) -> String {
    match value {
        Value::Octets(bytes) => plain(&String::from_utf8_lossy(bytes)),
        _ => String::new(),
    }
}

/// A text of the device on one line, cut.
fn plain(text: &str) -> String {
    let symbols = text.trim().chars().filter(|it| !it.is_control());
    symbols.take(NAME_CHARS_MAX).collect()
}
