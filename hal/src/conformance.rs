//! What every scanner must do. A backend is accepted when [`check`] is content with it.
//!
//! The suite needs at least two sheets in the feeder, or a page on the glass, and takes them. What
//! a person must do in between (load paper) is the caller's part.

use core::fmt::Debug;

use crate::scanner::{
    AdfState, InputSource, MediaSize, NextPage, PageInfo, PageSink, ScanSettings, Scanner,
    ScannerError, ScannerErrorKind, ScannerState, Side, SinkRefused, SourceCapabilities, StopFlag,
};

/// Bytes that a scanner may give at once.
const PIECE_BYTES_MAX: usize = 64 * 1024;

/// A scanner does not do what every scanner must.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{claim}: {found}")]
pub struct NonConformance {
    /// What every scanner must do.
    pub claim: &'static str,
    /// What this one did.
    pub found: String,
}

/// Checks a scanner. `load` puts at least two sheets into the feeder and one on the glass.
///
/// # Errors
/// At the first thing that is not as it must be.
pub fn check(scanner: &mut dyn Scanner, load: &mut dyn FnMut()) -> Result<(), NonConformance> {
    let capabilities = scanner.capabilities().map_err(failed("capabilities"))?;
    let sources = [
        (InputSource::Platen, &capabilities.platen),
        (InputSource::Adf, &capabilities.adf),
    ];
    require(
        "a scanner has a flatbed or a feeder",
        sources.iter().any(|(_, source)| source.is_some()),
        &capabilities,
    )?;
    for (input, source) in sources {
        let Some(source) = source else {
            continue;
        };
        check_capabilities(source)?;
        let Some(settings) = smallest(input, source) else {
            continue;
        };
        load();
        check_no_job(scanner)?;
        check_impossible_settings(scanner, &settings, source)?;
        check_refusing_sink(scanner, &settings)?;
        check_stop(scanner, &settings)?;
        check_cancel(scanner, &settings)?;
        match input {
            InputSource::Platen => check_glass(scanner, &settings)?,
            InputSource::Adf => {
                load();
                check_feeder(scanner, &settings)?;
                if capabilities.adf_duplex {
                    load();
                    check_duplex(scanner, &settings)?;
                }
            }
        }
    }
    Ok(())
}

fn check_capabilities(source: &SourceCapabilities) -> Result<(), NonConformance> {
    let complete = !source.color_modes.is_empty()
        && !source.resolutions_dpi.is_empty()
        && !source.formats.is_empty()
        && source.max.width > 0
        && source.max.height > 0;
    require("a source offers something of everything", complete, source)?;
    let ascending = source.resolutions_dpi.is_sorted_by(|a, b| a < b);
    require("resolutions ascend", ascending, source)
}

fn check_no_job(scanner: &mut dyn Scanner) -> Result<(), NonConformance> {
    scanner
        .cancel()
        .map_err(failed("cancel without a job is content"))?;
    let status = scanner.status().map_err(failed("status"))?;
    let idle = status.state == ScannerState::Idle;
    require("a scanner without a job is idle", idle, &status)?;
    let mut sink = Sink::default();
    let next = scanner.next_page(&mut sink);
    require("without a job there is no page", next.is_err(), &next)?;
    require("without a job there is no byte", sink.bytes == 0, &sink)
}

fn check_impossible_settings(
    scanner: &mut dyn Scanner,
    settings: &ScanSettings,
    source: &SourceCapabilities,
) -> Result<(), NonConformance> {
    let too_large = MediaSize {
        width: source.max.width + 1,
        ..source.max
    };
    let impossible = [
        ScanSettings {
            resolution_dpi: 1,
            ..*settings
        },
        ScanSettings {
            media: too_large,
            ..*settings
        },
    ];
    for settings in &impossible {
        let refused = scanner.start(settings);
        let kind = refused.as_ref().err().map(|cause| cause.kind);
        let as_unsupported = kind == Some(ScannerErrorKind::Unsupported);
        let claim = "settings that are not offered are refused as unsupported";
        require(claim, as_unsupported, &(settings, refused))?;
    }
    Ok(())
}

fn check_refusing_sink(
    scanner: &mut dyn Scanner,
    settings: &ScanSettings,
) -> Result<(), NonConformance> {
    scanner.start(settings).map_err(failed("start"))?;
    let mut sink = Sink {
        refuses: true,
        ..Sink::default()
    };
    let ended = scanner.next_page(&mut sink);
    let kind = ended.as_ref().err().map(|cause| cause.kind);
    let as_refused = kind == Some(ScannerErrorKind::SinkRefused);
    require("a sink that refuses ends the page", as_refused, &ended)?;
    require("nothing comes after a refusal", sink.calls == 1, &sink)
}

fn check_stop(scanner: &mut dyn Scanner, settings: &ScanSettings) -> Result<(), NonConformance> {
    scanner.start(settings).map_err(failed("start"))?;
    let mut sink = Sink::default();
    sink.stop.raise();
    let ended = scanner.next_page(&mut sink);
    let kind = ended.as_ref().err().map(|cause| cause.kind);
    let as_refused = kind == Some(ScannerErrorKind::SinkRefused);
    require("a raised stop ends the page", as_refused, &ended)?;
    require("no byte comes after a stop", sink.bytes == 0, &sink)?;
    let next = scanner.next_page(&mut Sink::default());
    require("after a stop there is no page", next.is_err(), &next)
}

fn check_cancel(scanner: &mut dyn Scanner, settings: &ScanSettings) -> Result<(), NonConformance> {
    scanner
        .start(settings)
        .map_err(failed("start after an error"))?;
    let status = scanner.status().map_err(failed("status in a job"))?;
    let processing = status.state == ScannerState::Processing;
    require("a scanner with a job is processing", processing, &status)?;
    scanner.cancel().map_err(failed("cancel"))?;
    let next = scanner.next_page(&mut Sink::default());
    require("after cancel there is no page", next.is_err(), &next)
}

fn check_glass(scanner: &mut dyn Scanner, settings: &ScanSettings) -> Result<(), NonConformance> {
    let pages = scan(scanner, settings)?;
    require("the glass gives one page", pages.len() == 1, &pages)
}

fn check_feeder(scanner: &mut dyn Scanner, settings: &ScanSettings) -> Result<(), NonConformance> {
    let status = scanner.status().map_err(failed("status"))?;
    let loaded = status.adf == Some(AdfState::Loaded);
    require("a feeder with paper says so", loaded, &status)?;
    let pages = scan(scanner, settings)?;
    require("a stack gives its pages", pages.len() >= 2, &pages)?;
    let fronts = pages.iter().all(|page| page.side == Side::Front);
    require("one-sided pages are fronts", fronts, &pages)?;
    let refused = scanner.start(settings);
    let kind = refused.as_ref().err().map(|cause| cause.kind);
    let as_empty = kind == Some(ScannerErrorKind::FeederEmpty);
    require("an empty feeder takes no job", as_empty, &refused)?;
    let status = scanner.status().map_err(failed("status"))?;
    let empty = status.adf == Some(AdfState::Empty);
    require("an empty feeder says so", empty, &status)
}

fn check_duplex(scanner: &mut dyn Scanner, settings: &ScanSettings) -> Result<(), NonConformance> {
    let settings = ScanSettings {
        duplex: true,
        ..*settings
    };
    let pages = scan(scanner, &settings)?;
    let sides = [Side::Front, Side::Back].into_iter().cycle();
    let in_turn = pages
        .iter()
        .zip(sides)
        .all(|(page, side)| page.side == side);
    let even = pages.len().is_multiple_of(2) && !pages.is_empty();
    require("fronts and backs come in turn", in_turn && even, &pages)
}

/// Scans a whole job, looking at each page.
fn scan(
    scanner: &mut dyn Scanner,
    settings: &ScanSettings,
) -> Result<Vec<PageInfo>, NonConformance> {
    scanner.start(settings).map_err(failed("start"))?;
    let mut pages = Vec::new();
    loop {
        let mut sink = Sink::default();
        let next = scanner.next_page(&mut sink).map_err(failed("next page"))?;
        let NextPage::Page(page) = next else {
            require("no byte comes with the end", sink.bytes == 0, &sink)?;
            break;
        };
        let small = sink.largest <= PIECE_BYTES_MAX;
        require("pieces are at most 64 KiB", small, &sink)?;
        require("a page has bytes", sink.bytes > 0, &page)?;
        require("a page has an image", page.images > 0, &page)?;
        let as_asked = page.format == settings.format;
        require("a page has the format asked for", as_asked, &page)?;
        pages.push(page);
    }
    let after = scanner.next_page(&mut Sink::default());
    require("after the end there is no page", after.is_err(), &after)?;
    Ok(pages)
}

/// Quick settings that the source offers.
fn smallest(input: InputSource, source: &SourceCapabilities) -> Option<ScanSettings> {
    Some(ScanSettings {
        source: input,
        duplex: false,
        color_mode: *source.color_modes.first()?,
        resolution_dpi: *source.resolutions_dpi.first()?,
        media: source.max,
        format: *source.formats.first()?,
    })
}

fn require(claim: &'static str, holds: bool, found: &dyn Debug) -> Result<(), NonConformance> {
    if holds {
        return Ok(());
    }
    Err(NonConformance {
        claim,
        found: format!("{found:?}"),
    })
}

fn failed(claim: &'static str) -> impl Fn(ScannerError) -> NonConformance {
    move |cause| NonConformance {
        claim,
        found: format!("{:?}: {cause}", cause.kind),
    }
}

#[derive(Debug, Default)]
struct Sink {
    refuses: bool,
    calls: u32,
    bytes: usize,
    largest: usize,
    stop: StopFlag,
}

impl PageSink for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkRefused> {
        self.calls += 1;
        self.bytes += bytes.len();
        self.largest = self.largest.max(bytes.len());
        if self.refuses {
            Err(SinkRefused)
        } else {
            Ok(())
        }
    }

    fn stop(&self) -> Option<StopFlag> {
        Some(self.stop.clone())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs::OpenOptions;
    use std::io::Write;
    use std::path::Path;

    use super::*;
    use crate::backends::{self, BACKENDS};
    use crate::scanner::{ScannerCapabilities, ScannerStatus};
    use crate::sim::{SimConfig, SimMfp, SimScanner};

    /// A backend that needs no hardware: its options, and how it gets paper.
    struct Fixture {
        options: BTreeMap<String, String>,
        load: Box<dyn FnMut()>,
    }

    fn fixture(backend: &str, folder: &Path) -> Fixture {
        match backend {
            "sim" => sim(folder),
            _ => panic!("{backend} needs a fixture here"),
        }
    }

    fn sim(folder: &Path) -> Fixture {
        let control = folder.join("control");
        let value = control.display().to_string();
        let mut order = "sheets=2".to_owned();
        Fixture {
            options: BTreeMap::from([("control".to_owned(), value)]),
            load: Box::new(move || {
                let mut file = OpenOptions::new();
                let file = file.create(true).write(true).truncate(true).open(&control);
                // Another length each time: a change of time alone could be too small to see.
                order.push('\n');
                file.unwrap().write_all(order.as_bytes()).unwrap();
            }),
        }
    }

    #[test]
    fn every_backend_conforms() {
        for backend in BACKENDS.iter().filter(|backend| backend.needs.is_none()) {
            let folder = tempfile::tempdir().unwrap();
            let mut fixture = fixture(backend.name, folder.path());
            let mut mfp = backends::open(backend.name, fixture.options).unwrap();
            check(&mut *mfp.scanner, &mut *fixture.load).unwrap();
        }
    }

    /// A scanner that gives one page too few.
    struct Forgetful(SimScanner);

    impl Scanner for Forgetful {
        fn capabilities(&mut self) -> Result<ScannerCapabilities, ScannerError> {
            self.0.capabilities()
        }

        fn status(&mut self) -> Result<ScannerStatus, ScannerError> {
            self.0.status()
        }

        fn start(&mut self, settings: &ScanSettings) -> Result<(), ScannerError> {
            self.0.start(settings)?;
            if settings.duplex {
                self.0.next_page(&mut Sink::default())?;
            }
            Ok(())
        }

        fn next_page(&mut self, sink: &mut dyn PageSink) -> Result<NextPage, ScannerError> {
            self.0.next_page(sink)
        }

        fn cancel(&mut self) -> Result<(), ScannerError> {
            self.0.cancel()
        }
    }

    /// A scanner that hears of no stop.
    struct Deaf(SimScanner);

    impl Scanner for Deaf {
        fn capabilities(&mut self) -> Result<ScannerCapabilities, ScannerError> {
            self.0.capabilities()
        }

        fn status(&mut self) -> Result<ScannerStatus, ScannerError> {
            self.0.status()
        }

        fn start(&mut self, settings: &ScanSettings) -> Result<(), ScannerError> {
            self.0.start(settings)
        }

        fn next_page(&mut self, sink: &mut dyn PageSink) -> Result<NextPage, ScannerError> {
            struct Muffled<'a>(&'a mut dyn PageSink);
            impl PageSink for Muffled<'_> {
                fn write(&mut self, bytes: &[u8]) -> Result<(), SinkRefused> {
                    self.0.write(bytes)
                }
            }
            self.0.next_page(&mut Muffled(sink))
        }

        fn cancel(&mut self) -> Result<(), ScannerError> {
            self.0.cancel()
        }
    }

    #[test]
    fn a_scanner_that_hears_of_no_stop_does_not_conform() {
        let mfp = SimMfp::new(SimConfig::default()).unwrap();
        let refused = check(&mut Deaf(mfp.scanner()), &mut || mfp.load(2)).unwrap_err();
        assert_eq!(refused.claim, "a raised stop ends the page");
    }

    #[test]
    fn a_scanner_that_loses_a_page_does_not_conform() {
        let mfp = SimMfp::new(SimConfig::default()).unwrap();
        let refused = check(&mut Forgetful(mfp.scanner()), &mut || mfp.load(2)).unwrap_err();
        assert_eq!(refused.claim, "fronts and backs come in turn");
    }
}
