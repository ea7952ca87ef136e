//! The part of the file system that setting aside needs: a narrow trait, so that a test can make each call fail.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::Path;

use crate::engine::directory;

/// Files and directories.
pub(super) trait Disk {
    fn exists(&self, path: &Path) -> bool;

    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;

    /// The names in a directory.
    fn names(&self, directory: &Path) -> io::Result<Vec<String>>;

    /// Makes a directory that may be there.
    fn make_directory(&mut self, path: &Path) -> io::Result<()>;

    /// Writes a file anew; its bytes are on the disk then.
    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()>;

    /// Copies a file; the copy's bytes are on the disk then.
    fn copy(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()>;

    fn remove(&mut self, path: &Path) -> io::Result<()>;

    /// Cuts a file to so many bytes, which is on the disk then; one that is shorter stays as it is.
    fn cut(&mut self, path: &Path, len: u64) -> io::Result<()>;

    /// Returns when the names in a directory will survive a power loss.
    fn sync_names(&mut self, directory: &Path) -> io::Result<()>;
}

/// The system's.
pub(super) struct FileSystem;

impl Disk for FileSystem {
    fn exists(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        fs::read(path)
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(directory)? {
            names.extend(entry?.file_name().into_string().ok());
        }
        Ok(names)
    }

    fn make_directory(&mut self, path: &Path) -> io::Result<()> {
        match fs::create_dir(path) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            made => made,
        }
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::write(path, bytes)?;
        File::open(path)?.sync_all()
    }

    fn copy(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::copy(from, to)?;
        File::open(to)?.sync_all()
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn cut(&mut self, path: &Path, len: u64) -> io::Result<()> {
        let file = OpenOptions::new().write(true).open(path)?;
        if file.metadata()?.len() > len {
            file.set_len(len)?;
        }
        file.sync_all()
    }

    fn sync_names(&mut self, directory: &Path) -> io::Result<()> {
        directory::sync_names(directory)
    }
}
