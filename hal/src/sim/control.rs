//! Orders to a running simulated MFP, through a small text file.

use std::fs;
use std::io::Read;
use std::path::PathBuf;
use std::time::SystemTime;

use super::Fault;

/// More than any order needs; the rest is not read.
const FILE_BYTES_MAX: u64 = 4096;

/// A control file and when it was last read.
pub(super) struct Control {
    path: PathBuf,
    seen: Option<(SystemTime, u64)>,
}

/// What a person wants of the MFP.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Order {
    /// Load this many sheets.
    pub(super) sheets: Option<u32>,
    /// Have these faults and no others.
    pub(super) faults: Option<Vec<Fault>>,
}

impl Control {
    pub(super) const fn new(path: PathBuf) -> Self {
        Self { path, seen: None }
    }

    /// The order in the file, if it has changed since the last look and can be understood.
    pub(super) fn read(&mut self) -> Option<Order> {
        let metadata = fs::metadata(&self.path).ok()?;
        let stamp = (metadata.modified().ok()?, metadata.len());
        if self.seen == Some(stamp) {
            return None;
        }
        self.seen = Some(stamp);
        let mut text = String::new();
        let read = fs::File::open(&self.path)
            .and_then(|file| file.take(FILE_BYTES_MAX).read_to_string(&mut text));
        let order = match read {
            Ok(_) => Order::parse(&text),
            Err(cause) => Err(cause.to_string()),
        };
        order
            .map_err(|reason| log::warn!("{}: {reason}", self.path.display()))
            .ok()
    }
}

impl Order {
    fn parse(text: &str) -> Result<Self, String> {
        let mut order = Self::default();
        for word in text.split_whitespace() {
            match word.split_once('=') {
                Some(("sheets", value)) => {
                    let sheets = value
                        .parse()
                        .map_err(|cause| format!("sheets={value}: {cause}"))?;
                    order.sheets = Some(sheets);
                }
                Some(("faults", value)) => {
                    let faults = Fault::parse_list(value).map_err(|cause| cause.to_string())?;
                    order.faults = Some(faults);
                }
                _ => {
                    return Err(format!(
                        "not an order: {word}; known are sheets=N, faults=LIST"
                    ));
                }
            }
        }
        Ok(order)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sheets_and_faults_are_ordered_by_words() {
        let order = Order::parse("sheets=10 faults=jam-after=3,slow=2:100\n").unwrap();
        assert_eq!(order.sheets, Some(10));
        let slow = Fault::SlowPage { page: 2, ms: 100 };
        assert_eq!(order.faults, Some(vec![Fault::JamAfter(3), slow]));
        let cleared = Order::parse("faults=").unwrap();
        assert_eq!(cleared.faults, Some(Vec::new()));
    }

    #[test]
    fn what_cannot_be_understood_is_no_order() {
        for text in ["sheets=many", "faults=fire", "jam", "sheets"] {
            assert!(Order::parse(text).is_err(), "{text}");
        }
    }
}
