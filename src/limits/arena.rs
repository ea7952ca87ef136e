//! Limits of frame memory.

use super::ingest::CHUNKS_AT_INGEST;

/// Bytes of one arena chunk: large enough that sealing one is rare (600 frames of 390 bytes), small
/// enough that a few hundred of them make a fine-grained pool.
pub const CHUNK_LEN: usize = 256 * 1024;

/// Chunks of the arena: 64 MiB, a tenth of a second of the fastest stream. A chunk costs memory once
/// it was written to, and the pool hands out the one that came home last, so a small backlog touches
/// few of them.
pub const CHUNK_COUNT: usize = 256;

/// Chunks that the replay agent holds: the one being filled, and the next.
pub const CHUNKS_AT_REPLAY: usize = 2;

/// Free chunks that ingest is not given: what is read back from the journal is delivered from them
/// while accepted frames hold all others, which a full disk does not record. An eighth of the arena:
/// messages in flight to slow subscribers keep theirs for as long as `unread_timeout`.
pub const CHUNKS_FOR_REPLAY: usize = CHUNK_COUNT / 8;

/// Free chunks below which waiting messages give theirs up.
pub const CHUNKS_FREE_MIN: usize = CHUNKS_FOR_REPLAY + 2 * CHUNKS_AT_INGEST;
