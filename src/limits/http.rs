//! Limits of HTTP for customers and producers.

use std::time::Duration;

/// Connections of HTTP customers and producers, by default: each has three descriptors, and some 200
/// KiB at most in its buffers and the system's.
pub const HTTP_CUSTOMERS_MAX_DEFAULT: usize = 1024;

/// Descriptors of one of them: its socket, and a pair between HTTP and an agent.
pub const DESCRIPTORS_HTTP_CUSTOMER: usize = 3;

/// Descriptors of their listener, poller and wake-up, and of the pair that wakes an agent.
pub const DESCRIPTORS_HTTP: u64 = 4;
/// See [`DESCRIPTORS_HTTP`].
pub const DESCRIPTORS_LOCAL: u64 = 2;

/// Bytes of one request's body by default: a hundred thousand messages.
pub const HTTP_BODY_LEN_MAX_DEFAULT: u64 = 64 * 1024 * 1024;

/// Least `max_body` that a setting may ask for: the longest line.
pub const HTTP_BODY_LEN_MAX_FLOOR: u64 = super::LINE_LEN_MAX as u64;

/// Largest one: at 100 Mbit/s it is a minute and a half.
pub const HTTP_BODY_LEN_MAX_CEILING: u64 = 1 << 30;

/// Lines of one request at most, blank ones with them: what became of each is kept in a byte until the answer
/// begins, and which are blank in a bit.
pub const HTTP_LINES_MAX: usize = 1024 * 1024;

/// Bytes of the body of a `POST /ack`: an event's id has some 40.
pub const HTTP_ACK_LEN_MAX: usize = 1024;

/// A client may rest for so long in the middle of a body, in all, ...
pub const HTTP_BODY_REST_MAX: Duration = Duration::from_secs(10);

/// ... and for a second more with each so many bytes: who sends fewer in a second holds a place for
/// nothing.
pub const HTTP_BODY_RATE_MIN: u64 = 1024;

/// Bytes of outcomes that are written at once.
pub const HTTP_OUTCOMES_LEN: usize = 16 * 1024;

/// A client whose request was answered before its end may go on for so long, so that it reads the
/// answer: a socket that is closed with bytes unread takes the answer away.
pub const HTTP_LINGER_MAX: Duration = Duration::from_secs(2);

/// A comment goes to a subscriber that gets nothing else for so long: less than the time after which
/// proxies and browsers give up a silent connection.
pub const HTTP_HEARTBEAT: Duration = Duration::from_secs(15);

/// A browser comes again after so long, as it is told.
pub const HTTP_RETRY: Duration = Duration::from_secs(1);

/// Messages that a subscriber may hold without having acknowledged them: each is remembered by 16 bytes,
/// so that it is known when it comes again.
pub const HTTP_UNACKNOWLEDGED_MAX: usize = 2048;

/// A subscriber that comes again after so long is told what it has had as what may be new.
pub const HTTP_RESUME_MAX: Duration = Duration::from_secs(120);

/// When the engine stops, requests that were begun may take so long to be answered.
pub const HTTP_STOP_MAX: Duration = Duration::from_secs(1);

/// The first answer of an agent must come within so long.
pub const HTTP_AGENT_MAX: Duration = Duration::from_secs(10);
