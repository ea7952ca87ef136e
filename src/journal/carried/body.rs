//! The messages of one carried record: gathered by retention, thinned out and sealed by the journal agent.

use std::ops::Range;

use crate::cluster::record::PLACE_LEN;
use crate::journal::batch::JournalRecord;
use crate::journal::format::{BATCH_HEADER_LEN, BatchHeader, BatchKind, Position};
use crate::journal::retention::needed::Needed;
use crate::journal::retention::needed::{Word, contains};
use crate::limits::QUERY_WORDS;
use crate::message::{Record, Sequence};

/// Bytes of a position before each record.
const POSITION_LEN: usize = 8;

/// Entries of one carried batch. Invariant: positions and sequences ascend, as a batch must have them.
#[derive(Debug, Default)]
pub(crate) struct Body {
    /// Position and record of each message, one behind the other.
    entries: Vec<u8>,
    count: u32,
    first: (Position, Sequence),
    last: (Position, Sequence),
    /// When the last one was recorded.
    time_us: u64,
}

impl Body {
    /// Takes a message in, unless it belongs into another record, of so many bytes at most: one query has to
    /// answer for all that are needed from the first to the last one, wherever they stand.
    pub(crate) fn push(
        &mut self,
        record: &JournalRecord<'_>,
        time_us: u64,
        len_max: usize,
        needed: &Needed,
    ) -> bool {
        let len = POSITION_LEN + record.record_len();
        let is_first = self.count == 0;
        let is_behind = record.position > self.last.0 && record.sequence > self.last.1;
        let is_near = record.sequence - self.first.1.min(record.sequence) <= u64::from(u32::MAX);
        let words = || needed.words_between(self.first.1, record.sequence);
        let goes_on = !is_first && is_behind && is_near && words() <= QUERY_WORDS;
        let fits = self.len() + len <= len_max;
        if !fits || !(is_first || goes_on) {
            return false;
        }
        if is_first {
            self.first = (record.position, record.sequence);
        }
        self.last = (record.position, record.sequence);
        self.time_us = self.time_us.max(time_us);
        self.entries
            .extend_from_slice(&record.position.to_le_bytes());
        let at = self.entries.len();
        self.entries.resize(at + record.record_len(), 0);
        record.encode(&mut self.entries[at..]);
        self.count += 1;
        true
    }

    /// Bytes of its batch.
    pub(crate) fn len(&self) -> usize {
        BATCH_HEADER_LEN + self.entries.len()
    }

    /// Bytes of the batch of one message alone, by those of its record.
    pub(crate) fn len_of_one(record_len: usize) -> usize {
        BATCH_HEADER_LEN + POSITION_LEN + record_len
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// How many messages it has.
    pub(crate) fn count(&self) -> u32 {
        self.count
    }

    /// The sequences from the first to the last one.
    pub(crate) fn sequences(&self) -> Range<Sequence> {
        self.first.1..self.last.1 + 1
    }

    /// Keeps the messages that are in these words.
    pub(crate) fn retain(&mut self, words: &[Word]) {
        let (base, mut kept) = (self.first.1, 0);
        let (mut at, mut count) = (0, 0);
        while let Some((position, sequence, len)) = entry(&self.entries[at..], base) {
            if contains(words, sequence) {
                self.entries.copy_within(at..at + len, kept);
                if count == 0 {
                    self.first = (position, sequence);
                }
                self.last = (position, sequence);
                (kept, count) = (kept + len, count + 1);
            }
            at += len;
        }
        self.entries.truncate(kept);
        self.count = count;
    }

    /// The batch, which names its own position and so does not depend on where its record stands.
    pub(crate) fn seal(&self) -> Vec<u8> {
        let header = BatchHeader {
            crc: 0,
            body_len: self.entries.len() as u32,
            kind: BatchKind::Carried,
            entries: self.count,
            position: self.first.0,
            first_sequence: self.first.1,
            time_us: self.time_us,
        };
        let mut head = [0; BATCH_HEADER_LEN];
        header.encode(std::iter::once(&self.entries[..]), &mut head);
        [&head[..], &self.entries].concat()
    }

    /// Where each message stands in the journal, once its record stands at this position.
    pub(crate) fn places(&self, position: Position) -> impl Iterator<Item = (Sequence, Position)> {
        let (base, mut at) = (self.first.1, 0);
        let begin = position + (PLACE_LEN + BATCH_HEADER_LEN) as u64;
        std::iter::from_fn(move || {
            let (_, sequence, len) = entry(&self.entries[at..], base)?;
            let stands_at = begin + (at + POSITION_LEN) as u64;
            at += len;
            Some((sequence, stands_at))
        })
    }
}

/// Position, sequence and length of the entry that stands here.
fn entry(from: &[u8], base: Sequence) -> Option<(Position, Sequence, usize)> {
    let (position, rest) = from.split_first_chunk()?;
    let (record, _) = Record::split_first(rest)?;
    let len = POSITION_LEN + record.record_len();
    let position = Position::from_le_bytes(*position);
    Some((position, record.sequence_from(base), len))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::reader::Reader;
    use crate::journal::testing::{Memory, TestWriter};

    /// What is carried for a second time comes behind younger messages, and is followed by still younger ones.
    #[test]
    fn it_ends_where_one_query_cannot_answer_for_all_that_wait_between_its_messages() {
        let words = QUERY_WORDS as u64;
        let sequences = [2, 64 * (words - 1) + 2, 64 * words + 2];
        let memory = Memory::default();
        let mut writer = TestWriter::new(memory.clone(), 65_536);
        for sequence in sequences {
            writer.plain(sequence..=sequence);
        }
        writer.close();
        let waiting: Vec<_> = (0..=words).map(|number| Word { number, bits: 4 }).collect();
        let mut needed = Needed::default();
        needed.extend(&waiting);
        let (mut body, mut taken) = (Body::default(), Vec::new());
        let mut reader = Reader::new(memory, 65_536, 0);
        while let Some(batch) = reader.next(65_536).expect("it is whole") {
            for record in batch.records() {
                needed.take(record.sequence);
                taken.push(body.push(&record, 0, 10_000, &needed));
            }
        }
        assert_eq!(taken, [true, true, false]);
        assert_eq!(body.sequences(), 2..sequences[1] + 1);
    }
}
