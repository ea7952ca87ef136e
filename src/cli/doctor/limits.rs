//! How many files this process may open, against the connections that the settings let in.

use super::finding::Finding;
use super::machine::Patient;
use crate::config::Config;

const SUBJECT: &str = "open files";

/// Descriptors beside connections: journal segments and their readers, the store's files, pollers,
/// wake-ups of some threads, HTTP.
const OWN: u64 = 64;

pub(super) fn look(patient: &Patient<'_>) -> Vec<Finding> {
    vec![open_files(patient)]
}

fn open_files(patient: &Patient<'_>) -> Finding {
    let Some(limits) = patient.machine.read("proc/self/limits") else {
        return Finding::unknown(SUBJECT, "/proc/self/limits");
    };
    let Some(limit) = soft_limit(&limits) else {
        return Finding::unknown(SUBJECT, "\"Max open files\" in /proc/self/limits");
    };
    let needed = needed(patient.config);
    let found = format!(
        "{limit} allowed; sources, a subscriber and a standby for each destination, and the \
         engine's own take {needed}"
    );
    let advice = format!(
        "ulimit -n {0}, or LimitNOFILE={0} in its systemd unit",
        2 * needed.max(1024)
    );
    match limit {
        it if it < needed => Finding::bad(SUBJECT, found, advice),
        it if it < needed + needed / 4 => Finding::warn(SUBJECT, found, advice),
        _ => Finding::ok(SUBJECT, found),
    }
}

/// The soft one; an unlimited one is the largest number.
fn soft_limit(limits: &str) -> Option<u64> {
    let line = limits
        .lines()
        .find_map(|it| it.strip_prefix("Max open files"))?;
    match line.split_whitespace().next()? {
        "unlimited" => Some(u64::MAX),
        number => number.parse().ok(),
    }
}

/// Connections that are to be expected, and the engine's own files. Destinations that messages may
/// create are not expected, only possible.
fn needed(config: &Config) -> u64 {
    let subscribers = 2 * config.destinations.len();
    (config.sources.len() + subscribers) as u64 + OWN
}
