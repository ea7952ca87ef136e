//! The keys of what may stand in the file many times: `[[source]]`, `[[destination]]`,
//! `[[rule]]`.
//!
//! The same kind of list as `keys`, for one item instead of the whole settings.

use super::key::{Key, Shown, set};
use super::units::parse_hours;
use super::{Destination, Rule, Source, WhenFull};
use crate::limits;

/// One kind of `[[item]]`.
#[derive(Debug)]
pub(super) struct Items<T: 'static> {
    pub(super) name: &'static str,
    pub(super) meaning: &'static str,
    pub(super) keys: &'static [Key<T>],
    /// An item before its keys are read.
    pub(super) blank: fn() -> T,
}

/// The names of all kinds.
pub(super) const ITEM_NAMES: [&str; 3] = [SOURCES.name, DESTINATIONS.name, RULES.name];

pub(super) const SOURCES: Items<Source> = Items {
    name: "source",
    meaning: "The message servers that the engine dials, with a [[source]] for each; any here \
              replace the defaults. source = [] is none at all.",
    keys: &[
        Key {
            name: "address",
            default: Shown::Required("\"127.0.0.1:8001\""),
            meaning: "host:port; a name is looked up again before each dial.",
            set: |source, v| set(&mut source.address, v.host_port()?),
        },
        Key {
            name: "ack",
            default: Shown::Default("false"),
            meaning: "Whether the engine writes {\"ack\":N} lines back.",
            set: |source, v| set(&mut source.ack, v.boolean()?),
        },
    ],
    blank: || Source::to(""),
};

pub(super) const DESTINATIONS: Items<Destination> = Items {
    name: "destination",
    meaning: "The customers, with a [[destination]] for each; any here replace the defaults.",
    keys: &[
        Key {
            name: "id",
            default: Shown::Required("\"table1\""),
            meaning: "The destinationId of its messages, 1 to 50 bytes.",
            set: |destination, v| set(&mut destination.id, v.name()?),
        },
        Key {
            name: "vip",
            default: Shown::Default("false"),
            meaning: "Whether all its messages are level 1.",
            set: |destination, v| set(&mut destination.vip, v.boolean()?),
        },
        Key {
            name: "max_queued",
            default: Shown::Absent("1_000"),
            meaning: "How many messages may wait for it, where [scheduler] max_queued is not right.",
            set: |destination, v| {
                let count = v.count(1, limits::MESSAGES_MAX)?;
                set(&mut destination.max_queued, Some(count))
            },
        },
        Key {
            name: "when_full",
            default: Shown::Absent("\"reject\""),
            meaning: "What happens to a message for it with max_queued messages, wait or reject, where \
                      [scheduler] when_full is not right.",
            set: |destination, v| {
                let choices = [("wait", WhenFull::Wait), ("reject", WhenFull::Reject)];
                set(&mut destination.when_full, Some(v.choice(&choices)?))
            },
        },
    ],
    blank: || Destination::to(""),
};

pub(super) const RULES: Items<Rule> = Items {
    name: "rule",
    meaning: "What sets a message's level besides its own priority, with a [[rule]] for each: \
              all the conditions that are present must hold, and the first rule that fits wins. \
              By default there are none.",
    keys: &[
        Key {
            name: "destination",
            default: Shown::Absent("\"table2\""),
            meaning: "Equals the message's destinationId.",
            set: |rule, v| set(&mut rule.destination, Some(v.name()?)),
        },
        Key {
            name: "source",
            default: Shown::Absent("\"server1\""),
            meaning: "Equals the message's sourceServerId.",
            set: |rule, v| set(&mut rule.source, Some(v.name()?)),
        },
        Key {
            name: "message_type",
            default: Shown::Absent("\"breakfast\""),
            meaning: "Equals the message's messageType.",
            set: |rule, v| set(&mut rule.message_type, Some(v.name()?)),
        },
        Key {
            name: "hours",
            default: Shown::Absent("\"07:00-11:00\""),
            meaning: "Local time of the day; may wrap past midnight.",
            set: |rule, v| {
                let text = v.text()?;
                let hours = parse_hours(text).map_err(|why| format!("found \"{text}\"; {why}"))?;
                set(&mut rule.hours, Some(hours))
            },
        },
        Key {
            name: "priority",
            default: Shown::Required("1"),
            meaning: "The level that it sets, 1 = most urgent.",
            set: |rule, v| {
                let level = v.integer(1, limits::LEVELS_MAX as u64)?;
                set(&mut rule.priority, level as u8)
            },
        },
    ],
    blank: || Rule {
        destination: None,
        source: None,
        message_type: None,
        hours: None,
        priority: 0,
    },
};
