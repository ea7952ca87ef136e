//! The ring from ingest to the rejects agent: entries of any length in a ring of bytes, so that a
//! line is copied once and allocates nothing.
//!
//! ```text
//! | line len u32 | source len u16 | reason u8 | flags u8 | epoch us u64 | source | line |
//! ```
//!
//! Positions count the bytes that entered the ring since the start: `durable <= polled <= end`.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::limits::REJECT_SOURCE_LEN_MAX;
use crate::message::{ForbiddenField, Reason};
use crate::ring::Wake;

/// Bytes before an entry's source.
const HEADER_LEN: usize = 16;

/// Flags.
const AWAITED: u8 = 1;
const FORBIDDEN_SOURCE: u8 = 2;
const FORBIDDEN_DESTINATION: u8 = 4;

fn flags_of(rejected: &Rejected<'_>) -> u8 {
    let awaited = if rejected.is_awaited { AWAITED } else { 0 };
    awaited
        | match rejected.forbidden {
            None => 0,
            Some(ForbiddenField::SourceServerId) => FORBIDDEN_SOURCE,
            Some(ForbiddenField::DestinationId) => FORBIDDEN_DESTINATION,
        }
}

fn forbidden_of(flags: u8) -> Option<ForbiddenField> {
    match flags & (FORBIDDEN_SOURCE | FORBIDDEN_DESTINATION) {
        0 => None,
        FORBIDDEN_SOURCE => Some(ForbiddenField::SourceServerId),
        _ => Some(ForbiddenField::DestinationId),
    }
}

/// Bytes of the longest entry, of lines of at most so many bytes.
const fn entry_len_max(line_len_max: usize) -> usize {
    HEADER_LEN + REJECT_SOURCE_LEN_MAX + line_len_max
}

/// A line that was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rejected<'a> {
    /// Why.
    pub reason: Reason,
    /// Of a forbidden one: the field by which it is.
    pub forbidden: Option<ForbiddenField>,
    /// Where it came from; what is longer than [`REJECT_SOURCE_LEN_MAX`] is cut.
    pub source: &'a [u8],
    /// When it was read, us since the epoch.
    pub epoch_us: u64,
    /// Its source waits for an acknowledgement.
    pub is_awaited: bool,
    /// As it came.
    pub line: &'a [u8],
}

/// The ring has no room for an entry: its source must wait.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RingFull;

/// Ingest's end.
#[derive(Debug)]
pub struct RejectSender {
    ring: rtrb::Producer<u8>,
    entry_len_max: usize,
    /// Where the last entry ends.
    end: u64,
    durable: Arc<AtomicU64>,
    wake: Arc<Wake>,
    /// Something was offered since the last `flush`.
    unannounced: bool,
}

/// The agent's end.
#[derive(Debug)]
pub(crate) struct RejectReceiver {
    ring: rtrb::Consumer<u8>,
    /// Where the last entry that was polled ends.
    polled: u64,
    durable: Arc<AtomicU64>,
    wake: Arc<Wake>,
    entry: Vec<u8>,
}

/// Makes a ring of `len` bytes for lines of at most `line_len_max`, between the threads that these
/// wake.
#[must_use]
pub(crate) fn ring(
    len: usize,
    line_len_max: usize,
    (ingest, rejects): (&Arc<Wake>, &Arc<Wake>),
) -> (RejectSender, RejectReceiver) {
    let entry_len_max = entry_len_max(line_len_max);
    assert!(len >= entry_len_max, "any entry fits");
    let (producer, consumer) = rtrb::RingBuffer::new(len);
    let durable = Arc::new(AtomicU64::new(0));
    let sender = RejectSender {
        ring: producer,
        entry_len_max,
        end: 0,
        durable: Arc::clone(&durable),
        wake: Arc::clone(rejects),
        unannounced: false,
    };
    let receiver = RejectReceiver {
        ring: consumer,
        polled: 0,
        durable,
        wake: Arc::clone(ingest),
        entry: Vec::with_capacity(entry_len_max),
    };
    (sender, receiver)
}

impl RejectSender {
    /// Hands a line over; returns up to where entries must be durable for this one to be.
    ///
    /// # Errors
    /// The ring has no room.
    pub fn offer(&mut self, rejected: &Rejected<'_>) -> Result<u64, RingFull> {
        let source_len = rejected.source.len().min(REJECT_SOURCE_LEN_MAX);
        let len = HEADER_LEN + source_len + rejected.line.len();
        debug_assert!(len <= self.entry_len_max);
        if self.ring.slots() < len {
            return Err(RingFull);
        }
        let mut header = [0; HEADER_LEN];
        header[..4].copy_from_slice(&(rejected.line.len() as u32).to_le_bytes());
        header[4..6].copy_from_slice(&(source_len as u16).to_le_bytes());
        header[6] = rejected.reason as u8;
        header[7] = flags_of(rejected);
        header[8..].copy_from_slice(&rejected.epoch_us.to_le_bytes());
        for piece in [&header, &rejected.source[..source_len], rejected.line] {
            let pushed = self.ring.push_entire_slice(piece);
            debug_assert!(pushed.is_ok(), "there was room for the whole entry");
        }
        self.end += len as u64;
        self.unannounced = true;
        Ok(self.end)
    }

    /// Whether any line finds room.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.ring.slots() >= self.entry_len_max
    }

    /// Lines that end up to here will survive what the durability says.
    #[must_use]
    pub fn durable(&self) -> u64 {
        // Pairs with the release store in `RejectReceiver::mark_durable`: whoever reads it may rely
        // on the files.
        self.durable.load(Ordering::Acquire)
    }

    /// Ends a duty cycle: wakes the agent if something was offered.
    pub fn flush(&mut self) {
        if std::mem::take(&mut self.unannounced) {
            self.wake.notify();
        }
    }
}

impl RejectReceiver {
    /// Shows the next entry to `take`; `false`: there is none.
    pub(crate) fn poll(&mut self, take: impl FnOnce(Rejected<'_>)) -> bool {
        let Some(header) = self.peek_header() else {
            return false;
        };
        let line_len = u32::from_le_bytes([header[0], header[1], header[2], header[3]]) as usize;
        let source_len = usize::from(u16::from_le_bytes([header[4], header[5]]));
        let len = HEADER_LEN + source_len + line_len;
        if self.ring.slots() < len {
            // Its last bytes are on their way.
            return false;
        }
        self.entry.resize(len, 0);
        let popped = self.ring.pop_entire_slice(&mut self.entry);
        debug_assert!(popped.is_ok(), "the whole entry is there");
        self.polled += len as u64;
        let (source, line) = self.entry[HEADER_LEN..].split_at(source_len);
        let (_, epoch_us) = header.split_at(8);
        take(Rejected {
            reason: Reason::ALL[usize::from(header[6])],
            source,
            epoch_us: u64::from_le_bytes(epoch_us.try_into().expect("eight bytes of sixteen")),
            forbidden: forbidden_of(header[7]),
            is_awaited: header[7] & AWAITED != 0,
            line,
        });
        true
    }

    /// Where the last entry that was polled ends.
    #[must_use]
    pub(crate) fn polled(&self) -> u64 {
        self.polled
    }

    /// All entries that end up to here are in the files, as the durability says.
    pub(crate) fn mark_durable(&self, upto: u64) {
        // Pairs with the acquire load in `RejectSender::durable`.
        self.durable.store(upto, Ordering::Release);
        self.wake.notify();
    }

    fn peek_header(&mut self) -> Option<[u8; HEADER_LEN]> {
        let chunk = self.ring.read_chunk(HEADER_LEN).ok()?;
        let (first, second) = chunk.as_slices();
        let mut header = [0; HEADER_LEN];
        header[..first.len()].copy_from_slice(first);
        header[first.len()..].copy_from_slice(second);
        Some(header)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use proptest::prelude::*;

    use super::*;
    use crate::limits::LINE_LEN_MAX;

    const ENTRY_LEN_MAX: usize = entry_len_max(LINE_LEN_MAX);

    fn pair(len: usize) -> (RejectSender, RejectReceiver) {
        let wake = Wake::new().expect("a descriptor");
        ring(len, LINE_LEN_MAX, (&wake, &wake))
    }

    fn rejected<'a>(source: &'a [u8], line: &'a [u8], epoch_us: u64) -> Rejected<'a> {
        Rejected {
            reason: Reason::ALL[epoch_us as usize % Reason::ALL.len()],
            source,
            forbidden: match epoch_us % 3 {
                0 => None,
                1 => Some(ForbiddenField::SourceServerId),
                _ => Some(ForbiddenField::DestinationId),
            },
            epoch_us,
            is_awaited: epoch_us % 2 == 1,
            line,
        }
    }

    #[test]
    fn a_full_ring_refuses_a_line_whole_and_takes_it_later() {
        let (mut sender, mut receiver) = pair(2 * ENTRY_LEN_MAX);
        let line = vec![7; LINE_LEN_MAX];
        let mut end = 0;
        while let Ok(now) = sender.offer(&rejected(b"s", &line, 1)) {
            end = now;
        }
        assert_eq!(end, 2 * (HEADER_LEN + 1 + LINE_LEN_MAX) as u64);
        assert!(!sender.has_room());
        assert!(receiver.poll(|it| assert_eq!(it, rejected(b"s", &line, 1))));
        assert!(sender.has_room());
        assert!(sender.offer(&rejected(b"s", &line, 2)).is_ok());
        assert_eq!(sender.durable(), 0, "what was polled is not kept yet");
        receiver.mark_durable(receiver.polled());
        assert_eq!(sender.durable(), end / 2);
    }

    #[test]
    fn a_source_of_any_length_is_cut_to_what_fits() {
        let (mut sender, mut receiver) = pair(ENTRY_LEN_MAX);
        let (source, line) = (vec![b's'; 100_000], vec![b'x'; LINE_LEN_MAX]);
        assert!(sender.offer(&rejected(&source, &line, 3)).is_ok());
        let cut = &source[..REJECT_SOURCE_LEN_MAX];
        assert!(receiver.poll(|it| assert_eq!(it, rejected(cut, &line, 3))));
        assert!(!receiver.poll(|_| panic!("nothing is left")));
    }

    proptest! {
        /// Beside a queue that does the same in the simplest way.
        #[test]
        fn lines_come_out_as_they_went_in(
            steps in proptest::collection::vec((0_usize..60_000, 0_usize..40, any::<bool>()), 1..200),
        ) {
            let (mut sender, mut receiver) = pair(ENTRY_LEN_MAX + 999);
            let mut model: VecDeque<(Vec<u8>, Vec<u8>, u64)> = VecDeque::new();
            for (number, (line_len, source_len, polls)) in steps.into_iter().enumerate() {
                let (line, source) = (vec![number as u8; line_len], vec![b'a'; source_len]);
                let it = rejected(&source, &line, number as u64);
                if sender.offer(&it).is_ok() {
                    model.push_back((source, line, number as u64));
                } else {
                    prop_assert!(!model.is_empty());
                }
                if polls {
                    let expected = model.pop_front();
                    let polled = receiver.poll(|it| {
                        let (source, line, at) = expected.as_ref().expect("one is there");
                        assert_eq!(it, rejected(source, line, *at));
                    });
                    prop_assert_eq!(polled, expected.is_some());
                }
            }
        }
    }
}
