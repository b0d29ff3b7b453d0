//! The device's security settings (posture): what is read, never what is secret.

use heapless::String;

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

/// What a setting's value says about the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As secure as it should be.
    Secure,
    /// Not as it should be.
    NotSecure,
    /// The device has no such part.
    NotApplicable,
    /// Not known, with the reason. Never counts as secure.
    Unknown(String<96>),
}

/// One security setting as read from the device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// The stable id, for example `storage.encryption`.
    pub id: &'static str,
    /// One line for people.
    pub title: &'static str,
    /// The value as text; empty when unknown. Never a secret.
    pub value: String<96>,
    /// What a secure value looks like.
    pub secure_value: &'static str,
    /// How much a wrong value matters.
    pub severity: Severity,
    /// What the value says.
    pub verdict: Verdict,
    /// Where the value comes from: a file, a protocol, the vendor's interface.
    pub method: &'static str,
}

/// Reads the device's security settings.
pub trait SettingsSource: Send {
    /// Reads every setting and hands each to `each`, in the order of their ids.
    fn read(&mut self, each: &mut dyn FnMut(Setting));
}
