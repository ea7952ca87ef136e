//! The journal's files in a directory of a file system.

use std::ffi::OsString;
use std::fmt::Write;
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::name::NAME_LEN_MAX;
use super::{Name, Storage, is_descriptors};
use crate::limits::SPARE_DESCRIPTORS;
use crate::space::Space;

/// A journal as files of one directory: `00000000000000000007.segment` and so on, see [`Name`].
///
/// An engine's own holds what it needs where the system has no descriptor left: the directory, for
/// its sync, and some spare ones, of which one is given up for a file that cannot be opened otherwise.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
    held: Option<Arc<Held>>,
}

/// Descriptors that are held from the start; clones share them.
#[derive(Debug)]
struct Held {
    directory: File,
    spare: Mutex<Vec<File>>,
}

impl Directory {
    /// Takes the directory, making it if it is not there.
    ///
    /// # Errors
    /// It cannot be made or opened.
    pub fn at(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        let directory = File::open(path)?;
        let spare: io::Result<_> = (0..SPARE_DESCRIPTORS)
            .map(|_| directory.try_clone())
            .collect();
        let spare = Mutex::new(spare?);
        Ok(Self {
            path: path.to_owned(),
            held: Some(Arc::new(Held { directory, spare })),
        })
    }

    /// Takes the directory as it is: for reading.
    #[must_use]
    pub fn existing(path: &Path) -> Self {
        Self {
            path: path.to_owned(),
            held: None,
        }
    }

    /// Opens something; where no descriptor is left, a spare one is given up for it.
    fn open_by<T>(&self, open: impl Fn() -> io::Result<T>) -> io::Result<T> {
        let Some(held) = &self.held else {
            return open();
        };
        let mut opened = open();
        while opened.as_ref().is_err_and(is_descriptors) && held.give_up_spare() {
            opened = open();
        }
        if opened.is_ok() {
            held.replace_spare();
        }
        opened
    }

    /// The path of a file.
    #[must_use]
    pub fn path(&self, name: Name) -> PathBuf {
        let mut path = OsString::with_capacity(self.path.as_os_str().len() + 1 + NAME_LEN_MAX);
        path.push(&self.path);
        write!(path, "/{name}").expect("memory takes it");
        path.into()
    }
}

impl Held {
    /// Whether there was one.
    fn give_up_spare(&self) -> bool {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        spare.pop().is_some()
    }

    /// Takes one back, where some were given up and the system has one again.
    fn replace_spare(&self) {
        let mut spare = self.spare.lock().unwrap_or_else(PoisonError::into_inner);
        if spare.len() < SPARE_DESCRIPTORS {
            spare.extend(self.directory.try_clone().ok());
        }
    }
}

impl Storage for Directory {
    type Segment = File;

    fn list(&self) -> io::Result<Vec<Name>> {
        let mut names = Vec::new();
        for entry in self.open_by(|| std::fs::read_dir(&self.path))? {
            names.extend(entry?.file_name().to_str().and_then(Name::parse));
        }
        Ok(names)
    }

    fn create(&mut self, name: Name) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true).create_new(true);
        self.open_by(|| options.open(self.path(name)))
    }

    fn open(&self, name: Name) -> io::Result<File> {
        self.open_by(|| File::open(self.path(name)))
    }

    fn resume(&mut self, name: Name) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).write(true);
        self.open_by(|| options.open(self.path(name)))
    }

    fn rename(&mut self, from: Name, to: Name) -> io::Result<()> {
        std::fs::rename(self.path(from), self.path(to))
    }

    fn remove(&mut self, name: Name) -> io::Result<()> {
        std::fs::remove_file(self.path(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        match &self.held {
            Some(held) => held.directory.sync_all(),
            None => File::open(&self.path)?.sync_all(),
        }
    }

    fn available(&self) -> io::Result<u64> {
        let space = match &self.held {
            Some(held) => Space::of(&held.directory)?,
            None => Space::at(&self.path)?,
        };
        Ok(space.free)
    }

    fn len(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    fn write_at(&self, file: &File, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::io::pwritev(file, pieces, offset)?)
    }

    fn read_at(&self, file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(file, into, offset)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn segments_are_listed_in_order_and_strangers_are_left_alone() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut directory = Directory::at(home.path()).expect("it can be made");
        for number in [10, 9, 11] {
            directory
                .create(Name::Segment(number))
                .expect("a new segment");
        }
        std::fs::write(home.path().join("notes.txt"), "hello").expect("a file");
        assert_eq!(directory.segments().expect("it can be read"), [9, 10, 11]);
        assert!(
            directory.create(Name::Segment(9)).is_err(),
            "a segment is never overwritten by a new one"
        );
        let freed = directory.rename(Name::Segment(10), Name::Free(10));
        freed.expect("it is there");
        assert_eq!(directory.segments().expect("it can be read"), [9, 11]);
        directory.remove(Name::Free(10)).expect("it is there");
        assert_eq!(directory.list().expect("it can be read").len(), 2);
    }
}
