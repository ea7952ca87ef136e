//! Limits of ingest.

/// Longest line by default, in bytes without its newline.
pub const LINE_LEN_MAX_DEFAULT: usize = 64 * 1024;

/// Longest line that a setting may allow: a record's field offsets are 16 bits wide.
pub const LINE_LEN_MAX: usize = 64 * 1024;

/// Bytes of the longest record: the longest line, its header, its newline, and the space that
/// aligns it.
pub const RECORD_LEN_MAX: usize = LINE_LEN_MAX + 128;

/// Bytes of any content behind a line in a read buffer, so that simd-json needs no copy of it: a
/// vector of 64 bytes may be read from any byte of the line.
pub const LINE_PADDING: usize = 64;

/// Bytes that one read takes from a socket at most. It bounds what one chatty source gets in a
/// turn, and a whole read must find room downstream before it is made.
pub const READ_LEN_MAX: usize = 256 * 1024;

/// Bytes that one read takes while a source sends little at a time: 170 frames of 390 bytes are a
/// tenth of a millisecond, for which the other's message may wait.
pub const READ_LEN_SHARED: usize = 64 * 1024;

/// Bytes that one read takes of a connection whose lines were wrong a moment ago: a fourth of the longest
/// line, so that others wait for a part of it at most.
pub const READ_LEN_WRONG: usize = LINE_LEN_MAX / 4;

/// A read of fewer bytes is a short one: there is nothing behind it in the socket, nearly always.
pub const SHORT_READ_LEN: usize = 4 * 1024;

/// For so long after a short read, in ns: who sends a hundred messages a second is among those that
/// do.
pub const SHARED_NS: u64 = 10_000_000;

/// Lines that a connection has taken in one turn at most, whatever they are: a read has fewer of
/// the shortest valid ones, and blank ones take 10 ns each.
pub const TURN_LINES_MAX: usize = 4096;

/// Lines of a producer that wants outcomes that may be unanswered: a turn's. Above it the producer is
/// not read, so its outcomes take a byte each: 16 MiB for [`super::net::PRODUCERS_MAX_DEFAULT`]. At
/// an answer each 5 ms, for a disk's sync, it is 800,000 lines a second.
pub const OUTCOME_LINES_MAX: usize = TURN_LINES_MAX;

/// Lines that one answer names at most: with a line's number of 20 digits and the longest reason it
/// is 12 KiB long.
pub const OUTCOMES_PER_ANSWER: usize = 256;

/// Bytes of lines that were read and wait to be taken, in all: above it, a read takes
/// [`READ_LEN_HOLDING`] at most. A source that waits holds a read and a line at most, so 200 of
/// them reach it; from then on each adds a line and a small read.
pub const HELD_LEN_MAX: usize = 64 * 1024 * 1024;

/// See [`HELD_LEN_MAX`]: a few frames, so that a source that holds nothing goes on.
pub const READ_LEN_HOLDING: usize = 4 * 1024;

/// What a duplicate costs, in ns, from its read until it is dropped: an estimate for lines of the fast
/// path, of which a core takes some two million a second.
pub const DUPLICATE_NS: u64 = 500;

/// The same for a line that is parsed in full.
pub const DUPLICATE_FULL_NS: u64 = 4 * DUPLICATE_NS;

/// Duplicates get one part in so many of the time: half a million a second of the fast path's, of all
/// sources together.
pub const DUPLICATES_SHARE: u64 = 4;

/// Time for duplicates that is saved up, in ns: others wait no longer for those who send nothing new, but for
/// their first turns. It is a read of [`READ_LEN_SHARED`].
pub const DUPLICATES_BURST_NS: u64 = 100_000;

/// A connection whose duplicates have spent their time is bound to what all connections' have left until it
/// has been read so long without one, in ns: longer than the scheduler takes to find those of a turn.
pub const REPEATING_NS: u64 = 1_000_000;

/// Connections that the ingest agent reads in one duty cycle.
pub const READS_PER_CYCLE: usize = 4;

/// What was read of a source is confirmed to its system after this long at the latest, in ns,
/// however much there is to read of others: a peer with Nagle's algorithm waits for it with its
/// next message, and the system by itself would let it wait for 40 ms. A thousand confirmations a
/// second of 6 us each are less than a hundredth of a core.
pub const CONFIRM_NS_MAX: u64 = 1_000_000;

/// A source that has ended its side, and takes none of the acknowledgements that it still gets, is
/// closed after this long, in ns: as long as a dead peer is waited for.
pub const UNTAKEN_ACK_NS_MAX: u64 = 30_000_000_000;

/// How often such sources are looked at, in ns.
pub const LEAVING_TICK_NS: u64 = 100_000_000;

/// Chunks that a read may fill: the shortest valid line is 87 bytes and a record adds 45, so
/// 256 KiB of lines make 390 KiB of records; each chunk may waste its last `LINE_LEN_MAX`.
pub const CHUNKS_PER_READ: usize = 4;

/// The shortest valid line:
/// `{"messageId":"a","sourceServerId":"b","destinationId":"c","messageType":"d","priority":1}`.
pub const LINE_LEN_MIN: usize = 87;

/// What ingest hears from the scheduler in one duty cycle: chunks, a line of each source, and where
/// destinations have room again.
pub const COMMANDS_PER_CYCLE: usize = 1024;

/// Chunks that ingest holds: the one being filled, and enough for two reads.
pub const CHUNKS_AT_INGEST: usize = 1 + 2 * CHUNKS_PER_READ;

/// Deepest nesting of a frame. Databases and parsers of the readers give up soon after (MySQL at
/// 100, Python at 1,000).
pub const NESTING_MAX: usize = 128;

/// Tokens of a line whose shape the parser remembers: so many that a bit for each of them, in two words,
/// can be shifted by all of them. An order of 800 bytes has as many.
pub const SHAPE_TOKENS_MAX: usize = 2 * u64::BITS as usize - 1;

/// Destinations that messages create in one turn of a connection: each costs all stages some
/// microseconds, so that a turn takes no longer than that of 256 KiB of lines.
pub const CREATED_PER_TURN: usize = 64;

/// What a producer with a `max_rate` may save up, in ns of it: as much as a turn takes at 40,000 lines
/// a second.
pub const PACE_BURST_NS: u64 = 100_000_000;

/// A producer that is at its `max_rate` rests until it may send for so long, in ns: a turn takes some
/// microseconds, so that a thousand of them a second cost little.
pub const PACE_TURN_NS: u64 = 1_000_000;

/// Between two looks at producers that say nothing, in ns: 4,096 of them take some 10 us.
pub const IDLE_LOOK_NS: u64 = 250_000_000;

/// Sources that ingest reports in one duty cycle, of those that it dials and those that dialled in: some
/// 3 us. Once a second, when the monitor asks.
pub(crate) const SOURCES_PER_CYCLE: usize = 32;

/// Sources of a report: some 120 bytes each, 2 MB in both reports. Further ones are counted.
pub(crate) const SOURCES_REPORTED_MAX: usize = 8_192;

/// Sources that `/stats` lists: the page has all that are reported.
pub(crate) const SOURCES_SHOWN_MAX: usize = 100;

/// A subscriber that was told why it is cut may read that for this long, in ns.
pub const LEAVING_NS_MAX: u64 = 1_000_000_000;

/// Least `max_line` that a setting may ask for: real frames have some 400 bytes.
pub const LINE_LEN_MAX_FLOOR: usize = 1024;

/// Bytes that are read at most of a source that a reload has removed and that goes on sending: what it
/// sent before is in two sockets, by default 6 MiB at the receiver and 4 MiB at the sender.
pub const REMOVED_READ_LEN_MAX: usize = 16 * 1024 * 1024;
