use std::fs::Permissions;

use p256::ecdsa::VerifyingKey;
use p256::ecdsa::signature::Verifier;

use super::*;
use crate::backends::system::SystemEntropy;
use crate::entropy::EntropyError;

struct Scenario {
    folder: tempfile::TempDir,
}

impl Scenario {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self { folder }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keys/device.key")
    }

    fn open(&self) -> Result<KeyFile, KeyError> {
        KeyFile::open(&self.path(), Box::new(SystemEntropy::new()))
    }

    fn set_mode(&self, path: &Path, mode: u32) {
        fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
    }

    fn refusal(&self) -> String {
        self.open().err().unwrap().to_string()
    }

    /// Changes the file's bytes behind its back.
    fn edit(&self, change: impl FnOnce(&mut Vec<u8>)) {
        use std::io::Write;
        let mut bytes = fs::read(self.path()).unwrap();
        change(&mut bytes);
        let mut file = fs::OpenOptions::new()
            .write(true)
            .truncate(true)
            .open(self.path())
            .unwrap();
        file.write_all(&bytes).unwrap();
    }
}

#[test]
fn a_signature_verifies_with_the_public_key() {
    let keys = Scenario::new();
    let store = keys.open().unwrap();
    let public = store.generate(KeySlot::B).unwrap();
    let signature = store.sign(KeySlot::B, b"message").unwrap();
    let verifier = VerifyingKey::from_sec1_bytes(&public.0).unwrap();
    let signature = DerSignature::try_from(signature.as_slice()).unwrap();
    verifier.verify(b"message", &signature).unwrap();
    assert!(verifier.verify(b"massage", &signature).is_err());
}

#[test]
fn keys_are_the_same_after_reopening() {
    let keys = Scenario::new();
    let store = keys.open().unwrap();
    let a = store.generate(KeySlot::A).unwrap();
    let b = store.generate(KeySlot::B).unwrap();
    let sealed = store.seal_local(b"context", b"value").unwrap();
    let store = keys.open().unwrap();
    assert_eq!(store.public(KeySlot::A).unwrap(), Some(a));
    assert_eq!(store.public(KeySlot::B).unwrap(), Some(b));
    assert_eq!(store.open_local(b"context", &sealed).unwrap(), b"value");
}

#[test]
fn an_empty_slot_does_not_sign() {
    let keys = Scenario::new();
    let store = keys.open().unwrap();
    assert_eq!(store.public(KeySlot::A).unwrap(), None);
    assert_eq!(
        store.sign(KeySlot::A, b""),
        Err(KeyError::Empty(KeySlot::A))
    );
}

#[test]
fn removing_one_slot_keeps_the_other() {
    let keys = Scenario::new();
    let store = keys.open().unwrap();
    store.generate(KeySlot::A).unwrap();
    let b = store.generate(KeySlot::B).unwrap();
    store.remove(KeySlot::A).unwrap();
    store.remove(KeySlot::A).unwrap();
    let store = keys.open().unwrap();
    assert_eq!(store.public(KeySlot::A).unwrap(), None);
    assert_eq!(store.public(KeySlot::B).unwrap(), Some(b));
}

#[test]
fn sealed_values_open_in_their_context_alone() {
    let keys = Scenario::new();
    let store = keys.open().unwrap();
    let sealed = store.seal_local(b"a", b"value").unwrap();
    assert_eq!(store.open_local(b"b", &sealed), Err(KeyError::NotOurs));
    for end in 0..sealed.len() {
        assert_eq!(
            store.open_local(b"a", &sealed[..end]),
            Err(KeyError::NotOurs)
        );
    }
    let other_keys = Scenario::new();
    let other = other_keys.open().unwrap();
    other.seal_local(b"", b"").unwrap();
    assert_eq!(other.open_local(b"a", &sealed), Err(KeyError::NotOurs));
}

#[test]
fn the_same_value_seals_to_different_bytes() {
    let keys = Scenario::new();
    let store = keys.open().unwrap();
    let first = store.seal_local(b"", b"value").unwrap();
    assert_ne!(first, store.seal_local(b"", b"value").unwrap());
}

#[test]
fn a_wiped_store_opens_nothing_and_leaves_no_file() {
    let keys = Scenario::new();
    let store = keys.open().unwrap();
    store.generate(KeySlot::A).unwrap();
    let sealed = store.seal_local(b"", b"value").unwrap();
    store.wipe().unwrap();
    store.wipe().unwrap();
    assert_eq!(store.open_local(b"", &sealed), Err(KeyError::NotOurs));
    assert_eq!(store.public(KeySlot::A).unwrap(), None);
    assert!(!keys.path().exists());
    store.seal_local(b"", b"new life").unwrap();
    assert_eq!(store.open_local(b"", &sealed), Err(KeyError::NotOurs));
}

#[test]
fn opening_alone_makes_no_file() {
    let keys = Scenario::new();
    keys.open().unwrap();
    assert!(!keys.path().exists());
}

#[test]
fn wider_modes_are_refused_with_what_to_do() {
    let keys = Scenario::new();
    keys.open().unwrap().generate(KeySlot::A).unwrap();
    let (file, folder) = (keys.path(), keys.folder.path().join("keys"));
    keys.set_mode(&file, 0o640);
    let wanted = format!("chmod 600 {}", file.display());
    assert!(keys.refusal().contains(&wanted), "{}", keys.refusal());
    keys.set_mode(&file, 0o600);
    keys.set_mode(&folder, 0o711);
    let wanted = format!("chmod 700 {}", folder.display());
    assert!(keys.refusal().contains(&wanted), "{}", keys.refusal());
    keys.set_mode(&folder, 0o700);
    keys.open().unwrap();
}

#[test]
fn a_newer_version_is_refused_untouched() {
    let keys = Scenario::new();
    keys.open().unwrap().generate(KeySlot::A).unwrap();
    keys.edit(|bytes| bytes[4] = 2);
    let before = fs::read(keys.path()).unwrap();
    assert!(keys.refusal().contains("newer version"));
    assert_eq!(fs::read(keys.path()).unwrap(), before);
}

#[test]
fn any_flipped_or_missing_byte_is_noticed() {
    let keys = Scenario::new();
    keys.open().unwrap().generate(KeySlot::A).unwrap();
    let good = fs::read(keys.path()).unwrap();
    assert_eq!(good.len(), FILE_BYTES);
    for at in 0..good.len() {
        let mut bytes = good.clone();
        bytes[at] ^= 1;
        assert!(Keys::decode(&bytes).is_err(), "flipped {at}");
        assert!(Keys::decode(&good[..at]).is_err(), "cut at {at}");
    }
    let longer = [good.as_slice(), &[0]].concat();
    assert!(Keys::decode(&longer).is_err());
}

#[test]
fn a_left_over_temporary_file_does_no_harm() {
    let keys = Scenario::new();
    let store = keys.open().unwrap();
    let disk = FolderDisk::open(&keys.folder.path().join("keys"), None).unwrap();
    drop(disk.create_new("device.key.new").unwrap());
    store.generate(KeySlot::A).unwrap();
    assert_eq!(disk.list("").unwrap(), ["device.key"]);
}

#[test]
fn a_failed_draw_changes_nothing() {
    struct Broken;
    impl Entropy for Broken {
        fn fill(&mut self, _out: &mut [u8]) -> Result<(), EntropyError> {
            Err(EntropyError)
        }
    }
    let keys = Scenario::new();
    let public = keys.open().unwrap().generate(KeySlot::A).unwrap();
    let store = KeyFile::open(&keys.path(), Box::new(Broken)).unwrap();
    assert!(store.generate(KeySlot::A).is_err());
    assert!(store.seal_local(b"", b"").is_err());
    assert_eq!(store.public(KeySlot::A).unwrap(), Some(public));
}
