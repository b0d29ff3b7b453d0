use std::os::unix::fs::PermissionsExt;

use super::*;

fn check_refused(path: &str) {
    let folder = tempfile::tempdir().unwrap();
    let disk = FolderDisk::open(folder.path(), None).unwrap();
    let refused = disk.create_new(path).err().unwrap();
    assert_eq!(refused.kind, DiskErrorKind::Denied, "{path}");
}

#[test]
fn a_path_cannot_leave_the_root() {
    for path in [
        "../x",
        "a/../../x",
        "/etc/x",
        "a//x",
        ".",
        "",
        "a/./x",
        "x\0y",
    ] {
        check_refused(path);
    }
}

#[test]
fn a_link_is_not_followed() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FolderDisk::open(folder.path(), None).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", folder.path().join("link")).unwrap();
    assert!(disk.open("link").is_err());
}

#[test]
fn files_and_folders_are_their_owners_alone() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path().join("deep/root");
    let disk = FolderDisk::open(&root, None).unwrap();
    disk.create_folder("a/b").unwrap();
    drop(disk.create_new("a/b/file").unwrap());
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!(
        [mode("."), mode("a"), mode("a/b"), mode("a/b/file")],
        [0o700, 0o700, 0o700, 0o600]
    );
}

#[test]
fn what_is_written_is_read_again() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FolderDisk::open(folder.path(), None).unwrap();
    let mut file = disk.create_new("x").unwrap();
    file.write_at(3, b"hello").unwrap();
    file.sync_data().unwrap();
    disk.sync_folder("").unwrap();
    drop(file);
    let file = disk.open("x").unwrap();
    let mut out = [9; 10];
    assert_eq!(file.read_at(0, &mut out).unwrap(), 8);
    assert_eq!(&out[..8], b"\0\0\0hello");
    assert_eq!(file.read_at(100, &mut out).unwrap(), 0);
}

#[test]
fn reserving_leaves_the_length_alone() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FolderDisk::open(folder.path(), None).unwrap();
    let mut file = disk.create_new("x").unwrap();
    file.reserve(1 << 20).unwrap();
    assert!(file.is_empty().unwrap());
    let refused = file.reserve(1 << 60).unwrap_err();
    assert_eq!(refused.kind, DiskErrorKind::Full);
}

#[test]
fn names_are_sorted_renamed_and_removed() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FolderDisk::open(folder.path(), None).unwrap();
    for name in ["b", "a", "c"] {
        drop(disk.create_new(name).unwrap());
    }
    disk.rename("a", "c").unwrap();
    assert_eq!(disk.list("").unwrap(), ["b", "c"]);
    disk.remove("b").unwrap();
    assert_eq!(disk.remove("b").unwrap_err().kind, DiskErrorKind::NotFound);
    assert_eq!(
        disk.create_new("c").err().unwrap().kind,
        DiskErrorKind::AlreadyExists
    );
    assert_eq!(disk.list("none").unwrap_err().kind, DiskErrorKind::NotFound);
}

#[test]
fn a_quota_counts_reserves_and_gives_back_what_is_removed() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FolderDisk::open(folder.path(), Some(1000)).unwrap();
    let mut file = disk.create_new("x").unwrap();
    file.reserve(600).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 400);
    let mut other = disk.create_new("y").unwrap();
    let refused = other.write_at(0, &[0; 401]).unwrap_err();
    assert_eq!(refused.kind, DiskErrorKind::Full);
    other.write_at(0, &[0; 400]).unwrap();
    file.set_len(100).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 500);
    disk.rename("y", "x").unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 600);
    disk.remove("x").unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 1000);
}

#[test]
fn a_quota_counts_what_was_there_before() {
    let folder = tempfile::tempdir().unwrap();
    let disk = FolderDisk::open(folder.path(), None).unwrap();
    disk.create_folder("a").unwrap();
    disk.create_new("a/x")
        .unwrap()
        .write_at(0, &[0; 70])
        .unwrap();
    let disk = FolderDisk::open(folder.path(), Some(100)).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 30);
}
