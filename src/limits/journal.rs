//! Limits of the journal, its retention and its replay.

/// Records that are read back from the journal in one duty cycle.
pub const FETCHES_PER_CYCLE: usize = 256;

/// Bytes of one segment file, by default.
pub const SEGMENT_LEN_DEFAULT: u64 = 64 * 1024 * 1024;

/// Bytes of one journal batch at most; a batch never crosses segments, so it bounds their waste.
pub const BATCH_LEN_MAX: usize = 1024 * 1024;

/// Bytes of a batch of a compacted file, where a record is not longer by itself: as much is read for one
/// message that is carried forward, and 16 bytes of memory are its price.
pub const CARRIED_BATCH_LEN: usize = 64 * 1024;

/// Free files that are to become segments: as many as a moment of full speed takes before the next
/// ones are freed; more would only hold disk space.
pub const FREE_FILES_MAX: usize = 4;

/// Bytes that the journal may take on disk, by default: a thousand default segments.
pub const JOURNAL_LEN_MAX_DEFAULT: u64 = 64 * 1024 * 1024 * 1024;

/// Segments that `journal.max_bytes` must leave room for: the one that is being filled, the reserve,
/// and as many again to work with.
pub const JOURNAL_SEGMENTS_MIN: u64 = 8;

/// Segments of `journal.max_bytes` that messages may not take: one for settlements, one for what is
/// on its way to the journal when the limit is reached, one for the compacted file that makes room. The
/// first and the last are there from the start, see [`JOURNAL_RESERVE_LEN`].
pub const JOURNAL_RESERVE: u64 = 3;

/// Bytes of room on the disk that only settlements may take, or half a segment where that is less. In full
/// batches they hold 699,000 settlements (12 bytes each), each in a batch of its own 139,000 (60 bytes):
/// those of the 160,000 frames of 390 bytes that a default segment holds, after which it goes. At start
/// they take 4 ms to write.
pub const JOURNAL_RESERVE_LEN: u64 = 8 * 1024 * 1024;

/// Bytes of room on the disk for a compacted file, or three eighths of a segment where that is less: the
/// ids of a segment take a quarter of it at most (see [`super::ID_WHOLE_LEN_MAX`]), the rest is for its
/// unsettled messages. Of the usual 22 bytes, the ids of a segment of 1 GiB take 53 MiB.
pub const JOURNAL_COMPACTION_RESERVE_LEN: u64 = 64 * 1024 * 1024;

/// Bytes of the log of a database on the journal's disk at most: a transaction of
/// [`super::STORE_GATHER_LEN_MAX`] bytes of frames with its indexes, half as much again.
pub const DATABASE_LOG_LEN_MAX: u64 = super::STORE_GATHER_LEN_MAX as u64 / 2 * 3;

/// Bytes that such a database is left in any case: its log is 4 MiB long between transactions.
pub const DATABASE_ROOM_MIN: u64 = 4 * 1024 * 1024;

/// Bytes of settlements that the journal agent holds while the disk is full: half a batch, 43,000 of
/// them. More stay in the ring, and where they find no room at all, nothing is handed out that would
/// add to them: what is in flight is bounded by the subscribers' credit.
pub const SETTLEMENTS_LEN_MAX: usize = BATCH_LEN_MAX / 2;

/// Largest `journal.max_bytes`, by setting.
pub const JOURNAL_LEN_MAX_CEILING: u64 = 1024 * 1024 * 1024 * 1024 * 1024;

/// Words of unsettled messages that the scheduler gives out at once: 512 of them speak of 32,768
/// messages where they stand together, and take a microsecond.
pub const QUERY_WORDS: usize = 512;

/// Entries of the rings to and from retention: one query goes round, segments are begun some times
/// a second, and few files are free.
pub const RETENTION_RING: usize = 64;

/// Events of the journal agent that retention takes in a cycle: all that the ring holds.
pub const RETENTION_EVENTS_PER_CYCLE: usize = RETENTION_RING;

/// Runs of records gathered into one journal write; with headers and settlements they stay below
/// the system's 1,024 pieces.
pub const PIECES_PER_BATCH: usize = 256;

/// Bytes that a reader of the journal takes at once: any batch fits, and reads are long enough that
/// their system calls vanish (one for some 2,500 frames of 390 bytes).
pub const JOURNAL_READ_LEN: usize = 1024 * 1024 + 4096;

/// Segments that are made at start to begin behind a store that has more than the journal: at 64 MiB
/// each, 256 GiB, which no power loss takes.
pub const SEGMENTS_AHEAD_MAX: u64 = 4096;

/// Missing segments that a repair makes anew, empty, so that a gap is closed: as many. A file that is
/// farther from the others is no part of this journal.
pub const REPAIR_GAP_MAX: u64 = SEGMENTS_AHEAD_MAX;

/// Smallest segment, by setting: four batches, so that a batch wastes a quarter at worst.
pub const SEGMENT_LEN_MIN: u64 = 4 * BATCH_LEN_MAX as u64;

/// Largest segment, by setting: disk space comes back a segment at a time.
pub const SEGMENT_LEN_MAX: u64 = 1024 * 1024 * 1024;

/// Largest number of a segment: at the smallest length, positions behind it fit into 64 bits. A file of
/// a larger number is none of a journal, for 16 EiB would have been written before it.
pub const SEGMENT_NUMBER_MAX: u64 = u64::MAX / SEGMENT_LEN_MIN - 2;
