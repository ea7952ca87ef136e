//! Limits of NATS as source and as customer.

use std::time::Duration;

use super::ingest::OUTCOME_LINES_MAX;

/// The oldest server that is connected to: major, minor, patch. Streams of older ones lose what they
/// have confirmed.
pub const NATS_VERSION_MIN: [u32; 3] = [2, 12, 3];

/// The oldest one that is not warned of: before, a deposed leader's proposals are not fenced.
pub const NATS_VERSION_ADVISED: [u32; 3] = [2, 15, 0];

/// Messages of a stream that a source may have taken and not acknowledged: as many as ingest reads
/// ahead of its answers. After a crash so many come again, which the dedup window must know.
pub const NATS_UNACKNOWLEDGED_MAX: usize = OUTCOME_LINES_MAX;

/// Messages that one pull asks for: the next pull is sent when half of them have come.
pub const NATS_PULL_MESSAGES: usize = 512;

/// Bytes that one write to ingest collects.
pub const NATS_WRITE_LEN: usize = 64 * 1024;

/// A pull is asked anew after this long.
pub const NATS_PULL_EXPIRES: Duration = Duration::from_secs(30);

/// A pull says that it lives this often; twice that without a word, and its consumer is looked for.
pub const NATS_PULL_HEARTBEAT: Duration = Duration::from_secs(5);

/// What was not acknowledged for so long the server sends again; the source knows what it has had.
pub const NATS_ACK_WAIT: Duration = Duration::from_secs(600);

/// Between two questions whether the server lives; two without an answer, and the connection is over.
pub const NATS_PING_INTERVAL: Duration = Duration::from_secs(1);

/// A server must have taken a connection, and answered a question, within this time.
pub const NATS_ANSWER_MAX: Duration = Duration::from_secs(5);

/// A message that its stream did not take is published again after this long; the pause doubles.
pub const NATS_RETRY_MIN: Duration = Duration::from_millis(50);

/// ... up to this one.
pub const NATS_RETRY_MAX: Duration = Duration::from_secs(1);

/// A destination that gets on with nothing for so long gives its messages back to their queues, or
/// two thirds of `ack_timeout`, where that is less.
pub const NATS_STUCK_MAX: Duration = Duration::from_secs(20);

/// A destination of a pattern that is refused for so long, while others of the pattern are answered, is set
/// aside: longer than a stream's change of leader keeps one subject and not another, short for who waits.
pub const NATS_ASIDE_AFTER: Duration = Duration::from_secs(1);

/// One that is set aside and has had nothing to publish for so long goes back to its pattern.
pub const NATS_ASIDE_IDLE: Duration = Duration::from_secs(1);

/// Destinations of a pattern that are set aside at once: each has a connection of its own. One more
/// holds up the others of its pattern.
pub const NATS_ASIDE_MAX: usize = 16;

/// After its connection to the server is gone, a source waits so long for what the engine has
/// acknowledged; at stop, all of them for their last words.
pub const NATS_LAST_WORDS_MAX: Duration = Duration::from_secs(2);

/// Descriptors of one source or destination, or of one that is set aside: two ends of a pair, a
/// connection, two files of its credentials.
pub const DESCRIPTORS_NATS: u64 = 5;

/// Descriptors of the thread: its poller, its wake-up, and the timer's.
pub const DESCRIPTORS_NATS_THREAD: u64 = 4;
