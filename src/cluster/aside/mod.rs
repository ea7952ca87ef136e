//! Setting aside: files of a member's journal that the group's stream does not have, or has otherwise, are
//! kept whole in a directory of their own, and the member goes on without them.
//!
//! Called between two runs of a member, under the lock of its data directory, when nobody has the files open;
//! `flipped-lb publish --from-journal` reads what it leaves. It asks no stream: what is to go, the core has
//! decided.
//!
//! ```text
//! journal/            | 7 | 8 ...record 41 | record 42 ... | 9 |      behind record 41
//!                               moves: 9;  copied, then cut: 8
//! journal/            | 7 | 8 ...record 41 |
//! journal-divergent-20260131T070000/       8, 9, messages.db where it has rows of them, set-aside.json
//! ```
//!
//! What is to be done stands in `set-aside.json` in the data directory before anything is: a start that
//! finds it there does the rest. Each step can be done again.

mod disk;
mod extent;
mod note;
mod steps;
#[cfg(test)]
mod tests;

use std::fmt;
use std::path::PathBuf;

use self::disk::FileSystem;
use self::extent::Extent;
use self::note::Note;
use self::steps::Places;
use crate::config::Config;
use crate::files::unused;
use crate::journal::error::JournalError;
use crate::journal::journal_folder;
use crate::journal::reader::Reader;
use crate::journal::storage::Directory;
use crate::store::own::OwnDatabase;

pub(crate) use self::note::from_position;

/// What was set aside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SetAside {
    /// Where it is.
    pub(crate) directory: PathBuf,
    /// Messages that the group has lost, to be counted; 0 where a member began anew.
    pub(crate) lost: u64,
    is_lost: bool,
}

/// What people are told.
impl fmt::Display for SetAside {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (directory, lost) = (self.directory.display(), self.lost);
        if self.is_lost {
            write!(
                f,
                "the group's stream went on without records that this member has, with {lost} messages: they \
                 are kept in {directory}; flipped-lb publish --from-journal {directory} --address HOST:PORT \
                 offers them to the group again, at the [ingest] listen of who serves"
            )
        } else {
            write!(
                f,
                "the group's stream begins behind this member's journal: its files are kept in {directory}, \
                 and it begins where the stream does; remove them when the group is well"
            )
        }
    }
}

/// Files could not be set aside.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AsideError {
    /// The journal says not where the record ends.
    #[error("what the group does not have cannot be set aside: {0}")]
    Journal(#[from] JournalError),
    /// A step failed.
    #[error(
        "what the group does not have cannot be set aside: {}: {source}; see that the disk has room, and \
         that the data directory can be written: the next start goes on with it", path.display()
    )]
    Step {
        path: PathBuf,
        source: std::io::Error,
    },
    /// The note is none.
    #[error(
        "{} does not say what is to be set aside: {words}; move it away, and the member compares its files \
         with the stream again", path.display()
    )]
    Note { path: PathBuf, words: String },
    /// The member's own database.
    #[error("what the group does not have cannot be set aside: {0}")]
    Database(String),
}

/// Sets aside what the own journal has behind the record of sequence `behind` (0: all of it), and the member's
/// own database, where that has rows of it. `is_lost`: the group does not have these messages; else it has them,
/// and the stream begins behind them. `None`: there was nothing to set aside.
///
/// # Errors
/// The journal cannot be read, or a step failed: the next [`finish`] goes on with it.
pub(crate) fn set_aside(
    config: &Config,
    behind: u64,
    is_lost: bool,
) -> Result<Option<SetAside>, AsideError> {
    if let Some(rest) = finish(config)? {
        tracing::warn!("{rest}");
    }
    let journal = journal_folder(&config.data_dir);
    let segment_len = config.journal.segment;
    let mut reader = Reader::new(Directory::existing(&journal), segment_len, 0);
    let extent = Extent::read(&mut reader, behind)?;
    let database = OwnDatabase::of(config).map_err(|it| AsideError::Database(it.to_string()))?;
    let moves_database = match &database {
        Some(database) => must_move(database, &extent, segment_len)?,
        None => false,
    };
    if extent.first.is_none() && !moves_database {
        return Ok(None);
    }
    let note = Note {
        directory: unused(&config.data_dir, "journal-divergent"),
        behind,
        cut: extent.cut,
        counted_from: extent.counted_from,
        first: extent.first,
        segment_len,
        messages: extent.messages,
        sequences: extent.sequences,
        is_lost,
        moves_database,
    };
    note.write(&mut FileSystem, &config.data_dir)?;
    carry_out(config, &note).map(Some)
}

/// Does what an earlier life was to set aside and has not; called at each start, before the journal is read.
///
/// # Errors
/// A step failed: the next time goes on with it.
pub(crate) fn finish(config: &Config) -> Result<Option<SetAside>, AsideError> {
    let note = Note::find(&FileSystem, &config.data_dir)?;
    note.map(|it| carry_out(config, &it)).transpose()
}

fn carry_out(config: &Config, note: &Note) -> Result<SetAside, AsideError> {
    let database = OwnDatabase::of(config).map_err(|it| AsideError::Database(it.to_string()))?;
    let places = Places {
        data_dir: &config.data_dir,
        journal: &journal_folder(&config.data_dir),
        database: database.as_ref().map(OwnDatabase::path),
    };
    places.carry_out(&mut FileSystem, note)?;
    Ok(SetAside {
        directory: config.data_dir.join(&note.directory),
        lost: if note.is_lost { note.messages } else { 0 },
        is_lost: note.is_lost,
    })
}

/// Whether the database has rows of what is set aside. One that only stands behind a segment's end, which is
/// open again now, goes back to it.
fn must_move(
    database: &OwnDatabase,
    extent: &Extent,
    segment_len: u64,
) -> Result<bool, AsideError> {
    let failed = |it: crate::store::StoreError| AsideError::Database(it.words().to_owned());
    let stored = database.position().map_err(failed)?;
    if stored <= extent.cut {
        return Ok(false);
    }
    // Behind the end mark that the segment had, and before any record that goes.
    let is_at_next = stored == extent.cut.next_multiple_of(segment_len);
    let has_none = extent.first.is_none_or(|it| stored <= it);
    let goes_back = extent.cut > 0 && is_at_next && has_none;
    if goes_back {
        database.go_back(extent.cut).map_err(failed)?;
    }
    Ok(!goes_back)
}
