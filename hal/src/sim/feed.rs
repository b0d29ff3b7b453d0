//! One page on its way from the feeder into its sink.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use jpeg_encoder::{Encoder, EncodingError, ImageBuffer, PixelDensity, SamplingFactor};

use super::jpeg;
use super::page::{Drawing, Page};
use crate::scanner::{PageSink, ScanSettings};

/// Bytes given to the sink at once.
const PIECE_BYTES: usize = 32 * 1024;
/// Bytes given of a page that does not end well; any page is longer.
const CUT_BYTES: usize = 1024;
/// Between good and large: a page of text and a photo comes to about 1 MB.
const QUALITY: u8 = 80;

/// Where a page's bytes come from.
pub(super) enum Source {
    /// A drawn page.
    Drawn(Page),
    /// A file of one's own.
    File(PathBuf),
}

/// Size and resolution of a page.
pub(super) struct Picture {
    pub(super) width: u32,
    pub(super) height: u32,
    pub(super) dpi: u16,
}

/// Why a page is not whole in its sink.
#[derive(Debug)]
pub(super) enum FeedError {
    /// The sink takes no more.
    Refused,
    /// Only the beginning was wanted.
    Cut,
    /// The source or the record has a fault.
    Failed(String),
}

impl Source {
    pub(super) fn picture(&self, settings: &ScanSettings) -> Result<Picture, FeedError> {
        match self {
            Self::Drawn(page) => {
                let drawing = Drawing::new(page, settings);
                Ok(Picture {
                    width: drawing.width().into(),
                    height: drawing.height().into(),
                    dpi: settings.resolution_dpi,
                })
            }
            Self::File(path) => {
                let info = File::open(path)
                    .and_then(|mut file| jpeg::read_info(&mut file))
                    .map_err(|cause| failed(path, &cause))?;
                Ok(Picture {
                    width: info.width.into(),
                    height: info.height.into(),
                    dpi: info.dpi.unwrap_or(settings.resolution_dpi),
                })
            }
        }
    }

    /// Gives the page to `sink`, and to `record` what the sink took.
    pub(super) fn feed(
        &self,
        settings: &ScanSettings,
        sink: &mut dyn PageSink,
        record: Option<&mut Record>,
        whole: bool,
    ) -> Result<(), FeedError> {
        let mut output = Output {
            sink,
            record,
            buffer: Vec::with_capacity(PIECE_BYTES + 64),
            piece: if whole { PIECE_BYTES } else { CUT_BYTES },
            stop: (!whole).then_some(FeedError::Cut),
            error: None,
        };
        let written = match self {
            Self::Drawn(page) => draw(page, settings, &mut output),
            Self::File(path) => copy(path, &mut output).map_err(|cause| failed(path, &cause)),
        };
        let written = written.and_then(|()| {
            output
                .flush()
                .map_err(|cause| FeedError::Failed(cause.to_string()))
        });
        match output.error.take() {
            Some(error) => Err(error),
            None => written,
        }
    }
}

fn draw(page: &Page, settings: &ScanSettings, output: &mut Output<'_>) -> Result<(), FeedError> {
    let mut encoder = Encoder::new(output, QUALITY);
    encoder.set_density(PixelDensity::dpi(settings.resolution_dpi));
    encoder.set_sampling_factor(SamplingFactor::F_2_2);
    encoder
        .encode_image(Drawing::new(page, settings))
        .map_err(|cause: EncodingError| FeedError::Failed(cause.to_string()))
}

fn copy(path: &Path, output: &mut Output<'_>) -> io::Result<()> {
    let mut file = File::open(path)?;
    let mut buffer = vec![0; PIECE_BYTES];
    loop {
        let count = file.read(&mut buffer)?;
        match buffer.get(..count) {
            Some(bytes) if count > 0 => output.write_all(bytes)?,
            _ => return Ok(()),
        }
    }
}

fn failed(path: &Path, cause: &io::Error) -> FeedError {
    FeedError::Failed(format!("{}: {cause}", path.display()))
}

/// Collects what the encoder writes into pieces for the sink.
struct Output<'a> {
    sink: &'a mut dyn PageSink,
    record: Option<&'a mut Record>,
    buffer: Vec<u8>,
    piece: usize,
    /// What happens after the first piece, if anything.
    stop: Option<FeedError>,
    error: Option<FeedError>,
}

impl Write for Output<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= self.piece {
            self.flush()?;
        }
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.error = match (self.sink.write(&self.buffer), &mut self.record) {
            (Err(_refused), _) => Some(FeedError::Refused),
            (Ok(()), Some(record)) => record
                .file
                .write_all(&self.buffer)
                .err()
                .map(|cause| failed(&record.unfinished, &cause)),
            (Ok(()), None) => None,
        };
        self.buffer.clear();
        self.error = self.error.take().or_else(|| self.stop.take());
        match self.error {
            Some(_) => Err(io::Error::other("the page ends here")),
            None => Ok(()),
        }
    }
}

/// A page being written beside its sink. It gets its name when the page is whole.
pub(super) struct Record {
    file: File,
    unfinished: PathBuf,
    path: PathBuf,
}

impl Record {
    /// Starts the record of a page under `number`, or the next one that is free: another process
    /// may record into the same folder.
    pub(super) fn start(folder: &Path, number: u32) -> Result<Self, FeedError> {
        let path = (number..)
            .map(|number| folder.join(format!("{number:04}.jpg")))
            .find(|path| !path.exists())
            .ok_or_else(|| FeedError::Failed("no number is left for a record".to_owned()))?;
        let unfinished = path.with_extension("part");
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .open(&unfinished)
            .map_err(|cause| failed(&unfinished, &cause))?;
        Ok(Self {
            file,
            unfinished,
            path,
        })
    }

    /// Takes back the record of a page that is fed again.
    pub(super) fn remove(folder: &Path, number: u32) {
        let path = folder.join(format!("{number:04}.jpg"));
        if let Err(cause) = fs::remove_file(&path) {
            log::warn!("cannot remove {}: {cause}", path.display());
        }
    }

    pub(super) fn finish(self) -> Result<(), FeedError> {
        fs::rename(&self.unfinished, &self.path).map_err(|cause| failed(&self.path, &cause))
    }

    pub(super) fn abandon(self) {
        if let Err(cause) = fs::remove_file(&self.unfinished) {
            log::warn!("cannot remove {}: {cause}", self.unfinished.display());
        }
    }
}
