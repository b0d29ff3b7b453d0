//! Secrets in memory: for tests and the simulation.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use zeroize::Zeroizing;

use super::{Keys, KeysError};

/// Secrets in a map.
#[derive(Default)]
pub struct MemoryKeys {
    secrets: Mutex<BTreeMap<String, Zeroizing<Vec<u8>>>>,
}

impl std::fmt::Debug for MemoryKeys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("MemoryKeys")
    }
}

impl MemoryKeys {
    /// No secrets.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Zeroizing<Vec<u8>>>> {
        self.secrets.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keys for MemoryKeys {
    fn secret(&self, name: &str) -> Result<Zeroizing<Vec<u8>>, KeysError> {
        let found = self.lock().get(name).cloned();
        found.ok_or_else(|| KeysError::Missing(name.to_owned()))
    }

    fn create(&self, name: &str, secret: &[u8]) -> Result<(), KeysError> {
        let mut secrets = self.lock();
        if secrets.contains_key(name) {
            return Err(KeysError::Exists(name.to_owned()));
        }
        secrets.insert(name.to_owned(), Zeroizing::new(secret.to_vec()));
        drop(secrets);
        Ok(())
    }

    fn names(&self, prefix: &str) -> Result<Vec<String>, KeysError> {
        let mut names: Vec<String> = self.lock().keys().cloned().collect();
        names.retain(|name| name.starts_with(prefix));
        Ok(names)
    }

    fn remove(&self, name: &str) -> Result<(), KeysError> {
        self.lock().remove(name);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn memory_passes_the_key_suite() {
        super::super::conformance::check(&super::MemoryKeys::new());
    }
}
