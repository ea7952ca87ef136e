//! The one list of all keys: name, default, meaning, and how a value is taken.
//!
//! The readers of the file and of the environment look keys up here, errors suggest names from
//! here, and the example file is printed from here. The keys of `[[source]]`, `[[destination]]`
//! and `[[rule]]` stand in `items`. Bounds across several keys are the business of `checks`.

use std::path::PathBuf;
use std::time::Duration;

use super::found::Found;
use super::server::Server;
use super::units::show_duration;
use super::{Config, Durability, IdleKind, KeptWhenFull, StoreUrl, ThreadingMode, WhenFull};
use crate::limits;

/// Takes a value into the settings, or says what is wrong with it.
pub(super) type Set<T> = fn(&mut T, &Found) -> Result<(), String>;

/// One key of a `T`.
#[derive(Debug)]
pub(super) struct Key<T: 'static> {
    pub(super) name: &'static str,
    /// As it is written in TOML.
    pub(super) default: Shown,
    /// For the example file: unit, bounds, what it does.
    pub(super) meaning: &'static str,
    pub(super) set: Set<T>,
}

/// What the example file shows for a key.
#[derive(Debug, Clone, Copy)]
pub(super) enum Shown {
    /// The default.
    Default(&'static str),
    /// There is no default and the key may be absent; this is an example.
    Absent(&'static str),
    /// The key must be there; this is an example.
    Required(&'static str),
}

/// One `[section]`, or the top of the file.
#[derive(Debug)]
pub(super) struct Section {
    /// Empty for the top of the file.
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) keys: &'static [Key<Config>],
}

/// The top of the file, then the sections, in the order of the example file.
pub(super) const SECTIONS: [Section; 11] = [
    TOP, INGEST, SCHEDULER, DEDUP, DELIVERY, JOURNAL, THREADS, STORE, ADMIN, STATS, LATENCY,
];

const MICRO: Duration = Duration::from_micros(1);
const MILLI: Duration = Duration::from_millis(1);

const fn key<T>(
    name: &'static str,
    default: &'static str,
    meaning: &'static str,
    set: Set<T>,
) -> Key<T> {
    let default = Shown::Default(default);
    Key {
        name,
        default,
        meaning,
        set,
    }
}

const TOP: Section = Section {
    name: "",
    meaning: "",
    keys: &[
        key(
            "data_dir",
            "\"flipped-lb-data\"",
            "Where the journal, the embedded database, rejected lines and histograms live.",
            |c, v| match v.text()? {
                "" => Err("found nothing; write a directory".to_owned()),
                text => set(&mut c.data_dir, PathBuf::from(text)),
            },
        ),
        key(
            "durability",
            "\"written\"",
            "What has happened before a message is delivered and its source is acknowledged: \
             memory (nothing yet; survives a clean stop), written (the operating system has it; \
             survives kill -9), synced (the disk has it; survives power loss).",
            |c, v| set(&mut c.durability, v.choice(&DURABILITIES)?),
        ),
    ],
};

const DURABILITIES: [(&str, Durability); 3] = [
    ("memory", Durability::Memory),
    ("written", Durability::Written),
    ("synced", Durability::Synced),
];

const INGEST: Section = Section {
    name: "ingest",
    meaning: "How frames come in.",
    keys: &[
        key(
            "max_line",
            "\"64KiB\"",
            "The longest line, in bytes without its newline, 1KiB to 64KiB; longer ones are \
             rejected as oversize.",
            |c, v| {
                let (min, max) = (limits::LINE_LEN_MAX_FLOOR, limits::LINE_LEN_MAX);
                let size = v.size(min as u64, max as u64).map_err(|why| {
                    format!("{why}; the journal's offsets into a frame are 16 bits wide")
                })?;
                set(&mut c.ingest.max_line, size as usize)
            },
        ),
        key(
            "listen",
            "\"none\"",
            "Where producers may dial in and send the same lines, such as \"127.0.0.1:9001\"; \
             none: they may not.",
            |c, v| set(&mut c.ingest.listen, v.listen()?),
        ),
        key(
            "rejected_max_bytes",
            "\"64MiB\"",
            "rejected.ndjson is rotated when it grows past this size.",
            |c, v| {
                let (min, max) = (
                    limits::REJECTED_LEN_MAX_FLOOR,
                    limits::REJECTED_LEN_MAX_CEILING,
                );
                set(&mut c.ingest.rejected_max_bytes, v.size(min, max)?)
            },
        ),
        key(
            "rejected_max_total",
            "\"1GiB\"",
            "All files of rejected lines together grow no further than this; each is rotated at a \
             quarter of it at the latest.",
            |c, v| {
                let (min, max) = (
                    limits::REJECTED_TOTAL_MAX_FLOOR,
                    limits::REJECTED_TOTAL_MAX_CEILING,
                );
                set(&mut c.ingest.rejected_max_total, v.size(min, max)?)
            },
        ),
        key(
            "rejected_when_full",
            "\"hold\"",
            "There: hold a source at its next wrong line until files are taken away, and no other \
             source; or drop_oldest: the oldest file goes, and its lines are counted.",
            |c, v| {
                let choices = [
                    ("hold", KeptWhenFull::Hold),
                    ("drop_oldest", KeptWhenFull::DropOldest),
                ];
                set(&mut c.ingest.rejected_when_full, v.choice(&choices)?)
            },
        ),
        key(
            "max_connections",
            "4096",
            "How many producers may be connected at once; further ones are told so and closed. Where the process may \
             not open so many files, fewer: the engine says so at start.",
            |c, v| {
                set(
                    &mut c.ingest.connections.max,
                    v.count(1, limits::CONNECTIONS_MAX)?,
                )
            },
        ),
        key(
            "max_connections_per_address",
            "0",
            "The same for one peer address; 0: no limit of its own.",
            |c, v| {
                let count = v.count(0, limits::CONNECTIONS_MAX)?;
                set(&mut c.ingest.connections.max_per_address, count)
            },
        ),
        key(
            "greeting_timeout",
            "\"30s\"",
            "When max_connections producers are connected, those that have sent no line for this \
             long are closed to make room.",
            |c, v| {
                let timeout = v.duration(MILLI, limits::WAIT_MAX)?;
                set(&mut c.ingest.greeting_timeout, timeout)
            },
        ),
        key(
            "idle_timeout",
            "\"0s\"",
            "A producer that has sent nothing for this long is closed; 0s: it may be silent.",
            |c, v| {
                let timeout = v.duration(Duration::ZERO, limits::WAIT_MAX)?;
                set(&mut c.ingest.idle_timeout, timeout)
            },
        ),
    ],
};

const SCHEDULER: Section = Section {
    name: "scheduler",
    meaning: "How messages are ordered.",
    keys: &[
        key(
            "levels",
            "3",
            "How many priorities there are, 1 to 8; 1 is the most urgent.",
            |c, v| {
                let levels = v.integer(1, limits::LEVELS_MAX as u64)?;
                set(&mut c.scheduler.levels, levels as u8)
            },
        ),
        key(
            "max_wait",
            "[\"0s\", \"1s\", \"5s\"]",
            "For each level, how long a message waits, counted from its arrival, before it moves \
             up a level; 0s: it never does. Without it: the first of 0s, 1s, 5s, 10s, 30s, 1m, \
             2m, 5m.",
            |c, v| {
                let waits = v.list()?;
                let waits = waits
                    .iter()
                    .map(|w| w.duration(Duration::ZERO, limits::WAIT_MAX));
                set(&mut c.scheduler.max_wait, waits.collect::<Result<_, _>>()?)
            },
        ),
        key(
            "unknown_destinations",
            "\"reject\"",
            "A message for a destination that is not listed here: reject it, or create the \
             destination.",
            |c, v| {
                let create = v.choice(&[("reject", false), ("create", true)])?;
                set(&mut c.scheduler.create_destinations, create)
            },
        ),
        key(
            "max_destinations",
            "10_000",
            "How many destinations there may be in all, with those that messages create.",
            |c, v| {
                let count = v.count(1, limits::DESTINATIONS_MAX)?;
                set(&mut c.scheduler.max_destinations, count)
            },
        ),
        key(
            "max_queued",
            "16_000_000",
            "How many messages may wait for one destination.",
            |c, v| {
                let count = v.count(1, limits::MESSAGES_MAX)?;
                set(&mut c.scheduler.max_queued, count)
            },
        ),
        key(
            "when_full",
            "\"wait\"",
            "A message for a destination for which that many wait: wait with its source, which is \
             not read on until there is room, or reject it.",
            |c, v| {
                let choices = [("wait", WhenFull::Wait), ("reject", WhenFull::Reject)];
                set(&mut c.scheduler.when_full, v.choice(&choices)?)
            },
        ),
    ],
};

const DEDUP: Section = Section {
    name: "dedup",
    meaning: "How long a messageId is remembered: within both bounds a second one is a duplicate.",
    keys: &[
        key(
            "window_messages",
            "1_000_000",
            "At most this many ids are remembered; each costs some tens of bytes of memory.",
            |c, v| {
                let count = v.count(1, limits::DEDUP_MESSAGES_MAX)?;
                set(&mut c.dedup.window_messages, count)
            },
        ),
        key(
            "window",
            "\"10m\"",
            "An id is forgotten after this long; the journal keeps its segments for as long.",
            |c, v| {
                let window = v.duration(MILLI, limits::DEDUP_WINDOW_MAX)?;
                set(&mut c.dedup.window, window)
            },
        ),
    ],
};

const DELIVERY: Section = Section {
    name: "delivery",
    meaning: "How messages go out.",
    keys: &[
        key(
            "listen",
            "\"127.0.0.1:9000\"",
            "Where subscribers connect.",
            |c, v| match v.listen()? {
                Some(address) => set(&mut c.delivery.listen, address),
                None => Err("found none; delivery needs an address, such as \
                     \"127.0.0.1:9000\""
                    .to_owned()),
            },
        ),
        key(
            "agents",
            "1",
            "How many delivery agents share the subscribers, 1 to 64; more than 1 pays in the \
             dedicated mode only.",
            |c, v| set(&mut c.delivery.agents, v.count(1, limits::AGENTS_MAX)?),
        ),
        key(
            "ack_timeout",
            "\"30s\"",
            "A subscriber that owes acknowledgements for this long is cut; its messages go to \
             the next one.",
            |c, v| {
                let timeout = v.duration(MILLI, limits::WAIT_MAX)?;
                set(&mut c.delivery.ack_timeout, timeout)
            },
        ),
        key(
            "credit",
            "\"256KiB\"",
            "Bytes on their way to one subscriber, in the engine and unsent in its socket: what an \
             urgent message cannot overtake. Smaller: sharper priorities. Larger: more throughput \
             over long distances.",
            |c, v| {
                let credit = v.size(limits::CREDIT_MIN as u64, limits::CREDIT_MAX as u64)?;
                set(&mut c.delivery.credit, credit as usize)
            },
        ),
        key(
            "max_connections",
            "10_000",
            "How many subscribers may be connected at once; further ones are told so and closed. Where the process may \
             not open so many files, fewer: the engine says so at start.",
            |c, v| {
                set(
                    &mut c.delivery.connections.max,
                    v.count(1, limits::CONNECTIONS_MAX)?,
                )
            },
        ),
        key(
            "max_connections_per_address",
            "0",
            "The same for one peer address; 0: no limit of its own.",
            |c, v| {
                let count = v.count(0, limits::CONNECTIONS_MAX)?;
                set(&mut c.delivery.connections.max_per_address, count)
            },
        ),
        key(
            "greeting_timeout",
            "\"30s\"",
            "A connection that has not subscribed after this long is closed.",
            |c, v| {
                let timeout = v.duration(MILLI, limits::WAIT_MAX)?;
                set(&mut c.delivery.greeting_timeout, timeout)
            },
        ),
        key(
            "unread_timeout",
            "\"0s\"",
            "A subscriber whose socket has taken no byte for this long, though messages wait for it, \
             is cut; they go to the next one. 0s: it may read when it likes.",
            |c, v| {
                let timeout = v.duration(Duration::ZERO, limits::WAIT_MAX)?;
                set(&mut c.delivery.unread_timeout, timeout)
            },
        ),
    ],
};

const JOURNAL: Section = Section {
    name: "journal",
    meaning: "The log on disk.",
    keys: &[
        key(
            "segment",
            "\"64MiB\"",
            "Bytes of one segment file, 4MiB to 1GiB; disk space comes back a segment at a time.",
            |c, v| {
                let (min, max) = (limits::SEGMENT_LEN_MIN, limits::SEGMENT_LEN_MAX);
                set(&mut c.journal.segment, v.size(min, max)?)
            },
        ),
        key(
            "max_bytes",
            "\"64GiB\"",
            "Bytes that the journal may take on disk, 8 segments at least. At the limit the engine \
             stops reading from sources, goes on delivering, and resumes when old segments have \
             gone.",
            |c, v| {
                let min = limits::JOURNAL_SEGMENTS_MIN * limits::SEGMENT_LEN_MIN;
                let max = limits::JOURNAL_LEN_MAX_CEILING;
                set(&mut c.journal.max_bytes, v.size(min, max)?)
            },
        ),
    ],
};

const CORE_EXAMPLE: &str = "\"none\"";

const THREADS: Section = Section {
    name: "threads",
    meaning: "Which threads there are and where they run.",
    keys: &[
        key(
            "mode",
            "\"auto\"",
            "dedicated: a pinned thread an agent; shared: ingest, scheduler and delivery on one \
             thread; auto: by the cores that the process is allowed.",
            |c, v| set(&mut c.threads.mode, v.choice(&MODES)?),
        ),
        key(
            "idle",
            "\"backoff\"",
            "What a thread without work does: backoff (spins, yields, then sleeps until it is \
             woken), yield (gives the core away each time), spin (never leaves the core).",
            |c, v| set(&mut c.threads.idle, v.choice(&IDLES)?),
        ),
        key(
            "ingest_core",
            CORE_EXAMPLE,
            "The core of the ingest thread, from 0; also of the one thread of the shared mode.",
            |c, v| set(&mut c.threads.ingest_core, v.core()?),
        ),
        key(
            "scheduler_core",
            CORE_EXAMPLE,
            "The core of the scheduler thread.",
            |c, v| set(&mut c.threads.scheduler_core, v.core()?),
        ),
        key(
            "journal_core",
            CORE_EXAMPLE,
            "The core of the journal thread.",
            |c, v| set(&mut c.threads.journal_core, v.core()?),
        ),
        key(
            "delivery_cores",
            "[]",
            "The cores of the delivery threads, one for each agent, such as [4, 5].",
            |c, v| {
                let cores = v.list()?;
                let cores = cores
                    .iter()
                    .map(|core| core.count(0, limits::CORES_MAX - 1));
                set(
                    &mut c.threads.delivery_cores,
                    cores.collect::<Result<_, _>>()?,
                )
            },
        ),
    ],
};

const MODES: [(&str, ThreadingMode); 3] = [
    ("auto", ThreadingMode::Auto),
    ("dedicated", ThreadingMode::Dedicated),
    ("shared", ThreadingMode::Shared),
];

const IDLES: [(&str, IdleKind); 3] = [
    ("backoff", IdleKind::Backoff),
    ("yield", IdleKind::Yield),
    ("spin", IdleKind::Spin),
];

const STORE: Section = Section {
    name: "store",
    meaning: "The SQL database that follows the journal, off the path.",
    keys: &[
        key(
            "url",
            "\"sqlite\"",
            "sqlite (messages.db in data_dir), sqlite:PATH, mysql://USER@HOST:3306/DATABASE (MySQL \
             and MariaDB), or none. Options of a mysql address: ssl-mode=disabled, required, \
             verify-ca or verify-identity; ssl-ca=FILE; socket=PATH.",
            |c, v| set(&mut c.store.url, store_url(v.secret_text()?)?),
        ),
        key(
            "password_file",
            "\"none\"",
            "A file, such as \"/etc/flipped-lb/password\", whose first line is the password of a \
             mysql address. The variable FLIPPED_LB_STORE_PASSWORD comes before it, and it before \
             the address itself.",
            |c, v| set(&mut c.store.password_file, some_path(v.text()?)),
        ),
        key(
            "create",
            "false",
            "Whether a mysql database and its tables are made at start where they are not there; \
             false: flipped-lb schema apply makes them.",
            |c, v| set(&mut c.store.create, v.boolean()?),
        ),
        key(
            "node",
            "\"auto\"",
            "The name under which this engine keeps its position; several engines may share one \
             database. auto: a name that is made once and kept in data_dir.",
            |c, v| {
                let name = v.name()?;
                set(&mut c.store.node, (name != "auto").then_some(name))
            },
        ),
        key(
            "batch_rows",
            "5000",
            "Rows that make a batch; a store that is behind takes up to twenty times as many.",
            |c, v| {
                let rows = v.count(1, limits::BATCH_ROWS_MAX)?;
                set(&mut c.store.batch_rows, rows)
            },
        ),
        key(
            "batch_time",
            "\"100ms\"",
            "A batch is written after this long at the latest.",
            |c, v| {
                let time = v.duration(MICRO, Duration::from_secs(3600))?;
                set(&mut c.store.batch_time, time)
            },
        ),
        key(
            "unstored_max_total",
            "\"1GiB\"",
            "All files of rows that the database refuses, unstored.ndjson and its numbered \
             predecessors, grow no further than this: the store waits there until files are taken \
             away.",
            |c, v| {
                let (min, max) = (
                    limits::UNSTORED_TOTAL_MAX_FLOOR,
                    limits::REJECTED_TOTAL_MAX_CEILING,
                );
                set(&mut c.store.unstored_max_total, v.size(min, max)?)
            },
        ),
        key(
            "stop_timeout",
            "\"30s\"",
            "How long a stopping engine goes on writing what the store has not followed yet; the rest \
             is written after the next start. 0s: nothing more.",
            |c, v| {
                let time = v.duration(Duration::ZERO, Duration::from_secs(3600))?;
                set(&mut c.store.stop_timeout, time)
            },
        ),
    ],
};

const ADMIN: Section = Section {
    name: "admin",
    meaning: "HTTP for statistics, metrics and histograms.",
    keys: &[
        key(
            "listen",
            "\"127.0.0.1:9100\"",
            "The address of the HTTP server; none: no HTTP.",
            |c, v| set(&mut c.admin.listen, v.listen()?),
        ),
        key(
            "max_connections",
            "256",
            "How many HTTP clients may be connected at once; further ones are told so and closed. Where the process may \
             not open so many files, fewer: the engine says so at start.",
            |c, v| {
                set(
                    &mut c.admin.connections.max,
                    v.count(1, limits::CONNECTIONS_MAX)?,
                )
            },
        ),
        key(
            "max_connections_per_address",
            "0",
            "The same for one peer address; 0: no limit of its own.",
            |c, v| {
                let count = v.count(0, limits::CONNECTIONS_MAX)?;
                set(&mut c.admin.connections.max_per_address, count)
            },
        ),
    ],
};

const STATS: Section = Section {
    name: "stats",
    meaning: "When DELIVERY STATISTICS are printed.",
    keys: &[key(
        "interval",
        "\"10s\"",
        "Between two prints; 0s: at exit only.",
        |c, v| {
            let interval = v.duration(Duration::ZERO, limits::WAIT_MAX)?;
            set(&mut c.stats.interval, interval)
        },
    )],
};

const LATENCY: Section = Section {
    name: "latency",
    meaning: "Interval logs of latencies while the engine runs: data_dir/histograms/latency-N.hlog.",
    keys: &[
        key(
            "log_interval",
            "\"10s\"",
            "Between two lines of a histogram; 0s: there are no interval logs.",
            |c, v| {
                let interval = v.duration(Duration::ZERO, limits::WAIT_MAX)?;
                if interval > Duration::ZERO && interval < limits::LATENCY_LOG_INTERVAL_MIN {
                    let min = show_duration(limits::LATENCY_LOG_INTERVAL_MIN);
                    return Err(format!(
                        "found less than {min}; write 0s, or {min} at least"
                    ));
                }
                set(&mut c.latency.log_interval, interval)
            },
        ),
        key(
            "log_max_bytes",
            "\"16MiB\"",
            "A file is replaced by a new one before it grows past this size.",
            |c, v| {
                let (min, max) = (limits::LATENCY_LOG_LEN_MIN, limits::LATENCY_LOG_LEN_CEILING);
                set(&mut c.latency.log_max_bytes, v.size(min, max)?)
            },
        ),
        key(
            "log_max_age",
            "\"24h\"",
            "A file is replaced by a new one when it is this old.",
            |c, v| {
                let (min, max) = (Duration::from_secs(1), limits::LATENCY_LOG_AGE_MAX);
                set(&mut c.latency.log_max_age, v.duration(min, max)?)
            },
        ),
        key(
            "log_files",
            "8",
            "How many files are kept, the one being written included; the oldest go.",
            |c, v| {
                let count = v.count(1, limits::LATENCY_LOG_FILES_MAX)?;
                set(&mut c.latency.log_files, count)
            },
        ),
    ],
};

/// Takes a value, in the form that ends a [`Set`].
pub(super) fn set<T>(field: &mut T, value: T) -> Result<(), String> {
    *field = value;
    Ok(())
}

/// Reads the database's address; never repeats it, for it may hold a password.
///
/// # Errors
/// Says how an address is written.
pub fn store_url(text: &str) -> Result<StoreUrl, String> {
    match text.split_once(':') {
        None if text == "sqlite" => Ok(StoreUrl::Sqlite(None)),
        None if text == "none" => Ok(StoreUrl::None),
        Some(("sqlite", rest)) => match rest.strip_prefix("//").unwrap_or(rest) {
            "" => Err("found \"sqlite:\" without a path; write \"sqlite:PATH\"".to_owned()),
            path => Ok(StoreUrl::Sqlite(Some(PathBuf::from(path)))),
        },
        Some(("mysql" | "mariadb", _)) => Server::parse(text).map(StoreUrl::MySql),
        _ => Err(
            "found no database that is known; write \"sqlite\", \"sqlite:PATH\", \
             \"mysql://user@host:3306/name\" or \"none\""
                .to_owned(),
        ),
    }
}

/// A path, or none.
fn some_path(text: &str) -> Option<PathBuf> {
    (!matches!(text, "" | "none")).then(|| PathBuf::from(text))
}
