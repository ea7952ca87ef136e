//! Rolling files in a directory of a file system.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use super::{Name, Space, Storage};
use crate::files::is_named;

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

    fn is_current(&self, file: &File) -> io::Result<bool> {
        is_named(&self.path(Name::Current), file)
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
        Space::of(&self.handle).ok()
    }
}
