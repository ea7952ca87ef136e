//! `publish --from-journal`: the messages of a journal's files, as lines to be sent again.
//!
//! Meant for what a group has set aside; any directory with a journal's files will do. What was delivered
//! there, as the files themselves say, is left out: who has it would get it twice.

use std::collections::HashSet;
use std::io::{self, Read};
use std::path::Path;

use super::Failure;
use super::journal::place::Place;
use crate::cluster::aside;
use crate::journal::carried::Older;
use crate::journal::error::JournalError;
use crate::journal::format::Position;
use crate::journal::reader::Reader;
use crate::journal::storage::Directory;
use crate::message::Sequence;

/// The lines of a directory's messages, in the order in which they were accepted; those of which only a carried record
/// is left, from there on.
pub(super) struct JournalLines {
    reader: Reader<Directory>,
    /// The group has those before it.
    from: Position,
    settled: HashSet<Sequence>,
    /// Messages of which only a carried record is left.
    older: Older,
    /// How many were left out.
    left_out: u64,
    /// Lines that were read, and how far they were taken.
    lines: Vec<u8>,
    taken: usize,
}

impl JournalLines {
    /// Of this directory; without those that are settled there, unless `with_settled`.
    ///
    /// # Errors
    /// It has no journal's files, or they cannot be read.
    pub(super) fn of(directory: &Path, with_settled: bool) -> Result<Self, Failure> {
        let place = Place::at(directory)?;
        let from = aside::from_position(directory).map_err(Failure::because)?;
        let from = from.unwrap_or(0);
        let mut reader = Reader::new(place.storage, place.segment_len, from);
        let mut settled = HashSet::new();
        if !with_settled {
            while let Some(batch) = reader.next(Position::MAX).map_err(Failure::because)? {
                settled.extend(batch.settlements().map(|it| it.sequence));
            }
            reader.seek(from);
        }
        Ok(Self {
            reader,
            from,
            settled,
            older: Older::default(),
            left_out: 0,
            lines: Vec::new(),
            taken: 0,
        })
    }

    /// How many messages were left out, since they had been delivered.
    pub(super) fn left_out(&self) -> u64 {
        self.left_out
    }

    /// Reads on until there are lines, or no more.
    fn fill(&mut self) -> Result<(), JournalError> {
        while self.taken == self.lines.len()
            && let Some(batch) = self.reader.next(Position::MAX)?
        {
            self.lines.clear();
            self.taken = 0;
            let all = batch.records().chain(self.older.of(&batch));
            for record in all.filter(|it| it.position >= self.from) {
                if self.settled.contains(&record.sequence) {
                    self.left_out += 1;
                } else {
                    self.lines.extend_from_slice(record.frame());
                    self.lines.push(b'\n');
                }
            }
        }
        Ok(())
    }
}

impl Read for JournalLines {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.fill().map_err(io::Error::other)?;
        let rest = &self.lines[self.taken..];
        let count = rest.len().min(into.len());
        into[..count].copy_from_slice(&rest[..count]);
        self.taken += count;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::cluster::record::{Kind, PLACE_LEN, Place, encode, position_of};
    use crate::cluster::run::files::RecordFiles;
    use crate::cluster::testing;
    use crate::journal::carried::Collecting;
    use crate::journal::retention::needed::Needed;
    use crate::journal::retention::needed::Word;
    use crate::journal::testing::{Memory, TestMessage, TestWriter};

    const SEGMENT: u64 = 64 * 1_024;

    /// What is sent, and how many messages are left out.
    fn sent(directory: &Path, with_settled: bool) -> (String, u64) {
        let mut lines = JournalLines::of(directory, with_settled).expect("it is a journal");
        let mut text = String::new();
        lines.read_to_string(&mut text).expect("it is whole");
        (text, lines.left_out())
    }

    #[test]
    fn frames_are_sent_as_they_came_from_where_the_group_has_none_of_them() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let frames = |sequences: &[u64]| {
            let frames = sequences
                .iter()
                .map(|it| TestMessage::new(*it).frame() + "\n");
            frames.collect::<String>()
        };
        let mut writer = TestWriter::new(Directory::at(home.path()).expect("a directory"), 1_024);
        let ends = [1..=4, 5..=6].map(|it| {
            writer.plain(it);
            writer.position()
        });
        writer.settle([2, 6].into_iter());
        assert_eq!(sent(home.path(), false), (frames(&[1, 3, 4, 5]), 2));
        assert_eq!(sent(home.path(), true), (frames(&[1, 2, 3, 4, 5, 6]), 0));
        let note = serde_json::json!({
            "directory": "journal-divergent-now", "behind": 1, "cut": ends[0], "first": ends[0],
            "segment_len": 1_024, "messages": 2, "sequences": {"start": 5, "end": 7},
            "is_lost": true, "moves_database": false,
        });
        fs::write(home.path().join("set-aside.json"), note.to_string()).expect("it is written");
        assert_eq!(sent(home.path(), false), (frames(&[5]), 1));
    }

    /// Messages 1 to 3 as a group's record carries them.
    fn carried() -> Vec<u8> {
        let memory = Memory::default();
        let mut writer = TestWriter::new(memory.clone(), SEGMENT);
        writer.plain(1..=3);
        writer.close();
        let reader = Reader::new(memory, SEGMENT, 0);
        let word = Word {
            number: 0,
            bits: 0b1110,
        };
        let mut needed = Needed::default();
        needed.extend(&[word]);
        let mut collecting = Collecting::new(reader, SEGMENT, needed, 10_000);
        while !collecting.has_body() {
            collecting.step().expect("it is whole");
        }
        collecting.take().expect("it is full").seal()
    }

    #[test]
    fn what_a_group_has_carried_is_sent_though_the_segment_that_it_came_in_is_gone() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let storage = Directory::at(home.path()).expect("a directory");
        let (mut files, _) = RecordFiles::open(storage, SEGMENT).expect("it is empty");
        let mut write = |kind, batches: &[u8]| {
            let end = files.end().max(7 * SEGMENT);
            let place = Place {
                position: position_of(end, PLACE_LEN + batches.len(), SEGMENT),
                ..testing::place(kind)
            };
            let bytes = encode(&place, None, batches).expect("it fits");
            files.write(&place, &bytes).expect("there is room");
        };
        write(Kind::Carried, &carried());
        write(Kind::Carried, &carried());
        let frames = |sequences: &[u64]| {
            let frames = sequences
                .iter()
                .map(|it| TestMessage::new(*it).frame() + "\n");
            frames.collect::<String>()
        };
        assert_eq!(sent(home.path(), false), (frames(&[1, 2, 3]), 0));
    }

    #[test]
    fn a_directory_without_a_journal_is_named() {
        let home = tempfile::tempdir().expect("a temporary directory");
        let refused = JournalLines::of(home.path(), false)
            .err()
            .expect("there is nothing");
        let Failure::Failed(words) = refused else {
            panic!("{refused:?}");
        };
        assert!(words.contains("there is no journal in"), "{words}");
    }
}
