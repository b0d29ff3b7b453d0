//! What the device's printer tells of itself: its state, and what it uses up.

use alloc::string::String;
use alloc::vec::Vec;

/// Most reasons that are kept; a printer rarely has more than two at once.
pub const REASONS_MAX: usize = 16;
/// Most supplies that are kept: four toners, four drums, waste, staples, six trays.
pub const SUPPLIES_MAX: usize = 32;
/// Longest name of a supply, in characters.
pub const NAME_CHARS_MAX: usize = 60;

/// What the printer does (RFC 8011, `printer-state`).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PrinterState {
    /// It does not tell.
    #[default]
    Unknown,
    /// It waits for a job.
    Idle,
    /// It prints.
    Processing,
    /// It needs a person.
    Stopped,
}

impl PrinterState {
    /// The word of IPP.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Idle => "idle",
            Self::Processing => "processing",
            Self::Stopped => "stopped",
        }
    }
}

/// The printer at a moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PrinterStatus {
    /// What it does.
    pub state: PrinterState,
    /// `printer-state-reasons` such as `toner-low-warning`; at most [`REASONS_MAX`].
    pub reasons: Vec<String>,
    /// Toner, waste, paper; at most [`SUPPLIES_MAX`].
    pub supplies: Vec<Supply>,
}

/// Something that the printer uses up or fills up.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Supply {
    /// As the device names it, cut to [`NAME_CHARS_MAX`] characters.
    pub name: String,
    /// `toner`, `waste-toner`, `paper` and so on: a word of `marker-types` (PWG 5100.9); empty when
    /// the device does not tell.
    pub kind: String,
    /// What is left, 0 to 100: of a container its content, of a waste container its room. `None`:
    /// not known, or known to be enough only.
    pub left_percent: Option<u8>,
    /// Whether the device itself calls it nearly used up.
    pub is_low: bool,
}
