//! One whole batch of the journal, as records or settlements.
//!
//! Made by `reader`, over its buffer; read by recovery, by the store and by the `journal` commands.
//! `check` proves once that every length, span and sequence fits, so the iterators need no
//! errors. It does not check frames: ingest did, before they were written.

use std::ops::Deref;

use super::error::Damage;
use super::format::{
    BATCH_HEADER_LEN, BatchHeader, BatchKind, Position, SETTLEMENT_LEN, Settlement,
};
use crate::message::{CompactId, Record, Sequence};

/// One whole batch.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    header: BatchHeader,
    body: &'a [u8],
    /// Of a carried record's place: the batches behind it.
    carried: &'a [u8],
    /// All of it, header and what is carried included; empty where it does not stand in a segment.
    bytes: &'a [u8],
    end: Position,
    of_compacted_file: bool,
}

/// The record of one message of a batch, and where it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct JournalRecord<'a> {
    /// Its place in the unified stream.
    pub sequence: u64,
    /// Where its header stands in the journal.
    pub position: Position,
    record: Record<'a>,
}

impl JournalRecord<'_> {
    /// The same, at another place.
    pub(crate) fn standing_at(self, position: Position) -> Self {
        Self { position, ..self }
    }
}

impl<'a> Deref for JournalRecord<'a> {
    type Target = Record<'a>;

    fn deref(&self) -> &Record<'a> {
        &self.record
    }
}

impl<'a> Batch<'a> {
    /// Takes a body that `check` has passed; `end` is where reading goes on behind it.
    pub(super) fn new(header: BatchHeader, body: &'a [u8], end: Position) -> Self {
        Self {
            header,
            body,
            carried: &[],
            bytes: &[],
            end,
            of_compacted_file: false,
        }
    }

    /// The batch of these bytes, which `check` has passed, as it stands in a segment: behind the body come the
    /// batches of a carried record, if it is the place of one.
    pub(super) fn in_segment(header: BatchHeader, bytes: &'a [u8], end: Position) -> Self {
        let behind = BATCH_HEADER_LEN + header.body_len as usize;
        Self {
            carried: &bytes[behind..],
            bytes,
            ..Self::new(header, &bytes[BATCH_HEADER_LEN..behind], end)
        }
    }

    /// The same, as it stands in a compacted file.
    pub(super) fn of_compacted_file(self) -> Self {
        Self {
            of_compacted_file: true,
            ..self
        }
    }

    /// Whether it was carried forward: its segment is gone.
    #[must_use]
    pub fn is_of_compacted_file(&self) -> bool {
        self.of_compacted_file
    }

    /// The header.
    #[must_use]
    pub fn header(&self) -> &BatchHeader {
        &self.header
    }

    /// The bytes behind the header.
    pub(super) fn body(&self) -> &'a [u8] {
        self.body
    }

    /// All of it as it stands in its segment; empty: it stands in none.
    pub(super) fn bytes(&self) -> &'a [u8] {
        self.bytes
    }

    /// The body of a record's place; `None`: it is another kind of batch.
    pub(crate) fn place(&self) -> Option<&'a [u8]> {
        (self.header.kind == BatchKind::Place).then_some(self.body)
    }

    /// Where the batch begins.
    #[must_use]
    pub fn position(&self) -> Position {
        self.header.position
    }

    /// Bytes of it, with its header; a carried record's place has its batches besides.
    #[must_use]
    pub fn len(&self) -> u64 {
        (BATCH_HEADER_LEN + self.body.len() + self.carried.len()) as u64
    }

    /// The messages of a carried record, which stood elsewhere before; none in another batch.
    pub(crate) fn carried(&self) -> CarriedMessages<'a> {
        CarriedMessages {
            rest: self.carried,
            rest_at: self.header.position + (BATCH_HEADER_LEN + self.body.len()) as u64,
            records: Records::default(),
            time_us: 0,
        }
    }

    /// Where reading goes on: behind the batch, or, when no other batch fits behind it, at the
    /// beginning of the next segment.
    #[must_use]
    pub fn end(&self) -> Position {
        self.end
    }

    /// The messages, sequences ascending, with possible gaps; none in a batch of another kind.
    #[must_use]
    pub fn records(&self) -> Records<'a> {
        let kind = self.header.kind;
        let has_records = matches!(kind, BatchKind::Messages | BatchKind::Carried);
        Records {
            rest: if has_records { self.body } else { &[] },
            are_carried: kind == BatchKind::Carried,
            first_sequence: self.header.first_sequence,
            position: self.header.position + BATCH_HEADER_LEN as u64,
        }
    }

    /// The ids of settled messages, each with its sequence; none in a batch of another kind.
    pub(crate) fn ids(&self) -> Ids<'a> {
        let is_ids = self.header.kind == BatchKind::Ids;
        Ids {
            rest: if is_ids { self.body } else { &[] },
            next_sequence: self.header.first_sequence,
        }
    }

    /// The settlements, in the order they happened; none in a batch of another kind.
    #[must_use]
    pub fn settlements(&self) -> Settlements<'a> {
        let is_settlements = self.header.kind == BatchKind::Settlements;
        Settlements {
            rest: if is_settlements { self.body } else { &[] },
            time_us: self.header.time_us,
        }
    }
}

/// A message of a carried record.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CarriedMessage<'a> {
    /// With the position that it had at first.
    pub(crate) record: JournalRecord<'a>,
    /// Where its record stands here.
    pub(crate) stands_at: Position,
    /// When it was recorded, or soon before one that was.
    pub(crate) time_us: u64,
}

/// Iterator over the messages of a carried record.
#[derive(Debug, Clone)]
pub(crate) struct CarriedMessages<'a> {
    /// The batches that are not begun, and where the first of them stands.
    rest: &'a [u8],
    rest_at: Position,
    records: Records<'a>,
    time_us: u64,
}

impl<'a> Iterator for CarriedMessages<'a> {
    type Item = CarriedMessage<'a>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if let Some(record) = self.records.next() {
                let behind = record.record_len() + self.records.rest.len();
                return Some(CarriedMessage {
                    record,
                    stands_at: self.rest_at - behind as u64,
                    time_us: self.time_us,
                });
            }
            let (head, rest) = self.rest.split_first_chunk()?;
            let header = BatchHeader::decode(head)?;
            let (body, rest) = rest.split_at_checked(header.body_len as usize)?;
            self.rest = rest;
            self.rest_at += (BATCH_HEADER_LEN + body.len()) as u64;
            self.records = Batch::new(header, body, 0).records();
            self.time_us = header.time_us;
        }
    }
}

/// Whether the batches of a carried record hold what their headers announce: else reading them ends early.
pub(super) fn are_carried(mut batches: &[u8]) -> bool {
    while let Some((head, rest)) = batches.split_first_chunk() {
        let Some(header) = BatchHeader::decode(head) else {
            return false;
        };
        match rest.split_at_checked(header.body_len as usize) {
            Some((body, rest)) if check(&header, body).is_ok() => batches = rest,
            _ => return false,
        }
    }
    batches.is_empty()
}

/// Iterator over the messages of a batch.
#[derive(Debug, Clone, Default)]
pub struct Records<'a> {
    rest: &'a [u8],
    /// Each record's position stands before it.
    are_carried: bool,
    first_sequence: u64,
    position: Position,
}

impl<'a> Iterator for Records<'a> {
    type Item = JournalRecord<'a>;

    fn next(&mut self) -> Option<JournalRecord<'a>> {
        if self.are_carried {
            let (position, rest) = self.rest.split_first_chunk()?;
            (self.position, self.rest) = (Position::from_le_bytes(*position), rest);
        }
        let (record, rest) = Record::split_first(self.rest)?;
        let record = JournalRecord {
            sequence: record.sequence_from(self.first_sequence),
            position: self.position,
            record,
        };
        self.position += (self.rest.len() - rest.len()) as u64;
        self.rest = rest;
        Some(record)
    }
}

/// Iterator over the ids of a batch.
#[derive(Debug, Clone)]
pub(crate) struct Ids<'a> {
    rest: &'a [u8],
    next_sequence: Sequence,
}

impl<'a> Iterator for Ids<'a> {
    type Item = (Sequence, CompactId<'a>);

    fn next(&mut self) -> Option<Self::Item> {
        let (id, rest) = CompactId::split(self.rest)?;
        let sequence = self.next_sequence;
        self.rest = rest;
        self.next_sequence += 1;
        Some((sequence, id))
    }
}

/// Iterator over the settlements of a batch.
#[derive(Debug, Clone)]
pub struct Settlements<'a> {
    rest: &'a [u8],
    time_us: u64,
}

impl Iterator for Settlements<'_> {
    type Item = Settlement;

    fn next(&mut self) -> Option<Settlement> {
        let (bytes, rest) = self.rest.split_first_chunk::<SETTLEMENT_LEN>()?;
        self.rest = rest;
        Some(Settlement::decode(self.time_us, bytes))
    }
}

/// Whether a body holds what its header announces, to the last byte.
///
/// # Errors
/// [`Damage::Malformed`]: some length, span or sequence does not fit.
pub(super) fn check(header: &BatchHeader, body: &[u8]) -> Result<(), Damage> {
    let fits = match header.kind {
        BatchKind::Messages | BatchKind::Carried => are_records(header, body),
        BatchKind::Settlements => {
            body.len() as u64 == u64::from(header.entries) * SETTLEMENT_LEN as u64
        }
        BatchKind::End => body.is_empty() && header.entries == 0,
        BatchKind::Void | BatchKind::Place => header.entries == 0,
        BatchKind::Ids => are_ids(header, body),
    };
    if fits { Ok(()) } else { Err(Damage::Malformed) }
}

fn are_ids(header: &BatchHeader, mut body: &[u8]) -> bool {
    for _ in 0..header.entries {
        let Some((_, rest)) = CompactId::split(body) else {
            return false;
        };
        body = rest;
    }
    let end = header.first_sequence.checked_add(header.entries.into());
    body.is_empty() && end.is_some()
}

fn are_records(header: &BatchHeader, mut body: &[u8]) -> bool {
    let (mut sequence_min, mut position_min) = (header.first_sequence, header.position);
    for _ in 0..header.entries {
        if header.kind == BatchKind::Carried {
            let Some((bytes, rest)) = body.split_first_chunk() else {
                return false;
            };
            let position = Position::from_le_bytes(*bytes);
            let Some(next) = position.checked_add(1) else {
                return false;
            };
            if position < position_min {
                return false;
            }
            (position_min, body) = (next, rest);
        }
        let Some((record, rest)) = Record::split_first(body) else {
            return false;
        };
        let sequence = record.sequence_from(header.first_sequence);
        if sequence < sequence_min || !record.is_sound() {
            return false;
        }
        let Some(next) = sequence.checked_add(1) else {
            return false;
        };
        (sequence_min, body) = (next, rest);
    }
    body.is_empty()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read_all(header: BatchHeader, body: &[u8]) {
        if check(&header, body).is_err() {
            return;
        }
        let batch = Batch::new(header, body, 0);
        let records = batch.records().map(|it| {
            let _ = it.payload();
            let _ = (it.message_type().value(), it.message_id().value());
        });
        let entries = records.count() + batch.settlements().count() + batch.ids().count();
        assert_eq!(entries, header.entries as usize);
    }

    fn hostile() -> impl Strategy<Value = (BatchHeader, Vec<u8>)> {
        let kind = prop_oneof![
            Just(BatchKind::Messages),
            Just(BatchKind::Carried),
            Just(BatchKind::Settlements),
            Just(BatchKind::Ids),
            Just(BatchKind::End),
            Just(BatchKind::Void)
        ];
        let body =
            proptest::collection::vec(prop_oneof![Just(0), Just(b'\n'), any::<u8>()], 0..300);
        (kind, 0..4_u32, any::<u64>(), body).prop_map(|(kind, entries, first_sequence, body)| {
            let header = BatchHeader {
                crc: 0,
                body_len: body.len() as u32,
                kind,
                entries,
                position: 64,
                first_sequence,
                time_us: 5,
            };
            (header, body)
        })
    }

    proptest! {
        #[test]
        fn hostile_bodies_are_refused_or_read_but_never_panic((header, body) in hostile()) {
            read_all(header, &body);
        }

        #[test]
        fn a_hostile_record_header_is_refused_or_read(
            mut record in proptest::array::uniform32(any::<u8>()),
            lens in proptest::array::uniform12(0..8_u8),
        ) {
            record[..4].copy_from_slice(&9_u32.to_le_bytes());
            record[28..32].fill(0);
            let mut body = record.to_vec();
            body.extend_from_slice(&lens);
            body.extend_from_slice(b"123456789\n");
            let low = u32::from_le_bytes([record[4], record[5], record[6], record[7]]);
            let header = BatchHeader {
                crc: 0,
                body_len: body.len() as u32,
                kind: BatchKind::Messages,
                entries: 1,
                position: 64,
                first_sequence: u64::from(low),
                time_us: 5,
            };
            read_all(header, &body);
        }
    }
}
