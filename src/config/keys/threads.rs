//! The keys of `[threads]`.

use crate::config::key::{Section, key, set};
use crate::config::{IdleKind, ThreadingMode};
use crate::limits;

const CORE_EXAMPLE: &str = "\"none\"";

pub(super) const THREADS: Section = Section {
    name: "threads",
    meaning: "Which threads there are and where they run.",
    keys: &[
        key(
            "mode",
            "\"auto\"",
            "dedicated: a pinned thread an agent; shared: ingest, scheduler, journal and delivery \
             on one thread, with durability synced the journal on its own; auto: one of the two, \
             by the cores that the process may use.",
            |c, v| set(&mut c.threads.mode, v.choice(&MODES)?),
        ),
        key(
            "idle",
            "\"backoff\"",
            "What a thread without work does: backoff (spins, yields, then sleeps until it is \
             woken), yield (gives the core away each time), spin (never leaves the core: only agents of \
             the path, each on a core of its own; one core must be left).",
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
