//! A compaction: rewrites a run of ranges as one compacted file that holds what is still needed.
//!
//! Retention turns its crank, a batch of the journal at a time, so that a stop never waits for it.
//! It drops records whose messages are settled, settlements whose messages stand nowhere before the run, ids
//! that the dedup window has forgotten, and nothing else. Of a settled message whose id is remembered, the id
//! stays. It removes no file but its own unfinished one.
//!
//! ```text
//! run        | message 1 | message 2 | settled 1 | ids of 3 to 90 | message 91 |
//! compacted file  | id 1 | message 2 | ids of 3 to 90 | message 91 |      all in the order of their sequences
//! ```

use std::io;
use std::ops::Range;

use super::needed::Needed;
use super::window::Remembered;
use crate::journal::batch::Batch;
use crate::journal::compacted::{
    CompactedHeader, CompactedIndex, CompactedWriter, Entry, unfinished,
};
use crate::journal::error::JournalError;
use crate::journal::format::{Position, Settlement};
use crate::journal::reader::Reader;
use crate::journal::reserve;
use crate::journal::storage::{Name, Storage};
use crate::message::{CompactId, Sequence};

/// One that is under way.
pub(crate) struct Compaction<S: Storage> {
    reader: Reader<S>,
    writer: CompactedWriter<S>,
    header: CompactedHeader,
    needed: Needed,
    remembered: Remembered,
    before: Vec<Range<Sequence>>,
    end: Position,
    /// The file that is written over, and its length: it gets its name back if that fails, and what it
    /// took beyond is given back.
    spare: Option<(Name, u64)>,
}

/// What a step came to.
pub(crate) enum Step<S: Storage> {
    /// There is more to do.
    More(Box<Compaction<S>>),
    /// The compacted file stands under its name, and will survive a power loss.
    Done(CompactedIndex),
}

impl<S: Storage + Clone> Compaction<S> {
    /// Begins one of the ranges that `header` describes; `needed` tells all messages that must stay
    /// of the sequences in it, `remembered` the ids; `before` are sequences of messages that stand before
    /// it, whose settlements must stay. Where there is no room for a new file, `spare` is
    /// one to be written over.
    ///
    /// # Errors
    /// The compacted file cannot be made.
    pub(crate) fn begin(
        storage: &mut S,
        header: CompactedHeader,
        needed: Needed,
        (remembered, before): (Remembered, Vec<Range<Sequence>>),
        spare: Option<Name>,
    ) -> io::Result<Box<Self>> {
        let begin = header.segments.start * header.segment_len;
        let spare = match spare {
            Some(name) => {
                let len = reserve::len_of(storage, name)?;
                storage.rename(name, unfinished(&header))?;
                Some((name, len))
            }
            None => None,
        };
        let made = CompactedWriter::create(storage, header.clone(), spare.is_some());
        let writer = made.inspect_err(|_| give_up(storage, &header, spare))?;
        Ok(Box::new(Self {
            reader: Reader::new(storage.clone(), header.segment_len, begin),
            writer,
            end: header.segments.end * header.segment_len,
            header,
            needed,
            remembered,
            before,
            spare,
        }))
    }

    /// Carries the needed part of one batch forward, or ends the file.
    ///
    /// # Errors
    /// The journal cannot be read, or the compacted file cannot be written: it is given up.
    pub(crate) fn step(mut self: Box<Self>, storage: &mut S) -> Result<Step<S>, JournalError> {
        let (header, spare) = (self.header.clone(), self.spare);
        let name = unfinished(&header);
        let stepped = match self.carry(storage) {
            Ok(true) => return Ok(Step::More(self)),
            Ok(false) => self
                .writer
                .finish(storage)
                .map_err(|source| JournalError::File { name, source }),
            Err(error) => Err(error),
        };
        match stepped {
            Ok(index) => Ok(Step::Done(index)),
            Err(error) => {
                give_up(storage, &header, spare);
                Err(error)
            }
        }
    }

    fn carry(&mut self, storage: &S) -> Result<bool, JournalError> {
        let name = unfinished(&self.header);
        let Some(batch) = self.reader.next(self.end)? else {
            return Ok(false);
        };
        let mut carrier = Carrier {
            writer: &mut self.writer,
            storage,
            needed: &self.needed,
            remembered: &self.remembered,
            before: &self.before,
        };
        carrier
            .batch(&batch)
            .map_err(|source| JournalError::File { name, source })?;
        Ok(true)
    }
}

/// The file goes: back to what it was, or for good. Where the sync behind its renaming failed, it has its
/// name already, and nobody reads it: left there, it would bring back at the next start what is settled
/// since. Where not even that is possible, recovery removes it.
fn give_up<S: Storage>(storage: &mut S, header: &CompactedHeader, spare: Option<(Name, u64)>) {
    let mut take_back = |name| match spare {
        None => storage.remove(name),
        Some((spare, len)) => {
            storage.rename(name, spare)?;
            // Settlements need the room that it took beyond its own.
            reserve::cut(storage, spare, len);
            Ok(())
        }
    };
    let _ = take_back(unfinished(header)).or_else(|_| take_back(header.name()));
}

/// Carries what is needed of a batch forward.
struct Carrier<'a, S: Storage> {
    writer: &'a mut CompactedWriter<S>,
    storage: &'a S,
    needed: &'a Needed,
    remembered: &'a Remembered,
    before: &'a [Range<Sequence>],
}

impl<S: Storage> Carrier<'_, S> {
    fn batch(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        let time_us = batch.header().time_us;
        for record in batch.records() {
            if self.needed.contains(record.sequence) {
                let slack_us = self.slack_us(record.sequence, time_us);
                self.writer
                    .message(self.storage, &record, time_us, slack_us)?;
            } else {
                let id = record.message_id().value();
                let id = CompactId::of(id.as_bytes());
                self.id(&id, (record.position, record.sequence), time_us)?;
            }
        }
        let first_position = batch.header().position;
        for (at, (sequence, id)) in batch.ids().enumerate() {
            // Records are longer than a byte: no later entry stands before that.
            self.id(&id, (first_position + at as u64, sequence), time_us)?;
        }
        // Those of the run's own messages go with their messages.
        let stands = |it: &Settlement| self.before.iter().any(|of| of.contains(&it.sequence));
        let older: Vec<Settlement> = batch.settlements().filter(stands).collect();
        self.writer
            .settlements(self.storage, batch.header(), &older)
    }

    fn id(
        &mut self,
        id: &CompactId<'_>,
        (position, sequence): (Position, Sequence),
        time_us: u64,
    ) -> io::Result<()> {
        if !self.remembered.contains(sequence, time_us) {
            return Ok(());
        }
        let entry = Entry {
            position,
            sequence,
            time_us,
            slack_us: self.remembered.slack_us(),
        };
        self.writer.id(self.storage, id, &entry)
    }

    /// What is not remembered may count as recorded whenever.
    fn slack_us(&self, sequence: Sequence, time_us: u64) -> u64 {
        if self.remembered.contains(sequence, time_us) {
            self.remembered.slack_us()
        } else {
            u64::MAX
        }
    }
}
