//! Writes long pieces behind the caller's back, so that it can seal the next one meanwhile.
//!
//! Two threads: one writes in order, one asks the disk to flush now and then, so that the sync at a
//! page's end finds little left. Neither promises anything: a failed write comes back at the next
//! operation on the file, a failed flush at its sync. The flusher has a handle of its own, because
//! the kernel tells an error once per handle.

use std::fs::File;
use std::io;
use std::num::NonZeroU64;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{Builder, JoinHandle};

use rustix::fs::{Advice, fadvise};

/// Pieces under way: enough that neither side waits for the other, 1 MiB of records.
const BUFFERS: usize = 4;
/// After how many bytes the disk is asked to flush.
const FLUSH_BYTES: usize = 4 * 1024 * 1024;
const STACK_BYTES: usize = 64 * 1024;

/// The pieces of one file that are under way.
pub(super) struct Behind {
    /// `None` once the writer shall end.
    full: Option<SyncSender<(u64, Vec<u8>)>>,
    back: Receiver<(Vec<u8>, io::Result<()>)>,
    idle: Vec<Vec<u8>>,
    /// A write has failed: until somebody was told, nothing more is written.
    broken: Arc<AtomicBool>,
    failure: Option<io::Error>,
    flushes: Arc<Flushes>,
    threads: Vec<JoinHandle<()>>,
}

impl Behind {
    /// Starts the threads; `again` is another handle to the same file.
    pub(super) fn start(file: Arc<File>, again: File) -> io::Result<Self> {
        let (full, pieces) = sync_channel::<(u64, Vec<u8>)>(BUFFERS);
        let (returned, back) = sync_channel(BUFFERS);
        let broken = Arc::new(AtomicBool::new(false));
        let flushes = Arc::new(Flushes::default());
        let mut this = Self {
            full: Some(full),
            back,
            idle: (0..BUFFERS).map(|_| Vec::new()).collect(),
            broken: Arc::clone(&broken),
            failure: None,
            flushes: Arc::clone(&flushes),
            threads: Vec::new(),
        };
        let asked = Arc::clone(&flushes);
        this.spawn("flusher", move || asked.serve(&again))?;
        this.spawn("writer", move || {
            let mut unflushed = 0;
            for (offset, bytes) in pieces {
                let written = match broken.load(Ordering::SeqCst) {
                    true => Ok(()),
                    false => write(&file, offset, &bytes),
                };
                if written.is_err() {
                    broken.store(true, Ordering::SeqCst);
                }
                unflushed += bytes.len();
                if unflushed >= FLUSH_BYTES {
                    unflushed = 0;
                    flushes.ask();
                }
                if returned.send((bytes, written)).is_err() {
                    return;
                }
            }
        })?;
        Ok(this)
    }

    fn spawn(&mut self, name: &str, body: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let thread = Builder::new().name(name.to_owned()).stack_size(STACK_BYTES);
        self.threads.push(thread.spawn(body)?);
        Ok(())
    }

    /// Takes a piece, waiting only while too many are under way.
    ///
    /// # Errors
    /// What an earlier piece failed on; this one is then not taken.
    pub(super) fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        while let Ok(back) = self.back.try_recv() {
            self.take(back);
        }
        if self.failure.is_some() || self.broken.load(Ordering::SeqCst) {
            self.settle()?;
        }
        if self.idle.is_empty() {
            self.receive()?;
        }
        let mut buffer = self.idle.pop().unwrap_or_default();
        buffer.clear();
        buffer.extend_from_slice(bytes);
        match &self.full {
            Some(full) => full.send((offset, buffer)).map_err(|_ended| gone()),
            None => Err(gone()),
        }
    }

    /// Waits until every piece is written.
    ///
    /// # Errors
    /// What a piece failed on; those after it were not written. Told once.
    pub(super) fn settle(&mut self) -> io::Result<()> {
        while self.idle.len() < BUFFERS {
            self.receive()?;
        }
        self.broken.store(false, Ordering::SeqCst);
        self.failure.take().map_or(Ok(()), Err)
    }

    /// Waits for the flush under way; whether every one so far went well.
    pub(super) fn flushed(&self) -> bool {
        self.flushes.settle()
    }

    fn receive(&mut self) -> io::Result<()> {
        let back = self.back.recv().map_err(|_ended| gone())?;
        self.take(back);
        Ok(())
    }

    fn take(&mut self, (buffer, written): (Vec<u8>, io::Result<()>)) {
        self.idle.push(buffer);
        if let Err(error) = written {
            self.failure.get_or_insert(error);
        }
    }
}

impl Drop for Behind {
    fn drop(&mut self) {
        self.full = None;
        self.flushes.close();
        for thread in self.threads.drain(..) {
            // Nothing was promised of what it had in hand.
            let _panicked = thread.join();
        }
    }
}

/// Writes a piece and lets the disk begin with it. Only advice: whether it helps or fails, the
/// sync decides.
pub(super) fn write(file: &File, offset: u64, bytes: &[u8]) -> io::Result<()> {
    file.write_all_at(bytes, offset)?;
    let length = NonZeroU64::new(bytes.len() as u64);
    let _advised = fadvise(file, offset, length, Advice::DontNeed);
    Ok(())
}

fn gone() -> io::Error {
    io::Error::other("the writer's thread has ended")
}

/// Flushes, one at a time.
#[derive(Default)]
struct Flushes {
    state: Mutex<Flushing>,
    changed: Condvar,
}

#[derive(Default)]
struct Flushing {
    asked: bool,
    running: bool,
    failed: bool,
    closed: bool,
}

impl Flushes {
    fn ask(&self) {
        self.state().asked = true;
        self.changed.notify_all();
    }

    fn close(&self) {
        self.state().closed = true;
        self.changed.notify_all();
    }

    fn serve(&self, file: &File) {
        loop {
            let mut state = self.wait(|state| !state.asked && !state.closed);
            if state.closed {
                return;
            }
            (state.asked, state.running) = (false, true);
            drop(state);
            let failed = file.sync_data().is_err();
            let mut state = self.state();
            state.running = false;
            state.failed |= failed;
            self.changed.notify_all();
        }
    }

    fn settle(&self) -> bool {
        // Who settles has synced: a flush that has not begun has nothing to do.
        self.state().asked = false;
        !self.wait(|state| state.running).failed
    }

    fn state(&self) -> MutexGuard<'_, Flushing> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait(&self, not_yet: impl Fn(&Flushing) -> bool) -> MutexGuard<'_, Flushing> {
        self.changed
            .wait_while(self.state(), |state| not_yet(state))
            .unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn behind(file: File) -> Behind {
        let again = file.try_clone().unwrap();
        Behind::start(Arc::new(file), again).unwrap()
    }

    #[test]
    fn pieces_are_written_in_order_and_all_there_once_settled() {
        let file = tempfile::tempfile().unwrap();
        let mut behind = behind(file.try_clone().unwrap());
        for number in 0..100_u8 {
            // Each covers the end of the one before.
            behind.write(u64::from(number) * 8, &[number; 16]).unwrap();
        }
        behind.settle().unwrap();
        assert!(behind.flushed());
        let mut read = vec![0; 808];
        file.read_exact_at(&mut read, 0).unwrap();
        let wanted: Vec<u8> = (0..101).flat_map(|n: u8| [n.min(99); 8]).collect();
        assert_eq!(read, wanted);
    }

    #[test]
    fn a_failed_write_is_told_once_and_what_follows_it_is_left_out() {
        let file = tempfile::NamedTempFile::new().unwrap();
        // Open for reading alone: every write fails.
        let mut behind = behind(File::open(file.path()).unwrap());
        let mut failed = 0;
        for _ in 0..50 {
            failed += u32::from(behind.write(0, b"piece").is_err());
        }
        failed += u32::from(behind.settle().is_err());
        assert!(failed > 0);
        behind.settle().unwrap();
        assert_eq!(file.as_file().metadata().unwrap().len(), 0);
    }

    #[test]
    fn a_failed_flush_is_remembered() {
        let file = tempfile::tempfile().unwrap();
        // What cannot be synced.
        let (_reader, writer) = io::pipe().unwrap();
        let again = File::from(std::os::fd::OwnedFd::from(writer));
        let mut behind = Behind::start(Arc::new(file), again).unwrap();
        behind.write(0, &vec![1; FLUSH_BYTES]).unwrap();
        behind.settle().unwrap();
        drop(behind.flushes.wait(|state| state.asked || state.running));
        assert!(!behind.flushed());
        assert!(!behind.flushed());
    }
}
