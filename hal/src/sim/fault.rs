//! Faults of the simulated MFP, and their text form.

use core::fmt;
use core::str::FromStr;

/// One thing that goes wrong. Pages are counted from 1 in the stack; a fault of a page happens
/// once, the others last until the faults are set anew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// `empty`: the feeder feels no paper.
    Empty,
    /// `cover-open`: the feeder's cover is open.
    CoverOpen,
    /// `busy`: another job holds the scanner and does not let go.
    Busy,
    /// `jam-after=N`: the page after the N-th is stuck halfway.
    JamAfter(u32),
    /// `double-feed-at=N`: a second sheet goes in with page N.
    DoubleFeedAt(u32),
    /// `slow=N:MS`: page N takes longer.
    SlowPage {
        /// Which page.
        page: u32,
        /// How much longer, in milliseconds.
        ms: u32,
    },
    /// `power-cut-at=N`: the power goes while page N leaves the scanner.
    PowerCutAt {
        /// Which page.
        page: u32,
    },
    /// `empty-page=N`: page N is given without a byte; after that the sheet is put back.
    EmptyPage(u32),
    /// `truncate=N`: page N is given without its end; after that the sheet is put back.
    TruncatePage(u32),
}

/// A text is no fault.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "not a fault: {0:?}; known are empty, cover-open, busy, jam-after=N, double-feed-at=N, \
     slow=N:MS, power-cut-at=N, empty-page=N and truncate=N, separated by commas"
)]
pub struct ParseFaultError(String);

impl Fault {
    /// Reads faults separated by commas; an empty text is no fault.
    ///
    /// # Errors
    /// When one of them is not known.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, ParseFaultError> {
        text.split(',')
            .map(str::trim)
            .filter(|part| !part.is_empty())
            .map(str::parse)
            .collect()
    }
}

impl FromStr for Fault {
    type Err = ParseFaultError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let unknown = || ParseFaultError(text.to_owned());
        let (name, value) = text.split_once('=').unwrap_or((text, ""));
        let number = |text: &str| text.parse().map_err(|_not_a_number| unknown());
        Ok(match (name, value) {
            ("empty", "") => Self::Empty,
            ("cover-open", "") => Self::CoverOpen,
            ("busy", "") => Self::Busy,
            ("jam-after", _) => Self::JamAfter(number(value)?),
            ("double-feed-at", _) => Self::DoubleFeedAt(number(value)?),
            ("slow", _) => {
                let (page, ms) = value.split_once(':').ok_or_else(unknown)?;
                Self::SlowPage {
                    page: number(page)?,
                    ms: number(ms)?,
                }
            }
            ("power-cut-at", _) => Self::PowerCutAt {
                page: number(value)?,
            },
            ("empty-page", _) => Self::EmptyPage(number(value)?),
            ("truncate", _) => Self::TruncatePage(number(value)?),
            _ => return Err(unknown()),
        })
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Empty => write!(f, "empty"),
            Self::CoverOpen => write!(f, "cover-open"),
            Self::Busy => write!(f, "busy"),
            Self::JamAfter(page) => write!(f, "jam-after={page}"),
            Self::DoubleFeedAt(page) => write!(f, "double-feed-at={page}"),
            Self::SlowPage { page, ms } => write!(f, "slow={page}:{ms}"),
            Self::PowerCutAt { page } => write!(f, "power-cut-at={page}"),
            Self::EmptyPage(page) => write!(f, "empty-page={page}"),
            Self::TruncatePage(page) => write!(f, "truncate={page}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_is_read_as_it_is_written() {
        let text = "empty,cover-open,busy,jam-after=7,double-feed-at=4,slow=3:5000,power-cut-at=9,\
                    empty-page=2,truncate=5";
        let faults = Fault::parse_list(text).unwrap();
        let written: Vec<_> = faults.iter().map(Fault::to_string).collect();
        assert_eq!(written.join(","), text);
    }

    #[test]
    fn no_text_is_no_fault() {
        assert_eq!(Fault::parse_list(" , ").unwrap(), []);
    }

    #[test]
    fn a_wrong_text_says_what_is_known() {
        for text in [
            "jam",
            "jam-after=",
            "slow=3",
            "slow=x:1",
            "empty=1",
            "busy,fire",
        ] {
            let refused = Fault::parse_list(text).unwrap_err().to_string();
            assert!(refused.contains("jam-after=N"), "{refused}");
        }
    }
}
