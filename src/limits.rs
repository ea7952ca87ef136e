//! Every limit of the engine, with its reason and its arithmetic.
//!
//! Everything bounded is bounded here, or by a setting whose default or ceiling is here. A file
//! a room; what ties limits of several rooms together is asserted below.

mod arena;
mod cluster;
mod delivery;
mod engine;
mod http;
mod ingest;
mod journal;
mod latency;
mod message;
mod nats;
mod net;
mod rejects;
mod scheduler;
mod store;

pub use arena::*;
pub use cluster::*;
pub use delivery::*;
pub use engine::*;
pub use http::*;
pub use ingest::*;
pub use journal::*;
pub use latency::*;
pub use message::*;
pub use nats::*;
pub use net::*;
pub use rejects::*;
pub use scheduler::*;
pub use store::*;

const _: () = assert!(CHUNK_LEN >= 2 * RECORD_LEN_MAX, "a chunk holds any frame");
const _: () = assert!(SCHEDULER_RING >= 2 * (DISPATCHES_PER_CYCLE + ANSWERS_RESERVED));
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
const _: () = assert!(
    OUTCOME_LINES_MAX >= TURN_LINES_MAX && OUTCOMES_PER_ANSWER < OUTCOME_LINES_MAX,
    "a turn that begins with the greeting fits the window"
);
const _: () = assert!(
    DUPLICATE_RUNS_MAX >= COMMANDS_PER_CYCLE,
    "ingest is never without work while the scheduler waits for it"
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
