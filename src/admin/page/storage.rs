//! The journal, and the store that follows it.

use maud::{Markup, html};

use super::overview::Overview;
use super::sources::fact;
use super::words::{NONE, bytes, count, lasting, shown};
use crate::cluster::status::Snapshot as Member;
use crate::counters::Counter;

pub(super) fn section(overview: &Overview) -> Markup {
    html! {
        section #storage .card aria-labelledby="storage-title" {
            h2 #storage-title { "Journal and store" }
            (journal(overview))
            @if let Some(member) = &overview.member {
                h3 { "Group" }
                (group(member))
            }
            h3 { "Store" }
            @if overview.has_store {
                (store(overview))
            } @else {
                p .quiet { "There is none: the settings say so." }
            }
        }
    }
}

fn journal(overview: &Overview) -> Markup {
    let value = |counter| overview.counters.get(counter);
    let get = |counter| count(value(counter));
    let per_second = overview.rates.of(Counter::JournalBytes).round() as u64;
    html! {
        dl .facts {
            (fact("Durability", overview.durability))
            (fact("On disk", &bytes(value(Counter::JournalDisk))))
            (fact("Files", &get(Counter::JournalSegments)))
            (fact("Bytes a second", &bytes(per_second)))
            (fact("Recorded up to sequence", &get(Counter::JournalRecorded)))
            (fact("Batches", &get(Counter::JournalBatches)))
            (fact("Syncs", &get(Counter::JournalSyncs)))
            (fact("Recovered at start", &get(Counter::Recovered)))
            (fact("Waiting packed, on disk only", &get(Counter::QueuedCold)))
            (room(overview))
        }
    }
}

fn group(member: &Member) -> Markup {
    let others: Vec<_> = member.present().map(|it| shown(&it.node)).collect();
    let ready = member.present().filter(|it| it.is_ready);
    html! {
        dl .facts {
            (fact("Group", &shown(&member.group)))
            (fact("This member", &format!("{}, {}", shown(&member.node), member.role.name())))
            (fact("Served by", &member.serving().map_or(NONE.to_owned(), shown)))
            (fact("Term", &count(member.epoch)))
            (fact("Record", &count(member.sequence)))
            (fact("Records behind", &count(member.lag())))
            (fact("Other members", &if others.is_empty() { NONE.to_owned() } else { others.join(", ") }))
            (fact("Could take over", &count(ready.count() as u64)))
            (fact("Server", &member.server.as_ref().map_or(NONE.to_owned(), |it| shown(&it.0))))
        }
    }
}

/// What the disk has room for; nothing before it was looked at.
fn room(overview: &Overview) -> Markup {
    let lasts = |seconds: Option<f64>| match seconds {
        Some(seconds) => lasting((seconds * 1e9) as u64),
        None => "for ever".to_owned(),
    };
    html! {
        @if let Some(disk) = &overview.disk {
            @let pace = disk.pace.map_or(NONE.to_owned(), |it| lasts(it.lasts_seconds));
            (fact("Free on the disk", &bytes(disk.sizes.free)))
            (fact("Lasts, at this pace", &pace))
        }
    }
}

fn store(overview: &Overview) -> Markup {
    let value = |counter| overview.counters.get(counter);
    let get = |counter| count(value(counter));
    let behind_ns = value(Counter::StoreLagSeconds).saturating_mul(1_000_000_000);
    let state = match value(Counter::StoreFailing) {
        0 => "goes on",
        _ => "fails",
    };
    html! {
        dl .facts {
            (fact("State", state))
            (fact("Behind, messages", &get(Counter::StoreLagMessages)))
            (fact("Behind, time", &lasting(behind_ns)))
            (fact("Rows stored", &get(Counter::Stored)))
            (fact("Rows settled", &get(Counter::StoredSettled)))
            (fact("Rows a second", &get(Counter::StoreRowsPerSecond)))
            (fact("Batches tried again", &get(Counter::StoreRetries)))
            (fact("Refused by the database", &get(Counter::StoreUnstored)))
        }
    }
}
