//! The part of the reader that reads compacted files.

use super::Reader;
use crate::journal::batch::Batch;
use crate::journal::compacted::{CompactedReader, covering};
use crate::journal::error::JournalError;
use crate::journal::format::BatchHeader;
use crate::journal::storage::{Name, Storage};

impl<S: Storage> Reader<S> {
    /// Whether a compacted file stands for the segment of the position. Where nothing does, and the
    /// reader was told to begin there, it moves to the first file that is there.
    pub(super) fn enter_compacted(&mut self) -> Result<bool, JournalError> {
        let number = self.number();
        if let Some(compacted) = &self.compacted {
            if compacted.header().segments.contains(&number) {
                return Ok(true);
            }
            self.compacted = None;
        }
        if self.open.as_ref().is_some_and(|it| it.number == number) {
            return Ok(false);
        }
        let names = self.storage.list().map_err(JournalError::List)?;
        self.skip_to_first(&names);
        let Some(segments) = covering(&names, self.number()) else {
            return Ok(false);
        };
        self.forget();
        self.compacted = Some(CompactedReader::open(&self.storage, segments)?);
        Ok(true)
    }

    /// The next batch of the compacted file; `None`: the position is behind it now.
    pub(super) fn look_into_compacted(&mut self) -> Result<Option<BatchHeader>, JournalError> {
        let compacted = self
            .compacted
            .as_mut()
            .expect("`enter_compacted` has opened it");
        while let Some(header) = compacted.advance(&self.storage)? {
            if header.position >= self.position {
                return Ok(Some(header));
            }
        }
        self.position = compacted.header().segments.end * self.segment_len;
        self.compacted = None;
        self.is_new = false;
        Ok(None)
    }

    /// Hands out the batch that [`Reader::look_into_compacted`] has found. What comes next in that file
    /// stands further on, wherever it does.
    pub(super) fn take_compacted(&mut self, header: BatchHeader) -> Batch<'_> {
        self.position = header.position + 1;
        self.is_new = false;
        let compacted = self.compacted.as_ref().expect("it was read a moment ago");
        Batch::new(header, compacted.body(), self.position).of_compacted_file()
    }

    /// Moves to the first file that is there, if all of them are later ones.
    fn skip_to_first(&mut self, names: &[Name]) {
        let firsts = names.iter().filter_map(|name| match *name {
            Name::Segment(number) | Name::Compacted(number, _) => Some(number),
            _ => None,
        });
        let first = firsts.min().unwrap_or(0);
        if self.is_new && first > self.number() {
            self.skipped_segments = first - self.number();
            self.position = first * self.segment_len;
        }
    }
}
