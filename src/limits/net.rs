//! Limits of connections, of all listeners and dials.

use std::time::Duration;

use super::message::DESTINATIONS_MAX;

/// Connections that a listener's agent accepts in one duty cycle: all that it does for others waits meanwhile.
/// While more wait its cycles are short.
pub const ACCEPTS_PER_CYCLE: usize = 8;

/// A connection that has not said what it wants is closed after this long, by default.
pub const GREETING_TIMEOUT_DEFAULT: Duration = Duration::from_secs(30);

/// Producers that may be connected, by default: with an unfinished line of 64 KiB each they take
/// 256 MiB.
pub const PRODUCERS_MAX_DEFAULT: usize = 4096;

/// HTTP clients that may be connected, by default: some 16 KiB each.
pub const HTTP_CLIENTS_MAX_DEFAULT: usize = 256;

/// Pages that are kept live at once, and half of `[admin] max_connections` at most: 64 of them take
/// [`EVENT_LEN_MAX`] a second each, 4 MiB in all, and half a socket's buffer.
pub(crate) const EVENT_READERS_MAX: usize = 64;

/// Bytes of one event of the page: some 20 KiB at 3 levels, whatever the number of destinations.
pub(crate) const EVENT_LEN_MAX: usize = 64 * 1024;

/// Events that a page's reader may miss in a row, one a second. One that is further behind is cut; one
/// that takes nothing at all is cut after [`HTTP_UNREAD_TIMEOUT`].
pub(crate) const EVENT_BEHIND_MAX: u64 = 10;

/// Bytes that wait in the socket of an HTTP client, in the kernel: some ten events. So one that does not
/// read is noticed within a minute.
pub(crate) const HTTP_UNSENT_LEN: usize = 256 * 1024;

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

/// Bytes of a refused connection that are read and thrown away when it is closed.
pub(crate) const REFUSED_UNREAD_LEN: usize = 32 * 1024;

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

/// Bytes that a connection from within the process may have sent to an agent unread: a quarter of what
/// one read takes.
pub const LOCAL_SEND_BUFFER: usize = 64 * 1024;

/// Threads of agents beside delivery: ingest, scheduler, journal, replay, retention, rejects, relief.
pub const THREADS_FIXED: u64 = 7;

/// Descriptors held for the journal's files, to be given up where the system has none left.
pub const SPARE_DESCRIPTORS: usize = 4;

/// Steps of TLS handshakes in one poll of an agent's sockets: a step may sign or verify, 50 to 700 us.
pub const HANDSHAKE_STEPS_PER_POLL: usize = 2;

/// A TLS handshake that takes longer is ended.
pub const HANDSHAKE_TIME_MAX: Duration = Duration::from_secs(10);

/// A certificate whose time is over within so long is warned of: a fortnight, in which somebody is back
/// from holidays. Authorities that renew by themselves do so a month before.
pub const CERTIFICATE_ENDS_SOON: Duration = Duration::from_secs(14 * 24 * 60 * 60);

/// Bytes of a TLS record that the engine writes: the most that there may be. An urgent message cannot
/// overtake them.
pub const TLS_RECORD_LEN: usize = 16 * 1024;

/// An answer that was asked of a peer and is missing for this long means that the peer is dead.
pub const PEER_SILENT_MAX: Duration = Duration::from_secs(60);

/// How often each connection is looked at for that, where there are few.
pub const PEER_LOOK_INTERVAL: Duration = Duration::from_secs(5);

/// Connections looked at in [`PEER_LOOKS_INTERVAL`]: 640 a second, a microsecond each.
pub const PEER_LOOKS: usize = 32;

/// Between two looks at some connections.
pub const PEER_LOOKS_INTERVAL: Duration = Duration::from_millis(50);

/// Look-ups of names at once whose answers are expected soon; each has a thread while it lasts.
pub const LOOKUPS_MAX: usize = 8;

/// Look-ups at once that are known to be slow, besides: name servers that do not answer take 5 to 60 s
/// of the system's time each. A start with more of them delays what is not known to be quick by that, once.
/// With all of them there are 64 threads at most, of some 30 KiB of memory each.
pub const LOOKUPS_SLOW_MAX: usize = 56;

/// Answers to look-ups that ingest takes in one duty cycle: each may begin a connection, some 50 us.
pub const LOOKUPS_PER_CYCLE: usize = 16;

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

/// First pause before a source is dialled again.
pub const RECONNECT_MS_MIN: u64 = 100;

/// Longest pause before a source is dialled again.
pub const RECONNECT_MS_MAX: u64 = 5_000;
