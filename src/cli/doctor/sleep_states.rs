//! How long a core that slept takes to wake up.

use super::finding::Finding;
use super::fix::Fix;
use super::machine::{Context, Machine};
use crate::config::IdleKind;

const SUBJECT: &str = "sleep states";
/// A wake-up by the kernel takes some 5 us by itself.
const LATENCY_GOOD_US: u64 = 10;
/// What the kernel's own default is, in ns.
const GUEST_POLL_NS: &str = "200000";

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    let mut findings = vec![sleep_states(context)];
    if super::host::is_virtual(&context.machine) == Some(true) {
        findings.push(guest_polling(context));
    }
    findings
}

/// A state that is switched on: its folder, name and exit latency in us.
fn states(machine: &Machine, core: usize) -> Vec<(String, String, u64)> {
    let folder = format!("sys/devices/system/cpu/cpu{core}/cpuidle");
    let names = machine.names(&folder).into_iter();
    let state = |name: String| {
        let folder = format!("{folder}/{name}");
        let latency_us = machine.number(&format!("{folder}/latency"))?;
        let is_off = machine.number(&format!("{folder}/disable"))? != 0;
        let name = machine.read(&format!("{folder}/name"))?;
        (!is_off).then_some((folder, name, latency_us))
    };
    names.filter_map(state).collect()
}

fn sleep_states(context: &Context<'_>) -> Finding {
    let cores = context.agent_cores();
    let machine = &context.machine;
    let all: Vec<_> = cores
        .iter()
        .flat_map(|&core| states(machine, core))
        .collect();
    let Some((_, name, latency_us)) = all.iter().max_by_key(|it| it.2) else {
        return Finding::unknown(SUBJECT, "cpuidle (the firmware or a host decides)");
    };
    let found = format!("the deepest is {name}, {latency_us} us to wake up");
    let why = "an agent that parked is late by as much when the next message comes";
    if *latency_us <= LATENCY_GOOD_US {
        return Finding::good(SUBJECT, found).because(why);
    }
    if context.config.threads.idle == IdleKind::Spin && context.has_own_cores() {
        return Finding::good(SUBJECT, format!("{found}; threads that spin never sleep"))
            .because(why);
    }
    let deep = all.iter().filter(|it| it.2 > LATENCY_GOOD_US);
    let fixes = deep.map(|(folder, ..)| Fix::value(&format!("{folder}/disable"), "1", "0"));
    Finding::fair(
        SUBJECT,
        found,
        "switch the deep ones off on the agents' cores (the package gets warmer, and its boost \
         less), \
         or set [threads] idle = \"spin\"",
    )
    .because(why)
    .fixed_by(fixes)
}

/// A guest that halts leaves its core to the host; one that polls a while does not have to come
/// back.
fn guest_polling(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "guest polling";
    const PATH: &str = "sys/module/haltpoll/parameters/guest_halt_poll_ns";
    let machine = &context.machine;
    let governor = machine.read("sys/devices/system/cpu/cpuidle/current_governor_ro");
    let governor =
        governor.or_else(|| machine.read("sys/devices/system/cpu/cpuidle/current_governor"));
    let driver = machine.read("sys/devices/system/cpu/cpuidle/current_driver");
    let why = "a guest that halts must be woken by its host: some 20 to 50 us more for each \
               message after \
               a pause; polling costs the host that time";
    if context.config.threads.idle == IdleKind::Spin {
        return Finding::good(SUBJECT, "not needed: threads that spin never halt").because(why);
    }
    if driver.as_deref() != Some("haltpoll") || governor.as_deref() != Some("haltpoll") {
        let driver = driver.unwrap_or_else(|| "none".to_owned());
        let found = format!("none: the guest halts at once (cpuidle driver: {driver})");
        let fix = Fix::by_hand("modprobe cpuidle_haltpoll force=1");
        let advice = "load cpuidle-haltpoll, where the host gives the guest cores of its own";
        return Finding::fair(SUBJECT, found, advice)
            .because(why)
            .fixed_by([fix]);
    }
    match machine.number(PATH) {
        None => Finding::unknown(SUBJECT, "guest_halt_poll_ns of the haltpoll governor"),
        Some(0) => Finding::fair(
            SUBJECT,
            "haltpoll is there and polls for 0 ns: the guest halts at once",
            format!("poll for {GUEST_POLL_NS} ns, as the kernel does by default"),
        )
        .because(why)
        .fixed_by([Fix::value(PATH, GUEST_POLL_NS, "0")]),
        Some(ns) => {
            let found = format!("haltpoll polls for up to {} us before it halts", ns / 1_000);
            Finding::good(SUBJECT, found).because(why)
        }
    }
}
