//! What the settings mean for messages: where they come from, whom they are for, which goes first.

use std::time::Duration;

use super::listed;
use crate::config::nats::subject_of;
use crate::config::{
    Config, Destination, LineParser, Rule, Source, WhenFull, show_duration, show_hours, show_size,
};
use crate::limits;
use crate::plural::counted;

pub(super) fn sources(config: &Config) -> Vec<String> {
    let mut lines = vec![match config.sources.len() {
        0 => "no server is dialled".to_owned(),
        n => counted(
            n as u64,
            "server is dialled, again and again until it answers:",
            "servers are dialled, again and again until they answer:",
        ),
    }];
    lines.extend(listed(&config.sources, source));
    match config.ingest.listen {
        Some(address) => lines.push(format!("producers may dial in at {address}")),
        None => lines.push("producers may not dial in ([ingest] listen is none)".to_owned()),
    }
    if config.sources.is_empty() && config.ingest.listen.is_none() {
        lines.push("so nothing new comes in: add a [[source]], or set [ingest] listen".to_owned());
    }
    let max = show_size(config.ingest.max_line as u64);
    lines.push(format!(
        "a line longer than {max} is rejected; rejected lines are kept"
    ));
    if config.ingest.parser == LineParser::SimdJson {
        lines.push("simd-json parses all of them, for [ingest] parser says so".to_owned());
    }
    lines
}

fn source(source: &Source) -> String {
    let name = &source.address;
    match (&source.nats.servers, source.ack) {
        (Some(_), _) => {
            let subject = source.nats.subject.as_deref();
            let what = subject.map_or("all of it".to_owned(), |it| format!("what is for {it}"));
            format!(
                "  {name}: a stream of NATS, {what}; each message is acknowledged when it is safe here"
            )
        }
        (None, true) => format!("  {name}, is sent acknowledgements"),
        (None, false) => format!("  {name}"),
    }
}

/// Where a destination's messages go, if that is NATS.
fn at_nats(destination: &Destination) -> Option<String> {
    let (servers, template) = destination.nats_subject()?;
    let subject = match destination.is_pattern() {
        true => template.to_owned(),
        false => subject_of(template, &destination.id),
    };
    let settled = match destination.nats.at_most_once {
        true => "at most once: without a stream's answer",
        false => "each is settled by its stream's answer",
    };
    Some(format!("published to {subject} at {servers}, {settled}"))
}

/// Says so where a name looks like a pattern and is none.
fn literal(destination: &Destination) -> Option<&'static str> {
    let looks_so = destination.id.contains('*') && !destination.is_pattern();
    looks_so.then_some(
        "; warning: without nats that is its very name and no pattern; set [scheduler] \
         unknown_destinations = \"create\" to take what messages name",
    )
}

fn pattern(pattern: &Destination) -> String {
    let at = at_nats(pattern).unwrap_or_default();
    format!("{}: all that fit are created, and {at}", pattern.id)
}

pub(super) fn destinations(config: &Config) -> Vec<String> {
    let mut lines = listed(&config.destinations, |destination| {
        let at = at_nats(destination).map_or(String::new(), |it| format!(", {it}"));
        let vip = match destination.vip {
            true => ", VIP: all its messages are level 1",
            false => "",
        };
        let own = destination.max_queued.is_some() || destination.when_full.is_some();
        let full = own.then(|| {
            let max = destination.max_queued.unwrap_or(config.scheduler.max_queued);
            let when_full = destination.when_full.unwrap_or(config.scheduler.when_full);
            let (after, then) = (how_long(max), then(when_full));
            format!("; at most {max} may wait for it, which 10000 a second reach in {after}; then {then}")
        });
        let (full, literal) = (
            full.unwrap_or_default(),
            literal(destination).unwrap_or_default(),
        );
        format!("{}{vip}{at}{full}{literal}", destination.id)
    });
    lines.extend(listed(&config.destination_patterns, pattern));
    let max = config.scheduler.max_destinations;
    lines.push(match config.scheduler.create_destinations {
        true => format!("a message for any other destination creates it, up to {max} in all"),
        false => "a message for any other destination is rejected, counted and kept".to_owned(),
    });
    lines.push(full(config));
    lines
}

/// What happens where a subscriber stays away: to whom, after how many messages, and after how long at the
/// pace that the engine is made for.
fn full(config: &Config) -> String {
    let max = config.scheduler.max_queued;
    format!(
        "while nobody takes the messages of a destination that has no numbers of its own, {max} of them \
         wait, which 10000 a second reach in {}; then {}",
        how_long(max),
        then(config.scheduler.when_full)
    )
}

fn then(when_full: WhenFull) -> &'static str {
    match when_full {
        WhenFull::Wait => {
            "each source whose next message is for it is read no further until there is room, with all \
             that it has for others (when_full = \"reject\" keeps the others going)"
        }
        WhenFull::Reject => "further ones are rejected (queue_full), counted and kept",
    }
}

/// How long 10,000 messages a second take.
fn how_long(messages: usize) -> String {
    match messages as u64 / 10_000 {
        0 => "less than a second".to_owned(),
        seconds => show_duration(Duration::from_secs(seconds)),
    }
}

pub(super) fn levels(config: &Config) -> Vec<String> {
    let count = config.scheduler.levels;
    let mut lines = vec!["1 is the most urgent and is served first".to_owned()];
    if config
        .scheduler
        .max_wait
        .first()
        .is_some_and(|w| !w.is_zero())
    {
        lines.push("level 1: cannot move up, so its max_wait changes nothing".to_owned());
    }
    for level in 2..=count {
        lines.push(format!(
            "level {level}: {}",
            worst_wait(&config.scheduler.max_wait, level)
        ));
    }
    if count > 1 {
        let native = limits::NATIVE_PER_AGED;
        lines.push(format!(
            "a message that has moved up is served at least once for every {native} messages \
             native to its new level, so it is late, never starved"
        ));
        lines.push(
            "these waits count from arrival, and for a destination whose subscriber takes its \
             messages"
                .to_owned(),
        );
    }
    lines
}

/// How far a message of this level rises, and when at the latest.
fn worst_wait(max_wait: &[Duration], level: u8) -> String {
    let (reached, after) = rise(max_wait, level);
    let steps = match max_wait.get(usize::from(level) - 1) {
        Some(wait) if !wait.is_zero() => format!(
            "moves up to level {} once it has waited {}",
            level - 1,
            show_duration(*wait)
        ),
        _ => {
            return "never moves up (max_wait is 0s); it waits for as long as more urgent messages \
                    keep coming"
                .to_owned();
        }
    };
    let after = show_duration(after);
    match reached {
        1 => format!("{steps}; worst wait: at level 1 after {after}"),
        stuck => format!(
            "{steps}; worst wait: at level {stuck} after {after}, and there it stays, for level \
             {stuck} never moves up (its max_wait is 0s)"
        ),
    }
}

/// The level that a message rises to, and the wait since its arrival after which it is there.
///
/// Waits count from arrival, so a level below may take longer than the one above it: then the
/// message passes the one above at once. Where a level takes longer than the one below, the message
/// waits there behind younger ones that have moved up before it.
fn rise(max_wait: &[Duration], level: u8) -> (u8, Duration) {
    let (mut after, mut below) = (Duration::ZERO, None);
    for current in (2..=level).rev() {
        let wait = max_wait.get(usize::from(current) - 1).copied();
        let Some(wait) = wait.filter(|it| !it.is_zero()) else {
            return (current, after);
        };
        after = match below {
            Some(below) if wait > below => after + (wait - below),
            _ => after.max(wait),
        };
        below = Some(wait);
    }
    (1, after)
}

pub(super) fn rules(config: &Config) -> Vec<String> {
    if config.rules.is_empty() {
        return vec!["none: a message's level is its own priority".to_owned()];
    }
    let mut lines = listed(&config.rules, rule);
    lines.push("the first rule that fits wins; a VIP destination needs none".to_owned());
    lines
}

fn rule(rule: &Rule) -> String {
    let conditions = [
        rule.destination.as_ref().map(|id| format!("for {id}")),
        rule.source.as_ref().map(|id| format!("from {id}")),
        rule.message_type.as_ref().map(|t| format!("of type {t}")),
        rule.hours
            .map(|hours| format!("at {} local time", show_hours(hours))),
    ];
    let conditions: Vec<String> = conditions.into_iter().flatten().collect();
    let which = match conditions.is_empty() {
        true => "whatever they are".to_owned(),
        false => conditions.join(", "),
    };
    format!("messages {which}: level {}", rule.priority)
}

pub(super) fn once(config: &Config) -> String {
    let (count, window) = (config.dedup.window_messages, config.dedup.window);
    format!(
        "a messageId is accepted once among the last {count} messages of the last {}",
        show_duration(window)
    )
}
