//! For tests only: files in memory that remember what was done to them, on a disk that can be full.

use std::io::{self, IoSlice};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use super::storage::{Name, Storage};
use super::testing::Memory;

/// What was done to the files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Deed {
    Create(Name),
    Rename(Name, Name),
    Remove(Name),
    SyncNames,
    Truncate(Name, u64),
    /// Of so many bytes at this offset.
    Write(Name, u64, usize),
    Sync(Name),
}

/// See the module; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct Watched {
    pub(crate) memory: Memory,
    deeds: Arc<Mutex<Vec<Deed>>>,
    /// The next sync of the names fails.
    fails: Arc<AtomicBool>,
    /// No descriptor is left.
    refuses: Arc<AtomicBool>,
    /// Bytes of the disk.
    capacity: Arc<AtomicU64>,
}

impl Default for Watched {
    fn default() -> Self {
        Self::over(Memory::default())
    }
}

impl Watched {
    /// Over these files, on a disk without end.
    pub(crate) fn over(memory: Memory) -> Self {
        Self {
            memory,
            deeds: Arc::default(),
            fails: Arc::default(),
            refuses: Arc::default(),
            capacity: Arc::new(AtomicU64::new(u64::MAX)),
        }
    }

    /// In their order.
    pub(crate) fn deeds(&self) -> MutexGuard<'_, Vec<Deed>> {
        self.deeds.lock().expect("no panic while it is held")
    }

    fn note(&self, deed: Deed) {
        self.deeds().push(deed);
    }

    /// Whether the next sync of the names fails.
    pub(crate) fn fail_sync_names(&self, fails: bool) {
        self.fails.store(fails, Ordering::Relaxed);
    }

    /// Whether no descriptor is left.
    pub(crate) fn refuse_opening(&self, refuses: bool) {
        self.refuses.store(refuses, Ordering::Relaxed);
    }

    /// The disk has no more room than is used now.
    pub(crate) fn fill(&self) {
        self.leave(0);
    }

    /// The disk has so many bytes left.
    pub(crate) fn leave(&self, available: u64) {
        self.capacity
            .store(self.used() + available, Ordering::Relaxed);
    }

    fn used(&self) -> u64 {
        let files = self.memory.files();
        files.values().map(|it| it.len() as u64).sum()
    }

    fn descriptor(&self) -> io::Result<()> {
        if self.refuses.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(libc::EMFILE));
        }
        Ok(())
    }
}

impl Storage for Watched {
    /// Open files are known by their names, and may lose them.
    type Segment = Name;

    fn list(&self) -> io::Result<Vec<Name>> {
        self.memory.list()
    }

    fn create(&mut self, name: Name) -> io::Result<Name> {
        self.descriptor()?;
        self.note(Deed::Create(name));
        self.memory.create(name)
    }

    fn open(&self, name: Name) -> io::Result<Name> {
        self.descriptor()?;
        self.memory.open(name)
    }

    fn resume(&mut self, name: Name) -> io::Result<Name> {
        self.descriptor()?;
        self.memory.resume(name)
    }

    fn rename(&mut self, from: Name, to: Name) -> io::Result<()> {
        self.note(Deed::Rename(from, to));
        self.memory.rename(from, to)
    }

    fn remove(&mut self, name: Name) -> io::Result<()> {
        self.note(Deed::Remove(name));
        self.memory.remove(name)
    }

    fn sync_names(&self) -> io::Result<()> {
        if self.fails.swap(false, Ordering::Relaxed) {
            return Err(io::Error::other("input/output error"));
        }
        self.note(Deed::SyncNames);
        Ok(())
    }

    fn available(&self) -> io::Result<u64> {
        let capacity = self.capacity.load(Ordering::Relaxed);
        Ok(capacity.saturating_sub(self.used()))
    }

    fn len(&self, file: &Name) -> io::Result<u64> {
        self.memory.len(file)
    }

    /// A name that is gone by now is that of a file which takes no room any more.
    fn truncate(&self, file: &Name, len: u64) -> io::Result<()> {
        self.note(Deed::Truncate(*file, len));
        let truncated = self.memory.truncate(file, len);
        truncated.or_else(|error| match error.kind() {
            io::ErrorKind::NotFound => Ok(()),
            _ => Err(error),
        })
    }

    fn write_at(&self, file: &Name, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let len: usize = pieces.iter().map(|it| it.len()).sum();
        let end = offset + len as u64;
        if end.saturating_sub(self.memory.len(file)?) > self.available()? {
            return Err(io::ErrorKind::StorageFull.into());
        }
        self.note(Deed::Write(*file, offset, len));
        self.memory.write_at(file, offset, pieces)
    }

    fn read_at(&self, file: &Name, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        self.memory.read_at(file, offset, into)
    }

    fn sync(&self, file: &Name) -> io::Result<()> {
        self.note(Deed::Sync(*file));
        self.memory.sync(file)
    }
}
