//! A compaction: rewrites a run of stretches as one kept file that holds what is still needed.
//!
//! Retention turns its crank, a batch of the journal at a time, so that a stop never waits for it.
//! It drops records whose messages are settled, settlements whose messages are in the run, and
//! nothing else. It removes no file but its own unfinished one.

use std::io;

use super::survey::Word;
use crate::journal::batch::Batch;
use crate::journal::error::JournalError;
use crate::journal::kept::{KeptHeader, KeptIndex, KeptWriter, unfinished};
use crate::journal::reader::Reader;
use crate::journal::record::{Position, Settlement};
use crate::journal::storage::{Name, Storage};
use crate::message::Sequence;

/// The sequences that must stay, of a survey's words.
#[derive(Debug, Default)]
pub struct Needed(Vec<Word>);

impl Needed {
    /// More of them: words ascend.
    pub fn extend(&mut self, words: &[Word]) {
        self.0.extend_from_slice(words);
    }

    /// Whether this one must stay.
    #[must_use]
    pub fn contains(&self, sequence: Sequence) -> bool {
        let at = self
            .0
            .binary_search_by_key(&(sequence / 64), |it| it.number);
        at.is_ok_and(|at| self.0[at].bits >> (sequence % 64) & 1 == 1)
    }

    /// How many of these must stay.
    #[must_use]
    pub fn count(&self, sequences: &std::ops::Range<Sequence>) -> u64 {
        let first = self
            .0
            .partition_point(|it| it.number < sequences.start / 64);
        let words = self.0[first..].iter();
        let words = words.take_while(|it| it.number * 64 < sequences.end);
        let inside = |sequence: &Sequence| sequences.contains(sequence);
        words
            .map(|it| it.sequences().filter(inside).count() as u64)
            .sum()
    }
}

/// One that is under way.
pub struct Compaction<S: Storage> {
    reader: Reader<S>,
    writer: KeptWriter<S>,
    header: KeptHeader,
    needed: Needed,
    end: Position,
}

/// What a step came to.
pub enum Step<S: Storage> {
    /// There is more to do.
    More(Box<Compaction<S>>),
    /// The kept file stands under its name, and will survive a power loss.
    Done(KeptIndex),
}

impl<S: Storage + Clone> Compaction<S> {
    /// Begins one of the stretches that `header` describes; `needed` tells all that must stay of
    /// the sequences in it. Where there is no room for a new file, `spare` is one to be written over.
    ///
    /// # Errors
    /// The kept file cannot be made.
    pub fn begin(
        storage: &mut S,
        header: KeptHeader,
        needed: Needed,
        spare: Option<Name>,
    ) -> io::Result<Box<Self>> {
        let begin = header.segments.start * header.segment_len;
        if let Some(spare) = spare {
            storage.rename(spare, unfinished(&header))?;
        }
        let made = KeptWriter::create(storage, header.clone(), spare.is_some());
        let writer = made.inspect_err(|_| {
            // Where there is no room, what was begun takes none; recovery removes what is left.
            let _ = storage.remove(unfinished(&header));
        })?;
        Ok(Box::new(Self {
            reader: Reader::new(storage.clone(), header.segment_len, begin),
            writer,
            end: header.segments.end * header.segment_len,
            header,
            needed,
        }))
    }

    /// Carries the needed part of one batch forward, or ends the file.
    ///
    /// # Errors
    /// The journal cannot be read, or the kept file cannot be written: it is given up.
    pub fn step(mut self: Box<Self>, storage: &mut S) -> Result<Step<S>, JournalError> {
        let name = unfinished(&self.header);
        match self.carry(storage) {
            Ok(true) => Ok(Step::More(self)),
            Ok(false) => match self.writer.finish(storage) {
                Ok(index) => Ok(Step::Done(index)),
                Err(source) => {
                    // It may have its name already; then it is whole, and recovery takes it.
                    let _ = storage.remove(name);
                    Err(JournalError::File { name, source })
                }
            },
            Err(error) => {
                let _ = storage.remove(name);
                Err(error)
            }
        }
    }

    fn carry(&mut self, storage: &S) -> Result<bool, JournalError> {
        let name = unfinished(&self.header);
        let first = self.header.sequences.start;
        let Some(batch) = self.reader.next(self.end)? else {
            return Ok(false);
        };
        carry_batch(&mut self.writer, storage, &self.needed, first, &batch)
            .map_err(|source| JournalError::File { name, source })?;
        Ok(true)
    }
}

fn carry_batch<S: Storage>(
    writer: &mut KeptWriter<S>,
    storage: &S,
    needed: &Needed,
    first: Sequence,
    batch: &Batch<'_>,
) -> io::Result<()> {
    for record in batch.records().filter(|it| needed.contains(it.sequence)) {
        writer.message(storage, &record, batch.header().time_us)?;
    }
    // Those of the run's own messages go with their messages.
    let older: Vec<Settlement> = batch
        .settlements()
        .filter(|it| it.sequence < first)
        .collect();
    writer.settlements(storage, batch.header(), &older)
}
