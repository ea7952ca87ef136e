//! What it costs to ask for the time, and how late timers may be.

use super::finding::Finding;
use super::fix::Fix;
use super::machine::Context;

/// Clocks that are read without a system call.
const QUICK: [&str; 5] = [
    "tsc",
    "kvm-clock",
    "arch_sys_counter",
    "hyperv_clocksource_tsc_page",
    "xen",
];

/// The kernel's default is 50 us; agents park for milliseconds.
const SLACK_NS_MAX: u64 = 1_000_000;

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    vec![source(context), slack(context)]
}

fn source(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "clock source";
    const FOLDER: &str = "sys/devices/system/clocksource/clocksource0";
    let Some(source) = context
        .machine
        .read(&format!("{FOLDER}/current_clocksource"))
        .filter(|it| !it.is_empty())
    else {
        return Finding::unknown(SUBJECT, "/sys/devices/system/clocksource");
    };
    if QUICK.contains(&source.as_str()) {
        return Finding::good(SUBJECT, source);
    }
    let available = context
        .machine
        .read(&format!("{FOLDER}/available_clocksource"));
    let available = available.unwrap_or_default();
    let quick = available.split_whitespace().find(|it| QUICK.contains(it));
    let advice = match quick {
        Some(quick) => format!("echo {quick} > /{FOLDER}/current_clocksource"),
        None => {
            "the kernel found no better one: see why it distrusts the tsc (dmesg | grep -i tsc)"
                .to_owned()
        }
    };
    let fix =
        quick.map(|quick| Fix::value(&format!("{FOLDER}/current_clocksource"), quick, &source));
    Finding::fair(SUBJECT, source, advice)
        .because(
            "each duty cycle asks for the time: by a system call, and not by a processor's \
                  register",
        )
        .fixed_by(fix)
}

fn slack(context: &Context<'_>) -> Finding {
    const SUBJECT: &str = "timer slack";
    let Some(slack_ns) = context.machine.number("proc/self/timerslack_ns") else {
        return Finding::unknown(SUBJECT, "/proc/self/timerslack_ns");
    };
    let found = format!("timers may be {} us late", slack_ns / 1_000);
    match slack_ns <= SLACK_NS_MAX {
        true => Finding::good(SUBJECT, found),
        false => Finding::fair(
            SUBJECT,
            found,
            "it is inherited: start the engine from a process with the default of 50 us \
             (TimerSlackNSec=50us \
             in the unit)",
        )
        .because("an agent that parked may wake up that much later"),
    }
}
