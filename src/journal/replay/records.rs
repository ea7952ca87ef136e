//! Finds a record by its position: in its segment, in the compacted file that stands for that, or where a group
//! has carried it.
//!
//! The agent asks for one record at a time; files stay open from one to the next, for a backlog is
//! read in long ranges. It checks that the record is the one that was asked for.

use std::io;
use std::sync::Arc;

use super::error::ReplayError;
use crate::journal::batch::Batch;
use crate::journal::carried::CarriedIndex;
use crate::journal::compacted::{CompactedIndex, CompactedReader};
use crate::journal::error::JournalError;
use crate::journal::format::BatchHeader;
use crate::journal::protocol::{CompactedFiles, Fetch, Moved};
use crate::journal::storage::{Name, Storage, read_full};
use crate::limits::LINE_LEN_MAX;
use crate::message::Record;
use crate::message::layout::record_len;

/// A compacted file, and the batch of it that was read last.
struct OpenCompacted<S: Storage> {
    reader: CompactedReader<S>,
    /// Its offset in the file, and its header.
    batch: Option<(u64, BatchHeader)>,
}

pub(super) struct Records<S: Storage> {
    storage: S,
    segment_len: u64,
    /// In their order.
    files: CompactedFiles,
    carried: Arc<CarriedIndex>,
    /// The segment read last.
    segment: Option<(u64, S::Segment)>,
    /// The compacted file read last.
    compacted: Option<OpenCompacted<S>>,
    buffer: Vec<u8>,
}

impl<S: Storage> Records<S> {
    pub(super) fn new(storage: S, segment_len: u64, files: CompactedFiles) -> Self {
        Self {
            storage,
            segment_len,
            files,
            carried: Arc::default(),
            segment: None,
            compacted: None,
            buffer: vec![0; record_len(LINE_LEN_MAX)],
        }
    }

    /// From now on reads from where things are now, and from no file that they have left.
    pub(super) fn switch(&mut self, moved: Moved) {
        match moved {
            Moved::Compacted(files) => self.files = files,
            Moved::Carried(index) => self.carried = index,
        }
        self.close();
    }

    /// Opens each file anew: a read that failed may have failed for its descriptor.
    pub(super) fn close(&mut self) {
        (self.segment, self.compacted) = (None, None);
    }

    /// Reads the record.
    ///
    /// # Errors
    /// It cannot be read, or another one stands there.
    pub(super) fn read(&mut self, wanted: &Fetch) -> Result<Record<'_>, ReplayError> {
        let sequence = wanted.sequence;
        let position = self.carried.place_of(sequence, wanted.position);
        let (segment, offset) = (position / self.segment_len, position % self.segment_len);
        let len = wanted.len as usize;
        if !self.read_compacted(wanted, segment)? {
            self.read_segment(segment, offset, len)
                .map_err(|source| ReplayError::Read {
                    segment,
                    offset,
                    sequence,
                    source,
                })?;
        }
        let found = Record::parse(&self.buffer[..len]);
        found
            .filter(|it| it.sequence_from(sequence) == sequence)
            .ok_or(ReplayError::Changed {
                segment,
                offset,
                sequence,
            })
    }

    fn read_segment(&mut self, number: u64, offset: u64, len: usize) -> io::Result<()> {
        let file = match self.segment.take() {
            Some((open, file)) if open == number => file,
            _ => self.storage.open(Name::Segment(number))?,
        };
        let (_, file) = self.segment.insert((number, file));
        let into = &mut self.buffer[..len];
        if read_full(&self.storage, file, offset, into)? < len {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(())
    }

    /// Reads the record from the compacted file that stands for its segment; `false`: none does.
    fn read_compacted(&mut self, wanted: &Fetch, segment: u64) -> Result<bool, JournalError> {
        let Some(index) = standing_for(&self.files, segment) else {
            return Ok(false);
        };
        let segments = &index.header.segments;
        let open = match self.compacted.take() {
            Some(open) if open.reader.header().segments == *segments => open,
            _ => OpenCompacted {
                reader: CompactedReader::open(&self.storage, segments.clone())?,
                batch: None,
            },
        };
        let OpenCompacted { reader, batch } = self.compacted.insert(open);
        // A record that is not found leaves the buffer as it is now: no record.
        self.buffer[..record_len(0)].fill(0);
        let Some(offset) = index.batch_of(wanted.position) else {
            return Ok(true);
        };
        if batch.is_none_or(|(at, _)| at != offset) {
            reader.seek(offset);
            *batch = reader
                .advance(&self.storage)?
                .map(|header| (offset, header));
        }
        let Some((_, header)) = *batch else {
            return Ok(true);
        };
        let mut records = Batch::new(header, reader.body(), 0).records();
        let found = records
            .find(|it| it.position >= wanted.position)
            .filter(|it| it.position == wanted.position);
        if let Some(record) = found.filter(|it| it.record_len() == wanted.len as usize) {
            record.encode(&mut self.buffer[..wanted.len as usize]);
        }
        Ok(true)
    }
}

fn standing_for(files: &CompactedFiles, segment: u64) -> Option<&CompactedIndex> {
    let behind = files.partition_point(|it| it.header.segments.start <= segment);
    let index = &files[behind.checked_sub(1)?];
    index.header.segments.contains(&segment).then_some(index)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::journal::compacted::{CompactedHeader, CompactedWriter};
    use crate::journal::reader::Reader;
    use crate::journal::testing::{Memory, TestWriter};

    const SEGMENT: u64 = 4_096;

    /// A journal of some segments, and a request for each of its messages.
    fn journal() -> (Memory, Vec<Fetch>) {
        let memory = Memory::default();
        let mut writer = TestWriter::new(memory.clone(), SEGMENT);
        for sequence in 1..40 {
            writer.plain(sequence..=sequence);
        }
        writer.close();
        let mut reader = Reader::new(memory.clone(), SEGMENT, 0);
        let mut requests = Vec::new();
        while let Some(batch) = reader.next(u64::MAX).expect("it is whole") {
            requests.extend(batch.records().map(|it| Fetch {
                slot: 0,
                sequence: it.sequence,
                position: it.position,
                len: it.record_len() as u32,
            }));
        }
        (memory, requests)
    }

    /// Carries the messages of the first two segments forward, all but one, and removes the segments.
    fn compact(memory: &Memory, dropped: u64) -> Arc<CompactedIndex> {
        let header = CompactedHeader {
            segments: 0..2,
            segment_len: SEGMENT,
            sequences: 1..40,
            end_ms: 1,
        };
        let mut storage = memory.clone();
        let writer = CompactedWriter::create(&mut storage, header, false);
        let mut writer = writer.expect("memory");
        let mut reader = Reader::new(memory.clone(), SEGMENT, 0);
        while let Some(batch) = reader.next(2 * SEGMENT).expect("it is whole") {
            for record in batch.records().filter(|it| it.sequence != dropped) {
                let carried = writer.message(&storage, &record, 0, u64::MAX);
                carried.expect("memory");
            }
        }
        let index = writer.finish(&mut storage).expect("memory");
        for number in 0..2 {
            storage.remove(Name::Segment(number)).expect("it is there");
        }
        Arc::new(index)
    }

    fn read(records: &mut Records<Memory>, wanted: &Fetch) -> Result<Vec<u8>, ReplayError> {
        records.read(wanted).map(|it| it.frame().to_vec())
    }

    #[test]
    fn a_record_is_the_same_in_its_segment_and_in_a_compacted_file() {
        let (memory, requests) = journal();
        assert!(requests.iter().any(|it| it.position > 2 * SEGMENT));
        let mut records = Records::new(memory.clone(), SEGMENT, Vec::new());
        let before: Vec<_> = requests
            .iter()
            .map(|it| read(&mut records, it).expect("it is there"))
            .collect();
        records.switch(Moved::Compacted(vec![compact(&memory, 0)]));
        for (request, frame) in requests.iter().zip(before).rev() {
            assert_eq!(read(&mut records, request).expect("it is there"), frame);
        }
    }

    #[test]
    fn a_record_that_is_not_where_it_was_is_no_passing_failure() {
        let (memory, requests) = journal();
        let wrong = Fetch {
            sequence: 9,
            ..requests[0]
        };
        let mut records = Records::new(memory.clone(), SEGMENT, Vec::new());
        let error = read(&mut records, &wrong).expect_err("it is another one");
        assert!(!error.is_transient(), "{error}");
        records.switch(Moved::Compacted(vec![compact(
            &memory,
            requests[3].sequence,
        )]));
        read(&mut records, &requests[2]).expect("it is there");
        let error = read(&mut records, &requests[3]).expect_err("it was dropped");
        assert!(!error.is_transient(), "{error}");
        read(&mut records, &requests[4]).expect("it is there");
    }

    #[test]
    fn a_file_that_is_not_there_or_short_may_come_back() {
        let (memory, requests) = journal();
        let mut records = Records::new(memory.clone(), SEGMENT, Vec::new());
        let first = memory.files().remove(&Name::Segment(0)).expect("a segment");
        let error = read(&mut records, &requests[0]).expect_err("it is gone");
        assert!(error.is_transient(), "{error}");
        memory.files().insert(Name::Segment(0), first[..200].into());
        let error = read(&mut records, &requests[0]).expect_err("it is short");
        assert!(error.is_transient(), "{error}");
        memory.files().insert(Name::Segment(0), first);
        records.close();
        read(&mut records, &requests[0]).expect("it is there");
    }

    #[test]
    fn a_record_that_a_group_has_carried_is_read_from_where_it_stands_now() {
        let (memory, requests) = journal();
        let (first, last) = (requests[0], requests[requests.len() - 1]);
        let mut records = Records::new(memory.clone(), SEGMENT, Vec::new());
        let frame = read(&mut records, &last).expect("it is there");
        let places = vec![(last.sequence, last.position)];
        records.switch(Moved::Carried(Arc::new(CarriedIndex::new(SEGMENT, places))));
        memory.files().remove(&Name::Segment(0)).expect("a segment");
        // Whoever asks knows the place that it had, or another one since.
        let asked = Fetch {
            position: first.position,
            ..last
        };
        assert_eq!(read(&mut records, &asked).expect("it is there"), frame);
        assert_eq!(read(&mut records, &last).expect("it is there"), frame);
    }
}
