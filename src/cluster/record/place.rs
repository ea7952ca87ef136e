//! The place of a record: where it stands in the stream and in the journal, behind what, and in whose term.

use std::fmt;

use super::RECORD_FORMAT;
use super::error::RecordError;
use crate::journal::format::Position;
use crate::message::layout::{u32_at, u64_at};

/// Bytes of a place's fields.
pub(super) const FIELDS_LEN: usize = 96;

/// Whose record it is: the epoch that a claim began, and the process that claimed it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Term {
    /// One more with each claim.
    pub epoch: u64,
    /// A random number of the claimant's process: of two claims of one epoch, one counts.
    pub random: u64,
}

/// As the last token of a subject.
impl fmt::Display for Term {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{:016x}", self.epoch, self.random)
    }
}

/// The record before, as a record names it; zeros before the first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Before {
    /// What the stream gave it.
    pub sequence: u64,
    /// Its term.
    pub term: Term,
}

/// What a record is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// The active lives.
    Beat,
    /// One write of the journal.
    Batches,
    /// A term begins.
    Claim,
    /// The term's last record: nothing is handed out behind it.
    Goodbye,
    /// Messages that the log will lose at its beginning, once more.
    Carried,
}

impl Kind {
    const ALL: [Self; 5] = [
        Self::Beat,
        Self::Batches,
        Self::Claim,
        Self::Goodbye,
        Self::Carried,
    ];

    /// Whether batches stand behind the place, else an announcement in it.
    #[must_use]
    pub fn has_batches(self) -> bool {
        matches!(self, Self::Batches | Self::Carried)
    }
}

/// Everything about a record but what is in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// What it is for.
    pub kind: Kind,
    /// The group, by the random number of its first claim.
    pub group: u128,
    /// What the stream must give it.
    pub sequence: u64,
    /// Its term.
    pub term: Term,
    /// The record before it: void messages are passed over.
    pub before: Before,
    /// Silence for so long behind it lets a standby claim.
    pub lease_ms: u32,
    /// The segment below which no member needs anything.
    pub low: u64,
    /// Where it stands in each member's journal.
    pub position: Position,
    /// The sequence of the next message.
    pub next_message: u64,
    /// The engine's own time.
    pub time_us: u64,
}

/// The sequence that fields name.
pub(super) fn sequence_in(fields: &[u8]) -> Option<u64> {
    (fields.len() >= FIELDS_LEN).then(|| u64_at(fields, 40))
}

/// The low that fields name.
pub(super) fn low_in(fields: &[u8]) -> Option<u64> {
    (fields.len() >= FIELDS_LEN).then(|| u64_at(fields, 88))
}

/// Bytes of the batches behind the place with these fields, where its record is a carried one.
pub(super) fn carried_len_in(fields: &[u8]) -> Option<usize> {
    let is_carried = fields.len() >= FIELDS_LEN && fields[2] == Kind::Carried as u8;
    is_carried.then(|| u32_at(fields, 12) as usize)
}

/// The fields that say how long the rest is, and its CRC.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Lengths {
    pub(super) rest_crc: u32,
    pub(super) announcement: u32,
    pub(super) batches: u32,
}

impl Place {
    /// How the record behind this one names it.
    #[must_use]
    pub fn as_before(&self) -> Before {
        Before {
            sequence: self.sequence,
            term: self.term,
        }
    }

    pub(super) fn fields(&self, lengths: Lengths) -> [u8; FIELDS_LEN] {
        let mut out = [0; FIELDS_LEN];
        out[0..2].copy_from_slice(&RECORD_FORMAT.to_le_bytes());
        out[2] = self.kind as u8;
        out[4..8].copy_from_slice(&lengths.rest_crc.to_le_bytes());
        out[8..12].copy_from_slice(&lengths.announcement.to_le_bytes());
        out[12..16].copy_from_slice(&lengths.batches.to_le_bytes());
        out[16..20].copy_from_slice(&self.lease_ms.to_le_bytes());
        out[24..40].copy_from_slice(&self.group.to_le_bytes());
        out[40..48].copy_from_slice(&self.sequence.to_le_bytes());
        put_term(&mut out, 48, self.term);
        out[64..72].copy_from_slice(&self.before.sequence.to_le_bytes());
        put_term(&mut out, 72, self.before.term);
        out[88..96].copy_from_slice(&self.low.to_le_bytes());
        out
    }

    /// Reads the fields; position, next message and time stand in the header before them.
    pub(super) fn read(from: &[u8; FIELDS_LEN]) -> Result<(Self, Lengths), RecordError> {
        let format = u16::from_le_bytes([from[0], from[1]]);
        if format != RECORD_FORMAT {
            return Err(RecordError::Format(format));
        }
        let kind = Kind::ALL.get(usize::from(from[2])).copied();
        let kind = kind.ok_or(RecordError::Shape("its kind"))?;
        if from[3] != 0 || u32_at(from, 20) != 0 {
            return Err(RecordError::Shape("what must be zero"));
        }
        let lengths = Lengths {
            rest_crc: u32_at(from, 4),
            announcement: u32_at(from, 8),
            batches: u32_at(from, 12),
        };
        let place = Self {
            kind,
            group: u128::from(u64_at(from, 24)) | u128::from(u64_at(from, 32)) << 64,
            sequence: u64_at(from, 40),
            term: term_at(from, 48),
            before: Before {
                sequence: u64_at(from, 64),
                term: term_at(from, 72),
            },
            lease_ms: u32_at(from, 16),
            low: u64_at(from, 88),
            position: 0,
            next_message: 0,
            time_us: 0,
        };
        Ok((place, lengths))
    }
}

fn put_term(out: &mut [u8], at: usize, term: Term) {
    out[at..at + 8].copy_from_slice(&term.epoch.to_le_bytes());
    out[at + 8..at + 16].copy_from_slice(&term.random.to_le_bytes());
}

fn term_at(from: &[u8], at: usize) -> Term {
    Term {
        epoch: u64_at(from, at),
        random: u64_at(from, at + 8),
    }
}
