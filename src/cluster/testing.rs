//! For tests and fuzzing: parts of records.

use std::sync::Arc;

use crate::cluster::addresses::naming;
use crate::cluster::core::Message;
use crate::cluster::record::{
    Announcement, Before, Kind, PLACE_LEN, Place, Record, Term, encode, position_of,
};
use crate::journal::format::{BATCH_HEADER_LEN, BatchHeader, BatchKind, SETTLEMENT_LEN};

/// Bytes of a segment.
pub(crate) const SEGMENT: u64 = 64 * 1024;

/// A place like any other.
pub(crate) fn place(kind: Kind) -> Place {
    let term = Term {
        epoch: 3,
        random: 0xfeed,
    };
    Place {
        kind,
        group: 1 << 100 | 9,
        sequence: 12,
        term,
        before: Before { sequence: 11, term },
        lease_ms: 15_000,
        low: 2,
        position: 2 * SEGMENT + 64,
        next_message: 77,
        time_us: 5,
    }
}

/// Who speaks.
pub(crate) fn announcement() -> Announcement {
    Announcement {
        node: "kitchen".into(),
        segment_len: SEGMENT,
        addresses: vec!["10.0.0.1:9000".into(), "[::1]:9100".into()],
    }
}

/// A batch of settlements of these sequences at a position, so far behind the beginning of its write.
pub(crate) fn settlements(position: u64, behind: usize, sequences: &[u64]) -> Vec<u8> {
    let mut body = Vec::with_capacity(sequences.len() * SETTLEMENT_LEN);
    for sequence in sequences {
        body.extend_from_slice(&sequence.to_le_bytes());
        body.extend_from_slice(&[0; 4]);
    }
    batch(
        BatchKind::Settlements,
        position,
        behind,
        &body,
        sequences.len(),
    )
}

fn batch(kind: BatchKind, position: u64, behind: usize, body: &[u8], entries: usize) -> Vec<u8> {
    let header = BatchHeader {
        crc: 0,
        body_len: body.len() as u32,
        kind,
        entries: entries as u32,
        position,
        first_sequence: 1,
        time_us: 5,
    };
    let mut out = [0; BATCH_HEADER_LEN];
    header.encode_behind(behind as u32, std::iter::once(body), &mut out);
    [&out[..], body].concat()
}

/// Batches of settlements behind a place without an announcement at this position.
pub(crate) fn batches_at(position: u64, bodies: &[&[u64]]) -> Vec<u8> {
    let mut out = Vec::new();
    for body in bodies {
        let behind = PLACE_LEN + out.len();
        out.extend(settlements(position + behind as u64, behind, body));
    }
    out
}

/// Batches of ids as a carried record has them, which name positions of long ago.
pub(crate) fn carried(position: u64, count: usize) -> Vec<u8> {
    let one = |index: usize| batch(BatchKind::Ids, position + index as u64, 0, b"\x03abc", 1);
    (0..count).flat_map(one).collect()
}

/// The name of the group.
pub(crate) const GROUP: &str = "east";

/// What others have put into the stream: each record behind the one before.
#[derive(Debug, Clone)]
pub(crate) struct Chain {
    pub(crate) group: u128,
    pub(crate) sequence: u64,
    pub(crate) term: Term,
    pub(crate) before: Before,
    pub(crate) end: u64,
    pub(crate) lease_ms: u32,
    pub(crate) node: &'static str,
    /// Whom its goodbyes name.
    pub(crate) successor: Option<&'static str>,
}

impl Chain {
    /// An empty stream.
    pub(crate) fn new() -> Self {
        Self {
            group: 77,
            sequence: 0,
            term: Term::default(),
            before: Before::default(),
            end: 0,
            lease_ms: 15_000,
            node: "other",
            successor: None,
        }
    }

    /// Goes on behind this record.
    pub(crate) fn behind(bytes: &[u8]) -> Self {
        let place = Record::decode(bytes).expect("it is one").place;
        Self {
            group: place.group,
            sequence: place.sequence,
            term: place.term,
            before: place.as_before(),
            end: place.position + bytes.len() as u64,
            ..Self::new()
        }
    }

    /// The next message, if it is void.
    pub(crate) fn foreign(&mut self) -> Message {
        self.sequence += 1;
        Message {
            sequence: self.sequence,
            subject: "flb_journal.east.stranger".into(),
            bytes: Arc::from(&b"hello"[..]),
        }
    }

    pub(crate) fn claim(&mut self, random: u64) -> Message {
        self.term = Term {
            epoch: self.term.epoch + 1,
            random,
        };
        self.record(Kind::Claim)
    }

    pub(crate) fn beat(&mut self) -> Message {
        self.record(Kind::Beat)
    }

    pub(crate) fn goodbye(&mut self) -> Message {
        self.record(Kind::Goodbye)
    }

    pub(crate) fn batches(&mut self) -> Message {
        self.record(Kind::Batches)
    }

    /// What the next record of this kind would be, and nothing more.
    pub(crate) fn peek(&self, kind: Kind) -> Message {
        self.clone().record(kind)
    }

    fn record(&mut self, kind: Kind) -> Message {
        self.sequence += 1;
        let mut place = Place {
            kind,
            group: self.group,
            sequence: self.sequence,
            term: self.term,
            before: self.before,
            lease_ms: self.lease_ms,
            low: 0,
            position: 0,
            next_message: 1,
            time_us: 1_000,
        };
        let said = (!kind.has_batches()).then(|| {
            let said = Announcement {
                node: self.node.into(),
                ..announcement()
            };
            let successor = self.successor.filter(|_| kind == Kind::Goodbye);
            successor.map_or(said.clone(), |it| naming(&said, it))
        });
        let encoded = |place: &Place| {
            let batches = match kind.has_batches() {
                true => batches_at(place.position, &[&[place.sequence]]),
                false => Vec::new(),
            };
            encode(place, said.as_ref(), &batches).expect("its parts fit")
        };
        place.position = position_of(self.end, encoded(&place).len(), SEGMENT);
        let bytes = encoded(&place);
        self.end = place.position + bytes.len() as u64;
        self.before = place.as_before();
        Message {
            sequence: self.sequence,
            subject: format!("flb_journal.{GROUP}.{}", self.term).into(),
            bytes: bytes.into(),
        }
    }
}
