//! Where the journal's files live, behind a narrow trait: a simulation tears its writes and fills its
//! disk.
//!
//! Writer, retention, recovery and readers reach the disk through it alone.

mod directory;
mod name;
mod shortage;

use std::io::{self, IoSlice};

pub use self::directory::Directory;
pub use self::name::Name;
pub(crate) use self::shortage::{is_descriptors, is_shortage};

/// The files of a journal.
pub trait Storage: Send {
    /// An open file.
    type Segment: Send;

    /// The names of the files that exist, in no particular order.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn list(&self) -> io::Result<Vec<Name>>;

    /// The numbers of the segments that exist, ascending.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn segments(&self) -> io::Result<Vec<u64>> {
        let names = self.list()?.into_iter();
        let mut numbers: Vec<u64> = names
            .filter_map(|it| match it {
                Name::Segment(number) => Some(number),
                _ => None,
            })
            .collect();
        numbers.sort_unstable();
        Ok(numbers)
    }

    /// Makes a file that does not exist yet, for writing.
    ///
    /// # Errors
    /// It exists, or cannot be made.
    fn create(&mut self, name: Name) -> io::Result<Self::Segment>;

    /// Opens an existing file for reading.
    ///
    /// # Errors
    /// It cannot be opened.
    fn open(&self, name: Name) -> io::Result<Self::Segment>;

    /// Opens an existing file for writing.
    ///
    /// # Errors
    /// It cannot be opened.
    fn resume(&mut self, name: Name) -> io::Result<Self::Segment>;

    /// Gives an existing file another name; a file that has it already is gone.
    ///
    /// # Errors
    /// It keeps its name.
    fn rename(&mut self, from: Name, to: Name) -> io::Result<()>;

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

    /// Bytes of room that the disk has left.
    ///
    /// # Errors
    /// The system does not say.
    fn available(&self) -> io::Result<u64> {
        Ok(u64::MAX)
    }

    /// Bytes that an open file has.
    ///
    /// # Errors
    /// The system does not say.
    fn len(&self, file: &Self::Segment) -> io::Result<u64>;

    /// Cuts an open file to `len` bytes: the rest of its room is given back, whoever has it open.
    ///
    /// # Errors
    /// It stays as long as it was.
    fn truncate(&self, file: &Self::Segment, len: u64) -> io::Result<()>;

    /// Writes the pieces, one behind the other; returns how many bytes were taken.
    ///
    /// # Errors
    /// Nothing more could be written.
    fn write_at(
        &self,
        file: &Self::Segment,
        offset: u64,
        pieces: &[IoSlice<'_>],
    ) -> io::Result<usize>;

    /// Reads at most `into.len()` bytes; zero at the end of the file.
    ///
    /// # Errors
    /// The bytes cannot be read.
    fn read_at(&self, file: &Self::Segment, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Returns when all that was written will survive a power loss.
    ///
    /// # Errors
    /// It may not: what was written must be taken for lost.
    fn sync(&self, file: &Self::Segment) -> io::Result<()>;
}

/// Writes all of `bytes`, in as many calls as it takes.
///
/// # Errors
/// Not all of it could be written.
pub(crate) fn write_whole<S: Storage>(
    storage: &S,
    file: &S::Segment,
    offset: u64,
    bytes: &[u8],
) -> io::Result<()> {
    let mut written = 0;
    while written < bytes.len() {
        let piece = [IoSlice::new(&bytes[written..])];
        match storage.write_at(file, offset + written as u64, &piece)? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            taken => written += taken,
        }
    }
    Ok(())
}

/// Fills `into`, as far as the file reaches; returns how many bytes it got.
///
/// # Errors
/// The bytes cannot be read.
pub(crate) fn read_full<S: Storage>(
    storage: &S,
    file: &S::Segment,
    offset: u64,
    into: &mut [u8],
) -> io::Result<usize> {
    let mut len = 0;
    while len < into.len() {
        match storage.read_at(file, offset + len as u64, &mut into[len..]) {
            Ok(0) => break,
            Ok(count) => len += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(len)
}
