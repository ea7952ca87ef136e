//! Months in an hour: at a rate, with a store that keeps its rows for minutes. What must not grow is
//! looked at each minute: memory, descriptors, journal, store, kept files, lag.

mod sample;
mod trend;

use std::cell::RefCell;
use std::time::Duration;

use anyhow::Context as _;
use serde_json::{Value, json};

use super::prelude::*;
use crate::database::{Kind, Server};
use crate::process;
use sample::{FIGURES, Look, Looks};
use trend::{Trend, trend};

const RATE_PLANNED: u64 = 10_000;
const SECONDS: [u64; 2] = [3600, 30];
const KEEP: &str = "5m";
const KEEP_QUICK: &str = "3s";
const WARMUP_SECONDS: u64 = 1;
/// Between two looks; of a shorter run a sixtieth.
const LOOK_INTERVAL: Duration = Duration::from_secs(60);
const LOOKS_MIN: u32 = 60;
/// Rows of the table at most.
const SHOWN: usize = 30;

const TEXT: &str = "Four sources send on schedule, four subscribers check every frame, and the store \
removes rows that were settled `keep` ago. Each look is of one moment: resident memory and descriptors \
of the engine, bytes of its journal, of the store (SQLite's file and log, or the server's file of the \
table), and of all other files that it keeps; how far the store is behind; rows in the table. In the first \
three tenths of the looks all of it fills up: they are not judged. A figure grows if the median of the \
later half of the rest is above that of its earlier half by a twentieth and what its parts move by \
(two segments of the journal, a checkpoint of the log, a batch of rows).";

/// Three tenths of it are the ten minutes of the dedup window.
const FILLS_SECONDS: u64 = 2_000;
const SHORT: &str = "This run is shorter than it takes to fill the dedup window (10 minutes) before anything \
is judged: memory and journal grow by that alone.";

#[derive(Debug, Clone, Args)]
pub(crate) struct SoakArgs {
    /// How long, in hours [default: 1].
    #[arg(long, value_name = "H", value_parser = hours)]
    hours: Option<f64>,
    /// Messages a second.
    #[arg(
        long, value_name = "N", default_value_t = RATE_PLANNED,
        value_parser = clap::value_parser!(u64).range(1..)
    )]
    rate: u64,
    /// How long the store keeps a settled row, as `[store] keep` is written [default: 5m].
    #[arg(long, value_name = "TIME")]
    keep: Option<String>,
    /// Which store, each in turn.
    #[arg(long, value_enum, value_delimiter = ',', default_values = ["sqlite"])]
    into: Vec<Kind>,
    /// The MySQL or MariaDB server, as mysql://user:password@host:3306: a database of its own is made
    /// there, and removed [default: a private mariadbd, where it is on PATH].
    #[arg(long, value_name = "URL")]
    mysql_url: Option<String>,
}

fn hours(text: &str) -> Result<f64, String> {
    let hours: f64 = text.parse().map_err(|_| "write a number".to_owned())?;
    match (0.001..=24.0 * 31.0).contains(&hours) {
        true => Ok(hours),
        false => Err("from 0.001 to 744 are possible".into()),
    }
}

/// A store's run: its figures and what was seen.
struct Soaked {
    name: &'static str,
    played: Played,
    samples: Looks,
    trends: Vec<Trend>,
}

impl Bench for SoakArgs {
    fn check(&self) -> Result<()> {
        Kind::check_url(&self.into, self.mysql_url.as_deref())
    }

    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let asked = self.hours.map(|it| (it * 3600.0) as u64);
        let seconds = stage.pick(asked, SECONDS);
        let keep = if stage.common.quick { KEEP_QUICK } else { KEEP };
        let keep = self.keep.as_deref().unwrap_or(keep);
        let mut soaked = Vec::new();
        for &store in &self.into {
            soaked.push(self.soak(stage, store, seconds.max(1), keep)?);
        }
        let mut section = Section {
            is_good: true,
            ..Section::default()
        };
        for it in &soaked {
            section.join(it.section()?);
        }
        if seconds < FILLS_SECONDS {
            section.notes.push(SHORT.into());
        }
        Ok(Section {
            title: format!("Soak: {seconds} s at {} msg/s, keep = {keep}", self.rate),
            text: TEXT.into(),
            ..section
        })
    }
}

impl SoakArgs {
    fn soak(&self, stage: &Stage<'_>, store: Kind, seconds: u64, keep: &str) -> Result<Soaked> {
        let testbed = stage.testbed;
        let server = match store {
            Kind::Sqlite => None,
            Kind::Server => Some(
                Server::find(self.mysql_url.as_deref(), &testbed.data)?
                    .context("no mariadbd on PATH, and --mysql-url names no server")?,
            ),
        };
        if let Some(server) = &server {
            server.clear()?;
        }
        let name = if server.is_some() { "server" } else { "sqlite" };
        say(format!(
            "soak: {} msg/s for {seconds} s into {name}, keep = {keep}",
            self.rate
        ));
        let settings = Settings {
            store: (server.as_ref()).map_or("sqlite".into(), |it| it.url().to_owned()),
            keep: Some(keep.to_owned()),
            ..stage.settings()
        };
        let plan = Plan::at_rate(self.rate, seconds, WARMUP_SECONDS, FRAME_LEN);
        let samples = RefCell::new(Vec::new());
        let side = Contestant::new(Subject::Engine, &plan, &settings)
            .of_case([name.to_owned()])
            .playing(|it| {
                let (outcome, seen) = watched(testbed, it, server.as_ref())?;
                samples.replace(seen);
                Ok(outcome)
            });
        let mut played = stage.play(&[side], 1)?;
        let samples = samples.into_inner();
        let trends = (0..FIGURES.len())
            .map(|at| trend(at, &samples, self.rate))
            .collect();
        Ok(Soaked {
            name,
            played: played.remove(0),
            samples,
            trends,
        })
    }
}

/// A round, looked at while it goes.
fn watched(
    testbed: &Testbed,
    it: &Contestant<'_>,
    server: Option<&Server>,
) -> Result<(Outcome, Looks)> {
    let (running, lane) = testbed.connect(it.subject, &it.plan, &it.settings)?;
    let look = Look {
        admin: running.admin()?,
        pid: running.child.pid(),
        data: running
            .folder()
            .context("an engine has a home")?
            .join("data"),
        server,
    };
    let planned = it.plan.messages / it.plan.rate.unwrap_or(it.plan.messages).max(1);
    let interval = LOOK_INTERVAL.min(Duration::from_secs(planned) / LOOKS_MIN);
    process::watched(interval, || look.once(), || finish(&running, lane))
}

impl Soaked {
    fn growing(&self) -> Vec<&str> {
        let growing = self.trends.iter().filter(|it| it.is_growing == Some(true));
        growing.map(|it| it.name).collect()
    }

    fn summary(&self) -> String {
        let name = self.name;
        let is_judged = self.trends.iter().all(|it| it.is_growing.is_some());
        match (self.growing().join(", "), is_judged) {
            (growing, true) if growing.is_empty() => {
                format!("Into {name}: all of it stays flat.")
            }
            (growing, true) => format!("Into {name}: {growing} grow."),
            (_, false) => format!("Into {name}: too short to judge."),
        }
    }

    fn section(&self) -> Result<Section> {
        let figures = [RATE, P50, P99, BUSY, RESIDENT_MAX];
        let played = [self.played.clone()];
        let mut section = Section::of_rounds(&["store"], &played, &figures, ALONE);
        section.summary = self.summary();
        section.is_good &= self.growing().is_empty();
        section.tables.push(trend::table(self.name, &self.trends));
        section.tables.push(self.table());
        let raw = self.samples.iter().map(|(seconds, sample)| {
            let figures = FIGURES.iter().zip(sample);
            let figures = figures.map(|(it, value)| (it.key.to_owned(), json!(value)));
            let mut raw = Value::Object(figures.collect());
            raw["seconds"] = json!(seconds);
            raw["case"] = self.name.into();
            raw["party"] = "look".into();
            raw
        });
        section.raw.extend(raw);
        section.pictures.push(self.picture()?);
        Ok(section)
    }

    /// Some of the looks.
    fn table(&self) -> Table {
        let columns = FIGURES.iter().map(|it| it.name.to_owned());
        let first = ["store".to_owned(), "minute".to_owned()];
        let mut table = Table::new(first.into_iter().chain(columns));
        let step = self.samples.len().div_ceil(SHOWN).max(1);
        for (seconds, sample) in self.samples.iter().step_by(step) {
            let cells = FIGURES.iter().zip(sample);
            let cells = cells.map(|(it, &value)| it.unit.show(value as f64));
            let first = [self.name.to_owned(), format!("{:.1}", seconds / 60.0)];
            table.push(first.into_iter().chain(cells));
        }
        table
    }

    fn picture(&self) -> Result<Picture> {
        let sizes = FIGURES.iter().enumerate();
        let sizes = sizes.filter(|(_, it)| it.unit == Unit::Bytes);
        let series = sizes.map(|(at, figure)| {
            let points = self.samples.iter();
            let points = points.map(|(seconds, it)| (seconds / 60.0, it[at] as f64));
            (figure.name.to_owned(), points.collect())
        });
        let series: Vec<_> = series.collect();
        let axes = [
            Axis::linear("minutes", Unit::Count),
            Axis::linear("bytes", Unit::Bytes),
        ];
        let title = format!("Sizes over time, {}", self.name);
        Sheet::new(self.name, &title).plain_lines(axes, &series)
    }
}
