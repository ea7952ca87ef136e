//! The part of a survey that reads kept files.

use std::io;
use std::ops::Range;

use super::{Finding, KeptHole, State, Survey};
use crate::journal::error::JournalError;
use crate::journal::kept::{HEADER_LEN, KeptReader};
use crate::journal::record::BatchHeader;
use crate::journal::storage::Storage;

impl<S: Storage> Survey<S> {
    /// Opens a kept file; `None`: it is gone.
    pub(super) fn begin_kept(
        &mut self,
        segments: Range<u64>,
    ) -> Result<Option<Finding<'static>>, JournalError> {
        let storage = &self.reader.storage;
        let opened = match KeptReader::open(storage, segments.clone()) {
            Err(JournalError::Kept { name, damage, .. }) => {
                self.damaged_header = Some(KeptHole {
                    name,
                    offset: 0,
                    len: HEADER_LEN as u64,
                    damage,
                });
                KeptReader::open_damaged(storage, segments.clone(), self.reader.segment_len)
            }
            opened => opened,
        };
        match opened {
            Ok(kept) => {
                let is_whole = self.damaged_header.is_none();
                let header = is_whole.then(|| kept.header().clone());
                self.reader.kept = Some(kept);
                self.state = State::Kept;
                Ok(Some(Finding::Kept { segments, header }))
            }
            Err(JournalError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => {
                self.look_again();
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// The next batch of the kept file, or what is damaged there; `None`: look at the state.
    pub(super) fn step_kept(
        &mut self,
    ) -> Result<Option<Result<BatchHeader, KeptHole>>, JournalError> {
        let reader = &mut self.reader;
        let kept = reader.kept.as_mut().expect("`begin_kept` has opened it");
        let offset = kept.offset();
        let damage = match self.damaged_header {
            Some(hole) => hole.damage,
            None => match kept.advance(&reader.storage) {
                // Read before, in a file that is gone.
                Ok(Some(header)) if header.position < reader.position => return Ok(None),
                Ok(Some(header)) => return Ok(Some(Ok(header))),
                Ok(None) => {
                    self.leave_kept();
                    return Ok(None);
                }
                Err(JournalError::Kept { damage, .. }) => damage,
                Err(error) => return Err(error),
            },
        };
        let name = kept.header().name();
        let names = reader.storage.list().map_err(JournalError::List)?;
        if !names.contains(&name) {
            self.damaged_header = None;
            self.look_again();
            return Ok(None);
        }
        if let Some(hole) = self.damaged_header.take() {
            return Ok(Some(Err(hole)));
        }
        let goes_on = kept.pass_damage(&reader.storage)?;
        let len = kept.offset() - offset;
        if !goes_on {
            self.leave_kept();
        }
        Ok(Some(Err(KeptHole {
            name,
            offset,
            len,
            damage,
        })))
    }

    fn leave_kept(&mut self) {
        if let Some(kept) = self.reader.kept.take() {
            let end = kept.header().segments.end * self.reader.segment_len;
            self.reader.position = end;
            self.state = State::Between(end);
        }
    }
}
