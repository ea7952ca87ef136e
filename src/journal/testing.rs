//! For tests and fuzzing only: segments in memory that can be torn, a plain writer, and messages to write.
//!
//! The writer keeps the layout's rules (segment headers, end marks, batches that never cross a
//! segment) in the simplest way there is, so that readers are tested against something else than
//! the engine's own writer.

use std::collections::BTreeMap;
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, MutexGuard};

use super::format::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, SEGMENT_HEADER_LEN, SETTLEMENT_LEN,
    SegmentHeader, Settlement,
};
use super::storage::{Name, Storage};
use crate::message::Record;
use crate::message::layout::{RecordHeader, Span};

/// 2023-11-14 22:13:20 UTC.
pub(crate) const TIME_US: u64 = 1_700_000_000_000_000;

/// Files in memory; clones share them.
#[derive(Debug, Clone, Default)]
pub(crate) struct Memory(Arc<Mutex<BTreeMap<Name, Vec<u8>>>>);

impl Memory {
    /// The bytes of all files.
    pub(crate) fn files(&self) -> MutexGuard<'_, BTreeMap<Name, Vec<u8>>> {
        self.0
            .lock()
            .expect("no test panicked while it held the lock")
    }

    /// A copy that shares nothing.
    pub(crate) fn copy(&self) -> Self {
        Self(Arc::new(Mutex::new(self.files().clone())))
    }
}

impl Storage for Memory {
    type Segment = Name;

    fn list(&self) -> io::Result<Vec<Name>> {
        Ok(self.files().keys().copied().collect())
    }

    fn create(&mut self, name: Name) -> io::Result<Name> {
        let mut files = self.files();
        if files.contains_key(&name) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        files.insert(name, Vec::new());
        Ok(name)
    }

    fn open(&self, name: Name) -> io::Result<Name> {
        let known = self.files().contains_key(&name);
        known
            .then_some(name)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn resume(&mut self, name: Name) -> io::Result<Name> {
        self.open(name)
    }

    fn rename(&mut self, from: Name, to: Name) -> io::Result<()> {
        let mut files = self.files();
        let bytes = files.remove(&from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to, bytes);
        Ok(())
    }

    fn remove(&mut self, name: Name) -> io::Result<()> {
        let removed = self.files().remove(&name);
        removed
            .map(drop)
            .ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn sync_names(&self) -> io::Result<()> {
        Ok(())
    }

    fn len(&self, name: &Name) -> io::Result<u64> {
        let files = self.files();
        let file = files.get(name).ok_or(io::ErrorKind::NotFound)?;
        Ok(file.len() as u64)
    }

    fn truncate(&self, name: &Name, len: u64) -> io::Result<()> {
        let mut files = self.files();
        let file = files.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        file.resize(len as usize, 0);
        Ok(())
    }

    fn write_at(&self, name: &Name, offset: u64, pieces: &[IoSlice<'_>]) -> io::Result<usize> {
        let mut files = self.files();
        let file = files.get_mut(name).ok_or(io::ErrorKind::NotFound)?;
        let bytes: Vec<u8> = pieces.iter().flat_map(|it| it.to_vec()).collect();
        let end = offset as usize + bytes.len();
        file.resize(file.len().max(end), 0);
        file[offset as usize..end].copy_from_slice(&bytes);
        Ok(bytes.len())
    }

    /// Gives at most 1,000 bytes at a time: short reads are normal.
    fn read_at(&self, name: &Name, offset: u64, into: &mut [u8]) -> io::Result<usize> {
        let files = self.files();
        let file = files.get(name).ok_or(io::ErrorKind::NotFound)?;
        let rest = file.get(offset as usize..).unwrap_or_default();
        let count = rest.len().min(into.len()).min(1_000);
        into[..count].copy_from_slice(&rest[..count]);
        Ok(count)
    }

    fn sync(&self, _: &Name) -> io::Result<()> {
        Ok(())
    }
}

/// A message to be written.
#[derive(Debug, Clone)]
pub(crate) struct TestMessage {
    pub(crate) sequence: u64,
    /// `messageId` as it stands in the frame, escapes and all.
    pub(crate) id: String,
    pub(crate) destination: String,
    pub(crate) priority: u8,
    pub(crate) payload: Option<String>,
}

impl TestMessage {
    pub(crate) fn new(sequence: u64) -> Self {
        Self {
            sequence,
            id: format!("server1-{sequence}-abc"),
            destination: format!("table{}", sequence % 4 + 1),
            priority: (sequence % 3 + 1) as u8,
            payload: Some(format!(r#"{{"number":{sequence}}}"#)),
        }
    }

    /// The message's timestamp: a millisecond a sequence.
    pub(crate) fn timestamp_ms(&self) -> i64 {
        (TIME_US / 1_000 + self.sequence) as i64
    }

    /// The frame.
    pub(crate) fn frame(&self) -> String {
        let Self {
            id,
            destination,
            priority,
            ..
        } = self;
        let timestamp = self.timestamp_ms();
        let payload = self
            .payload
            .as_ref()
            .map(|it| format!(r#","payload":{it}"#));
        format!(
            concat!(
                r#"{{"messageId":"{}","sourceServerId":"server1","destinationId":"{}","#,
                r#""messageType":"lunch","priority":{},"timestamp":{}{}}}"#
            ),
            id,
            destination,
            priority,
            timestamp,
            payload.unwrap_or_default()
        )
    }

    /// The record: header, frame and newline.
    pub(crate) fn record(&self) -> Vec<u8> {
        let frame = self.frame();
        let span = |key: &str, value: &str| {
            let found = frame
                .find(&format!("\"{key}\":"))
                .map(|at| at + key.len() + 3);
            let quote = found.map(|at| usize::from(frame.as_bytes()[at] == b'"'));
            Span {
                offset: found.map_or(0, |at| (at + quote.unwrap_or(0)) as u16),
                len: value.len() as u16,
            }
        };
        let header = RecordHeader {
            frame_len: frame.len() as u32,
            sequence_low: self.sequence as u32,
            level: self.priority,
            priority: self.priority,
            escaped: self.id.contains('\\'),
            timestamp_ms: self.timestamp_ms(),
            arrival_us: TIME_US + self.sequence,
            id: span("messageId", &self.id),
            source: span("sourceServerId", "server1"),
            destination: span("destinationId", &self.destination),
            message_type: span("messageType", "lunch"),
            payload: self
                .payload
                .as_ref()
                .map_or(Span::default(), |it| span("payload", it)),
        };
        let record = Record::new(header, frame.as_bytes());
        let mut bytes = vec![0; record.record_len()];
        record.encode(&mut bytes);
        bytes
    }
}

/// Writes batches the plain way.
#[derive(Debug)]
pub(crate) struct TestWriter<S: Storage> {
    storage: S,
    segment_len: u64,
    position: Position,
    segment: Option<S::Segment>,
    /// How far the next batch stands behind the beginning of its write.
    behind: u32,
}

impl<S: Storage> TestWriter<S> {
    pub(crate) fn new(storage: S, segment_len: u64) -> Self {
        Self {
            storage,
            segment_len,
            position: 0,
            segment: None,
            behind: 0,
        }
    }

    /// The end of what was written.
    pub(crate) fn position(&self) -> Position {
        self.position
    }

    /// Writes messages whose sequences ascend; returns where the batch begins.
    pub(crate) fn messages(&mut self, messages: &[TestMessage]) -> Position {
        let body: Vec<u8> = messages.iter().flat_map(TestMessage::record).collect();
        let first = messages.first().map_or(0, |it| it.sequence);
        self.batch(BatchKind::Messages, messages.len(), first, &body)
    }

    /// Writes plain messages with these sequences.
    pub(crate) fn plain(&mut self, sequences: impl Iterator<Item = u64>) -> Position {
        self.messages(&sequences.map(TestMessage::new).collect::<Vec<_>>())
    }

    /// Writes settlements; each was settled as many us after [`TIME_US`] as its sequence says.
    pub(crate) fn settle(&mut self, sequences: impl Iterator<Item = u64>) -> Position {
        let mut body = Vec::new();
        for sequence in sequences {
            let mut bytes = [0; SETTLEMENT_LEN];
            let settled_us = TIME_US + sequence;
            let settlement = Settlement {
                sequence,
                settled_us,
            };
            settlement.encode(TIME_US + 1_000_000, &mut bytes);
            body.extend_from_slice(&bytes);
        }
        self.batch(
            BatchKind::Settlements,
            body.len() / SETTLEMENT_LEN,
            0,
            &body,
        )
    }

    /// Writes settlements that came in the write which began at `write`.
    pub(crate) fn settle_in_write(
        &mut self,
        write: Position,
        sequences: impl Iterator<Item = u64>,
    ) -> Position {
        self.behind = (self.position - write) as u32;
        let at = self.settle(sequences);
        self.behind = 0;
        at
    }

    /// Writes any batch, closing segments as needed.
    pub(crate) fn batch(
        &mut self,
        kind: BatchKind,
        entries: usize,
        first_sequence: u64,
        body: &[u8],
    ) -> Position {
        let len = (BATCH_HEADER_LEN + body.len()) as u64;
        if self.segment.is_some() && self.position % self.segment_len + len > self.segment_len {
            self.close();
        }
        if self.segment.is_none() {
            self.begin_segment();
        }
        self.put_batch(kind, entries, first_sequence, body)
    }

    /// Closes the present segment, if one was begun.
    pub(crate) fn close(&mut self) {
        if self.segment.is_none() {
            return;
        }
        let left = self.segment_len - self.position % self.segment_len;
        if left >= BATCH_HEADER_LEN as u64 {
            self.put_batch(BatchKind::End, 0, 0, &[]);
        }
        self.segment = None;
        self.position = self.position.next_multiple_of(self.segment_len);
    }

    fn begin_segment(&mut self) {
        let number = self.position / self.segment_len;
        self.segment = Some(
            self.storage
                .create(Name::Segment(number))
                .expect("memory or a fresh directory"),
        );
        let header = SegmentHeader {
            number,
            segment_len: self.segment_len,
            created_ms: TIME_US / 1_000,
            tie: crate::clock::BootTie::default(),
        };
        self.put(&header.encode());
        assert!(self.position % self.segment_len >= SEGMENT_HEADER_LEN as u64);
    }

    fn put_batch(&mut self, kind: BatchKind, entries: usize, first: u64, body: &[u8]) -> Position {
        let header = BatchHeader {
            crc: 0,
            body_len: body.len() as u32,
            kind,
            entries: entries as u32,
            position: self.position,
            first_sequence: first,
            time_us: TIME_US + 1_000_000,
        };
        let mut bytes = [0; BATCH_HEADER_LEN];
        header.encode_behind(self.behind, std::iter::once(body), &mut bytes);
        let at = self.position;
        self.put(&bytes);
        self.put(body);
        if self.position.is_multiple_of(self.segment_len) {
            self.segment = None;
        }
        at
    }

    fn put(&mut self, bytes: &[u8]) {
        let segment = self.segment.as_ref().expect("a segment was begun");
        let offset = self.position % self.segment_len;
        let mut done = 0;
        while done < bytes.len() {
            let piece = [IoSlice::new(&bytes[done..])];
            let count = self.storage.write_at(segment, offset + done as u64, &piece);
            done += count.expect("memory or a disk with room");
        }
        self.position += bytes.len() as u64;
    }
}
