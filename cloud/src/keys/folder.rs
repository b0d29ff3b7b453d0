//! Secrets as files, each wrapped by the master key, which lies in a folder of its own.
//!
//! Key file: `STWK`, version 1, 12 bytes nonce, AES-256-GCM of the secret with magic, version and
//! name as associated data. Master key file: `STMK`, version 1, 32 bytes. Opened secrets stay in
//! memory, zeroised when they go.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use aes_gcm::Aes256Gcm;
use aes_gcm::aead::{Aead as _, KeyInit as _, Payload};
use zeroize::Zeroizing;

use super::{Keys, KeysError};
use crate::durable;
use crate::ports::Random;

const MASTER_MAGIC: &[u8; 5] = b"STMK\x01";
const KEY_MAGIC: &[u8; 5] = b"STWK\x01";
const NONCE_BYTES: usize = 12;

/// Wrapped secrets below a folder.
pub struct FolderKeys {
    folder: PathBuf,
    master: Aes256Gcm,
    random: Arc<dyn Random>,
    opened: Mutex<BTreeMap<String, Zeroizing<Vec<u8>>>>,
}

impl std::fmt::Debug for FolderKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "FolderKeys({})", self.folder.display())
    }
}

/// Makes a new master key file; its folder is made for the owner alone.
///
/// # Errors
/// When the file exists or cannot be written.
pub fn create_master(file: &Path, random: &dyn Random) -> Result<(), KeysError> {
    if file.exists() {
        return Err(KeysError::Exists(file.display().to_string()));
    }
    let mut bytes = Zeroizing::new([0; MASTER_MAGIC.len() + 32]);
    let (magic, key) = bytes.split_at_mut(MASTER_MAGIC.len());
    magic.copy_from_slice(MASTER_MAGIC);
    random.fill(key);
    let write = || {
        durable::make_folder(file.parent().unwrap_or_else(|| Path::new(".")))?;
        durable::write_whole(file, &file.with_extension("new"), &*bytes)
    };
    write().map_err(engine("write the master key", &file.display().to_string()))
}

impl FolderKeys {
    /// Opens the key folder (made when missing) with the master key in `master_file`.
    ///
    /// # Errors
    /// When the master key is missing or open to others, or the folder cannot be made.
    pub fn open(
        master_file: &Path,
        folder: &Path,
        random: Arc<dyn Random>,
    ) -> Result<Self, KeysError> {
        let name = master_file.display().to_string();
        if !master_file.exists() {
            return Err(KeysError::Missing(name));
        }
        let read = || {
            durable::require_private(master_file)?;
            fs::read(master_file)
        };
        let bytes = Zeroizing::new(read().map_err(engine("read the master key", &name))?);
        let key = unframe(MASTER_MAGIC, &bytes, &name)?;
        let master = Aes256Gcm::new_from_slice(key).map_err(|_cause| KeysError::NotOurs(name))?;
        durable::make_folder(folder)
            .and_then(|()| durable::require_private(folder))
            .map_err(engine("open the key folder", &folder.display().to_string()))?;
        Ok(Self {
            folder: folder.to_owned(),
            master,
            random,
            opened: Mutex::default(),
        })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    fn opened(&self) -> MutexGuard<'_, BTreeMap<String, Zeroizing<Vec<u8>>>> {
        self.opened.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys for FolderKeys {
    fn secret(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        if let Some(secret) = self.opened().get(name) {
            return Ok(secret.clone());
        }
        let file = fs::read(self.path(name)).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound => KeysError::Missing(name.to_owned()),
            _ => engine("read key", name)(error),
        })?;
        let body = unframe(KEY_MAGIC, &file, name)?;
        let (nonce, wrapped) = body
            .split_at_checked(NONCE_BYTES)
            .ok_or_else(|| KeysError::NotOurs(name.to_owned()))?;
        let nonce = <[u8; NONCE_BYTES]>::try_from(nonce).expect("split at this length");
        let payload = Payload {
            msg: wrapped,
            aad: &context(name),
        };
        let secret = self.master.decrypt(&nonce.into(), payload);
        let secret = Zeroizing::new(secret.map_err(|_cause| KeysError::NotOurs(name.to_owned()))?);
        self.opened().insert(name.to_owned(), secret.clone());
        Ok(secret)
    }

    fn create(&self, name: &str, secret: &[u8]) -> Result<(), KeysError> {
        assert!(
            name.split('.').all(crate::blobs::is_name),
            "key names are made of checked ids"
        );
        let path = self.path(name);
        // Held over the write: the check and the file must not come apart.
        let mut opened = self.opened();
        if path.exists() {
            return Err(KeysError::Exists(name.to_owned()));
        }
        let mut nonce = [0; NONCE_BYTES];
        self.random.fill(&mut nonce);
        let payload = Payload {
            msg: secret,
            aad: &context(name),
        };
        let wrapped = self
            .master
            .encrypt(&nonce.into(), payload)
            .expect("a secret is far below the cipher's limit");
        let file = [KEY_MAGIC.as_slice(), &nonce, &wrapped].concat();
        durable::write_whole(&path, &self.folder.join(format!("{name}~")), &file)
            .map_err(engine("write key", name))?;
        opened.insert(name.to_owned(), Zeroizing::new(secret.to_vec()));
        drop(opened);
        Ok(())
    }

    fn names(&self, prefix: &str) -> Result<Vec<String>, KeysError> {
        let read = || {
            let mut names = Vec::new();
            for entry in fs::read_dir(&self.folder)? {
                let name = entry?.file_name().to_string_lossy().into_owned();
                if name.starts_with(prefix) && !name.ends_with('~') {
                    names.push(name);
                }
            }
            names.sort();
            Ok(names)
        };
        read().map_err(engine("list keys", prefix))
    }

    fn remove(&self, name: &str) -> Result<(), KeysError> {
        self.opened().remove(name);
        let remove = || match fs::remove_file(self.path(name)) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => durable::sync_folder(&self.folder),
        };
        remove().map_err(engine("destroy key", name))
    }
}

fn context(name: &str) -> Vec<u8> {
    [KEY_MAGIC, name.as_bytes()].concat()
}

/// What follows `magic`; a higher version byte is a newer file.
fn unframe<'a>(magic: &[u8; 5], file: &'a [u8], name: &str) -> Result<&'a [u8], KeysError> {
    let (head, body) = file
        .split_at_checked(magic.len())
        .ok_or_else(|| KeysError::NotOurs(name.to_owned()))?;
    match (head.split_last(), magic.split_last()) {
        _ if head == magic => Ok(body),
        (Some((found, kind)), Some((known, ours))) if kind == ours && found > known => {
            Err(KeysError::Newer(name.to_owned()))
        }
        _ => Err(KeysError::NotOurs(name.to_owned())),
    }
}

fn engine(operation: &'static str, name: &str) -> impl Fn(io::Error) -> KeysError {
    let name = name.to_owned();
    move |source| KeysError::Engine {
        operation,
        name: name.clone(),
        source,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ports::SystemRandom;

    fn open(root: &Path) -> Result<FolderKeys, KeysError> {
        let master = root.join("master/key");
        FolderKeys::open(&master, &root.join("keys"), Arc::new(SystemRandom))
    }

    #[test]
    fn folder_passes_the_key_suite() {
        let root = tempfile::tempdir().unwrap();
        create_master(&root.path().join("master/key"), &SystemRandom).unwrap();
        super::super::conformance::check(&open(root.path()).unwrap());
    }

    #[test]
    fn secrets_survive_a_restart_and_are_never_in_clear() {
        let root = tempfile::tempdir().unwrap();
        create_master(&root.path().join("master/key"), &SystemRandom).unwrap();
        let secret = b"not to be read by anyone";
        open(root.path()).unwrap().create("ca", secret).unwrap();
        assert_eq!(
            open(root.path()).unwrap().secret("ca").unwrap().as_slice(),
            secret
        );
        let file = fs::read(root.path().join("keys/ca")).unwrap();
        assert!(!file.windows(8).any(|window| window == &secret[..8]));
    }

    #[test]
    fn another_master_key_and_moved_files_are_refused() {
        let root = tempfile::tempdir().unwrap();
        let master = root.path().join("master/key");
        create_master(&master, &SystemRandom).unwrap();
        assert!(create_master(&master, &SystemRandom).is_err());
        open(root.path()).unwrap().create("a", b"secret").unwrap();
        fs::copy(root.path().join("keys/a"), root.path().join("keys/b")).unwrap();
        assert!(matches!(
            open(root.path()).unwrap().secret("b"),
            Err(KeysError::NotOurs(_))
        ));
        fs::remove_file(&master).unwrap();
        assert!(matches!(open(root.path()), Err(KeysError::Missing(_))));
        create_master(&master, &SystemRandom).unwrap();
        assert!(matches!(
            open(root.path()).unwrap().secret("a"),
            Err(KeysError::NotOurs(_))
        ));
    }

    #[test]
    fn a_master_key_open_to_others_is_refused_with_what_to_do() {
        use std::os::unix::fs::PermissionsExt as _;
        let root = tempfile::tempdir().unwrap();
        let master = root.path().join("master/key");
        create_master(&master, &SystemRandom).unwrap();
        fs::set_permissions(&master, fs::Permissions::from_mode(0o640)).unwrap();
        let error = open(root.path()).unwrap_err();
        let cause = std::error::Error::source(&error).unwrap().to_string();
        assert!(cause.contains("chmod"), "{cause}");
    }
}
