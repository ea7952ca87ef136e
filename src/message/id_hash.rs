//! What stands for a messageId: 128 bits of two differently, randomly keyed hashes, so that no other
//! id is ever taken for it.
//!
//! Ingest hashes ids while their bytes are hot, recovery those that it reads; the dedup window claims
//! the hashes.

use std::hash::{BuildHasher, Hasher};

use ahash::{AHasher, RandomState};

use super::CompactId;
use crate::limits::ID_WHOLE_LEN_MAX;

/// No whole id begins so, for ids are UTF-8.
const DIGEST_PREFIX: &[u8] = &[0xff];

/// What stands for a messageId: 128 randomly keyed bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct IdHash(pub [u64; 2]);

/// Turns messageIds into hashes; cheap to clone for another thread.
#[derive(Debug, Clone)]
pub struct IdHasher {
    first: RandomState,
    second: RandomState,
}

impl IdHasher {
    /// The hasher of these keys, which must be random and stay secret.
    #[must_use]
    pub fn new(seed: [u64; 8]) -> Self {
        let [a, b, c, d, e, f, g, h] = seed;
        Self {
            first: RandomState::with_seeds(a, b, c, d),
            second: RandomState::with_seeds(e, f, g, h),
        }
    }

    /// The hash of a messageId.
    #[inline]
    #[must_use]
    pub fn hash(&self, id: &[u8]) -> IdHash {
        if id.len() > ID_WHOLE_LEN_MAX {
            return self.hash_compact(&CompactId::of(id));
        }
        self.hash_by(|hasher| hasher.write(id))
    }

    /// The hash of the messageId that is remembered so.
    pub(crate) fn hash_compact(&self, id: &CompactId<'_>) -> IdHash {
        match id {
            CompactId::Whole(id) => self.hash_by(|hasher| hasher.write(id)),
            CompactId::Digest(digest) => self.hash_by(|hasher| {
                hasher.write(DIGEST_PREFIX);
                hasher.write(digest);
            }),
        }
    }

    #[inline]
    fn hash_by(&self, write: impl Fn(&mut AHasher)) -> IdHash {
        let of = |state: &RandomState| {
            let mut hasher = state.build_hasher();
            write(&mut hasher);
            hasher.finish()
        };
        IdHash([of(&self.first), of(&self.second)])
    }

    /// Tells apart the hashers whose hashes differ: by key, and by build, for the hash function
    /// promises nothing across versions and processors. Kept beside hashes on disk.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        self.hash(b"flipped-lb: the fingerprint of a hasher").0[0]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_differ_in_their_hash_by_content_length_and_key() {
        let hasher = IdHasher::new([1, 2, 3, 4, 5, 6, 7, 8]);
        assert_eq!(hasher.hash(b"a"), hasher.clone().hash(b"a"));
        for other in [&b""[..], b"b", b"a\0", b"aa"] {
            assert_ne!(hasher.hash(b"a"), hasher.hash(other));
        }
        let other = IdHasher::new([8, 7, 6, 5, 4, 3, 2, 1]);
        assert_ne!(hasher.hash(b"a"), other.hash(b"a"));
        assert_ne!(hasher.fingerprint(), other.fingerprint());
        let IdHash([first, second]) = hasher.hash(b"a");
        assert_ne!(first, second);
    }

    #[test]
    fn an_id_that_was_remembered_by_its_digest_is_known_again() {
        let hasher = IdHasher::new([1, 2, 3, 4, 5, 6, 7, 8]);
        for len in 1..=255 {
            let id = vec![b'x'; len];
            assert_eq!(hasher.hash_compact(&CompactId::of(&id)), hasher.hash(&id));
        }
        let digest = CompactId::of(&[b'x'; 100]);
        let CompactId::Digest(bytes) = digest else {
            panic!("it is long");
        };
        assert_ne!(hasher.hash_compact(&digest), hasher.hash(&bytes));
    }
}
