//! A scanner with a flatbed, a feeder, or both. Names follow eSCL and PWG 5108.

use alloc::sync::Arc;
use core::sync::atomic::{AtomicBool, Ordering};

use heapless::{String, Vec};

/// Where the paper lies (eSCL `InputSource`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum InputSource {
    /// The glass.
    Platen,
    /// The document feeder.
    Adf,
}

/// How colour is taken (eSCL `ColorMode`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ColorMode {
    /// One bit a pixel.
    BlackAndWhite1,
    /// Eight bits of gray a pixel.
    Grayscale8,
    /// Eight bits each of red, green and blue.
    Rgb24,
}

/// How a page's bytes are encoded when they leave the scanner (eSCL `DocumentFormat`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum DocumentFormat {
    /// `image/jpeg`, one image.
    Jpeg,
    /// `application/pdf`, one or more images.
    Pdf,
    /// `image/tiff`, one or more images.
    Tiff,
}

impl DocumentFormat {
    /// The IANA media type.
    #[must_use]
    pub const fn media_type(self) -> &'static str {
        match self {
            Self::Jpeg => "image/jpeg",
            Self::Pdf => "application/pdf",
            Self::Tiff => "image/tiff",
        }
    }
}

/// A region's size in units of 1/300 inch (eSCL `ThreeHundredthsOfInches`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MediaSize {
    /// Width in 1/300 inch.
    pub width: u32,
    /// Height in 1/300 inch.
    pub height: u32,
}

impl MediaSize {
    /// ISO A4, 210 mm x 297 mm.
    pub const A4: Self = Self {
        width: 2480,
        height: 3508,
    };
    /// North American Letter, 8.5 in x 11 in.
    pub const LETTER: Self = Self {
        width: 2550,
        height: 3300,
    };
}

/// What one scan job asks for (eSCL `ScanSettings`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScanSettings {
    /// Glass or feeder.
    pub source: InputSource,
    /// Both sides of each sheet; feeder only.
    pub duplex: bool,
    /// Colour, gray or black and white.
    pub color_mode: ColorMode,
    /// Pixels per inch, both ways.
    pub resolution_dpi: u16,
    /// The region to scan, from the upper left corner.
    pub media: MediaSize,
    /// How the bytes are encoded.
    pub format: DocumentFormat,
}

/// What one source can do (eSCL `InputSourceCaps`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SourceCapabilities {
    /// The largest region.
    pub max: MediaSize,
    /// Colour modes, preferred first.
    pub color_modes: Vec<ColorMode, 3>,
    /// Resolutions in dpi, ascending.
    pub resolutions_dpi: Vec<u16, 16>,
    /// Encodings, preferred first.
    pub formats: Vec<DocumentFormat, 4>,
}

/// What a scanner can do (eSCL `ScannerCapabilities`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScannerCapabilities {
    /// The flatbed, if there is one.
    pub platen: Option<SourceCapabilities>,
    /// The feeder, if there is one.
    pub adf: Option<SourceCapabilities>,
    /// Whether the feeder takes both sides.
    pub adf_duplex: bool,
}

/// What the scanner is doing (eSCL `State`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScannerState {
    /// Ready for a job.
    Idle,
    /// A job is being scanned.
    Processing,
    /// Stopped by a fault that a person must clear.
    Stopped,
    /// Not reachable.
    Down,
}

/// What the feeder is doing (eSCL `AdfState`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AdfState {
    /// Paper is in the feeder.
    Loaded,
    /// No paper is in the feeder.
    Empty,
    /// Paper is stuck.
    Jam,
    /// Two sheets went in at once.
    MultipickDetected,
    /// The cover is open.
    HatchOpen,
    /// No problem is known; whether there is paper is not told.
    Processing,
    /// Another fault: the tray, or paper of a size that cannot be turned over.
    Fault,
}

/// State of the scanner and its feeder (eSCL `ScannerStatus`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ScannerStatus {
    /// The scanner.
    pub state: ScannerState,
    /// The feeder, if there is one.
    pub adf: Option<AdfState>,
}

/// Which side of the sheet a page is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The front, or the only side.
    Front,
    /// The back.
    Back,
}

/// What the scanner tells of a finished page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PageInfo {
    /// Encoding of the bytes given to the sink.
    pub format: DocumentFormat,
    /// Images in those bytes; 1 for JPEG.
    pub images: u16,
    /// Front or back.
    pub side: Side,
    /// Width in pixels, 0 when not known.
    pub width_px: u32,
    /// Height in pixels, 0 when not known.
    pub height_px: u32,
    /// Pixels per inch that the page was scanned with.
    pub resolution_dpi: u16,
}

/// What [`Scanner::next_page`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NextPage {
    /// A whole page went into the sink.
    Page(PageInfo),
    /// The stack is through, or the one page of the glass is taken; the job is over.
    End,
}

/// Why a scanner stopped (eSCL `AdfState`, PWG `printer-state-reasons`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ScannerErrorKind {
    /// No paper in the feeder at the start of a job.
    FeederEmpty,
    /// Paper is stuck; the page in hand is not whole.
    PaperJam,
    /// Two sheets went in at once; the page in hand is doubtful.
    DoubleFeed,
    /// The cover is open.
    CoverOpen,
    /// Another job holds the scanner.
    Busy,
    /// The settings are not possible on this scanner.
    Unsupported,
    /// The page ended before it was whole.
    Truncated,
    /// The scanner broke the job off or lost it: an error inside, or a restart.
    Interrupted,
    /// The paper is too short or too long to be scanned on both sides.
    DuplexSize,
    /// The feeder took no sheet in, or its tray has a fault or holds too much.
    FeederFault,
    /// The page is larger than a page may be.
    PageTooLarge,
    /// The sink refused a byte: disk full, page too large, or job cancelled.
    SinkRefused,
    /// The job was cancelled at the device.
    Cancelled,
    /// The scanner does not answer.
    Offline,
    /// The scanner answered against its protocol.
    Protocol,
}

impl ScannerErrorKind {
    /// Whether a person can clear the fault and the same job can go on.
    #[must_use]
    pub const fn is_resumable(self) -> bool {
        matches!(
            self,
            Self::FeederEmpty
                | Self::PaperJam
                | Self::DoubleFeed
                | Self::CoverOpen
                | Self::Busy
                | Self::Truncated
                | Self::Interrupted
                | Self::DuplexSize
                | Self::FeederFault
                | Self::Cancelled
        )
    }
}

/// A fault of the scanner: its kind, and a sentence for the log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ScannerError {
    /// The class of the fault, which decides what the panel offers.
    pub kind: ScannerErrorKind,
    /// What happened, in the backend's words; lower case, no full stop.
    pub message: String<96>,
}

/// The sink can take no more; the scanner stops the page with [`ScannerErrorKind::SinkRefused`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SinkRefused;

/// Raised from another thread when a person wants no more of the page in hand.
#[derive(Clone, Debug, Default)]
pub struct StopFlag(Arc<AtomicBool>);

impl StopFlag {
    /// From now on the page is not wanted.
    pub fn raise(&self) {
        self.0.store(true, Ordering::SeqCst);
    }

    /// Whether the page is no longer wanted.
    #[must_use]
    pub fn is_raised(&self) -> bool {
        self.0.load(Ordering::SeqCst)
    }
}

/// Takes a page's bytes as they leave the scanner.
pub trait PageSink {
    /// Takes the next bytes of the page.
    ///
    /// # Errors
    /// [`SinkRefused`] when the page must stop here.
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkRefused>;
    /// What tells that the page is no longer wanted. A scanner looks at it before the page, between
    /// its pieces and several times a second while it waits for a device; it ends the job there with
    /// [`ScannerErrorKind::SinkRefused`].
    fn stop(&self) -> Option<StopFlag> {
        None
    }
}

/// A scanner. One job at a time: `start`, then `next_page` until [`NextPage::End`] or an error.
///
/// After a resumable error the job is over for the scanner; the caller starts another one for the
/// rest of the stack. A page is either wholly in its sink when `next_page` returns
/// [`NextPage::Page`], or it does not count.
pub trait Scanner: Send {
    /// What the scanner can do.
    ///
    /// # Errors
    /// When the scanner does not answer.
    fn capabilities(&mut self) -> Result<ScannerCapabilities, ScannerError>;
    /// What scanner and feeder are doing now.
    ///
    /// # Errors
    /// When the scanner does not answer.
    fn status(&mut self) -> Result<ScannerStatus, ScannerError>;
    /// What tells that the job to be started next is no longer wanted. A scanner whose device may let it
    /// wait for a job looks at it as at [`PageSink::stop`].
    fn heed(&mut self, _stop: StopFlag) {}
    /// Starts a job. No paper moves before this.
    ///
    /// # Errors
    /// When the settings are not possible or a person must act first;
    /// [`ScannerErrorKind::SinkRefused`] when the job is no longer wanted.
    fn start(&mut self, settings: &ScanSettings) -> Result<(), ScannerError>;
    /// Scans the next page into `sink`, in pieces of at most 64 KiB.
    ///
    /// # Errors
    /// When the page is not whole; bytes already in the sink must be dropped.
    fn next_page(&mut self, sink: &mut dyn PageSink) -> Result<NextPage, ScannerError>;
    /// Ends the job; content when none runs.
    ///
    /// # Errors
    /// When the scanner does not answer.
    fn cancel(&mut self) -> Result<(), ScannerError>;
    /// After an error: whether the scanner doubts the last page that it gave as whole, so that a
    /// person should look at it.
    fn doubts_last_page(&self) -> bool {
        false
    }
}
