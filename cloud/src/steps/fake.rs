//! A job and a folder in memory, which can be cut off before any operation.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use scantrip_cloud_client::wire::ManifestPage;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::folders::{Folder, FolderFile, Folders};
use super::{Document, Facts, StepFault, Work};
use crate::ports::hex;

/// A folder that knows what a power cut would leave of it.
#[derive(Clone, Debug, Default)]
pub(crate) struct Disk {
    /// Operations so far, of the folder and of the records.
    pub(crate) operations: u32,
    /// The operation that does not happen, nor any after it.
    pub(crate) cut_at: Option<u32>,
    /// Which folder lies here.
    pub(crate) id: u64,
    names: BTreeMap<String, usize>,
    names_durable: BTreeMap<String, usize>,
    files: Vec<Vec<u8>>,
    files_durable: Vec<Vec<u8>>,
}

/// What a cut takes away.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    /// The process ends; the system still writes what it was given.
    Process,
    /// Everything that was not made durable is gone.
    Power,
}

impl Disk {
    pub(crate) fn step(&mut self) -> io::Result<()> {
        if self.cut_at.is_some_and(|at| self.operations >= at) {
            return Err(io::Error::other("cut off"));
        }
        self.operations += 1;
        Ok(())
    }

    pub(crate) fn was_cut(&self) -> bool {
        self.cut_at.is_some_and(|at| self.operations >= at)
    }

    pub(crate) fn restart(&mut self, cut: Cut, cut_at: Option<u32>) {
        if cut == Cut::Power {
            self.names = self.names_durable.clone();
            self.files = self.files_durable.clone();
        }
        self.operations = 0;
        self.cut_at = cut_at;
    }

    pub(crate) fn put(&mut self, name: &str, bytes: &[u8]) {
        self.files.push(bytes.to_vec());
        self.files_durable.push(bytes.to_vec());
        self.names.insert(name.to_owned(), self.files.len() - 1);
        self.names_durable = self.names.clone();
    }

    pub(crate) fn listing(&self) -> BTreeMap<&str, &[u8]> {
        self.names
            .iter()
            .map(|(name, &at)| (name.as_str(), self.files[at].as_slice()))
            .collect()
    }
}

/// The folders of a [`FakeWork`]: all of them are the same one.
#[derive(Clone, Debug, Default)]
pub(crate) struct FakeFolders(pub(crate) Arc<Mutex<Disk>>);

struct FakeFile(Arc<Mutex<Disk>>, usize);

impl Folders for FakeFolders {
    fn open(&self, _tenant: &str, _folder: &Path) -> io::Result<Box<dyn Folder>> {
        Ok(Box::new(self.clone()))
    }
}

impl Folder for FakeFolders {
    fn id(&self) -> u64 {
        self.0.lock().unwrap().id
    }

    fn create(&self, name: &str) -> io::Result<Box<dyn FolderFile>> {
        let mut disk = self.0.lock().unwrap();
        disk.step()?;
        disk.files.push(Vec::new());
        disk.files_durable.push(Vec::new());
        let at = disk.files.len() - 1;
        disk.names.insert(name.to_owned(), at);
        Ok(Box::new(FakeFile(self.0.clone(), at)))
    }

    fn contains(&self, name: &str) -> io::Result<bool> {
        let mut disk = self.0.lock().unwrap();
        disk.step()?;
        Ok(disk.names.contains_key(name))
    }

    fn rename_new(&self, from: &str, to: &str) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.step()?;
        if disk.names.contains_key(to) && disk.names.contains_key(from) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = disk.names.remove(from).ok_or(io::ErrorKind::NotFound)?;
        disk.names.insert(to.to_owned(), file);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.step()?;
        disk.names_durable = disk.names.clone();
        Ok(())
    }
}

impl FolderFile for FakeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.step()?;
        disk.files[self.1].extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self) -> io::Result<()> {
        let mut disk = self.0.lock().unwrap();
        disk.step()?;
        disk.files_durable[self.1] = disk.files[self.1].clone();
        Ok(())
    }
}

/// A job at one step.
#[derive(Debug)]
pub(crate) struct FakeWork {
    pub(crate) facts: Facts,
    pub(crate) folders: FakeFolders,
    pages: Vec<Vec<u8>>,
    written: Vec<u8>,
    document: Option<Document>,
    record: Option<Value>,
    counter: u64,
}

impl FakeWork {
    pub(crate) fn of_pages(pages: Vec<Vec<u8>>) -> Self {
        let page = |object| ManifestPage {
            object,
            media_type: "image/jpeg".to_owned(),
            images: 1,
            rotation: 0,
            resolution_dpi: 300,
            side: "front".to_owned(),
            doubtful: false,
            late_height: false,
        };
        let facts = Facts {
            job: "0f8e4d2c-0000-4000-8000-000000000001".to_owned(),
            step: 1,
            tenant: "t1".to_owned(),
            device: "d1".to_owned(),
            workflow: "Invoices".to_owned(),
            fields: BTreeMap::from([("customer".to_owned(), "Miller".to_owned())]),
            scanned_ms: 1_795_373_229_000,
            pages: (1..).take(pages.len()).map(page).collect(),
        };
        Self {
            facts,
            folders: FakeFolders::default(),
            pages,
            written: Vec::new(),
            document: None,
            record: None,
            counter: 0,
        }
    }

    pub(crate) fn of_document(bytes: &[u8]) -> Self {
        let mut work = Self::of_pages(Vec::new());
        work.write_document(bytes).unwrap();
        work.finish_document("pdf").unwrap();
        work.restart(Cut::Process, None);
        work
    }

    pub(crate) fn document_bytes(&self) -> &[u8] {
        &self.written
    }

    pub(crate) fn restart(&mut self, cut: Cut, cut_at: Option<u32>) {
        self.folders.0.lock().unwrap().restart(cut, cut_at);
    }

    /// One operation of the store.
    fn step(&self) -> Result<(), StepFault> {
        let mut disk = self.folders.0.lock().unwrap();
        disk.step()
            .map_err(|error| StepFault::Internal(error.into()))
    }
}

impl Work for FakeWork {
    fn facts(&self) -> &Facts {
        &self.facts
    }

    fn read_page(&mut self, index: usize) -> Result<Vec<u8>, StepFault> {
        Ok(self.pages[index].clone())
    }

    fn write_document(&mut self, bytes: &[u8]) -> Result<(), StepFault> {
        if bytes.starts_with(b"%PDF") {
            self.written.clear();
        }
        self.written.extend_from_slice(bytes);
        Ok(())
    }

    fn finish_document(&mut self, extension: &str) -> Result<(), StepFault> {
        self.document = Some(Document {
            extension: extension.to_owned(),
            bytes: self.written.len() as u64,
            sha256: hex(&Sha256::digest(&self.written)),
        });
        Ok(())
    }

    fn document(&self) -> Option<&Document> {
        self.document.as_ref()
    }

    fn read_document(
        &mut self,
        sink: &mut dyn FnMut(&[u8]) -> Result<(), StepFault>,
    ) -> Result<(), StepFault> {
        self.written.chunks(4).try_for_each(sink)
    }

    fn record(&self) -> Option<&Value> {
        self.record.as_ref()
    }

    fn save_record(&mut self, record: Value) -> Result<(), StepFault> {
        self.step()?;
        self.record = Some(record);
        Ok(())
    }

    fn next_counter(&mut self) -> Result<u64, StepFault> {
        self.step()?;
        self.counter += 1;
        Ok(self.counter)
    }

    fn folders(&self) -> Arc<dyn Folders> {
        Arc::new(self.folders.clone())
    }
}
