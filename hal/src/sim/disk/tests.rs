use std::collections::BTreeSet;

use super::*;

fn disk() -> SimDisk {
    SimDisk::new(SimDiskConfig::default(), 8)
}

fn small(bytes_total: u64) -> SimDisk {
    let config = SimDiskConfig {
        bytes_total,
        ..SimDiskConfig::default()
    };
    SimDisk::new(config, 8)
}

fn whole() -> Bounds {
    Bounds {
        torn: false,
        ..Bounds::default()
    }
}

/// A file of `count` blocks, durable, each filled with `byte`.
fn durable(disk: &SimDisk, path: &str, count: usize, byte: u8) -> Box<dyn DiskFile> {
    let mut file = disk.create_new(path).unwrap();
    file.write_at(0, &vec![byte; count * BLOCK_BYTES]).unwrap();
    file.sync_data().unwrap();
    disk.sync_folder("").unwrap();
    file
}

/// First bytes of each block of `path` in every image.
fn found(disk: &SimDisk, path: &str, bounds: Bounds) -> BTreeSet<Option<Vec<u8>>> {
    let heads = |bytes: Vec<u8>| bytes.chunks(BLOCK_BYTES).map(|block| block[0]).collect();
    let images = disk.images(bounds);
    images.map(|image| image.bytes(path).map(heads)).collect()
}

#[test]
fn unsynced_blocks_survive_in_every_subset() {
    let disk = disk();
    let mut file = durable(&disk, "x", 3, 1);
    file.write_at(0, &[2; 3 * BLOCK_BYTES]).unwrap();
    let found = found(&disk, "x", whole());
    assert_eq!(found.len(), 8);
    assert!(found.contains(&Some(vec![2, 1, 2])));
}

#[test]
fn what_was_flushed_is_in_every_image() {
    let disk = disk();
    let mut file = durable(&disk, "x", 2, 1);
    file.write_at(0, &[2; BLOCK_BYTES]).unwrap();
    file.sync_data().unwrap();
    let found = found(&disk, "x", Bounds::default());
    assert_eq!(found, BTreeSet::from([Some(vec![2, 1])]));
}

#[test]
fn length_and_data_survive_apart() {
    let disk = disk();
    let mut file = durable(&disk, "x", 1, 1);
    file.write_at(BLOCK_BYTES as u64, &[2; BLOCK_BYTES])
        .unwrap();
    let found = found(&disk, "x", whole());
    let filler = found.iter().flatten().filter(|heads| heads.len() == 2);
    assert!(found.contains(&Some(vec![1])), "the old length");
    assert!(found.contains(&Some(vec![1, 2])), "all of it");
    assert!(
        found.contains(&Some(vec![1, 0])),
        "the length ahead of the data"
    );
    assert_eq!(filler.count(), 3, "also over garbage");
}

#[test]
fn a_name_is_durable_with_its_folder_and_not_with_its_file() {
    let disk = disk();
    let mut file = disk.create_new("x").unwrap();
    file.write_at(0, &[1; 10]).unwrap();
    file.sync_data().unwrap();
    assert!(found(&disk, "x", whole()).contains(&None));
    disk.sync_folder("").unwrap();
    assert!(!found(&disk, "x", whole()).contains(&None));
    disk.rename("x", "y").unwrap();
    let both = |image: SimDisk| image.files();
    let files: BTreeSet<_> = disk.images(whole()).map(both).collect();
    assert_eq!(
        files,
        BTreeSet::from([vec!["x".to_owned()], vec!["y".to_owned()]])
    );
}

#[test]
fn blocks_of_a_failed_flush_are_never_safe_again() {
    let disk = disk();
    let mut file = durable(&disk, "x", 1, 1);
    file.write_at(0, &[2; BLOCK_BYTES]).unwrap();
    disk.fail_next_flush();
    assert!(file.sync_data().is_err());
    file.sync_data().unwrap();
    assert_eq!(disk.bytes("x").unwrap()[0], 2, "the cache still has them");
    let both = BTreeSet::from([Some(vec![1]), Some(vec![2])]);
    assert_eq!(found(&disk, "x", whole()), both);
    disk.evict();
    assert_eq!(disk.bytes("x").unwrap()[0], 1, "and may forget them");
}

#[test]
fn a_block_in_flight_tears_between_sectors_and_turns_to_garbage() {
    let disk = disk();
    let mut file = durable(&disk, "x", 1, 1);
    file.write_at(0, &[2; BLOCK_BYTES]).unwrap();
    let blocks = disk
        .images(Bounds::default())
        .map(|image| image.bytes("x").unwrap());
    let blocks: BTreeSet<Vec<u8>> = blocks.collect();
    let torn = |new: usize| [vec![2; new], vec![1; BLOCK_BYTES - new]].concat();
    assert!(blocks.contains(&torn(512)) && blocks.contains(&torn(3584)));
    let garbage = blocks
        .iter()
        .any(|block| block.iter().any(|byte| *byte > 2));
    assert!(garbage);
}

#[test]
fn recycled_space_holds_what_an_erased_file_left() {
    let disk = disk();
    durable(&disk, "old", 1, 9);
    disk.remove("old").unwrap();
    disk.sync_folder("").unwrap();
    let mut file = disk.create_new("x").unwrap();
    disk.sync_folder("").unwrap();
    file.write_at(0, &[1; BLOCK_BYTES]).unwrap();
    assert!(found(&disk, "x", whole()).contains(&Some(vec![9])));
}

#[test]
fn the_power_goes_in_the_middle_of_an_operation() {
    let disk = disk();
    let mut file = durable(&disk, "x", 1, 1);
    disk.stop_at(disk.operations() + 1);
    assert!(file.write_at(0, &[2; BLOCK_BYTES]).is_err());
    assert!(!disk.is_on());
    assert!(file.read_at(0, &mut [0]).is_err() && disk.list("").is_err());
    let both = BTreeSet::from([Some(vec![1]), Some(vec![2])]);
    assert_eq!(found(&disk, "x", whole()), both);
}

#[test]
fn room_that_is_made_while_the_power_is_off_is_there_after_it() {
    let disk = small(4 * BLOCK_BYTES as u64);
    disk.put("ballast", &vec![0; 3 * BLOCK_BYTES]);
    assert_eq!(disk.free_bytes().unwrap(), BLOCK_BYTES as u64);
    disk.cut();
    disk.put("ballast", &[]);
    let found = disk.crashed(1);
    assert_eq!(found.bytes("ballast"), Some(Vec::new()));
    assert_eq!(found.free_bytes().unwrap(), 4 * BLOCK_BYTES as u64);
}

#[test]
fn space_runs_out_and_comes_back() {
    let disk = small(4 * BLOCK_BYTES as u64);
    let mut file = disk.create_new("x").unwrap();
    file.reserve(3 * BLOCK_BYTES as u64).unwrap();
    assert_eq!(disk.free_bytes().unwrap(), BLOCK_BYTES as u64);
    let refused = file.write_at(0, &[1; 5 * BLOCK_BYTES]).unwrap_err();
    assert_eq!(refused.kind, DiskErrorKind::Full);
    disk.remove("x").unwrap();
    assert_eq!(disk.free_bytes().unwrap(), 4 * BLOCK_BYTES as u64);
}

#[test]
fn rot_changes_one_block() {
    let disk = disk();
    durable(&disk, "x", 4, 1);
    let before = disk.bytes("x").unwrap();
    let (path, block) = disk.rot(3).unwrap();
    let after = disk.bytes(&path).unwrap();
    let changed = (0..4).filter(|n| {
        let range = n * BLOCK_BYTES..(n + 1) * BLOCK_BYTES;
        before[range.clone()] != after[range]
    });
    assert_eq!(changed.collect::<Vec<_>>(), [block]);
}

#[test]
fn plaintext_is_seen_across_two_writes() {
    let disk = disk();
    let secret: Vec<u8> = (0..64).collect();
    let secrets = Windows::new();
    secrets.add(&secret);
    disk.watch(&secrets);
    let mut file = disk.create_new("x").unwrap();
    file.write_at(0, &secret[3..14]).unwrap();
    assert_eq!(disk.leak(), None);
    file.write_at(11, &secret[14..30]).unwrap();
    assert_eq!(disk.leak().as_deref(), Some("x at 0"));
}

#[test]
fn a_drawn_crash_is_legal_and_repeats() {
    let disk = disk();
    let mut file = durable(&disk, "x", 2, 1);
    file.write_at(0, &[2; BLOCK_BYTES]).unwrap();
    for seed in 0..50 {
        let (once, again) = (disk.crashed(seed), disk.crashed(seed));
        assert_eq!(once.bytes("x"), again.bytes("x"));
        assert_eq!(once.bytes("x").unwrap()[BLOCK_BYTES..], [1; BLOCK_BYTES]);
    }
}

#[test]
fn folders_are_listed_and_removed_like_a_real_disk_does() {
    let disk = disk();
    disk.create_folder("a/b").unwrap();
    durable(&disk, "a/b/x", 1, 1);
    assert_eq!(disk.list("a").unwrap(), ["b"]);
    assert_eq!(disk.list("").unwrap(), ["a"]);
    assert!(disk.remove_folder("a/b").is_err(), "not empty");
    assert!(disk.create_new("c/x").is_err(), "no such folder");
    disk.remove("a/b/x").unwrap();
    disk.remove_folder("a/b").unwrap();
    assert_eq!(disk.list("a/b").unwrap_err().kind, DiskErrorKind::NotFound);
    disk.sync_folder("a").unwrap();
    assert!(disk.images(whole()).all(|image| image.files().is_empty()));
}
