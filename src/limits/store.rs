//! Limits of the store.

use std::time::Duration;

/// Bytes of frames that the store gathers for one transaction when it is behind: some 90,000 rows of
/// 390 bytes. The fewer transactions, the less their logs are synced, and the more settlements find
/// their message among the rows and cost no update; 5,000 rows of the longest line would be 320 MB.
pub const STORE_GATHER_LEN_MAX: usize = 32 * 1024 * 1024;

/// Rows in one transaction, of whatever length: a server that takes 10,000 a second has them in 10 s,
/// a third of the time after which an answer is given up.
pub const STORE_GATHER_ROWS_MAX: usize = 100_000;

/// A store that is behind takes so many times `batch_rows` into one transaction, within
/// [`STORE_GATHER_ROWS_MAX`] and [`STORE_GATHER_LEN_MAX`]: 100,000 where nothing else is set.
pub const STORE_BATCH_GROWTH: usize = 20;

/// Frames of one transaction take one part in so many of what is free on the disk of a database file: their
/// pages and those of their indexes are written to its log, and then to the file.
pub const STORE_ROOM_SHARE: u64 = 8;

/// Bytes for frames that are kept from one transaction to the next; one of 5,000 rows needs 2 MB.
/// What more was needed while the store was behind is given back.
pub const STORE_GATHER_LEN_KEPT: usize = 4 * 1024 * 1024;

/// Rows, and updates, for which room is kept in the same way.
pub const STORE_GATHER_ROWS_KEPT: usize = 10_000;

/// Bytes that a bulk load writes before it hands them to the server: some 700 rows of 390 bytes, so
/// that the server has the first ones soon, and the hand-over costs nothing.
pub const STORE_LOAD_BLOCK_LEN: usize = 256 * 1024;

/// The same where a load goes in small pieces: some seven rows, which a server on the same machine
/// writes within 0.3 ms. Measured at 10,000 messages a second beside MariaDB on the same two cores
/// and a disk in memory, with as long a rest as below: the p99 of delivery was 2.5 ms with whole
/// loads, 0.7 ms with 3 KiB, and 0.8 to 1.6 ms with pieces from 512 bytes to 6 KiB and rests of 50
/// to 600 us. Shorter ones cost the server more, a fifth at 1 KiB.
pub const STORE_LOAD_PIECE_LEN: usize = 3 * 1024;

/// How long a server has no work between two pieces, us; the system makes it some 50 us more.
pub const STORE_SERVER_REST_US: u64 = 300;

/// Blocks that are written ahead of the server: it need not wait, and a load takes 1 MiB of memory.
pub const STORE_LOAD_BLOCKS: usize = 2;

/// Updates in one transaction: 8 MiB of them. They are in the order of delivery, by priority, and
/// the database's pages in the order of arrival: the more at once, the fewer visits to each page.
pub const STORE_UPDATES_MAX: usize = 512 * 1024;

/// Updates in one statement at a server: it answers within a second or two, even where it has to
/// write each row anew, and so long before it is given up.
pub const STORE_UPDATES_STATEMENT: usize = 40_000;

/// The same where they go in small pieces.
pub const STORE_UPDATES_PIECE: usize = 32;

/// Updates in one statement that names each row: the server looks through all of them for each row,
/// 500 * 250 comparisons, some 2 ms.
pub const STORE_UPDATES_NAMED: usize = 500;

/// Bytes of rows that one INSERT holds: beyond some hundred rows a statement gains nothing, and the
/// server needs memory for the whole of it.
pub const STORE_STATEMENT_LEN_MAX: usize = 1024 * 1024;

/// The same where rows go in small pieces: some twenty, for a statement has a price of its own.
pub const STORE_STATEMENT_PIECE_LEN: usize = 8 * 1024;

/// A store that is so many seconds behind is called slow: a hundred times its usual `batch_time`.
pub const STORE_LAG_DEGRADED_S: u64 = 10;

/// A store that is slow, and whose thread waits for a core for this much of the time, is slow for want of
/// one: with it, it would be twice as fast.
pub(crate) const STORE_CORE_WAIT_PERCENT: u64 = 50;

/// Rows that find another message under their id, with no row stored between them: so many are kept
/// aside as some other program's doing. More of them are a database that followed another journal,
/// and the store stops before settlements reach rows that are not its own.
pub const STORE_OTHER_ROWS_MAX: u32 = 100;

/// Rows of a transaction that are looked for in the database to know its rows again: any of them that
/// is there will do, and the first ones may have been refused.
pub const STORE_SAMPLE_ROWS: usize = 8;

/// Tries of a transaction that one cause fails, where a trigger may raise for one row what otherwise
/// concerns all: then rows and settlements are split as those are that break a rule. With the pauses
/// between them they take 3 s at most, in which a deadlock has passed.
pub const STORE_REPEATS_MAX: u32 = 6;

/// Transactions without such a cause after which it is forgotten: a customer who comes now and then
/// does not hold up the others for 3 s each time.
pub const STORE_REPEATS_FORGOTTEN: u32 = 100;

/// Causes that are counted at once: a customer's trigger has one or two.
pub const STORE_REPEATS_KEPT: usize = 16;

/// First pause before a store that failed is tried again.
pub const STORE_RETRY_MS_MIN: u64 = 100;

/// Longest pause before a store that failed is tried again.
pub const STORE_RETRY_MS_MAX: u64 = 5_000;

/// Tables that go while an engine with `[store] create` runs are made anew after this long: who renames one is
/// not yet done, or restores it.
pub const STORE_MAKE_AGAIN: Duration = Duration::from_secs(15);

/// Shortest `[store] keep`, by setting: it is for tests; an operator wants minutes at least.
pub const STORE_KEEP_MIN: Duration = Duration::from_secs(1);

/// Longest `[store] keep`, by setting: a hundred years.
pub const STORE_KEEP_MAX: Duration = Duration::from_secs(36_500 * 24 * 60 * 60);

/// Rows that one piece of a removal looks at, at first: some 10 ms of SQLite's work, 30 ms of a server's.
pub const STORE_REMOVE_ROWS: usize = 1_000;

/// The same at least: on a machine whose cores are all taken, pieces of 50 rows removed 400 rows a second
/// at a server, and the table grew.
pub const STORE_REMOVE_ROWS_MIN: usize = 500;
/// The same at most: a batch that waits behind it waits less than its usual `batch_time`.
pub const STORE_REMOVE_ROWS_MAX: usize = 4_000;

/// Rows that one statement deletes at a server: some 1 ms of its work, with a rest behind it.
pub const STORE_REMOVE_STATEMENT: usize = 64;

/// A piece that takes longer is followed by smaller ones: half of the usual `batch_time`.
pub const STORE_REMOVE_TIME_MAX: Duration = Duration::from_millis(50);

/// Between two pieces.
pub const STORE_REMOVE_REST: Duration = Duration::from_millis(10);

/// A store that is always behind removes a piece this often nevertheless: some 50 ms of each second.
pub const STORE_REMOVE_SHARE: Duration = Duration::from_secs(1);

/// A store that is always behind removes this many rows for one fewer that it writes, while there are old
/// ones: so the table does not grow, and what was missed is made up.
pub(crate) const STORE_REMOVE_AHEAD: usize = 5;

/// Between two passes over the old rows: a tenth of `keep`, within these bounds.
pub const STORE_REMOVE_PAUSE_MIN: Duration = Duration::from_secs(1);
/// See [`STORE_REMOVE_PAUSE_MIN`].
pub const STORE_REMOVE_PAUSE_MAX: Duration = Duration::from_secs(60 * 60);

/// Old rows that stay are read again by each pass, in some 10 us each. For each of them the next pass waits
/// so long, so that this takes a twentieth of the time: half an hour for ten million rows.
pub const STORE_REMOVE_READ_PAUSE: Duration = Duration::from_micros(200);

/// Days for which a partitioned table has partitions ahead once it gets new ones, and when it does: an
/// engine that stands still for so long finds a partition all the same, that of all later rows.
pub const STORE_PARTITIONS_AHEAD: i64 = 7;
/// See [`STORE_PARTITIONS_AHEAD`].
pub const STORE_PARTITIONS_AHEAD_MIN: i64 = 3;

/// Days before today that get a partition of their own at most; older rows share one. Servers take 8,192
/// partitions, and open each of them.
pub const STORE_PARTITIONS_BACK: i64 = 1_000;

/// Rows that an export looks at in one transaction: 32 MiB of the longest frames.
pub const EXPORT_PAGE_ROWS: usize = 500;

/// A removal that has failed is tried again after this long: rows do not wait for it.
pub const STORE_REMOVE_RETRY: Duration = Duration::from_secs(30);

/// Bytes of one file of rows that the database refused.
pub const UNSTORED_LEN_MAX: u64 = 64 * 1024 * 1024;

/// Bytes of all of them, by default; at it the store waits.
pub const UNSTORED_TOTAL_MAX_DEFAULT: u64 = 1024 * 1024 * 1024;

/// Full files that are read at start besides the current one, for rows that come again: they are of
/// one transaction, 32 MiB of frames.
pub const UNSTORED_FILES_READ: usize = 2;

/// Bytes that are appended, and synced, at once; one row more may be in it.
pub const UNSTORED_BATCH_LEN: usize = 1024 * 1024;

/// Smallest `unstored_max_total`, by setting: several of these fit.
pub const UNSTORED_TOTAL_MAX_FLOOR: u64 = 8 * UNSTORED_BATCH_LEN as u64;

/// Rows of a store batch at most, by setting: at 400 bytes, 40 MB in one transaction.
pub const BATCH_ROWS_MAX: usize = 100_000;
