//! The measuring time: the hiccup meter runs, and what the kernel counts is read before and after.
//!
//! On a machine where an engine uses the data directory the meter would take its cores: then the
//! kernel's counts are taken alone, unless `--seconds` asks for it.

use std::time::{Duration, Instant};

use serde_json::Value;

use super::finding::{Finding, Verdict};
use super::hiccups::{self, Hiccups};
use super::lasting;
use super::machine::Context;
use super::{interrupts, steal};
use crate::disk::Sizes;
use crate::engine::DirectoryLock;

/// How long it takes where nothing else is said.
const TIME: Duration = Duration::from_secs(3);
/// Cores that are measured at most.
const CORES_MAX: usize = 64;

/// What came of it.
pub(super) struct Measured {
    pub(super) findings: Vec<Finding>,
    pub(super) hiccups: Value,
}

/// Measures for `seconds`; 0: nothing is measured.
pub(super) fn measure(context: &Context<'_>, seconds: Option<u64>) -> Measured {
    let time = seconds.map_or(TIME, Duration::from_secs);
    let running = DirectoryLock::holder(&context.config.data_dir);
    let holder = running.filter(|_| seconds.is_none());
    let sizes = || match running {
        Some(_) => lasting::of_running(context.config),
        None => Sizes::now(context.config),
    };
    let sizes_before = sizes();
    let mut cores = context.agent_cores();
    cores.truncate(CORES_MAX);
    let read = |path| context.machine.read(path).unwrap_or_default();
    let texts = || [read("proc/interrupts"), read("proc/stat")];
    let (before, begun) = (texts(), Instant::now());
    let hiccups = match holder {
        None if !time.is_zero() => hiccups::measure(&cores, time),
        _ => {
            std::thread::sleep(time);
            Vec::new()
        }
    };
    let (after, took) = (texts(), begun.elapsed().as_secs_f64());
    let is_growing = running.is_some() && !time.is_zero();
    let later = is_growing.then(sizes).flatten().map(|it| (it, took));
    let lasts = lasting::assess(context.config, running, sizes_before, later);
    if time.is_zero() {
        return Measured {
            findings: vec![lasts],
            hiccups: Value::Array(Vec::new()),
        };
    }
    let mut findings = vec![
        lasts,
        interrupts::assess(context, &before[0], &after[0], took),
        steal::assess(&before[1], &after[1]),
    ];
    findings.extend(hiccup_findings(context, &hiccups, holder));
    Measured {
        findings,
        hiccups: hiccups.iter().map(Hiccups::json).collect(),
    }
}

fn hiccup_findings(
    context: &Context<'_>,
    hiccups: &[Hiccups],
    holder: Option<u32>,
) -> Vec<Finding> {
    const SUBJECT: &str = "hiccups";
    if let Some(process) = holder {
        let found = format!(
            "not measured: an engine (process {process}) uses the agents' cores, and the meter \
             would \
             take them from it; --seconds N measures all the same"
        );
        let good = Finding::good(SUBJECT, found);
        return vec![Finding {
            verdict: Verdict::Unknown,
            ..good
        }];
    }
    if hiccups.is_empty() {
        return vec![Finding::unknown(
            SUBJECT,
            "the stalls of cores that cannot be had",
        )];
    }
    let is_own = context.has_own_cores();
    hiccups.iter().map(|it| it.finding(is_own)).collect()
}
