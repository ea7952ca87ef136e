//! The store: rows a second into each database against a bare load of the same rows, and whether
//! delivery notices a store that is down or hangs.

mod beside;
mod bystander;
mod follow;
mod journals;
mod section;
mod target;

use clap::{Args, ValueEnum};

use crate::common::{Bench, Common, FRAME_LEN};
use crate::database::Server;
use crate::error::PerfError;
use crate::plan::Plan;
use crate::report::Section;
use crate::screen::say;
use crate::spread::rate;
use crate::testbed::Testbed;
use beside::Timed;
use follow::{Case, Followed, World};
use journals::Journals;
use target::{AtServer, Sqlite, Target};

/// The variable that names a server to the tests, too.
const URL_VARIABLE: &str = "FLIPPED_LB_TEST_MYSQL_URL";
const ROUNDS: u32 = 3;
const ROWS: u64 = 1_000_000;
const ROWS_QUICK: u64 = 20_000;
const RATE: u64 = 10_000;
const SECONDS: u64 = 10;
const SECONDS_QUICK: u64 = 2;
const WARMUP_SECONDS: u64 = 1;

/// What `store` takes.
#[derive(Debug, Clone, Args)]
pub(crate) struct StoreArgs {
    /// Rows a round [default: 1000000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    rows: Option<u64>,
    /// Which databases.
    #[arg(long, value_name = "NAME", value_delimiter = ',', default_values = ["sqlite", "server"])]
    into: Vec<Database>,
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

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Database {
    /// A file.
    Sqlite,
    /// MySQL or MariaDB.
    Server,
}

/// A part of this benchmark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Part {
    /// Rows a second.
    Rows,
    /// Latency beside the store.
    Latency,
}

/// What was found.
struct Found {
    /// The server's version; `None`: there was none.
    version: Option<String>,
    rows: u64,
    seconds: u64,
    rate: u64,
    /// For each database its rounds, each a triple.
    followed: Vec<Vec<[Followed; 3]>>,
    timed: Vec<Timed>,
}

impl Bench for StoreArgs {
    fn run(&self, testbed: &Testbed, common: &Common) -> Result<Section, PerfError> {
        let wants_server = self.into.contains(&Database::Server);
        let server = match wants_server {
            true => Server::find(self.named_server().as_deref(), &testbed.data)?,
            false => None,
        };
        let version = server.as_ref().map(Server::version).transpose()?;
        let at_server = server.as_ref().map(|it| AtServer::new(testbed, it));
        let at_server = at_server.transpose()?;
        let seconds = common.pick(self.seconds, SECONDS, SECONDS_QUICK);
        let mut found = Found {
            version,
            rows: common.pick(self.rows, ROWS, ROWS_QUICK),
            seconds,
            rate: self.rate,
            followed: Vec::new(),
            timed: Vec::new(),
        };
        if self.part.contains(&Part::Rows) {
            found.followed = self.follow(testbed, common, at_server.as_ref(), found.rows)?;
        }
        if self.part.contains(&Part::Latency) {
            let settings = common.settings();
            let plan = Plan::at_rate(self.rate, seconds, WARMUP_SECONDS, FRAME_LEN);
            say(&format!("store: {} msg/s for {seconds} s", self.rate));
            let both = server.as_ref().zip(at_server.as_ref());
            let both = both.map(|(server, target)| (server, target as &dyn Target));
            found.timed = beside::play(testbed, &plan, &settings, both, common.rounds(ROUNDS))?;
        }
        section::section(&found)
    }
}

impl StoreArgs {
    fn named_server(&self) -> Option<String> {
        let by_variable = || std::env::var(URL_VARIABLE).ok();
        self.mysql_url.clone().or_else(by_variable)
    }

    /// Plays the rows into every database.
    fn follow(
        &self,
        testbed: &Testbed,
        common: &Common,
        at_server: Option<&AtServer<'_>>,
        rows: u64,
    ) -> Result<Vec<Vec<[Followed; 3]>>, PerfError> {
        let sqlite = Sqlite::new(testbed)?;
        let mut targets: Vec<&dyn Target> = Vec::new();
        if self.into.contains(&Database::Sqlite) {
            targets.push(&sqlite);
        }
        targets.extend(at_server.map(|it| it as &dyn Target));
        let (plan, settings) = (Plan::flat_out(rows, FRAME_LEN), common.settings());
        say(&format!("store: a journal of {rows} messages"));
        let journals = Journals::write(testbed, &plan, &settings)?;
        let world = |target| World {
            testbed,
            plan: &plan,
            settings: &settings,
            journals: &journals,
            target,
        };
        let rounds = common.rounds(ROUNDS);
        targets
            .into_iter()
            .map(|it| play(&world(it), rounds))
            .collect()
    }
}

/// Plays the three cases in turn, every other round in the opposite order.
fn play(world: &World<'_>, rounds: u32) -> Result<Vec<[Followed; 3]>, PerfError> {
    say(&format!("store: rows into {}", world.target.name()));
    // Its rows are those of the bare loads, and the server is warm.
    world.play(Case::Once)?;
    world.target.keep()?;
    let mut all = Vec::new();
    for round in 0..rounds {
        let mut cases = [Case::Once, Case::Bare, Case::Twice];
        if !round.is_multiple_of(2) {
            cases.reverse();
        }
        let mut played = Vec::new();
        for case in cases {
            let it = world.play(case)?;
            let rows = rate(it.rate());
            say(&format!(
                "  {} of {rounds} {case:?}: {rows} rows/s",
                round + 1
            ));
            played.push(it);
        }
        // As they are named in tables, whatever the order was.
        played.sort_by_key(|it| it.case as u8);
        let triple = <[Followed; 3]>::try_from(played);
        all.push(triple.unwrap_or_else(|_| unreachable!("three cases were played")));
    }
    Ok(all)
}
