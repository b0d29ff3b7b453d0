use std::path::PathBuf;

use super::*;
use crate::backends::folder_disk::FolderDisk;
use crate::backends::key_file::KeyFile;
use crate::backends::system::SystemEntropy;

struct Scenario {
    folder: tempfile::TempDir,
    storage: SealedStorage,
}

impl Scenario {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let disk = FolderDisk::open(&folder.path().join("disk"), None).unwrap();
        let keys = folder.path().join("keys/device.key");
        let keys = KeyFile::open(&keys, Box::new(SystemEntropy::new())).unwrap();
        let storage = SealedStorage::new(Arc::new(disk), Arc::new(keys), "state");
        Self { folder, storage }
    }

    fn copy(&self, suffix: &str) -> PathBuf {
        let name = format!("disk/state/value.{suffix}");
        self.folder.path().join(name)
    }

    fn damage(&self, suffix: &str, change: impl FnOnce(&mut Vec<u8>)) {
        use std::io::Write;
        let mut bytes = std::fs::read(self.copy(suffix)).unwrap();
        change(&mut bytes);
        let mut options = std::fs::OpenOptions::new();
        let file = options.write(true).truncate(true).open(self.copy(suffix));
        file.unwrap().write_all(&bytes).unwrap();
    }

    fn set(&mut self, value: &[u8]) -> bool {
        self.storage.set_raw("value", value).unwrap()
    }

    #[track_caller]
    fn check(&self, value: Option<&[u8]>) {
        let mut buf = [0; 64];
        assert_eq!(self.storage.get_raw("value", &mut buf).unwrap(), value);
        assert_eq!(self.storage.len("value").unwrap(), value.map(<[u8]>::len));
        assert_eq!(self.storage.contains("value").unwrap(), value.is_some());
    }
}

#[test]
fn the_last_value_counts() {
    let mut world = Scenario::new();
    world.check(None);
    assert!(!world.set(b"one"));
    world.check(Some(b"one"));
    for value in [b"two".as_slice(), b"three", b"", b"five"] {
        assert!(world.set(value));
        world.check(Some(value));
    }
}

#[test]
fn a_torn_copy_falls_back_to_the_older_one() {
    let mut world = Scenario::new();
    world.set(b"one");
    world.set(b"two");
    let good = std::fs::read(world.copy("b")).unwrap();
    for end in 0..good.len() {
        world.damage("b", |bytes| *bytes = good[..end].to_vec());
        world.check(Some(b"one"));
        world.damage("b", |bytes| bytes.resize(good.len(), 0));
        world.check(Some(b"one"));
    }
}

#[test]
fn a_garbled_copy_falls_back_and_the_next_value_heals_it() {
    let mut world = Scenario::new();
    world.set(b"one");
    world.set(b"two");
    world.damage("b", |bytes| *bytes.last_mut().unwrap() ^= 1);
    world.check(Some(b"one"));
    world.set(b"three");
    world.check(Some(b"three"));
    world.damage("a", |bytes| *bytes.last_mut().unwrap() ^= 1);
    world.check(Some(b"three"));
}

#[test]
fn two_bad_copies_are_an_error_until_a_new_value_comes() {
    let mut world = Scenario::new();
    world.set(b"one");
    world.damage("a", |bytes| bytes.clear());
    let refused = world.storage.len("value").unwrap_err();
    assert_eq!(refused, SealedStorageError::Damaged("value".to_string()));
    world.set(b"two");
    world.check(Some(b"two"));
}

#[test]
fn a_removed_value_stays_away() {
    let mut world = Scenario::new();
    world.set(b"one");
    world.set(b"two");
    assert!(world.storage.remove("value").unwrap());
    world.check(None);
    assert!(!world.storage.remove("value").unwrap());
}

#[test]
fn a_value_does_not_open_under_another_name() {
    let mut world = Scenario::new();
    world.set(b"one");
    std::fs::copy(
        world.copy("a"),
        world.folder.path().join("disk/state/other.a"),
    )
    .unwrap();
    let refused = world.storage.len("other").unwrap_err();
    assert_eq!(refused, SealedStorageError::Damaged("other".to_string()));
}

#[test]
fn a_newer_version_is_refused_untouched() {
    let mut world = Scenario::new();
    world.set(b"one");
    world.damage("a", |bytes| bytes[4] = 2);
    let before = std::fs::read(world.copy("a")).unwrap();
    let newer = SealedStorageError::Newer("value".to_string());
    assert_eq!(world.storage.len("value").unwrap_err(), newer);
    assert_eq!(world.storage.set_raw("value", b"").unwrap_err(), newer);
    assert_eq!(world.storage.remove("value").unwrap_err(), newer);
    assert_eq!(std::fs::read(world.copy("a")).unwrap(), before);
}

#[test]
fn values_are_not_readable_on_the_disk() {
    let mut world = Scenario::new();
    world.set(b"plain words");
    let bytes = std::fs::read(world.copy("a")).unwrap();
    assert!(!bytes.windows(5).any(|part| part == b"plain"));
}

#[test]
fn strange_names_are_refused() {
    let mut world = Scenario::new();
    for name in ["", "a/b", "..", "a.b", &"x".repeat(65)] {
        assert_eq!(
            world.storage.set_raw(name, b"").unwrap_err(),
            SealedStorageError::Name(name.to_string())
        );
    }
}

#[test]
fn a_short_buffer_tells_the_length_needed() {
    let mut world = Scenario::new();
    world.set(b"twelve bytes");
    let refused = world.storage.get_raw("value", &mut [0; 11]).unwrap_err();
    let expected = SealedStorageError::BufferTooShort {
        name: "value".to_string(),
        length: 12,
    };
    assert_eq!(refused, expected);
}
