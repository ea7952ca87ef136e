//! The part of the reader that opens segments and fills the window from them.

use std::io;

use super::{Open, Reader, header};
use crate::journal::error::{Damage, JournalError};
use crate::journal::format::{Position, SegmentHeader, SegmentHeaderError};
use crate::journal::storage::{Name, Storage};

impl<S: Storage> Reader<S> {
    /// Makes `len` bytes stand in the window, from what the file has before `limit`.
    pub(super) fn fill(&mut self, len: usize, limit: Position) -> Result<bool, JournalError> {
        if self.window.len() >= len {
            return Ok(true);
        }
        self.buffer.copy_within(self.window.clone(), 0);
        self.window = 0..self.window.len();
        let room = (limit - self.position).min(self.buffer.len() as u64) as usize;
        while self.window.len() < len.min(room) {
            let offset = self.position % self.segment_len + self.window.len() as u64;
            let into = &mut self.buffer[self.window.end..room];
            let file = &self.open.as_ref().expect("`enter` has opened it").file;
            match read_at(&self.storage, file, offset, into) {
                Ok(0) => break,
                Ok(count) => self.window.end += count,
                Err(source) => return Err(self.unreadable(offset, source)),
            }
        }
        Ok(self.window.len() >= len)
    }

    /// Opens the segment of the position, and stands behind its header.
    pub(super) fn enter(&mut self) -> Result<Option<Damage>, JournalError> {
        if self
            .open
            .as_ref()
            .is_none_or(|it| it.number != self.number())
        {
            self.window = 0..0;
            self.open = self.open_segment()?;
        }
        let Some(open) = &self.open else {
            return Ok(Some(Damage::Absent));
        };
        if open.damage.is_none() {
            self.position = self.position.max(self.first_batch());
        }
        Ok(open.damage)
    }

    fn open_segment(&mut self) -> Result<Option<Open<S::Segment>>, JournalError> {
        let number = self.number();
        let file = match self.storage.open(Name::Segment(number)) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(self.unreadable(0, error)),
        };
        let header = header::read(&self.storage, &file);
        let header = header.map_err(|error| self.unreadable(0, error))?;
        let damage = self.damage_of(number, header)?;
        Ok(Some(Open {
            number,
            file,
            damage,
        }))
    }

    /// What is wrong with the header that was read from this segment.
    fn damage_of(
        &self,
        segment: u64,
        header: Result<SegmentHeader, SegmentHeaderError>,
    ) -> Result<Option<Damage>, JournalError> {
        match header {
            Err(error) => Ok(Some(Damage::SegmentHeader(error))),
            Ok(header) if header.number != segment => Ok(Some(Damage::OtherSegment(header.number))),
            Ok(header) if header.segment_len != self.segment_len => Err(JournalError::SegmentLen {
                segment,
                found: header.segment_len,
                expected: self.segment_len,
            }),
            Ok(_) => Ok(None),
        }
    }
}

/// Reads, again when a signal came between.
fn read_at<S: Storage>(
    storage: &S,
    file: &S::Segment,
    offset: u64,
    into: &mut [u8],
) -> io::Result<usize> {
    loop {
        match storage.read_at(file, offset, into) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            answer => return answer,
        }
    }
}
