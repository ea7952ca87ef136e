//! Input pressure: whether more waits to be read than is read.
//!
//! The agent that reads notes each read; the thread that may move it to another core asks, a few
//! hundred times a second. How busy a thread looks says nothing: it may wait for a core that others
//! have, and a second thread would wait as well.

use std::sync::atomic::{AtomicU64, Ordering};

/// A count of reads, by whether they found a pile.
///
/// One agent writes, on whatever thread it is. All relaxed: the figures are hints.
#[derive(Debug, Default)]
pub struct InputPressure {
    large: AtomicU64,
    small: AtomicU64,
}

/// Reads since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reads {
    /// That found at least [`PILE_LEN`] bytes.
    pub large: u64,
    /// That found less.
    pub small: u64,
}

/// Bytes that one connection has waiting where its input piles up: some 170 frames of 390 bytes, which
/// is 1.3 ms of a source that sends 125,000 frames a second, and less than what a socket's buffer
/// holds by default.
pub(crate) const PILE_LEN: usize = 64 * 1024;

impl InputPressure {
    /// A read took so many bytes.
    #[inline]
    pub fn note(&self, read_len: usize) {
        let count = if read_len >= PILE_LEN {
            &self.large
        } else {
            &self.small
        };
        // There is one writer, so nothing is lost between the load and the store.
        count.store(count.load(Ordering::Relaxed) + 1, Ordering::Relaxed);
    }

    /// What was read so far.
    #[must_use]
    pub fn reads(&self) -> Reads {
        Reads {
            large: self.large.load(Ordering::Relaxed),
            small: self.small.load(Ordering::Relaxed),
        }
    }
}

impl Reads {
    /// Whether input piled up since `before`: every read found a pile, and there were some.
    #[must_use]
    pub fn piled_up_since(self, before: Self) -> bool {
        self.large > before.large && self.small == before.small
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn input_piles_up_where_every_read_finds_a_pile() {
        let pressure = InputPressure::default();
        let begun = pressure.reads();
        assert!(!begun.piled_up_since(begun), "nothing was read");
        pressure.note(PILE_LEN);
        pressure.note(PILE_LEN + 1);
        let piled = pressure.reads();
        assert!(piled.piled_up_since(begun));
        assert!(!piled.piled_up_since(piled));
        pressure.note(PILE_LEN - 1);
        assert!(
            !pressure.reads().piled_up_since(begun),
            "one source keeps up"
        );
        assert!(!pressure.reads().piled_up_since(piled));
    }
}
