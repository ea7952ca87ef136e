//! The room of a file system, as `statvfs(3)` tells it.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;

use rustix::fs::{StatVfs, fstatvfs, statvfs};

/// In bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Of the whole file system; zero where it has no size.
    pub total: u64,
    /// What is left to a process without privileges.
    pub free: u64,
}

impl Space {
    /// Of the file system that a path is on.
    ///
    /// # Errors
    /// The path is not there, or the file system does not tell.
    pub fn at(path: &Path) -> io::Result<Self> {
        Ok(Self::from(statvfs(path)?))
    }

    /// Of the file system that an open file or directory is on.
    ///
    /// # Errors
    /// The file system does not tell.
    pub fn of(file: impl AsFd) -> io::Result<Self> {
        Ok(Self::from(fstatvfs(file)?))
    }
}

impl From<StatVfs> for Space {
    fn from(told: StatVfs) -> Self {
        let len = |blocks: u64| blocks.saturating_mul(told.f_frsize);
        Self {
            total: len(told.f_blocks),
            free: len(told.f_bavail),
        }
    }
}
