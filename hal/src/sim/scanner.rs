//! The simulated scanner: paper, jobs and faults.

use std::time::Duration;

use super::feed::{FeedError, Record, Source};
use super::page::Page;
use super::{Fault, SimMfp, State};
use crate::scanner::{
    AdfState, ColorMode, DocumentFormat, InputSource, MediaSize, NextPage, PageInfo, PageSink,
    ScanSettings, Scanner, ScannerCapabilities, ScannerError, ScannerErrorKind, ScannerState,
    ScannerStatus, Side, SinkRefused, SourceCapabilities, StopFlag,
};
use crate::settings::short;

const RESOLUTIONS_DPI: [u16; 6] = [75, 100, 150, 200, 300, 600];
/// How soon a stop is seen while a page takes its time.
const GLANCE: Duration = Duration::from_millis(200);
/// The glass takes A4 and Letter.
const PLATEN_MAX: MediaSize = MediaSize {
    width: 2550,
    height: 3508,
};
/// The feeder takes Legal as well.
const ADF_MAX: MediaSize = MediaSize {
    width: 2550,
    height: 4200,
};

/// The scanner of a [`SimMfp`].
pub struct SimScanner {
    mfp: SimMfp,
    job: Option<Job>,
}

struct Job {
    settings: ScanSettings,
    /// Whether the one page of the glass is taken.
    glass_taken: bool,
}

/// A page about to be fed, and what becomes of it.
struct Plan {
    source: Source,
    side: Side,
    ending: Ending,
    time: Duration,
    record: Option<u32>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ending {
    Whole,
    Jam,
    DoubleFeed,
    PowerCut,
    NoBytes,
    CutShort,
}

impl SimScanner {
    pub(super) const fn new(mfp: SimMfp) -> Self {
        Self { mfp, job: None }
    }

    /// What comes next in `job`; none when the stack is through.
    fn plan(&self, state: &mut State, job: &Job) -> Result<Option<Plan>, ScannerError> {
        let config = &self.mfp.shared.config;
        let feeder = &mut state.feeder;
        let glass = job.settings.source == InputSource::Platen;
        if glass && job.glass_taken {
            return Ok(None);
        }
        if !glass && state.faults.contains(&Fault::CoverOpen) {
            state.stopped = None;
            return Err(error(
                ScannerErrorKind::CoverOpen,
                "the feeder's cover is open",
            ));
        }
        if !glass && !job.settings.duplex && feeder.side == Side::Back {
            feeder.sheet += 1;
            feeder.side = Side::Front;
        }
        if !glass && feeder.is_empty() {
            return Ok(None);
        }
        let (stack, number, side, label) = if glass {
            let number = state.glass_pages + 1;
            (0, number, Side::Front, "on the glass".to_owned())
        } else {
            let side = match feeder.side {
                Side::Front => "front",
                Side::Back => "back",
            };
            let label = format!("sheet {} {side}, stack {}", feeder.sheet + 1, feeder.stack);
            (feeder.stack, feeder.pages + 1, feeder.side, label)
        };
        let source = match self.mfp.shared.images.as_slice() {
            [] => {
                let seed = mix(config.seed, stack, number);
                let content = side == Side::Front || config.duplex_content;
                Source::Drawn(Page::new(seed, number, &label, content))
            }
            images => {
                let place = (number as usize - 1) % images.len();
                Source::File(images.get(place).cloned().unwrap_or_default())
            }
        };
        let (ending, extra_ms) = if glass {
            (Ending::Whole, 0)
        } else {
            take_faults(&mut state.faults, number)
        };
        let time = Duration::from_millis(u64::from(config.page_ms) + u64::from(extra_ms));
        let record = config.record.as_ref().map(|_| state.recorded + 1);
        Ok(Some(Plan {
            source,
            side,
            ending,
            time,
            record,
        }))
    }

    /// Lets a page's time pass; less when `stop` is raised.
    fn rest(&self, time: Duration, stop: Option<&StopFlag>) {
        let mut left = time;
        while !left.is_zero() && !stop.is_some_and(StopFlag::is_raised) {
            let piece = stop.map_or(left, |_| left.min(GLANCE));
            (self.mfp.shared.config.sleep)(piece);
            left -= piece;
        }
    }

    /// Moves the page; `Ok` when the scanner takes it for whole.
    fn feed(
        &self,
        plan: &Plan,
        settings: &ScanSettings,
        sink: &mut dyn PageSink,
    ) -> Result<PageInfo, ScannerError> {
        let config = &self.mfp.shared.config;
        let stop = sink.stop();
        self.rest(plan.time, stop.as_ref());
        let sink = &mut Stoppable { sink, stop };
        if sink.is_stopped() {
            return Err(feed_error(FeedError::Refused));
        }
        let picture = plan.source.picture(settings).map_err(feed_error)?;
        let whole = plan.ending == Ending::Whole;
        if plan.ending != Ending::NoBytes {
            let mut record = match (&config.record, plan.record) {
                (Some(folder), Some(number)) if whole => {
                    Some(Record::start(folder, number).map_err(feed_error)?)
                }
                _ => None,
            };
            let fed = plan.source.feed(settings, sink, record.as_mut(), whole);
            match (fed, record) {
                (Ok(()), Some(record)) => record.finish().map_err(feed_error)?,
                (Ok(()) | Err(FeedError::Cut), None) => {}
                (Err(cause), record) => {
                    if let Some(record) = record {
                        record.abandon();
                    }
                    return Err(feed_error(cause));
                }
            }
        }
        match plan.ending {
            Ending::Jam => return Err(error(ScannerErrorKind::PaperJam, "paper is stuck")),
            Ending::DoubleFeed => {
                let message = "two sheets went in at once";
                return Err(error(ScannerErrorKind::DoubleFeed, message));
            }
            Ending::PowerCut => {
                (config.power_cut)();
                return Err(error(ScannerErrorKind::Offline, "the power is gone"));
            }
            Ending::Whole | Ending::NoBytes | Ending::CutShort => {}
        }
        Ok(PageInfo {
            format: DocumentFormat::Jpeg,
            images: 1,
            side: plan.side,
            width_px: picture.width,
            height_px: picture.height,
            resolution_dpi: picture.dpi,
        })
    }

    /// The sheet that was through on one side only is fed again from its front.
    fn put_back(&self, state: &mut State) {
        state.feeder.side = Side::Front;
        state.feeder.pages = state.feeder.pages.saturating_sub(1);
        if let Some(folder) = &self.mfp.shared.config.record {
            Record::remove(folder, state.recorded);
        }
        state.recorded = state.recorded.saturating_sub(1);
    }

    fn end_job(&mut self) {
        if self.job.take().is_some() {
            self.mfp.lock().active = false;
        }
    }
}

/// A sink that refuses once the page is not wanted any more.
struct Stoppable<'a> {
    sink: &'a mut dyn PageSink,
    stop: Option<StopFlag>,
}

impl Stoppable<'_> {
    fn is_stopped(&self) -> bool {
        self.stop.as_ref().is_some_and(StopFlag::is_raised)
    }
}

impl PageSink for Stoppable<'_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkRefused> {
        if self.is_stopped() {
            return Err(SinkRefused);
        }
        self.sink.write(bytes)
    }
}

impl Scanner for SimScanner {
    fn capabilities(&mut self) -> Result<ScannerCapabilities, ScannerError> {
        let dpi_max = self.mfp.shared.config.dpi;
        let source = |max| SourceCapabilities {
            max,
            color_modes: [ColorMode::Rgb24, ColorMode::Grayscale8]
                .into_iter()
                .collect(),
            resolutions_dpi: RESOLUTIONS_DPI
                .into_iter()
                .filter(|dpi| *dpi <= dpi_max)
                .collect(),
            formats: [DocumentFormat::Jpeg].into_iter().collect(),
        };
        Ok(ScannerCapabilities {
            platen: Some(source(PLATEN_MAX)),
            adf: Some(source(ADF_MAX)),
            adf_duplex: true,
        })
    }

    fn status(&mut self) -> Result<ScannerStatus, ScannerError> {
        let state = self.mfp.lock_after_orders();
        let adf = if state.faults.contains(&Fault::CoverOpen) {
            AdfState::HatchOpen
        } else if let Some(stopped) = state.stopped {
            stopped
        } else if state.feeder.is_empty() || state.faults.contains(&Fault::Empty) {
            AdfState::Empty
        } else {
            AdfState::Loaded
        };
        let scanner = if state.active || state.faults.contains(&Fault::Busy) {
            ScannerState::Processing
        } else if matches!(adf, AdfState::Loaded | AdfState::Empty) {
            ScannerState::Idle
        } else {
            ScannerState::Stopped
        };
        Ok(ScannerStatus {
            state: scanner,
            adf: Some(adf),
        })
    }

    fn start(&mut self, settings: &ScanSettings) -> Result<(), ScannerError> {
        let capabilities = self.capabilities()?;
        if let Some(reason) = unsupported(&capabilities, settings) {
            return Err(error(ScannerErrorKind::Unsupported, reason));
        }
        let mut state = self.mfp.lock_after_orders();
        if state.active || state.faults.contains(&Fault::Busy) {
            return Err(error(
                ScannerErrorKind::Busy,
                "another job holds the scanner",
            ));
        }
        if settings.source == InputSource::Adf {
            if state.faults.contains(&Fault::CoverOpen) {
                return Err(error(
                    ScannerErrorKind::CoverOpen,
                    "the feeder's cover is open",
                ));
            }
            if state.feeder.is_empty() || state.faults.contains(&Fault::Empty) {
                return Err(error(
                    ScannerErrorKind::FeederEmpty,
                    "there is no paper in the feeder",
                ));
            }
            state.stopped = None;
            if settings.duplex && state.feeder.side == Side::Back {
                self.put_back(&mut state);
            }
        }
        state.active = true;
        self.job = Some(Job {
            settings: *settings,
            glass_taken: false,
        });
        Ok(())
    }

    fn next_page(&mut self, sink: &mut dyn PageSink) -> Result<NextPage, ScannerError> {
        let Some(job) = &self.job else {
            return Err(error(ScannerErrorKind::Protocol, "no job was started"));
        };
        let settings = job.settings;
        let plan = self.plan(&mut self.mfp.lock_after_orders(), job);
        let plan = match plan {
            Ok(Some(plan)) => plan,
            Ok(None) => {
                self.end_job();
                return Ok(NextPage::End);
            }
            Err(cause) => {
                self.end_job();
                return Err(cause);
            }
        };
        match self.feed(&plan, &settings, sink) {
            Ok(info) => {
                if plan.ending == Ending::Whole {
                    self.mfp.lock().page_is_through(&settings);
                }
                if let Some(job) = &mut self.job {
                    job.glass_taken = settings.source == InputSource::Platen;
                }
                Ok(NextPage::Page(info))
            }
            Err(cause) => {
                self.mfp.lock().stopped = match plan.ending {
                    Ending::Jam => Some(AdfState::Jam),
                    Ending::DoubleFeed => Some(AdfState::MultipickDetected),
                    _ => None,
                };
                self.end_job();
                Err(cause)
            }
        }
    }

    fn cancel(&mut self) -> Result<(), ScannerError> {
        self.end_job();
        Ok(())
    }
}

impl Drop for SimScanner {
    fn drop(&mut self) {
        self.end_job();
    }
}

impl State {
    fn page_is_through(&mut self, settings: &ScanSettings) {
        self.recorded += 1;
        if settings.source == InputSource::Platen {
            self.glass_pages += 1;
            return;
        }
        let feeder = &mut self.feeder;
        feeder.pages += 1;
        if settings.duplex && feeder.side == Side::Front {
            feeder.side = Side::Back;
        } else {
            feeder.side = Side::Front;
            feeder.sheet += 1;
        }
    }
}

/// What happens to a page, and how much longer it takes; faults of this page are used up.
fn take_faults(faults: &mut Vec<Fault>, page: u32) -> (Ending, u32) {
    let mut ending = Ending::Whole;
    let mut extra_ms = 0;
    faults.retain(|fault| {
        match *fault {
            Fault::JamAfter(before) if page == before + 1 => ending = Ending::Jam,
            Fault::DoubleFeedAt(at) if page == at => ending = Ending::DoubleFeed,
            Fault::PowerCutAt { page: at } if page == at => ending = Ending::PowerCut,
            Fault::EmptyPage(at) if page == at => ending = Ending::NoBytes,
            Fault::TruncatePage(at) if page == at => ending = Ending::CutShort,
            Fault::SlowPage { page: at, ms } if page == at => extra_ms += ms,
            _ => return true,
        }
        false
    });
    (ending, extra_ms)
}

/// Why the settings are not possible, if they are not.
fn unsupported(capabilities: &ScannerCapabilities, asked: &ScanSettings) -> Option<&'static str> {
    let source = match asked.source {
        InputSource::Platen if asked.duplex => return Some("the glass takes one side"),
        InputSource::Platen => capabilities.platen.as_ref()?,
        InputSource::Adf => capabilities.adf.as_ref()?,
    };
    let (size, max) = (asked.media, source.max);
    if size.width == 0 || size.height == 0 || size.width > max.width || size.height > max.height {
        Some("the region is empty or too large")
    } else if !source.color_modes.contains(&asked.color_mode) {
        Some("colour or gray only")
    } else if !source.resolutions_dpi.contains(&asked.resolution_dpi) {
        Some("this resolution is not offered")
    } else if !source.formats.contains(&asked.format) {
        Some("JPEG only")
    } else {
        None
    }
}

/// One seed for each page of each stack.
const fn mix(seed: u64, stack: u32, page: u32) -> u64 {
    let place = (stack as u64) << 32 | page as u64;
    (seed ^ place.wrapping_mul(0xd134_2543_de82_ef95)).wrapping_mul(0x2545_f491_4f6c_dd1d)
}

fn feed_error(cause: FeedError) -> ScannerError {
    match cause {
        FeedError::Refused => error(ScannerErrorKind::SinkRefused, "the sink takes no more"),
        FeedError::Cut => error(ScannerErrorKind::Truncated, "the page ended early"),
        FeedError::Failed(reason) => error(ScannerErrorKind::Protocol, &reason),
    }
}

/// An error with as much of the message as fits.
fn error(kind: ScannerErrorKind, message: &str) -> ScannerError {
    ScannerError {
        kind,
        message: short(message),
    }
}
