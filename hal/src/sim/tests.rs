use std::time::Duration;

use super::*;
use crate::scanner::{
    ColorMode, DocumentFormat, InputSource, MediaSize, NextPage, PageInfo, PageSink, ScanSettings,
    Scanner, ScannerError, ScannerErrorKind, ScannerState, SinkRefused, StopFlag,
};

/// Small pages: drawing is the slow part of a test.
const DUPLEX: ScanSettings = ScanSettings {
    source: InputSource::Adf,
    duplex: true,
    color_mode: ColorMode::Rgb24,
    resolution_dpi: 75,
    media: MediaSize::A4,
    format: DocumentFormat::Jpeg,
};
const SIMPLEX: ScanSettings = ScanSettings {
    duplex: false,
    ..DUPLEX
};
const GLASS: ScanSettings = ScanSettings {
    source: InputSource::Platen,
    ..SIMPLEX
};

#[derive(Default)]
struct Sink {
    bytes: Vec<u8>,
    largest: usize,
    limit: Option<usize>,
    stop: StopFlag,
    /// Whether the first bytes of a page are a reason to stop.
    stops: bool,
}

impl PageSink for Sink {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkRefused> {
        if self.stops {
            self.stop.raise();
        }
        self.bytes.extend_from_slice(bytes);
        self.largest = self.largest.max(bytes.len());
        match self.limit {
            Some(limit) if self.bytes.len() > limit => Err(SinkRefused),
            _ => Ok(()),
        }
    }

    fn stop(&self) -> Option<StopFlag> {
        Some(self.stop.clone())
    }
}

fn mfp(config: SimConfig) -> SimMfp {
    SimMfp::new(config).unwrap()
}

fn with_faults(sheets: u32, faults: &str) -> SimMfp {
    mfp(SimConfig {
        sheets,
        faults: Fault::parse_list(faults).unwrap(),
        power_cut: || {},
        ..SimConfig::default()
    })
}

fn next(scanner: &mut SimScanner) -> Result<Option<(PageInfo, Vec<u8>)>, ScannerError> {
    let mut sink = Sink::default();
    Ok(match scanner.next_page(&mut sink)? {
        NextPage::Page(info) => Some((info, sink.bytes)),
        NextPage::End => None,
    })
}

/// The pages of one job, and what ended it.
fn scan(
    scanner: &mut SimScanner,
    settings: &ScanSettings,
) -> (Vec<(PageInfo, Vec<u8>)>, Option<ScannerErrorKind>) {
    let mut pages = Vec::new();
    if let Err(cause) = scanner.start(settings) {
        return (pages, Some(cause.kind));
    }
    loop {
        match next(scanner) {
            Ok(Some(page)) => pages.push(page),
            Ok(None) => return (pages, None),
            Err(cause) => return (pages, Some(cause.kind)),
        }
    }
}

fn is_whole(page: &[u8]) -> bool {
    page.starts_with(&[0xff, 0xd8]) && page.ends_with(&[0xff, 0xd9])
}

#[track_caller]
fn check_fault(fault: &str, pages_before: usize, kind: ScannerErrorKind, adf: AdfState) {
    let mfp = with_faults(3, fault);
    let mut scanner = mfp.scanner();
    let (first, ended) = scan(&mut scanner, &DUPLEX);
    assert_eq!((first.len(), ended), (pages_before, Some(kind)));
    let status = scanner.status().unwrap();
    assert_eq!(status.adf, Some(adf));
    // A sheet that was through on one side only is fed again from its front.
    let first = &first[..pages_before / 2 * 2];
    let (rest, ended) = scan(&mut scanner, &DUPLEX);
    assert_eq!((first.len() + rest.len(), ended), (6, None));
    let untroubled = scan(&mut with_faults(3, "").scanner(), &DUPLEX).0;
    assert!(
        untroubled == [first, &rest].concat(),
        "other pages than without the fault"
    );
}

#[test]
fn a_stack_gives_both_sides_of_each_sheet_and_ends() {
    let mut scanner = with_faults(3, "").scanner();
    let (pages, ended) = scan(&mut scanner, &DUPLEX);
    assert_eq!((pages.len(), ended), (6, None));
    let sides: Vec<_> = pages.iter().map(|(info, _)| info.side).collect();
    assert_eq!(sides, [Side::Front, Side::Back].repeat(3));
    assert!(pages.iter().all(|(_, bytes)| is_whole(bytes)));
    let (_, ended) = scan(&mut scanner, &DUPLEX);
    assert_eq!(ended, Some(ScannerErrorKind::FeederEmpty));
}

#[test]
fn the_same_seed_gives_the_same_bytes_and_another_one_others() {
    let pages = |seed| {
        let config = SimConfig {
            seed,
            sheets: 1,
            ..SimConfig::default()
        };
        scan(&mut mfp(config).scanner(), &DUPLEX).0
    };
    assert!(pages(7) == pages(7));
    assert!(pages(7) != pages(8));
    let mfp = with_faults(1, "");
    let first = scan(&mut mfp.scanner(), &DUPLEX).0;
    mfp.load(1);
    assert!(first != scan(&mut mfp.scanner(), &DUPLEX).0, "a new stack");
}

#[test]
fn a_page_at_full_resolution_is_of_real_size_and_comes_in_pieces() {
    let mut scanner = with_faults(1, "").scanner();
    let settings = ScanSettings {
        resolution_dpi: 300,
        ..SIMPLEX
    };
    scanner.start(&settings).unwrap();
    let mut sink = Sink::default();
    let NextPage::Page(info) = scanner.next_page(&mut sink).unwrap() else {
        panic!("no page");
    };
    assert_eq!((info.width_px, info.height_px), (2480, 3508));
    assert!(sink.largest <= 64 * 1024, "{}", sink.largest);
    let kib = sink.bytes.len() / 1024;
    assert!((500..2000).contains(&kib), "{kib} KiB");
    let read = jpeg::read_info(&mut io::Cursor::new(&sink.bytes)).unwrap();
    assert_eq!((read.width, read.height, read.dpi), (2480, 3508, Some(300)));
}

#[test]
fn gray_and_lower_resolutions_are_smaller() {
    let bytes = |color_mode, resolution_dpi| {
        let settings = ScanSettings {
            color_mode,
            resolution_dpi,
            ..SIMPLEX
        };
        let pages = scan(&mut with_faults(1, "").scanner(), &settings).0;
        assert!(is_whole(&pages[0].1));
        pages[0].1.len()
    };
    let color = bytes(ColorMode::Rgb24, 100);
    assert!(bytes(ColorMode::Grayscale8, 100) < color);
    assert!(bytes(ColorMode::Rgb24, 75) < color);
}

#[test]
fn the_glass_gives_one_page_and_leaves_the_feeder_alone() {
    let mfp = with_faults(2, "jam-after=0");
    let mut scanner = mfp.scanner();
    let (pages, ended) = scan(&mut scanner, &GLASS);
    assert_eq!((pages.len(), ended), (1, None));
    let again = scan(&mut scanner, &GLASS).0;
    assert!(pages != again, "another sheet lies on the glass");
    assert_eq!(mfp.pages_fed(), 0);
}

#[test]
fn a_jam_stops_the_job_and_its_page_comes_again() {
    check_fault("jam-after=3", 3, ScannerErrorKind::PaperJam, AdfState::Jam);
}

#[test]
fn a_double_feed_stops_the_job_and_its_page_comes_again() {
    let kind = ScannerErrorKind::DoubleFeed;
    check_fault("double-feed-at=2", 1, kind, AdfState::MultipickDetected);
}

#[test]
fn after_a_power_cut_the_page_comes_again() {
    let kind = ScannerErrorKind::Offline;
    check_fault("power-cut-at=1", 0, kind, AdfState::Loaded);
}

#[test]
fn an_open_cover_stays_until_the_faults_are_set_anew() {
    let mfp = with_faults(1, "cover-open");
    let mut scanner = mfp.scanner();
    let status = scanner.status().unwrap();
    assert_eq!(status.state, ScannerState::Stopped);
    assert_eq!(status.adf, Some(AdfState::HatchOpen));
    for _ in 0..2 {
        let (_, ended) = scan(&mut scanner, &SIMPLEX);
        assert_eq!(ended, Some(ScannerErrorKind::CoverOpen));
    }
    mfp.set_faults(Vec::new());
    assert_eq!(scan(&mut scanner, &SIMPLEX).0.len(), 1);
}

#[test]
fn a_cover_opened_in_the_middle_ends_the_job() {
    let mfp = with_faults(2, "");
    let mut scanner = mfp.scanner();
    scanner.start(&SIMPLEX).unwrap();
    assert!(next(&mut scanner).unwrap().is_some());
    mfp.set_faults(vec![Fault::CoverOpen]);
    let ended = next(&mut scanner).unwrap_err();
    assert_eq!(ended.kind, ScannerErrorKind::CoverOpen);
}

#[test]
fn a_busy_scanner_takes_no_job() {
    let (_, ended) = scan(&mut with_faults(1, "busy").scanner(), &GLASS);
    assert_eq!(ended, Some(ScannerErrorKind::Busy));
}

#[test]
fn an_empty_feeder_is_full_again_once_loaded() {
    let mfp = with_faults(2, "empty");
    let mut scanner = mfp.scanner();
    assert_eq!(scanner.status().unwrap().adf, Some(AdfState::Empty));
    let (_, ended) = scan(&mut scanner, &SIMPLEX);
    assert_eq!(ended, Some(ScannerErrorKind::FeederEmpty));
    mfp.load(1);
    assert_eq!(scan(&mut scanner, &SIMPLEX).0.len(), 1);
}

#[test]
fn a_page_without_bytes_or_end_comes_again() {
    for (fault, bytes_max) in [("empty-page=1", 0), ("truncate=1", 2048)] {
        let mut scanner = with_faults(1, fault).scanner();
        scanner.start(&SIMPLEX).unwrap();
        let (_, broken) = next(&mut scanner).unwrap().unwrap();
        assert!(broken.len() <= bytes_max && !is_whole(&broken), "{fault}");
        let (_, mended) = next(&mut scanner).unwrap().unwrap();
        assert!(mended.starts_with(&broken) && is_whole(&mended), "{fault}");
        assert_eq!(next(&mut scanner), Ok(None));
    }
}

#[test]
fn a_refused_page_comes_again() {
    let mfp = with_faults(1, "");
    let mut scanner = mfp.scanner();
    scanner.start(&SIMPLEX).unwrap();
    let mut sink = Sink {
        limit: Some(0),
        ..Sink::default()
    };
    let ended = scanner.next_page(&mut sink).unwrap_err();
    assert_eq!(ended.kind, ScannerErrorKind::SinkRefused);
    assert_eq!(scan(&mut scanner, &SIMPLEX).0.len(), 1);
}

#[test]
fn a_stop_ends_a_page_at_its_next_piece_and_the_sheet_comes_again() {
    let mut scanner = with_faults(1, "").scanner();
    let settings = ScanSettings {
        resolution_dpi: 300,
        ..SIMPLEX
    };
    scanner.start(&settings).unwrap();
    let mut sink = Sink {
        stops: true,
        ..Sink::default()
    };
    let ended = scanner.next_page(&mut sink).unwrap_err();
    assert_eq!(ended.kind, ScannerErrorKind::SinkRefused);
    assert_eq!(sink.bytes.len(), sink.largest, "one piece");
    assert_eq!(scan(&mut scanner, &SIMPLEX).0.len(), 1);
}

#[test]
fn a_stop_ends_the_wait_for_a_slow_page() {
    use std::sync::LazyLock;
    static STOP: LazyLock<StopFlag> = LazyLock::new(StopFlag::default);
    let mfp = mfp(SimConfig {
        sheets: 1,
        faults: Fault::parse_list("slow=1:60000").unwrap(),
        sleep: |time: Duration| {
            assert!(time <= Duration::from_millis(200) && !STOP.is_raised());
            STOP.raise();
        },
        ..SimConfig::default()
    });
    let mut scanner = mfp.scanner();
    scanner.start(&SIMPLEX).unwrap();
    let mut sink = Sink {
        stop: STOP.clone(),
        ..Sink::default()
    };
    let ended = scanner.next_page(&mut sink).unwrap_err();
    assert_eq!(ended.kind, ScannerErrorKind::SinkRefused);
}

#[test]
fn time_is_spent_in_the_sleep_given() {
    use std::sync::atomic::{AtomicU64, Ordering};
    static SLEPT_MS: AtomicU64 = AtomicU64::new(0);
    let mfp = mfp(SimConfig {
        sheets: 2,
        page_ms: 1500,
        faults: Fault::parse_list("slow=2:60000").unwrap(),
        sleep: |time: Duration| {
            SLEPT_MS.fetch_add(time.as_millis() as u64, Ordering::Relaxed);
        },
        ..SimConfig::default()
    });
    scan(&mut mfp.scanner(), &SIMPLEX);
    assert_eq!(SLEPT_MS.load(Ordering::Relaxed), 63_000);
}

#[test]
fn pages_fed_whole_are_recorded_byte_for_byte_and_numbers_go_on() {
    let folder = tempfile::tempdir().unwrap();
    let device = || {
        mfp(SimConfig {
            sheets: 2,
            record: Some(folder.path().join("pages")),
            faults: Fault::parse_list("jam-after=1,truncate=3").unwrap(),
            ..SimConfig::default()
        })
    };
    let mut fed = Vec::new();
    for _ in 0..2 {
        let mfp = device();
        let until_the_jam = scan(&mut mfp.scanner(), &DUPLEX).0;
        assert_eq!(until_the_jam.len(), 1, "a front that comes again");
        fed.extend(scan(&mut mfp.scanner(), &DUPLEX).0);
    }
    let whole: Vec<_> = fed
        .into_iter()
        .map(|(_, bytes)| bytes)
        .filter(|bytes| is_whole(bytes))
        .collect();
    assert_eq!(whole.len(), 8);
    for (number, bytes) in (1..).zip(&whole) {
        let name = format!("pages/{number:04}.jpg");
        assert!(
            fs::read(folder.path().join(name)).unwrap() == *bytes,
            "{number}"
        );
    }
    assert_eq!(
        fs::read_dir(folder.path().join("pages")).unwrap().count(),
        8
    );
}

#[test]
fn own_images_are_fed_untouched_by_name_and_again_from_the_first() {
    let folder = tempfile::tempdir().unwrap();
    let images = folder.path().join("pages");
    let drawn = mfp(SimConfig {
        sheets: 2,
        record: Some(images.clone()),
        ..SimConfig::default()
    });
    let drawn = scan(&mut drawn.scanner(), &SIMPLEX).0;
    let own = mfp(SimConfig {
        sheets: 3,
        images: Some(images),
        ..SimConfig::default()
    });
    let settings = ScanSettings {
        resolution_dpi: 300,
        ..SIMPLEX
    };
    let fed = scan(&mut own.scanner(), &settings).0;
    assert!(fed == [drawn.clone(), drawn[..1].to_vec()].concat());
    assert_eq!(fed[0].0.resolution_dpi, 75, "the file knows best");
}

#[test]
fn a_folder_without_images_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let config = SimConfig {
        images: Some(folder.path().to_path_buf()),
        ..SimConfig::default()
    };
    assert!(matches!(SimMfp::new(config), Err(SimError::NoImages(_))));
}

#[test]
fn a_control_file_loads_sheets_and_causes_faults() {
    use std::io::Write;
    let folder = tempfile::tempdir().unwrap();
    let control = folder.path().join("printer.txt");
    let order = |text: &str| {
        let mut options = fs::OpenOptions::new();
        let file = options
            .create(true)
            .write(true)
            .truncate(true)
            .open(&control);
        file.unwrap().write_all(text.as_bytes()).unwrap();
    };
    let mfp = mfp(SimConfig {
        sheets: 0,
        control: Some(control.clone()),
        ..SimConfig::default()
    });
    let mut scanner = mfp.scanner();
    assert_eq!(scanner.status().unwrap().adf, Some(AdfState::Empty));
    order("sheets=3 faults=jam-after=1");
    let (pages, ended) = scan(&mut scanner, &SIMPLEX);
    assert_eq!((pages.len(), ended), (1, Some(ScannerErrorKind::PaperJam)));
    let (pages, ended) = scan(&mut scanner, &SIMPLEX);
    assert_eq!((pages.len(), ended), (2, None), "an order is followed once");
}

#[test]
fn one_job_at_a_time() {
    let mfp = with_faults(2, "");
    let (mut one, mut other) = (mfp.scanner(), mfp.scanner());
    one.start(&SIMPLEX).unwrap();
    assert_eq!(other.status().unwrap().state, ScannerState::Processing);
    assert_eq!(
        other.start(&GLASS).unwrap_err().kind,
        ScannerErrorKind::Busy
    );
    drop(one);
    other.start(&GLASS).unwrap();
}

#[test]
fn two_devices_recording_into_one_folder_lose_no_page() {
    let folder = tempfile::tempdir().unwrap();
    let device = || {
        mfp(SimConfig {
            sheets: 2,
            record: Some(folder.path().to_path_buf()),
            ..SimConfig::default()
        })
    };
    for mfp in [device(), device()] {
        scan(&mut mfp.scanner(), &SIMPLEX);
    }
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 4);
}
