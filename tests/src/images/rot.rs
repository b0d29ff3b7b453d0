//! Bit rot: every block of every file of a spool rots, one at a time, in several ways. A damaged
//! block costs at most its own page, and it is reported.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use scantrip::spool::{RecoveredKind, Spool, SpoolError};
use scantrip_cloud_client::wire::INTENT_OBJECT;
use scantrip_hal::disk::Disk;
use scantrip_hal::sim::disk::{BLOCK_BYTES, SimDisk};

use super::spool::{LIMITS, Page, begin, job, old_disk};
use super::{Broken, Promise, Tally, require};

/// Ways in which each block rots.
const WAYS: u64 = 24;

/// A job on a disk, and which blocks of its file hold which page.
struct Stored {
    disk: SimDisk,
    path: &'static str,
    pages: BTreeMap<u32, (Page, Range<usize>)>,
    blocks: usize,
}

/// Rots every block and adds what was found to `tally`.
///
/// # Panics
/// When the jobs cannot be made on a disk that works.
pub fn exhaust(tally: &mut Tally) {
    for sealed in [false, true] {
        tally.workloads += 1;
        let stored = store(sealed).expect("nothing goes wrong on this disk");
        for block in 0..stored.blocks {
            for seed in 0..WAYS {
                let image = stored.disk.crashed(0);
                image.rot_block(stored.path, block, seed);
                tally.images += 1;
                if let Err(broken) = check(&stored, &image, block) {
                    let case = format!("rot of block {block}, seed {seed}, sealed {sealed}");
                    tally.broken.push((broken, case));
                    return;
                }
            }
        }
    }
}

/// A job of four pages of one to several blocks.
fn store(sealed: bool) -> Result<Stored, SpoolError> {
    let disk = old_disk();
    let (spool, _) = Spool::open(Arc::new(disk.clone()), "spool", LIMITS)?;
    let mut file = begin(&spool, 1)?;
    let path = "spool/01010101-0101-0101-0101-010101010101.open";
    let blocks = |path: &str| {
        disk.bytes(path)
            .map_or(0, |bytes| bytes.len() / BLOCK_BYTES)
    };
    let mut pages = BTreeMap::new();
    for (object, length) in (1..).zip([300, 9_000, 30_000, 4_100]) {
        let first = blocks(path);
        let page = Page::new(1, object, length);
        page.save(&mut file)?;
        pages.insert(object, (page, first..blocks(path)));
    }
    let path = if sealed {
        file.seal(&[7; 900])?;
        "spool/01010101-0101-0101-0101-010101010101.job"
    } else {
        drop(file);
        path
    };
    Ok(Stored {
        blocks: blocks(path),
        path,
        pages,
        disk,
    })
}

fn check(stored: &Stored, image: &SimDisk, block: usize) -> Result<(), Broken> {
    let disk: Arc<dyn Disk> = Arc::new(image.clone());
    let stuck = |error: SpoolError| Broken::new(Promise::Stuck, error.to_string());
    let (spool, found) = Spool::open(disk, "spool", LIMITS).map_err(stuck)?;
    let kind = found.into_iter().find(|found| found.job == job(1));
    let mut damaged = match kind.map(|found| found.kind) {
        Some(RecoveredKind::Draft { damaged, .. }) => damaged,
        Some(RecoveredKind::Complete) => Vec::new(),
        other => return Err(Broken::new(Promise::Lost, format!("{other:?}"))),
    };
    let mut reader = spool.reader(job(1)).map_err(stuck)?;
    damaged.extend(reader.damaged());
    let listed: Vec<u32> = reader.objects().map(|info| info.object).collect();
    for (&object, (page, range)) in &stored.pages {
        let mut bytes = vec![0; page.bytes().len() + 1];
        let read = reader.read_at(object, 0, &mut bytes);
        let hit = range.contains(&block);
        match read {
            Ok(count) if bytes[..count] == *page.bytes() => {}
            Ok(_) => {
                let what = format!("page {object} reads as other bytes");
                return Err(Broken::new(Promise::Invented, what));
            }
            Err(error) => {
                require(hit, Promise::Lost, || format!("page {object}: {error}"))?;
                // Whoever sends it hears of it: either it is listed and does not read, or it is
                // named among the damaged ones.
                let told = damaged.contains(&object) || listed.contains(&object);
                require(told, Promise::Unreported, || format!("page {object}"))?;
            }
        }
    }
    let known = |object: &u32| *object == INTENT_OBJECT || stored.pages.contains_key(object);
    require(damaged.iter().all(known), Promise::Invented, || {
        format!("damaged: {damaged:?}")
    })
}
