//! The part of a scan that reads compacted files.

use std::io;
use std::ops::Range;

use super::{CompactedHole, Finding, Scan, State};
use crate::journal::compacted::{CompactedReader, HEADER_LEN};
use crate::journal::error::{Damage, JournalError};
use crate::journal::format::BatchHeader;
use crate::journal::storage::Storage;

impl<S: Storage> Scan<S> {
    /// Opens a compacted file; `None`: it is gone.
    pub(super) fn begin_compacted(
        &mut self,
        segments: Range<u64>,
    ) -> Result<Option<Finding<'static>>, JournalError> {
        let storage = &self.reader.storage;
        let opened = CompactedReader::open(storage, segments.clone());
        let wrong = match &opened {
            Err(JournalError::Compacted { name, damage, .. }) => Some((*name, *damage)),
            Err(JournalError::CompactedVersion { name, source }) => {
                Some((*name, Damage::SegmentHeader(*source)))
            }
            _ => None,
        };
        let opened = match wrong {
            Some((name, damage)) => {
                self.damaged_header = Some(CompactedHole {
                    name,
                    offset: 0,
                    len: HEADER_LEN as u64,
                    damage,
                });
                CompactedReader::open_damaged(storage, segments.clone(), self.reader.segment_len)
            }
            None => opened,
        };
        match opened {
            Ok(compacted) => {
                let is_whole = self.damaged_header.is_none();
                let header = is_whole.then(|| compacted.header().clone());
                self.reader.compacted = Some(compacted);
                self.state = State::Compacted;
                Ok(Some(Finding::Compacted { segments, header }))
            }
            Err(JournalError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                self.look_again()?;
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The next batch of the compacted file, or what is damaged there; `None`: look at the state.
    pub(super) fn step_compacted(
        &mut self,
    ) -> Result<Option<Result<BatchHeader, CompactedHole>>, JournalError> {
        let reader = &mut self.reader;
        let compacted = reader
            .compacted
            .as_mut()
            .expect("`begin_compacted` has opened it");
        let offset = compacted.offset();
        let damage = match self.damaged_header {
            Some(hole) => hole.damage,
            None => match compacted.advance(&reader.storage) {
                // Read before, in a file that is gone.
                Ok(Some(header)) if header.position < reader.position => return Ok(None),
                Ok(Some(header)) => return Ok(Some(Ok(header))),
                Ok(None) => {
                    self.leave_compacted();
                    return Ok(None);
                }
                Err(JournalError::Compacted { damage, .. }) => damage,
                Err(error) => return Err(error),
            },
        };
        let name = compacted.header().name();
        let names = reader.storage.list().map_err(JournalError::List)?;
        if !names.contains(&name) {
            self.damaged_header = None;
            self.look_again()?;
            return Ok(None);
        }
        if let Some(hole) = self.damaged_header.take() {
            return Ok(Some(Err(hole)));
        }
        let goes_on = compacted.pass_damage(&reader.storage)?;
        let len = compacted.offset() - offset;
        if !goes_on {
            self.leave_compacted();
        }
        Ok(Some(Err(CompactedHole {
            name,
            offset,
            len,
            damage,
        })))
    }

    fn leave_compacted(&mut self) {
        if let Some(compacted) = self.reader.compacted.take() {
            let end = compacted.header().segments.end * self.reader.segment_len;
            self.reader.position = end;
            self.state = State::Between(end);
        }
    }
}
