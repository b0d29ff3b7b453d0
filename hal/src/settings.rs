//! The device's security settings (posture): what is read, never what is secret.
//!
//! [`CATALOGUE`] lists every setting there is; `docs/settings.md` is made from it. A source reads
//! some of them. What no source could read is [`Verdict::Unknown`] and never counts as secure.

mod catalogue;
#[cfg(feature = "std")]
pub mod declared;
#[cfg(feature = "std")]
pub mod document;
#[cfg(feature = "std")]
pub mod linux;
#[cfg(feature = "std")]
pub mod network;
#[cfg(feature = "std")]
mod reading;
mod revision;
#[cfg(feature = "std")]
pub mod sources;
#[cfg(feature = "std")]
pub mod vendor;

use core::fmt::{self, Write as _};

pub use catalogue::CATALOGUE;
use heapless::String;
#[cfg(feature = "std")]
pub(crate) use reading::Reading;
pub use revision::{Revision, Uptime};

use crate::printer::PrinterStatus;

/// How much a wrong value matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Good practice.
    Low,
    /// Weakens a defence.
    Medium,
    /// Opens a way in.
    High,
    /// Open to anyone.
    Critical,
}

impl Severity {
    /// The word in reports and policies.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Low => "low",
            Self::Medium => "medium",
            Self::High => "high",
            Self::Critical => "critical",
        }
    }
}

/// Where a value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Method {
    /// Files and system calls of the device's Linux.
    Linux,
    /// The device's answer over IPP.
    Ipp,
    /// The device's answer over SNMP.
    Snmp,
    /// The device's answer to a TLS hello.
    Tls,
    /// A connection to one of the device's own ports.
    Port,
    /// Settings exported by the vendor's interface.
    Vendor,
    /// What the operator declared in the configuration.
    Declared,
    /// What this program saw by comparing its readings.
    Compared,
    /// The simulated MFP.
    Simulated,
}

impl Method {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Linux => "linux",
            Self::Ipp => "ipp",
            Self::Snmp => "snmp",
            Self::Tls => "tls",
            Self::Port => "port",
            Self::Vendor => "vendor",
            Self::Declared => "declared",
            Self::Compared => "compared",
            Self::Simulated => "simulated",
        }
    }
}

/// The shape of a setting's value. Its text is canonical: equal values have equal texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// `true` or `false`.
    Bool,
    /// A decimal number.
    Int,
    /// One of these words, worst first.
    Choice(&'static [&'static str]),
    /// Words, sorted, with commas between them.
    Set,
    /// Any text.
    Text,
    /// A moment as RFC 3339 in UTC, `2027-01-31T00:00:00Z`: the order of texts is that of time.
    Time,
}

/// Which values are secure when no policy says otherwise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// This one.
    Is(&'static str),
    /// Any of these.
    OneOf(&'static [&'static str]),
    /// A number from the first to the second, both included.
    Between(i64, i64),
    /// A set with nothing but these in it.
    Within(&'static [&'static str]),
    /// A set with something in it that is not one of these.
    Beyond(&'static [&'static str]),
    /// A moment more than this many days ahead.
    DaysAhead(u32),
    /// The probe itself judges the value, which has parts.
    Probe,
    /// Only a policy can tell.
    Policy,
}

/// One line of the catalogue: what a setting is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Row {
    /// The stable id, for example `storage.encryption`.
    pub id: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// The shape of the value.
    pub kind: Kind,
    /// What a secure value looks like, for people.
    pub secure_value: &'static str,
    /// The same for programs.
    pub rule: Rule,
    /// How much a wrong value matters.
    pub severity: Severity,
    /// How it can be read, the best way first.
    pub methods: &'static [Method],
    /// The standard or guide that asks for it.
    pub reference: &'static str,
    /// How to mend it.
    pub remedy: &'static str,
}

impl Row {
    /// The line of this id.
    #[must_use]
    pub fn find(id: &str) -> Option<&'static Self> {
        let at = CATALOGUE.binary_search_by(|row| row.id.cmp(id)).ok()?;
        CATALOGUE.get(at)
    }

    /// Whether a value has this setting's shape.
    #[must_use]
    pub fn fits(&self, value: &str) -> bool {
        match self.kind {
            Kind::Bool => matches!(value, "true" | "false"),
            Kind::Int => value.parse::<i64>().is_ok_and(|number| {
                let mut canonical = String::<20>::new();
                write!(canonical, "{number}").is_ok() && canonical == value
            }),
            Kind::Choice(words) => words.contains(&value),
            Kind::Set => {
                value.is_empty()
                    || (value.split(',').all(|word| !word.is_empty())
                        && value.split(',').is_sorted_by(|a, b| a < b))
            }
            Kind::Text => !value.is_empty(),
            Kind::Time => is_time(value),
        }
    }

    /// Whether a value is secure at the given Unix time; `None`: the catalogue alone cannot tell.
    #[must_use]
    pub fn judge(&self, value: &str, now_seconds: u64) -> Option<bool> {
        let mut words = value.split(',').filter(|word| !word.is_empty());
        match self.rule {
            Rule::Is(secure) => Some(value == secure),
            Rule::OneOf(secure) => Some(secure.contains(&value)),
            Rule::Between(from, to) => {
                let number = value.parse::<i64>();
                Some(number.is_ok_and(|number| (from..=to).contains(&number)))
            }
            Rule::Within(known) => Some(words.all(|word| known.contains(&word))),
            Rule::Beyond(weak) => Some(words.any(|word| !weak.contains(&word))),
            Rule::DaysAhead(days) => {
                let bound = now_seconds.saturating_add(u64::from(days) * 86_400);
                Some(value > time_text(bound).as_str())
            }
            Rule::Probe | Rule::Policy => None,
        }
    }

    /// What the operator can do about it when no source tells it.
    #[must_use]
    pub fn how_to_know(&self) -> &'static str {
        let has = |method| self.methods.contains(&method);
        match (has(Method::Vendor), has(Method::Declared)) {
            (true, true) => "the vendor's export may tell it, or you declare it; see [settings]",
            (true, false) => "the vendor's export may tell it; see [settings] vendor_export",
            (false, true) => "you may declare it; see [settings.declared]",
            (false, false) => "nothing that is asked on this device tells it",
        }
    }
}

/// Why a setting is not known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Why {
    /// The agent may not read it.
    NoRight,
    /// The device was asked and gave no answer that can be used.
    NotAnswered,
    /// No way to read it on this device.
    NotSupported,
}

impl Why {
    /// The word in reports.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::NoRight => "no-right",
            Self::NotAnswered => "not-answered",
            Self::NotSupported => "not-supported",
        }
    }
}

/// A setting that is not known, with the reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unknown {
    /// The kind of reason.
    pub why: Why,
    /// The reason in words, for people.
    pub detail: String<96>,
}

/// The last word of a set of which only a part was looked at.
const MORE: &str = "+?";

/// What a setting's value says about the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As secure as it should be.
    Secure,
    /// Not as it should be.
    NotSecure,
    /// The device has no such part.
    NotApplicable,
    /// Not known. Never counts as secure.
    Unknown(Unknown),
}

/// One security setting as read from the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The stable id, for example `storage.encryption`.
    pub id: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// The value as canonical text (see [`Kind`]); empty when there is none. Never a secret. A set
    /// that is too long ends with how many more there are, such as `,+12`; one of which only a part
    /// was looked at ends with `,+?`.
    pub value: String<96>,
    /// What a secure value looks like.
    pub secure_value: &'static str,
    /// How much a wrong value matters.
    pub severity: Severity,
    /// What the value says.
    pub verdict: Verdict,
    /// Where the value comes from.
    pub method: Method,
    /// The file or the field of a protocol that shows it. Never a secret.
    pub evidence: String<96>,
    /// The standard or guide that asks for it.
    pub reference: &'static str,
    /// How to mend it.
    pub remedy: &'static str,
}

impl Setting {
    /// A value, judged by its line of the catalogue. A value of the wrong shape is unknown.
    #[must_use]
    pub fn known(row: &Row, value: &str, method: Method, evidence: &str, now_seconds: u64) -> Self {
        if !row.fits(value) {
            let detail = "the device gave a value of another kind";
            return Self::unknown(row, Why::NotAnswered, detail, method, evidence);
        }
        match row.judge(value, now_seconds) {
            Some(secure) => Self::judged(row, value, secure, method, evidence),
            None => {
                let detail = "only a policy can tell which values are secure";
                Self::unjudged(row, value, detail, method, evidence)
            }
        }
    }

    /// A value that cannot be judged here, and why; only a policy that names it can.
    #[must_use]
    pub fn unjudged(row: &Row, value: &str, detail: &str, method: Method, evidence: &str) -> Self {
        Self {
            value: value_text(row, value),
            ..Self::unknown(row, Why::NotSupported, detail, method, evidence)
        }
    }

    /// A part of a set: a wrong word in it is certain, but what was not looked at may be wrong too,
    /// so that it is never secure. `detail` says what was looked at.
    #[must_use]
    pub fn partial(
        row: &Row,
        value: &str,
        detail: &str,
        method: Method,
        (evidence, now_seconds): (&str, u64),
    ) -> Self {
        let mut part = String::<1024>::new();
        if value.is_empty() || !row.fits(value) || write!(part, "{value},{MORE}").is_err() {
            return Self::unknown(row, Why::NotSupported, detail, method, evidence);
        }
        match row.judge(value, now_seconds) {
            Some(false) => Self::judged(row, &part, false, method, evidence),
            _ => Self::unjudged(row, &part, detail, method, evidence),
        }
    }

    /// A value that its probe has judged.
    #[must_use]
    pub fn judged(row: &Row, value: &str, secure: bool, method: Method, evidence: &str) -> Self {
        let verdict = match secure {
            true => Verdict::Secure,
            false => Verdict::NotSecure,
        };
        Self {
            value: value_text(row, value),
            ..Self::of(row, verdict, method, evidence)
        }
    }

    /// The device has no such part; `evidence` tells how that is known.
    #[must_use]
    pub fn not_applicable(row: &Row, method: Method, evidence: &str) -> Self {
        Self::of(row, Verdict::NotApplicable, method, evidence)
    }

    /// Not known, and why.
    #[must_use]
    pub fn unknown(row: &Row, why: Why, detail: &str, method: Method, evidence: &str) -> Self {
        let detail = short(detail);
        Self::of(
            row,
            Verdict::Unknown(Unknown { why, detail }),
            method,
            evidence,
        )
    }

    fn of(row: &Row, verdict: Verdict, method: Method, evidence: &str) -> Self {
        Self {
            id: row.id,
            title: row.title,
            value: String::new(),
            secure_value: row.secure_value,
            severity: row.severity,
            verdict,
            method,
            evidence: short(evidence),
            reference: row.reference,
            remedy: row.remedy,
        }
    }

    /// Of two readings of one setting the one that counts: the worse value, else a value that
    /// contradicts a secure one without being judged, else the one that is known, else the one with
    /// a value for a policy. A disagreement is written into the evidence.
    #[must_use]
    pub fn worse(self, other: Self) -> Self {
        // A way that sees less of a set does not contradict the one that sees more.
        let within = |part: &Self, whole: &Self| {
            let words = part.value.split(',');
            let mut words = words.filter(|word| !matches!(*word, "" | MORE));
            words.all(|word| whole.value.split(',').any(|it| it == word))
        };
        let doubts = |doubt: &Self, good: &Self| {
            matches!(doubt.verdict, Verdict::Unknown(_))
                && good.verdict == Verdict::Secure
                && !within(doubt, good)
        };
        let rank = |setting: &Self| match setting.verdict {
            Verdict::NotSecure => 0,
            Verdict::Secure => 1,
            Verdict::Unknown(_) if !setting.value.is_empty() => 2,
            Verdict::Unknown(_) => 3,
            Verdict::NotApplicable => 4,
        };
        let is_first = match (doubts(&self, &other), doubts(&other, &self)) {
            (false, false) => rank(&self) <= rank(&other),
            (is_doubt, _) => is_doubt,
        };
        let (mut chosen, left) = match is_first {
            true => (self, other),
            false => (other, self),
        };
        if rank(&left) <= 1 && !within(&left, &chosen) {
            let mut evidence = String::new();
            let (who, value) = (left.method.as_str(), &left.value);
            let _cut = write!(
                Text(&mut evidence),
                "conflict: {who} says {value}; {}",
                chosen.evidence
            );
            chosen.evidence = evidence;
        }
        chosen
    }
}

/// Reads the device's security settings. A whole reading may ask the network and take a minute.
///
/// # Examples
/// ```
/// use scantrip_hal::settings::{Method, Row, Setting, SettingsSource};
///
/// struct Fixed;
///
/// impl SettingsSource for Fixed {
///     fn read(&mut self, each: &mut dyn FnMut(Setting)) {
///         let row = Row::find("net.telnet").unwrap();
///         each(Setting::known(row, "false", Method::Declared, "as delivered", 0));
///     }
/// }
/// ```
pub trait SettingsSource: Send {
    /// Reads every setting and hands each to `each`, in the order of their ids.
    fn read(&mut self, each: &mut dyn FnMut(Setting));

    /// The same for the settings with these ids alone; one that asks slowly asks for no more.
    fn read_some(&mut self, ids: &[&str], each: &mut dyn FnMut(Setting)) {
        self.read(&mut |setting| {
            if ids.contains(&setting.id) {
                each(setting);
            }
        });
    }

    /// What the device's printer tells of itself, by the same ways; `None` where nothing tells.
    fn printer(&mut self) -> Option<PrinterStatus> {
        None
    }

    /// What tells, without a reading, that the device was restarted or set otherwise.
    fn revision(&mut self) -> Revision {
        Revision::default()
    }
}

/// Takes a reading in: of two of one setting the worse counts.
#[cfg(feature = "std")]
pub(crate) fn merge(
    settings: &mut std::collections::BTreeMap<&'static str, Setting>,
    setting: Setting,
) {
    let merged = match settings.remove(setting.id) {
        Some(before) => before.worse(setting),
        None => setting,
    };
    let _first = settings.insert(merged.id, merged);
}

/// A Unix time as RFC 3339 in UTC, as values of [`Kind::Time`] are written.
#[must_use]
pub fn time_text(seconds: u64) -> String<20> {
    // Days to a date: Howard Hinnant's civil_from_days, for years up to 9999.
    const LAST: u64 = 253_402_300_799;
    let seconds = seconds.min(LAST);
    let (days, second) = (seconds / 86_400 + 719_468, seconds % 86_400);
    let (era, day) = (days / 146_097, days % 146_097);
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let month = (5 * day + 2) / 153;
    let date = day - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = year + era * 400 + u64::from(month <= 2);
    let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
    let mut text = String::new();
    let _fits = write!(
        text,
        "{year:04}-{month:02}-{date:02}T{hour:02}:{minute:02}:{second:02}Z"
    );
    text
}

fn is_time(value: &str) -> bool {
    const SHAPE: &[u8] = b"0000-00-00T00:00:00Z";
    let matches = |(byte, shape): (u8, &u8)| match shape {
        b'0' => byte.is_ascii_digit(),
        other => byte == *other,
    };
    value.len() == SHAPE.len() && value.bytes().zip(SHAPE).all(matches)
}

fn value_text(row: &Row, value: &str) -> String<96> {
    let fits = value.len() <= 96;
    match row.kind {
        Kind::Set if !fits => shortened_set(value),
        _ => short(value),
    }
}

/// As many words as fit, and how many more there are.
fn shortened_set(value: &str) -> String<96> {
    const ROOM_FOR_COUNT: usize = ",+99999".len();
    let mut text = String::<96>::new();
    let mut left = value.split(',').count();
    for word in value.split(',') {
        if text.len() + 1 + word.len() + ROOM_FOR_COUNT > 96 {
            break;
        }
        let comma = if text.is_empty() { "" } else { "," };
        let _fits = write!(text, "{comma}{word}");
        left -= 1;
    }
    let comma = if text.is_empty() { "" } else { "," };
    let _fits = match value.ends_with(MORE) {
        true => write!(text, "{comma}{MORE}"),
        false => write!(text, "{comma}+{left}"),
    };
    text
}

/// As much of a text as fits, on one line.
pub(crate) fn short<const N: usize>(text: &str) -> String<N> {
    let mut short = String::new();
    let _cut = Text(&mut short).write_str(text);
    short
}

/// Takes as much as fits, control characters as spaces.
struct Text<'a, const N: usize>(&'a mut String<N>);

impl<const N: usize> fmt::Write for Text<'_, N> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for symbol in text.chars() {
            let symbol = if symbol.is_control() { ' ' } else { symbol };
            self.0.push(symbol).or(Err(fmt::Error))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
