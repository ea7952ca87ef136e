//! Every limit of the engine, with its reason and its arithmetic.
//!
//! Everything bounded is bounded here, or by a setting whose default or ceiling stands here.

use std::time::Duration;

/// Longest line by default, in bytes without its newline.
pub const LINE_LEN_MAX_DEFAULT: usize = 64 * 1024;

/// Longest line that a setting may allow: a record's field offsets are 16 bits wide.
pub const LINE_LEN_MAX: usize = 64 * 1024;

/// Bytes of any content behind a line in a read buffer, so that simd-json needs no copy of it: a
/// vector of 64 bytes may be read from any byte of the line.
pub const LINE_PADDING: usize = 64;

/// Bytes of one arena chunk: large enough that sealing one is rare (600 frames of 390 bytes), small
/// enough that a few hundred of them make a fine-grained pool.
pub const CHUNK_LEN: usize = 256 * 1024;

/// Chunks of the arena: 64 MiB, a tenth of a second of the fastest stream. A chunk costs memory once
/// it was written to, and the pool hands out the one that came home last, so a small backlog touches
/// few of them.
pub const CHUNK_COUNT: usize = 256;

/// Bytes that one read takes from a socket at most. It bounds what one chatty source gets in a
/// turn, and a whole read must find room downstream before it is made.
pub const READ_LEN_MAX: usize = 256 * 1024;

/// Bytes that one read takes while a source sends little at a time: 170 frames of 390 bytes are a
/// tenth of a millisecond, for which the other's message may wait.
pub const READ_LEN_SHARED: usize = 64 * 1024;

/// For so long after a small read, in ns: who sends a hundred messages a second is among those that
/// do.
pub const SHARED_NS: u64 = 10_000_000;

/// Lines that a connection has taken in one turn at most, whatever they are: a read has fewer of the
/// shortest valid ones, and blank ones take 10 ns each.
pub const TURN_LINES_MAX: usize = 4096;

/// Bytes of lines that were read and wait to be taken, in all: above it, a read takes
/// [`READ_LEN_HOLDING`] at most. A source that waits holds a read and a line at most, so 200 of them
/// reach it; from then on each adds a line and a small read.
pub const HELD_LEN_MAX: usize = 64 * 1024 * 1024;

/// See [`HELD_LEN_MAX`]: a few frames, so that a source that holds nothing goes on.
pub const READ_LEN_HOLDING: usize = 4 * 1024;

/// The window in which log lines of one cause are limited, in ns: short enough to be read as news.
pub const LOG_WINDOW_NS: u64 = 10_000_000_000;

/// Log lines of one cause in a window, where peers can cause them at will: a source that comes and goes
/// is seen to do so, and its lines are one a second at most, a tenth of a KiB each.
pub const LOG_LINES_PER_WINDOW: u32 = 5;

/// How often agents look for log lines that were left out and not told of, in ns.
pub const LOG_TICK_NS: u64 = 1_000_000_000;

/// Messages that may wait for one destination, by default: half of all that may be held.
pub const MAX_QUEUED_DEFAULT: usize = 16_000_000;

/// Connections that the ingest agent reads in one duty cycle.
pub const READS_PER_CYCLE: usize = 4;

/// What was read of a source is confirmed to its system after this long at the latest, in ns, however
/// much there is to read of others: a peer with Nagle's algorithm waits for it with its next message,
/// and the system by itself would let it wait for 40 ms. A thousand confirmations a second of 6 us each
/// are less than a hundredth of a core.
pub const CONFIRM_NS_MAX: u64 = 1_000_000;

/// A source that has ended its side, and takes none of the acknowledgements that it still gets, is
/// closed after this long, in ns: as long as a dead peer is waited for.
pub const UNTAKEN_ACK_NS_MAX: u64 = 30_000_000_000;

/// How often such sources are looked at, in ns.
pub const LEAVING_TICK_NS: u64 = 100_000_000;

/// Connections that a listener's agent accepts in one duty cycle.
pub const ACCEPTS_PER_CYCLE: usize = 64;

/// Chunks that a read may fill: the shortest valid line is 87 bytes and a record adds 45, so
/// 256 KiB of lines make 390 KiB of records; each chunk may waste its last `LINE_LEN_MAX`.
pub const CHUNKS_PER_READ: usize = 4;

/// Entries of the ring from ingest to the scheduler: a read of 256 KiB holds at most 3,013 of the
/// shortest valid lines, and there should be room for several reads.
pub const ARRIVALS_RING: usize = 16 * 1024;

/// The shortest valid line:
/// `{"messageId":"a","sourceServerId":"b","destinationId":"c","messageType":"d","priority":1}`.
pub const LINE_LEN_MIN: usize = 87;

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

/// Slots that are looked at in one duty cycle for a destination whose messages may give up theirs.
pub const SLOTS_LOOKED_AT_PER_CYCLE: usize = 64;

/// Entries of each ring between scheduler and journal, replay, delivery, and from scheduler to
/// ingest: several cycles of what one of them does, [`DISPATCHES_PER_CYCLE`] or less. Whoever finds
/// one full does no more of what would fill it; nothing is kept behind it.
pub const HOP_RING: usize = 8 * 1024;

/// Entries of a ring to a delivery agent that frames leave to answers: one for each subscriber that
/// comes or goes while frames fill the ring, so that the others are heard behind it.
pub const ANSWERS_RESERVED: usize = 16;

/// What the scheduler hears from one delivery agent in one duty cycle: as many frames as are
/// dispatched in one can each be written, acknowledged and returned by an entry of their own.
pub const DELIVERY_EVENTS_PER_CYCLE: usize = 4 * DISPATCHES_PER_CYCLE;

/// What the scheduler hears from the journal in one duty cycle. One entry speaks of a batch of 1 MiB
/// at most; in the usual case there is one, and some chunks come home.
pub const JOURNAL_EVENTS_PER_CYCLE: usize = 64;

/// What the scheduler hears from replay in one duty cycle: as much as is read in one.
pub const REPLAY_EVENTS_PER_CYCLE: usize = FETCHES_PER_CYCLE;

/// What ingest hears from the scheduler in one duty cycle: chunks, a line of each source, and where
/// destinations have room again.
pub const COMMANDS_PER_CYCLE: usize = 1024;

/// Arrivals that the scheduler takes in one duty cycle.
pub const ARRIVALS_PER_CYCLE: usize = 1024;

/// Messages that ageing moves up in one duty cycle.
pub const AGED_PER_CYCLE: usize = 256;

/// Records that are read back from the journal in one duty cycle.
pub const FETCHES_PER_CYCLE: usize = 256;

/// Chunks that ingest holds: the one being filled, and enough for two reads.
pub const CHUNKS_AT_INGEST: usize = 1 + 2 * CHUNKS_PER_READ;

/// Chunks that the replay agent holds: the one being filled, and the next.
pub const CHUNKS_AT_REPLAY: usize = 2;

/// Free chunks that ingest is not given: what is read back from the journal is delivered from them
/// while accepted frames hold all others, which a full disk does not record. An eighth of the arena:
/// messages in flight to slow subscribers keep theirs for as long as `unread_timeout`.
pub const CHUNKS_FOR_REPLAY: usize = CHUNK_COUNT / 8;

/// Free chunks below which waiting messages give theirs up.
pub const CHUNKS_FREE_MIN: usize = CHUNKS_FOR_REPLAY + 2 * CHUNKS_AT_INGEST;

/// Messages that the scheduler dispatches in one duty cycle.
pub const DISPATCHES_PER_CYCLE: usize = 1024;

/// Millisecond buckets of one priority queue: how far apart in time two messages may arrive and
/// still be put in the order of their timestamps.
pub const BUCKETS: usize = 256;

/// Levels at most.
pub const LEVELS_MAX: usize = 8;

/// One aged message is served after this many native ones of its level: ageing must neither starve
/// nor take the level over.
pub const NATIVE_PER_AGED: u32 = 4;

/// Longest messageId, in bytes.
pub const MESSAGE_ID_LEN_MAX: usize = 255;

/// Longest sourceServerId, destinationId and messageType, in bytes.
pub const NAME_LEN_MAX: usize = 50;

/// Deepest nesting of a frame. Databases and parsers of the readers give up soon after (MySQL at
/// 100, Python at 1,000).
pub const NESTING_MAX: usize = 128;

/// Message types that are told apart in the statistics; later ones are counted together.
pub const MESSAGE_TYPES_MAX: usize = 256;

/// Destinations with histograms of their own; later ones share one.
pub const LATENCY_DESTINATIONS_MAX: usize = 64;

/// What two latencies must differ by at least to be told apart, in nanoseconds (a power of two). A
/// microsecond would do for the totals; queue and journal are often shorter than that in `shared`
/// mode, and three more doublings cost 384 of 3,712 bins.
pub const LATENCY_NS_MIN: u64 = 128;

/// Longest latency that is told apart, in nanoseconds: an hour. Longer ones count as an hour.
pub const LATENCY_NS_MAX: u64 = 3_600_000_000_000;

/// Significant digits of a latency: 1 % is finer than two runs of the same load differ.
pub const LATENCY_DIGITS: u8 = 2;

/// Bytes of one interval log, by default: at 4 destinations and a line in ten seconds some 100 MB a
/// day are written under load, and the 8 files kept are 128 MiB.
pub const LATENCY_LOG_LEN_DEFAULT: u64 = 16 * 1024 * 1024;

/// Smallest interval log, by setting. At 8 levels and 65 slots one interval has 565 lines of some
/// 300 to 1,000 bytes, which should fit.
pub const LATENCY_LOG_LEN_MIN: u64 = 1024 * 1024;

/// Largest interval log, by setting: whoever reads it takes it into memory.
pub const LATENCY_LOG_LEN_CEILING: u64 = 256 * 1024 * 1024;

/// Counts of all tags of the logs that `histogram` adds up, of 8 bytes each: 512 MiB. The engine's 565
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

/// Customers that the printed statistics list: a screen of them.
pub const CUSTOMERS_PRINTED_MAX: usize = 50;

/// The monitor looks for new latencies this often; also how old what `/stats` shows of them may be.
pub const MONITOR_TICK_MS: u64 = 250;

/// Destinations that messages create in one turn of a connection: each costs all stages some
/// microseconds, so that a turn takes no longer than that of 256 KiB of lines.
pub const CREATED_PER_TURN: usize = 64;

/// Destinations that may exist when they are created by messages, by default.
pub const DESTINATIONS_MAX_DEFAULT: usize = 10_000;

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

/// Names that a delivery agent looks at for `subscribe` lines in one duty cycle, and destinations
/// that it hands over at once: some 100 us.
pub const NAMES_PER_CYCLE: usize = 1024;

/// Patterns that one connection may subscribe to: each is held against each name that is created.
pub const PATTERNS_MAX: usize = 64;

/// Bytes of the names in one `subscribed` line; those above it make another one.
pub const ANSWER_LEN_MAX: usize = 1000 * 1024;

/// A connection that has not said what it wants is closed after this long, by default.
pub const GREETING_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Subscribers that may be connected, by default: one for each of [`DESTINATIONS_MAX_DEFAULT`]
/// destinations. With the other listeners' they fit the 20,000 files that many systems allow.
pub const SUBSCRIBERS_MAX_DEFAULT: usize = DESTINATIONS_MAX_DEFAULT;

/// Producers that may be connected, by default: with an unfinished line of 64 KiB each they take
/// 256 MiB.
pub const PRODUCERS_MAX_DEFAULT: usize = 4096;

/// HTTP clients that may be connected, by default: some 16 KiB each.
pub const HTTP_CLIENTS_MAX_DEFAULT: usize = 256;

/// Connections of one listener at most, by setting: as many as destinations.
pub const CONNECTIONS_MAX: usize = DESTINATIONS_MAX;

/// Connections that each listener takes even where the process may open very few files.
pub const CONNECTIONS_MIN: usize = 4;

/// Connections that a listener refuses with a line in [`REFUSALS_NS`]: 1,600 a second, which cost the
/// path three hundredths of its time. The others wait in the backlog.
pub const REFUSALS_PER_PERIOD: u32 = 16;

/// The period of [`REFUSALS_PER_PERIOD`], in ns.
pub const REFUSALS_NS: u64 = 10_000_000;

/// Refused connections of one listener that are held while their peers read why; above it the oldest
/// is closed first.
pub const REFUSED_HELD_MAX: usize = 4;

/// A refused peer may read why for this long.
pub const REFUSED_HELD_TIME: Duration = Duration::from_secs(1);

/// An HTTP client must have sent the head of a request after this long; also how long a connection
/// may rest between two requests.
pub const HTTP_HEAD_TIMEOUT: Duration = Duration::from_secs(10);

/// Bytes of the head of an HTTP request at most; hyper takes no less.
pub const HTTP_HEAD_LEN_MAX: usize = 16 * 1024;

/// An HTTP client that takes no byte of an answer for this long is cut.
pub const HTTP_UNREAD_TIMEOUT: Duration = Duration::from_secs(30);

/// Descriptors of the engine that do not depend on its settings: three standard streams and the
/// lock; the journal's segment, the next one and its directory; [`SPARE_DESCRIPTORS`]; one segment
/// and one kept file for each of replay, the store's reader and retention, which writes one as well;
/// `rejected.ndjson` with a rotated one and their directory, `unstored.ndjson` likewise, an interval
/// log and its directory; HTTP's listener, poller and wake-up.
pub const DESCRIPTORS_FIXED: u64 = 4 + 3 + SPARE_DESCRIPTORS as u64 + 7 + 8 + 4;

/// Descriptors of a look-up of a source's name: a socket and a file.
pub const DESCRIPTORS_LOOKUP: u64 = 2;

/// Descriptors of the store: a database file, its log and its index, each for two connections; or
/// the sockets of a server and the files of its certificates.
pub const DESCRIPTORS_STORE: u64 = 6;

/// Descriptors of a thread of agents: its wake-up and its poller.
pub const DESCRIPTORS_THREAD: u64 = 2;

/// Descriptors of an agent that has sockets, beside connections: a poller and a listener.
pub const DESCRIPTORS_SOCKETS: u64 = 2;

/// Threads of agents beside delivery: ingest, scheduler, journal, replay, retention, rejects, relief.
pub const THREADS_FIXED: u64 = 7;

/// Descriptors held for the journal's files, to be given up where the system has none left.
pub const SPARE_DESCRIPTORS: usize = 4;

/// An answer that was asked of a peer and is missing for this long means that the peer is dead.
pub const PEER_SILENT_MAX: Duration = Duration::from_secs(60);

/// How often each connection is looked at for that, where there are few.
pub const PEER_LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Connections looked at in [`PEER_LOOKS_INTERVAL`]: 640 a second, a microsecond each.
pub const PEER_LOOKS: usize = 32;

/// Between two looks at producers that say nothing, in ns: 4,096 of them take some 10 us.
pub const IDLE_LOOK_NS: u64 = 250_000_000;

/// Between two looks at some connections.
pub const PEER_LOOKS_INTERVAL: Duration = Duration::from_millis(50);

/// A subscriber that was told why it is cut may read that for this long, in ns.
pub const LEAVING_NS_MAX: u64 = 1_000_000_000;

/// Frames gathered into one `writev`.
pub const FRAMES_PER_WRITE: usize = 256;

/// Bytes of one segment file, by default.
pub const SEGMENT_LEN_DEFAULT: u64 = 64 * 1024 * 1024;

/// Bytes of one journal batch at most; a batch never crosses segments, so it bounds their waste.
pub const BATCH_LEN_MAX: usize = 1024 * 1024;

/// Bytes of a batch of a kept file, where a record is not longer by itself: as much is read for one
/// message that is carried forward, and 16 bytes of memory are its price.
pub const KEPT_BATCH_LEN: usize = 64 * 1024;

/// Free files that wait to become segments: as many as a moment of full speed takes before the next
/// ones are freed; more would only hold disk space.
pub const FREE_FILES_MAX: usize = 4;

/// Bytes that the journal may take on disk, by default: a thousand default segments.
pub const JOURNAL_LEN_MAX_DEFAULT: u64 = 64 * 1024 * 1024 * 1024;

/// Segments that `journal.max_bytes` must leave room for: the one that is being filled, the reserve,
/// and as many again to work with.
pub const JOURNAL_SEGMENTS_MIN: u64 = 8;

/// Segments of `journal.max_bytes` that messages may not take: one for settlements, one for what is
/// on its way to the journal when the limit is reached, one for the kept file that makes room. The
/// first and the last are there from the start, see [`JOURNAL_RESERVE_LEN`].
pub const JOURNAL_RESERVE: u64 = 3;

/// Bytes of room on the disk that only settlements may take, or half a segment where that is less. In full
/// batches they hold 699,000 settlements (12 bytes each), each in a batch of its own 139,000 (60 bytes):
/// those of the 160,000 frames of 390 bytes that a default segment holds, after which it goes. The same
/// again is set aside for a kept file. At start they take 4 ms each to write.
pub const JOURNAL_RESERVE_LEN: u64 = 8 * 1024 * 1024;

/// Bytes of settlements that the journal agent holds while the disk is full: half a batch, 43,000 of
/// them. More stay in the ring, and where they find no room at all, nothing is handed out that would
/// add to them: what is in flight is bounded by the subscribers' credit.
pub const SETTLEMENTS_LEN_MAX: usize = BATCH_LEN_MAX / 2;

/// Largest `journal.max_bytes`, by setting.
pub const JOURNAL_LEN_MAX_CEILING: u64 = 1024 * 1024 * 1024 * 1024 * 1024;

/// Words of unsettled messages that the scheduler gives out at once: 512 of them speak of 32,768
/// messages where they stand together, and take a microsecond.
pub const SURVEY_WORDS: usize = 512;

/// Entries of the rings to and from retention: one survey goes round, segments are begun some times
/// a second, and few files are free.
pub const RETENTION_RING: usize = 64;

/// Runs of records gathered into one journal write; with headers and settlements they stay below
/// the system's 1,024 pieces.
pub const PIECES_PER_BATCH: usize = 256;

/// Bytes that a reader of the journal takes at once: any batch fits, and reads are long enough that
/// their system calls vanish (one for some 2,500 frames of 390 bytes).
pub const JOURNAL_READ_LEN: usize = 1024 * 1024 + 4096;

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
/// Segments that are made at start to begin behind a store that has more than the journal: at 64 MiB
/// each, 256 GiB, which no power loss takes.
pub const SEGMENTS_AHEAD_MAX: u64 = 4096;

/// Rows that find another message under their id, with no row stored between them: so many are kept
/// aside as some other program's doing. More of them are a database that followed another journal,
/// and the store stops before settlements reach rows that are not its own.
pub const STORE_OTHER_ROWS_MAX: u32 = 100;

/// Rows of a transaction that are looked for in the database to know its rows again: any of them that
/// is there will do, and the first ones may have been refused.
pub const STORE_SAMPLE_ROWS: usize = 8;

/// First pause before a store that failed is tried again.
pub const STORE_RETRY_MS_MIN: u64 = 100;

/// Longest pause before a store that failed is tried again.
pub const STORE_RETRY_MS_MAX: u64 = 5_000;

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

/// `rejected.ndjson` is rotated when it grows past this many bytes, by default.
pub const REJECTED_LEN_MAX_DEFAULT: u64 = 64 * 1024 * 1024;

/// Look-ups of names at once whose answers are expected soon; each has a thread while it lasts.
pub const LOOKUPS_MAX: usize = 8;

/// Look-ups at once that are known to be slow, besides: name servers that do not answer take 5 to 60 s
/// of the system's time each. A start with more of them delays what is not known to be quick by that, once.
/// With all of them there are 64 threads at most, of some 30 KiB of memory each.
pub const LOOKUPS_SLOW_MAX: usize = 56;

/// A look-up that takes longer is slow, in ns: a name server next door answers in 1 ms, one across the
/// ocean in 100.
pub const LOOKUP_SLOW_NS: u64 = 200_000_000;

/// A source goes on with its back-off if its name was not looked up for so long, in ns. The answer is
/// used when it comes, however late: a system whose first name server is dead needs 5 s for each.
pub const LOOKUP_NS_MAX: u64 = 5_000_000_000;

/// The next address of a name is tried beside those that were not answered for so long, in ns: what
/// RFC 8305 recommends.
pub const CONNECT_NEXT_NS: u64 = 250_000_000;

/// A connection that is not answered for so long, in ns, is given up: time for three SYNs, which the
/// system sends at 0, 1 and 3 s. By itself it would go on for two minutes.
pub const CONNECT_NS_MAX: u64 = 5_000_000_000;

/// Addresses of one name that are tried in one dial: the last one begins 4 s behind the first.
pub const ADDRESSES_MAX: usize = 16;
/// Bytes of rejected lines that are kept, by default: 2.6 million lines of 400 bytes, a sixty-fourth
/// of what the journal may take.
pub const REJECTED_TOTAL_MAX_DEFAULT: u64 = 1024 * 1024 * 1024;

/// Bytes of the ring from ingest to the rejects agent: 60 of the longest lines, or 80,000 of a few
/// bytes; as much as may be lost of them by a kill.
pub const REJECTS_RING: usize = 4 * 1024 * 1024;

/// Bytes that the rejects agent appends at once: system calls vanish, and what fails is soon tried
/// again. One line more may be in it, six times as long as it came where every byte is escaped.
pub const REJECTS_BATCH_LEN: usize = 256 * 1024;

/// Bytes of a source's name in a rejected line: the longest host name, a colon and a port.
pub const REJECT_SOURCE_LEN_MAX: usize = 253 + 6;

/// A kept file that could not be written is tried again after this long, in ns: soon enough for who
/// waits, and nothing beside what else the disk does.
pub const KEPT_RETRY_NS: u64 = 100_000_000;

/// What a wrong line costs at least, in ns, wherever it is spent: it is parsed, copied, formatted and
/// written. An estimate, not a measurement: about a third here, the rest on the rejects agent's thread.
pub const REJECTED_LINE_NS: u64 = 1_000;

/// What each of its bytes costs, in ns: an estimate.
pub const REJECTED_BYTE_NS: u64 = 2;

/// Wrong lines get one part in so many of the time: 100,000 short ones a second, of all sources
/// together.
pub const REJECTED_SHARE: u64 = 10;

/// Time for wrong lines that is saved up, in ns: 200 short ones at once, which delay nobody by more
/// than a tenth of a millisecond, and two of the longest.
pub const REJECTED_BURST_NS: u64 = 200_000;

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

/// First pause before a source is dialled again.
pub const RECONNECT_MS_MIN: u64 = 100;

/// Longest pause before a source is dialled again.
pub const RECONNECT_MS_MAX: u64 = 5_000;

/// Least `max_line` that a setting may ask for: real frames have some 400 bytes.
pub const LINE_LEN_MAX_FLOOR: usize = 1024;

/// Destinations at most, by setting: at a few hundred bytes each, some hundred MiB.
pub const DESTINATIONS_MAX: usize = 1_000_000;

/// Longest `max_wait` of a level, and longest of the other times that a setting may ask for.
pub const WAIT_MAX: Duration = Duration::from_secs(24 * 3600);

/// Ids in the dedup window at most, by setting: their 128 bits alone are 1 GiB.
pub const DEDUP_MESSAGES_MAX: usize = 64 * 1024 * 1024;

/// Longest dedup window, by setting: the journal keeps its segments for as long.
pub const DEDUP_WINDOW_MAX: Duration = Duration::from_secs(7 * 24 * 3600);

/// Delivery agents at most: each costs two rings and, in `dedicated`, a core.
pub const AGENTS_MAX: usize = 64;

/// Least credit of a subscriber, by setting: some ten frames, one memory page.
pub const CREDIT_MIN: usize = 4 * 1024;

/// Largest credit of a subscriber, by setting: a quarter of the arena.
pub const CREDIT_MAX: usize = 8 * 1024 * 1024;

/// Smallest segment, by setting: four batches, so that a batch wastes a quarter at worst.
pub const SEGMENT_LEN_MIN: u64 = 4 * BATCH_LEN_MAX as u64;

/// Largest segment, by setting: disk space comes back a segment at a time.
pub const SEGMENT_LEN_MAX: u64 = 1024 * 1024 * 1024;

/// Largest number of a segment: at the smallest length, positions behind it fit into 64 bits. A file of
/// a larger number is none of a journal, for 16 EiB would have been written before it.
pub const SEGMENT_NUMBER_MAX: u64 = u64::MAX / SEGMENT_LEN_MIN - 2;

/// Smallest `rejected_max_total`: a file is a quarter of it, and the longest line, all of whose bytes
/// are escaped, takes 384 KiB.
pub const REJECTED_TOTAL_MAX_FLOOR: u64 = 1024 * 1024;

/// Largest `rejected_max_total`, by setting.
pub const REJECTED_TOTAL_MAX_CEILING: u64 = 1024 * 1024 * 1024 * 1024;

/// Smallest `rejected.ndjson` before it is rotated, by setting: one longest line.
pub const REJECTED_LEN_MAX_FLOOR: u64 = 2 * LINE_LEN_MAX as u64;

/// Largest `rejected.ndjson` before it is rotated, by setting.
pub const REJECTED_LEN_MAX_CEILING: u64 = 1024 * 1024 * 1024 * 1024;

/// Rows of a store batch at most, by setting: at 400 bytes, 40 MB in one transaction.
pub const BATCH_ROWS_MAX: usize = 100_000;

/// Cores are numbered below this: as many as the kernel's own mask has.
pub const CORES_MAX: usize = 1024;

const _: () = assert!(
    CHUNK_LEN >= 2 * (LINE_LEN_MAX + 128),
    "a chunk holds any frame"
);
const _: () = assert!(HOP_RING >= 2 * (DISPATCHES_PER_CYCLE + ANSWERS_RESERVED));
const _: () = assert!(
    ARRIVALS_RING >= 2 * (READ_LEN_MAX / LINE_LEN_MIN),
    "a read fits the ring"
);
const _: () = assert!(SUBSCRIBER_LINE_LEN_MAX >= DESTINATIONS_MAX_DEFAULT * (NAME_LEN_MAX + 4));
const _: () = assert!(
    ANSWER_LEN_MAX + DESTINATIONS_MAX_DEFAULT < SUBSCRIBER_LINE_LEN_MAX,
    "with a comma before each name"
);
const _: () = assert!(ANSWER_LEN_MAX >= DESTINATIONS_MAX_DEFAULT * (NAME_LEN_MAX + 3));
const _: () = assert!(
    TURN_LINES_MAX > (READ_LEN_MAX + LINE_LEN_MAX) / LINE_LEN_MIN,
    "valid lines are never put off by it"
);
const _: () = assert!(LINE_LEN_MAX <= 1 << 16, "record offsets are 16 bits");
const _: () = assert!(BATCH_LEN_MAX as u64 * 4 <= SEGMENT_LEN_DEFAULT);
const _: () = assert!(
    JOURNAL_READ_LEN >= BATCH_LEN_MAX + 48,
    "a batch is read whole"
);
const _: () = assert!(BUCKETS.is_multiple_of(64), "bitmaps are of 64-bit words");
const _: () = assert!(CHUNKS_FREE_MIN + CHUNKS_AT_INGEST + CHUNKS_AT_REPLAY < CHUNK_COUNT / 2);
const _: () = assert!(CREDIT_MAX * 4 <= CHUNK_LEN * CHUNK_COUNT);
const _: () = assert!(SEGMENT_LEN_MIN <= SEGMENT_LEN_DEFAULT);
const _: () = assert!(BATCH_ROWS_MAX <= STORE_GATHER_ROWS_MAX);
const _: () = assert!(2 * (1 + JOURNAL_RESERVE) <= JOURNAL_SEGMENTS_MIN);
const _: () = assert!(SEGMENT_LEN_MAX * JOURNAL_SEGMENTS_MIN <= JOURNAL_LEN_MAX_DEFAULT);
const _: () = assert!(MAX_QUEUED_DEFAULT <= MESSAGES_MAX);
const _: () = assert!(HOT_MAX < SLOTS_MAX && SLOTS_MAX <= MESSAGES_MAX);
const _: () = assert!(LATENCY_NS_MIN.is_power_of_two());
const _: () = assert!(ADDRESSES_MAX as u64 * CONNECT_NEXT_NS <= CONNECT_NS_MAX);
const _: () = assert!(REJECTED_LEN_MAX_FLOOR <= REJECTED_TOTAL_MAX_FLOOR);
const _: () = assert!(STORE_GATHER_LEN_MAX as u64 <= UNSTORED_LEN_MAX / 2);
const _: () = assert!(
    (REJECTS_BATCH_LEN + 6 * LINE_LEN_MAX + 4096) as u64 <= REJECTED_TOTAL_MAX_FLOOR,
    "a batch fits what may be kept"
);
const _: () = assert!(
    REJECTED_BURST_NS >= REJECTED_LINE_NS + REJECTED_BYTE_NS * LINE_LEN_MAX as u64,
    "the longest line is within what is saved up"
);
