//! `set-aside.json`: what is to be set aside, and then, among what was, what it is.

use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::AsideError;
use super::disk::{Disk, FileSystem};
use crate::journal::format::{BATCH_HEADER_LEN, Position};
use crate::message::Sequence;

/// The name of the file.
pub(super) const NOTE_FILE: &str = "set-aside.json";

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Note {
    /// Where it goes, in the data directory.
    pub(super) directory: String,
    /// The stream's sequence of the last record that stays; 0: none does.
    pub(super) behind: u64,
    /// Where that ends in the journal.
    pub(super) cut: Position,
    /// Where the first record stands that goes.
    pub(super) first: Option<Position>,
    /// Bytes of a segment.
    pub(super) segment_len: u64,
    /// From where on they are counted: behind the cut, if not all goes.
    #[serde(default)]
    pub(super) counted_from: Position,
    /// Messages that were accepted in what goes.
    pub(super) messages: u64,
    /// Their sequences.
    pub(super) sequences: Range<Sequence>,
    /// The group does not have them.
    pub(super) is_lost: bool,
    /// The member's own database goes as well.
    pub(super) moves_database: bool,
}

impl Note {
    /// What is to be done in a data directory; `None`: nothing.
    pub(super) fn find(disk: &impl Disk, data_dir: &Path) -> Result<Option<Self>, AsideError> {
        let path = data_dir.join(NOTE_FILE);
        if !disk.exists(&path) {
            return Ok(None);
        }
        let bytes = disk.read(&path).map_err(at(&path))?;
        let note: Self = serde_json::from_slice(&bytes).map_err(|it| AsideError::Note {
            path: path.clone(),
            words: it.to_string(),
        })?;
        // It names a directory beside itself, and no other.
        let mut parts = Path::new(&note.directory).components();
        let is_name = matches!(parts.next(), Some(std::path::Component::Normal(_)));
        if !is_name || parts.next().is_some() || note.segment_len == 0 {
            let words = "it names no directory of the data directory".to_owned();
            return Err(AsideError::Note { path, words });
        }
        Ok(Some(note))
    }

    /// Says what is to be done: whole, and on the disk, or not at all.
    pub(super) fn write(&self, disk: &mut impl Disk, data_dir: &Path) -> Result<(), AsideError> {
        let path = data_dir.join(NOTE_FILE);
        let draft = data_dir.join(format!("{NOTE_FILE}.new"));
        let bytes = serde_json::to_vec_pretty(self).expect("numbers and text become JSON");
        disk.write(&draft, &bytes).map_err(at(&draft))?;
        disk.rename(&draft, &path).map_err(at(&path))?;
        disk.sync_names(data_dir).map_err(at(data_dir))
    }
}

/// From where on the messages of a directory are those that were set aside; `None`: it has no note.
///
/// # Errors
/// There is one, and it cannot be read.
pub(crate) fn from_position(directory: &Path) -> Result<Option<Position>, AsideError> {
    let note = Note::find(&FileSystem, directory)?;
    Ok(note.map(|it| {
        let from = it.cut.max(it.counted_from);
        let left = it.segment_len - from % it.segment_len;
        // Where no batch fits any more, the next one begins the next segment.
        let is_full = left < BATCH_HEADER_LEN as u64;
        from + if is_full { left } else { 0 }
    }))
}

/// The step that failed.
pub(super) fn at(path: &Path) -> impl FnOnce(std::io::Error) -> AsideError + use<> {
    let path: PathBuf = path.to_owned();
    move |source| AsideError::Step { path, source }
}
