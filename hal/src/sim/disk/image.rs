//! The disks that a power cut can leave.

use std::sync::Arc;

use super::dice::Dice;
use super::extent::{BLOCK_BYTES, Block, Extent, Inode, SECTOR_BYTES, blocks};
use super::{SimDisk, SimDiskConfig, World};

/// How many of the possible disks [`SimDisk::images`] builds.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Up to this many unsynced blocks, every subset of them; above it each alone, all but each,
    /// each prefix, and `random` more.
    pub exhaustive_blocks: u32,
    /// Random subsets above that.
    pub random: u32,
    /// Whether blocks in flight are torn at each sector and turned to garbage.
    pub torn: bool,
}

impl Default for Bounds {
    /// Every subset of 10 blocks; above, 256 random ones; torn sectors.
    fn default() -> Self {
        Self {
            exhaustive_blocks: 10,
            random: 256,
            torn: true,
        }
    }
}

/// The disks a power cut can leave, in a fixed order.
#[derive(Debug)]
pub struct Images {
    world: World,
    cases: Vec<Case>,
    picks: Vec<Pick>,
    next: usize,
}

/// What can survive, given how long each file is found.
#[derive(Debug)]
struct Case {
    lengths: Vec<u64>,
    /// Unsynced blocks inside these lengths: file and block.
    blocks: Vec<(usize, usize)>,
    masks: Vec<Mask>,
}

/// One disk.
#[derive(Clone, Copy, Debug)]
struct Pick {
    case: u32,
    mask: u32,
    names: u64,
    filler: Filler,
    tear: Option<(u32, Tear)>,
}

/// Which of many things; bit by bit.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mask(Vec<u64>);

/// What unwritten space holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Filler {
    Zeros,
    Recycled,
}

/// How a block in flight is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Tear {
    /// This many new sectors, then old ones.
    Head(u8),
    /// This many old sectors, then new ones.
    Tail(u8),
    /// New, but for a sector of garbage.
    Garbage(u8),
    /// Nothing but garbage.
    AllGarbage,
}

impl SimDisk {
    /// Every disk that a power cut now may leave, within `bounds`.
    #[must_use]
    pub fn images(&self, bounds: Bounds) -> Images {
        let world = self.world().clone();
        let names = name_subsets(world.names.pending.len());
        let mut images = Images {
            cases: world.cases(),
            world,
            picks: Vec::new(),
            next: 0,
        };
        for (number, case) in images.cases.iter_mut().enumerate() {
            case.masks = masks(case.blocks.len(), bounds, number as u64);
            for &names in &names {
                images.picks.extend(case.picks(number as u32, names));
            }
            if bounds.torn {
                for names in [names.first(), names.last()].into_iter().flatten() {
                    images.picks.extend(case.torn(number as u32, *names));
                }
            }
        }
        images
    }

    /// One disk that a power cut now may leave, drawn by `seed`.
    #[must_use]
    pub fn crashed(&self, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let world = self.world().clone();
        let length = |inode: &Arc<Inode>| {
            let mut lengths = inode.possible_lengths();
            let chosen = dice.below(lengths.len() as u64) as usize;
            lengths.swap_remove(chosen)
        };
        let lengths: Vec<u64> = world.inodes.iter().map(length).collect();
        let mut case = world.case(lengths);
        case.masks = vec![match dice.below(4) {
            0 => Mask::none(case.blocks.len()),
            1 => Mask::all(case.blocks.len()),
            _ => Mask::random(case.blocks.len(), &mut dice),
        }];
        let tear = (dice.below(2) == 0 && !case.blocks.is_empty()).then(|| {
            let tears = Tear::all();
            let tear = tears.get(dice.below(tears.len() as u64) as usize);
            let block = dice.below(case.blocks.len() as u64) as u32;
            (block, tear.copied().unwrap_or(Tear::AllGarbage))
        });
        let filler = match dice.below(2) {
            0 => Filler::Zeros,
            _ => Filler::Recycled,
        };
        let pick = Pick {
            case: 0,
            mask: 0,
            names: dice.next(),
            filler,
            tear,
        };
        Self::from_world(world.after_cut(&case, pick))
    }
}

impl Images {
    /// How many there are in all.
    #[must_use]
    pub fn total(&self) -> usize {
        self.picks.len()
    }

    /// The disk of this number, counted from 0.
    #[must_use]
    pub fn image(&self, number: usize) -> Option<SimDisk> {
        let pick = *self.picks.get(number)?;
        let case = self.cases.get(pick.case as usize)?;
        Some(SimDisk::from_world(self.world.after_cut(case, pick)))
    }
}

impl Iterator for Images {
    type Item = SimDisk;

    fn next(&mut self) -> Option<SimDisk> {
        self.next += 1;
        self.image(self.next - 1)
    }
}

impl Case {
    /// Every subset of blocks, over zeros and over what was there before.
    fn picks(&self, case: u32, names: u64) -> impl Iterator<Item = Pick> + '_ {
        let all = self.masks.len() as u32;
        let fillers = [Filler::Zeros, Filler::Recycled];
        let fillers = fillers.into_iter().filter(|&filler| {
            // Over nothing unwritten the two are the same disk.
            filler == Filler::Zeros || !self.blocks.is_empty()
        });
        fillers.flat_map(move |filler| {
            (0..all).map(move |mask| Pick {
                case,
                mask,
                names,
                filler,
                tear: None,
            })
        })
    }

    /// Each block broken in each way, among none and among all of the others.
    fn torn(&self, case: u32, names: u64) -> impl Iterator<Item = Pick> + '_ {
        let last = self.masks.len().saturating_sub(1) as u32;
        let blocks = 0..self.blocks.len() as u32;
        blocks.flat_map(move |block| {
            Tear::all().into_iter().flat_map(move |tear| {
                [(0, Filler::Recycled), (last, Filler::Zeros)].map(|(mask, filler)| Pick {
                    case,
                    mask,
                    names,
                    filler,
                    tear: Some((block, tear)),
                })
            })
        })
    }
}

impl World {
    /// One case for each way in which the files' lengths can be found.
    fn cases(&self) -> Vec<Case> {
        let choices: Vec<Vec<u64>> = self.inodes.iter().map(|i| i.possible_lengths()).collect();
        let newest = |choice: &Vec<u64>| choice.last().copied().unwrap_or_default();
        let base: Vec<u64> = choices.iter().map(newest).collect();
        let oldest: Vec<u64> = choices
            .iter()
            .map(|choice| choice.first().copied().unwrap_or_default())
            .collect();
        let mut lengths = vec![base.clone()];
        let product: usize = choices.iter().map(Vec::len).product();
        if product <= CASES_MAX {
            for (place, choice) in choices.iter().enumerate().filter(|(_, c)| c.len() > 1) {
                for found in lengths.clone() {
                    lengths.extend(
                        choice
                            .iter()
                            .rev()
                            .skip(1)
                            .map(|&length| with(&found, place, length)),
                    );
                }
            }
        } else {
            for (place, choice) in choices.iter().enumerate() {
                lengths.extend(
                    choice
                        .iter()
                        .rev()
                        .skip(1)
                        .map(|&length| with(&base, place, length)),
                );
            }
            lengths.push(oldest);
        }
        lengths.into_iter().map(|found| self.case(found)).collect()
    }

    fn case(&self, lengths: Vec<u64>) -> Case {
        let inside = |(number, inode): (usize, &Arc<Inode>)| {
            let end = blocks(lengths.get(number).copied().unwrap_or_default());
            let unsynced = inode.unsynced.keys().copied();
            let visible = unsynced.filter(|&block| block < end);
            visible.map(|block| (number, block)).collect::<Vec<_>>()
        };
        Case {
            blocks: self.inodes.iter().enumerate().flat_map(inside).collect(),
            lengths,
            masks: Vec::new(),
        }
    }

    /// The disk that is found.
    fn after_cut(&self, case: &Case, pick: Pick) -> Self {
        let names = self
            .names
            .after_cut(|change| pick.names >> (change % 64) & 1 == 1);
        let mask = case.masks.get(pick.mask as usize);
        let mut place = 0;
        let mut inodes = Vec::with_capacity(self.inodes.len());
        for (number, inode) in self.inodes.iter().enumerate() {
            let first = place;
            while case
                .blocks
                .get(place)
                .is_some_and(|block| block.0 == number)
            {
                place += 1;
            }
            if inode.is_settled() {
                inodes.push(Arc::clone(inode));
                continue;
            }
            let length = case.lengths.get(number).copied().unwrap_or_default();
            let mut extent = Extent {
                blocks: inode.durable.blocks.clone(),
                length: inode.durable.length,
            };
            extent.resize(length);
            for atom in first..place {
                let Some(&(_, block)) = case.blocks.get(atom) else {
                    continue;
                };
                let new = inode.cached.block(block);
                let tear = pick.tear.filter(|(torn, _)| *torn as usize == atom);
                let old = || match inode.durable.block(block) {
                    Some(old) => Some(Arc::clone(old)),
                    None => self.filler(pick.filler, block),
                };
                let found = match tear {
                    Some((_, tear)) => Some(tear.of(old(), new, self.seed)),
                    None if mask.is_some_and(|mask| mask.has(atom)) => new.cloned(),
                    None => old(),
                };
                extent.set(block, found);
            }
            inodes.push(Arc::new(Inode::settled(Arc::new(extent))));
        }
        let named = names.live().filter_map(|(_, inode)| inodes.get(inode));
        Self {
            // Thousands of images, and nobody reads their traces.
            config: SimDiskConfig {
                trace: false,
                ..self.config
            },
            seed: self.seed,
            used: named.map(|inode| inode.allocated).sum(),
            inodes,
            names,
            recycled: Arc::clone(&self.recycled),
            powered: true,
            operations: 0,
            changes: Vec::new(),
            stop_at: None,
            flush_fails: false,
            trace: Vec::new(),
            watch: self.watch.clone(),
        }
    }

    /// What stands in space that was never written.
    fn filler(&self, filler: Filler, block: usize) -> Option<Arc<Block>> {
        match filler {
            Filler::Zeros => None,
            Filler::Recycled => {
                let old = &self.recycled.blocks;
                match old.get(block % old.len().max(1)) {
                    Some(old) => old.clone(),
                    None => Some(garbage(self.seed ^ block as u64)),
                }
            }
        }
    }
}

impl Inode {
    /// How long the file may be found, the newest length last.
    fn possible_lengths(&self) -> Vec<u64> {
        let mut lengths = vec![self.durable.length];
        for &length in &self.lengths {
            if !lengths.contains(&length) {
                lengths.push(length);
            }
        }
        // Of many, the oldest, one in the middle and the newest.
        if let [oldest, .., newest] = *lengths
            && let Some(&middle) = lengths.get(lengths.len() / 2)
            && lengths.len() > 3
        {
            lengths = vec![oldest, middle, newest];
        }
        lengths
    }
}

impl Tear {
    fn all() -> Vec<Self> {
        let sectors = (BLOCK_BYTES / SECTOR_BYTES) as u8;
        let inner = 1..sectors;
        let heads = inner.clone().map(Self::Head);
        let tails = inner.map(Self::Tail);
        let garbage = (0..sectors).map(Self::Garbage);
        heads
            .chain(tails)
            .chain(garbage)
            .chain([Self::AllGarbage])
            .collect()
    }

    /// The block as it is found.
    fn of(self, old: Option<Arc<Block>>, new: Option<&Arc<Block>>, seed: u64) -> Arc<Block> {
        let zeros = || Arc::new([0; BLOCK_BYTES]);
        let old = old.unwrap_or_else(zeros);
        let mut out = new.map_or_else(zeros, Arc::clone);
        let broken = garbage(seed);
        let sectors = Arc::make_mut(&mut out).chunks_exact_mut(SECTOR_BYTES);
        let others = old
            .chunks_exact(SECTOR_BYTES)
            .zip(broken.chunks_exact(SECTOR_BYTES));
        for ((number, sector), (old, broken)) in (0_u8..).zip(sectors).zip(others) {
            match self {
                Self::Head(new) if number >= new => sector.copy_from_slice(old),
                Self::Tail(kept) if number < kept => sector.copy_from_slice(old),
                Self::Garbage(at) if number == at => sector.copy_from_slice(broken),
                Self::AllGarbage => sector.copy_from_slice(broken),
                _ => {}
            }
        }
        out
    }
}

impl Mask {
    fn none(count: usize) -> Self {
        Self(vec![0; count.div_ceil(64)])
    }

    fn all(count: usize) -> Self {
        Self(vec![u64::MAX; count.div_ceil(64)])
    }

    fn random(count: usize, dice: &mut Dice) -> Self {
        Self((0..count.div_ceil(64)).map(|_| dice.next()).collect())
    }

    fn has(&self, place: usize) -> bool {
        let word = self.0.get(place / 64).copied().unwrap_or_default();
        word >> (place % 64) & 1 == 1
    }

    fn flip(mut self, place: usize) -> Self {
        if let Some(word) = self.0.get_mut(place / 64) {
            *word ^= 1 << (place % 64);
        }
        self
    }
}

/// Subsets of `count` blocks: none is the first, all is the last.
fn masks(count: usize, bounds: Bounds, seed: u64) -> Vec<Mask> {
    if count == 0 {
        return vec![Mask::none(0)];
    }
    if count <= bounds.exhaustive_blocks as usize {
        return (0..1_u64 << count).map(|bits| Mask(vec![bits])).collect();
    }
    let mut dice = Dice::new(seed);
    let mut masks = vec![Mask::none(count)];
    masks.extend((0..count).map(|place| Mask::none(count).flip(place)));
    masks.extend((0..count).map(|place| Mask::all(count).flip(place)));
    masks.extend((2..count).map(|end| (0..end).fold(Mask::none(count), Mask::flip)));
    masks.extend((0..bounds.random).map(|_| Mask::random(count, &mut dice)));
    masks.push(Mask::all(count));
    masks
}

/// Subsets of `count` pending changes of names: none first, all last.
fn name_subsets(count: usize) -> Vec<u64> {
    if count <= NAMES_EXHAUSTIVE {
        return (0..1 << count).collect();
    }
    let mut dice = Dice::new(count as u64);
    let mut subsets = vec![0];
    subsets.extend((0..count.min(64)).map(|place| 1 << place));
    subsets.extend((0..count.min(64)).map(|place| !(1 << place)));
    subsets.extend((0..16).map(|_| dice.next()));
    subsets.push(u64::MAX);
    subsets
}

fn with(lengths: &[u64], place: usize, length: u64) -> Vec<u64> {
    let mut lengths = lengths.to_vec();
    if let Some(slot) = lengths.get_mut(place) {
        *slot = length;
    }
    lengths
}

fn garbage(seed: u64) -> Arc<Block> {
    let mut block = [0; BLOCK_BYTES];
    Dice::new(seed).fill(&mut block);
    Arc::new(block)
}

/// Most ways in which lengths are combined; above it they change one at a time.
const CASES_MAX: usize = 16;
/// Up to this many pending names, every subset of them.
const NAMES_EXHAUSTIVE: usize = 6;
