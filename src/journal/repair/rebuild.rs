//! Makes the damaged segments and compacted files anew, as a [`Plan`] says: whole batches byte for byte, and
//! voids where nothing can be read.

use std::io;
use std::iter::once;
use std::ops::Range;

use super::Plan;
use crate::clock::BootTie;
use crate::journal::batch::Batch;
use crate::journal::compacted::{CompactedHeader, CompactedWriter};
use crate::journal::error::{Damage, JournalError};
use crate::journal::format::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, SEGMENT_HEADER_LEN, SegmentHeader,
};
use crate::journal::reader::Tail;
use crate::journal::reader::scan::{Finding, Hole, Scan};
use crate::journal::storage::{Name, Storage, write_whole};
use crate::limits::BATCH_LEN_MAX;

/// Makes the segments of `plan` anew, in `target`.
///
/// # Errors
/// The journal cannot be read, or `target` not be written.
pub(crate) fn rebuild<S: Storage, T: Storage>(
    mut scan: Scan<S>,
    segment_len: u64,
    plan: &Plan,
    target: &mut T,
    now_us: u64,
) -> Result<(), JournalError> {
    let mut builder = Builder {
        target,
        segment_len,
        plan,
        open: None,
        compacted: None,
        now_us,
    };
    while let Some(found) = scan.advance()? {
        let position = builder.open.as_ref().map_or(0, |it| it.position);
        let built = match found {
            Finding::Segment(number) => builder.begin(number),
            Finding::Batch(batch) => builder.copy(&batch),
            Finding::Compacted { segments, header } => builder.begin_compacted(segments, header),
            Finding::Hole(hole) => builder.fill(&hole),
            Finding::CompactedHole(_) => Ok(()),
            Finding::Tail(tail) => builder.end(&tail),
        };
        built.map_err(|source| JournalError::Unwritten {
            segment: position / segment_len,
            offset: position % segment_len,
            source,
        })?;
    }
    Ok(())
}

/// The segment that is being made.
struct Open<Segment> {
    file: Segment,
    /// Where the next batch goes.
    position: Position,
}

struct Builder<'a, T: Storage> {
    target: &'a mut T,
    segment_len: u64,
    plan: &'a Plan,
    open: Option<Open<T::Segment>>,
    /// The compacted file that is being made.
    compacted: Option<CompactedWriter<T>>,
    now_us: u64,
}

impl<T: Storage> Builder<'_, T> {
    fn begin(&mut self, number: u64) -> io::Result<()> {
        let position = number * self.segment_len + SEGMENT_HEADER_LEN as u64;
        if self.open.as_ref().is_some_and(|it| it.position == position) {
            // It was listed, and is not there: it comes again, and then as a hole.
            return Ok(());
        }
        self.close()?;
        if !self.plan.segments.contains(&number) {
            return Ok(());
        }
        let file = self.target.create(Name::Segment(number))?;
        let header = SegmentHeader {
            number,
            segment_len: self.segment_len,
            created_ms: self.now_us / 1_000,
            tie: BootTie::default(),
        };
        write_whole(self.target, &file, 0, &header.encode())?;
        self.open = Some(Open { file, position });
        Ok(())
    }

    /// Begins a compacted file with this header, or, where that is damaged, with what is known of it.
    fn begin_compacted(
        &mut self,
        segments: Range<u64>,
        found: Option<CompactedHeader>,
    ) -> io::Result<()> {
        self.close()?;
        let course = self.plan.compacted.get(&(segments.start, segments.end));
        let Some(course) = course else {
            return Ok(());
        };
        let header = found.unwrap_or(CompactedHeader {
            segments,
            segment_len: self.segment_len,
            sequences: course.sequences.clone(),
            end_ms: course.end_us / 1_000,
        });
        self.compacted = Some(CompactedWriter::create(self.target, header, false)?);
        Ok(())
    }

    fn copy(&mut self, batch: &Batch<'_>) -> io::Result<()> {
        match &mut self.compacted {
            Some(compacted) => compacted.copy(self.target, batch),
            None if batch.is_of_compacted_file() => Ok(()),
            // Byte for byte: members of a group compare what they have.
            None => self.put_bytes(batch.position(), batch.bytes()),
        }
    }

    fn fill(&mut self, hole: &Hole) -> io::Result<()> {
        if hole.damage == Damage::Absent {
            for number in hole.from / self.segment_len..hole.to / self.segment_len {
                self.begin(number)?;
            }
            return Ok(());
        }
        // Where nothing more stands in the segment, its end mark tells all.
        if hole.to.is_multiple_of(self.segment_len) {
            return Ok(());
        }
        while let Some(position) = self.open.as_ref().map(|it| it.position)
            && position < hole.to
        {
            let body_len = void_len(hole.to - position)?;
            let header = self.header(BatchKind::Void, body_len, position);
            self.put(header, &vec![0; body_len])?;
        }
        Ok(())
    }

    /// The last segment is left open, as it was: recovery closes it.
    fn end(&mut self, tail: &Tail) -> io::Result<()> {
        if tail.position.is_multiple_of(self.segment_len) || self.compacted.is_some() {
            return self.close();
        }
        self.finish()
    }

    fn close(&mut self) -> io::Result<()> {
        if let Some(compacted) = self.compacted.take() {
            compacted.finish(self.target)?;
        }
        if let Some(position) = self.open.as_ref().map(|it| it.position) {
            let left = self.segment_len - position % self.segment_len;
            if !position.is_multiple_of(self.segment_len) && left >= BATCH_HEADER_LEN as u64 {
                self.put(self.header(BatchKind::End, 0, position), &[])?;
            }
        }
        self.finish()
    }

    fn finish(&mut self) -> io::Result<()> {
        match self.open.take() {
            Some(open) => self.target.sync(&open.file),
            None => Ok(()),
        }
    }

    fn header(&self, kind: BatchKind, body_len: usize, position: Position) -> BatchHeader {
        BatchHeader {
            crc: 0,
            body_len: body_len as u32,
            kind,
            entries: 0,
            position,
            first_sequence: 0,
            time_us: self.now_us,
        }
    }

    fn put(&mut self, header: BatchHeader, body: &[u8]) -> io::Result<()> {
        let mut head = [0; BATCH_HEADER_LEN];
        header.encode(once(body), &mut head);
        self.put_bytes(header.position, &[&head, body].concat())
    }

    /// Writes a batch into the open segment, if this one is made anew.
    fn put_bytes(&mut self, position: Position, bytes: &[u8]) -> io::Result<()> {
        let Some(open) = &mut self.open else {
            return Ok(());
        };
        assert!(open.position == position, "batches and voids leave no gap");
        let offset = open.position % self.segment_len;
        write_whole(self.target, &open.file, offset, bytes)?;
        open.position += bytes.len() as u64;
        Ok(())
    }
}

/// Bytes of the body of the next of the voids that fill so many bytes.
pub(super) fn void_len(bytes: u64) -> io::Result<usize> {
    let header = BATCH_HEADER_LEN as u64;
    let max = header + BATCH_LEN_MAX as u64;
    let len = match bytes {
        _ if bytes <= max => bytes,
        // The last one must have room for its header.
        _ if bytes - max < header => max - header,
        _ => max,
    };
    let body = len.checked_sub(header);
    body.map(|it| it as usize)
        .ok_or_else(|| io::Error::other("two batches overlap: this is no journal's damage"))
}
