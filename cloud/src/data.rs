//! The data folder of a cloud on one machine.
//!
//! ```text
//! ca.pem           the device CA's certificate: what agents trust
//! service.toml     what the operator has set
//! lock             held by whoever works on the folder
//! admin.sock       serve's door for operator commands
//! master/key       the master key; keep its backup apart from all else
//! keys/            keys wrapped by it
//! store/           items
//! blobs/           sealed objects
//! ```

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{FlockOperation, flock};
use scantrip_cloud_client::wire::EntryPoint;
use serde::{Deserialize, Serialize};

use crate::blobs::folder::FolderBlobs;
use crate::core::Settings;
use crate::durable;
use crate::keys::folder::FolderKeys;
use crate::ports::{Ports, SystemClock, SystemRandom};
use crate::store::sqlite::SqliteStore;

/// Why a data folder cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// `init` was not done.
    #[error("{0} is no data folder of a cloud: run `scantrip-cloud --data {0} init` first")]
    Missing(String),
    /// Another process works on it.
    #[error("another process works on {0}: wait for it, or stop it")]
    Locked(String),
    /// The system refuses.
    #[error("cannot {operation} {path}")]
    Io {
        /// What was attempted.
        operation: &'static str,
        /// On which file.
        path: String,
        /// The system's words.
        #[source]
        source: io::Error,
    },
    /// The settings do not parse.
    #[error("{0} cannot be read")]
    Service(String, #[source] toml::de::Error),
    /// The store cannot be opened.
    #[error("cannot open the store")]
    Store(#[from] crate::store::StoreError),
    /// The keys cannot be opened.
    #[error("cannot open the keys")]
    Keys(#[from] crate::keys::KeysError),
    /// The blobs cannot be opened.
    #[error("cannot open the blobs")]
    Blobs(#[from] crate::blobs::BlobError),
}

/// `service.toml`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Service {
    /// Host names and addresses that the server answers for, beside localhost.
    #[serde(default)]
    pub names: Vec<String>,
    /// Life of device certificates; 90 days if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate_seconds: Option<u64>,
    /// Time between two polls of a device; 60 if left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub poll_interval_seconds: Option<u32>,
    /// The regional front doors.
    #[serde(default)]
    pub entry_points: Vec<EntryPoint>,
}

impl Service {
    /// The names in the server's certificate.
    #[must_use]
    pub fn server_names(&self) -> Vec<String> {
        let mut names = vec![
            "localhost".to_owned(),
            "127.0.0.1".to_owned(),
            "::1".to_owned(),
        ];
        for name in &self.names {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
        names
    }

    /// What the core needs of it.
    #[must_use]
    pub fn settings(&self) -> Settings {
        let default = Settings::default();
        Settings {
            entry_points: self.entry_points.clone(),
            certificate_lifetime_ms: self
                .certificate_seconds
                .map_or(default.certificate_lifetime_ms, |seconds| {
                    seconds.saturating_mul(1000)
                }),
            poll_interval_seconds: self
                .poll_interval_seconds
                .unwrap_or(default.poll_interval_seconds),
            ..default
        }
    }
}

/// A data folder, with the paths in it.
#[derive(Clone, Debug)]
pub struct DataFolder {
    root: PathBuf,
}

/// Held while a process works on a data folder; freed when dropped or when the process ends.
#[derive(Debug)]
pub struct DataLock(#[expect(dead_code, reason = "the open file holds the lock")] fs::File);

impl DataFolder {
    /// The folder at `root`, which need not exist yet.
    pub fn new(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// Where the device CA's certificate lies.
    #[must_use]
    pub fn ca_file(&self) -> PathBuf {
        self.root.join("ca.pem")
    }

    /// Where operator commands find `serve`.
    #[must_use]
    pub fn admin_socket(&self) -> PathBuf {
        self.root.join("admin.sock")
    }

    /// Where the master key lies.
    #[must_use]
    pub fn master_file(&self) -> PathBuf {
        self.root.join("master/key")
    }

    /// The folder itself.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Makes the folder; content when it exists.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn make(&self) -> Result<(), DataError> {
        durable::make_folder(&self.root).map_err(failed("make", &self.root))
    }

    /// Takes the folder's lock.
    ///
    /// # Errors
    /// [`DataError::Locked`] when another process has it.
    pub fn lock(&self) -> Result<DataLock, DataError> {
        if !self.root.is_dir() {
            return Err(DataError::Missing(self.root.display().to_string()));
        }
        let path = self.root.join("lock");
        let mut options = fs::OpenOptions::new();
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path);
        let file = file.map_err(failed("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(DataLock(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => {
                Err(DataError::Locked(self.root.display().to_string()))
            }
            Err(error) => Err(failed("lock", &path)(error.into())),
        }
    }

    /// Writes `service.toml`.
    ///
    /// # Errors
    /// When the system refuses.
    ///
    /// # Panics
    /// Never: the settings have a TOML form.
    pub fn write_service(&self, service: &Service) -> Result<(), DataError> {
        let text = toml::to_string(service).expect("plain settings have a TOML form");
        self.write("service.toml", text.as_bytes())
    }

    /// Writes the CA's certificate for agents.
    ///
    /// # Errors
    /// When the system refuses.
    pub fn write_ca(&self, pem: &str) -> Result<(), DataError> {
        self.write("ca.pem", pem.as_bytes())
    }

    /// Whether `service.toml` is there.
    #[must_use]
    pub fn is_set_up(&self) -> bool {
        self.root.join("service.toml").exists()
    }

    /// Reads `service.toml`.
    ///
    /// # Errors
    /// When it is missing or does not parse.
    pub fn service(&self) -> Result<Service, DataError> {
        let path = self.root.join("service.toml");
        let text = fs::read_to_string(&path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => DataError::Missing(self.root.display().to_string()),
            _ => failed("read", &path)(error),
        })?;
        toml::from_str(&text).map_err(|error| DataError::Service(path.display().to_string(), error))
    }

    /// The ports on this folder.
    ///
    /// # Errors
    /// When one of them cannot be opened.
    pub fn ports(&self) -> Result<Ports, DataError> {
        let store = self.root.join("store");
        durable::make_folder(&store).map_err(failed("make", &store))?;
        let random = Arc::new(SystemRandom);
        let keys = FolderKeys::open(
            &self.master_file(),
            &self.root.join("keys"),
            Arc::<SystemRandom>::clone(&random),
        )?;
        let ports = Ports {
            store: Arc::new(SqliteStore::open(&store.join("items.sqlite"))?),
            blobs: Arc::new(FolderBlobs::open(&self.root.join("blobs"))?),
            keys: Arc::new(keys),
            clock: Arc::new(SystemClock),
            random,
        };
        #[cfg(feature = "fault")]
        let ports = crate::fault::wrap(ports);
        Ok(ports)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> Result<(), DataError> {
        let path = self.root.join(name);
        let fresh = self.root.join(format!("{name}~"));
        durable::write_whole(&path, &fresh, bytes).map_err(failed("write", &path))
    }
}

fn failed(operation: &'static str, path: &Path) -> impl Fn(io::Error) -> DataError {
    let path = path.display().to_string();
    move |source| DataError::Io {
        operation,
        path: path.clone(),
        source,
    }
}
