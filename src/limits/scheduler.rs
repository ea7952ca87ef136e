//! Limits of the scheduler.

use std::time::Duration;

use super::journal::FETCHES_PER_CYCLE;

/// Messages that may wait for one destination, by default: half of all that may be held.
pub const MAX_QUEUED_DEFAULT: usize = 16_000_000;

/// Entries of the ring from ingest to the scheduler: a read of 256 KiB holds at most 3,013 of the
/// shortest valid lines, and there should be room for several reads.
pub const ARRIVALS_RING: usize = 16 * 1024;

/// Runs of duplicates that wait for ingest, whose producers want outcomes: ingest takes as many in a
/// duty cycle. Above it the scheduler takes no arrivals.
pub const DUPLICATE_RUNS_MAX: usize = 1024;

/// Accepted messages that wait for the journal's recorded position; the gate before delivery.
pub const UNRECORDED_MAX: usize = 64 * 1024;

/// Messages that the scheduler holds at once (queued and in flight): at seven bytes for each that
/// waits long, 224 MiB.
pub const MESSAGES_MAX: usize = 32 * 1024 * 1024;

/// Messages that have a slot at once, 128 bytes each with their links: 512 MiB. They come near it
/// only where thousands of subscribers owe acknowledgements, or 100,000 destinations have a few
/// messages each.
pub const SLOTS_MAX: usize = 4 * 1024 * 1024;

/// Messages with a slot above which those that wait long give theirs up: about as many frames of 390
/// bytes as the arena holds, and 16 MiB.
pub const HOT_MAX: usize = 128 * 1024;

/// A destination with fewer messages keeps their slots: packed, they would cost as much.
pub const COLD_LEN_MIN: usize = 16;

/// Messages that give up their slots in one duty cycle: some more than can arrive in one.
pub const EVICTED_PER_CYCLE: usize = ARRIVALS_PER_CYCLE + ARRIVALS_PER_CYCLE / 4;

/// A subscriber of more destinations is served as a group. Opening or closing one by one takes some
/// 10 ns each, and credit comes and goes with every write.
pub const SERVING_GROUP_MIN: usize = 64;

/// Places in the rows of destinations that subscribers which have gone are taken out of in one duty
/// cycle, with those before them: some 2 ns each, so 10 us.
pub const LEAVING_PLACES_PER_CYCLE: usize = 4096;

/// Slots that are looked at in one duty cycle for a destination whose messages may give up theirs.
pub const SLOTS_LOOKED_AT_PER_CYCLE: usize = 64;

/// Entries of each ring between scheduler and journal, replay, delivery, and from scheduler to
/// ingest: several cycles of what one of them does, [`DISPATCHES_PER_CYCLE`] or less. A full ring
/// stops the work that would fill it; nothing is kept behind it.
pub const SCHEDULER_RING: usize = 8 * 1024;

/// Events that the scheduler polls from one delivery agent in one duty cycle: as many frames as are
/// dispatched in one can each be written, acknowledged and returned by an entry of their own.
pub const DELIVERY_EVENTS_PER_CYCLE: usize = 4 * DISPATCHES_PER_CYCLE;

/// Events that the scheduler polls from the journal in one duty cycle. One event covers a batch of
/// 1 MiB at most; in the usual case there is one, and some chunks return.
pub const JOURNAL_EVENTS_PER_CYCLE: usize = 64;

/// Events that the scheduler polls from replay in one duty cycle: as many records as are read in
/// one.
pub const REPLAY_EVENTS_PER_CYCLE: usize = FETCHES_PER_CYCLE;

/// Arrivals that the scheduler takes in one duty cycle.
pub const ARRIVALS_PER_CYCLE: usize = 1024;

/// Messages that ageing moves up in one duty cycle.
pub const AGED_PER_CYCLE: usize = 256;

/// Destinations that the scheduler reports to the monitor in one duty cycle: some 50 ns each, so 3 us.
pub const REPORTED_PER_CYCLE: u32 = 64;

/// Names that may be about to go at once: each asks all agents. They fill no ring, and while a table
/// of 10,000 names is full, some thousand of them go in a second.
pub const RETIRING_MAX: usize = 32;

/// Names that the scheduler looks at in a row to see whether they may go, some 100 ns each; then it
/// rests: less than a hundredth of its time in all. A round of 10,000 names takes 160 ms.
pub const RETIRING_LOOKS: usize = 64;

/// This rest, in ns.
pub const RETIRING_REST_NS: u64 = 1_000_000;

/// A name that was not used for so long, in ns, may go: long enough that one which comes and goes
/// every few seconds stays.
pub const RETIRE_UNUSED_NS: u64 = 60_000_000_000;

/// The same while more than half of the room for names is used.
pub const RETIRE_UNUSED_OVER_HALF_NS: u64 = 100_000_000;

/// Agents answer within so long, in ns, whether a name may go; else it stays. They do so in a duty
/// cycle or two, unless sources wait for the disk: nobody else shall wait with them.
pub const RETIRE_ANSWER_NS: u64 = 100_000_000;

/// Subscribers that a name may have by their patterns, and go: each is told.
pub const RETIRING_SUBSCRIBERS_MAX: usize = 8;

/// Messages that the scheduler dispatches in one duty cycle.
pub const DISPATCHES_PER_CYCLE: usize = 1024;

/// Millisecond buckets of one priority queue: how far apart in time two messages may arrive and
/// still be put in the order of their timestamps.
pub const BUCKETS: usize = 256;

/// One aged message is served after this many native ones of its level: ageing must neither starve
/// nor take the level over.
pub const NATIVE_PER_AGED: u8 = 4;

/// Ids in the dedup window at most, by setting: their 128 bits alone are 1 GiB.
pub const DEDUP_MESSAGES_MAX: usize = 64 * 1024 * 1024;

/// Longest dedup window, by setting: the journal keeps its segments for as long.
pub const DEDUP_WINDOW_MAX: Duration = Duration::from_secs(7 * 24 * 3600);
