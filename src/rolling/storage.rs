//! Where rolling files live: a directory behind a narrow trait, so that a simulation can fill it,
//! fail it and take its power away.

use std::fmt::Debug;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The name of one of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// A full one; the higher its number, the younger it is.
    Older(u64),
    /// The one that is appended to.
    Current,
}

/// Bytes of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// All; zero where the file system has no size.
    pub total: u64,
    /// What the engine may still take.
    pub free: u64,
}

/// The files of one rolling log.
pub trait Storage: Send + Debug {
    /// An open file.
    type File: Send + Debug;

    /// The files that exist and their bytes, in no particular order.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn list(&self) -> io::Result<Vec<(Name, u64)>>;

    /// Opens a file for reading and appending; the current one is made where it is not there.
    ///
    /// # Errors
    /// It cannot be opened or made.
    fn open(&mut self, name: Name) -> io::Result<Self::File>;

    /// Bytes that an open file has.
    ///
    /// # Errors
    /// The system does not say.
    fn len(&self, file: &Self::File) -> io::Result<u64>;

    /// Reads at most `into.len()` bytes; zero at the end of the file.
    ///
    /// # Errors
    /// The bytes cannot be read.
    fn read_at(&self, file: &Self::File, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Appends; returns how many bytes were taken.
    ///
    /// # Errors
    /// Nothing more could be written.
    fn append(&self, file: &mut Self::File, bytes: &[u8]) -> io::Result<usize>;

    /// Cuts a file off behind so many bytes.
    ///
    /// # Errors
    /// It stays as long as it was.
    fn truncate(&self, file: &Self::File, len: u64) -> io::Result<()>;

    /// Returns when all that was written will survive a power loss.
    ///
    /// # Errors
    /// It may not: what was written must be taken for lost.
    fn sync(&self, file: &Self::File) -> io::Result<()>;

    /// Gives the current file a number.
    ///
    /// # Errors
    /// `AlreadyExists`: another file has it. It keeps its name.
    fn number(&mut self, number: u64) -> io::Result<()>;

    /// Removes a file.
    ///
    /// # Errors
    /// It cannot be removed.
    fn remove(&mut self, name: Name) -> io::Result<()>;

    /// Returns when all names given and taken will survive a power loss.
    ///
    /// # Errors
    /// They may not.
    fn sync_names(&self) -> io::Result<()>;

    /// What the disk has; `None`: the system does not say.
    fn space(&self) -> Option<Space>;
}

/// `STEM.ndjson` and `STEM.N.ndjson` in a directory.
#[derive(Debug)]
pub struct Directory {
    path: PathBuf,
    /// Open from the start: a process without descriptors can sync it all the same.
    handle: File,
    stem: &'static str,
}

impl Directory {
    /// The files of this stem in `path`.
    ///
    /// # Errors
    /// The directory cannot be opened.
    pub fn at(path: &Path, stem: &'static str) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            handle: File::open(path)?,
            stem,
        })
    }

    fn path(&self, name: Name) -> PathBuf {
        let stem = self.stem;
        self.path.join(match name {
            Name::Current => format!("{stem}.ndjson"),
            Name::Older(number) => format!("{stem}.{number}.ndjson"),
        })
    }

    fn parse(&self, text: &str) -> Option<Name> {
        let middle = text.strip_prefix(self.stem)?.strip_suffix(".ndjson")?;
        match middle.strip_prefix('.') {
            None => middle.is_empty().then_some(Name::Current),
            Some(number) => number.parse().ok().map(Name::Older),
        }
    }
}

impl Storage for Directory {
    type File = File;

    fn list(&self) -> io::Result<Vec<(Name, u64)>> {
        let mut files = Vec::new();
        for entry in fs::read_dir(&self.path)? {
            let entry = entry?;
            if let Some(name) = entry.file_name().to_str().and_then(|it| self.parse(it)) {
                match entry.metadata() {
                    Ok(metadata) => files.push((name, metadata.len())),
                    // Somebody takes files away just now.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(files)
    }

    fn open(&mut self, name: Name) -> io::Result<File> {
        let mut options = OpenOptions::new();
        options.read(true).append(true);
        options.create(name == Name::Current);
        options.open(self.path(name))
    }

    fn len(&self, file: &File) -> io::Result<u64> {
        Ok(file.metadata()?.len())
    }

    fn read_at(&self, file: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        file.read_at(into, offset)
    }

    fn append(&self, file: &mut File, bytes: &[u8]) -> io::Result<usize> {
        file.write(bytes)
    }

    fn truncate(&self, file: &File, len: u64) -> io::Result<()> {
        file.set_len(len)
    }

    fn sync(&self, file: &File) -> io::Result<()> {
        file.sync_data()
    }

    fn number(&mut self, number: u64) -> io::Result<()> {
        let to = self.path(Name::Older(number));
        if to.try_exists()? {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        fs::rename(self.path(Name::Current), to)
    }

    fn remove(&mut self, name: Name) -> io::Result<()> {
        fs::remove_file(self.path(name))
    }

    fn sync_names(&self) -> io::Result<()> {
        self.handle.sync_all()
    }

    fn space(&self) -> Option<Space> {
        let disk = rustix::fs::fstatvfs(&self.handle).ok()?;
        let len = |blocks: u64| blocks.saturating_mul(disk.f_frsize);
        Some(Space {
            total: len(disk.f_blocks),
            free: len(disk.f_bavail),
        })
    }
}
