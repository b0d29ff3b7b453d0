//! The decoders of this backend, for the fuzz harness.

use super::capabilities::Capabilities;
use super::discovery::Browser;
use super::dns;
use super::image::Look;
use super::status::Status;
use super::url::DeviceUrl;
use super::xml::parse;

/// The reader of XML.
pub fn xml(bytes: &[u8]) {
    let _read = parse(bytes);
}

/// What is read offers something of everything.
///
/// # Panics
/// If a part that was read offers nothing.
pub fn capabilities(bytes: &[u8]) {
    if let Ok(caps) = Capabilities::parse(bytes) {
        let told = caps.scanner();
        for source in [told.platen, told.adf].into_iter().flatten() {
            assert!(!source.formats.is_empty() && !source.color_modes.is_empty());
            assert!(!source.resolutions_dpi.is_empty() && source.max.width > 0);
        }
    }
}

/// The scanner's status.
pub fn status(bytes: &[u8]) {
    if let Ok(status) = Status::parse(bytes) {
        let _told = status.scanner();
    }
}

/// However a page is cut into pieces, the same is seen.
///
/// # Panics
/// If the pieces make a difference.
pub fn image(bytes: &[u8]) {
    let look = |piece: usize| {
        let mut look = Look::default();
        bytes.chunks(piece).try_for_each(|piece| look.see(piece))?;
        look.finish()
    };
    assert_eq!(look(bytes.len().max(1)), look(1));
}

/// URLs and the paths of jobs.
///
/// # Panics
/// If a URL does not read as it was written.
pub fn location(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    if let Ok(url) = text.parse::<DeviceUrl>() {
        assert_eq!(url.to_string().parse(), Ok(url));
    }
    if let Ok(url) = "http://10.0.0.1/eSCL".parse::<DeviceUrl>() {
        assert!(url.job_path(&text).is_none_or(|path| path.starts_with('/')));
    }
}

/// An answer on the network.
///
/// # Panics
/// If a question grows without bound.
pub fn mdns(bytes: &[u8]) {
    let _records = dns::answer(bytes);
    let mut browser = Browser::default();
    browser.handle(bytes, 1);
    assert!(browser.question().len() < 9000);
    let _found = browser.found();
}
