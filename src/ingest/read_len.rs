//! How much is read of a connection at once: less where one that sends little at a time would wait
//! for it, and little while connections hold many lines that were read and not taken.
//!
//! Reading says what was read and what is held. Values only.

use crate::clock::Now;
use crate::limits::{
    HELD_LEN_MAX, READ_LEN_HOLDING, READ_LEN_MAX, READ_LEN_SHARED, SHARED_NS, SHORT_READ_LEN,
};

/// What the next read may be.
#[derive(Debug, Default)]
pub(super) struct ReadLen {
    /// Until then a source that sends little at a time may be waiting, in ns.
    shared_until_ns: u64,
    /// Bytes of lines that connections hold.
    held_len: usize,
}

impl ReadLen {
    /// Bytes that may be read.
    pub(super) fn max(&self, now: Now) -> usize {
        match self.held_len > HELD_LEN_MAX {
            true => READ_LEN_HOLDING,
            false if now.ns < self.shared_until_ns => READ_LEN_SHARED,
            false => READ_LEN_MAX,
        }
    }

    /// So much was read.
    pub(super) fn note_read(&mut self, read_len: usize, now: Now) {
        if (1..SHORT_READ_LEN).contains(&read_len) {
            self.shared_until_ns = now.ns + SHARED_NS;
        }
    }

    /// A connection holds so many bytes.
    pub(super) fn hold(&mut self, len: usize) {
        self.held_len += len;
    }

    /// And no more: it takes them, or is over.
    pub(super) fn release(&mut self, len: usize) {
        self.held_len -= len;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::at;

    #[test]
    fn reads_are_shorter_while_somebody_sends_little_and_short_while_much_is_held() {
        let mut read_len = ReadLen::default();
        assert_eq!(read_len.max(at(0)), READ_LEN_MAX);
        read_len.note_read(SHORT_READ_LEN, at(5));
        read_len.note_read(0, at(5));
        assert_eq!(read_len.max(at(5)), READ_LEN_MAX);
        read_len.note_read(1, at(5));
        assert_eq!(read_len.max(at(4 + SHARED_NS)), READ_LEN_SHARED);
        assert_eq!(read_len.max(at(5 + SHARED_NS)), READ_LEN_MAX);
        read_len.hold(HELD_LEN_MAX + 1);
        assert_eq!(read_len.max(at(5)), READ_LEN_HOLDING);
        read_len.release(1);
        assert_eq!(read_len.max(at(5)), READ_LEN_SHARED);
    }
}
