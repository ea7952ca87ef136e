//! Limits of messages: ids, names, levels.

/// Levels at most.
pub const LEVELS_MAX: usize = 8;

/// Longest messageId, in bytes.
pub const MESSAGE_ID_LEN_MAX: usize = 255;

/// Longest messageId that is remembered as it is when its message is gone; of a longer one its digest of
/// 32 bytes is. So what is remembered of a message takes no more than a quarter of its record: the
/// shortest one with an id of 40 bytes takes 171, and its id 41; with one of 41, 172 and 33.
pub const ID_WHOLE_LEN_MAX: usize = 40;

/// Longest sourceServerId, destinationId and messageType, in bytes.
pub const NAME_LEN_MAX: usize = 50;

/// Message types that are told apart in the statistics; later ones are counted together.
pub const MESSAGE_TYPES_MAX: usize = 256;

/// Destinations that may exist when they are created by messages, by default.
pub const DESTINATIONS_MAX_DEFAULT: usize = 10_000;

/// Indices for each destination that there may be: those of names that have gone are not free before
/// everybody knows, and take no room from other names meanwhile.
pub const INDICES_PER_NAME: usize = 2;

/// Destinations at most, by setting: at a few hundred bytes each, some hundred MiB.
pub const DESTINATIONS_MAX: usize = 1_000_000;
