//! Where short pieces are laid side by side before they are written: the system takes one long piece
//! in less time than the same bytes in hundreds of short ones.
//!
//! Measured with frames of 390 bytes, flat out: `writev` took 80 ns a frame less, laying them side by
//! side 30 ns. A long piece is written from where it stands.

use std::io::IoSlice;

use crate::limits::FRAMES_PER_WRITE;

/// Bytes up to which a piece is short.
const SHORT_LEN_MAX: usize = 1024;

/// Room for the pieces of one write.
pub(super) struct Staging {
    bytes: Vec<u8>,
}

impl Staging {
    /// Room for all that is ever laid there.
    pub(super) fn new() -> Self {
        Self {
            bytes: Vec::with_capacity(FRAMES_PER_WRITE * SHORT_LEN_MAX),
        }
    }

    /// The pieces as one, where they are many and all short; `None`: they are better written as they
    /// are.
    pub(super) fn join(&mut self, pieces: &[IoSlice<'_>]) -> Option<IoSlice<'_>> {
        let is_short = |piece: &IoSlice<'_>| piece.len() <= SHORT_LEN_MAX;
        if pieces.len() < 2 || !pieces.iter().all(is_short) {
            return None;
        }
        self.bytes.clear();
        for piece in pieces {
            self.bytes.extend_from_slice(piece);
        }
        Some(IoSlice::new(&self.bytes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_pieces_are_joined_and_long_ones_left() {
        let mut staging = Staging::new();
        let pieces = |parts: &[&'static [u8]]| -> Vec<IoSlice<'static>> {
            parts.iter().map(|it| IoSlice::new(it)).collect()
        };
        let capacity = staging.bytes.capacity();
        let short = pieces(&[b"one", b"", b"two"]);
        assert_eq!(staging.join(&short).as_deref(), Some(&b"onetwo"[..]));
        let next = pieces(&[b"a", b"b"]);
        assert_eq!(staging.join(&next).as_deref(), Some(&b"ab"[..]));
        assert!(staging.join(&pieces(&[b"alone"])).is_none());
        static LONG: [u8; SHORT_LEN_MAX + 1] = [b'x'; SHORT_LEN_MAX + 1];
        assert!(staging.join(&pieces(&[b"one", &LONG])).is_none());
        let most = vec![&LONG[1..]; FRAMES_PER_WRITE];
        let joined = staging.join(&pieces(&most)).map(|it| it.len());
        assert_eq!(joined, Some(FRAMES_PER_WRITE * SHORT_LEN_MAX));
        assert_eq!(staging.bytes.capacity(), capacity, "it never grows");
    }
}
