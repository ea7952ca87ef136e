//! Alarms: what is wrong now and since when, by what the monitor tracks. Each is logged when it begins
//! and when it is over; `/readyz` lists them as `degraded`.
//!
//! The monitor feeds it once a second. It decides nothing: sources wait and customers are cut elsewhere.

use tracing::{info, warn};

use super::degraded::{Kind, Shortage};
use super::destinations::time;
use crate::clock::Now;
use crate::config::WhenFull;
use crate::counters::{Counter, Counters};
use crate::destinations::Tracked;
use crate::escape::Escaped;
use crate::latency::Names;
use crate::limits::{
    ALARM_AFTER_US, ALARM_GROWTH_US, DESTINATIONS_NAMED_MAX, STANDS_STILL_AFTER_US,
};
use crate::log_limit::LogLimit;
use crate::message::DestinationIndex;
use crate::message::when_full::WhenFullOf;
use crate::plural::counted;

/// Counters that should not grow.
const LOSSES: [Counter; 7] = [
    Counter::LogLinesLost,
    Counter::LatencyLogLost,
    Counter::RejectedDropped,
    Counter::ReplayFailures,
    Counter::StoreUnstored,
    Counter::StoreUnsettled,
    Counter::ClockSteps,
];

/// What is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    Shortage(Kind),
    /// Sources wait for a destination with max_queued messages.
    Held,
    /// No configured source is connected.
    NoSource,
    /// A destination's subscriber does not read, or does not acknowledge.
    StandsStill(DestinationIndex),
    Grows(Counter),
}

/// One alarm.
#[derive(Debug, Clone)]
struct Alarm {
    cause: Cause,
    since_us: u64,
    words: String,
}

/// A counter that should not grow.
#[derive(Debug, Clone, Copy)]
struct Growth {
    counter: Counter,
    value: u64,
    /// When it grew last, and began to, in us since the epoch.
    at_us: Option<u64>,
}

/// The alarms of one engine.
#[derive(Debug)]
pub(crate) struct Alarms {
    /// How many sources the settings name.
    configured_sources: usize,
    /// `None`: sources wait for any destination that is full.
    when_full: Option<WhenFullOf>,
    /// Since when none of them has been connected.
    no_source_since_us: Option<u64>,
    active: Vec<Alarm>,
    growths: [Growth; LOSSES.len()],
    log: LogLimit,
}

impl Alarms {
    /// None yet.
    pub(crate) fn new(configured_sources: usize) -> Self {
        Self {
            configured_sources,
            when_full: None,
            no_source_since_us: None,
            active: Vec::new(),
            growths: LOSSES.map(|counter| Growth {
                counter,
                value: 0,
                at_us: None,
            }),
            log: LogLimit::default(),
        }
    }

    /// The settings name so many sources now, and say for whom they wait.
    pub(crate) fn configure(&mut self, sources: usize, when_full: WhenFullOf) {
        (self.configured_sources, self.when_full) = (sources, Some(when_full));
    }

    /// How many sources the settings name.
    pub(super) fn configured_sources(&self) -> usize {
        self.configured_sources
    }

    /// Looks at everything again.
    pub(crate) fn update(
        &mut self,
        counters: &Counters,
        shortages: Vec<Shortage>,
        destinations: &[Tracked],
        names: &dyn Names,
        now: Now,
    ) {
        let shortages = shortages.into_iter();
        let mut found: Vec<Alarm> = shortages
            .map(|it| alarm(Cause::Shortage(it.kind), now, it.words))
            .collect();
        found.extend(self.no_source(counters, now));
        found.extend(self.held(counters, destinations, names, now));
        found.extend(stand_still(destinations, names, now));
        for growth in &mut self.growths {
            found.extend(growth.look(counters, now));
        }
        self.replace(found, now);
    }

    /// What is wrong, in words with its beginning, but for shortages: these are asked for at once.
    pub(crate) fn words(&self) -> Vec<String> {
        let all = self.active.iter();
        let others = all.filter(|it| !matches!(it.cause, Cause::Shortage(_)));
        others.map(Alarm::words).collect()
    }

    /// Since when there has been a shortage, in us since the epoch.
    pub(crate) fn since_us(&self, kind: Kind) -> Option<u64> {
        let mut all = self.active.iter();
        let found = all.find(|it| it.cause == Cause::Shortage(kind));
        found.map(|it| it.since_us)
    }

    /// Told after a while: sources come and go.
    fn no_source(&mut self, counters: &Counters, now: Now) -> Option<Alarm> {
        if self.configured_sources == 0 || counters.get(Counter::SourcesConnected) > 0 {
            self.no_source_since_us = None;
            return None;
        }
        let since_us = *self.no_source_since_us.get_or_insert(now.epoch_us);
        let count = self.configured_sources;
        let is_long = now.epoch_us.saturating_sub(since_us) >= ALARM_AFTER_US;
        is_long.then(|| Alarm {
            cause: Cause::NoSource,
            since_us,
            words: format!("none of the {count} configured sources is connected"),
        })
    }

    /// Sources that wait, and for whom. Nobody waits for a destination that rejects.
    fn held(
        &self,
        counters: &Counters,
        destinations: &[Tracked],
        names: &dyn Names,
        now: Now,
    ) -> Option<Alarm> {
        let count = counters.get(Counter::SourcesHeld);
        if count == 0 {
            return None;
        }
        let when_full = self.when_full.as_ref();
        let waits = |index| when_full.is_none_or(|it| it.of(index) == WhenFull::Wait);
        let full = (0..).zip(destinations);
        let full = full.filter(|(index, it)| it.state.is_full() && waits(*index));
        let full: Vec<_> = full
            .map(|(index, it)| {
                let (queued, max) = (it.state.queued(), it.state.queued_max);
                let id = Escaped(names.destination(index));
                format!("{id} ({queued} of max_queued {max})")
            })
            .collect();
        let whom = match full.len() {
            0 => "a destination with max_queued messages".to_owned(),
            _ => some_of(&full),
        };
        let sources = counted(count, "source waits", "sources wait");
        Some(alarm(Cause::Held, now, format!("{sources} for {whom}")))
    }

    fn replace(&mut self, mut found: Vec<Alarm>, now: Now) {
        for alarm in &mut found {
            let mut before = self.active.iter();
            match before.find(|it| it.cause == alarm.cause) {
                Some(before) => alarm.since_us = before.since_us,
                None => {
                    if let Some(left_out) = self.log.admit(now) {
                        warn!("{}{left_out}", alarm.words);
                    }
                }
            }
        }
        for over in &self.active {
            let is_over = !found.iter().any(|it| it.cause == over.cause);
            if is_over && let Some(left_out) = self.log.admit(now) {
                info!("over: {}{left_out}", over.words());
            }
        }
        if let Some(more) = self.log.overdue(now) {
            warn!(count = more.count, "more alarms have begun or ended");
        }
        self.active = found;
    }
}

impl Alarm {
    fn words(&self) -> String {
        format!("{}, since {}", self.words, time(self.since_us))
    }
}

impl Growth {
    fn look(&mut self, counters: &Counters, now: Now) -> Option<Alarm> {
        let value = counters.get(self.counter);
        if value > self.value {
            (self.value, self.at_us) = (value, Some(now.epoch_us));
        }
        let at_us = self.at_us?;
        if now.epoch_us.saturating_sub(at_us) >= ALARM_GROWTH_US {
            self.at_us = None;
            return None;
        }
        let (label, meaning) = (self.counter.label(), self.counter.meaning());
        let words = format!("{label} is {value}, and grew within the last minute: {meaning}");
        Some(alarm(
            Cause::Grows(self.counter),
            now,
            words.trim_end_matches('.').to_owned(),
        ))
    }
}

fn alarm(cause: Cause, now: Now, words: String) -> Alarm {
    Alarm {
        cause,
        since_us: now.epoch_us,
        words,
    }
}

/// Destinations whose subscribers do not read, or do not acknowledge.
fn stand_still(destinations: &[Tracked], names: &dyn Names, now: Now) -> Vec<Alarm> {
    let is_long =
        |it: &Tracked| now.epoch_us.saturating_sub(it.waits_since_us) >= STANDS_STILL_AFTER_US;
    let mut alarms: Vec<_> = (0..)
        .zip(destinations)
        .filter_map(|(index, it)| {
            let reason = it.waits_for.filter(|reason| reason.is_the_subscribers())?;
            let state = &it.state;
            let words = || {
                let mut words = format!(
                    "{}: {}, while {} and {} in flight",
                    Escaped(names.destination(index)),
                    reason.words(),
                    counted(state.queued(), "message waits", "messages wait"),
                    counted(state.in_flight, "is", "are")
                );
                if let Some(peer) = state.subscriber.and_then(|it| it.peer) {
                    words.push_str(&format!(", subscriber {peer}"));
                }
                words
            };
            is_long(it).then(|| Alarm {
                cause: Cause::StandsStill(index),
                since_us: it.waits_since_us,
                words: words(),
            })
        })
        .take(DESTINATIONS_NAMED_MAX + 1)
        .collect();
    if alarms.len() > DESTINATIONS_NAMED_MAX
        && let Some(last) = alarms.last_mut()
    {
        last.words = "more destinations stand still: /destinations lists them".to_owned();
    }
    alarms
}

/// The first few, and how many more.
fn some_of(all: &[String]) -> String {
    let shown = &all[..all.len().min(DESTINATIONS_NAMED_MAX)];
    match all.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Restaurant;
    use super::*;
    use crate::config::Config;
    use crate::destinations::{DestinationState, SubscriberState, WaitsFor};

    const START_US: u64 = 1_700_000_000_000_000;

    fn at(second: u64) -> Now {
        Now {
            ns: second * 1_000_000_000,
            steady_us: second * 1_000_000,
            epoch_us: START_US + second * 1_000_000,
        }
    }

    fn look(alarms: &mut Alarms, counters: &Counters, all: &[Tracked], second: u64) -> Vec<String> {
        alarms.update(counters, Vec::new(), all, &Restaurant, at(second));
        alarms.words()
    }

    fn full() -> Tracked {
        let mut state = DestinationState {
            queued_max: 2_000,
            ..DestinationState::default()
        };
        state.queued[2] = 2_000;
        Tracked {
            state,
            ..Tracked::default()
        }
    }

    #[test]
    fn sources_that_wait_are_told_with_the_destination_and_since_when() {
        let (mut alarms, counters) = (Alarms::new(0), Counters::default());
        let destinations = [Tracked::default(), full()];
        counters.set(Counter::SourcesHeld, 4);
        let expected =
            "4 sources wait for table2 (2000 of max_queued 2000), since 2023-11-14T22:13:21Z";
        for second in 1..4 {
            let told = look(&mut alarms, &counters, &destinations, second);
            assert_eq!(told, [expected]);
        }
        counters.set(Counter::SourcesHeld, 0);
        assert!(look(&mut alarms, &counters, &destinations, 4).is_empty());
    }

    #[test]
    fn nobody_waits_for_a_destination_that_rejects() {
        let (mut alarms, counters) = (Alarms::new(4), Counters::default());
        let mut config = Config::default();
        config.destinations[1].when_full = Some(WhenFull::Reject);
        alarms.configure(4, WhenFullOf::new(&config));
        counters.set(Counter::SourcesConnected, 4);
        counters.set(Counter::SourcesHeld, 1);
        let told = look(&mut alarms, &counters, &[full(), full()], 1);
        let expected =
            "1 source waits for table1 (2000 of max_queued 2000), since 2023-11-14T22:13:21Z";
        assert_eq!(told, [expected]);
    }

    #[test]
    fn configured_sources_that_are_all_gone_are_told() {
        let (mut alarms, counters) = (Alarms::new(3), Counters::default());
        assert!(look(&mut alarms, &counters, &[], 1).is_empty(), "too soon");
        let told = look(&mut alarms, &counters, &[], 6);
        assert_eq!(
            told,
            ["none of the 3 configured sources is connected, since 2023-11-14T22:13:21Z"]
        );
        counters.set(Counter::SourcesConnected, 1);
        assert!(look(&mut alarms, &counters, &[], 7).is_empty());
        let mut none = Alarms::new(0);
        counters.set(Counter::SourcesConnected, 0);
        for second in [1, 9] {
            assert!(look(&mut none, &counters, &[], second).is_empty());
        }
    }

    #[test]
    fn a_subscriber_that_stopped_is_told_by_its_destination_after_a_while() {
        let (mut alarms, counters) = (Alarms::new(0), Counters::default());
        let mut it = full();
        it.state.in_flight = 3;
        it.state.subscriber = Some(SubscriberState {
            peer: Some(([10, 0, 0, 7], 4312).into()),
            ..SubscriberState::default()
        });
        (it.waits_for, it.waits_since_us) = (Some(WaitsFor::Reading), START_US);
        assert!(
            look(&mut alarms, &counters, &[it], 1).is_empty(),
            "too soon"
        );
        let told = look(&mut alarms, &counters, &[it], 9);
        assert_eq!(
            told,
            [
                "table1: its subscriber does not read, while 2000 messages wait and 3 are in flight, \
              subscriber 10.0.0.7:4312, since 2023-11-14T22:13:20Z"
            ]
        );
        it.waits_for = Some(WaitsFor::Acknowledgement);
        let told = look(&mut alarms, &counters, &[it], 10);
        assert!(
            told[0].starts_with("table1: its subscriber does not acknowledge,"),
            "{told:?}"
        );
        assert!(told[0].ends_with("since 2023-11-14T22:13:20Z"), "{told:?}");
        it.waits_for = Some(WaitsFor::Reading);
        let many = [it; DESTINATIONS_NAMED_MAX + 7];
        let told = look(&mut alarms, &counters, &many, 10);
        assert_eq!(told.len(), DESTINATIONS_NAMED_MAX + 1);
        assert!(told[DESTINATIONS_NAMED_MAX].starts_with("more destinations"));
    }

    #[test]
    fn a_counter_that_should_not_grow_is_told_for_a_minute() {
        let (mut alarms, counters) = (Alarms::new(0), Counters::default());
        counters.set(Counter::LogLinesLost, 2);
        let told = look(&mut alarms, &counters, &[], 5);
        assert!(told[0].starts_with("log_lines_lost is 2"), "{told:?}");
        assert!(told[0].ends_with("since 2023-11-14T22:13:25Z"), "{told:?}");
        assert_eq!(look(&mut alarms, &counters, &[], 64).len(), 1);
        assert!(look(&mut alarms, &counters, &[], 65).is_empty());
    }

    #[test]
    fn a_shortage_has_a_beginning() {
        let (mut alarms, counters) = (Alarms::new(0), Counters::default());
        for second in [3, 4] {
            let shortage = Shortage {
                kind: Kind::Rejects,
                words: "full".to_owned(),
            };
            alarms.update(&counters, vec![shortage], &[], &Restaurant, at(second));
        }
        assert_eq!(alarms.since_us(Kind::Rejects), Some(at(3).epoch_us));
        assert_eq!(alarms.since_us(Kind::Store), None);
        assert!(alarms.words().is_empty(), "it is asked for at once");
    }
}
