//! Limits of delivery and its subscribers.

use super::message::DESTINATIONS_MAX_DEFAULT;

/// Entries of a ring to a delivery agent that frames leave to answers: one for each subscriber that
/// comes or goes while frames fill the ring, so that subscribers behind it can do so too.
pub const ANSWERS_RESERVED: usize = 16;

/// Bytes on their way to one subscriber, by default: 600 frames of 390 bytes, a tenth of a
/// millisecond of loopback. Half of them wait in the engine: two pieces as the kernel makes them.
pub const CREDIT_DEFAULT: usize = 256 * 1024;

/// Bytes of a subscriber's send buffer in the kernel, or its credit where that is less: for what is
/// under way to its machine. What waits in it for the peer to read is part of the credit.
pub const SUBSCRIBER_SEND_BUFFER: usize = 256 * 1024;

/// Frames that a subscriber may hold without having acknowledged them. Clients may acknowledge as
/// rarely as they like below it.
pub const UNACKNOWLEDGED_MAX: u32 = 64 * 1024;

/// Longest line that a subscriber may send, or is sent: room for 10,000 destinations of the longest
/// names, in quotes and with commas, in one `subscribe`.
pub const SUBSCRIBER_LINE_LEN_MAX: usize = 1024 * 1024;

/// Bytes that one read takes from a subscriber at most; acknowledgements are short.
pub const SUBSCRIBER_READ_LEN_MAX: usize = 16 * 1024;

/// The same in the middle of a long line: the longest one takes 17 reads, and what is copied to go on
/// with it nine times its length.
pub const SUBSCRIBER_LONG_READ_LEN_MAX: usize = 64 * 1024;

/// Bytes of the unfinished lines of all subscribers of an agent that may be longer than
/// [`SUBSCRIBER_LONG_READ_LEN_MAX`]: above it such a line is refused, so that a crowd of them does
/// not take the memory.
pub const LONG_LINES_LEN_MAX: usize = 64 * 1024 * 1024;

/// Names that a delivery agent compares for `subscribe` lines in one duty cycle, and destinations
/// that it hands over at once: some 100 us.
pub const NAMES_PER_CYCLE: usize = 1024;

/// Patterns that one connection may subscribe to: each is held against each name that is created.
pub const PATTERNS_MAX: usize = 64;

/// Bytes of the names in one `subscribed` line; those above it make another one.
pub const ANSWER_LEN_MAX: usize = 1000 * 1024;

/// Subscribers that may be connected, by default: one for each of [`DESTINATIONS_MAX_DEFAULT`](crate::limits::DESTINATIONS_MAX_DEFAULT)
/// destinations. With the other listeners' they fit the 20,000 files that many systems allow.
pub const SUBSCRIBERS_MAX_DEFAULT: usize = DESTINATIONS_MAX_DEFAULT;

/// Frames gathered into one `writev`.
pub const FRAMES_PER_WRITE: usize = 256;

/// Least credit of a subscriber, by setting: some ten frames, one memory page.
pub const CREDIT_MIN: usize = 4 * 1024;

/// Largest credit of a subscriber, by setting: a quarter of the arena.
pub const CREDIT_MAX: usize = 8 * 1024 * 1024;
