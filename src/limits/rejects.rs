//! Limits of rejected lines and of the files that keep them.

use super::ingest::LINE_LEN_MAX;

/// `rejected.ndjson` is rotated when it grows past this many bytes, by default.
pub const REJECTED_LEN_MAX_DEFAULT: u64 = 64 * 1024 * 1024;

/// Bytes of rejected lines that are kept, by default: 2.6 million lines of 400 bytes, a sixty-fourth
/// of what the journal may take.
pub const REJECTED_TOTAL_MAX_DEFAULT: u64 = 1024 * 1024 * 1024;

/// Segments' worth of the disk that rejected lines leave free: one that is being filled, the next one,
/// and one for what is carried forward of older ones.
pub const KEPT_HEADROOM_SEGMENTS: u64 = 3;

/// And one part in so many of the disk, for the store's database and what else shares it: 12 MiB of
/// 192, 1 GiB of 16.
pub const KEPT_HEADROOM_SHARE: u64 = 16;

/// That share at most, in bytes. With default segments 1.2 GiB are left free of a large disk; of a
/// small one half at most, so that lines are kept on any.
pub const KEPT_HEADROOM_SHARE_MAX: u64 = 1024 * 1024 * 1024;

/// Refused rows leave one part in so many of that: rejected lines, which anybody can cause, wait first.
/// While refused rows wait, the store does, and the journal keeps what it has not taken.
pub const REFUSED_HEADROOM_PART: u64 = 2;

/// Bytes of kept lines for which the file system is asked once how much is free (a system call of a
/// microsecond): four of [`REJECTS_BATCH_LEN`], and as much as the headroom may lose while others
/// write.
pub const KEPT_GRANT_LEN: u64 = 4 * REJECTS_BATCH_LEN as u64;

/// Bytes of the ring from ingest to the rejects agent: 60 of the longest lines, or 80,000 of a few
/// bytes; as much as may be lost of them by a kill.
pub const REJECTS_RING: usize = 4 * 1024 * 1024;

/// Bytes that the rejects agent appends at once: system calls vanish, and what fails is soon tried
/// again. One line more may be in it, six times as long as it came where every byte is escaped.
pub const REJECTS_BATCH_LEN: usize = 256 * 1024;

/// Bytes of kept lines that are formatted, or written, before whoever waits for the core gets it: a few
/// microseconds of work. A line of 64 KiB in one piece is as long as a thread's whole slice.
pub const KEPT_PIECE_LEN: usize = 4 * 1024;

/// Bytes of a source's name in a rejected line: the longest host name, a colon and a port.
pub const REJECT_SOURCE_LEN_MAX: usize = 253 + 6;

/// Sources whose rejected lines are logged at a rate of their own; all others share one. With five
/// lines each in ten seconds it is nine lines a second at most.
pub const REJECT_SOURCES_LOGGED_MAX: usize = 16;

/// A kept file that could not be written is tried again after this long, in ns: soon enough for who
/// waits, and nothing beside what else the disk does.
pub const KEPT_RETRY_NS: u64 = 100_000_000;

/// What a wrong line costs at least, in ns, wherever it is spent: it is parsed, copied, formatted and
/// written. An estimate, not a measurement: about a third here, the rest on the rejects agent's thread.
pub const REJECTED_LINE_NS: u64 = 1_000;

/// What each of its bytes costs, in ns: an estimate.
pub const REJECTED_BYTE_NS: u64 = 4;

/// Wrong lines get one part in so many of the time: 100,000 short ones a second, of all sources
/// together.
pub const REJECTED_SHARE: u64 = 10;

/// Time for wrong lines that is saved up, in ns: the longest one, or 260 short ones at once, which delay
/// nobody by more than a tenth of a millisecond.
pub const REJECTED_BURST_NS: u64 = 270_000;

/// Smallest `rejected_max_total`: a file is a quarter of it, and the longest line, all of whose bytes
/// are escaped, takes 384 KiB.
pub const REJECTED_TOTAL_MAX_FLOOR: u64 = 1024 * 1024;

/// Largest `rejected_max_total`, by setting.
pub const REJECTED_TOTAL_MAX_CEILING: u64 = 1024 * 1024 * 1024 * 1024;

/// Smallest `rejected.ndjson` before it is rotated, by setting: one longest line.
pub const REJECTED_LEN_MAX_FLOOR: u64 = 2 * LINE_LEN_MAX as u64;

/// Largest `rejected.ndjson` before it is rotated, by setting.
pub const REJECTED_LEN_MAX_CEILING: u64 = 1024 * 1024 * 1024 * 1024;
