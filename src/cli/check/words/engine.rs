//! What the settings mean for the engine: durability, memory, threads, the store.

use std::time::Duration;

use super::{Machine, absolute};
use crate::cluster::addresses::announced;
use crate::config::{
    self, Config, Durability, IdleKind, Server, StoreUrl, ThreadingMode, show_duration, show_size,
};
use crate::engine::cores;
use crate::engine::threads::{self, Plan, ThreadPlan};
use crate::limits::{self, LEASE_QUARTERS};
use crate::store::SQLITE_FILE;
use crate::store::mysql::PASSWORD_VARIABLE;

pub(super) fn durability(config: &Config) -> Vec<String> {
    let words = match config.durability {
        Durability::Memory => {
            "memory: a message is delivered and acknowledged before it is journaled; nothing is \
             lost by a clean stop, but what was not journaled yet is lost by kill -9 or power loss"
        }
        Durability::Written => {
            "written: a message is delivered and acknowledged once the operating system has it; \
             nothing is lost by kill -9, but the last moments may be lost by power loss"
        }
        Durability::Synced => {
            "synced: a message is delivered and acknowledged once the disk has it (fdatasync); \
             nothing is lost by kill -9 or power loss"
        }
        Durability::Replicated => return replicated(config),
    };
    vec![words.to_owned()]
}

fn replicated(config: &Config) -> Vec<String> {
    let cluster = &config.cluster;
    let (replicas, lease) = (cluster.replicas, cluster.take_over_after);
    let copies = match replicas {
        1 => "the only server of the group's stream, and then the disk here,".to_owned(),
        _ => format!(
            "{} of the {replicas} servers of the group's stream, and then the disk here,",
            replicas / 2 + 1
        ),
    };
    let servers = cluster.nats.servers.as_ref();
    let servers = servers.map_or(String::new(), |it| it.to_string());
    let told = announced(config).into_iter();
    let told: Vec<_> = told.map(|it| it.replacen('=', " at ", 1)).collect();
    let member = format!(
        "this is member {} of group {}, whose stream is flb_journal_{} at {servers}; while it serves, the others \
         send peers to {}",
        cluster.node,
        cluster.group,
        cluster.group,
        told.join(", ")
    );
    let meant = format!(
        "replicated: a message is delivered and acknowledged once {copies} have it; another member of group \
         {} takes over when this one was silent for {}, and this one hands out nothing when it has reached \
         no server for {}",
        cluster.group,
        show_duration(lease),
        show_duration(lease * LEASE_QUARTERS as u32 / 4)
    );
    vec![meant, member]
}

/// Bytes that the dedup window needs for an id, its place in the index included.
const DEDUP_ID_LEN: u64 = 24;

/// Bytes of a message that waits long, as a rule.
const COLD_LEN: u64 = 7;

pub(super) fn memory(config: &Config) -> Vec<String> {
    let chunks = limits::CHUNK_COUNT as u64 * limits::CHUNK_LEN as u64;
    let ids = DEDUP_ID_LEN * config.dedup.window_messages as u64;
    vec![
        format!(
            "frames: at most {}; what must wait long is read again from the journal",
            show_size(chunks)
        ),
        format!(
            "queue: at most {} messages in all; then the engine stops reading, and drops nothing; \
             those that wait long take some {COLD_LEN} bytes each",
            limits::MESSAGES_MAX
        ),
        format!("dedup: {} when the window is full", rough_size(ids)),
        format!(
            "credit: at most {} on the way to each subscriber",
            show_size(config.delivery.credit as u64)
        ),
    ]
}

/// What `shared` means: by whether the journal syncs on a thread of its own, then by whether
/// ingest may move.
const SHARED: [[&str; 2]; 2] = [
    [
        "shared: ingest, scheduler, journal and delivery on one thread",
        "shared: ingest, scheduler, journal and delivery on one thread, and ingest on a second one \
         while input piles up",
    ],
    [
        "shared: ingest, scheduler and delivery on one thread, the journal on its own",
        "shared: ingest, scheduler and delivery on one thread, the journal on its own, and \
         ingest on a \
         third one while input piles up",
    ],
];

pub(super) fn threading(config: &Config, machine: &Machine) -> Vec<String> {
    let count = machine.cores.allowed.len();
    let cores = match count {
        1 => "1 core".to_owned(),
        n => format!("{n} cores"),
    };
    let needed = config.dedicated_cores();
    let assessment = cores::assess(config, &machine.cores);
    let plan = &assessment.plan;
    let what = match plan.mode {
        ThreadingMode::Dedicated => "dedicated: a thread of its own for each agent",
        _ => SHARED[usize::from(threads::syncs(config))][usize::from(plan.relief)],
    };
    let why = match config.threads.mode {
        ThreadingMode::Auto => {
            format!("auto picks {what} (this process may use {cores}; dedicated needs {needed})")
        }
        ThreadingMode::Dedicated if count < needed => {
            format!(
                "dedicated: agents share threads, for this process may use {cores} and dedicated \
                 needs {needed}: {plan}"
            )
        }
        _ => format!("{what} (this process may use {cores})"),
    };
    let mut lines = vec![why, idle(config, plan)];
    lines.extend(pinned(plan, config));
    let fair = assessment.fair();
    lines.extend(fair.map(|it| format!("fair: {}; {}", it.found, it.advice)));
    lines
}

fn idle(config: &Config, plan: &Plan) -> String {
    match config.threads.idle {
        IdleKind::Backoff => {
            "without work a thread spins, yields, then sleeps until it is woken".to_owned()
        }
        IdleKind::Yield => {
            "without work a thread of the path yields its core each time and never sleeps; all \
             others \
             sleep until they are woken"
                .to_owned()
        }
        IdleKind::Spin => {
            let spinners: Vec<String> = cores::spinners(plan).iter().map(place).collect();
            let spinners = match spinners.as_slice() {
                [] => "none".to_owned(),
                some => some.join("; "),
            };
            format!(
                "without work a thread of the path spins on a core of its own ({spinners}); all \
                 others \
                 sleep until they are woken"
            )
        }
    }
}

fn place(thread: &&ThreadPlan) -> String {
    match thread.core {
        Some(core) => format!("{thread} on core {core}"),
        None => thread.to_string(),
    }
}

fn pinned(plan: &Plan, config: &Config) -> Option<String> {
    let named = threads::named_cores(config);
    let of = |it: &ThreadPlan| {
        it.core.filter(|core| named.contains(core))?;
        Some(place(&it))
    };
    let pinned: Vec<String> = plan.threads.iter().filter_map(of).collect();
    (!pinned.is_empty()).then(|| format!("pinned: {}", pinned.join("; ")))
}

/// Bytes of a row with its indexes: SQLite, frames of 390 bytes (115 MB a minute at 5,000 a
/// second).
const ROW_LEN: u64 = 383;
/// The rate of the example.
const EXAMPLE_RATE: u64 = 5_000;
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(super) fn store(config: &Config, machine: &Machine) -> Vec<String> {
    let what = match &config.store.url {
        StoreUrl::None => {
            return vec!["none: no rows are written; the journal is all".to_owned()];
        }
        StoreUrl::Sqlite(path) => {
            let path = path.clone();
            let path = path.unwrap_or_else(|| config.data_dir.join(SQLITE_FILE));
            format!("SQLite in {}", absolute(&path, machine))
        }
        StoreUrl::MySql(server) => server_words(server, &config.store),
    };
    let how = format!(
        "{what}, in batches of {} rows, at the latest after {}, and of more when it is behind; a \
         store that is down delays no delivery; at stop it goes on for at most {}",
        config.store.batch_rows,
        show_duration(config.store.batch_time),
        show_duration(config.store.stop_timeout)
    );
    vec![how, keep(config.store.keep)]
}

/// What `[store] keep` means for the disk, by an example.
fn keep(keep: Option<Duration>) -> String {
    let bytes_in = |time: Duration| decimal_size(ROW_LEN * EXAMPLE_RATE * time.as_secs());
    let example = format!("{EXAMPLE_RATE} messages a second of 390 bytes");
    let Some(keep) = keep else {
        return format!(
            "rows stay for ever ([store] keep): {example} add about {} a minute, {} a day",
            bytes_in(Duration::from_secs(60)),
            bytes_in(DAY)
        );
    };
    format!(
        "a row is removed {} after it was settled, not at once but while the store keeps up, and \
         never before it is settled: with {example} the database takes about {}, of {} a day",
        show_days(keep),
        bytes_in(keep),
        bytes_in(DAY)
    )
}

/// `30d`, or what is no whole number of days as elsewhere.
fn show_days(duration: Duration) -> String {
    let (days, rest) = (
        duration.as_secs() / DAY.as_secs(),
        duration.as_secs() % DAY.as_secs(),
    );
    match (days, rest) {
        (1.., 0) => format!("{days}d"),
        _ => show_duration(duration),
    }
}

/// As disks are sold: `115 MB`.
fn decimal_size(bytes: u64) -> String {
    match bytes {
        0..10_000_000_000 => format!("{} MB", bytes / 1_000_000),
        10_000_000_000..10_000_000_000_000 => format!("{} GB", bytes / 1_000_000_000),
        _ => format!("{} TB", bytes / 1_000_000_000_000),
    }
}

/// The server without its password, and where that comes from.
fn server_words(server: &Server, settings: &config::Store) -> String {
    let password = match (&settings.password_file, &server.password) {
        _ if std::env::var_os(PASSWORD_VARIABLE).is_some() => {
            format!("with the password of {PASSWORD_VARIABLE}")
        }
        (Some(file), _) => format!("with the password in {}", file.display()),
        (None, Some(_)) => "with the password of its address".to_owned(),
        (None, None) => "without a password".to_owned(),
    };
    let tables = match settings.create {
        true => "makes database and tables where they are not there",
        false => "expects the tables of flipped-lb schema apply",
    };
    format!(
        "{} {password} (ssl-mode {}), {tables}",
        server.place(),
        server.ssl_mode.word()
    )
}

/// A size that need not be exact: `15 MiB`.
fn rough_size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{} MiB", bytes.div_ceil(1024 * 1024)),
    }
}
