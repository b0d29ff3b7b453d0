//! A disk that knows what a flush means, so that a power cut can be tried at any operation.
//!
//! What is written sits in a cache until a flush. When the power goes, each unsynced 4 KiB block,
//! each changed length and each changed name may be on the disk or not, independently of the
//! others; a sector in flight may be torn or garbage; space never written holds zeros or what an
//! erased file left there. [`SimDisk::images`] builds every such disk within bounds,
//! [`SimDisk::crashed`] draws one.
//!
//! What the model grants, as journaling file systems do: a rename is one change, and a failed
//! folder sync leaves the names pending rather than lost. A failed flush of a file is not repeated:
//! its blocks count as clean and may never reach the disk.

mod dice;
mod extent;
mod image;
mod names;
#[cfg(test)]
mod tests;
mod windows;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pub use self::dice::Dice;
pub use self::extent::{BLOCK_BYTES, SECTOR_BYTES};
use self::extent::{Inode, blocks};
pub use self::image::{Bounds, Images};
use self::names::Names;
pub use self::windows::{WINDOW_BYTES, Windows};
use crate::disk::{Disk, DiskError, DiskErrorKind, DiskFile};

/// What the simulated disk is.
#[derive(Clone, Copy, Debug)]
pub struct SimDiskConfig {
    /// How much it holds.
    pub bytes_total: u64,
    /// Whether each operation is kept for [`SimDisk::trace`].
    pub trace: bool,
}

impl Default for SimDiskConfig {
    /// A gibibyte, no trace.
    fn default() -> Self {
        Self {
            bytes_total: 1 << 30,
            trace: false,
        }
    }
}

/// A disk in memory with a power switch. Clones are handles to the same disk.
#[derive(Clone, Debug)]
pub struct SimDisk {
    world: Arc<Mutex<World>>,
}

#[derive(Clone, Debug)]
struct World {
    config: SimDiskConfig,
    seed: u64,
    inodes: Vec<Arc<Inode>>,
    names: Names,
    /// Bytes that all files take together.
    used: u64,
    /// What the last erased file left in the free space.
    recycled: Arc<extent::Extent>,
    powered: bool,
    operations: u64,
    /// Operations that changed something or made it durable, by their numbers.
    changes: Vec<u64>,
    stop_at: Option<u64>,
    flush_fails: bool,
    trace: Vec<String>,
    watch: Option<Arc<Mutex<Watch>>>,
}

/// What must never be written, and where it was.
#[derive(Debug)]
struct Watch {
    windows: Windows,
    leak: Option<String>,
}

/// How an operation goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Flow {
    /// As it should.
    On,
    /// The power goes during it: it may be on the disk and is not answered.
    Last,
}

impl SimDisk {
    /// An empty disk. Equal seeds draw equal garbage.
    #[must_use]
    pub fn new(config: SimDiskConfig, seed: u64) -> Self {
        Self::from_world(World {
            config,
            seed,
            inodes: Vec::new(),
            names: Names::default(),
            used: 0,
            recycled: Arc::default(),
            powered: true,
            operations: 0,
            changes: Vec::new(),
            stop_at: None,
            flush_fails: false,
            trace: Vec::new(),
            watch: None,
        })
    }

    fn from_world(world: World) -> Self {
        Self {
            world: Arc::new(Mutex::new(world)),
        }
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.world.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Cuts the power: every operation fails from now on. What a machine finds that starts again
    /// is [`SimDisk::crashed`] or one of [`SimDisk::images`].
    pub fn cut(&self) {
        self.power(false);
    }

    /// Switches the power. Switched on again, the cache is as it was: this is the restart of a
    /// program, not of a machine.
    pub fn power(&self, on: bool) {
        self.world().powered = on;
    }

    /// Whether operations are answered.
    #[must_use]
    pub fn is_on(&self) -> bool {
        self.world().powered
    }

    /// Bytes that all files take, reserved ones included. Answers with the power off, too.
    #[must_use]
    pub fn used_bytes(&self) -> u64 {
        self.world().used
    }

    /// Operations so far; reading counts too.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.world().operations
    }

    /// Where to stop a run like this one to see all that it can leave: the operations that changed
    /// something or made it durable, and the one after the last. A stop at any other leaves the
    /// disks of the one before.
    #[must_use]
    pub fn stops(&self) -> Vec<u64> {
        let world = self.world();
        let end = world.operations + 1;
        world.changes.iter().copied().chain([end]).collect()
    }

    /// The power goes at this operation, counted from 1 since the disk was made: it is begun and
    /// never answered.
    pub fn stop_at(&self, operation: u64) {
        self.world().stop_at = Some(operation);
    }

    /// The next flush fails: its blocks count as clean and may be lost.
    pub fn fail_next_flush(&self) {
        self.world().flush_fails = true;
    }

    /// Takes back [`SimDisk::fail_next_flush`] when no flush came.
    pub fn heal(&self) {
        self.world().flush_fails = false;
    }

    /// The cache forgets what failed flushes have lost, as memory pressure would make it.
    pub fn evict(&self) {
        for inode in &mut self.world().inodes {
            Arc::make_mut(inode).evict();
        }
    }

    /// Counts an operation of something else that shares this disk's power, such as a database's
    /// commit. Called before and after it, it makes a crash point of either side.
    ///
    /// # Errors
    /// When the power is off or goes now.
    pub fn step(&self, operation: &'static str, path: &str) -> Result<(), DiskError> {
        let mut world = self.world();
        let flow = world.begin(operation, path)?;
        world.note_change();
        world.end(flow, operation, path)
    }

    /// Rots a stored block of some file: flipped bits, a sector of garbage, or of zeros. Says
    /// where, unless nothing is stored.
    pub fn rot(&self, seed: u64) -> Option<(String, usize)> {
        let mut dice = Dice::new(seed);
        let (path, count) = {
            let world = self.world();
            let named = |(path, inode): (&Arc<str>, usize)| {
                let inode = world.inodes.get(inode)?;
                let count = blocks(inode.cached.length);
                (count > 0).then(|| (path.to_string(), count))
            };
            let files: Vec<(String, usize)> = world.names.live().filter_map(named).collect();
            let chosen = dice.below(files.len().max(1) as u64) as usize;
            files.into_iter().nth(chosen)?
        };
        let block = dice.below(count as u64) as usize;
        self.rot_block(&path, block, dice.next());
        Some((path, block))
    }

    /// Rots one block of a file; see [`SimDisk::rot`].
    pub fn rot_block(&self, path: &str, block: usize, seed: u64) {
        let mut dice = Dice::new(seed);
        let mut world = self.world();
        let Some(inode) = world.inode_mut(path) else {
            return;
        };
        let mut extent = (*inode.cached).clone();
        let start = (dice.below((BLOCK_BYTES / SECTOR_BYTES) as u64) as usize) * SECTOR_BYTES;
        if let Some(sector) = extent.block_mut(block).get_mut(start..start + SECTOR_BYTES) {
            match dice.below(3) {
                0 => dice.fill(sector),
                1 => sector.fill(0),
                _ => {
                    let at = dice.below(SECTOR_BYTES as u64) as usize;
                    if let Some(byte) = sector.get_mut(at) {
                        *byte ^= 1 << dice.below(8);
                    }
                }
            }
        }
        *inode = Inode {
            allocated: inode.allocated,
            ..Inode::settled(Arc::new(extent))
        };
    }

    /// Watches for `secrets`, whenever they are added: that one is ever written, by anybody, to
    /// this disk or to one that is found after a cut of it.
    pub fn watch(&self, secrets: &Windows) {
        let watch = Watch {
            windows: secrets.clone(),
            leak: None,
        };
        self.world().watch = Some(Arc::new(Mutex::new(watch)));
    }

    /// Where watched plaintext was written first, if it ever was.
    #[must_use]
    pub fn leak(&self) -> Option<String> {
        let world = self.world();
        let watch = world.watch.as_ref()?;
        let watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
        watch.leak.clone()
    }

    /// Keeps every operation from now on, for [`SimDisk::trace`].
    pub fn keep_trace(&self) {
        self.world().config.trace = true;
    }

    /// Every operation so far, if the disk was made to keep them.
    #[must_use]
    pub fn trace(&self) -> Vec<String> {
        self.world().trace.clone()
    }

    /// The paths of all files, in order.
    #[must_use]
    pub fn files(&self) -> Vec<String> {
        let world = self.world();
        world
            .names
            .live()
            .map(|(path, _)| path.to_string())
            .collect()
    }

    /// A file's length.
    #[must_use]
    pub fn length(&self, path: &str) -> Option<u64> {
        let world = self.world();
        let inode = world.inodes.get(world.names.find(path)?)?;
        Some(inode.cached.length)
    }

    /// A file's bytes as they are read.
    #[must_use]
    pub fn bytes(&self, path: &str) -> Option<Vec<u8>> {
        let world = self.world();
        let inode = world.inodes.get(world.names.find(path)?)?;
        let mut bytes = vec![0; usize::try_from(inode.cached.length).unwrap_or_default()];
        inode.cached.read(0, &mut bytes);
        Some(bytes)
    }

    /// Puts a file there, durable, behind everyone's back.
    pub fn put(&self, path: &str, bytes: &[u8]) {
        let mut world = self.world();
        let mut inode = Inode::default();
        inode.write(0, bytes);
        inode.set_len(bytes.len() as u64);
        let inode = Inode::settled(inode.cached);
        let allocated = inode.allocated;
        if let Some(old) = world.inode_mut(path) {
            let before = std::mem::replace(old, inode).allocated;
            world.used = world.used - before + allocated;
            return;
        }
        world.used += allocated;
        let number = world.inodes.len();
        world.inodes.push(Arc::new(inode));
        world.names.put(path, number);
    }
}

impl World {
    fn begin(&mut self, operation: &'static str, path: &str) -> Result<Flow, DiskError> {
        if !self.powered {
            return Err(no_power(operation, path));
        }
        self.operations += 1;
        if self.config.trace {
            self.trace.push(format!("{operation} {path}"));
        }
        if self.stop_at == Some(self.operations) {
            self.powered = false;
            return Ok(Flow::Last);
        }
        Ok(Flow::On)
    }

    /// The answer to an operation that was done.
    fn end(&self, flow: Flow, operation: &'static str, path: &str) -> Result<(), DiskError> {
        match flow {
            Flow::On => Ok(()),
            Flow::Last => Err(no_power(operation, path)),
        }
    }

    /// The operation under way changes something.
    fn note_change(&mut self) {
        if self.changes.last() != Some(&self.operations) {
            self.changes.push(self.operations);
        }
    }

    /// An operation that changes nothing.
    fn look(&mut self, operation: &'static str, path: &str) -> Result<(), DiskError> {
        let flow = self.begin(operation, path)?;
        self.end(flow, operation, path)
    }

    fn inode(&mut self, number: usize) -> &mut Inode {
        let inode = self.inodes.get_mut(number);
        Arc::make_mut(inode.expect("handles and names hold numbers of files that were made"))
    }

    fn inode_mut(&mut self, path: &str) -> Option<&mut Inode> {
        let number = self.names.find(path)?;
        Some(self.inode(number))
    }

    fn free(&self) -> u64 {
        self.config.bytes_total.saturating_sub(self.used)
    }

    /// Takes space for `length` bytes of a file; false when there is too little.
    fn allocate(&mut self, number: usize, length: u64) -> bool {
        let wanted = (blocks(length) * BLOCK_BYTES) as u64;
        let free = self.free();
        let inode = self.inode(number);
        let more = wanted.saturating_sub(inode.allocated);
        if more > free {
            return false;
        }
        inode.allocated += more;
        self.used += more;
        true
    }

    /// Gives back the space of a file that lost its name.
    fn release(&mut self, number: usize) {
        let inode = self.inode(number);
        let allocated = std::mem::take(&mut inode.allocated);
        let left = Arc::clone(&inode.cached);
        self.used -= allocated;
        if left.length > 0 {
            self.recycled = left;
        }
    }

    /// Whether this flush is the one that fails.
    const fn flush_fails(&mut self) -> bool {
        std::mem::replace(&mut self.flush_fails, false)
    }

    /// Looks for watched plaintext around what was just written.
    fn search(&mut self, number: usize, path: &str, (offset, count): (u64, usize)) {
        let Some(watch) = &self.watch else {
            return;
        };
        let Some(inode) = self.inodes.get(number) else {
            return;
        };
        let around = WINDOW_BYTES as u64 - 1;
        let start = offset.saturating_sub(around);
        let mut bytes = vec![0; count + 2 * WINDOW_BYTES];
        let read = inode.cached.read(start, &mut bytes);
        let mut watch = watch.lock().unwrap_or_else(PoisonError::into_inner);
        let found = watch.windows.find(bytes.get(..read).unwrap_or_default());
        if let (Some(at), None) = (found, &watch.leak) {
            watch.leak = Some(format!("{path} at {}", start + at as u64));
        }
    }
}

fn error(kind: DiskErrorKind, operation: &'static str, path: &str, reason: &str) -> DiskError {
    DiskError {
        kind,
        operation,
        path: path.to_owned(),
        reason: reason.to_owned(),
    }
}

fn no_power(operation: &'static str, path: &str) -> DiskError {
    error(DiskErrorKind::Io, operation, path, "the power is off")
}

fn missing(operation: &'static str, path: &str) -> DiskError {
    error(DiskErrorKind::NotFound, operation, path, "no such file")
}

impl Disk for SimDisk {
    fn create_new(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let mut world = self.world();
        let flow = world.begin("create", path)?;
        if !world.names.has_parent(path) {
            return Err(missing("create", path));
        }
        if world.names.find(path).is_some() || world.names.is_folder(path) {
            let reason = "the name is taken";
            return Err(error(DiskErrorKind::AlreadyExists, "create", path, reason));
        }
        let inode = world.inodes.len();
        world.inodes.push(Arc::default());
        let path = world.names.add(path, inode);
        world.note_change();
        world.end(flow, "create", &path)?;
        drop(world);
        Ok(Box::new(SimFile {
            disk: self.clone(),
            inode,
            path,
        }))
    }

    fn open(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let mut world = self.world();
        world.look("open", path)?;
        let inode = world
            .names
            .find(path)
            .ok_or_else(|| missing("open", path))?;
        drop(world);
        Ok(Box::new(SimFile {
            disk: self.clone(),
            inode,
            path: path.into(),
        }))
    }

    fn create_folder(&self, path: &str) -> Result<(), DiskError> {
        let mut world = self.world();
        let flow = world.begin("create folder", path)?;
        if world.names.create_folder(path) {
            world.note_change();
        }
        world.end(flow, "create folder", path)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, DiskError> {
        let mut world = self.world();
        world.look("list", folder)?;
        let names = world.names.list(folder);
        names.ok_or_else(|| missing("list", folder))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let mut world = self.world();
        let flow = world.begin("rename", from)?;
        if !world.names.has_parent(to) {
            return Err(missing("rename", to));
        }
        let Some(replaced) = world.names.rename(from, to) else {
            return Err(missing("rename", from));
        };
        if let Some(replaced) = replaced {
            world.release(replaced);
        }
        world.note_change();
        world.end(flow, "rename", from)
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        let mut world = self.world();
        let flow = world.begin("remove", path)?;
        let Some(number) = world.names.remove(path) else {
            return Err(missing("remove", path));
        };
        world.release(number);
        world.note_change();
        world.end(flow, "remove", path)
    }

    fn remove_folder(&self, path: &str) -> Result<(), DiskError> {
        let mut world = self.world();
        let flow = world.begin("remove folder", path)?;
        match world.names.list(path) {
            None => return Err(missing("remove folder", path)),
            Some(names) if !names.is_empty() => {
                let reason = "the folder is not empty";
                return Err(error(DiskErrorKind::Io, "remove folder", path, reason));
            }
            Some(_) => world.names.remove_folder(path),
        }
        world.note_change();
        world.end(flow, "remove folder", path)
    }

    fn sync_folder(&self, folder: &str) -> Result<(), DiskError> {
        let mut world = self.world();
        let flow = world.begin("sync folder", folder)?;
        if !world.names.is_folder(folder) {
            return Err(missing("sync folder", folder));
        }
        if world.flush_fails() {
            let reason = "the flush failed";
            return Err(error(DiskErrorKind::Io, "sync folder", folder, reason));
        }
        world.note_change();
        world.end(flow, "sync folder", folder)?;
        world.names.sync(folder);
        Ok(())
    }

    fn free_bytes(&self) -> Result<u64, DiskError> {
        let mut world = self.world();
        world.look("measure", "")?;
        Ok(world.free())
    }
}

struct SimFile {
    disk: SimDisk,
    inode: usize,
    path: Arc<str>,
}

impl DiskFile for SimFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, DiskError> {
        let mut world = self.disk.world();
        world.look("read", &self.path)?;
        Ok(world.inode(self.inode).cached.read(offset, out))
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let mut world = self.disk.world();
        let flow = world.begin("write", &self.path)?;
        world.note_change();
        let end = offset + bytes.len() as u64;
        let fits = world.allocate(self.inode, end);
        // A write that finds no room leaves a part of itself.
        let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
        let done = if fits || world.allocate(self.inode, end - (bytes.len() - half.len()) as u64) {
            let done = if fits { bytes } else { half };
            world.inode(self.inode).write(offset, done);
            done.len()
        } else {
            0
        };
        world.search(self.inode, &self.path, (offset, done));
        world.end(flow, "write", &self.path)?;
        if fits {
            return Ok(());
        }
        Err(full("write", &self.path))
    }

    fn len(&self) -> Result<u64, DiskError> {
        let mut world = self.disk.world();
        world.look("measure", &self.path)?;
        Ok(world.inode(self.inode).cached.length)
    }

    fn reserve(&mut self, length: u64) -> Result<(), DiskError> {
        let mut world = self.disk.world();
        let flow = world.begin("reserve", &self.path)?;
        if !world.allocate(self.inode, length) {
            return Err(full("reserve", &self.path));
        }
        world.end(flow, "reserve", &self.path)
    }

    fn set_len(&mut self, length: u64) -> Result<(), DiskError> {
        let mut world = self.disk.world();
        let flow = world.begin("set length of", &self.path)?;
        if !world.allocate(self.inode, length) {
            return Err(full("set length of", &self.path));
        }
        world.note_change();
        let kept = (blocks(length) * BLOCK_BYTES) as u64;
        let inode = world.inode(self.inode);
        inode.set_len(length);
        let back = inode.allocated.saturating_sub(kept);
        inode.allocated -= back;
        world.used -= back;
        world.end(flow, "set length of", &self.path)
    }

    fn sync_data(&mut self) -> Result<(), DiskError> {
        let mut world = self.disk.world();
        let flow = world.begin("sync", &self.path)?;
        world.note_change();
        world.end(flow, "sync", &self.path)?;
        if world.flush_fails() {
            world.inode(self.inode).lose();
            let reason = "the flush failed";
            return Err(error(DiskErrorKind::Io, "sync", &self.path, reason));
        }
        world.inode(self.inode).flush();
        Ok(())
    }
}

fn full(operation: &'static str, path: &str) -> DiskError {
    error(DiskErrorKind::Full, operation, path, "no space is left")
}
