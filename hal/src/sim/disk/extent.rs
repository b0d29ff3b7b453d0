//! One file as the disk and the kernel's cache hold it.

use std::collections::BTreeMap;
use std::sync::Arc;

/// Bytes that are written whole unless the power goes: a page of the cache.
pub const BLOCK_BYTES: usize = 4096;
/// Bytes that a drive writes at once; a cut in between tears a block here.
pub const SECTOR_BYTES: usize = 512;

pub(super) type Block = [u8; BLOCK_BYTES];

/// Content: blocks, some of them never written, and a length.
#[derive(Clone, Debug, Default)]
pub(super) struct Extent {
    pub(super) blocks: Vec<Option<Arc<Block>>>,
    pub(super) length: u64,
}

/// What became of a block that a good flush has not covered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// Waits for the next flush.
    Dirty,
    /// A flush failed: the kernel calls it clean and never writes it again.
    Lost,
}

/// A file: what is durable, what is read, and what lies between the two.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    pub(super) durable: Arc<Extent>,
    pub(super) cached: Arc<Extent>,
    pub(super) unsynced: BTreeMap<usize, Fate>,
    /// Lengths since the last good flush, any of which may be found after a cut.
    pub(super) lengths: Vec<u64>,
    /// Bytes of the disk that the file takes, reserved ones included.
    pub(super) allocated: u64,
}

impl Extent {
    /// Reads; what was never written is zero.
    pub(super) fn read(&self, offset: u64, out: &mut [u8]) -> usize {
        let left = self.length.saturating_sub(offset);
        let count = out.len().min(usize::try_from(left).unwrap_or(usize::MAX));
        let mut done = 0;
        while done < count {
            let (index, within) = place(offset + done as u64);
            let take = (BLOCK_BYTES - within).min(count - done);
            if let Some(to) = out.get_mut(done..done + take) {
                match self.block(index).and_then(|b| b.get(within..within + take)) {
                    Some(from) => to.copy_from_slice(from),
                    None => to.fill(0),
                }
            }
            done += take;
        }
        count
    }

    pub(super) fn block(&self, index: usize) -> Option<&Arc<Block>> {
        self.blocks.get(index)?.as_ref()
    }

    /// The block at `index`, to be written to.
    pub(super) fn block_mut(&mut self, index: usize) -> &mut Block {
        if self.blocks.len() <= index {
            self.blocks.resize(index + 1, None);
        }
        let slot = self
            .blocks
            .get_mut(index)
            .expect("the list was made longer");
        Arc::make_mut(slot.get_or_insert_with(|| Arc::new([0; BLOCK_BYTES])))
    }

    pub(super) fn set(&mut self, index: usize, block: Option<Arc<Block>>) {
        if self.blocks.len() <= index {
            self.blocks.resize(index + 1, None);
        }
        if let Some(slot) = self.blocks.get_mut(index) {
            *slot = block;
        }
    }

    /// Cuts or extends; what is behind the end of the last block reads as zero later.
    pub(super) fn resize(&mut self, length: u64) {
        if length < self.length {
            self.blocks.truncate(blocks(length));
            let (index, within) = place(length);
            if within > 0 && self.block(index).is_some() {
                let tail = self.block_mut(index).get_mut(within..);
                tail.unwrap_or_default().fill(0);
            }
        }
        self.length = length;
    }
}

impl Inode {
    /// A file of which everything is durable.
    pub(super) fn settled(extent: Arc<Extent>) -> Self {
        Self {
            allocated: (blocks(extent.length) * BLOCK_BYTES) as u64,
            durable: Arc::clone(&extent),
            cached: extent,
            unsynced: BTreeMap::new(),
            lengths: Vec::new(),
        }
    }

    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) {
        let cached = Arc::make_mut(&mut self.cached);
        let mut done = 0;
        while done < bytes.len() {
            let (index, within) = place(offset + done as u64);
            let take = (BLOCK_BYTES - within).min(bytes.len() - done);
            let to = cached.block_mut(index).get_mut(within..within + take);
            if let (Some(to), Some(from)) = (to, bytes.get(done..done + take)) {
                to.copy_from_slice(from);
            }
            self.unsynced.insert(index, Fate::Dirty);
            done += take;
        }
        let end = offset + bytes.len() as u64;
        if end > cached.length {
            cached.length = end;
            self.note_length(end);
        }
    }

    pub(super) fn set_len(&mut self, length: u64) {
        Arc::make_mut(&mut self.cached).resize(length);
        let (index, within) = place(length);
        if within > 0 && self.cached.block(index).is_some() {
            self.unsynced.insert(index, Fate::Dirty);
        }
        self.unsynced.retain(|&index, _| index < blocks(length));
        self.note_length(length);
    }

    fn note_length(&mut self, length: u64) {
        if self.lengths.last() != Some(&length) {
            self.lengths.push(length);
        }
    }

    /// A good flush: all but what an earlier one lost is durable.
    pub(super) fn flush(&mut self) {
        self.lengths.clear();
        let before = std::mem::replace(&mut self.durable, Arc::clone(&self.cached));
        self.unsynced.retain(|_, fate| *fate == Fate::Lost);
        if !self.unsynced.is_empty() {
            let durable = Arc::make_mut(&mut self.durable);
            for &index in self.unsynced.keys() {
                durable.set(index, before.block(index).cloned());
            }
        }
    }

    /// A failed flush: nobody will write these blocks any more, though they are still read.
    pub(super) fn lose(&mut self) {
        for fate in self.unsynced.values_mut() {
            *fate = Fate::Lost;
        }
    }

    /// The cache forgets what a failed flush has lost: from now on the old content is read.
    pub(super) fn evict(&mut self) {
        let lost = |(&index, fate): (&usize, &Fate)| (*fate == Fate::Lost).then_some(index);
        let lost: Vec<usize> = self.unsynced.iter().filter_map(lost).collect();
        for index in lost {
            let old = self.durable.block(index).cloned();
            Arc::make_mut(&mut self.cached).set(index, old);
            self.unsynced.remove(&index);
        }
    }

    pub(super) fn is_settled(&self) -> bool {
        self.unsynced.is_empty() && self.lengths.is_empty()
    }
}

/// Blocks that `length` bytes take.
pub(super) fn blocks(length: u64) -> usize {
    usize::try_from(length.div_ceil(BLOCK_BYTES as u64)).unwrap_or(usize::MAX)
}

/// The block of an offset and the place in it.
fn place(offset: u64) -> (usize, usize) {
    let block = BLOCK_BYTES as u64;
    let index = usize::try_from(offset / block).unwrap_or(usize::MAX);
    (index, (offset % block) as usize)
}
