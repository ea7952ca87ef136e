//! Network cards: where their interrupts go, how many queues they have, what they wait for.

use super::finding::Finding;
use super::fix::Fix;
use super::machine::{Context, Machine};
use crate::config::IdleKind;

/// A card that waits longer before it interrupts is late by that much.
const COALESCING_GOOD_US: u64 = 20;
const BUSY_POLL: &str = "proc/sys/net/core/busy_poll";

pub(super) fn findings(context: &Context<'_>) -> Vec<Finding> {
    let cards = cards(&context.machine);
    if cards.is_empty() {
        let card = match context.machine.exists("sys/class/net") {
            true => Finding::good("network card", "none is seen; loopback has no queues"),
            false => Finding::unknown("network card", "/sys/class/net"),
        };
        return vec![card, busy_polling(context, false)];
    }
    let mut findings: Vec<Finding> = Vec::new();
    for card in &cards {
        findings.push(queues(context, card));
        findings.push(coalescing(context, card));
    }
    findings.push(busy_polling(context, true));
    findings
}

/// Interfaces with a device behind them, that are up.
fn cards(machine: &Machine) -> Vec<String> {
    let mut names = machine.names("sys/class/net");
    names.retain(|name| {
        let folder = format!("sys/class/net/{name}");
        let is_up = machine.read(&format!("{folder}/operstate"));
        machine.exists(&format!("{folder}/device")) && is_up.as_deref() != Some("down")
    });
    names
}

fn queues(context: &Context<'_>, card: &str) -> Finding {
    const SUBJECT: &str = "network card";
    let machine = &context.machine;
    let names = machine.names(&format!("sys/class/net/{card}/queues"));
    let queues = names.iter().filter(|it| it.starts_with("rx-")).count();
    let node = machine.read(&format!("sys/class/net/{card}/device/numa_node"));
    let node = node
        .and_then(|it| it.parse::<i32>().ok())
        .filter(|it| *it >= 0);
    let on = node.map_or_else(String::new, |it| format!(", node {it}"));
    let found = format!("{card}: receive queues {queues}{on}");
    if let Some(node) = node
        && context.has_own_cores()
    {
        let path = format!("sys/devices/system/node/node{node}/cpulist");
        let near = machine.cores(&path).unwrap_or_default();
        let far = context
            .agent_cores()
            .iter()
            .any(|core| !near.contains(core));
        if far && !near.is_empty() {
            return Finding::fair(
                SUBJECT,
                format!("{found}; agents are on another node"),
                "give the agents cores of the card's node",
            )
            .because("each packet crosses between the sockets, some 100 ns for each cache line");
        }
    }
    let rest = context.other_cores().len();
    if context.has_own_cores() && rest > 0 && queues > rest {
        let command = format!("ethtool -L {card} combined {rest}");
        return Finding::fair(
            SUBJECT,
            format!("{found}; cores that no agent has: {rest}"),
            format!(
                "{command}: a queue for each core that serves interrupts, and none on an agent's"
            ),
        )
        .because("queues beyond the other cores interrupt the agents'")
        .fixed_by([Fix::by_hand(command)]);
    }
    Finding::good(SUBJECT, found)
}

/// What `ethtool -c` says of a key: `rx-usecs: 3`.
fn value_of(text: &str, key: &str) -> Option<String> {
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix(key)?.strip_prefix(':'));
    value.map(|it| it.trim().to_owned())
}

fn coalescing(context: &Context<'_>, card: &str) -> Finding {
    const SUBJECT: &str = "coalescing";
    let Some(text) = context.machine.output(&["ethtool", "-c", card]) else {
        return Finding::unknown(
            SUBJECT,
            &format!("`ethtool -c {card}` (not installed, or the card has none)"),
        );
    };
    let wait_us = value_of(&text, "rx-usecs").and_then(|it| it.parse::<u64>().ok());
    let adaptive = text.lines().find(|it| it.starts_with("Adaptive RX:"));
    let is_adaptive = adaptive.is_some_and(|it| it.contains("RX: on"));
    let why = "the card holds packets back to interrupt less often: latency for CPU";
    match wait_us {
        None => Finding::unknown(SUBJECT, &format!("rx-usecs of {card}")),
        Some(us) if us <= COALESCING_GOOD_US && !is_adaptive => {
            Finding::good(SUBJECT, format!("{card}: {us} us at most")).because(why)
        }
        Some(us) => {
            let word = if is_adaptive { ", adaptive" } else { "" };
            let command = format!("ethtool -C {card} adaptive-rx off rx-usecs 8");
            Finding::fair(SUBJECT, format!("{card}: {us} us{word}"), command.clone())
                .because(why)
                .fixed_by([Fix::by_hand(command)])
        }
    }
}

/// A thread that spins may fetch packets from the card by itself.
fn busy_polling(context: &Context<'_>, has_card: bool) -> Finding {
    const SUBJECT: &str = "busy polling";
    let Some(us) = context.machine.number(BUSY_POLL) else {
        return Finding::unknown(SUBJECT, "/proc/sys/net/core/busy_poll");
    };
    let why = "a thread that spins then takes packets from the card's queue itself, without the \
               interrupt \
               and the wake-up behind it; it does nothing on loopback";
    let spins = context.config.threads.idle == IdleKind::Spin && context.has_own_cores();
    match us {
        0 if spins && has_card => Finding::fair(
            SUBJECT,
            "off (net.core.busy_poll 0)",
            "try net.core.busy_poll=50, and compare the histograms: not every driver gains",
        )
        .because(why)
        .fixed_by([Fix::by_hand("sysctl -w net.core.busy_poll=50")]),
        0 => Finding::good(SUBJECT, "off; only threads that spin would gain by it").because(why),
        us => Finding::good(SUBJECT, format!("net.core.busy_poll {us} us")).because(why),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ethtool_says_how_long_a_card_waits() {
        let text = "Coalesce parameters for eth0:\nAdaptive RX: off  TX: \
                    off\nrx-usecs:\t50\nrx-usecs-irq: n/a\n";
        assert_eq!(value_of(text, "rx-usecs").as_deref(), Some("50"));
        assert_eq!(value_of(text, "rx-usecs-irq").as_deref(), Some("n/a"));
        assert_eq!(value_of(text, "tx-usecs"), None);
    }
}
