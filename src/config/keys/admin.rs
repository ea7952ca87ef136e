//! The keys of `[admin]`, `[stats]`, `[latency]` and `[log]`: what can be seen.

use std::time::Duration;

use crate::config::found::Found;
use crate::config::key::{
    Section, key, max_connections, max_connections_per_address, set, tls, tls_file,
};
use crate::config::units::show_duration;
use crate::config::{LogFormat, LogLevel};
use crate::limits;

pub(super) const ADMIN: Section = Section {
    name: "admin",
    meaning: "HTTP: the page, statistics, metrics and histograms.",
    keys: &[
        key(
            "listen",
            "\"127.0.0.1:9100\"",
            "The address of the HTTP server; none: no HTTP.",
            |c, v| set(&mut c.admin.listen, v.listen()?),
        ),
        key(
            "hosts",
            "[]",
            "Names by which browsers may ask here, such as [\"engine1.example\"], where neither users \
             nor TLS are in force: a hostile page could reach this by a name of its own. \
             Addresses, names without a dot and the machine's own name may always; \"*\": any name.",
            |c, v| {
                let names = v.list()?;
                let names = names.iter().map(|it| it.text().map(str::to_owned));
                set(&mut c.admin.hosts, names.collect::<Result<_, _>>()?)
            },
        ),
        max_connections!(admin, "256", "HTTP clients"),
        max_connections_per_address!(admin),
        tls!(admin),
        tls_file!(admin, cert, "tls_cert", "cert"),
        tls_file!(admin, key, "tls_key", "key"),
        tls_file!(admin, client_ca, "tls_client_ca", "client_ca"),
    ],
};

pub(super) const STATS: Section = Section {
    name: "stats",
    meaning: "When DELIVERY STATISTICS are printed.",
    keys: &[key(
        "interval",
        "\"10s\"",
        "Between two prints; 0s: at exit only.",
        |c, v| {
            set(
                &mut c.stats.interval,
                interval(v, limits::STATS_INTERVAL_MIN)?,
            )
        },
    )],
};

/// A time between two of what is done again and again, or zero: it is not.
fn interval(v: &Found, min: Duration) -> Result<Duration, String> {
    let interval = v.duration(Duration::ZERO, limits::WAIT_MAX)?;
    if interval > Duration::ZERO && interval < min {
        let min = show_duration(min);
        return Err(format!(
            "found less than {min}; write 0s, or {min} at least"
        ));
    }
    Ok(interval)
}

pub(super) const LATENCY: Section = Section {
    name: "latency",
    meaning: "Interval logs of latencies while the engine runs: data_dir/histograms/latency-N.hlog.",
    keys: &[
        key(
            "log_interval",
            "\"10s\"",
            "Between two lines of a histogram; 0s: there are no interval logs.",
            |c, v| {
                let interval = interval(v, limits::LATENCY_LOG_INTERVAL_MIN)?;
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

pub(super) const LOG: Section = Section {
    name: "log",
    meaning: "What the engine says on standard error. FLIPPED_LB_LOG sets the level of every command.",
    keys: &[
        key(
            "level",
            "\"info\"",
            "off, error, warn, info, debug or trace: less urgent events are not written.",
            |c, v| set(&mut c.log.level, v.choice(&LogLevel::CHOICES)?),
        ),
        key(
            "format",
            "\"text\"",
            "text: a line for people; or json: an object a line, for programs.",
            |c, v| {
                let choices = [("text", LogFormat::Text), ("json", LogFormat::Json)];
                set(&mut c.log.format, v.choice(&choices)?)
            },
        ),
    ],
};
