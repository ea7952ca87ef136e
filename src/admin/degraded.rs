//! What does not work as it should while frames are welcome nevertheless, by the counters and faults.
//!
//! `/readyz` asks at once; the monitor asks to know since when.

use crate::clock::utc;
use crate::counters::{Counter, Counters};
use crate::faults::{Fault, Part};
use crate::limits::{STORE_CORE_WAIT_PERCENT, STORE_LAG_DEGRADED_S};
use crate::plural::{counted, several};

/// What is short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    Store,
    StoreKeep,
    Names,
    Rejects,
    Retention,
    ListenersFailing,
    ListenersFull,
    Links,
}

/// One shortage, in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Shortage {
    pub(crate) kind: Kind,
    pub(crate) words: String,
}

/// What does not work as it should while frames are welcome nevertheless: a store that is behind
/// delays no delivery, and wrong lines that cannot be kept hold up their own sources; neither is a
/// reason to send frames elsewhere.
#[must_use]
pub(crate) fn degraded(counters: &Counters) -> Vec<Shortage> {
    let refused = counters.get(Counter::DestinationsFull);
    let words = || {
        let refused = counted(refused, "line or subscription", "lines and subscriptions");
        format!("there are max_destinations: {refused} for others refused")
    };
    let is_full = counters.get(Counter::DestinationsAtMax) != 0;
    let names = (refused > 0 && is_full).then(words);
    let parts = [
        (Kind::Store, store(counters)),
        (Kind::StoreKeep, store_keep(counters)),
        (Kind::Names, names),
        (Kind::Rejects, rejects(counters)),
        (Kind::Retention, retention(counters)),
        (
            Kind::ListenersFailing,
            listeners(counters, Counter::ListenersFailing),
        ),
        (
            Kind::ListenersFull,
            listeners(counters, Counter::ListenersFull),
        ),
        (Kind::Links, links(counters)),
    ];
    let shortages = parts.into_iter();
    shortages
        .filter_map(|(kind, words)| {
            Some(Shortage {
                kind,
                words: words?,
            })
        })
        .collect()
}

/// Why the store is behind, if it is.
fn store(counters: &Counters) -> Option<String> {
    let fault = |part| counters.faults().get(part);
    if let Some(fault) = fault(Part::StoreUnreached) {
        return Some(format!(
            "the store fails {}; it has not answered since the start, so how far it is behind is \
             not known",
            since(&fault)
        ));
    }
    let behind_s = counters.get(Counter::StoreLagSeconds);
    let messages = counters.get(Counter::StoreLagMessages);
    let is_failing = counters.get(Counter::StoreFailing) != 0;
    let what = match (is_failing, fault(Part::Store)) {
        (true, Some(fault)) => format!("fails {}", since(&fault)),
        (true, None) => "fails".to_owned(),
        (false, _) if behind_s >= STORE_LAG_DEGRADED_S => "is slow".to_owned(),
        (false, _) => return None,
    };
    let behind = behind(messages, behind_s);
    let hungry = no_core(counters).unwrap_or_default();
    Some(format!("the store {what}: {behind}{hungry}"))
}

/// That other programs keep the store from going on, if they do.
fn no_core(counters: &Counters) -> Option<String> {
    let percent = counters.get(Counter::StoreCoreWaitPercent);
    (percent >= STORE_CORE_WAIT_PERCENT).then(|| {
        format!(
            "; its thread waits {percent} % of the time for a core: it has the lowest priority, and \
             other threads of this machine take them all"
        )
    })
}

/// How far the store is behind: rows to write, or, where all are written, settlements.
fn behind(messages: u64, behind_s: u64) -> String {
    match (messages, behind_s) {
        (0, 0) => "it is not behind".to_owned(),
        (0, s) => format!("all rows are written, their statuses are {s} s behind"),
        (messages, s) => format!("{} and {s} s behind", several(messages, "message")),
    }
}

/// Why old rows stay, if they do.
fn store_keep(counters: &Counters) -> Option<String> {
    let fault = counters.faults().get(Part::StoreKeep)?;
    let since = since(&fault);
    Some(format!(
        "rows that are older than [store] keep cannot be removed {since}; they stay, and it is tried \
         again"
    ))
}

/// Why disk space does not come back, if it does not.
fn retention(counters: &Counters) -> Option<String> {
    let fault = counters.faults().get(Part::Retention)?;
    let since = since(&fault);
    Some(format!(
        "old journal files cannot be rewritten, renamed or removed {since}; they stay, and it is \
         tried again"
    ))
}

/// Which sources and destinations at NATS do not work, if any.
fn links(counters: &Counters) -> Option<String> {
    let links = counters.faults().all_links().into_iter();
    let failing = links.filter_map(|link| {
        let fault = link.fault?;
        Some(format!("{} waits {}", link.name, since(&fault)))
    });
    let words: Vec<_> = failing.collect();
    (!words.is_empty()).then(|| words.join("; "))
}

/// `since 2026-01-31T07:00:00Z (why)`.
fn since(fault: &Fault) -> String {
    format!("since {} ({})", utc(fault.since_us), fault.reason)
}

/// Listeners that refuse all connections.
fn listeners(counters: &Counters, counter: Counter) -> Option<String> {
    let what = match counter {
        Counter::ListenersFull => "at max_connections: further connections are refused",
        _ => "cannot accept: no descriptor or no memory is left",
    };
    let count = counters.get(counter);
    (count > 0).then(|| format!("{} {what}", several(count, "listener")))
}

/// Why wrong lines cannot be kept, if they cannot.
fn rejects(counters: &Counters) -> Option<String> {
    let is = |counter| counters.get(counter) != 0;
    let (full, failing) = (is(Counter::RejectedFull), is(Counter::RejectedFailing));
    let why = match (full, failing) {
        (false, false) => return None,
        (true, _) => {
            "has reached rejected_max_total, or the room on its disk that is left to the journal and \
             the store: move files away"
        }
        _ => "cannot be written: look at its disk",
    };
    let held = counters.get(Counter::RejectedHeld);
    let held = counted(held, "source waits at its", "sources wait at their");
    Some(format!("rejected.ndjson {why}; {held} next wrong line"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(counters: &Counters) -> Vec<String> {
        let shortages = degraded(counters).into_iter();
        shortages.map(|shortage| shortage.words).collect()
    }

    #[test]
    fn a_store_that_fails_or_lags_degrades_and_so_does_a_full_directory() {
        let counters = Counters::default();
        counters.set(Counter::StoreLagSeconds, STORE_LAG_DEGRADED_S - 1);
        assert!(words(&counters).is_empty());
        counters.set(Counter::StoreLagSeconds, STORE_LAG_DEGRADED_S);
        counters.set(Counter::StoreLagMessages, 7);
        let slow = format!("the store is slow: 7 messages and {STORE_LAG_DEGRADED_S} s behind");
        assert_eq!(words(&counters), [&*slow]);
        counters.set(Counter::StoreCoreWaitPercent, STORE_CORE_WAIT_PERCENT);
        let hungry = format!("{slow}; its thread waits {STORE_CORE_WAIT_PERCENT} % of the time");
        assert!(words(&counters)[0].starts_with(&hungry));
        counters.set(Counter::StoreCoreWaitPercent, STORE_CORE_WAIT_PERCENT - 1);
        assert_eq!(words(&counters), [slow]);
        counters.set(Counter::StoreLagMessages, 0);
        let slow = "the store is slow: all rows are written, their statuses are";
        assert_eq!(
            words(&counters),
            [format!("{slow} {STORE_LAG_DEGRADED_S} s behind")]
        );
        counters.set(Counter::StoreLagMessages, 7);
        counters.set(Counter::StoreLagSeconds, 0);
        counters.set(Counter::StoreFailing, 1);
        assert_eq!(
            words(&counters),
            ["the store fails: 7 messages and 0 s behind"]
        );
        counters.set(Counter::StoreFailing, 0);
        counters.set(Counter::DestinationsFull, 3);
        assert!(degraded(&counters).is_empty(), "there is room again");
        counters.set(Counter::DestinationsAtMax, 1);
        assert!(words(&counters)[0].contains("max_destinations"));
    }

    #[test]
    fn a_fault_says_since_when_and_why() {
        let counters = Counters::default();
        let at_us = 1_700_000_000_000_000;
        counters.set(Counter::StoreFailing, 1);
        let faults = counters.faults();
        faults.set(Part::StoreUnreached, at_us, "no answer");
        let told = words(&counters);
        let expected = "the store fails since 2023-11-14T22:13:20Z (no answer); it has not answered \
                        since the start, so how far it is behind is not known";
        assert_eq!(told, [expected]);
        faults.clear(Part::StoreUnreached);
        faults.set(Part::Store, at_us, "it is full");
        counters.set(Counter::StoreLagMessages, 7);
        let expected = "the store fails since 2023-11-14T22:13:20Z (it is full): 7 messages and 0 s \
                        behind";
        assert_eq!(words(&counters), [expected]);
        counters.set(Counter::StoreFailing, 0);
        faults.clear(Part::Store);
        faults.set(Part::StoreKeep, at_us, "no DELETE");
        let words_now = words(&counters);
        assert!(words_now[0].contains("[store] keep") && words_now[0].contains("no DELETE"));
        faults.clear(Part::StoreKeep);
        faults.set(Part::Retention, at_us, "read-only");
        let told = words(&counters);
        assert!(told[0].contains("removed since 2023-11-14T22:13:20Z (read-only)"));
        faults.clear(Part::Retention);
        assert!(words(&counters).is_empty());
    }

    #[test]
    fn a_link_that_fails_degrades_and_one_that_works_does_not() {
        let counters = Counters::default();
        let faults = counters.faults();
        faults.set_link(
            "destination a at nats://h:4222",
            1_700_000_000_000_000,
            Some("no stream"),
        );
        faults.set_link("source b", 5, None);
        let expected =
            "destination a at nats://h:4222 waits since 2023-11-14T22:13:20Z (no stream)";
        assert_eq!(words(&counters), [expected]);
        faults.set_link("destination a at nats://h:4222", 6, None);
        assert!(words(&counters).is_empty());
    }

    #[test]
    fn listeners_that_let_nobody_in_degrade_while_they_do() {
        let counters = Counters::default();
        counters.add(Counter::ListenersFull, 1);
        counters.add(Counter::ListenersFailing, 2);
        let told = words(&counters);
        assert!(told[0].starts_with("2 listeners cannot accept"), "{told:?}");
        assert!(told[1].starts_with("1 listener at max_connections"));
        counters.subtract(Counter::ListenersFull, 1);
        counters.subtract(Counter::ListenersFailing, 2);
        assert!(words(&counters).is_empty());
    }

    #[test]
    fn rejected_lines_that_cannot_be_kept_degrade() {
        let counters = Counters::default();
        counters.set(Counter::RejectedHeld, 2);
        for (counter, word) in [
            (Counter::RejectedFull, "rejected_max_total"),
            (Counter::RejectedFailing, "cannot be written"),
        ] {
            counters.set(counter, 1);
            let told = words(&counters);
            assert!(told[0].contains(word) && told[0].contains("2 sources"));
            counters.set(counter, 0);
        }
        assert!(words(&counters).is_empty());
    }
}
