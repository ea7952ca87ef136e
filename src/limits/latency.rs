//! Limits of the latency statistics.

use std::time::Duration;

/// Destinations with histograms of their own; later ones share one.
pub const LATENCY_DESTINATIONS_MAX: usize = 64;

/// What two latencies must differ by at least to be told apart, in nanoseconds (a power of two). A
/// microsecond would do for the totals; queue and journal are often shorter than that in `shared`
/// mode, and three more doublings cost 384 of 3,712 bins.
pub const LATENCY_NS_MIN: u64 = 128;

/// Longest latency that is told apart, in nanoseconds: an hour. Longer ones count as an hour.
pub const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// Longest wait of a message that is told apart, in nanoseconds: 30 days. A customer may be away for
/// longer than any latency, and ten more doublings cost 1,280 bins.
pub const WAITING_NS_MAX: u64 = 30 * 24 * 3_600_000_000_000;

/// Significant digits of a latency: 1 % is finer than two runs of the same load differ.
pub const LATENCY_DIGITS: u8 = 2;

/// Bytes of one interval log, by default: at 4 destinations and a line in ten seconds some 100 MB a
/// day are written under load, and the 8 files kept are 128 MiB.
pub const LATENCY_LOG_LEN_DEFAULT: u64 = 16 * 1024 * 1024;

/// Smallest interval log, by setting. At 8 levels and 65 slots one interval has 696 lines of some
/// 300 to 1,000 bytes, which should fit.
pub const LATENCY_LOG_LEN_MIN: u64 = 1024 * 1024;

/// Largest interval log, by setting: whoever reads it takes it into memory.
pub const LATENCY_LOG_LEN_CEILING: u64 = 256 * 1024 * 1024;

/// Counts of all tags of the logs that `histogram` adds up, of 8 bytes each: 512 MiB. The engine's 696
/// tags have 4,000 each; a line of 60 bytes may claim 6 million.
pub const LATENCY_COUNTS_MAX: usize = 64 * 1024 * 1024;

/// Shortest time between two lines of an interval log: the monitor would do little else.
pub const LATENCY_LOG_INTERVAL_MIN: Duration = Duration::from_millis(100);

/// Longest age of an interval log, by setting.
pub const LATENCY_LOG_AGE_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// Interval logs that are kept at most, by setting: a directory listing stays cheap.
pub const LATENCY_LOG_FILES_MAX: usize = 10_000;

/// Message types that are told apart for one customer, by first use; later ones count together. A
/// table of all `MESSAGE_TYPES_MAX` would be 1 KiB for each of 10,000 customers.
pub const CUSTOMER_TYPES_MAX: usize = 16;

/// Messages of a customer that are remembered one by one.
pub const CUSTOMER_LAST: usize = 8;

/// Customers that `/stats` lists, by destination; with eight last messages each they are 1 MB.
pub const CUSTOMERS_SHOWN_MAX: usize = 1_000;

/// Destinations with series of their own in `/metrics`: with 3 levels 16 each, of some 90 bytes, so
/// 16,000 series and 1.5 MB a scrape. The others are in the sums, and in `/destinations`.
pub const METRICS_DESTINATIONS_MAX: usize = 1_000;

/// Customers that the printed statistics list: a screen of them.
pub const CUSTOMERS_PRINTED_MAX: usize = 50;

/// The monitor looks for new latencies this often; also how old what `/stats` shows of them may be.
pub const MONITOR_TICK_MS: u64 = 250;

/// Length of a step of what the page shows over time.
pub(crate) const RECENT_STEP: Duration = Duration::from_secs(10);

/// Steps that are kept: ten minutes. A step has 45 summaries of 48 bytes at 8 levels, 65 of destinations
/// and some hundred cells of a heat map, 8 KiB; together 0.5 MiB.
pub(crate) const RECENT_STEPS: usize = 60;

/// Sources that are all gone are an alarm after this long: they dial again within five seconds.
pub const ALARM_AFTER_US: u64 = 5_000_000;

/// A customer that does not read or acknowledge is an alarm after this long. It is noticed within a
/// second and told within another one, so whoever stands still for five seconds is in the log.
pub const STANDS_STILL_AFTER_US: u64 = 2_000_000;

/// How long the growth of a counter that should not grow stays an alarm.
pub const ALARM_GROWTH_US: u64 = 60_000_000;

/// Destinations that an alarm names; `/destinations` lists all.
pub const DESTINATIONS_NAMED_MAX: usize = 5;

/// The monitor asks the scheduler this often what waits for whom: how late it may be told that a
/// customer stands still.
pub const DESTINATIONS_INTERVAL: Duration = Duration::from_secs(1);

/// Two reports that are closer to each other are not compared: within a few milliseconds nothing needs
/// to move. The last report of a run comes soon after the one before.
pub(crate) const DESTINATIONS_COMPARED_AFTER: Duration = Duration::from_millis(500);
const _: () = assert!(
    DESTINATIONS_COMPARED_AFTER.as_millis() < DESTINATIONS_INTERVAL.as_millis(),
    "a report may be late, and the next one on time"
);
