//! What the report says of the store.

use serde_json::json;

use super::Found;
use super::beside::{Beside, Timed};
use super::follow::Followed;
use crate::curve::Curve;
use crate::error::PerfError;
use crate::picture::{Axis, Picture, Scale, bars, percentiles};
use crate::report::{Aim, Section, Table};
use crate::round::Outcome;
use crate::rounds::{are_exact, faults};
use crate::spread::{Spread, rate, ratio, time};

use super::super::latency::{p50, p99};

/// Of the bare load, by the design.
const ONCE_MIN: f64 = 0.9;
/// ... where each row is written and later updated.
const TWICE_MIN: f64 = 0.5;

const TEXT: &str = "A journal of messages that are delivered (settled rows: one write each), and one \
of messages whose subscribers come when all rows are written (each row is written, and updated \
later). An engine is started on a copy of it with an empty table; the time runs until every row \
says DELIVERED, in the second case less the time in between. The bare load has the same rows and \
the same table, without the engine: at the server one client's LOAD DATA LOCAL INFILE, of SQLite a \
prepared insert, 5,000 rows a transaction. Medians, with the least and the most; ratios are taken \
within each round.";

const CALM_TEXT: &str = "Delivery on schedule beside the store, from due time to arrival. `server \
down` refuses connections; `server stalled` is stopped half a second after the first message, and \
goes on after the last. Beside `disk writer` there is no store, but a program of the lowest priority \
that writes as many bytes as SQLite did, and syncs them ten times a second: what the machine's disk \
takes from delivery, whoever writes. Lag is the most that was seen of messages without a row, catch-up the time \
from the last delivery until all had one.";

/// The whole section.
pub(super) fn section(found: &Found) -> Result<Section, PerfError> {
    let rounds = || found.followed.iter().flatten().flatten();
    let timed = || found.timed.iter().flat_map(|it| &it.played.outcomes);
    let mut notes = faults(timed());
    notes.extend(server_note(found));
    let lost = rounds().filter(|it| !it.is_exact());
    notes.extend(lost.map(|it| format!("**{} {:?}: rows {:?}**", it.database, it.case, it.totals)));
    if !found.timed.is_empty() {
        notes.push(format!(
            "{CALM_TEXT}\n\n{}",
            timed_table(&found.timed).render()
        ));
    }
    let mut raw: Vec<_> = rounds().map(|it| json!(it)).collect();
    for it in &found.timed {
        let both = it.played.outcomes.iter().zip(&it.seen);
        raw.extend(both.map(
            |(outcome, seen)| json!({ "beside": it.beside, "outcome": outcome, "seen": seen }),
        ));
    }
    Ok(Section {
        title: format!("Store, {} rows a round", found.rows),
        summary: summary(found),
        text: TEXT.into(),
        table: rows_table(found),
        aims: aims(found),
        pictures: pictures(found)?,
        notes,
        raw: raw.into(),
        is_good: rounds().all(Followed::is_exact) && are_exact(timed()),
    })
}

fn server_note(found: &Found) -> Option<String> {
    match &found.version {
        Some(version) => Some(format!("The server is {version}.")),
        None => Some(
            "No server was measured: mariadbd and its client are not on PATH (`apt-get install \
             mariadb-server`), and --mysql-url names none."
                .into(),
        ),
    }
}

type Triples = [[Followed; 3]];

fn spread(all: &Triples, figure: impl Fn(&[Followed; 3]) -> f64) -> Spread {
    Spread::of(all.iter().map(figure))
}

fn over_bare(all: &Triples, case: usize) -> Spread {
    spread(all, |it| it[case].rate() / it[2].rate())
}

fn rows_table(found: &Found) -> Table {
    let mut table = Table::new(&[
        "database",
        "rows",
        "rows/s",
        "of the bare load",
        "updates alone",
        "transactions",
        "engine CPU",
    ]);
    for all in &found.followed {
        for (case, name) in [
            "written once, settled",
            "written, updated later",
            "bare load",
        ]
        .into_iter()
        .enumerate()
        {
            let is_bare = case == 2;
            let or = |text: String| if is_bare { String::new() } else { text };
            let first = &all[0][case];
            let cpu = spread(all, |it| it[case].cpu_seconds * 1e9 / it[case].rows as f64);
            let updates = spread(all, |it| it[1].rows as f64 / it[1].update_seconds);
            table.push([
                first.database.to_owned(),
                name.to_owned(),
                spread(all, |it| it[case].rate()).show(rate),
                or(over_bare(all, case).show(ratio)),
                if case == 1 {
                    updates.show(rate)
                } else {
                    String::new()
                },
                or(first.batches.to_string()),
                or(format!("{:.0} ns a row", cpu.median)),
            ]);
        }
    }
    table
}

fn timed_table(timed: &[Timed]) -> Table {
    let mut table = Table::new(&[
        "store",
        "p50",
        "p99",
        "p99.9",
        "p99 of no store's",
        "lag",
        "catch-up",
    ]);
    for it in timed {
        let of = |figure: fn(&Outcome) -> f64| it.played.spread(figure).show(time);
        let seen = |figure: fn(&super::beside::Seen) -> f64| Spread::of(it.seen.iter().map(figure));
        let lag = seen(|it| it.lag_messages as f64).show(|it| format!("{it:.0}"));
        let catch_up = seen(|it| it.catch_up_seconds).show(|it| format!("{it:.2} s"));
        table.push([
            it.beside.words().to_owned(),
            of(p50),
            of(p99),
            of(p999),
            it.played.ratio(&timed[0].played, p99).show(ratio),
            shown(it.beside.is_store(), lag),
            shown(it.beside.takes_rows(), catch_up),
        ]);
    }
    table
}

/// A cell where it has a meaning, else an empty one.
fn shown(has_meaning: bool, cell: String) -> String {
    if has_meaning { cell } else { String::new() }
}

fn p999(outcome: &Outcome) -> f64 {
    outcome.received.latency().p999 as f64
}

fn aims(found: &Found) -> Vec<Aim> {
    let aim = |all: &Vec<[Followed; 3]>, case: usize, what: &str, least: f64| {
        let over = over_bare(all, case);
        Aim::new(
            format!("{}: {what}, over the bare load", all[0][case].database),
            format!("{least} at least"),
            over.show(ratio),
            over.median >= least,
        )
    };
    let of = |all| {
        [
            aim(all, 0, "written once", ONCE_MIN),
            aim(all, 1, "updated later", TWICE_MIN),
        ]
    };
    let mut aims: Vec<Aim> = found.followed.iter().flat_map(of).collect();
    let find = |beside| found.timed.iter().find(|it| it.beside == beside);
    if let Some(none) = find(Beside::Nothing) {
        let stores = found.timed.iter().filter(|it| it.beside.is_store());
        aims.extend(stores.map(|it| timed_aim(none, it)));
    }
    let written = find(Beside::Bystander).zip(find(Beside::Sqlite));
    aims.extend(written.map(|(writer, sqlite)| timed_aim(writer, sqlite)));
    aims
}

/// No difference beyond noise: its p99 lies where that of the reference's rounds lies.
fn timed_aim(reference: &Timed, it: &Timed) -> Aim {
    let (theirs, its) = (reference.played.spread(p99), it.played.spread(p99));
    let (name, most) = (reference.beside.words(), time(theirs.max));
    Aim::new(
        format!("p99 beside: {}", it.beside.words()),
        format!("within those beside: {name}, {most} at most"),
        its.show(time),
        its.median <= theirs.max,
    )
}

fn summary(found: &Found) -> String {
    let of = |all: &Vec<[Followed; 3]>| {
        let once = rate(spread(all, |it| it[0].rate()).median);
        let (part, name) = (ratio(over_bare(all, 0).median), all[0][0].database);
        format!("Into {name} it writes {once} rows/s, {part} of a bare load.")
    };
    let mut words: Vec<String> = found.followed.iter().map(of).collect();
    if let Some(none) = found.timed.first() {
        let stores = found.timed.iter().filter(|it| it.beside.is_store());
        let worst = stores.map(|it| it.played.spread(p99).median);
        let worst = worst.fold(0.0, f64::max);
        let timed = time(none.played.spread(p99).median);
        words.push(format!(
            "At {} msg/s for {} s p99 is {timed} without a store, and {} at most beside one that \
             works, is down or hangs.",
            found.rate,
            found.seconds,
            time(worst)
        ));
    }
    words.join(" ")
}

fn pictures(found: &Found) -> Result<Vec<Picture>, PerfError> {
    let mut pictures = Vec::new();
    if !found.followed.is_empty() {
        let names: Vec<String> = (found.followed.iter())
            .map(|it| it[0][0].database.to_owned())
            .collect();
        let series = [(0, "written once"), (1, "updated later"), (2, "bare load")];
        let series = series.map(|(case, name)| {
            let median = |all: &Vec<[Followed; 3]>| spread(all, |it| it[case].rate()).median;
            (name.to_owned(), found.followed.iter().map(median).collect())
        });
        let y = Axis {
            label: "rows a second",
            scale: Scale::Count,
        };
        pictures.push(bars("rows", "Rows a second", y, &names, &series)?);
    }
    if !found.timed.is_empty() {
        let curve = |it: &Timed| (it.played.name.clone(), curve(it));
        let curves: Vec<_> = found.timed.iter().map(curve).collect();
        let title = format!("Latency at {} msg/s beside the store", found.rate);
        pictures.push(percentiles("latency", &title, &curves)?);
    }
    Ok(pictures)
}

fn curve(it: &Timed) -> Curve {
    it.played.middle(p99).received.latency()
}
