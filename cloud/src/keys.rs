//! The key port: a small store of secrets, apart from items and blobs, never in content backups.
//!
//! Names: `ca` and `ca.certificate`, `index` (the key under which codes and upload ids are
//! looked up), `tenant.ID.data` (seals the tenant's items), `tenant.ID.seal.N` (the tenant's
//! private key of generation N). Erasing a tenant begins with its keys.

pub mod folder;
pub mod memory;

use zeroize::Zeroizing;

/// A failed key operation. Never holds key material.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KeysError {
    /// A secret of this name exists; secrets do not change.
    #[error("key {0} exists already")]
    Exists(String),
    /// There is no secret of this name.
    #[error("key {0} is missing: restore the key folder and the master key from their backup")]
    Missing(String),
    /// The file does not open with this master key.
    #[error("key {0} does not open with this master key: restore the master key it was made with")]
    NotOurs(String),
    /// The file is of a newer version.
    #[error("key file {0} is of a newer version: use a newer program")]
    Newer(String),
    /// The engine failed.
    #[error("cannot {operation} {name}")]
    Engine {
        /// What was attempted.
        operation: &'static str,
        /// The secret's name or file.
        name: String,
        /// The system's words.
        #[source]
        source: std::io::Error,
    },
}

/// Keeps secrets by name. A secret never changes; it is made, used and removed.
pub trait Keys: Send + Sync {
    /// The secret called `name`.
    ///
    /// # Errors
    /// [`KeysError::Missing`] when there is none.
    fn secret(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, KeysError>;

    /// Stores a new secret, durable when it returns.
    ///
    /// # Errors
    /// [`KeysError::Exists`] when the name is taken.
    fn create(&self, name: &str, secret: &[u8]) -> Result<(), KeysError>;

    /// Names that begin with `prefix`, sorted.
    ///
    /// # Errors
    /// When the engine cannot read.
    fn names(&self, prefix: &str) -> Result<Vec<String>, KeysError>;

    /// Destroys a secret; content when there is none.
    ///
    /// # Errors
    /// When the engine cannot write.
    fn remove(&self, name: &str) -> Result<(), KeysError>;
}

#[cfg(test)]
pub mod conformance {
    //! What every engine of the keys must do.

    use super::*;

    /// Runs the whole suite on an empty engine.
    ///
    /// # Panics
    /// When the engine does not pass.
    pub fn check(keys: &dyn Keys) {
        assert!(matches!(
            keys.secret("tenant.a.data"),
            Err(KeysError::Missing(_))
        ));
        keys.create("tenant.a.data", b"one").unwrap();
        keys.create("tenant.a.seal.1", b"two").unwrap();
        keys.create("tenant.b.data", b"three").unwrap();
        assert!(matches!(
            keys.create("tenant.a.data", b"x"),
            Err(KeysError::Exists(_))
        ));
        assert_eq!(keys.secret("tenant.a.data").unwrap().as_slice(), b"one");
        assert_eq!(
            keys.names("tenant.a.").unwrap(),
            ["tenant.a.data", "tenant.a.seal.1"]
        );
        keys.remove("tenant.a.data").unwrap();
        keys.remove("tenant.a.data").unwrap();
        assert!(keys.secret("tenant.a.data").is_err());
        assert_eq!(keys.names("tenant.a.").unwrap(), ["tenant.a.seal.1"]);
    }
}
