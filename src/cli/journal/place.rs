//! Which journal a command is about.
//!
//! Fed by the command line; opened for reading only.

use std::ops::Range;
use std::path::{Path, PathBuf};

use clap::Args;

use super::Failure;
use crate::config;
use crate::journal::error::JournalError;
use crate::journal::journal_folder;
use crate::journal::reader::scan::{Scan, segment_len};
use crate::journal::storage::{Directory, Name, Storage as _};
use crate::limits::SEGMENT_LEN_DEFAULT;

/// Where the journal is.
#[derive(Debug, Clone, Args)]
pub(crate) struct PlaceArgs {
    /// A data directory, or the journal folder in it; without it, the configured data_dir.
    #[arg(value_name = "DIR")]
    pub(crate) directory: Option<PathBuf>,
    /// The settings' file, for its data_dir.
    #[arg(long, value_name = "FILE", conflicts_with = "directory")]
    pub(crate) config: Option<PathBuf>,
}

/// A journal on disk.
#[derive(Debug)]
pub(in crate::cli) struct Place {
    /// The data directory.
    pub(super) data_dir: PathBuf,
    /// The folder of its journal.
    pub(super) journal: PathBuf,
    /// The files in there.
    pub(in crate::cli) storage: Directory,
    /// Bytes of a segment.
    pub(in crate::cli) segment_len: u64,
}

impl Place {
    /// Finds the journal; what it is not, is not made.
    pub(super) fn find(args: &PlaceArgs) -> Result<Self, Failure> {
        let (named, configured_len) = match &args.directory {
            Some(directory) => (directory.clone(), SEGMENT_LEN_DEFAULT),
            None => {
                let config = config::load(args.config.as_deref())?;
                (config.data_dir, config.journal.segment)
            }
        };
        Self::open(&named, configured_len)
    }

    /// The journal of this directory, or of the one that it stands in.
    pub(in crate::cli) fn at(directory: &Path) -> Result<Self, Failure> {
        Self::open(directory, SEGMENT_LEN_DEFAULT)
    }

    fn open(named: &Path, configured_len: u64) -> Result<Self, Failure> {
        let (data_dir, folder) = folders(named)?;
        let storage = Directory::existing(&folder);
        let len = segment_len(&storage).map_err(failed)?;
        Ok(Self {
            data_dir,
            journal: folder,
            storage,
            segment_len: len.unwrap_or(configured_len),
        })
    }

    /// The files that hold nothing of the journal.
    pub(super) fn rest(&self) -> Result<Rest, Failure> {
        let names = self
            .storage
            .list()
            .map_err(|it| failed(JournalError::List(it)))?;
        let mut rest = Rest::default();
        for &name in &names {
            let is_replaced = match name {
                Name::Free(_) => {
                    rest.free.push(name);
                    false
                }
                Name::Unfinished(..) => true,
                Name::Segment(number) => is_compacted(&names, number..number + 1, name),
                Name::Compacted(from, to) => is_compacted(&names, from..to, name),
            };
            if is_replaced {
                rest.left_over.push(name);
            }
        }
        rest.free.sort_unstable();
        rest.left_over.sort_unstable();
        Ok(rest)
    }

    /// Begins to read all of it.
    pub(super) fn scan(&self) -> Scan<Directory> {
        Scan::new(self.storage.clone(), self.segment_len)
    }
}

/// Files of a journal's folder that hold nothing of the journal.
#[derive(Debug, Default)]
pub(super) struct Rest {
    /// They wait to become segments.
    pub(super) free: Vec<Name>,
    /// They were not finished, or another file stands for them. An engine that runs is about to
    /// finish or remove them; after a crash, the next start does.
    pub(super) left_over: Vec<Name>,
}

/// Whether another compacted file stands for these segments, too.
fn is_compacted(names: &[Name], segments: Range<u64>, name: Name) -> bool {
    names.iter().any(|&it| match it {
        Name::Compacted(from, to) => it != name && from <= segments.start && segments.end <= to,
        _ => false,
    })
}

/// The data directory and its journal folder, from either of them.
fn folders(named: &Path) -> Result<(PathBuf, PathBuf), Failure> {
    let inner = journal_folder(named);
    if inner.is_dir() {
        return Ok((named.to_owned(), inner));
    }
    let is_journal = named.file_name() == inner.file_name()
        || Directory::existing(named)
            .list()
            .is_ok_and(|it| !it.is_empty());
    if named.is_dir() && is_journal {
        let parent = match named.parent() {
            Some(parent) if parent.as_os_str().is_empty() => Path::new("."),
            Some(parent) => parent,
            None => named,
        };
        return Ok((parent.to_owned(), named.to_owned()));
    }
    Err(Failure::Failed(format!(
        "there is no journal in {}; name a data directory, or the journal folder in it",
        named.display()
    )))
}

/// The journal could not be read.
pub(super) fn failed(error: JournalError) -> Failure {
    Failure::Failed(error.to_string())
}
