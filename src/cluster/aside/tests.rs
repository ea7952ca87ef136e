//! Journals on a real disk are set aside, with a process that dies and a power loss at each deed.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

use super::disk::Disk;
use super::*;
use crate::config::{Store, StoreUrl};
use crate::journal::format::{BatchKind, Position};
use crate::journal::storage::{Name, Storage};
use crate::journal::testing::TestWriter;
use crate::store::Store as _;
use crate::store::rows::Rows;
use crate::store::sqlite::SqliteStore;

const SEGMENT: u64 = 4 * 1024;
/// Records of the journal; record n holds message n.
const RECORDS: u64 = 40;

struct World {
    _home: tempfile::TempDir,
    config: Config,
    /// Where each record ends.
    ends: Vec<Position>,
}

impl World {
    fn new() -> Self {
        Self::of(|_| 0)
    }

    /// Whose records say that nobody needs the segments below this one, each by its number.
    fn of(low: impl Fn(u64) -> u64) -> Self {
        let home = tempfile::tempdir().expect("a temporary directory");
        let mut config = Config {
            data_dir: home.path().join("data"),
            store: Store {
                url: StoreUrl::Sqlite(None),
                ..Store::default()
            },
            ..Config::default()
        };
        config.journal.segment = SEGMENT;
        let storage = Directory::at(&journal_folder(&config.data_dir)).expect("a directory");
        let mut writer = TestWriter::new(storage, SEGMENT);
        let ends = (1..=RECORDS).map(|sequence| {
            let mut place = [0; 96];
            place[40..48].copy_from_slice(&sequence.to_le_bytes());
            place[88..96].copy_from_slice(&low(sequence).to_le_bytes());
            writer.batch(BatchKind::Place, 0, sequence, &place);
            writer.plain(sequence..=sequence);
            writer.position()
        });
        Self {
            ends: ends.collect(),
            config,
            _home: home,
        }
    }

    fn data_dir(&self) -> &Path {
        &self.config.data_dir
    }

    fn set_aside(&self, behind: u64) -> Option<SetAside> {
        set_aside(&self.config, behind, true).expect("nothing is in the way")
    }

    /// The one directory of what was set aside.
    fn aside(&self) -> PathBuf {
        let entries = fs::read_dir(self.data_dir()).expect("it is there");
        let paths = entries.map(|it| it.expect("it is read").path());
        let name = |it: &Path| {
            it.file_name()
                .is_some_and(|it| it.to_string_lossy().contains("diverg"))
        };
        let mut found: Vec<_> = paths.filter(|it| name(it)).collect();
        assert_eq!(found.len(), 1, "{found:?}");
        found.remove(0)
    }

    fn store(&self, stored: Position) {
        let path = self.data_dir().join("messages.db");
        let mut store = SqliteStore::new(&path, "main");
        store.position().expect("it answers");
        store
            .apply(&Rows::default(), stored)
            .expect("it is written");
        store.close().expect("it is tidied");
    }
}

/// The messages of a folder from a position on.
fn messages(folder: &Path, from: Position) -> Vec<u64> {
    let mut reader = Reader::new(Directory::existing(folder), SEGMENT, from);
    let mut sequences = Vec::new();
    while let Some(batch) = reader.next(Position::MAX).expect("it is whole") {
        sequences.extend(batch.records().map(|it| it.sequence));
    }
    sequences
}

/// All files below a directory, by the name of what was set aside, which has the time in it.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(folder).expect("it is there") {
        let path = entry.expect("it is read").path();
        let name = path
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        if path.is_dir() {
            let name = if name.contains("diverg") {
                "aside"
            } else {
                &name
            };
            let inner = files(&path).into_iter();
            found.extend(inner.map(|(it, bytes)| (format!("{name}/{it}"), bytes)));
        } else {
            found.insert(name, fs::read(&path).expect("it is read"));
        }
    }
    found
}

#[test]
fn what_stands_behind_a_record_goes_whole_and_all_before_it_stays() {
    for behind in 0..=RECORDS + 1 {
        let world = World::new();
        let before = files(world.data_dir());
        let done = world.set_aside(behind);
        let kept = messages(&journal_folder(world.data_dir()), 0);
        assert_eq!(kept, (1..=behind.min(RECORDS)).collect::<Vec<_>>());
        let Some(done) = done else {
            assert!(behind >= RECORDS, "behind {behind} there is something");
            continue;
        };
        assert_eq!(done.lost, RECORDS - behind);
        assert_eq!(done.directory, world.aside());
        let from = from_position(&world.aside())
            .expect("a note")
            .expect("a note");
        let gone = messages(&world.aside(), from);
        assert_eq!(gone, (behind + 1..=RECORDS).collect::<Vec<_>>());
        // Whole: each of its files is as it was.
        for (name, bytes) in files(&world.aside()) {
            let was = before.get(&format!("journal/{name}"));
            assert!(name == "set-aside.json" || was == Some(&bytes), "{name}");
        }
        assert!(!world.data_dir().join("set-aside.json").exists());
        assert_eq!(world.set_aside(behind), None, "there is nothing more");
    }
}

#[test]
fn all_goes_where_what_stays_would_lack_segments_that_were_carried_behind_it() {
    for (behind, stays) in [(33, false), (35, true), (38, true)] {
        let world = World::of(|sequence| if sequence >= 35 { 2 } else { 0 });
        let journal = journal_folder(world.data_dir());
        let mut storage = Directory::existing(&journal);
        for number in 0..2 {
            let name = Name::Segment(number);
            storage.remove(name).expect("it is there");
        }
        let all = messages(&journal, 0);
        assert!(all[0] > 1 && all[0] < behind, "{all:?}");
        let done = world.set_aside(behind).expect("there is something");
        assert_eq!(done.lost, RECORDS - behind);
        let kept: Vec<_> = if stays {
            (all[0]..=behind).collect()
        } else {
            Vec::new()
        };
        let found = if stays {
            messages(&journal, 0)
        } else {
            Vec::new()
        };
        assert_eq!(found, kept);
        let names = fs::read_dir(&journal).expect("it is there").count();
        assert_eq!(names > 0, stays, "behind {behind}");
        let from = from_position(&world.aside())
            .expect("a note")
            .expect("a note");
        let offered = messages(&world.aside(), from);
        assert_eq!(offered, (behind + 1..=RECORDS).collect::<Vec<_>>());
    }
}

#[test]
fn what_goes_on_behind_the_cut_is_read_where_the_end_mark_was() {
    let world = World::new();
    // The last record of a segment that was closed behind it.
    let closed = (1..RECORDS).find(|&it| {
        let ends = &world.ends;
        ends[it as usize] / SEGMENT > ends[it as usize - 1] / SEGMENT
    });
    let behind = closed.expect("there are several segments");
    let end = world.ends[behind as usize - 1];
    world.store(end.next_multiple_of(SEGMENT));
    let done = world.set_aside(behind).expect("there is something");
    assert_eq!(done.lost, RECORDS - behind);
    let database = OwnDatabase::of(&world.config)
        .expect("a name")
        .expect("SQLite");
    assert_eq!(
        database.position().expect("it answers"),
        end,
        "it went back"
    );
    assert!(!world.aside().join("messages.db").exists());
    let path = Directory::existing(&journal_folder(world.data_dir()));
    let path = path.path(Name::Segment(end / SEGMENT));
    assert_eq!(
        fs::metadata(path).expect("it is there").len(),
        end % SEGMENT
    );
}

#[test]
fn a_database_goes_where_it_has_rows_of_what_goes() {
    let behind = 17;
    let end = World::new().ends[behind - 1];
    for (stored, goes) in [
        (0, false),
        (end, false),
        (end + 1, true),
        (end + SEGMENT, true),
    ] {
        let world = World::new();
        world.store(stored);
        world.set_aside(behind as u64);
        let is_there = world.data_dir().join("messages.db").exists();
        assert_eq!(
            (is_there, world.aside().join("messages.db").exists()),
            (!goes, goes)
        );
    }
    let world = World::new();
    world.set_aside(17);
    assert!(
        !world.data_dir().join("messages.db").exists(),
        "none is made"
    );
}

#[test]
fn a_member_that_begins_anew_has_lost_nothing() {
    let world = World::new();
    world.store(world.ends[3]);
    let done = set_aside(&world.config, 0, false).expect("nothing is in the way");
    let done = done.expect("there is something");
    assert_eq!(done.lost, 0);
    assert!(
        done.to_string().contains("begins where the stream does"),
        "{done}"
    );
    assert!(messages(&journal_folder(world.data_dir()), 0).is_empty());
    assert!(world.aside().join("messages.db").exists());
}

#[test]
fn a_note_that_names_something_else_than_a_directory_of_its_own_is_refused() {
    let world = World::new();
    for text in ["", "{}", "[1]"] {
        fs::write(world.data_dir().join("set-aside.json"), text).expect("it is written");
        let refused = finish(&world.config).expect_err("it is none").to_string();
        assert!(refused.contains("set-aside.json"), "{refused}");
    }
    let mut note = serde_json::json!({
        "directory": "x", "behind": 1, "cut": 99, "first": 99, "segment_len": SEGMENT,
        "messages": 1, "sequences": {"start": 1, "end": 2}, "is_lost": true, "moves_database": false,
    });
    for directory in ["/etc", "..", "a/b", ""] {
        note["directory"] = directory.into();
        fs::write(world.data_dir().join("set-aside.json"), note.to_string())
            .expect("it is written");
        assert!(finish(&world.config).is_err(), "{directory}");
    }
}

/// Dies at a deed: before it, or behind it. Renamings that no sync has put on the disk are undone then, as by a
/// power loss, or are not.
struct Dying {
    left: usize,
    is_behind: bool,
    loses_power: bool,
    renamed: Vec<(PathBuf, PathBuf, [bool; 2])>,
}

impl Dying {
    fn deed(&mut self, done: impl FnOnce() -> io::Result<()>) -> io::Result<()> {
        if self.left == 0 {
            if self.is_behind {
                done()?;
            }
            return Err(io::Error::other("it died"));
        }
        self.left -= 1;
        done()
    }

    fn lose_power(&mut self) {
        for (from, to, _) in self.renamed.drain(..).rev().filter(|_| self.loses_power) {
            fs::rename(to, from).expect("nothing came in between");
        }
    }
}

impl Disk for Dying {
    fn exists(&self, path: &Path) -> bool {
        FileSystem.exists(path)
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        FileSystem.read(path)
    }

    fn names(&self, directory: &Path) -> io::Result<Vec<String>> {
        FileSystem.names(directory)
    }

    fn make_directory(&mut self, path: &Path) -> io::Result<()> {
        self.deed(|| FileSystem.make_directory(path))
    }

    fn write(&mut self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.deed(|| FileSystem.write(path, bytes))
    }

    fn copy(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.deed(|| FileSystem.copy(from, to))
    }

    fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        let dies = self.left == 0;
        let done = self.deed(|| FileSystem.rename(from, to));
        if !dies || self.is_behind {
            self.renamed.push((from.into(), to.into(), [false; 2]));
        }
        done
    }

    fn remove(&mut self, path: &Path) -> io::Result<()> {
        self.deed(|| FileSystem.remove(path))
    }

    fn cut(&mut self, path: &Path, len: u64) -> io::Result<()> {
        self.deed(|| FileSystem.cut(path, len))
    }

    fn sync_names(&mut self, directory: &Path) -> io::Result<()> {
        self.deed(|| FileSystem.sync_names(directory))?;
        for (from, to, synced) in &mut self.renamed {
            synced[0] |= from.parent() == Some(directory);
            synced[1] |= to.parent() == Some(directory);
        }
        self.renamed.retain(|it| it.2 != [true; 2]);
        Ok(())
    }
}

fn note_of(world: &World, behind: u64) -> Note {
    let mut reader = Reader::new(
        Directory::existing(&journal_folder(world.data_dir())),
        SEGMENT,
        0,
    );
    let extent = Extent::read(&mut reader, behind).expect("it is whole");
    Note {
        directory: "journal-divergent-now".to_owned(),
        behind,
        cut: extent.cut,
        counted_from: extent.counted_from,
        first: extent.first,
        segment_len: SEGMENT,
        messages: extent.messages,
        sequences: extent.sequences,
        is_lost: true,
        moves_database: true,
    }
}

#[test]
fn whoever_dies_at_any_deed_leaves_what_the_next_start_finishes() {
    let behind = 17;
    let run = |disk: &mut Dying| {
        let world = World::new();
        world.store(world.ends[30]);
        let note = note_of(&world, behind);
        let died = note.write(disk, world.data_dir()).and_then(|()| {
            let places = Places {
                data_dir: world.data_dir(),
                journal: &journal_folder(world.data_dir()),
                database: Some(&world.data_dir().join("messages.db")),
            };
            places.carry_out(disk, &note)
        });
        disk.lose_power();
        (world, died.is_err())
    };
    let dying = |left, is_behind, loses_power| Dying {
        left,
        is_behind,
        loses_power,
        renamed: Vec::new(),
    };
    let (whole, _) = run(&mut dying(usize::MAX, false, false));
    let expected = files(whole.data_dir());
    assert!(expected.contains_key("aside/messages.db"));
    let mut deeds = 0;
    loop {
        let ways = [(false, false), (true, false), (false, true), (true, true)];
        let went_on = ways.map(|(is_behind, loses_power)| {
            let (world, died) = run(&mut dying(deeds, is_behind, loses_power));
            let done = finish(&world.config).expect("nothing is in the way");
            let found = files(world.data_dir());
            if done.is_none() && !world.data_dir().join("journal-divergent-now").exists() {
                // It died before it had said what it would do: all is as it was.
                assert!(deeds < 3, "deed {deeds}");
                let kept = messages(&journal_folder(world.data_dir()), 0);
                assert_eq!(kept.len() as u64, RECORDS);
            } else {
                let names = |it: &BTreeMap<String, Vec<u8>>| it.keys().cloned().collect::<Vec<_>>();
                assert_eq!(names(&found), names(&expected), "deed {deeds}");
                for (name, bytes) in &found {
                    // A database has times in it.
                    let is_same = expected[name] == *bytes || name.ends_with("messages.db");
                    assert!(is_same, "deed {deeds}: {name}");
                }
            }
            died
        });
        if went_on == [false; 4] {
            break;
        }
        deeds += 1;
    }
    assert!(deeds > 15, "there are {deeds}");
}
