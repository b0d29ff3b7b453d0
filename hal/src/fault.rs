//! Faults on demand for any disk: errors, short writes, a full disk, the end of the process.
//!
//! [`FaultDisk`] counts every operation on the disk and its files, from 1, and does at a chosen one
//! what its [`FaultPlan`] says. So a test cuts the power at operation 57 and not after so many
//! milliseconds.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Disk, DiskError, DiskErrorKind, DiskFile};

/// What goes wrong, and when.
#[derive(Clone, Copy, Debug, Default)]
pub struct FaultPlan {
    /// What happens at which operation, counted from 1.
    pub at: Option<(u64, DiskFault)>,
    /// After how many bytes written the disk is full; a write over it fails whole.
    pub full_after_bytes: Option<u64>,
}

/// What happens at the chosen operation.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum DiskFault {
    /// The operation is not done and fails.
    Error(DiskErrorKind),
    /// The first half of a write is done, then it fails; other operations fail undone.
    ShortWrite(DiskErrorKind),
    /// The function is called instead of the operation, which then fails if the function returns.
    Before(fn()),
    /// The operation is done, then the function is called.
    After(fn()),
}

impl FaultPlan {
    /// Nothing goes wrong; operations are counted.
    #[must_use]
    pub const fn none() -> Self {
        Self {
            at: None,
            full_after_bytes: None,
        }
    }

    /// `fault` happens at the `operation`-th operation, and none later.
    #[must_use]
    pub const fn at(operation: u64, fault: DiskFault) -> Self {
        Self {
            at: Some((operation, fault)),
            full_after_bytes: None,
        }
    }

    /// The disk is full after this many bytes written.
    #[must_use]
    pub const fn full_after(bytes: u64) -> Self {
        Self {
            at: None,
            full_after_bytes: Some(bytes),
        }
    }
}

/// A disk whose operations are counted and fail as planned. Clones share the plan and the count.
#[derive(Clone)]
pub struct FaultDisk {
    inner: Arc<dyn Disk>,
    script: Arc<Script>,
}

struct Script {
    state: Mutex<State>,
}

struct State {
    plan: FaultPlan,
    operations: u64,
    written_bytes: u64,
}

impl FaultDisk {
    /// Puts `plan` in front of `inner`.
    #[must_use]
    pub fn new(inner: Arc<dyn Disk>, plan: FaultPlan) -> Self {
        let state = Mutex::new(State {
            plan,
            operations: 0,
            written_bytes: 0,
        });
        Self {
            inner,
            script: Arc::new(Script { state }),
        }
    }

    /// Operations so far.
    #[must_use]
    pub fn operations(&self) -> u64 {
        self.script.lock().operations
    }

    /// Bytes written so far.
    #[must_use]
    pub fn written_bytes(&self) -> u64 {
        self.script.lock().written_bytes
    }

    /// Replaces the plan and counts anew.
    pub fn set_plan(&self, plan: FaultPlan) {
        *self.script.lock() = State {
            plan,
            operations: 0,
            written_bytes: 0,
        };
    }

    fn file(&self, path: &str, inner: Box<dyn DiskFile>) -> Box<dyn DiskFile> {
        Box::new(FaultFile {
            inner,
            path: path.to_owned(),
            script: Arc::clone(&self.script),
        })
    }
}

impl Script {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts an operation and tells what happens at it.
    fn count(&self) -> Option<DiskFault> {
        let mut state = self.lock();
        state.operations += 1;
        match state.plan.at {
            Some((operation, fault)) if operation == state.operations => Some(fault),
            _ => None,
        }
    }

    /// Does an operation other than a write, unless it is the one that fails.
    fn run<T>(
        &self,
        operation: &'static str,
        path: &str,
        act: impl FnOnce() -> Result<T, DiskError>,
    ) -> Result<T, DiskError> {
        match self.count() {
            None => act(),
            Some(DiskFault::After(call)) => {
                let done = act();
                call();
                done
            }
            Some(DiskFault::Before(call)) => {
                call();
                Err(planned(DiskErrorKind::Io, operation, path))
            }
            Some(DiskFault::Error(kind) | DiskFault::ShortWrite(kind)) => {
                Err(planned(kind, operation, path))
            }
        }
    }

    /// Takes `bytes` from what may still be written; false when the disk is full.
    fn take(&self, bytes: u64) -> bool {
        let mut state = self.lock();
        let total = state.written_bytes + bytes;
        if state
            .plan
            .full_after_bytes
            .is_some_and(|limit| total > limit)
        {
            return false;
        }
        state.written_bytes = total;
        true
    }
}

/// What a power cut is to a program: the process ends at once (`SIGKILL`), nothing is cleaned up.
pub fn power_cut() {
    let myself = rustix::process::getpid();
    if let Err(cause) = rustix::process::kill_process(myself, rustix::process::Signal::KILL) {
        log::error!("cannot cut the power: {cause}");
    }
}

fn planned(kind: DiskErrorKind, operation: &'static str, path: &str) -> DiskError {
    DiskError {
        kind,
        operation,
        path: path.to_owned(),
        reason: "a planned fault".to_owned(),
    }
}

impl Disk for FaultDisk {
    fn create_new(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let create = || self.inner.create_new(path);
        let file = self.script.run("create", path, create)?;
        Ok(self.file(path, file))
    }

    fn open(&self, path: &str) -> Result<Box<dyn DiskFile>, DiskError> {
        let file = self.script.run("open", path, || self.inner.open(path))?;
        Ok(self.file(path, file))
    }

    fn create_folder(&self, path: &str) -> Result<(), DiskError> {
        let create = || self.inner.create_folder(path);
        self.script.run("create folder", path, create)
    }

    fn list(&self, folder: &str) -> Result<Vec<String>, DiskError> {
        self.script.run("list", folder, || self.inner.list(folder))
    }

    fn rename(&self, from: &str, to: &str) -> Result<(), DiskError> {
        let rename = || self.inner.rename(from, to);
        self.script.run("rename", from, rename)
    }

    fn remove(&self, path: &str) -> Result<(), DiskError> {
        self.script.run("remove", path, || self.inner.remove(path))
    }

    fn remove_folder(&self, path: &str) -> Result<(), DiskError> {
        let remove = || self.inner.remove_folder(path);
        self.script.run("remove folder", path, remove)
    }

    fn sync_folder(&self, folder: &str) -> Result<(), DiskError> {
        let sync = || self.inner.sync_folder(folder);
        self.script.run("sync folder", folder, sync)
    }

    fn free_bytes(&self) -> Result<u64, DiskError> {
        let free = self.script.run("measure", "", || self.inner.free_bytes())?;
        let state = self.script.lock();
        Ok(match state.plan.full_after_bytes {
            Some(limit) => free.min(limit.saturating_sub(state.written_bytes)),
            None => free,
        })
    }
}

struct FaultFile {
    inner: Box<dyn DiskFile>,
    path: String,
    script: Arc<Script>,
}

impl DiskFile for FaultFile {
    fn read_at(&self, offset: u64, out: &mut [u8]) -> Result<usize, DiskError> {
        let read = || self.inner.read_at(offset, out);
        self.script.run("read", &self.path, read)
    }

    fn write_at(&mut self, offset: u64, bytes: &[u8]) -> Result<(), DiskError> {
        let Self {
            inner,
            path,
            script,
        } = self;
        let fault = script.count();
        if !script.take(bytes.len() as u64) {
            return Err(planned(DiskErrorKind::Full, "write", path));
        }
        match fault {
            None => inner.write_at(offset, bytes),
            Some(DiskFault::After(call)) => {
                let done = inner.write_at(offset, bytes);
                call();
                done
            }
            Some(DiskFault::Before(call)) => {
                call();
                Err(planned(DiskErrorKind::Io, "write", path))
            }
            Some(DiskFault::Error(kind)) => Err(planned(kind, "write", path)),
            Some(DiskFault::ShortWrite(kind)) => {
                let half = bytes.get(..bytes.len() / 2).unwrap_or_default();
                inner.write_at(offset, half)?;
                Err(planned(kind, "write", path))
            }
        }
    }

    fn len(&self) -> Result<u64, DiskError> {
        self.script.run("measure", &self.path, || self.inner.len())
    }

    fn reserve(&mut self, length: u64) -> Result<(), DiskError> {
        let Self {
            inner,
            path,
            script,
        } = self;
        script.run("reserve", path, || inner.reserve(length))
    }

    fn set_len(&mut self, length: u64) -> Result<(), DiskError> {
        let Self {
            inner,
            path,
            script,
        } = self;
        script.run("set length of", path, || inner.set_len(length))
    }

    fn sync_data(&mut self) -> Result<(), DiskError> {
        let Self {
            inner,
            path,
            script,
        } = self;
        script.run("sync", path, || inner.sync_data())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;
    use crate::backends::folder_disk::FolderDisk;

    fn disk(plan: FaultPlan) -> (tempfile::TempDir, FaultDisk) {
        let folder = tempfile::tempdir().unwrap();
        let inner = FolderDisk::open(folder.path(), None).unwrap();
        (folder, FaultDisk::new(Arc::new(inner), plan))
    }

    /// Four operations; what became of the third, and how long the file is then.
    fn write(disk: &FaultDisk) -> (Result<(), DiskErrorKind>, u64) {
        let mut file = disk.create_new("x").unwrap();
        file.write_at(0, &[1; 10]).unwrap();
        let written = file.write_at(10, &[2; 10]).map_err(|cause| cause.kind);
        (written, file.len().unwrap())
    }

    #[test]
    fn operations_of_disk_and_files_are_counted_together() {
        let (_folder, disk) = disk(FaultPlan::none());
        assert_eq!(write(&disk), (Ok(()), 20));
        disk.sync_folder("").unwrap();
        assert_eq!((disk.operations(), disk.written_bytes()), (5, 20));
    }

    #[test]
    fn the_chosen_operation_fails_undone_or_half_done() {
        let kind = DiskErrorKind::Io;
        let (_folder, other) = disk(FaultPlan::at(3, DiskFault::Error(kind)));
        assert_eq!(write(&other), (Err(kind), 10));
        let (_folder, other) = disk(FaultPlan::at(3, DiskFault::ShortWrite(kind)));
        assert_eq!(write(&other), (Err(kind), 15));
    }

    #[test]
    fn the_function_is_called_before_or_after_the_operation() {
        static CALLS: AtomicU32 = AtomicU32::new(0);
        let call = || {
            CALLS.fetch_add(1, Ordering::Relaxed);
        };
        let (_folder, other) = disk(FaultPlan::at(3, DiskFault::Before(call)));
        assert_eq!(write(&other), (Err(DiskErrorKind::Io), 10));
        let (_folder, other) = disk(FaultPlan::at(3, DiskFault::After(call)));
        assert_eq!(write(&other), (Ok(()), 20));
        assert_eq!(CALLS.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_disk_fills_after_so_many_bytes() {
        let (_folder, disk) = disk(FaultPlan::full_after(15));
        assert_eq!(write(&disk), (Err(DiskErrorKind::Full), 10));
        assert_eq!(disk.free_bytes().unwrap(), 5);
        disk.set_plan(FaultPlan::none());
        disk.open("x").unwrap().write_at(10, &[0; 10]).unwrap();
    }
}
