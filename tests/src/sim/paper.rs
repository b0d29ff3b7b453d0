//! Paper: pages that are small JPEG images of random bytes, each with its number, and the feeder
//! that they come from.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use memchr::memmem;
use scantrip_hal::scanner::{
    AdfState, ColorMode, DocumentFormat, MediaSize, NextPage, PageInfo, PageSink, ScanSettings,
    Scanner, ScannerCapabilities, ScannerError, ScannerErrorKind, ScannerState, ScannerStatus,
    Side, SourceCapabilities,
};
use scantrip_hal::sim::disk::Dice;

use super::options::{below, strikes};

/// Start of every page: SOI, a frame of 100 x 140 gray pixels, the start of the scan.
const HEAD: [u8; 25] = [
    0xFF, 0xD8, 0xFF, 0xC0, 0x00, 0x0B, 0x08, 0x00, 0x8C, 0x00, 0x64, 0x01, 0x01, 0x11, 0x00, 0xFF,
    0xDA, 0x00, 0x08, 0x01, 0x01, 0x00, 0x00, 0x3F, 0x00,
];
const TAIL: [u8; 2] = [0xFF, 0xD9];
/// The page's number follows the head, in bytes of seven bits.
const NUMBER_BYTES: usize = 6;

/// A page's bytes.
pub(crate) fn page(number: u64, dice: &mut Dice) -> Vec<u8> {
    let mut bytes = HEAD.to_vec();
    bytes.extend((0..NUMBER_BYTES).map(|place| (number >> (7 * place)) as u8 & 0x7F));
    let mut body = vec![0; 60 + below(dice, 3000)];
    dice.fill(&mut body);
    // No marker begins within the scan.
    bytes.extend(
        body.iter()
            .map(|byte| if *byte == 0xFF { 0xFE } else { *byte }),
    );
    bytes.extend(TAIL);
    bytes
}

/// The pages in a document, in order, each with its number.
pub(crate) fn pages_of(document: &[u8]) -> Vec<(u64, Vec<u8>)> {
    let mut pages = Vec::new();
    let mut at = 0;
    while let Some(found) = memmem::find(&document[at..], &HEAD) {
        let start = at + found;
        let Some(length) = memmem::find(&document[start + HEAD.len()..], &TAIL) else {
            break;
        };
        at = start + HEAD.len() + length + TAIL.len();
        let bytes = document[start..at].to_vec();
        let digits = &bytes[HEAD.len()..HEAD.len() + NUMBER_BYTES];
        let number = digits
            .iter()
            .rev()
            .fold(0, |number, digit| (number << 7) | u64::from(*digit));
        pages.push((number, bytes));
    }
    pages
}

/// What lies in the feeder and what came out of it.
pub(crate) struct Tray {
    dice: Dice,
    device: u64,
    /// Sheets that wait.
    pub(crate) sheets: u64,
    /// Pages that left the scanner whole since somebody looked.
    pub(crate) fed: Vec<(u64, Vec<u8>)>,
    next: u64,
    /// Jams per thousand pages.
    pub(crate) jam: u64,
    /// Hears of each page before it leaves.
    pub(crate) tell: Hear,
    active: bool,
}

/// Hears of a page's bytes.
type Hear = Box<dyn FnMut(&[u8]) + Send>;

/// A scanner on a tray.
#[derive(Clone)]
pub(crate) struct PaperScanner(pub(crate) Arc<Mutex<Tray>>);

impl PaperScanner {
    pub(crate) fn new(device: usize, dice: Dice) -> Self {
        Self(Arc::new(Mutex::new(Tray {
            dice,
            device: device as u64,
            sheets: 0,
            fed: Vec::new(),
            next: 1,
            jam: 0,
            tell: Box::new(|_| {}),
            active: false,
        })))
    }

    /// The tray.
    pub(crate) fn tray(&self) -> MutexGuard<'_, Tray> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn fault(kind: ScannerErrorKind) -> ScannerError {
    let mut message = heapless::String::new();
    message.push_str("simulated").expect("it fits");
    ScannerError { kind, message }
}

impl Scanner for PaperScanner {
    fn capabilities(&mut self) -> Result<ScannerCapabilities, ScannerError> {
        let source = SourceCapabilities {
            max: MediaSize::A4,
            color_modes: [ColorMode::Rgb24, ColorMode::Grayscale8]
                .into_iter()
                .collect(),
            resolutions_dpi: [200, 300].into_iter().collect(),
            formats: [DocumentFormat::Jpeg].into_iter().collect(),
        };
        Ok(ScannerCapabilities {
            platen: None,
            adf: Some(source),
            adf_duplex: true,
        })
    }

    fn status(&mut self) -> Result<ScannerStatus, ScannerError> {
        let tray = self.tray();
        let state = match tray.active {
            true => ScannerState::Processing,
            false => ScannerState::Idle,
        };
        let adf = match tray.sheets {
            0 => AdfState::Empty,
            _ => AdfState::Loaded,
        };
        Ok(ScannerStatus {
            state,
            adf: Some(adf),
        })
    }

    fn start(&mut self, _settings: &ScanSettings) -> Result<(), ScannerError> {
        let mut tray = self.tray();
        if tray.sheets == 0 {
            return Err(fault(ScannerErrorKind::FeederEmpty));
        }
        tray.active = true;
        Ok(())
    }

    fn next_page(&mut self, sink: &mut dyn PageSink) -> Result<NextPage, ScannerError> {
        let mut tray = self.tray();
        if tray.sheets == 0 {
            tray.active = false;
            return Ok(NextPage::End);
        }
        let number = (tray.device << 24) | tray.next;
        tray.next += 1;
        let bytes = page(number, &mut tray.dice);
        (tray.tell)(&bytes);
        let jam = tray.jam;
        let stops = strikes(&mut tray.dice, jam).then(|| {
            let kinds = [
                ScannerErrorKind::PaperJam,
                ScannerErrorKind::DoubleFeed,
                ScannerErrorKind::CoverOpen,
                ScannerErrorKind::Truncated,
                ScannerErrorKind::Offline,
            ];
            let kind = kinds[below(&mut tray.dice, kinds.len() as u64)];
            (below(&mut tray.dice, bytes.len() as u64), kind)
        });
        let mut at = 0;
        while at < bytes.len() {
            if let Some((stop, kind)) = stops
                && at >= stop
            {
                tray.active = false;
                return Err(fault(kind));
            }
            let end = bytes.len().min(at + 1 + below(&mut tray.dice, 2000));
            if sink.write(&bytes[at..end]).is_err() {
                tray.active = false;
                return Err(fault(ScannerErrorKind::SinkRefused));
            }
            at = end;
        }
        tray.sheets -= 1;
        tray.fed.push((number, bytes));
        Ok(NextPage::Page(PageInfo {
            format: DocumentFormat::Jpeg,
            images: 1,
            side: Side::Front,
            width_px: 100,
            height_px: 140,
            resolution_dpi: 300,
        }))
    }

    fn cancel(&mut self) -> Result<(), ScannerError> {
        self.tray().active = false;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_in_a_document_with_their_numbers() {
        let mut dice = Dice::new(1);
        let (one, two) = (page(7, &mut dice), page((3 << 24) | 200, &mut dice));
        let document = [b"%PDF", one.as_slice(), b" endstream ", &two, b"%%EOF"].concat();
        let found = pages_of(&document);
        assert_eq!(found, [(7, one), ((3 << 24) | 200, two)]);
    }
}
