//! Carried records: messages that hold old segments of a group's journal, once more at its end.
//!
//! Where unsettled messages hold segments of which little else is needed, the active publishes these
//! messages again, in records of their own, with the sequences and positions that they had. Once the whole
//! set stands in the journal, nobody needs the segments below: members drop them, and the stream is purged of
//! them. Carried records are written, fetched, dropped and published again like any others; a set that is not
//! whole, for its active was lost, is no more than so many bytes.
//!
//! ```text
//! segment  | 0: m ... | 1 ...... | 2: n ... | 3 .. carried m, n .. low = 3 | 4 ...
//!
//! RETENTION == Body ==> SCHEDULER == Body, unsettled ==> JOURNAL == record ==> member, stream
//!  reads m, n            which are    behind the settlements that came before,
//!                        unsettled?   before those that come behind
//! RETENTION == CarriedIndex ==> REPLAY                    then: low
//! ```
//! So a message stands in a carried record if it is unsettled at that point of the log, and whoever reads the
//! log from segment `low` on finds it, and its settlement behind it.

mod body;
mod collecting;
mod index;
mod older;
#[cfg(test)]
mod tests;

pub(crate) use self::body::Body;
pub(crate) use self::collecting::{CollectError, Collecting};
pub(crate) use self::index::CarriedIndex;
pub(crate) use self::older::Older;

use crate::journal::format::Position;

/// The carried records of a group's journal.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct CarriedRecords {
    /// Where the last one ends.
    pub end: Position,
    /// Messages in all of them, and the bytes that they take.
    pub entries: u64,
    /// See `entries`.
    pub len: u64,
}

impl CarriedRecords {
    /// Bytes of one of the messages, on average.
    pub(crate) fn mean_len(&self) -> u64 {
        self.len / self.entries.max(1)
    }
}
