//! A disk that keeps what a real one keeps when its power is cut: a FUSE file system in a process
//! of its own, which is killed. What was flushed lies in a folder behind it; what was not is in its
//! memory, but for blocks and names that went to the folder early, as the seed wants it.
//!
//! Data is kept in blocks of 4 KiB, each on its own. Names of a folder are kept in order. Folders
//! themselves are kept at once.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::ffi::{OsStr, OsString};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, UNIX_EPOCH};

use fuser::{
    Errno, FileAttr, FileHandle, FileType, Filesystem, FopenFlags, Generation, INodeNo, LockOwner,
    OpenFlags, RenameFlags, ReplyAttr, ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty,
    ReplyEntry, ReplyOpen, ReplyStatfs, ReplyWrite, Request, WriteFlags,
};

use crate::program::{self, Running};
use crate::seeded::Seeded;

const BLOCK: u64 = 4096;
/// Files without a durable name wait here.
const NAMELESS: &str = ".nameless";

/// The disk as a test holds it.
pub struct LossyDisk {
    program: PathBuf,
    at: PathBuf,
    behind: PathBuf,
    process: Option<Running>,
}

impl LossyDisk {
    /// Whether this machine has FUSE and lets us mount.
    #[must_use]
    pub fn is_possible() -> bool {
        Path::new("/dev/fuse").exists() && rustix::process::geteuid().is_root()
    }

    /// A disk below `at` with what lies there now; `program` is the `lossy-disk` of this crate.
    ///
    /// # Errors
    /// When the folder cannot be moved behind the disk.
    pub fn over(program: PathBuf, at: PathBuf) -> io::Result<Self> {
        let behind = at.with_extension("disk");
        fs::rename(&at, &behind)?;
        fs::create_dir(&at)?;
        Ok(Self {
            program,
            at,
            behind,
            process: None,
        })
    }

    /// Turns it on.
    ///
    /// # Errors
    /// When it cannot be mounted.
    pub fn power_on(&mut self, seed: u64) -> anyhow::Result<()> {
        let mut command = program::command(&self.program);
        command
            .arg(&self.at)
            .arg(&self.behind)
            .arg(seed.to_string());
        let mut process = Running::start(&mut command, &self.at.with_extension("log"))?;
        process.wait_for("mounting")?;
        program::until("the disk is mounted", || {
            fs::metadata(&self.at).is_ok_and(|found| {
                use std::os::unix::fs::MetadataExt as _;
                found.ino() == 1
            })
        });
        self.process = Some(process);
        Ok(())
    }

    /// Cuts its power: what it had not flushed is gone.
    ///
    /// # Errors
    /// When it cannot be unmounted.
    pub fn power_off(&mut self) -> anyhow::Result<()> {
        if let Some(mut process) = self.process.take() {
            process.kill()?;
            program::run(program::command("umount").arg("-l").arg(&self.at))?;
        }
        Ok(())
    }
}

impl Drop for LossyDisk {
    fn drop(&mut self) {
        drop(self.power_off());
    }
}

/// Serves the disk until it is killed; the body of the program `lossy-disk`.
///
/// # Errors
/// When it cannot be mounted.
pub fn serve(at: &Path, behind: &Path, seed: u64) -> io::Result<()> {
    let tree = Tree::read(behind, seed)?;
    fuser::mount(Mounted(Mutex::new(tree)), at, &fuser::Config::default())
}

struct Tree {
    behind: PathBuf,
    nodes: HashMap<u64, Node>,
    next: u64,
    random: Seeded,
}

enum Node {
    Folder(Folder),
    File(CachedFile),
}

struct Folder {
    behind: PathBuf,
    names: BTreeMap<OsString, u64>,
    /// Changes of names that are not durable yet.
    changes: VecDeque<Change>,
}

enum Change {
    Add(OsString, u64),
    Rename(OsString, OsString),
    Remove(OsString),
}

struct CachedFile {
    behind: File,
    length: u64,
    /// Blocks that are not durable yet.
    blocks: BTreeMap<u64, Vec<u8>>,
}

impl CachedFile {
    fn block(&self, number: u64) -> io::Result<Vec<u8>> {
        if let Some(block) = self.blocks.get(&number) {
            return Ok(block.clone());
        }
        let mut block = vec![0; BLOCK as usize];
        let mut done = 0;
        while done < block.len() {
            match self
                .behind
                .read_at(&mut block[done..], number * BLOCK + done as u64)?
            {
                0 => break,
                count => done += count,
            }
        }
        Ok(block)
    }

    fn read(&self, offset: u64, size: u64) -> io::Result<Vec<u8>> {
        let end = (offset + size).min(self.length);
        let mut bytes = Vec::new();
        let mut at = offset;
        while at < end {
            let block = self.block(at / BLOCK)?;
            let from = (at % BLOCK) as usize;
            let count = (BLOCK - at % BLOCK).min(end - at);
            bytes.extend_from_slice(&block[from..from + count as usize]);
            at += count;
        }
        Ok(bytes)
    }

    fn write(&mut self, offset: u64, bytes: &[u8], random: &mut Seeded) -> io::Result<()> {
        let mut at = offset;
        let mut rest = bytes;
        while !rest.is_empty() {
            let number = at / BLOCK;
            let mut block = self.block(number)?;
            let from = (at % BLOCK) as usize;
            let count = rest.len().min(block.len() - from);
            block[from..from + count].copy_from_slice(&rest[..count]);
            if random.below(4) == 0 {
                // Goes out early; the length follows with the flush, or with a later block.
                self.behind.write_all_at(&block, number * BLOCK)?;
                self.blocks.remove(&number);
            } else {
                self.blocks.insert(number, block);
            }
            at += count as u64;
            rest = &rest[count..];
        }
        self.length = self.length.max(at);
        Ok(())
    }

    fn cut_to(&mut self, length: u64) -> io::Result<()> {
        if length < self.length {
            // What lay behind the new end must read as zeros when the file grows again.
            let last = length / BLOCK;
            let mut block = self.block(last)?;
            block[(length % BLOCK) as usize..].fill(0);
            self.blocks.retain(|number, _| *number < last);
            self.flush_length(length)?;
            self.blocks.insert(last, block);
        }
        self.length = length;
        Ok(())
    }

    fn flush_length(&self, length: u64) -> io::Result<()> {
        self.behind.set_len(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        for (number, block) in std::mem::take(&mut self.blocks) {
            self.behind.write_all_at(&block, number * BLOCK)?;
        }
        self.flush_length(self.length)
    }
}

type Answer<T> = Result<T, Errno>;

impl Tree {
    fn read(behind: &Path, seed: u64) -> io::Result<Self> {
        let nameless = behind.join(NAMELESS);
        drop(fs::remove_dir_all(&nameless));
        fs::create_dir(&nameless)?;
        let mut tree = Self {
            behind: behind.to_owned(),
            nodes: HashMap::new(),
            next: INodeNo::ROOT.0,
            random: Seeded::new(seed),
        };
        tree.add_folder(behind)?;
        Ok(tree)
    }

    fn add(&mut self, node: Node) -> u64 {
        let number = self.next;
        self.next += 1;
        self.nodes.insert(number, node);
        number
    }

    fn add_folder(&mut self, behind: &Path) -> io::Result<u64> {
        let number = self.add(Node::Folder(Folder {
            behind: behind.to_owned(),
            names: BTreeMap::new(),
            changes: VecDeque::new(),
        }));
        let mut names = BTreeMap::new();
        for entry in fs::read_dir(behind)? {
            let entry = entry?;
            if entry.file_name() == NAMELESS {
                continue;
            }
            let child = if entry.file_type()?.is_dir() {
                self.add_folder(&entry.path())?
            } else {
                self.add_file(&entry.path())?
            };
            names.insert(entry.file_name(), child);
        }
        if let Some(Node::Folder(folder)) = self.nodes.get_mut(&number) {
            folder.names = names;
        }
        Ok(number)
    }

    fn add_file(&mut self, path: &Path) -> io::Result<u64> {
        let behind = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)?;
        let length = behind.metadata()?.len();
        Ok(self.add(Node::File(CachedFile {
            behind,
            length,
            blocks: BTreeMap::new(),
        })))
    }

    fn folder(&mut self, number: INodeNo) -> Answer<&mut Folder> {
        match self.nodes.get_mut(&number.0) {
            Some(Node::Folder(folder)) => Ok(folder),
            _ => Err(Errno::ENOTDIR),
        }
    }

    fn file(&mut self, number: INodeNo) -> Answer<(&mut CachedFile, &mut Seeded)> {
        match self.nodes.get_mut(&number.0) {
            Some(Node::File(file)) => Ok((file, &mut self.random)),
            _ => Err(Errno::EISDIR),
        }
    }

    fn find(&mut self, folder: INodeNo, name: &OsStr) -> Answer<u64> {
        let found = self.folder(folder)?.names.get(name);
        found.copied().ok_or(Errno::ENOENT)
    }

    fn attributes(&self, number: u64) -> Answer<FileAttr> {
        let (kind, perm, size) = match self.nodes.get(&number).ok_or(Errno::ENOENT)? {
            Node::Folder(_) => (FileType::Directory, 0o700, 0),
            Node::File(file) => (FileType::RegularFile, 0o600, file.length),
        };
        Ok(FileAttr {
            ino: INodeNo(number),
            size,
            blocks: size.div_ceil(512),
            atime: UNIX_EPOCH,
            mtime: UNIX_EPOCH,
            ctime: UNIX_EPOCH,
            crtime: UNIX_EPOCH,
            kind,
            perm,
            nlink: 1,
            uid: rustix::process::getuid().as_raw(),
            gid: rustix::process::getgid().as_raw(),
            rdev: 0,
            blksize: BLOCK as u32,
            flags: 0,
        })
    }

    fn create(&mut self, folder: INodeNo, name: &OsStr) -> Answer<u64> {
        if self.find(folder, name).is_ok() {
            return Err(Errno::EEXIST);
        }
        let waiting = self.behind.join(NAMELESS).join(self.next.to_string());
        let number = self.add_file(&waiting)?;
        let folder_names = &mut self.folder(folder)?.names;
        folder_names.insert(name.to_owned(), number);
        self.change(folder, Change::Add(name.to_owned(), number))?;
        Ok(number)
    }

    fn rename(&mut self, folder: INodeNo, (from, to): (&OsStr, &OsStr)) -> Answer<()> {
        let number = self.find(folder, from)?;
        let names = &mut self.folder(folder)?.names;
        names.remove(from);
        names.insert(to.to_owned(), number);
        self.change(folder, Change::Rename(from.to_owned(), to.to_owned()))
    }

    fn remove(&mut self, folder: INodeNo, name: &OsStr) -> Answer<()> {
        self.find(folder, name)?;
        self.folder(folder)?.names.remove(name);
        self.change(folder, Change::Remove(name.to_owned()))
    }

    /// Remembers a change of names. Sometimes all so far become durable by themselves.
    fn change(&mut self, folder: INodeNo, change: Change) -> Answer<()> {
        self.folder(folder)?.changes.push_back(change);
        if self.random.below(4) == 0 {
            self.flush_names(folder)?;
        }
        Ok(())
    }

    fn flush_names(&mut self, folder: INodeNo) -> Answer<()> {
        let nameless = self.behind.join(NAMELESS);
        let folder = self.folder(folder)?;
        for change in folder.changes.drain(..) {
            let at = |name: &OsString| folder.behind.join(name);
            match change {
                Change::Add(name, number) => {
                    fs::rename(nameless.join(number.to_string()), at(&name))?;
                }
                Change::Rename(from, to) => fs::rename(at(&from), at(&to))?,
                Change::Remove(name) => fs::remove_file(at(&name))?,
            }
        }
        Ok(())
    }

    fn make_folder(&mut self, parent: INodeNo, name: &OsStr) -> Answer<u64> {
        let path = self.folder(parent)?.behind.join(name);
        fs::create_dir(&path)?;
        let number = self.add_folder(&path)?;
        self.folder(parent)?.names.insert(name.to_owned(), number);
        Ok(number)
    }
}

struct Mounted(Mutex<Tree>);

/// Nothing is cached by the kernel beyond one call.
const NOW: Duration = Duration::ZERO;

impl Mounted {
    fn tree(&self) -> MutexGuard<'_, Tree> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self, number: Answer<u64>, reply: ReplyEntry) {
        match number.and_then(|number| self.tree().attributes(number)) {
            Ok(attributes) => reply.entry(&NOW, &attributes, Generation(0)),
            Err(error) => reply.error(error),
        }
    }

    fn attributes(&self, number: INodeNo, reply: ReplyAttr) {
        match self.tree().attributes(number.0) {
            Ok(attributes) => reply.attr(&NOW, &attributes),
            Err(error) => reply.error(error),
        }
    }
}

fn end(result: Answer<()>, reply: ReplyEmpty) {
    match result {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(error),
    }
}

impl Filesystem for Mounted {
    fn lookup(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        let found = self.tree().find(parent, name);
        self.enter(found, reply);
    }

    fn getattr(&self, _req: &Request, ino: INodeNo, _fh: Option<FileHandle>, reply: ReplyAttr) {
        self.attributes(ino, reply);
    }

    fn setattr(
        &self,
        _req: &Request,
        ino: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _atime: Option<fuser::TimeOrNow>,
        _mtime: Option<fuser::TimeOrNow>,
        _ctime: Option<std::time::SystemTime>,
        _fh: Option<FileHandle>,
        _crtime: Option<std::time::SystemTime>,
        _chgtime: Option<std::time::SystemTime>,
        _bkuptime: Option<std::time::SystemTime>,
        _flags: Option<fuser::BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        if let Some(size) = size {
            let mut tree = self.tree();
            let cut = tree.file(ino).and_then(|(file, _)| Ok(file.cut_to(size)?));
            drop(tree);
            if let Err(error) = cut {
                return reply.error(error);
            }
        }
        self.attributes(ino, reply);
    }

    fn mkdir(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        let made = self.tree().make_folder(parent, name);
        self.enter(made, reply);
    }

    fn unlink(&self, _req: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        end(self.tree().remove(parent, name), reply);
    }

    fn rename(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        newparent: INodeNo,
        newname: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        if parent != newparent {
            return reply.error(Errno::EXDEV);
        }
        end(self.tree().rename(parent, (name, newname)), reply);
    }

    fn open(&self, _req: &Request, _ino: INodeNo, _flags: OpenFlags, reply: ReplyOpen) {
        reply.opened(FileHandle(0), FopenFlags::empty());
    }

    fn create(
        &self,
        _req: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        let mut tree = self.tree();
        let made = tree.create(parent, name);
        match made.and_then(|number| tree.attributes(number)) {
            Ok(found) => reply.created(
                &NOW,
                &found,
                Generation(0),
                FileHandle(0),
                FopenFlags::empty(),
            ),
            Err(error) => reply.error(error),
        }
    }

    fn read(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        size: u32,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyData,
    ) {
        let mut tree = self.tree();
        match tree
            .file(ino)
            .and_then(|(file, _)| Ok(file.read(offset, size.into())?))
        {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(error),
        }
    }

    fn write(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        data: &[u8],
        _write_flags: WriteFlags,
        _flags: OpenFlags,
        _lock_owner: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        let mut tree = self.tree();
        let written = tree
            .file(ino)
            .and_then(|(file, random)| Ok(file.write(offset, data, random)?));
        match written {
            Ok(()) => reply.written(data.len() as u32),
            Err(error) => reply.error(error),
        }
    }

    fn flush(
        &self,
        _req: &Request,
        _ino: INodeNo,
        _fh: FileHandle,
        _lock_owner: LockOwner,
        reply: ReplyEmpty,
    ) {
        // close(2): nothing becomes durable by it.
        reply.ok();
    }

    fn fsync(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        let mut tree = self.tree();
        end(
            tree.file(ino).and_then(|(file, _)| Ok(file.flush()?)),
            reply,
        );
    }

    fn fsyncdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        _datasync: bool,
        reply: ReplyEmpty,
    ) {
        end(self.tree().flush_names(ino), reply);
    }

    fn readdir(
        &self,
        _req: &Request,
        ino: INodeNo,
        _fh: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let mut tree = self.tree();
        let names: Vec<_> = match tree.folder(ino) {
            Ok(folder) => folder.names.clone().into_iter().collect(),
            Err(error) => return reply.error(error),
        };
        for (place, (name, number)) in (1..).zip(&names).skip(offset as usize) {
            let kind = match tree.nodes.get(number) {
                Some(Node::Folder(_)) => FileType::Directory,
                _ => FileType::RegularFile,
            };
            if reply.add(INodeNo(*number), place, kind, name) {
                break;
            }
        }
        reply.ok();
    }

    fn statfs(&self, _req: &Request, _ino: INodeNo, reply: ReplyStatfs) {
        let blocks = (1 << 40) / BLOCK;
        reply.statfs(
            blocks,
            blocks,
            blocks,
            1 << 20,
            1 << 20,
            BLOCK as u32,
            255,
            BLOCK as u32,
        );
    }
}
