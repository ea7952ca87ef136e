//! The journal's disk and what stands before it: the queue, and the pages that wait to be written.

use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::finding::Finding;
use super::fix::Fix;
use super::machine::{Context, Device, Machine};
use crate::config::show_size;

/// Dirty bytes at which the kernel begins to write: more come in bursts, and others wait for them.
const BACKGROUND_LEN_GOOD: u64 = 512 << 20;
const BACKGROUND_LEN: u64 = 64 << 20;
/// Dirty bytes at which a `write` waits for the disk: above what the journal writes in a second.
const LIMIT_LEN_MIN: u64 = 512 << 20;

/// The disk that a directory is on.
pub(super) fn device_of(folder: &Path) -> Option<Device> {
    let device = std::fs::metadata(folder).ok()?.dev();
    Some((rustix::fs::major(device), rustix::fs::minor(device)))
}

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    vec![queue(context), write_back(context)]
}

/// The folder of the device's queue; that of a partition is its disk's.
fn queue_folder(machine: &Machine, (major, minor): Device) -> Option<String> {
    let folder = format!("sys/dev/block/{major}:{minor}");
    let places = [format!("{folder}/queue"), format!("{folder}/../queue")];
    places.into_iter().find(|it| machine.exists(it))
}

fn queue(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "disk queue";
    let machine = &context.machine;
    let folder = context.device.and_then(|it| queue_folder(machine, it));
    let Some(folder) = folder else {
        return Finding::unknown(SUBJECT, "the queue of data_dir's disk (/sys/dev/block)");
    };
    let schedulers = machine
        .read(&format!("{folder}/scheduler"))
        .unwrap_or_default();
    let chosen = schedulers
        .split_once('[')
        .and_then(|it| Some(it.1.split_once(']')?.0));
    let Some(chosen) = chosen else {
        return Finding::unknown(SUBJECT, "the disk's I/O scheduler");
    };
    let turns = machine.number(&format!("{folder}/rotational")) == Some(1);
    let cache = machine.read(&format!("{folder}/write_cache"));
    let cache = cache.map_or_else(String::new, |it| format!(", cache {it}"));
    let kind = if turns {
        "a disk that turns"
    } else {
        "no disk that turns"
    };
    let found = format!("scheduler {chosen}{cache}, {kind}");
    let why = "bfq and kyber share the disk out among processes; the journal is one writer in \
               sequence, \
               and a sync waits behind what they hold back";
    let wanted = match (turns, chosen) {
        (true, "mq-deadline") | (false, "none" | "mq-deadline") => None,
        (true, _) => Some("mq-deadline"),
        (false, _) => Some("none"),
    };
    let is_there = |it: &&str| schedulers.split_whitespace().any(|name| name == *it);
    match wanted.filter(is_there) {
        None => Finding::good(SUBJECT, found).because(why),
        Some(wanted) => {
            let path = format!("{folder}/scheduler");
            let fix = Fix::value(&path, wanted, chosen);
            Finding::fair(SUBJECT, found, format!("scheduler {wanted}"))
                .because(why)
                .fixed_by([fix])
        }
    }
}

/// A threshold: its bytes where they are set, else its percentage of the memory that is free.
fn threshold(machine: &Machine, name: &str, available: u64) -> Option<u64> {
    match machine.number(&format!("proc/sys/vm/{name}_bytes"))? {
        0 => Some(
            machine
                .number(&format!("proc/sys/vm/{name}_ratio"))?
                .saturating_mul(available)
                / 100,
        ),
        bytes => Some(bytes),
    }
}

/// What undoes bytes: a ratio where that was set, since one clears the other.
fn set_bytes(machine: &Machine, name: &str, bytes: u64) -> Option<Fix> {
    let path = format!("proc/sys/vm/{name}_bytes");
    let (of, before) = match machine.number(&path)? {
        0 => {
            let ratio = format!("proc/sys/vm/{name}_ratio");
            let before = machine.number(&ratio)?;
            (ratio, before)
        }
        before => (path.clone(), before),
    };
    Some(Fix::Value {
        path,
        value: bytes.to_string(),
        undo: (of, before.to_string()),
    })
}

fn write_back(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "write-back";
    let machine = &context.machine;
    let available = machine
        .field("proc/meminfo", "MemAvailable")
        .and_then(|it| it.split_whitespace().next()?.parse::<u64>().ok());
    let thresholds = available.and_then(|kib| {
        let background = threshold(machine, "dirty_background", kib.saturating_mul(1024))?;
        let limit = threshold(machine, "dirty", kib.saturating_mul(1024))?;
        Some((background, limit))
    });
    let Some((background, limit)) = thresholds else {
        return Finding::unknown(SUBJECT, "vm.dirty_* or MemAvailable");
    };
    let found = format!(
        "begins at {} of dirty pages, writers wait at {}",
        rough(background),
        rough(limit)
    );
    let why = "what piles up is written in one burst, and the journal's next write or sync waits \
               for it; \
               where the second figure is small, each write may";
    let low = limit < LIMIT_LEN_MIN;
    if background <= BACKGROUND_LEN_GOOD && !low {
        return Finding::good(SUBJECT, found).because(why);
    }
    let fixes = [
        set_bytes(machine, "dirty_background", BACKGROUND_LEN),
        low.then(|| set_bytes(machine, "dirty", LIMIT_LEN_MIN))
            .flatten(),
    ];
    Finding::fair(
        SUBJECT,
        found,
        format!(
            "vm.dirty_background_bytes={BACKGROUND_LEN}, and vm.dirty_bytes above \
             {LIMIT_LEN_MIN}: the \
             kernel writes steadily instead"
        ),
    )
    .because(why)
    .fixed_by(fixes.into_iter().flatten())
}

fn rough(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => show_size(bytes),
        _ => format!("{} MiB", bytes >> 20),
    }
}
