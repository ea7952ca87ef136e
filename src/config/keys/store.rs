//! The keys of `[store]`.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::StoreUrl;
use crate::config::key::{Section, key, set};
use crate::config::server::Server;
use crate::limits;

const MICRO: Duration = Duration::from_micros(1);
/// The word for a row that is never removed.
const FOREVER: &str = "forever";

pub(super) const STORE: Section = Section {
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
            "keep",
            "\"forever\"",
            "How long a row stays after it was settled, as in \"30d\" (s, m, h or d); then it is \
             removed, in small pieces, while the store keeps up. Rows that are not settled stay. \
             forever: nothing is removed, and the database grows.",
            |c, v| {
                let keep = match v.is_word(FOREVER) {
                    true => None,
                    false => Some(v.duration(limits::STORE_KEEP_MIN, limits::STORE_KEEP_MAX)?),
                };
                set(&mut c.store.keep, keep)
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
