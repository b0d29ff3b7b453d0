//! The name of one scan job: a random UUID (RFC 9562, version 4).

use std::fmt;
use std::str::FromStr;

use scantrip_hal::entropy::{Entropy, EntropyError};
use serde::{Deserialize, Serialize};

/// A job's id. Written as a UUID in lower case with dashes, which is also its file's name.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct JobId([u8; 16]);

impl JobId {
    /// A new id that nobody else has.
    ///
    /// # Errors
    /// When there is no randomness.
    pub fn generate(entropy: &mut dyn Entropy) -> Result<Self, EntropyError> {
        let mut bytes = [0; 16];
        entropy.fill(&mut bytes)?;
        Ok(Self(
            uuid::Builder::from_random_bytes(bytes)
                .into_uuid()
                .into_bytes(),
        ))
    }

    /// The id with these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// The id's bytes, as sealed objects and job files hold them.
    #[must_use]
    pub const fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }
}

/// A text is no job id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a job id is a UUID in lower case, like 0b6f4a0e-6d5c-4c39-9a55-2f0f3f4f5a61")]
pub struct ParseJobIdError;

impl FromStr for JobId {
    type Err = ParseJobIdError;

    /// Reads the one form that [`fmt::Display`] writes, so that a name has one spelling.
    fn from_str(text: &str) -> Result<Self, ParseJobIdError> {
        uuid::Uuid::try_parse(text)
            .ok()
            .map(|id| Self(id.into_bytes()))
            .filter(|id| id.to_string() == text)
            .ok_or(ParseJobIdError)
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        uuid::Uuid::from_bytes(self.0).hyphenated().fmt(f)
    }
}

impl fmt::Debug for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl TryFrom<String> for JobId {
    type Error = ParseJobIdError;

    fn try_from(text: String) -> Result<Self, ParseJobIdError> {
        text.parse()
    }
}

impl From<JobId> for String {
    fn from(id: JobId) -> Self {
        id.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Counting(u8);

    impl Entropy for Counting {
        fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
            for byte in out {
                *byte = self.0;
                self.0 = self.0.wrapping_add(1);
            }
            Ok(())
        }
    }

    #[test]
    fn a_new_id_is_a_version_4_uuid_and_reads_back() {
        let id = JobId::generate(&mut Counting(0)).unwrap();
        assert_eq!(id.to_string(), "00010203-0405-4607-8809-0a0b0c0d0e0f");
        assert_eq!(id.to_string().parse(), Ok(id));
    }

    #[test]
    fn only_one_spelling_is_read() {
        for text in [
            "",
            "../../etc/passwd",
            "00010203040546078809 0a0b0c0d0e0f",
            "000102030405460788090a0b0c0d0e0f",
            "00010203-0405-4607-8809-0A0B0C0D0E0F",
            "{00010203-0405-4607-8809-0a0b0c0d0e0f}",
        ] {
            assert_eq!(text.parse::<JobId>(), Err(ParseJobIdError), "{text}");
        }
    }
}
