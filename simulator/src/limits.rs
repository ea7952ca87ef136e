//! Every limit of the simulator: its name, its reason and its arithmetic.
//!
//! All modules read them; nothing here does anything.

/// Bytes rendered before a write: some 650 frames of 390 bytes, so that the write call costs a few
/// nanoseconds a frame, and small enough to stay in a core's second-level cache.
pub const BATCH_BYTES: usize = 256 * 1024;

/// Bytes one server keeps for acknowledgement (170,000 frames of 390 bytes). Beyond it the server
/// makes nothing new until acknowledgements come: a bound, not a loss, for its schedule stands.
pub const UNACKNOWLEDGED_BYTES_MAX: usize = 64 * 1024 * 1024;

/// The longest line the engine takes unless it is told otherwise; malformed lines exceed it.
pub const MAX_LINE: usize = 64 * 1024;

/// The longest `max_line` that can be asked for: an oversize line is a quarter longer, and a batch
/// may exceed its bytes by one line.
pub(crate) const MAX_LINE_MAX: usize = 16 * 1024 * 1024;

/// The shortest `max_line` that can be asked for: ordinary frames must fit.
pub(crate) const MAX_LINE_MIN: usize = 1024;

/// The longest `sourceServerId`, `destinationId` and `messageType` of the protocol.
pub const NAME_LEN_MAX: usize = 50;

/// The longest `messageId` of the protocol.
pub const MESSAGE_ID_LEN_MAX: usize = 255;

/// Decimal digits of the largest u64, hence of the running number.
pub(crate) const NUMBER_DIGITS_MAX: usize = 20;

/// Digits of a timestamp in ms from 2001 to 2286: one width, so that it can be patched in place.
pub(crate) const TIMESTAMP_DIGITS: usize = 13;

/// The first ms of 13 digits (September 2001).
pub(crate) const TIMESTAMP_MS_MIN: u64 = 1_000_000_000_000;

/// The last ms of 13 digits (November 2286).
pub(crate) const TIMESTAMP_MS_MAX: u64 = 9_999_999_999_999;

/// A frame's length unless asked otherwise, when the pace is not the human one.
pub const FRAME_LEN_DEFAULT: usize = 390;

/// Pre-rendered frames should stay in the first two caches: variants are added up to this many
/// bytes.
pub(crate) const TEMPLATE_BYTES_AIM: usize = 64 * 1024;

/// Different orders for each pair of destination and message type.
pub(crate) const VARIANTS_MAX: usize = 8;

/// The most memory that pre-rendered frames of one server may take.
pub(crate) const TEMPLATE_BYTES_MAX: usize = 256 * 1024 * 1024;

/// Frames remembered so that duplicates can be made of them.
pub(crate) const REMEMBERED_MAX: usize = 64;

/// One valid frame in so many is remembered: duplicates stem from the last 512 valid frames, well
/// inside the engine's dedup window of a million.
pub(crate) const REMEMBER_EVERY: u64 = 8;

/// The longest line a peer may send us (`{"ack":18446744073709551615}` has 28 bytes).
pub(crate) const PEER_LINE_MAX: usize = 4 * 1024;

/// The shortest wait between two looks at the schedule: at high rates frames leave in small groups,
/// at most 5,000 groups a second, instead of waking the thread for each.
pub(crate) const TICK_NS_MIN: u64 = 200_000;

/// The longest wait: how late a stop may be noticed.
pub(crate) const WAIT_NS_MAX: u64 = 50_000_000;

/// How long one attempt to dial may take.
pub(crate) const DIAL_TIMEOUT_MS: u64 = 1_000;

/// The first pause after a dial that failed; doubled each time, with full jitter.
pub(crate) const BACK_OFF_NS_MIN: u64 = 100_000_000;

/// The longest pause between two dials.
pub(crate) const BACK_OFF_NS_MAX: u64 = 5_000_000_000;

const _: () = {
    assert!(NAME_LEN_MAX + 1 + NUMBER_DIGITS_MAX + 1 + 8 <= MESSAGE_ID_LEN_MAX);
    assert!(MAX_LINE < BATCH_BYTES);
    assert!(UNACKNOWLEDGED_BYTES_MAX.is_multiple_of(BATCH_BYTES));
    assert!(REMEMBERED_MAX as u64 * REMEMBER_EVERY < 1_000_000);
};
