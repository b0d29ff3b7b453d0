//! What tells cheaply that a device was started anew or set otherwise: instead of its settings.

use alloc::string::String;

/// What a device tells of itself with a question or two. Two of them are compared; alone they say
/// nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Revision {
    /// The kernel's name of this start of the system: another one after each.
    pub boot_id: Option<String>,
    /// How long the device has been up: it falls at a restart.
    pub up: Option<Uptime>,
    /// The device's counter or time of changes to its settings, and its name. Any other text than
    /// before is a change: counters wrap, and begin anew.
    pub changes: Option<String>,
}

/// How long a device has been up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Uptime {
    /// The name of what tells it: only what the same one tells can be compared.
    pub by: &'static str,
    /// In seconds.
    pub seconds: u32,
}

impl Revision {
    /// What this one does not tell is taken from another.
    #[must_use]
    pub fn or(self, other: Self) -> Self {
        Self {
            boot_id: self.boot_id.or(other.boot_id),
            up: self.up.or(other.up),
            changes: self.changes.or(other.changes),
        }
    }
}
