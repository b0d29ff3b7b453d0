//! The name of an SNMP community. Who knows it reads the device's tables: it is a password.

use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

/// Longer than any device takes.
const BYTES_MAX: usize = 64;

/// A community's name. A secret: it cannot be printed and is wiped when it is dropped.
pub struct Community(Zeroizing<Vec<u8>>);

/// The file of the community cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CommunityError {
    /// It cannot be read.
    #[error(
        "cannot read {path}; write the name of the SNMP community into it, or take the line out"
    )]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Everybody on this machine may read it.
    #[error("{path} is open to others (mode {mode:04o}); run `chmod 600 {path}`")]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// It is no name.
    #[error("{path} must hold one line, the name of the SNMP community, of 1 to 64 ASCII symbols")]
    Shape {
        /// The file.
        path: PathBuf,
    },
}

impl Community {
    /// Reads a file whose only line is the name.
    ///
    /// # Errors
    /// When it cannot be read, is open to others or holds something else.
    pub fn load(path: &Path) -> Result<Self, CommunityError> {
        let failed = |source| CommunityError::File {
            path: path.to_owned(),
            source,
        };
        let file = File::open(path).map_err(failed)?;
        let mode = file.metadata().map_err(failed)?.permissions().mode() & 0o7777;
        if mode & 0o007 != 0 {
            let path = path.to_owned();
            return Err(CommunityError::Open { path, mode });
        }
        // Room for all of it at once: a buffer that grows leaves copies.
        let mut bytes = Zeroizing::new(Vec::with_capacity(4 * BYTES_MAX));
        let limit = BYTES_MAX as u64 + 3;
        let _length = file.take(limit).read_to_end(&mut bytes).map_err(failed)?;
        while bytes.last().is_some_and(|it| b"\r\n".contains(it)) {
            let _end = bytes.pop();
        }
        let is_plain = bytes.iter().all(|it| matches!(it, b' '..=b'~'));
        if bytes.is_empty() || bytes.len() > BYTES_MAX || !is_plain {
            let path = path.to_owned();
            return Err(CommunityError::Shape { path });
        }
        Ok(Self(bytes))
    }

    #[cfg(test)]
    pub(super) fn of(name: &str) -> Self {
        Self(Zeroizing::new(name.as_bytes().to_vec()))
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;

    use super::*;

    /// What a file of this content and mode is, in words.
    fn load(content: &[u8], mode: u32) -> Result<Vec<u8>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("community");
        #[expect(clippy::disallowed_methods, reason = "a scratch file of this test")]
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
        let community = Community::load(&path);
        let name = |it: &CommunityError| it.to_string().replace(path.to_str().unwrap(), "FILE");
        community
            .map(|it| it.as_bytes().to_vec())
            .map_err(|it| name(&it))
    }

    #[test]
    fn a_file_with_one_line_is_a_community() {
        for content in ["our own", "our own\n", "our own\r\n"] {
            assert_eq!(load(content.as_bytes(), 0o640), Ok(b"our own".to_vec()));
        }
        assert_eq!(load(&[b'x'; 64], 0o600).unwrap().len(), 64);
    }

    #[test]
    fn what_is_no_community_is_refused_without_repeating_it() {
        let long = [b'x'; 65];
        for content in [&b""[..], b"\n", b"a\nb\n", b"canary\xff", b"a\tb", &long] {
            let said = load(content, 0o600).unwrap_err();
            let must =
                "FILE must hold one line, the name of the SNMP community, of 1 to 64 ASCII symbols";
            assert_eq!(said, must);
        }
        let said = load(b"canary", 0o644).unwrap_err();
        assert_eq!(
            said,
            "FILE is open to others (mode 0644); run `chmod 600 FILE`"
        );
        let missing = Community::load(Path::new("/nowhere/community")).err();
        assert!(missing.unwrap().to_string().contains("take the line out"));
    }
}
