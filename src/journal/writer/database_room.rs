//! How far messages may go on a disk that the store's database shares: without room to follow, the
//! store would hold every segment for ever.
//!
//! The writer asks before it writes messages: once a second where a thousand segments would fit, and
//! more often near the end. It asks its caller how much room is left, and does no IO itself.
//!
//! ```text
//! room left | messages | database: 3/2 of what it has not, and its log: as much, 48 MiB at most |
//! ```
//! Of what the store is far behind with, it gets two segments at a time; they go when it has them.

use crate::clock::Now;
use crate::journal::format::Position;
use crate::limits::{DATABASE_LOG_LEN_MAX, DATABASE_ROOM_MIN};

/// How long an answer counts, in ns: others use the disk as well.
const FRESH_NS: u64 = 1_000_000_000;

/// See the module.
#[derive(Debug)]
pub(super) struct DatabaseRoom {
    segment_len: u64,
    /// Messages may go up to here.
    end: Position,
    ask_at_ns: u64,
}

impl DatabaseRoom {
    pub(super) fn new(segment_len: u64) -> Self {
        Self {
            segment_len,
            end: 0,
            ask_at_ns: 0,
        }
    }

    /// Whether messages may be written at `position`; `None`: [`DatabaseRoom::learn`] has to be told.
    #[inline]
    pub(super) fn allows(&self, position: Position, now: Now) -> Option<bool> {
        (now.ns < self.ask_at_ns && position < self.end).then_some(true)
    }

    /// Learns how many bytes are left on the disk, and whether messages may be written at `position`
    /// then; the store has followed to `stored`.
    pub(super) fn learn(
        &mut self,
        available: u64,
        position: Position,
        stored: Position,
        now: Now,
    ) -> bool {
        let behind = position.saturating_sub(stored);
        let messages = messages_len(available, behind, 2 * self.segment_len);
        self.end = position.saturating_add(messages);
        self.ask_at_ns = now.ns.saturating_add(FRESH_NS);
        messages > 0
    }
}

/// Bytes of messages that fit into `available` ones beside what a database needs for them and for the
/// `behind` bytes that it has not yet, or for `portion` bytes where that is less.
fn messages_len(available: u64, behind: u64, portion: u64) -> u64 {
    let rest = available.saturating_sub(DATABASE_ROOM_MIN);
    let behind = behind.min(portion);
    // The log is as long as what it logs, or as long as one transaction; or the portion is all.
    let short_log = rest.saturating_sub(3 * behind) / 4;
    let rest_of_long = rest.saturating_sub(DATABASE_LOG_LEN_MAX);
    let long_log = rest_of_long.saturating_sub(behind + behind / 2) / 5 * 2;
    let log = (portion + portion / 2).min(DATABASE_LOG_LEN_MAX);
    let portions = rest.saturating_sub(portion + portion / 2 + log);
    short_log.max(long_log).max(portions)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::testing::at;

    const MIB: u64 = 1024 * 1024;
    const PORTION: u64 = 128 * MIB;

    /// What a database and its log take of the disk to follow so many bytes.
    fn needed(behind: u64) -> u64 {
        let rows = behind.min(PORTION) * 3 / 2;
        rows + rows.min(DATABASE_LOG_LEN_MAX) + DATABASE_ROOM_MIN
    }

    #[test]
    fn messages_leave_the_database_what_it_needs_and_nothing_more() {
        for available in (0..600).map(|it| it * MIB) {
            for behind in [0, 1, 10, 40, 100, 127, 128, 1_000].map(|it| it * MIB) {
                let messages = messages_len(available, behind, PORTION);
                let is_right = |messages: u64| messages + needed(behind + messages) <= available;
                assert!(messages == 0 || is_right(messages), "{available} {behind}");
                assert!(!is_right(messages + MIB / 16), "{available} {behind}");
            }
        }
    }

    #[test]
    fn it_is_asked_again_when_messages_have_come_so_far_or_a_second_has_passed() {
        let mut room = DatabaseRoom::new(64 * MIB);
        assert_eq!(room.allows(0, at(0)), None);
        assert!(room.learn(20 * MIB, 100, 100, at(5)));
        assert_eq!(room.allows(100, at(6)), Some(true));
        assert_eq!(room.allows(100 + 4 * MIB, at(6)), None);
        assert_eq!(room.allows(100, at(5 + FRESH_NS)), None);
        assert!(!room.learn(DATABASE_ROOM_MIN, 100, 100, at(7)));
        assert_eq!(room.allows(100, at(8)), None);
        assert!(room.learn(u64::MAX, u64::MAX, 0, at(9)));
    }
}
