//! The store: rows a second into each database against a bare load of the same rows, and whether
//! delivery notices a store that is down or hangs.

mod beside;
mod bystander;
mod follow;
mod journals;
mod target;

use clap::ValueEnum;

use super::prelude::*;
use crate::database::{Kind, Server};
use journals::Journals;
use target::{AtServer, Sqlite, Target};

/// The variable that names a server to the tests, too.
const URL_VARIABLE: &str = "FLIPPED_LB_TEST_MYSQL_URL";
const ROUNDS: u32 = 3;
const ROWS: [u64; 2] = [1_000_000, 20_000];
const RATE: u64 = 10_000;
const SECONDS: [u64; 2] = [10, 2];
const WARMUP_SECONDS: u64 = 1;

#[derive(Debug, Clone, Args)]
pub(crate) struct StoreArgs {
    /// Rows a round [default: 1000000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rows: Option<u64>,
    /// Which databases.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values = ["sqlite", "server"])]
    into: Vec<Kind>,
    /// The MySQL or MariaDB server, as mysql://user:password@host:3306: a database of its own is
    /// made there, and removed [default: FLIPPED_LB_TEST_MYSQL_URL, else a private mariadbd, where
    /// it is on PATH].
    #[arg(long, value_name = "URL")]
    mysql_url: Option<String>,
    /// What is measured.
    #[arg(long, value_name = "PART", value_delimiter = ',', default_values = ["rows", "latency"])]
    part: Vec<Part>,
    /// Messages a second beside the store.
    #[arg(long, value_name = "N", default_value_t = RATE)]
    rate: u64,
    /// How long a round beside the store is [default: 10].
    #[arg(long, value_name = "S", value_parser = clap::value_parser!(u64).range(1..=86_400))]
    seconds: Option<u64>,
}

/// A part of this benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Rows a second.
    Rows,
    /// Latency beside the store.
    Latency,
}

impl Bench for StoreArgs {
    fn check(&self) -> Result<()> {
        Kind::check_url(&self.into, self.mysql_url.as_deref())
    }

    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let testbed = stage.testbed;
        let server = match self.into.contains(&Kind::Server) {
            true => Server::find(self.named_server().as_deref(), &testbed.data)?,
            false => None,
        };
        let at_server = server.as_ref().map(|it| AtServer::new(testbed, it));
        let at_server = at_server.transpose()?;
        let rows = stage.pick(self.rows, ROWS);
        let mut section = Section {
            title: format!("Store, {rows} rows a round"),
            notes: vec![note(server.as_ref())?],
            is_good: true,
            ..Section::default()
        };
        if self.part.contains(&Part::Rows) {
            section.join(self.rows(stage, at_server.as_ref(), rows)?);
        }
        if self.part.contains(&Part::Latency) {
            let seconds = stage.pick(self.seconds, SECONDS);
            let plan = Plan::at_rate(self.rate, seconds, WARMUP_SECONDS, FRAME_LEN);
            say(format!("store: {} msg/s for {seconds} s", self.rate));
            let latest = beside::Latest::default();
            let sides = beside::sides(
                testbed,
                &plan,
                &stage.settings(),
                at_server.as_ref(),
                &latest,
            );
            let played = stage.play(&sides, ROUNDS)?;
            section.join(beside::section(&played, self.rate, seconds)?);
        }
        Ok(section)
    }
}

/// Which server was measured.
fn note(server: Option<&Server>) -> Result<String> {
    Ok(match server {
        Some(server) => format!("The server is {}.", server.version()?),
        None => "No server was measured: mariadbd and its client are not on PATH (`apt-get \
                 install mariadb-server`), and --mysql-url names none."
            .into(),
    })
}

impl StoreArgs {
    fn named_server(&self) -> Option<String> {
        let by_variable = || std::env::var(URL_VARIABLE).ok();
        self.mysql_url.clone().or_else(by_variable)
    }

    /// The rows into every database.
    fn rows(
        &self,
        stage: &Stage<'_>,
        at_server: Option<&AtServer<'_>>,
        rows: u64,
    ) -> Result<Section> {
        let testbed = stage.testbed;
        let sqlite = Sqlite::new(testbed)?;
        let mut targets: Vec<&dyn Target> = Vec::new();
        if self.into.contains(&Kind::Sqlite) {
            targets.push(&sqlite);
        }
        targets.extend(at_server.map(|it| it as &dyn Target));
        let (plan, settings) = (Plan::flat_out(rows, FRAME_LEN), stage.settings());
        say(format!("store: a journal of {rows} messages"));
        let journals = Journals::write(testbed, &plan, &settings)?;
        let mut played = Vec::new();
        stage.progress.expect_cases(targets.len());
        for target in targets {
            say(format!("store: rows into {}", target.name()));
            let sides = follow::sides(testbed, &plan, &settings, &journals, target)?;
            played.extend(stage.play(&sides, ROUNDS)?);
        }
        follow::section(&played)
    }
}
