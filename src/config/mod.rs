//! The settings: what `flipped-lb.toml` says, typed and checked.
//!
//! [`load`] reads the file and the environment; everything else in the engine takes these plain
//! values. Every key has a default, so an empty file is a valid one. What a setting *means* is
//! explained by `flipped-lb check`; its bounds are in [`crate::limits`].
//!
//! ```text
//! flipped-lb.toml --> file ---------+
//!                                   +--> draft --> checks --> Config, or ConfigError
//! FLIPPED_LB_* ------> environment -+
//!                       |
//!        keys, items: the one list of all keys --> example
//! ```

#[cfg(any(test, fuzzing))]
pub(crate) mod fuzz;
mod problem;

pub(crate) mod changes;
mod reloadable;

mod cluster;
mod draft;
mod durability;
mod environment;
mod file;
mod found;
mod http;
pub(crate) mod nats;
mod nearest;
mod probe;
mod server;
mod service_links;
mod tls;
mod units;
mod user;

mod items;
mod key;
mod keys;

mod checks;
mod defaults;
mod example;
mod load;
mod log;
mod schema;
mod threading;

#[cfg(test)]
mod tests;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

pub use crate::access::TokenHash;
use crate::message::Pattern;
pub use crate::rolling::WhenFull as KeptWhenFull;
pub use cluster::Cluster;
pub use defaults::default_max_wait;
pub use durability::Durability;
pub use example::example;
pub(crate) use found::host_port;
pub use http::Http;
pub use keys::store_url;
pub(crate) use load::likely_admin_listen;
pub use load::{DEFAULT_FILE, load, overrides, parse, passed_over, used_file};
pub use log::{Log, LogFormat, LogLevel};
pub use nats::Nats;
pub use problem::ConfigError;
pub(crate) use schema::schema;
pub use server::{Secret, Server, SslMode};
pub use tls::{ListenerTls, SourceTls, TlsFiles};
pub use units::{parse_duration, parse_hours, parse_size, show_duration, show_hours, show_size};
pub use user::{Security, User};

/// All settings of one engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// The directory of journal, embedded database, rejected lines and histograms.
    pub data_dir: PathBuf,
    /// What has happened before a message is delivered, and before its source is acknowledged.
    pub durability: Durability,
    /// The message servers that the engine dials.
    pub sources: Vec<Source>,
    /// How frames come in.
    pub ingest: Ingest,
    /// Who may connect; nobody is asked for a token where there are none.
    pub users: Vec<User>,
    /// Who may connect without one.
    pub security: Security,
    /// Certificates of the listeners.
    pub tls: TlsFiles,
    /// The customers, in the order of the file.
    pub destinations: Vec<Destination>,
    /// Patterns of customers whose messages go to NATS: each name that fits is created.
    pub destination_patterns: Vec<Destination>,
    /// How messages are ordered.
    pub scheduler: Scheduler,
    /// What sets a message's level besides its own priority; the first rule that fits wins.
    pub rules: Vec<Rule>,
    /// How long a messageId is remembered.
    pub dedup: Dedup,
    /// How messages go out.
    pub delivery: Delivery,
    /// The log on disk.
    pub journal: Journal,
    /// The group whose journal is replicated.
    pub cluster: Cluster,
    /// Which threads there are and where they run.
    pub threads: Threads,
    /// The SQL database that follows the journal.
    pub store: Store,
    /// The HTTP address for metrics and histograms.
    pub admin: Admin,
    /// HTTP for customers and producers.
    pub http: Http,
    /// When statistics are printed.
    pub stats: Stats,
    /// Interval logs of latencies.
    pub latency: Latency,
    /// What the engine says on standard error.
    pub log: Log,
}

/// One message server to dial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    /// `host:port`; a name is looked up again before each dial.
    pub address: String,
    /// Whether the engine writes `{"ack":N}` lines back.
    pub ack: bool,
    /// Whether it is spoken to by TLS, and how.
    pub tls: SourceTls,
    /// A stream of NATS that is read instead of an address that is dialled; `address` is its name then.
    pub nats: Nats,
}

/// `[ingest]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ingest {
    /// The longest line, in bytes, without its newline.
    pub max_line: usize,
    /// Where producers may dial in; `None`: they may not.
    pub listen: Option<SocketAddr>,
    /// `rejected.ndjson` is rotated when it grows past this many bytes.
    pub rejected_max_bytes: u64,
    /// Bytes of all files of rejected lines together.
    pub rejected_max_total: u64,
    /// What happens to a wrong line there.
    pub rejected_when_full: KeptWhenFull,
    /// How many producers may be connected.
    pub connections: Connections,
    /// Its TLS.
    pub tls: ListenerTls,
    /// Near that limit, a producer that has sent no line for so long is closed.
    pub greeting_timeout: Duration,
    /// A producer that has sent nothing for so long is closed; zero: never.
    pub idle_timeout: Duration,
    /// How much one producer may send.
    pub max_rate: MaxRate,
    /// Which parser reads the lines.
    pub parser: LineParser,
}

/// `[ingest] max_rate`: per second; `None`: any number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MaxRate {
    /// Lines.
    pub lines: Option<u64>,
    /// Bytes.
    pub bytes: Option<u64>,
}

/// `[ingest] parser`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LineParser {
    /// The fast path where a line's shape is known and the processor has AVX2, else simd-json.
    Auto,
    /// simd-json alone.
    SimdJson,
}

/// How many connections a listener takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Connections {
    /// In all.
    pub max: usize,
    /// From one address; zero: as many as in all.
    pub max_per_address: usize,
}

impl Connections {
    /// So many in all, from wherever they come.
    fn at_most(max: usize) -> Self {
        Self {
            max,
            max_per_address: 0,
        }
    }
}

/// One customer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Destination {
    /// 1 to 50 bytes.
    pub id: String,
    /// All its messages are level 1.
    pub vip: bool,
    /// How many messages may wait for it; `None`: as many as for any.
    pub max_queued: Option<usize>,
    /// What happens at that number; `None`: as for any.
    pub when_full: Option<WhenFull>,
    /// Where its messages go instead of to subscribers.
    pub nats: Nats,
}

/// `[scheduler]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scheduler {
    /// How many levels there are, 1 to 8.
    pub levels: u8,
    /// For each level, how long a message waits before it moves up; zero: it never does.
    pub max_wait: Vec<Duration>,
    /// Whether a message for an unknown destination creates it.
    pub create_destinations: bool,
    /// Names that a message creates all the same.
    pub create_fitting: Vec<Pattern>,
    /// How many destinations there may be in all when they are created.
    pub max_destinations: usize,
    /// How many messages may wait for one destination.
    pub max_queued: usize,
    /// What happens to a message for a destination for which that many wait.
    pub when_full: WhenFull,
}

/// What happens to a message whose destination has no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WhenFull {
    /// Its source is not read on until there is room.
    Wait,
    /// It is rejected, counted and kept.
    Reject,
}

/// One `[[rule]]`: all the conditions that are present must hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// Equals the message's `destinationId`.
    pub destination: Option<String>,
    /// Equals the message's `sourceServerId`.
    pub source: Option<String>,
    /// Equals the message's `messageType`.
    pub message_type: Option<String>,
    /// Local hours of the day `[from, to)`, in minutes since midnight; may wrap past midnight.
    pub hours: Option<(u16, u16)>,
    /// The level that it sets, 1 = most urgent.
    pub priority: u8,
}

/// `[dedup]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dedup {
    /// At most this many ids are remembered.
    pub window_messages: usize,
    /// An id is forgotten after this long.
    pub window: Duration,
}

/// `[delivery]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Where subscribers connect.
    pub listen: SocketAddr,
    /// How many delivery agents share the subscribers.
    pub agents: usize,
    /// A subscriber that owes acknowledgements for this long is cut.
    pub ack_timeout: Duration,
    /// Bytes that may be on their way to one subscriber, in the engine and in its own socket, unsent:
    /// what an urgent message cannot overtake.
    pub credit: usize,
    /// How many subscribers may be connected.
    pub connections: Connections,
    /// Its TLS.
    pub tls: ListenerTls,
    /// A subscriber that has not subscribed after so long is closed.
    pub greeting_timeout: Duration,
    /// A subscriber whose socket has taken nothing for so long, though messages wait, is cut; zero:
    /// never.
    pub unread_timeout: Duration,
}

impl Delivery {
    /// The half of the credit that waits in the engine for the socket to take it.
    #[must_use]
    pub fn credit_waiting(&self) -> usize {
        self.credit / 2
    }

    /// How much may stand in the socket, unsent, when it takes another piece. The piece is the other
    /// quarter: the kernel makes them 64 KiB long.
    #[must_use]
    pub fn credit_unsent(&self) -> usize {
        self.credit / 4
    }
}

/// `[journal]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Journal {
    /// Bytes of one segment file.
    pub segment: u64,
    /// Bytes that all its files may take on disk.
    pub max_bytes: u64,
}

/// `[threads]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Threads {
    /// How agents share threads.
    pub mode: ThreadingMode,
    /// What a thread does when its agents have no work.
    pub idle: IdleKind,
    /// Core of the ingest thread (also of the one thread of `shared`).
    pub ingest_core: Option<usize>,
    /// Core of the scheduler thread.
    pub scheduler_core: Option<usize>,
    /// Core of the journal thread.
    pub journal_core: Option<usize>,
    /// Cores of the delivery threads, one each.
    pub delivery_cores: Vec<usize>,
}

/// How agents share threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThreadingMode {
    /// By the cores the process is allowed.
    Auto,
    /// A pinned thread an agent.
    Dedicated,
    /// One composite agent on one thread.
    Shared,
}

impl ThreadingMode {
    /// As it is written in the settings.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Auto => "auto",
            Self::Dedicated => "dedicated",
            Self::Shared => "shared",
        }
    }
}

/// What a thread does when its agents have no work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IdleKind {
    /// Spin, yield, then park until woken.
    Backoff,
    /// Yield the core each time.
    Yield,
    /// Never leave the core.
    Spin,
}

/// `[store]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// Which database.
    pub url: StoreUrl,
    /// The file whose first line is the server's password.
    pub password_file: Option<PathBuf>,
    /// Whether a server's database and tables are made at start.
    pub create: bool,
    /// Whose position the store keeps; `None`: a name that is kept in the data directory.
    pub node: Option<String>,
    /// Rows that make a batch; behind, a store takes more.
    pub batch_rows: usize,
    /// A batch is written after this long at the latest.
    pub batch_time: Duration,
    /// How long a stopping engine goes on writing what the store has not followed.
    pub stop_timeout: Duration,
    /// Bytes of all files of refused rows together; at it the store waits.
    pub unstored_max_total: u64,
    /// How long a row stays after it was settled; `None`: for ever.
    pub keep: Option<Duration>,
}

/// Which database the store writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StoreUrl {
    /// No store.
    None,
    /// The embedded one; `None`: `data_dir/messages.db`.
    Sqlite(Option<PathBuf>),
    /// A server.
    MySql(Server),
}

/// `[admin]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Admin {
    /// The HTTP address; `None`: no HTTP.
    pub listen: Option<SocketAddr>,
    /// Names besides the machine's own by which browsers may ask.
    pub hosts: Vec<String>,
    /// How many HTTP clients may be connected.
    pub connections: Connections,
    /// Its TLS.
    pub tls: ListenerTls,
}

/// `[stats]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stats {
    /// Between two prints of the delivery statistics; zero: at exit only.
    pub interval: Duration,
}

/// `[latency]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Latency {
    /// Between two lines of a histogram; zero: no interval logs.
    pub log_interval: Duration,
    /// Bytes of one log at most.
    pub log_max_bytes: u64,
    /// A log is replaced when it is this old.
    pub log_max_age: Duration,
    /// Logs that are kept.
    pub log_files: usize,
}
