//! A page on its way from the scanner into its file: sealed in small pieces, looked at as it passes.

use scantrip_cloud_client::seal::{SealError, Sealer};
use scantrip_hal::scanner::{DocumentFormat, PageSink, SinkRefused, StopFlag};

use crate::spool::{PageWriter, SpoolError};

/// Start and end of a JPEG file (ITU-T T.81, B.1.1.3).
const SOI: [u8; 2] = [0xFF, 0xD8];
const EOI: [u8; 2] = [0xFF, 0xD9];

/// Why a page could not be taken.
#[derive(Debug, thiserror::Error)]
pub enum PageError {
    /// It cannot be sealed.
    #[error(transparent)]
    Seal(#[from] SealError),
    /// It cannot be saved.
    #[error(transparent)]
    Spool(#[from] SpoolError),
}

/// Seals what the scanner gives and hands it to the page's writer.
pub struct SealingSink<'a, 'b> {
    sealer: Sealer,
    writer: &'a mut PageWriter<'b>,
    sealed: &'a mut Vec<u8>,
    look: Look,
    error: Option<PageError>,
    stop: StopFlag,
}

impl<'a, 'b> SealingSink<'a, 'b> {
    /// A sink that begins with the sealed object's header. `buffer` is reused from page to page;
    /// `stop` tells that the page is no longer wanted.
    ///
    /// # Errors
    /// When the header cannot be saved.
    pub fn new(
        sealer: Sealer,
        writer: &'a mut PageWriter<'b>,
        buffer: &'a mut Vec<u8>,
        stop: StopFlag,
    ) -> Result<Self, PageError> {
        writer.push(sealer.header())?;
        buffer.clear();
        Ok(Self {
            sealer,
            writer,
            sealed: buffer,
            look: Look::default(),
            error: None,
            stop,
        })
    }

    /// Ends the object; what was seen of the page.
    ///
    /// # Errors
    /// When it cannot be sealed or saved, or the sink had refused before.
    pub fn finish(mut self) -> Result<Look, PageError> {
        if let Some(error) = self.error {
            return Err(error);
        }
        self.sealed.clear();
        self.sealer.finish(self.sealed);
        self.writer.push(self.sealed)?;
        self.look.whole = true;
        Ok(self.look)
    }

    /// Why the sink refused, if it did.
    #[must_use]
    pub fn into_error(self) -> Option<PageError> {
        self.error
    }

    fn take(&mut self, bytes: &[u8]) -> Result<(), PageError> {
        self.look.see(bytes);
        self.sealed.clear();
        self.sealer.push(bytes, self.sealed)?;
        if !self.sealed.is_empty() {
            self.writer.push(self.sealed)?;
        }
        Ok(())
    }
}

impl PageSink for SealingSink<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> Result<(), SinkRefused> {
        if self.error.is_some() {
            return Err(SinkRefused);
        }
        self.take(bytes).map_err(|error| {
            self.error = Some(error);
            SinkRefused
        })
    }

    fn stop(&self) -> Option<StopFlag> {
        Some(self.stop.clone())
    }
}

/// What can be seen of a page without understanding it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Look {
    bytes: u64,
    head: [u8; 2],
    /// The last two bytes, zeros after them left out: some scanners pad.
    tail: [u8; 2],
    /// Whether zeros follow the tail.
    zeros: bool,
    whole: bool,
}

impl Look {
    /// Bytes as the scanner gave them.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// What is wrong with the page, if it can be seen.
    #[must_use]
    pub fn fault(&self, format: DocumentFormat) -> Option<&'static str> {
        if self.bytes == 0 {
            return Some("it has no bytes");
        }
        match format {
            DocumentFormat::Jpeg if self.head != SOI => Some("it is no JPEG image"),
            DocumentFormat::Jpeg if self.tail != EOI => Some("the image is cut off"),
            _ => None,
        }
    }

    fn see(&mut self, bytes: &[u8]) {
        for (index, byte) in (self.bytes..2).zip(bytes) {
            if let Some(place) = self.head.get_mut(usize::from(index == 1)) {
                *place = *byte;
            }
        }
        self.bytes = self.bytes.saturating_add(bytes.len() as u64);
        let Some(last) = bytes.iter().rposition(|byte| *byte != 0) else {
            self.zeros |= !bytes.is_empty();
            return;
        };
        let before = match last.checked_sub(1).and_then(|index| bytes.get(index)) {
            Some(byte) => *byte,
            None if self.zeros => 0,
            None => self.tail[1],
        };
        self.tail = [before, bytes.get(last).copied().unwrap_or_default()];
        self.zeros = last + 1 < bytes.len();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(pieces: &[&[u8]]) -> Option<&'static str> {
        let mut look = Look::default();
        for piece in pieces {
            look.see(piece);
        }
        look.fault(DocumentFormat::Jpeg)
    }

    #[test]
    fn a_whole_image_is_fine_however_it_is_cut_into_pieces() {
        let image = [0xFF, 0xD8, 1, 0, 2, 0xFF, 0xD9, 0, 0];
        for cut in 0..image.len() {
            let (a, b) = image.split_at(cut);
            assert_eq!(fault(&[a, b]), None, "{cut}");
        }
        let bytes: Vec<&[u8]> = image.chunks(1).collect();
        assert_eq!(fault(&bytes), None);
    }

    #[test]
    fn an_empty_a_cut_and_a_foreign_page_are_told_apart() {
        assert_eq!(fault(&[]), Some("it has no bytes"));
        assert_eq!(fault(&[&[0xFF, 0xD8, 1, 2]]), Some("the image is cut off"));
        assert_eq!(
            fault(&[&[0xFF, 0xD8, 0xFF, 0, 0xD9]]),
            Some("the image is cut off")
        );
        assert_eq!(
            fault(&[&[0xFF, 0xD8, 0xFF], &[0], &[0xD9]]),
            Some("the image is cut off")
        );
        assert_eq!(fault(&[b"%PDF"]), Some("it is no JPEG image"));
    }

    #[test]
    fn other_formats_are_not_judged() {
        let mut look = Look::default();
        look.see(b"%PDF");
        assert_eq!(look.fault(DocumentFormat::Pdf), None);
    }
}
