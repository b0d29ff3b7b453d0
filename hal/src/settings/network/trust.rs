//! Who vouches for a device's certificate: an authority, the operator who named it, or nobody.

use std::fmt;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use crate::web::{Connector, Vouch};

/// TLS as the program lends it, and whom the operator trusts.
#[derive(Clone)]
pub struct TlsOptions {
    /// Handshakes, and HTTP after them.
    pub connector: Arc<dyn Connector>,
    /// The authorities that are trusted.
    pub vouch: Arc<Vouch>,
    /// The SHA-256 of the device's certificate, when the operator named it. One that was kept when
    /// it was first seen does not count.
    pub pinned: Option<[u8; 32]>,
}

impl fmt::Debug for TlsOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("TlsOptions")
    }
}

/// Who vouches for a certificate whose key was proven.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Trust {
    /// An authority that is trusted.
    Ca,
    /// The operator.
    Pinned,
    /// Nobody, as far as is known; says why.
    Unknown(String),
}

impl TlsOptions {
    /// Who vouches for the first certificate of a chain that was shown in a finished handshake.
    pub(super) fn trust(&self, chain: &[Vec<u8>]) -> Trust {
        let Some(leaf) = chain.first() else {
            let why = "no handshake was finished, in which the device proves its key";
            return Trust::Unknown(why.to_owned());
        };
        if self.pinned.is_some_and(|it| Sha256::digest(leaf)[..] == it) {
            return Trust::Pinned;
        }
        match (self.vouch)(chain) {
            Ok(()) => Trust::Ca,
            Err(error) => Trust::Unknown(error.to_string()),
        }
    }
}
