//! A whole simulated MFP: flatbed, duplex feeder, identity, settings, and faults on demand.
//!
//! Pages are real JPEG images, drawn from a seed while they are encoded, or a folder of one's own.
//! The same seed, stack and page number give the same bytes. Nothing here waits by itself: the
//! time that a page takes is spent in [`SimConfig::sleep`].
//!
//! A page that did not leave the feeder whole (jam, double feed, cut short, refused by its sink)
//! is fed again: the person who clears the fault puts the sheet back.

mod control;
pub mod disk;
mod fault;
mod feed;
mod font;
mod jpeg;
mod page;
mod scanner;
mod settings;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use std::{fs, io};

use self::control::Control;
pub use self::fault::{Fault, ParseFaultError};
pub use self::scanner::SimScanner;
pub use self::settings::{SimIdentity, SimSettings};
use crate::backends::folder_disk::make_folders;
use crate::scanner::{AdfState, Side};

/// What the simulated MFP is and does.
#[derive(Clone, Debug)]
pub struct SimConfig {
    /// What the pages are drawn from.
    pub seed: u64,
    /// Sheets in the feeder at the start.
    pub sheets: u32,
    /// Whether drawn backs have more on them than their number.
    pub duplex_content: bool,
    /// A folder of JPEG images to feed instead of drawn pages, by name, again from the first when
    /// the stack is longer.
    pub images: Option<PathBuf>,
    /// A folder that gets each page fed whole, byte for byte, as `NNNN.jpg`; numbers go on.
    pub record: Option<PathBuf>,
    /// A file through which a person loads sheets or causes faults while the MFP runs: words
    /// `sheets=N` and `faults=LIST`, read at the start and each time the file has changed.
    pub control: Option<PathBuf>,
    /// How long a page takes, in milliseconds; 0 for no timing.
    pub page_ms: u32,
    /// The highest resolution offered.
    pub dpi: u16,
    /// The serial number.
    pub serial: String,
    /// What goes wrong.
    pub faults: Vec<Fault>,
    /// Security settings that have other values than usual, by id.
    pub settings: Vec<(String, String)>,
    /// How time passes.
    pub sleep: fn(Duration),
    /// What a power cut does.
    pub power_cut: fn(),
}

impl Default for SimConfig {
    /// Ten sheets, no faults, no timing; sleep is the thread's, a power cut kills the process.
    fn default() -> Self {
        Self {
            seed: 1,
            sheets: 10,
            duplex_content: true,
            images: None,
            record: None,
            control: None,
            page_ms: 0,
            dpi: 300,
            serial: "SIM-0001".to_owned(),
            faults: Vec::new(),
            settings: Vec::new(),
            sleep,
            power_cut: crate::fault::power_cut,
        }
    }
}

/// The simulated MFP cannot be set up as asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SimError {
    /// The folder of images cannot be read.
    #[error("cannot read the images in {path}")]
    Images {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// The folder of images holds no `.jpg` or `.jpeg` file.
    #[error("no JPEG images in {0}")]
    NoImages(PathBuf),
    /// The folder for fed pages cannot be made or read.
    #[error("cannot record pages in {path}")]
    Record {
        /// The folder.
        path: PathBuf,
        /// The cause.
        source: io::Error,
    },
}

/// A handle on a simulated MFP; clones are the same device.
#[derive(Clone)]
pub struct SimMfp {
    shared: Arc<Shared>,
}

struct Shared {
    config: SimConfig,
    images: Vec<PathBuf>,
    state: Mutex<State>,
}

struct State {
    feeder: Feeder,
    /// Pages taken from the glass.
    glass_pages: u32,
    faults: Vec<Fault>,
    /// What stopped the feeder, until the next job starts.
    stopped: Option<AdfState>,
    /// Whether a job holds the scanner.
    active: bool,
    /// The highest number in the folder of fed pages.
    recorded: u32,
    control: Option<Control>,
}

/// The stack of paper and how far it is through.
struct Feeder {
    /// Which stack this is, from 1.
    stack: u32,
    sheets: u32,
    /// Sheets that are through.
    sheet: u32,
    /// The side that comes next.
    side: Side,
    /// Pages fed whole from this stack.
    pages: u32,
}

impl Feeder {
    const fn new(stack: u32, sheets: u32) -> Self {
        Self {
            stack,
            sheets,
            sheet: 0,
            side: Side::Front,
            pages: 0,
        }
    }

    const fn is_empty(&self) -> bool {
        self.sheet >= self.sheets
    }
}

impl SimMfp {
    /// Sets up an MFP.
    ///
    /// # Errors
    /// When a folder it needs cannot be read or made.
    pub fn new(config: SimConfig) -> Result<Self, SimError> {
        let images = match &config.images {
            Some(folder) => find_images(folder)?,
            None => Vec::new(),
        };
        let recorded = match &config.record {
            Some(folder) => last_number(folder).map_err(|source| SimError::Record {
                path: folder.clone(),
                source,
            })?,
            None => 0,
        };
        let state = State {
            feeder: Feeder::new(1, config.sheets),
            glass_pages: 0,
            faults: config.faults.clone(),
            stopped: None,
            active: false,
            recorded,
            control: config.control.clone().map(Control::new),
        };
        Ok(Self {
            shared: Arc::new(Shared {
                config,
                images,
                state: Mutex::new(state),
            }),
        })
    }

    /// A scanner of this MFP. Several share the one device: while one has a job, others are busy.
    #[must_use]
    pub fn scanner(&self) -> SimScanner {
        SimScanner::new(self.clone())
    }

    /// Who the MFP says it is.
    #[must_use]
    pub fn identity(&self) -> SimIdentity {
        SimIdentity::new(&self.shared.config.serial)
    }

    /// The MFP's security settings.
    #[must_use]
    pub fn settings(&self) -> SimSettings {
        SimSettings {
            values: self.shared.config.settings.clone(),
        }
    }

    /// Puts a new stack into the feeder and clears what had stopped it.
    pub fn load(&self, sheets: u32) {
        self.lock().load(sheets);
    }

    /// Sets what goes wrong from now on, and clears what had stopped the feeder.
    pub fn set_faults(&self, faults: Vec<Fault>) {
        self.lock().set_faults(faults);
    }

    /// How many images of one's own are fed, 0 when pages are drawn.
    #[must_use]
    pub fn images(&self) -> u32 {
        u32::try_from(self.shared.images.len()).unwrap_or(u32::MAX)
    }

    /// Pages fed whole from the present stack.
    #[must_use]
    pub fn pages_fed(&self) -> u32 {
        self.lock().feeder.pages
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared
            .state
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// The state, after what the control file says.
    fn lock_after_orders(&self) -> MutexGuard<'_, State> {
        let mut state = self.lock();
        if let Some(order) = state.control.as_mut().and_then(Control::read) {
            if let Some(sheets) = order.sheets {
                state.load(sheets);
            }
            if let Some(faults) = order.faults {
                state.set_faults(faults);
            }
        }
        state
    }
}

impl State {
    fn load(&mut self, sheets: u32) {
        self.feeder = Feeder::new(self.feeder.stack + 1, sheets);
        self.faults.retain(|fault| *fault != Fault::Empty);
        self.stopped = None;
    }

    fn set_faults(&mut self, faults: Vec<Fault>) {
        self.faults = faults;
        self.stopped = None;
    }
}

fn find_images(folder: &Path) -> Result<Vec<PathBuf>, SimError> {
    let is_jpeg = |path: &PathBuf| {
        path.extension()
            .is_some_and(|end| end.eq_ignore_ascii_case("jpg") || end.eq_ignore_ascii_case("jpeg"))
    };
    let list = || -> io::Result<Vec<PathBuf>> {
        fs::read_dir(folder)?
            .map(|entry| Ok(entry?.path()))
            .collect()
    };
    let mut images = list().map_err(|source| SimError::Images {
        path: folder.to_path_buf(),
        source,
    })?;
    images.retain(is_jpeg);
    images.sort_unstable();
    if images.is_empty() {
        return Err(SimError::NoImages(folder.to_path_buf()));
    }
    Ok(images)
}

/// The highest `N` of the files `N.jpg` in a folder, made when it is not there.
fn last_number(folder: &Path) -> io::Result<u32> {
    make_folders(folder)?;
    let mut last = 0;
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(".jpg"));
        last = last.max(number.and_then(|number| number.parse().ok()).unwrap_or(0));
    }
    Ok(last)
}

fn sleep(time: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "a simulated page takes real time"
    )]
    std::thread::sleep(time);
}

#[cfg(test)]
mod tests;
