//! The databases that rows are written to: emptied, loaded without the engine, counted.
//!
//! The baseline has the same rows, as the engine wrote them, in the same table with the same
//! indexes, which `flipped-lb schema apply` makes for both.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail};
use rusqlite::types::Value;
use rusqlite::{Connection, params_from_iter};

use crate::bench::prelude::*;
use crate::child::checked;
use crate::cleanup::Home;
use crate::database::Server;

const SQLITE: &str = "SQLite refuses";
const COLUMNS: &str = "id, messageId, sourceServerId, destinationId, messageType, priority, \
    timestamp, payload, status, created_at, sequence, delivered_at";
/// Rows of a transaction of the plain insert: as many as the engine's by default.
const BATCH: usize = 5_000;
/// What the engine sets, so that the insert alone is compared; page size and journal are the file's.
const SQLITE_SETTINGS: &str = "PRAGMA synchronous = NORMAL; PRAGMA cache_size = -16384; \
    PRAGMA wal_autocheckpoint = 4000;";

/// A database that the engine follows into.
pub(super) trait Target {
    /// Its name in tables.
    fn name(&self) -> &'static str;

    /// `[store] url`.
    fn url(&self) -> String;

    /// Removes all, and makes the table.
    fn renew(&self, testbed: &Testbed) -> Result<()>;

    /// Keeps the rows that are there for the loads to come.
    fn keep(&self) -> Result<()>;

    /// Loads the rows that were kept, without the engine.
    fn load(&self) -> Result<Duration>;

    /// How many rows there are, and how many of them say DELIVERED.
    fn totals(&self) -> Result<[u64; 2]>;
}

/// A SQLite file.
#[derive(Debug)]
pub(super) struct Sqlite {
    home: Home,
}

impl Sqlite {
    pub(super) fn new(testbed: &Testbed) -> Result<Self> {
        let home = Home::new(&testbed.data)?;
        Ok(Self { home })
    }

    fn file(&self) -> PathBuf {
        self.home.path().join("messages.db")
    }

    fn kept(&self) -> PathBuf {
        self.home.path().join("kept.db")
    }

    fn try_load(&self) -> rusqlite::Result<Duration> {
        let from = Connection::open(self.kept())?;
        let mut to = Connection::open(self.file())?;
        to.execute_batch(SQLITE_SETTINGS)?;
        let mut rows = from.prepare(&format!("SELECT {COLUMNS} FROM messages ORDER BY id"))?;
        let mut rows = rows.query([])?;
        let mut took = Duration::ZERO;
        loop {
            let mut batch: Vec<Vec<Value>> = Vec::new();
            while batch.len() < BATCH
                && let Some(row) = rows.next()?
            {
                batch.push((0..12).map(|it| row.get(it)).collect::<Result<_, _>>()?);
            }
            if batch.is_empty() {
                return Ok(took);
            }
            // Reading them is not what is measured.
            let begun = Instant::now();
            insert(&mut to, &batch)?;
            took += begun.elapsed();
        }
    }
}

fn insert(to: &mut Connection, rows: &[Vec<Value>]) -> rusqlite::Result<()> {
    let transaction = to.transaction()?;
    let values = "?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12";
    let statement = format!("INSERT INTO messages ({COLUMNS}) VALUES ({values})");
    let mut statement = transaction.prepare_cached(&statement)?;
    for row in rows {
        statement.execute(params_from_iter(row))?;
    }
    drop(statement);
    transaction.commit()
}

impl Target for Sqlite {
    fn name(&self) -> &'static str {
        "SQLite"
    }

    fn url(&self) -> String {
        format!("sqlite:{}", self.file().display())
    }

    fn renew(&self, testbed: &Testbed) -> Result<()> {
        for ending in ["", "-wal", "-shm"] {
            // The others are there only while it is open.
            let _ = std::fs::remove_file(format!("{}{ending}", self.file().display()));
        }
        make_table(testbed, &self.url(), self.home.path())
    }

    fn keep(&self) -> Result<()> {
        // Closed, it is one file; whoever opens it takes over what its log still holds.
        let closed = Connection::open(self.file())
            .and_then(|it| it.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(())));
        closed.context(SQLITE)?;
        std::fs::rename(self.file(), self.kept()).context("keeping the rows")
    }

    fn load(&self) -> Result<Duration> {
        self.try_load().context(SQLITE)
    }

    fn totals(&self) -> Result<[u64; 2]> {
        let query = "SELECT COUNT(*), COUNT(*) FILTER (WHERE status = 'DELIVERED') FROM messages";
        let totals = Connection::open(self.file())
            .and_then(|it| it.query_row(query, [], |row| Ok([row.get::<_, i64>(0)?, row.get(1)?])));
        Ok(totals.context(SQLITE)?.map(i64::cast_unsigned))
    }
}

/// A database at a server.
#[derive(Debug)]
pub(super) struct AtServer<'a> {
    pub(super) server: &'a Server,
    home: Home,
}

impl<'a> AtServer<'a> {
    pub(super) fn new(testbed: &Testbed, server: &'a Server) -> Result<Self> {
        let home = Home::new(&testbed.data)?;
        Ok(Self { server, home })
    }

    fn kept(&self) -> PathBuf {
        self.home.path().join("rows.tsv")
    }
}

/// The columns, for a server: one of them is a word of its language.
fn quoted() -> String {
    COLUMNS.replace("timestamp", "`timestamp`")
}

impl Target for AtServer<'_> {
    fn name(&self) -> &'static str {
        "MariaDB/MySQL"
    }

    fn url(&self) -> String {
        self.server.url().to_owned()
    }

    fn renew(&self, testbed: &Testbed) -> Result<()> {
        self.server.clear()?;
        make_table(testbed, &self.url(), self.home.path())
    }

    fn keep(&self) -> Result<()> {
        let file = File::create(self.kept()).context("keeping the rows")?;
        let query = format!("SELECT {} FROM messages ORDER BY id", quoted());
        // The client escapes its lines as a bulk load reads them; no column is NULL here.
        self.server.query_into(&query, file)
    }

    fn load(&self) -> Result<Duration> {
        let file = self.kept();
        let statement = format!(
            "LOAD DATA LOCAL INFILE '{}' INTO TABLE messages CHARACTER SET utf8mb4 ({})",
            file.display(),
            quoted()
        );
        let begun = Instant::now();
        self.server.query(&statement)?;
        Ok(begun.elapsed())
    }

    fn totals(&self) -> Result<[u64; 2]> {
        let query =
            "SELECT COUNT(*), COUNT(CASE WHEN status = 'DELIVERED' THEN 1 END) FROM messages";
        let answer = self.server.query(query)?;
        let mut numbers = answer.split_whitespace().map(str::parse);
        match [numbers.next(), numbers.next()] {
            [Some(Ok(rows)), Some(Ok(delivered))] => Ok([rows, delivered]),
            _ => bail!("the server counts {answer:?}"),
        }
    }
}

/// Has the engine make its table.
fn make_table(testbed: &Testbed, url: &str, folder: &Path) -> Result<()> {
    let output = Command::new(&testbed.engine)
        .args(["schema", "apply"])
        .env("FLIPPED_LB_STORE_URL", url)
        .env("FLIPPED_LB_DATA_DIR", folder)
        .current_dir(folder)
        .output()
        .context("running flipped-lb schema apply")?;
    checked(&output, || "flipped-lb schema apply failed".into())
}
