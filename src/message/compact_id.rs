//! A messageId as it is remembered when its message is gone: whole, or its digest where it is long.
//!
//! The journal writes them, the dedup window hashes them. A whole id and a digest are never taken for
//! each other, and two ids never have one digest.
//!
//! ```text
//! whole   | length u8, 1 to 40 | id |
//! digest  | 0 u8 | SHA-256 of the id, 32 bytes |
//! ```

use sha2::{Digest, Sha256};

use crate::limits::ID_WHOLE_LEN_MAX;

/// Bytes of a digest.
const DIGEST_LEN: usize = 32;

/// See the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CompactId<'a> {
    Whole(&'a [u8]),
    Digest([u8; DIGEST_LEN]),
}

impl<'a> CompactId<'a> {
    pub(crate) fn of(id: &'a [u8]) -> Self {
        if id.len() <= ID_WHOLE_LEN_MAX {
            Self::Whole(id)
        } else {
            Self::Digest(Sha256::digest(id).into())
        }
    }

    /// Bytes that it takes in the journal.
    pub(crate) fn encoded_len(&self) -> usize {
        match self {
            Self::Whole(id) => 1 + id.len(),
            Self::Digest(digest) => 1 + digest.len(),
        }
    }

    pub(crate) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Whole(id) => {
                out.push(id.len() as u8);
                out.extend_from_slice(id);
            }
            Self::Digest(digest) => {
                out.push(0);
                out.extend_from_slice(digest);
            }
        }
    }

    /// Takes one off the front; `None`: these bytes are none.
    pub(crate) fn split(from: &'a [u8]) -> Option<(Self, &'a [u8])> {
        let (&len, rest) = from.split_first()?;
        if len == 0 {
            let (digest, rest) = rest.split_first_chunk()?;
            return Some((Self::Digest(*digest), rest));
        }
        let len = usize::from(len);
        if len > ID_WHOLE_LEN_MAX {
            return None;
        }
        let (id, rest) = rest.split_at_checked(len)?;
        Some((Self::Whole(id), rest))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::limits::MESSAGE_ID_LEN_MAX;

    #[test]
    fn an_id_of_any_length_is_read_as_it_was_written() {
        let mut bytes = Vec::new();
        let ids: Vec<_> = (1..=MESSAGE_ID_LEN_MAX).map(|it| vec![b'x'; it]).collect();
        for id in &ids {
            let (id, begin) = (CompactId::of(id), bytes.len());
            id.encode(&mut bytes);
            assert_eq!(bytes.len() - begin, id.encoded_len());
            assert!(id.encoded_len() <= 1 + ID_WHOLE_LEN_MAX);
        }
        let mut rest = &bytes[..];
        for id in &ids {
            let (read, behind) = CompactId::split(rest).expect("it was written");
            assert_eq!(read, CompactId::of(id));
            rest = behind;
        }
        assert_eq!(CompactId::split(rest), None);
    }

    #[test]
    fn what_is_too_long_or_too_short_is_no_id() {
        let too_long = [ID_WHOLE_LEN_MAX as u8 + 1; 300];
        assert_eq!(CompactId::split(&too_long), None);
        for len in 0..5 {
            assert_eq!(CompactId::split(&[5, 1, 1, 1, 1][..len]), None);
        }
        assert_eq!(CompactId::split(&[0; DIGEST_LEN]), None);
    }
}
