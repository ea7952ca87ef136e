//! Where segments live: a directory of files behind a narrow trait, so that a simulation can tear
//! writes and fill disks.

use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The files of a journal, one a segment, named by number.
pub trait Storage: Send {
    /// An open segment.
    type Segment: Send;

    /// The numbers of the segments that exist, ascending.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn segments(&self) -> io::Result<Vec<u64>>;

    /// Makes a segment that does not exist yet, for writing.
    ///
    /// # Errors
    /// It exists, or cannot be made.
    fn create(&mut self, number: u64) -> io::Result<Self::Segment>;

    /// Opens an existing segment for reading.
    ///
    /// # Errors
    /// It cannot be opened.
    fn open(&self, number: u64) -> io::Result<Self::Segment>;

    /// Opens an existing segment for writing.
    ///
    /// # Errors
    /// It cannot be opened.
    fn resume(&mut self, number: u64) -> io::Result<Self::Segment>;

    /// Removes a segment.
    ///
    /// # Errors
    /// It cannot be removed.
    fn remove(&mut self, number: u64) -> io::Result<()>;

    /// Writes the pieces, one behind the other; returns how many bytes were taken.
    ///
    /// # Errors
    /// Nothing more could be written.
    fn write_at(
        &self,
        segment: &Self::Segment,
        offset: u64,
        pieces: &[IoSlice<'_>],
    ) -> io::Result<usize>;

    /// Reads at most `into.len()` bytes; zero at the end of the file.
    ///
    /// # Errors
    /// The bytes cannot be read.
    fn read_at(&self, segment: &Self::Segment, offset: u64, into: &mut [u8]) -> io::Result<usize>;

    /// Returns when all that was written will survive a power loss.
    ///
    /// # Errors
    /// It may not: what was written must be taken for lost.
    fn sync(&self, segment: &Self::Segment) -> io::Result<()>;
}

/// Segments as files `00000000000000000007.segment` of one directory.
#[derive(Debug, Clone)]
pub struct Directory(PathBuf);

const SUFFIX: &str = ".segment";

impl Directory {
    /// Takes the directory, making it if it is not there.
    ///
    /// # Errors
    /// It cannot be made.
    pub fn at(path: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(path)?;
        Ok(Self(path.to_owned()))
    }

    /// Takes the directory as it is: for reading.
    #[must_use]
    pub fn existing(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// The path of a segment's file.
    #[must_use]
    pub fn path(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number:020}{SUFFIX}"))
    }
}

impl Storage for Directory {
    type Segment = File;

    fn segments(&self) -> io::Result<Vec<u64>> {
        let mut numbers = Vec::new();
        for entry in std::fs::read_dir(&self.0)? {
            let name = entry?.file_name();
            let number = name
                .to_str()
                .and_then(|it| it.strip_suffix(SUFFIX))
                .map(str::parse::<u64>);
            numbers.extend(number.and_then(Result::ok));
        }
        numbers.sort_unstable();
        Ok(numbers)
    }

    fn create(&mut self, number: u64) -> io::Result<File> {
        let mut options = OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create_new(true)
            .open(self.path(number))?;
        // The name must survive a power loss too, or what is synced in the file would not be found.
        File::open(&self.0)?.sync_all()?;
        Ok(file)
    }

    fn open(&self, number: u64) -> io::Result<File> {
        File::open(self.path(number))
    }

    fn resume(&mut self, number: u64) -> io::Result<File> {
        OpenOptions::new()
            .read(true)
            .write(true)
            .open(self.path(number))
    }

    fn remove(&mut self, number: u64) -> io::Result<()> {
        std::fs::remove_file(self.path(number))
    }

    fn write_at(&self, segment: &File, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        Ok(rustix::io::pwritev(segment, pieces, offset)?)
    }

    fn read_at(&self, segment: &File, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        FileExt::read_at(segment, into, offset)
    }

    fn sync(&self, segment: &File) -> io::Result<()> {
        segment.sync_data()
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
            directory.create(number).expect("a new segment");
        }
        std::fs::write(home.path().join("notes.txt"), "hello").expect("a file");
        assert_eq!(directory.segments().expect("it can be read"), [9, 10, 11]);
        assert!(
            directory.create(9).is_err(),
            "a segment is never overwritten by a new one"
        );
        directory.remove(10).expect("it is there");
        assert_eq!(directory.segments().expect("it can be read"), [9, 11]);
    }
}
