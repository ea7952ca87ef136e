//! Reads the segments that shall go, and makes bodies of carried records of what must stay.
//!
//! Retention turns its crank, a batch of the journal at a time. A message that an earlier set has carried into
//! these segments is taken from there, with the position that it had at first.

use std::collections::VecDeque;

use super::Body;
use crate::journal::batch::JournalRecord;
use crate::journal::error::JournalError;
use crate::journal::format::Position;
use crate::journal::reader::Reader;
use crate::journal::retention::needed::Needed;
use crate::journal::storage::Storage;
use crate::limits::RECORD_MESSAGE_LEN_MAX;
use crate::message::Sequence;

/// What must stay cannot be gathered.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CollectError {
    #[error(transparent)]
    Journal(#[from] JournalError),
    #[error(
        "message {sequence} has {len} bytes as a carried record, and the group's servers take {len_max}: raise their \
         max_payload"
    )]
    TooLong {
        sequence: u64,
        len: usize,
        len_max: usize,
    },
}

/// See the module.
pub(crate) struct Collecting<S: Storage> {
    reader: Reader<S>,
    end: Position,
    needed: Needed,
    /// Bytes of a record's batches at most.
    len_max: usize,
    ready: VecDeque<Body>,
    filling: Body,
    is_through: bool,
}

impl<S: Storage> Collecting<S> {
    /// Reads what stands before `end`; `needed` tells all messages that must stay of it.
    pub(crate) fn new(reader: Reader<S>, end: Position, needed: Needed, len_max: usize) -> Self {
        Self {
            reader,
            end,
            needed,
            len_max: len_max.min(RECORD_MESSAGE_LEN_MAX),
            ready: VecDeque::new(),
            filling: Body::default(),
            is_through: false,
        }
    }

    /// Whether a body is full.
    pub(crate) fn has_body(&self) -> bool {
        !self.ready.is_empty()
    }

    /// The next body, if one is full.
    pub(crate) fn take(&mut self) -> Option<Body> {
        self.ready.pop_front()
    }

    /// Whether there is something to read, and no body waits.
    pub(crate) fn wants_step(&self) -> bool {
        self.ready.is_empty() && !self.is_through
    }

    /// Whether all bodies were taken.
    pub(crate) fn is_done(&self) -> bool {
        self.ready.is_empty() && self.is_through
    }

    /// What must stay and was not found: it stands further on.
    pub(crate) fn left(&self) -> impl Iterator<Item = Sequence> {
        self.needed.sequences()
    }

    /// Reads one batch.
    ///
    /// # Errors
    /// The journal cannot be read, or a message is too long for any record.
    pub(crate) fn step(&mut self) -> Result<(), CollectError> {
        let Some(batch) = self.reader.next(self.end)? else {
            self.is_through = true;
            if !self.filling.is_empty() {
                self.ready.push_back(std::mem::take(&mut self.filling));
            }
            return Ok(());
        };
        let time_us = batch.header().time_us;
        let plain = batch.records().map(|it| (it, time_us));
        let carried = batch.carried().map(|it| (it.record, it.time_us));
        for (record, time_us) in plain.chain(carried) {
            if self.needed.take(record.sequence) {
                push(
                    &mut self.filling,
                    &mut self.ready,
                    &record,
                    time_us,
                    self.len_max,
                    &self.needed,
                )?;
            }
        }
        Ok(())
    }
}

/// Into the body that is filled, or the next one.
fn push(
    filling: &mut Body,
    ready: &mut VecDeque<Body>,
    record: &JournalRecord<'_>,
    time_us: u64,
    len_max: usize,
    needed: &Needed,
) -> Result<(), CollectError> {
    if filling.push(record, time_us, len_max, needed) {
        return Ok(());
    }
    if !filling.is_empty() {
        ready.push_back(std::mem::take(filling));
    }
    if filling.push(record, time_us, len_max, needed) {
        return Ok(());
    }
    Err(CollectError::TooLong {
        sequence: record.sequence,
        len: Body::len_of_one(record.record_len()),
        len_max,
    })
}
