//! A disk in memory that can lose power, fail, and lie the way real ones do.
//!
//! Unsynced bytes are kept or dropped per 4 KiB block, names are durable after a sync of their
//! folder, and a failed sync leaves bytes in the cache that a later sync will not write.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};

use scantrip_hal::disk::{Disk, DiskError, DiskErrorKind, DiskFile};
use scantrip_hal::entropy::{Entropy, EntropyError};
use scantrip_hal::keys::{KeyError, KeySlot, KeyStore, PublicKey};
use sha2::{Digest, Sha256};

const BLOCK: usize = 4096;

/// Which of the unsynced changes survive a power cut.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Keep {
    None,
    All,
    Even,
    Odd,
    Random(u64),
}

impl Keep {
    pub(crate) const ALL: [Self; 6] = [
        Self::None,
        Self::All,
        Self::Even,
        Self::Odd,
        Self::Random(1),
        Self::Random(2),
    ];

    fn keeps(self, n: usize) -> bool {
        match self {
            Self::None => false,
            Self::All => true,
            Self::Even => n.is_multiple_of(2),
            Self::Odd => !n.is_multiple_of(2),
            Self::Random(seed) => mix(seed ^ (n as u64) << 8) & 1 == 1,
        }
    }
}

/// What happens at an operation.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trouble {
    /// The power goes: this and all later operations fail.
    Cut,
    /// This operation fails once.
    Fail(DiskErrorKind),
}

#[derive(Clone, Default)]
struct Inode {
    durable: Vec<u8>,
    cached: Vec<u8>,
    dirty: BTreeSet<usize>,
}

#[derive(Clone)]
enum NameChange {
    Add(String, usize),
    Remove(String),
    Rename(String, String),
}

#[derive(Clone, Default)]
struct World {
    inodes: Vec<Inode>,
    names: BTreeMap<String, usize>,
    durable_names: BTreeMap<String, usize>,
    changes: Vec<NameChange>,
    operations: usize,
    trouble: Option<(usize, Trouble)>,
    free_bytes: u64,
    trace: Vec<String>,
}

/// The disk. Clones share the same world.
#[derive(Clone)]
pub(crate) struct MemoryDisk(Arc<Mutex<World>>);

impl MemoryDisk {
    pub(crate) fn new() -> Self {
        Self(Arc::new(Mutex::new(World {
            free_bytes: 1 << 40,
            ..World::default()
        })))
    }

    fn world(&self) -> MutexGuard<'_, World> {
        self.0.lock().unwrap()
    }

    /// Lets `trouble` happen at operation `at`, counted from now.
    pub(crate) fn plan(&self, at: usize, trouble: Trouble) {
        let mut world = self.world();
        let at = world.operations + at;
        world.trouble = Some((at, trouble));
    }

    pub(crate) fn calm(&self) {
        self.world().trouble = None;
    }

    pub(crate) fn operations(&self) -> usize {
        self.world().operations
    }

    pub(crate) fn set_free_bytes(&self, bytes: u64) {
        self.world().free_bytes = bytes;
    }

    /// What a machine finds that starts again after a power cut now.
    pub(crate) fn after_cut(&self, keep: Keep) -> Self {
        let world = self.world();
        let mut next = World {
            free_bytes: world.free_bytes,
            durable_names: world.durable_names.clone(),
            ..World::default()
        };
        for (n, change) in world.changes.iter().enumerate() {
            if keep.keeps(n) {
                change.apply(&mut next.durable_names);
            }
        }
        next.names = next.durable_names.clone();
        next.inodes = world
            .inodes
            .iter()
            .map(|inode| inode.after_cut(keep))
            .collect();
        Self(Arc::new(Mutex::new(next)))
    }

    /// Changes stored bytes behind everyone's back.
    pub(crate) fn tamper(&self, path: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut world = self.world();
        let inode = world.names[path];
        let inode = &mut world.inodes[inode];
        change(&mut inode.cached);
        inode.durable = inode.cached.clone();
        inode.dirty.clear();
    }

    pub(crate) fn bytes(&self, path: &str) -> Vec<u8> {
        let world = self.world();
        world.inodes[world.names[path]].cached.clone()
    }

    /// Puts a file there, durable.
    pub(crate) fn put(&self, path: &str, bytes: &[u8]) {
        let mut world = self.world();
        let inode = world.inodes.len();
        world.inodes.push(Inode {
            durable: bytes.to_vec(),
            cached: bytes.to_vec(),
            dirty: BTreeSet::new(),
        });
        world.names.insert(path.to_owned(), inode);
        world.durable_names.insert(path.to_owned(), inode);
    }

    pub(crate) fn files(&self) -> Vec<String> {
        self.world().names.keys().cloned().collect()
    }

    /// Every name with its bytes.
    pub(crate) fn snapshot(&self) -> BTreeMap<String, Vec<u8>> {
        let world = self.world();
        let named =
            |(name, inode): (&String, &usize)| (name.clone(), world.inodes[*inode].cached.clone());
        world.names.iter().map(named).collect()
    }

    pub(crate) fn trace(&self) -> Vec<String> {
        self.world().trace.clone()
    }
}

impl NameChange {
    fn apply(&self, names: &mut BTreeMap<String, usize>) {
        match self {
            Self::Add(name, inode) => {
                names.insert(name.clone(), *inode);
            }
            Self::Remove(name) => {
                names.remove(name);
            }
            Self::Rename(from, to) => {
                if let Some(inode) = names.remove(from) {
                    names.insert(to.clone(), inode);
                }
            }
        }
    }
}

impl Inode {
    fn after_cut(&self, keep: Keep) -> Self {
        let mut bytes = self.durable.clone();
        for (n, &block) in self.dirty.iter().enumerate() {
            let start = block * BLOCK;
            let end = (start + BLOCK).min(self.cached.len());
            if keep.keeps(n) && start < end {
                if bytes.len() < end {
                    bytes.resize(end, 0);
                }
                bytes[start..end].copy_from_slice(&self.cached[start..end]);
            }
        }
        Self {
            durable: bytes.clone(),
            cached: bytes,
            dirty: BTreeSet::new(),
        }
    }
}

impl World {
    /// Counts an operation and says whether trouble strikes at it.
    fn step(&mut self, operation: &'static str, path: &str) -> Result<(), DiskError> {
        let now = self.operations;
        self.operations += 1;
        self.trace.push(format!("{operation} {path}"));
        let kind = match self.trouble {
            Some((at, Trouble::Cut)) if now >= at => DiskErrorKind::Io,
            Some((at, Trouble::Fail(kind))) if now == at => kind,
            _ => return Ok(()),
        };
        Err(error(kind, operation, path))
    }
}

fn error(kind: DiskErrorKind, operation: &'static str, path: &str) -> DiskError {
    DiskError {
        kind,
        operation,
        path: path.to_owned(),
        reason: "made up".to_owned(),
    }
}

struct MemoryFile {
    disk: MemoryDisk,
    inode: usize,
    path: String,
}

impl DiskFile for MemoryFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, DiskError> {
        let world = self.disk.world();
        let bytes = &world.inodes[self.inode].cached;
        let start = (offset as usize).min(bytes.len());
        let count = out.len().min(bytes.len() - start);
        out[..count].copy_from_slice(&bytes[start..start + count]);
        Ok(count)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let mut world = self.disk.world();
        let outcome = world.step("write", &self.path);
        let failed = outcome.as_ref().is_err_and(|e| e.kind != DiskErrorKind::Io);
        // A failing write leaves a part of itself; a power cut may leave any of it.
        let bytes = if failed {
            &bytes[..bytes.len() / 2]
        } else {
            bytes
        };
        let inode = &mut world.inodes[self.inode];
        let start = offset as usize;
        let end = start + bytes.len();
        if inode.cached.len() < end {
            inode.cached.resize(end, 0);
        }
        inode.cached[start..end].copy_from_slice(bytes);
        inode.dirty.extend(start / BLOCK..end.div_ceil(BLOCK));
        outcome
    }

    fn len(&self) -> Result<u64, DiskError> {
        Ok(self.disk.world().inodes[self.inode].cached.len() as u64)
    }

    fn reserve(&mut self, length: u64) -> Result<(), DiskError> {
        let mut world = self.disk.world();
        world.step("reserve", &self.path)?;
        if length > world.free_bytes {
            return Err(error(DiskErrorKind::Full, "reserve", &self.path));
        }
        Ok(())
    }

    fn set_len(&mut self, length: u64) -> Result<(), DiskError> {
        let mut world = self.disk.world();
        world.step("set length", &self.path)?;
        world.inodes[self.inode].cached.resize(length as usize, 0);
        Ok(())
    }

    fn sync_data(&mut self) -> Result<(), DiskError> {
        let mut world = self.disk.world();
        let outcome = world.step("sync", &self.path);
        let cut = matches!(world.trouble, Some((_, Trouble::Cut)));
        let inode = &mut world.inodes[self.inode];
        match outcome {
            Ok(()) => {
                let blocks = std::mem::take(&mut inode.dirty);
                if inode.durable.len() < inode.cached.len() {
                    inode.durable.resize(inode.cached.len(), 0);
                }
                for block in blocks {
                    let start = block * BLOCK;
                    let end = (start + BLOCK).min(inode.cached.len());
                    inode.durable[start..end].copy_from_slice(&inode.cached[start..end]);
                }
                inode.durable.truncate(inode.cached.len());
            }
            // A failed sync marks the pages clean: they stay in the cache and are never written.
            Err(_) if !cut => inode.dirty.clear(),
            Err(_) => {}
        }
        outcome
    }
}

impl Disk for MemoryDisk {
    fn create_new(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let mut world = self.world();
        let outcome = world.step("create", path);
        if let Err(refused) = &outcome
            && refused.kind != DiskErrorKind::Io
        {
            return Err(refused.clone());
        }
        if world.names.contains_key(path) {
            return Err(error(DiskErrorKind::AlreadyExists, "create", path));
        }
        let inode = world.inodes.len();
        world.inodes.push(Inode::default());
        let change = NameChange::Add(path.to_owned(), inode);
        change.apply(&mut world.names);
        world.changes.push(change);
        outcome?;
        Ok(Box::new(MemoryFile {
            disk: self.clone(),
            inode,
            path: path.to_owned(),
        }))
    }

    fn open(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let mut world = self.world();
        world.step("open", path)?;
        let inode = world.names.get(path).copied();
        let inode = inode.ok_or_else(|| error(DiskErrorKind::NotFound, "open", path))?;
        Ok(Box::new(MemoryFile {
            disk: self.clone(),
            inode,
            path: path.to_owned(),
        }))
    }

    fn create_folder(&self, path: &str) -> Result<(), DiskError> {
        self.world().step("create folder", path)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, DiskError> {
        let mut world = self.world();
        world.step("list", folder)?;
        let prefix = format!("{folder}/");
        let names = world.names.keys();
        Ok(names
            .filter_map(|name| name.strip_prefix(&prefix))
            .map(str::to_owned)
            .collect())
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let mut world = self.world();
        let outcome = world.step("rename", from);
        if !world.names.contains_key(from) {
            return Err(error(DiskErrorKind::NotFound, "rename", from));
        }
        let change = NameChange::Rename(from.to_owned(), to.to_owned());
        change.apply(&mut world.names);
        world.changes.push(change);
        outcome
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        let mut world = self.world();
        let outcome = world.step("remove", path);
        if !world.names.contains_key(path) {
            return Err(error(DiskErrorKind::NotFound, "remove", path));
        }
        let change = NameChange::Remove(path.to_owned());
        change.apply(&mut world.names);
        world.changes.push(change);
        outcome
    }

    fn remove_folder(&self, path: &str) -> Result<(), DiskError> {
        self.world().step("remove folder", path)
    }

    fn sync_folder(&self, folder: &str) -> Result<(), DiskError> {
        let mut world = self.world();
        world.step("sync folder", folder)?;
        world.changes.clear();
        world.durable_names = world.names.clone();
        Ok(())
    }

    fn free_bytes(&self) -> Result<u64, DiskError> {
        let mut world = self.world();
        world.step("ask free bytes of", "")?;
        Ok(world.free_bytes)
    }
}

/// Numbers that look random and repeat.
pub(crate) struct Counter(pub(crate) u64);

impl Entropy for Counter {
    fn fill(&mut self, out: &mut [u8]) -> Result<(), EntropyError> {
        for byte in out {
            self.0 += 1;
            *byte = mix(self.0) as u8;
        }
        Ok(())
    }
}

/// Seals by a tag and a mask: enough to see what is bound to what.
pub(crate) struct FakeKeys;

impl KeyStore for FakeKeys {
    fn generate(&self, slot: KeySlot) -> Result<PublicKey, KeyError> {
        Err(KeyError::Empty(slot))
    }

    fn public(&self, _slot: KeySlot) -> Result<Option<PublicKey>, KeyError> {
        Ok(None)
    }

    fn sign(&self, slot: KeySlot, _message: &[u8]) -> Result<Vec<u8>, KeyError> {
        Err(KeyError::Empty(slot))
    }

    fn remove(&self, _slot: KeySlot) -> Result<(), KeyError> {
        Ok(())
    }

    fn seal_local(&self, context: &[u8], plaintext: &[u8]) -> Result<Vec<u8>, KeyError> {
        let masked: Vec<u8> = plaintext.iter().map(|byte| byte ^ 0x5A).collect();
        Ok([tag(context, &masked).to_vec(), masked].concat())
    }

    fn open_local(&self, context: &[u8], sealed: &[u8]) -> Result<Vec<u8>, KeyError> {
        match sealed.split_first_chunk::<32>() {
            Some((found, masked)) if *found == tag(context, masked) => {
                Ok(masked.iter().map(|byte| byte ^ 0x5A).collect())
            }
            _ => Err(KeyError::NotOurs),
        }
    }

    fn wipe(&self) -> Result<(), KeyError> {
        Ok(())
    }
}

fn tag(context: &[u8], masked: &[u8]) -> [u8; 32] {
    Sha256::new()
        .chain_update(context)
        .chain_update(masked)
        .finalize()
        .into()
}

fn mix(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// Bytes that look sealed.
pub(crate) fn sealed_bytes(seed: u64, length: usize) -> Vec<u8> {
    (0..length.div_ceil(8))
        .flat_map(|n| mix(seed << 32 | n as u64).to_le_bytes())
        .take(length)
        .collect()
}
