//! The trait's side of a device: finds it, keeps what it can do, runs its jobs.

use super::capabilities::Capabilities;
use super::device::{Device, Finder};
use super::job::{Done, Fault, Job, Step};
use super::session::NoSink;
use super::settings;
use super::status::{AdfState, Status};
use crate::scanner::{
    MediaSize, NextPage, PageInfo, PageSink, ScanSettings, Scanner, ScannerCapabilities,
    ScannerError, ScannerErrorKind, ScannerState, ScannerStatus, Side, StopFlag,
};
use crate::settings::short;
use crate::web::{WebError, WebErrorKind};

/// Resolutions that a device may take in place of the one it was asked for.
const STEPS_DPI: [u32; 8] = [75, 100, 150, 200, 300, 400, 600, 1200];

/// A scanner behind eSCL.
pub(super) struct EsclScanner {
    finder: Finder,
    /// Once it was found.
    device: Option<Device>,
    job: Option<Job>,
    /// The fault of the feeder that a person was told of last.
    told: Option<ScannerErrorKind>,
    /// Whether its feeder was ever seen to say that it is empty.
    tells_empty: bool,
    /// Whether it was seen to rest without a word of paper.
    rests: bool,
    doubts_last_page: bool,
    /// Raised when the job to be started is not wanted any more.
    stop: Option<StopFlag>,
}

impl EsclScanner {
    /// A scanner to be found when it is first asked something.
    pub(super) fn new(finder: Finder, device: Option<Device>) -> Self {
        Self {
            told: finder.told(),
            finder,
            device,
            job: None,
            tells_empty: false,
            rests: false,
            doubts_last_page: false,
            stop: None,
        }
    }

    fn device(&mut self) -> Result<&mut Device, ScannerError> {
        let found = match self.device.take() {
            Some(device) => device,
            None => self.finder.find().map_err(|error| offline(&error))?,
        };
        Ok(self.device.insert(found))
    }

    /// Runs the job until it has reached something.
    fn run(&mut self, mut job: Job, sink: &mut dyn PageSink) -> Result<Done, ScannerError> {
        let device = self.device()?;
        let mut stop = sink.stop();
        let reached = loop {
            // Heeded once: to end the job takes its time.
            stop.take_if(|stop| stop.is_raised() && job.handle_stop());
            match job.step() {
                Step::Ask(ask) => {
                    let stop = stop.as_ref().filter(|_| job.only_waits());
                    let answer = device.session.carry_out(&ask, sink, stop);
                    job.handle_place(device.session.place.take());
                    job.handle_answer(answer);
                }
                Step::Wait(time) => {
                    device.wait(time, stop.as_ref());
                    job.handle_waited();
                }
                Step::Done(reached) => break reached,
            }
        };
        match &reached {
            Err(fault) if fault.kind == ScannerErrorKind::Unsupported => {
                device.capabilities = None;
            }
            // It may have another address when it is back.
            Err(fault) if fault.kind == ScannerErrorKind::Offline => self.device = None,
            _ => {}
        }
        let over = job.is_over();
        self.tells_empty |= job.tells_empty();
        self.job = (!over).then_some(job);
        if let Err(fault) = &reached {
            self.told = Some(fault.kind);
            self.doubts_last_page = fault.doubts_last_page;
        } else if over {
            self.told = None;
        }
        if over {
            self.finder.tell(self.told);
        }
        reached.map_err(|fault: Fault| error(fault.kind, &fault.message))
    }
}

impl Scanner for EsclScanner {
    fn capabilities(&mut self) -> Result<ScannerCapabilities, ScannerError> {
        let told = self
            .device()
            .and_then(capabilities)
            .map(Capabilities::scanner);
        if told.is_err() {
            self.device = None;
        }
        told
    }

    fn status(&mut self) -> Result<ScannerStatus, ScannerError> {
        let status = self.device()?.session.status();
        let adf = status.as_ref().ok().and_then(|status| status.adf.as_ref());
        self.tells_empty |= adf == Some(&AdfState::Empty);
        self.rests |= self.job.is_none() && status.as_ref().is_ok_and(Status::rests);
        match status {
            // A job of ours holds the scanner, also while the device thinks about it.
            Ok(status) if self.job.is_some() => Ok(ScannerStatus {
                state: ScannerState::Processing,
                ..status.scanner()
            }),
            Ok(status) => Ok(status.scanner()),
            Err(error) => {
                self.device = None;
                Err(offline(&error))
            }
        }
    }

    fn heed(&mut self, stop: StopFlag) {
        self.stop = Some(stop);
    }

    fn start(&mut self, wish: &ScanSettings) -> Result<(), ScannerError> {
        self.cancel()?;
        self.doubts_last_page = false;
        let told = self.told;
        let known = capabilities(self.device()?)?;
        let ticket = settings::clamp(known, wish)
            .map_err(|reason| error(ScannerErrorKind::Unsupported, reason))?;
        let quirks = self.device()?.session.quirks;
        let mut job = Job::new(ticket, quirks, told).with_feeder(self.tells_empty, self.rests);
        job.start();
        let stop = self.stop.take();
        self.run(job, &mut NoSink(stop)).map(drop)
    }

    fn next_page(&mut self, sink: &mut dyn PageSink) -> Result<NextPage, ScannerError> {
        let Some(mut job) = self.job.take() else {
            return Err(error(ScannerErrorKind::Protocol, "no job was started"));
        };
        let (ticket, page) = (job.ticket().cloned(), job.pages());
        job.load();
        match self.run(job, sink)? {
            Done::Page(facts) => {
                let asked = ticket.map(|ticket| ticket.settings);
                let duplex = asked.is_some_and(|asked| asked.duplex);
                let (dpi, media) = asked.map_or((0, MediaSize::A4), |asked| {
                    (asked.resolution_dpi, asked.media)
                });
                Ok(NextPage::Page(PageInfo {
                    format: facts.format,
                    images: facts.images,
                    side: match duplex && page % 2 == 1 {
                        true => Side::Back,
                        false => Side::Front,
                    },
                    width_px: facts.width,
                    height_px: facts.height,
                    resolution_dpi: true_dpi(facts.width, media, dpi),
                }))
            }
            _ => Ok(NextPage::End),
        }
    }

    fn cancel(&mut self) -> Result<(), ScannerError> {
        let Some(mut job) = self.job.take() else {
            return Ok(());
        };
        job.cancel();
        self.run(job, &mut NoSink(None)).map(drop)
    }

    fn doubts_last_page(&self) -> bool {
        self.doubts_last_page
    }
}

impl Drop for EsclScanner {
    fn drop(&mut self) {
        if let Err(error) = self.cancel() {
            log::warn!("escl: the job is not ended: {error}");
        }
    }
}

/// What the device can do, asked for once: devices do not change it while they run, and a device
/// that refuses the settings is asked again.
fn capabilities(device: &mut Device) -> Result<&Capabilities, ScannerError> {
    device.capabilities().map_err(|error| offline(&error))
}

/// What the page was scanned with. Some devices take another resolution than they were asked for
/// (Canon iR2625, Lexmark CX310): then the width is that of the region at a usual resolution.
fn true_dpi(width: u32, media: MediaSize, asked: u16) -> u16 {
    if width == 0 || media.width == 0 {
        return asked;
    }
    let found = width.saturating_mul(300) / media.width;
    let near = |dpi: u32| found.abs_diff(dpi).saturating_mul(50) <= dpi;
    if near(asked.into()) {
        return asked;
    }
    let step = STEPS_DPI.into_iter().find(|dpi| near(*dpi));
    step.and_then(|dpi| u16::try_from(dpi).ok())
        .unwrap_or(asked)
}

fn offline(cause: &WebError) -> ScannerError {
    let kind = match cause.kind {
        WebErrorKind::Protocol => ScannerErrorKind::Protocol,
        _ => ScannerErrorKind::Offline,
    };
    error(kind, &cause.message)
}

/// An error with as much of the message as fits.
pub(super) fn error(kind: ScannerErrorKind, message: &str) -> ScannerError {
    ScannerError {
        kind,
        message: short(message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_resolution_is_what_the_picture_shows() {
        let a4 = MediaSize::A4;
        assert_eq!(true_dpi(2480, a4, 300), 300);
        assert_eq!(true_dpi(2496, a4, 300), 300, "rounded up to blocks of 16");
        assert_eq!(true_dpi(2480, a4, 600), 300, "Canon iR2625");
        assert_eq!(
            true_dpi(1748, a4, 300),
            300,
            "a narrower page, cut to its size"
        );
        assert_eq!(true_dpi(0, a4, 300), 300);
    }
}
