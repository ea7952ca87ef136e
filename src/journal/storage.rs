//! Where segments live: a directory of files behind a narrow trait, so that a simulation can tear
//! writes and fill disks.

use std::ffi::OsString;
use std::fmt::{self, Write};
use std::fs::{File, OpenOptions};
use std::io::{self, IoSlice};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use super::segment::is_descriptors;
use crate::limits::{SEGMENT_NUMBER_MAX, SPARE_DESCRIPTORS};

/// The name of a file of the journal.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Name {
    /// The segment of this number.
    Segment(u64),
    /// A file that was the segment of this number, and waits to become another: what it holds
    /// means nothing.
    Free(u64),
    /// What is still needed of the segments from the first number up to, not including, the second.
    Compacted(u64, u64),
    /// A compacted file that is being written.
    Unfinished(u64, u64),
}

/// The files of a journal.
pub trait Storage: Send {
    /// An open file.
    type Segment: Send;

    /// The names of the files that exist, in no particular order.
    ///
    /// # Errors
    /// The directory cannot be read.
    fn list(&self) -> io::Result<Vec<Name>>;

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
}

/// Writes all of `bytes`, in as many calls as it takes.
///
/// # Errors
/// Not all of it could be written.
pub(super) fn write_whole<S: Storage>(
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
pub(super) fn read_full<S: Storage>(
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

/// Bytes of the longest file name: two numbers of 20 digits, a dash, `.unfinished`.
const NAME_LEN_MAX: usize = 2 * 20 + 1 + 11;

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

impl fmt::Display for Name {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Segment(number) => write!(out, "{number:020}.segment"),
            Self::Free(number) => write!(out, "{number:020}.free"),
            Self::Compacted(from, to) => write!(out, "{from:020}-{to:020}.kept"),
            Self::Unfinished(from, to) => write!(out, "{from:020}-{to:020}.unfinished"),
        }
    }
}

impl Name {
    /// What a file name says; `None`: it is no file of a journal, for it is not spelled as one is, or
    /// no journal gets so far.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let (stem, kind) = text.split_once('.')?;
        let number = |digits: &str| {
            let is_spelled = digits.len() == 20 && digits.bytes().all(|it| it.is_ascii_digit());
            let number = digits.parse().ok().filter(|_| is_spelled)?;
            (number <= SEGMENT_NUMBER_MAX).then_some(number)
        };
        let range = || {
            let (from, to) = stem.split_once('-')?;
            Some((number(from)?, number(to)?))
        };
        match kind {
            "segment" => number(stem).map(Self::Segment),
            "free" => number(stem).map(Self::Free),
            "kept" => range().map(|(from, to)| Self::Compacted(from, to)),
            "unfinished" => range().map(|(from, to)| Self::Unfinished(from, to)),
            _ => None,
        }
    }
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
        let room = match &self.held {
            Some(held) => rustix::fs::fstatvfs(&held.directory)?,
            None => rustix::fs::statvfs(&self.path)?,
        };
        Ok(room.f_bavail.saturating_mul(room.f_frsize))
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

    #[test]
    fn a_name_is_read_as_it_is_written() {
        let (from, to) = (7, SEGMENT_NUMBER_MAX);
        for name in [
            Name::Segment(to),
            Name::Free(from),
            Name::Compacted(from, to),
            Name::Unfinished(from, to),
        ] {
            assert_eq!(Name::parse(&name.to_string()), Some(name));
        }
        for text in [
            "7",
            ".segment",
            "x.segment",
            "7.segment",
            "+0000000000000000007.segment",
            "18446744073709551615.segment",
            "7.kept",
            "1-2.segment",
            "a-b.kept",
        ] {
            assert_eq!(Name::parse(text), None, "{text}");
        }
    }
}
