//! Where rolling files live: a directory behind a narrow trait, so that a simulation can fill it,
//! fail it and take its power away.

mod directory;

use std::fmt::Debug;
use std::io;

pub use crate::space::Space;

pub use self::directory::Directory;

/// The name of one of the files.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// A full one; the higher its number, the younger it is.
    Older(u64),
    /// The one that is appended to.
    Current,
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

    /// Whether an open file has the current name: somebody may have taken it away.
    ///
    /// # Errors
    /// The system does not say.
    fn is_current(&self, file: &Self::File) -> io::Result<bool>;

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
