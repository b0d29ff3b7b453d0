//! Randomness as an argument.

/// The source of randomness failed; nothing may be sealed or signed with what it gave.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("cannot read random bytes from the system")]
pub struct EntropyError;

/// Where random bytes come from. The system's generator, or a seed in a test.
pub trait Entropy: Send {
    /// Fills `out` with bytes fit for keys.
    ///
    /// # Errors
    /// When the source is not available; `out` must then not be used.
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError>;
}
