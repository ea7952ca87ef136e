//! Limits of threads, stopping and the log.

use std::time::Duration;

/// The window in which log lines of one cause are limited, in ns: short enough to be read as news.
pub const LOG_WINDOW_NS: u64 = 10_000_000_000;

/// Log lines of one cause in a window, where peers can cause them at will: a source that comes and goes
/// is seen to do so, and its lines are one a second at most, a tenth of a KiB each.
pub const LOG_LINES_PER_WINDOW: u32 = 5;

/// Log lines in a window for connections that come, and for those that go: one a second.
pub const LOG_CONNECTIONS_PER_WINDOW: u32 = 10;

/// How often agents look for log lines that were left out and not told of, in ns.
pub const LOG_TICK_NS: u64 = 1_000_000_000;

/// Longest time that a stopping engine delivers what is queued for connected subscribers. With the
/// other waits below and `[store] stop_timeout` (30 s) it is 81 s: systemd kills after 90.
pub const STOP_DRAIN_MAX: Duration = Duration::from_secs(30);

/// A drain that settles nothing for this long is over: subscribers that do not read are not waited
/// for, their messages are in the journal.
pub const STOP_DRAIN_STALL: Duration = Duration::from_secs(5);

/// Longest time that the agents' threads, all together, may take to complete their work: a disk that
/// takes 10 s for a sync is slow, one that takes longer hangs.
pub const STOP_THREADS_MAX: Duration = Duration::from_secs(15);

/// Longest time that HTTP answers under way may take at the end: a picture takes some 10 ms.
pub const STOP_ADMIN_MAX: Duration = Duration::from_secs(1);

/// Longest time that the last statistics and histogram files may take: 10,000 customers' share some
/// 600 files, written in less than 100 ms.
pub const STOP_FILES_MAX: Duration = Duration::from_secs(5);

/// How long a second signal leaves a stopping engine before it is ended where it stands.
pub const STOP_HURRY_MAX: Duration = Duration::from_secs(1);

/// Lines of the log, or blocks of statistics, that wait for a stream which takes none: some 150 bytes
/// each, so 600 KiB, and 4 MiB where all are as long as a server's words may make them.
pub const LOG_QUEUE: usize = 4 * 1024;

/// How long the last words of a process wait for whoever reads them.
pub const LAST_WORDS_MAX: Duration = Duration::from_millis(500);

/// A thread of agents whose duty cycle has stood still for this long is told: it parks for 64 ms at
/// most (an idle relief for a second), and a cycle takes a millisecond.
pub const STALL_MAX: Duration = Duration::from_secs(5);

/// The same for a thread that waits for the disk: kernels tell of a task that hangs after 120 s, and
/// before half of that a disk may come back.
pub const STALL_DISK_MAX: Duration = Duration::from_secs(60);

/// How often the threads are looked at: a tenth of [`STALL_MAX`].
pub const STALL_LOOK: Duration = Duration::from_millis(500);

/// What one look counts at most: more has passed only where the whole process stood still.
pub const STALL_LOOK_MAX: Duration = Duration::from_secs(1);

/// Between two looks at what the data directory takes: some files of the journal, a microsecond each.
pub const DISK_SAMPLE_INTERVAL: Duration = Duration::from_secs(30);

/// Looks that the disk's pace is made of: ten minutes, so that segments of 64 MiB that come and go even out.
pub const DISK_SAMPLES_MAX: usize = 21;

/// Bytes of a file that a setting names - certificates, a key, a token, credentials: ten times a bundle
/// of all public authorities, so that a wrong path does not take the memory.
pub const SETTING_FILE_LEN_MAX: u64 = 4 * 1024 * 1024;

/// Bytes of the settings themselves: 256 for each of a million destinations.
pub const SETTINGS_LEN_MAX: u64 = 256 * 1024 * 1024;

/// Longest `max_wait` of a level, and longest of the other times that a setting may ask for.
pub const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Shortest time between two prints of the statistics.
pub const STATS_INTERVAL_MIN: Duration = Duration::from_millis(1);

/// Delivery agents at most: each costs two rings and, in `dedicated`, a core.
pub const AGENTS_MAX: usize = 64;

/// Cores are numbered below this: as many as the kernel's own mask has.
pub const CORES_MAX: usize = 1024;
