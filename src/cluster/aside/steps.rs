//! The steps by which files are set aside. Each can be done again, and is on the disk before one that needs it.

use std::io;
use std::path::{Path, PathBuf};

use super::AsideError;
use super::disk::Disk;
use super::note::{NOTE_FILE, Note, at};
use crate::engine::directory::above;
use crate::journal::storage::Name;

/// What SQLite has beside a database's file.
const BESIDE: [&str; 3] = ["", "-wal", "-shm"];

/// Where the files are.
pub(super) struct Places<'a> {
    pub(super) data_dir: &'a Path,
    pub(super) journal: &'a Path,
    /// The member's own database.
    pub(super) database: Option<&'a Path>,
}

impl Places<'_> {
    pub(super) fn carry_out(&self, disk: &mut impl Disk, note: &Note) -> Result<(), AsideError> {
        let aside = self.data_dir.join(&note.directory);
        disk.make_directory(&aside).map_err(at(&aside))?;
        disk.sync_names(self.data_dir).map_err(at(self.data_dir))?;
        for file in files_that_go(disk, self.journal, note).map_err(at(self.journal))? {
            let from = self.journal.join(&file);
            disk.rename(&from, &aside.join(&file)).map_err(at(&from))?;
        }
        if !note.cut.is_multiple_of(note.segment_len) {
            self.halve(disk, note, &aside)?;
        }
        disk.sync_names(&aside).map_err(at(&aside))?;
        disk.sync_names(self.journal).map_err(at(self.journal))?;
        if let Some(database) = self.database.filter(|_| note.moves_database) {
            move_database(disk, database, &aside)?;
        }
        let (from, to) = (self.data_dir.join(NOTE_FILE), aside.join(NOTE_FILE));
        disk.rename(&from, &to).map_err(at(&from))?;
        disk.sync_names(&aside).map_err(at(&aside))?;
        disk.sync_names(self.data_dir).map_err(at(self.data_dir))
    }

    /// The segment in which the last record that stays ends: kept whole, then cut behind that.
    fn halve(&self, disk: &mut impl Disk, note: &Note, aside: &Path) -> Result<(), AsideError> {
        let file = Name::Segment(note.cut / note.segment_len).to_string();
        let (from, to) = (self.journal.join(&file), aside.join(&file));
        if !disk.exists(&to) {
            let draft = aside.join(format!("{file}.part"));
            disk.copy(&from, &draft).map_err(at(&draft))?;
            disk.rename(&draft, &to).map_err(at(&to))?;
        }
        disk.sync_names(aside).map_err(at(aside))?;
        disk.cut(&from, note.cut % note.segment_len)
            .map_err(at(&from))
    }
}

/// The names of the files that go whole.
fn files_that_go(disk: &impl Disk, journal: &Path, note: &Note) -> io::Result<Vec<String>> {
    let first = note.cut.div_ceil(note.segment_len);
    let goes = |name: &Name| match *name {
        Name::Segment(number) => number >= first,
        Name::Compacted(from, _) | Name::Unfinished(from, _) => from >= first,
        Name::Free(_) => false,
    };
    let names = disk.names(journal)?.into_iter();
    let mut gone: Vec<Name> = names
        .filter_map(|it| Name::parse(&it))
        .filter(goes)
        .collect();
    gone.sort_unstable();
    Ok(gone.iter().map(Name::to_string).collect())
}

fn move_database(disk: &mut impl Disk, database: &Path, aside: &Path) -> Result<(), AsideError> {
    let folder = above(database);
    for beside in BESIDE {
        let from = with_suffix(database, beside);
        let to = aside.join(from.file_name().unwrap_or_default());
        if disk.exists(&from) {
            move_file(disk, &from, &to).map_err(at(&from))?;
        }
    }
    disk.sync_names(aside).map_err(at(aside))?;
    disk.sync_names(folder).map_err(at(folder))
}

/// To another file system too, where a copy comes first.
fn move_file(disk: &mut impl Disk, from: &Path, to: &Path) -> io::Result<()> {
    match disk.rename(from, to) {
        Err(error) if error.kind() == io::ErrorKind::CrossesDevices => {
            let draft = with_suffix(to, ".part");
            disk.copy(from, &draft)?;
            disk.rename(&draft, to)?;
            if let Some(folder) = to.parent() {
                disk.sync_names(folder)?;
            }
            disk.remove(from)
        }
        renamed => renamed,
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
