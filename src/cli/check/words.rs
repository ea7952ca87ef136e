//! Settings as sentences.
//!
//! Fed with settings and with what matters of the machine; gives text. It decides nothing: what
//! it says is computed by the same functions that the engine uses, or stands in `limits`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{
    self, Config, Connections, Durability, IdleKind, KeptWhenFull, Rule, Server, StoreUrl,
    ThreadingMode, WhenFull, show_duration, show_hours, show_size,
};
use crate::descriptors::{self, Budget};
use crate::engine::threads::{self, Plan, ThreadPlan};
use crate::limits;
use crate::store::SQLITE_FILE;
use crate::store::mysql::PASSWORD_VARIABLE;

/// Items of a list that are named one by one.
const LISTED_MAX: usize = 12;

/// What the words need to know of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Machine {
    /// How many cores this process may use.
    pub cores: usize,
    /// Where relative paths begin.
    pub directory: PathBuf,
    /// How many files this process may open.
    pub files: u64,
}

impl Machine {
    /// The machine that this runs on.
    #[must_use]
    pub fn here() -> Machine {
        Machine {
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            directory: std::env::current_dir().unwrap_or_default(),
            files: descriptors::allowed(),
        }
    }
}

/// What the settings mean, a section for each part of the pipeline.
#[must_use]
pub fn words(config: &Config, machine: &Machine) -> String {
    let parts: [(&str, Vec<String>); 10] = [
        ("Sources", sources(config)),
        ("Destinations", destinations(config)),
        ("Levels", levels(config)),
        ("Rules", rules(config)),
        ("Once", vec![once(config)]),
        ("Durability", vec![durability(config.durability)]),
        ("Memory", memory(config)),
        ("Threads", threading(config, machine)),
        ("Store", vec![store(config, machine)]),
        ("Files and addresses", places(config, machine)),
    ];
    let mut out = String::new();
    for (title, lines) in parts {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "\n{title}");
        for line in lines {
            let _ = writeln!(out, "  {line}");
        }
    }
    out
}

fn sources(config: &Config) -> Vec<String> {
    let mut lines = vec![match config.sources.len() {
        0 => "no server is dialled".to_owned(),
        1 => "1 server is dialled, again and again until it answers:".to_owned(),
        n => format!("{n} servers are dialled, again and again until they answer:"),
    }];
    lines.extend(listed(&config.sources, |source| match source.ack {
        true => format!("  {}, is sent acknowledgements", source.address),
        false => format!("  {}", source.address),
    }));
    match config.ingest.listen {
        Some(address) => lines.push(format!("producers may dial in at {address}")),
        None => lines.push("producers may not dial in ([ingest] listen is none)".to_owned()),
    }
    if config.sources.is_empty() && config.ingest.listen.is_none() {
        lines.push("so nothing new comes in: add a [[source]], or set [ingest] listen".to_owned());
    }
    let max = show_size(config.ingest.max_line as u64);
    lines.push(format!(
        "a line longer than {max} is rejected; rejected lines are kept"
    ));
    lines
}

fn destinations(config: &Config) -> Vec<String> {
    let mut lines = listed(&config.destinations, |destination| {
        let vip = match destination.vip {
            true => ", VIP: all its messages are level 1",
            false => "",
        };
        let max = destination.max_queued;
        let max = max.map_or_else(String::new, |max| {
            format!("; at most {max} may wait for it")
        });
        format!("{}{vip}{max}", destination.id)
    });
    let max = config.scheduler.max_destinations;
    lines.push(match config.scheduler.create_destinations {
        true => format!("a message for any other destination creates it, up to {max} in all"),
        false => "a message for any other destination is rejected, counted and kept".to_owned(),
    });
    lines.push(full(config));
    lines
}

/// What happens where a subscriber stays away.
fn full(config: &Config) -> String {
    let then = match config.scheduler.when_full {
        WhenFull::Wait => {
            "a source whose next message is for it is read no further until there is room; other \
             sources flow"
        }
        WhenFull::Reject => "further ones are rejected (queue_full), counted and kept",
    };
    let max = config.scheduler.max_queued;
    format!(
        "at most {max} messages wait for a destination that has no number of its own; then {then}"
    )
}

fn levels(config: &Config) -> Vec<String> {
    let count = config.scheduler.levels;
    let mut lines = vec!["1 is the most urgent and is served first".to_owned()];
    if config
        .scheduler
        .max_wait
        .first()
        .is_some_and(|w| !w.is_zero())
    {
        lines.push("level 1: cannot move up, so its max_wait changes nothing".to_owned());
    }
    for level in 2..=count {
        lines.push(format!(
            "level {level}: {}",
            worst_wait(&config.scheduler.max_wait, level)
        ));
    }
    if count > 1 {
        let native = limits::NATIVE_PER_AGED;
        lines.push(format!(
            "a message that has moved up is served at least once for every {native} messages \
             native to its new level, so it is late, never starved"
        ));
        lines.push(
            "these waits count from arrival, and for a destination whose subscriber takes its \
             messages"
                .to_owned(),
        );
    }
    lines
}

/// How far a message of this level rises, and when at the latest.
fn worst_wait(max_wait: &[Duration], level: u8) -> String {
    let (reached, after) = rise(max_wait, level);
    let steps = match max_wait.get(usize::from(level) - 1) {
        Some(wait) if !wait.is_zero() => format!(
            "moves up to level {} once it has waited {}",
            level - 1,
            show_duration(*wait)
        ),
        _ => {
            return "never moves up (max_wait is 0s); it waits for as long as more urgent messages \
                    keep coming"
                .to_owned();
        }
    };
    let after = show_duration(after);
    match reached {
        1 => format!("{steps}; worst wait: at level 1 after {after}"),
        stuck => format!(
            "{steps}; worst wait: at level {stuck} after {after}, and there it stays, for level \
             {stuck} never moves up (its max_wait is 0s)"
        ),
    }
}

/// The level that a message rises to, and the wait since its arrival after which it is there.
///
/// Waits count from arrival, so a level below may take longer than the one above it: then the
/// message passes the one above at once.
fn rise(max_wait: &[Duration], level: u8) -> (u8, Duration) {
    let mut after = Duration::ZERO;
    for current in (2..=level).rev() {
        match max_wait.get(usize::from(current) - 1) {
            Some(wait) if !wait.is_zero() => after = after.max(*wait),
            _ => return (current, after),
        }
    }
    (1, after)
}

fn rules(config: &Config) -> Vec<String> {
    if config.rules.is_empty() {
        return vec!["none: a message's level is its own priority".to_owned()];
    }
    let mut lines = listed(&config.rules, rule);
    lines.push("the first rule that fits wins; a VIP destination needs none".to_owned());
    lines
}

fn rule(rule: &Rule) -> String {
    let conditions = [
        rule.destination.as_ref().map(|id| format!("for {id}")),
        rule.source.as_ref().map(|id| format!("from {id}")),
        rule.message_type.as_ref().map(|t| format!("of type {t}")),
        rule.hours
            .map(|hours| format!("at {} local time", show_hours(hours))),
    ];
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    let which = match conditions.is_empty() {
        true => "whatever they are".to_owned(),
        false => conditions.join(", "),
    };
    format!("messages {which}: level {}", rule.priority)
}

fn once(config: &Config) -> String {
    let (count, window) = (config.dedup.window_messages, config.dedup.window);
    format!(
        "a messageId is accepted once among the last {count} messages of the last {}",
        show_duration(window)
    )
}

fn durability(durability: Durability) -> String {
    match durability {
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
    }
    .to_owned()
}

/// Bytes that the dedup window needs for an id, its place in the index included.
const DEDUP_ID_LEN: u64 = 24;

/// Bytes of a message that waits long, as a rule.
const COLD_LEN: u64 = 7;

fn memory(config: &Config) -> Vec<String> {
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

fn threading(config: &Config, machine: &Machine) -> Vec<String> {
    let cores = match machine.cores {
        1 => "1 core".to_owned(),
        n => format!("{n} cores"),
    };
    let needed = config.dedicated_cores();
    let mode = config.threading(machine.cores);
    let allowed: Vec<usize> = (0..machine.cores).collect();
    let plan = threads::plan_on(config, &allowed);
    let what = match mode {
        ThreadingMode::Dedicated => "dedicated: a thread of its own for each agent",
        _ if config.has_relief(machine.cores) => {
            "shared: ingest, scheduler and delivery on one thread, and ingest on a second one while \
             input piles up"
        }
        _ => "shared: ingest, scheduler and delivery on one thread",
    };
    let why = match config.threads.mode {
        ThreadingMode::Auto => {
            format!("auto picks {what} (this process may use {cores}; dedicated needs {needed})")
        }
        ThreadingMode::Dedicated if machine.cores < needed => {
            format!(
                "dedicated: agents share threads, for this process may use {cores} and dedicated \
                 needs {needed}: {plan}"
            )
        }
        _ => format!("{what} (this process may use {cores})"),
    };
    let idle = match config.threads.idle {
        IdleKind::Backoff => "without work a thread spins, yields, then sleeps until it is woken",
        IdleKind::Yield => "without work a thread yields its core each time; it never sleeps",
        IdleKind::Spin => "without work a thread spins and keeps its core to itself",
    };
    let mut lines = vec![why, idle.to_owned()];
    lines.extend(pinned(&plan, config));
    lines
}

fn pinned(plan: &Plan, config: &Config) -> Option<String> {
    let named = threads::named_cores(config);
    let of = |it: &ThreadPlan| {
        let core = it.core.filter(|core| named.contains(core))?;
        Some(format!("{it} on core {core}"))
    };
    let pinned: Vec<String> = plan.threads.iter().filter_map(of).collect();
    (!pinned.is_empty()).then(|| format!("pinned: {}", pinned.join("; ")))
}

fn store(config: &Config, machine: &Machine) -> String {
    let what = match &config.store.url {
        StoreUrl::None => return "none: no rows are written; the journal is all".to_owned(),
        StoreUrl::Sqlite(path) => {
            let path = path.clone();
            let path = path.unwrap_or_else(|| config.data_dir.join(SQLITE_FILE));
            format!("SQLite in {}", absolute(&path, machine))
        }
        StoreUrl::MySql(server) => server_words(server, &config.store),
    };
    format!(
        "{what}, in batches of {} rows, at the latest after {}, and of more when it is behind; a \
         store that is down delays no delivery; at stop it goes on for at most {}",
        config.store.batch_rows,
        show_duration(config.store.batch_time),
        show_duration(config.store.stop_timeout)
    )
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

fn places(config: &Config, machine: &Machine) -> Vec<String> {
    let mut lines = vec![
        format!(
            "{}: the journal in segments of {}, at most {}, rejected.ndjson (a new one after {}, \
             {} in all; then {}), histograms",
            absolute(&config.data_dir, machine),
            show_size(config.journal.segment),
            show_size(config.journal.max_bytes),
            show_size(config.ingest.rejected_max_bytes),
            show_size(config.ingest.rejected_max_total),
            match config.ingest.rejected_when_full {
                KeptWhenFull::Hold => "a source waits at its next wrong line",
                KeptWhenFull::DropOldest => "the oldest goes",
            }
        ),
        format!(
            "subscribers connect to {}; one that owes acknowledgements for {} is cut",
            config.delivery.listen,
            show_duration(config.delivery.ack_timeout)
        ),
    ];
    lines.extend(connections(config, machine));
    lines.push(match config.admin.listen {
        Some(address) => {
            format!("http://{address}/stats, /metrics, /healthz, /readyz, /histograms")
        }
        None => "no HTTP ([admin] listen is none)".to_owned(),
    });
    lines.push(latency_logs(config));
    lines.push(match config.stats.interval {
        Duration::ZERO => "statistics are printed at exit".to_owned(),
        interval => format!(
            "statistics are printed every {} and at exit",
            show_duration(interval)
        ),
    });
    lines
}

/// How many may connect, and what keeps a silent connection from its place.
fn connections(config: &Config, machine: &Machine) -> Vec<String> {
    let budget = Budget::new(config, machine.files);
    let fitted = budget.fit(config);
    let one = |who: &str, limits: Connections| match limits.max_per_address {
        0 => format!("{} {who}", limits.max),
        each => format!("{} {who} ({each} from one address)", limits.max),
    };
    let mut listeners = vec![one("subscribers", fitted.delivery.connections)];
    if config.ingest.listen.is_some() {
        listeners.push(one("producers", fitted.ingest.connections));
    }
    if config.admin.listen.is_some() {
        listeners.push(one("HTTP clients", fitted.admin.connections));
    }
    let mut lines = vec![format!(
        "at most {} at once; further ones are told so and closed",
        listeners.join(", ")
    )];
    if budget.is_short() {
        lines.push(budget.words());
    }
    let greeting = show_duration(config.delivery.greeting_timeout);
    let unread = config.delivery.unread_timeout;
    lines.push(match unread.is_zero() {
        true => format!(
            "a connection that does not subscribe within {greeting} is closed; a subscriber may \
             leave its messages unread"
        ),
        false => format!(
            "a connection that does not subscribe within {greeting} is closed, and a subscriber whose \
             socket takes nothing for {} is cut",
            show_duration(unread)
        ),
    });
    lines
}

fn latency_logs(config: &Config) -> String {
    let latency = &config.latency;
    if latency.log_interval.is_zero() {
        return "latencies are written when the engine stops (no interval logs)".to_owned();
    }
    format!(
        "latencies are logged every {}, in at most {} files of {}, a new one after {}",
        show_duration(latency.log_interval),
        latency.log_files,
        show_size(latency.log_max_bytes),
        show_duration(latency.log_max_age)
    )
}

fn absolute(path: &Path, machine: &Machine) -> String {
    machine.directory.join(path).display().to_string()
}

/// A size that need not be exact: `15 MiB`.
fn rough_size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} bytes"),
        1024..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        _ => format!("{} MiB", bytes.div_ceil(1024 * 1024)),
    }
}

/// The first items in words, and how many more there are.
fn listed<T>(items: &[T], word: impl Fn(&T) -> String) -> Vec<String> {
    let mut lines: Vec<String> = items.iter().take(LISTED_MAX).map(word).collect();
    if items.len() > LISTED_MAX {
        lines.push(format!("and {} more", items.len() - LISTED_MAX));
    }
    lines
}

#[cfg(test)]
#[path = "words_tests.rs"]
mod tests;
