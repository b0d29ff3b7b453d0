//! Who is at the other end of a connection, and what was learnt of it so far.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use super::cache::believed;
use super::desired::TenantView;
use super::global::{CertificateOwner, sha256_hex};
use super::record::CertificateOwnerState;
use super::{Core, Peer};

/// A peer for as long as its connection lasts: what does not change is worked out once.
pub struct Caller {
    peer: Peer,
    fingerprint: Option<String>,
    owner: OnceLock<CertificateOwner>,
    seen: Mutex<Option<Seen>>,
    touched_ms: AtomicU64,
}

impl std::fmt::Debug for Caller {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Caller({})", self.peer.address)
    }
}

/// The rows that a poll needs.
#[derive(Clone)]
pub(crate) struct Seen {
    epoch: u64,
    read_at_ms: u64,
    pub(crate) state: Arc<CertificateOwnerState>,
    pub(crate) view: Arc<TenantView>,
}

impl Caller {
    /// Whoever is at the other end.
    #[must_use]
    pub fn new(peer: Peer) -> Self {
        Self {
            fingerprint: peer.certificate.as_deref().map(sha256_hex),
            peer,
            owner: OnceLock::new(),
            seen: Mutex::new(None),
            touched_ms: AtomicU64::new(0),
        }
    }

    /// The peer.
    #[must_use]
    pub const fn peer(&self) -> &Peer {
        &self.peer
    }

    /// Whose certificate it is, if that is known without asking the store; see [`Core::owner`].
    #[must_use]
    pub fn owner(&self) -> Option<&CertificateOwner> {
        self.owner.get()
    }

    /// The device is there; told once a second at most, since many connections share the list.
    pub(crate) fn touch(&self, core: &Core, owner: &CertificateOwner, now_ms: u64) {
        const EVERY_MS: u64 = 1000;
        let last = self.touched_ms.load(Ordering::Relaxed);
        if now_ms.saturating_sub(last) >= EVERY_MS {
            self.touched_ms.store(now_ms, Ordering::Relaxed);
            core.presence.touch(&owner.tenant, &owner.device, now_ms);
        }
    }

    /// What a poll needs, out of this connection's or the core's memory.
    pub(crate) fn seen(&self, core: &Core, now_ms: u64) -> Option<Seen> {
        if !core.revision.is_fresh(now_ms) {
            return None;
        }
        let epoch = core.revision.epoch();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let known = seen
            .as_ref()
            .filter(|seen| seen.epoch == epoch && believed(seen.read_at_ms, now_ms));
        if let Some(known) = known {
            return Some(known.clone());
        }
        let fingerprint = self.fingerprint.as_deref()?;
        let (state, state_read_at) = core.certificates.get(fingerprint, epoch, now_ms)?;
        let tenant = state.owner.tenant.as_str();
        let (view, view_read_at) = core.desired.get(tenant, epoch, now_ms)?;
        let fresh = Seen {
            epoch,
            read_at_ms: state_read_at.min(view_read_at),
            state,
            view,
        };
        *seen = Some(fresh.clone());
        Some(fresh)
    }

    /// Whose certificate it is; asks the store at most once.
    pub(crate) fn find_owner(&self, core: &Core) {
        let Some(fingerprint) = self.fingerprint.as_deref() else {
            return;
        };
        if self.owner.get().is_none()
            && let Some(owner) = super::principal::owner(core, fingerprint)
        {
            // The owner of a certificate never changes, so that the first answer is right.
            drop(self.owner.set(owner));
        }
    }

    /// As [`Caller::find_owner`] out of memory alone.
    pub(crate) fn remember_owner(&self, core: &Core) {
        let epoch = core.revision.epoch();
        let known = self
            .fingerprint
            .as_deref()
            .and_then(|print| core.certificates.get(print, epoch, core.now_ms()));
        if let Some((state, _)) = known {
            drop(self.owner.set(state.owner.clone()));
        }
    }
}
