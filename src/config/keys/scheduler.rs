//! The keys of `[scheduler]` and `[dedup]`.

use std::time::Duration;

use crate::config::WhenFull;
use crate::config::key::{Section, key, set};
use crate::limits;

const MILLI: Duration = Duration::from_millis(1);

pub(super) const SCHEDULER: Section = Section {
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
            "What happens to a message for a destination with max_queued messages. wait: its \
             source is not read until there is room; reject: it is rejected as queue_full.",
            |c, v| {
                let choices = [("wait", WhenFull::Wait), ("reject", WhenFull::Reject)];
                set(&mut c.scheduler.when_full, v.choice(&choices)?)
            },
        ),
    ],
};

pub(super) const DEDUP: Section = Section {
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
