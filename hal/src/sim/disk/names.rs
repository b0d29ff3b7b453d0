//! Names of files: as they are seen, as they are durable, and the changes in between.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Bound;
use std::sync::Arc;

/// A change of names that no folder sync has made durable.
#[derive(Clone, Debug)]
pub(super) enum Change {
    Add(Arc<str>, usize),
    Remove(Arc<str>),
    /// One change, as a journal has it.
    Rename(Arc<str>, Arc<str>, usize),
    RemoveFolder(Arc<str>),
}

type Files = BTreeMap<Arc<str>, usize>;

/// All names of a disk. New folders are durable at once, as the disks' contract has it.
#[derive(Clone, Debug, Default)]
pub(super) struct Names {
    live: Files,
    durable: Files,
    folders: BTreeSet<Arc<str>>,
    pub(super) pending: Vec<Change>,
}

impl Names {
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        self.live.get(path).copied()
    }

    pub(super) fn live(&self) -> impl Iterator<Item = (&Arc<str>, usize)> {
        self.live.iter().map(|(path, &inode)| (path, inode))
    }

    pub(super) fn is_folder(&self, path: &str) -> bool {
        path.is_empty() || self.folders.contains(path)
    }

    pub(super) fn has_parent(&self, path: &str) -> bool {
        self.is_folder(parent(path))
    }

    pub(super) fn add(&mut self, path: &str, inode: usize) -> Arc<str> {
        let path: Arc<str> = path.into();
        self.change(Change::Add(Arc::clone(&path), inode));
        path
    }

    /// Puts a name there, durable, with the folders above it.
    pub(super) fn put(&mut self, path: &str, inode: usize) {
        self.create_folder(parent(path));
        self.live.insert(path.into(), inode);
        self.durable.insert(path.into(), inode);
    }

    /// Renames; gives the file whose name was taken over, and nothing when there is none to rename.
    pub(super) fn rename(&mut self, from: &str, to: &str) -> Option<Option<usize>> {
        let inode = self.find(from)?;
        let replaced = self.find(to).filter(|&old| old != inode);
        self.change(Change::Rename(from.into(), to.into(), inode));
        Some(replaced)
    }

    pub(super) fn remove(&mut self, path: &str) -> Option<usize> {
        let inode = self.find(path)?;
        self.change(Change::Remove(path.into()));
        Some(inode)
    }

    /// Makes a folder and those above it; tells whether it is new.
    pub(super) fn create_folder(&mut self, path: &str) -> bool {
        if self.is_folder(path) {
            return false;
        }
        self.create_folder(parent(path));
        self.folders.insert(path.into())
    }

    pub(super) fn remove_folder(&mut self, path: &str) {
        self.change(Change::RemoveFolder(path.into()));
        self.folders.remove(path);
    }

    /// What is directly in a folder, sorted; nothing when there is no such folder.
    pub(super) fn list(&self, folder: &str) -> Option<Vec<String>> {
        if !self.is_folder(folder) {
            return None;
        }
        let prefix = match folder {
            "" => String::new(),
            folder => format!("{folder}/"),
        };
        let from = (Bound::Included(prefix.as_str()), Bound::Unbounded);
        let inside = |path: &Arc<str>| {
            let rest = path.strip_prefix(prefix.as_str())?;
            Some((!rest.contains('/')).then(|| rest.to_owned()))
        };
        let files = self.live.range::<str, _>(from);
        let files = files.map_while(|(path, _)| inside(path)).flatten();
        let folders = self.folders.range::<str, _>(from);
        let mut names: Vec<String> = files.chain(folders.map_while(inside).flatten()).collect();
        names.sort_unstable();
        Some(names)
    }

    /// The folder's names are durable.
    pub(super) fn sync(&mut self, folder: &str) {
        let (done, pending) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition::<Vec<_>, _>(|change| change.folder() == folder);
        self.pending = pending;
        for change in done {
            change.apply(&mut self.durable);
            if let Change::RemoveFolder(path) = change {
                // What was pending in it went with it.
                self.pending.retain(|change| change.folder() != &*path);
            }
        }
    }

    /// What is found after a power cut, when the pending changes survive that `keeps` says.
    pub(super) fn after_cut(&self, keeps: impl Fn(usize) -> bool) -> Self {
        let mut names = self.durable.clone();
        let mut folders = self.folders.clone();
        for (number, change) in self.pending.iter().enumerate() {
            match change {
                _ if keeps(number) => change.apply(&mut names),
                Change::RemoveFolder(path) => drop(folders.insert(Arc::clone(path))),
                _ => {}
            }
        }
        for path in names.keys() {
            if !folders.contains(parent(path)) && !parent(path).is_empty() {
                folders.insert(parent(path).into());
            }
        }
        Self {
            live: names.clone(),
            durable: names,
            folders,
            pending: Vec::new(),
        }
    }

    fn change(&mut self, change: Change) {
        change.apply(&mut self.live);
        self.pending.push(change);
    }
}

impl Change {
    fn apply(&self, files: &mut Files) {
        match self {
            Self::Add(path, inode) => {
                files.insert(Arc::clone(path), *inode);
            }
            Self::Remove(path) => {
                files.remove(path);
            }
            Self::Rename(from, to, inode) => {
                files.remove(from);
                files.insert(Arc::clone(to), *inode);
            }
            Self::RemoveFolder(path) => {
                files.retain(|file, _| parent(file) != &**path);
            }
        }
    }

    fn folder(&self) -> &str {
        match self {
            Self::Add(path, _) | Self::Remove(path) | Self::RemoveFolder(path) => parent(path),
            Self::Rename(_, to, _) => parent(to),
        }
    }
}

fn parent(path: &str) -> &str {
    path.rsplit_once('/').map_or("", |(folder, _)| folder)
}
