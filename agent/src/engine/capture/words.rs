//! What a person reads when a scan does not begin or stops.

use scantrip_hal::scanner::ScannerErrorKind;

/// Why a job is not opened that nobody wants any more.
pub(super) const STOPPED: &str = "stopped before paper moved";

/// Of page `page`, which was taken back and was not scanned again. Ends a sentence.
#[must_use]
pub(super) fn gone(page: u32) -> String {
    format!("; page {page} is taken back and not saved any more: put its sheet back and go on")
}

/// Why the scanner takes no job, before page `next` and before paper moves.
#[must_use]
pub fn refusal(kind: ScannerErrorKind, message: &str, next: u32) -> String {
    match kind {
        ScannerErrorKind::Busy => {
            "another job holds the scanner; try again when it is through".to_owned()
        }
        ScannerErrorKind::SinkRefused => STOPPED.to_owned(),
        ScannerErrorKind::Unsupported | ScannerErrorKind::Protocol => {
            format!("the scanner takes no job: {message}")
        }
        kind => advice(kind, message, next, next > 1),
    }
}

/// What to do about a scanner that stopped before page `failed` was whole. `next` is the page to go on
/// from: with both sides, the front of its sheet.
#[must_use]
pub(super) fn fault(kind: ScannerErrorKind, message: &str, next: u32, failed: u32) -> String {
    match kind {
        ScannerErrorKind::PageTooLarge => format!(
            "page {failed} is too large ({message}); {}",
            anew(
                next,
                "with a lower resolution (`--dpi`) or in gray (`--color gray`)"
            )
        ),
        kind => advice(kind, message, next, true),
    }
}

/// Which sheet is page `page`, for the one who puts it back; `place` is where it is in a stack of
/// sheets with two sides. Begins a sentence.
#[must_use]
pub(super) fn which(kind: ScannerErrorKind, page: u32, place: &str) -> String {
    use ScannerErrorKind as Kind;
    let before = page.saturating_sub(1);
    let sheet = match kind {
        Kind::FeederEmpty
        | Kind::Busy
        | Kind::Unsupported
        | Kind::DuplexSize
        | Kind::PageTooLarge => {
            return String::new();
        }
        Kind::PaperJam => "the sheet that was stuck".to_owned(),
        Kind::DoubleFeed => "the upper of the two sheets".to_owned(),
        Kind::FeederFault => "the next in the feeder".to_owned(),
        Kind::Truncated | Kind::SinkRefused => "the sheet that came out last".to_owned(),
        _ if page == 1 => "the first sheet".to_owned(),
        _ => {
            format!("the sheet after page {before}: it came out last, or is the next in the feeder")
        }
    };
    format!(". Page {page}{place} is {sheet}")
}

/// What a person is told of page `page`, the last, when the scanner doubts it; `after` is the last
/// page before its sheet. Begins a sentence.
#[must_use]
pub(super) fn doubt(page: u32, place: &str, after: u32) -> String {
    let all = match after {
        0 => String::new(),
        after => format!(" after page {after}"),
    };
    format!(
        ". Page {page}{place} is in doubt; it is sealed and cannot be shown here. To be sure, put back \
         all that came out{all} and scan page {page} again"
    )
}

/// `goes_on`: there is a job that goes on, else it is tried anew.
fn advice(kind: ScannerErrorKind, message: &str, next: u32, goes_on: bool) -> String {
    let (again, back) = match goes_on {
        true => (
            "go on",
            format!("put page {next} and what follows back into the feeder and go on"),
        ),
        false => ("try again", "try again".to_owned()),
    };
    match kind {
        ScannerErrorKind::FeederEmpty if next == 1 => {
            format!("{message}; load the stack and {again}")
        }
        ScannerErrorKind::FeederEmpty => format!(
            "there is no more paper in the feeder; load from page {next} on and go on, or finish"
        ),
        ScannerErrorKind::PaperJam => format!("the paper is stuck; take it out, then {back}"),
        ScannerErrorKind::DoubleFeed => {
            format!("two sheets went in at once; separate them, then {back}")
        }
        ScannerErrorKind::CoverOpen => format!("the cover is open; close it, then {back}"),
        ScannerErrorKind::Busy => {
            format!("another job holds the scanner; when it is through, {back}")
        }
        ScannerErrorKind::Truncated => {
            format!("the scanner gave page {next} only in part ({message}); {back}")
        }
        ScannerErrorKind::Interrupted => {
            format!("the scanner broke off at page {next} ({message}); when it is ready, {back}")
        }
        ScannerErrorKind::DuplexSize => format!("{message}; {}", anew(next, "on one side")),
        ScannerErrorKind::FeederFault => format!("{message}; see to the feeder, then {back}"),
        ScannerErrorKind::Offline if next == 1 => {
            format!("the scanner cannot be reached: {message}; is it on? see: scantrip device")
        }
        ScannerErrorKind::Cancelled => format!("stopped at the device; {back}"),
        ScannerErrorKind::SinkRefused => format!("page {next} could not be taken; {back}"),
        _ => format!("the scanner stopped at page {next}: {message}; {back}"),
    }
}

/// How to scan what this job cannot take; all pages of a job are scanned in the same way.
fn anew(next: u32, how: &str) -> String {
    match next {
        1 => format!("discard this job, then scan anew {how}"),
        _ => format!("finish this job or discard it, then scan page {next} and what follows {how}"),
    }
}
