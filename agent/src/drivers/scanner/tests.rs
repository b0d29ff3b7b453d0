//! What is told of a scanner that refuses, against one that refuses as the test says.

use std::collections::BTreeSet;

use scantrip_hal::scanner::{
    ColorMode, DocumentFormat, InputSource, MediaSize, PageSink, ScannerCapabilities, ScannerError,
    ScannerStatus,
};

use super::*;
use crate::drivers::testing;
use crate::spool::testing::MemoryDisk;

const SETTINGS: ScanSettings = ScanSettings {
    source: InputSource::Adf,
    duplex: false,
    color_mode: ColorMode::Grayscale8,
    resolution_dpi: 300,
    media: MediaSize::A4,
    format: DocumentFormat::Jpeg,
};

/// Refuses everything.
struct Refusing(ScannerErrorKind);

impl Refusing {
    fn error(&self) -> ScannerError {
        ScannerError {
            kind: self.0,
            message: Default::default(),
        }
    }
}

impl Scanner for Refusing {
    fn capabilities(&mut self) -> Result<ScannerCapabilities, ScannerError> {
        Err(self.error())
    }

    fn status(&mut self) -> Result<ScannerStatus, ScannerError> {
        Err(self.error())
    }

    fn start(&mut self, _settings: &ScanSettings) -> Result<(), ScannerError> {
        Err(self.error())
    }

    fn next_page(&mut self, _sink: &mut dyn PageSink) -> Result<NextPage, ScannerError> {
        Err(self.error())
    }

    fn cancel(&mut self) -> Result<(), ScannerError> {
        Ok(())
    }
}

fn driver(kind: ScannerErrorKind) -> ScannerDriver {
    let context = testing::context(MemoryDisk::new(), Arc::default(), None);
    ScannerDriver::new(Arc::new(context), Box::new(Refusing(kind)))
}

/// State and reason, as status and reports tell them.
fn told(driver: &ScannerDriver) -> Option<(String, Vec<String>)> {
    let scanner = driver.context.scanner()?;
    Some((scanner.state, scanner.reasons))
}

fn stopped(reason: &str) -> Option<(String, Vec<String>)> {
    Some(("stopped".to_owned(), vec![reason.to_owned()]))
}

/// No events wait for the cloud.
fn is_quiet(driver: &ScannerDriver) -> bool {
    let events = driver.context.with_events(|events| (events.next(), false));
    events.0.is_empty()
}

const NO_FAULTS: [ScannerErrorKind; 3] = [
    ScannerErrorKind::Busy,
    ScannerErrorKind::SinkRefused,
    ScannerErrorKind::Unsupported,
];

#[test]
fn a_job_that_is_not_wanted_any_more_or_comes_second_is_no_fault_of_the_scanner() {
    for kind in NO_FAULTS {
        let mut driver = driver(kind);
        driver.run(Scan::Look {
            settings: BTreeSet::new(),
        });
        driver.start(&SETTINGS, 1).expect_err("refused");
        assert_eq!(told(&driver), None, "{kind:?}");
        assert!(is_quiet(&driver), "{kind:?}");
    }
    let mut driver = driver(ScannerErrorKind::Offline);
    driver.start(&SETTINGS, 1).expect_err("refused");
    assert_eq!(told(&driver), stopped("shutdown"));
}

#[test]
fn a_page_that_does_not_come_is_a_fault_if_the_scanner_has_one() {
    let fault = |kind| Fed::Fault {
        kind,
        message: String::new(),
        doubts_last: false,
    };
    for kind in NO_FAULTS {
        let driver = driver(kind);
        driver.note(&fault(kind));
        let idle = Some(("idle".to_owned(), Vec::new()));
        assert_eq!(told(&driver), idle, "{kind:?}");
        assert!(is_quiet(&driver), "{kind:?}");
    }
    for (kind, reason) in [
        (ScannerErrorKind::DoubleFeed, "multiple-feed-error"),
        (
            ScannerErrorKind::FeederFault,
            "scan-media-path-input-feed-error",
        ),
    ] {
        let driver = driver(kind);
        driver.note(&fault(kind));
        assert_eq!(told(&driver), stopped(reason));
        assert!(!is_quiet(&driver), "{kind:?}");
    }
}
