//! MySQL 8 and MariaDB, over the network.
//!
//! Fed by the follower, through [`Store`]; read by anybody with a client. It does not wait and does
//! not retry: it says whether an error may pass, drops the connection after any of them, and makes a
//! new one when it is asked again.
//!
//! ```text
//! transaction | lock the position | rows | settlements | move the position | commit |
//! rows        LOAD DATA LOCAL from memory, all in one, written while the server reads; where that
//!             is not allowed, or the server has a doubt about a row: INSERT of many rows, halved
//!             until the rows that it refuses stand alone
//! settlements into a table of this connection, then one UPDATE by primary key; where the account may
//!             not make it, an UPDATE that names the rows; halved as rows are
//! ```
//!
//! The position's row shows whether somebody else wrote there (`ownership.rs`). It is locked first: a
//! transaction that an earlier connection left has ended when the lock is given, and what it committed is
//! seen. In a group that shares the database it holds the term besides, under which the member that serves
//! writes; sessions end after a silence, so that nothing that a stopped member has locked outlives its term
//! for long. `id` is the engine's own base plus the
//! sequence, so that several engines share one table and a settlement finds its row by primary key.

mod connection;
mod fault;
mod ids;
mod inserting;
mod load;
mod partitions;
mod reader;
mod removing;
mod schema;
mod session;
mod settling;
mod text;

#[cfg(test)]
mod speed;
#[cfg(test)]
mod term_tests;

use std::fmt;
use std::time::{Duration, Instant};

use mysql::Error;

use super::keep::{Removal, Removed};
use super::ownership::{ForeignWrite, Ownership, PositionError};
use super::repeats::Repeats;
use super::rows::Rows;
use super::schema::{in_words, lacks_table};
use super::tenure::Tenure;
use super::unstored::{UnstoredLog, unwritable};
use super::{Applied, Store, StoreError, Totals};
use crate::journal::format::Position;
use crate::limits::{STORE_MAKE_AGAIN, STORE_SERVER_REST_US};
use crate::message::Sequence;

pub(crate) use connection::{Access, PASSWORD_VARIABLE};
pub(crate) use reader::MySqlReader;
pub(crate) use schema::{MySqlSchema, known as schema_version};

use connection::Refusal;
use session::Session;

const LOAD_FORM: &str = r"CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\t' ESCAPED BY '\\'
    LINES TERMINATED BY '\n'";

/// Between two pieces of a transaction.
const REST: Duration = Duration::from_micros(STORE_SERVER_REST_US);

/// A database at a server.
pub(crate) struct MySqlStore {
    access: Access,
    /// Whose position this store keeps.
    node: String,
    /// Whether database and tables are made where they are not there.
    create: bool,
    unstored: UnstoredLog,
    session: Option<Session>,
    ownership: Ownership,
    repeats: Repeats,
    /// What the ids of this engine count from, once it is known.
    id_base: Option<u64>,
    /// Since when tables are not there.
    absent_since: Option<Instant>,
    /// It was logged that the bulk load is not allowed.
    has_told_insert: bool,
    /// When the session was used last.
    used: Instant,
}

impl fmt::Debug for MySqlStore {
    // The driver's connection would print its options, and with them the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlStore")
            .field("access", &self.access)
            .field("node", &self.node)
            .field("ownership", &self.ownership)
            .finish_non_exhaustive()
    }
}

/// Why a piece of work was not done.
#[derive(Debug)]
enum Failed {
    /// The server, or the way there.
    Server(Error),
    /// There is no connection.
    Refused(Refusal),
    /// The position's row is not this store's.
    Position(PositionError),
    /// What the server refuses cannot be kept aside.
    Unstored(std::io::Error),
    /// The table's partitions cannot be changed.
    Partitions(Error),
    /// A table is not there.
    Absent(String),
    /// The tables are not as they should be.
    Schema(String),
}

impl Failed {
    /// Whether there is no database, or no table.
    fn is_absent(&self) -> bool {
        match self {
            Self::Server(error) => fault::is_absent(error),
            Self::Absent(_) => true,
            _ => false,
        }
    }
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Server(error)
    }
}

impl From<PositionError> for Failed {
    fn from(error: PositionError) -> Self {
        Self::Position(error)
    }
}

impl From<ForeignWrite> for Failed {
    fn from(foreign: ForeignWrite) -> Self {
        Self::Position(foreign.into())
    }
}

impl From<Refusal> for Failed {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Server(error) => Self::Server(error),
            refusal => Self::Refused(refusal),
        }
    }
}

impl MySqlStore {
    /// A store that connects when it is first asked: the server may be down now.
    #[must_use]
    pub(crate) fn new(access: Access, node: &str, create: bool, unstored: UnstoredLog) -> Self {
        Self {
            access,
            node: node.to_owned(),
            create,
            unstored,
            session: None,
            ownership: Ownership::default(),
            repeats: Repeats::default(),
            id_base: None,
            absent_since: None,
            has_told_insert: false,
            used: Instant::now(),
        }
    }

    /// The same in a term of the group with which it shares the database; the node is the group's.
    #[must_use]
    pub(crate) fn in_term(mut self, tenure: &Tenure) -> Self {
        self.access = self.access.ending_after(tenure.silence);
        self.ownership = Ownership::in_term(tenure.term);
        self
    }

    /// The session, if the server may still have it.
    fn take_session(&mut self) -> Option<Session> {
        let mut session = self.session.take()?;
        let is_fresh = (self.access.silence()).is_none_or(|it| self.used.elapsed() < it / 2);
        (is_fresh || session.connection.ping().is_ok()).then_some(session)
    }

    /// Does a piece of work on a connection; after an error that is dropped, and with it the
    /// transaction.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Session, &mut Ownership, &mut UnstoredLog) -> Result<T, Failed>,
    ) -> Result<T, StoreError> {
        let mut session = match self.take_session() {
            Some(session) => session,
            None => self.open().map_err(|it| self.explain(it))?,
        };
        let done = work(&mut session, &mut self.ownership, &mut self.unstored);
        let done = done.map_err(|it| self.explain(it))?;
        self.id_base = Some(session.id_base);
        self.absent_since = None;
        self.session = Some(session);
        self.used = Instant::now();
        Ok(done)
    }

    fn open(&mut self) -> Result<Session, Failed> {
        let session = match self.try_open() {
            Err(failed) if self.create && failed.is_absent() && self.may_make() => {
                let done = MySqlSchema::new(self.access.clone())
                    .make()
                    .map_err(|it| Failed::Schema(it.words().to_owned()))?;
                for line in done {
                    tracing::info!("{}: {line}", self.access.place());
                }
                self.try_open()
            }
            opened => opened,
        }?;
        if !session.loads() && !self.has_told_insert {
            self.has_told_insert = true;
            let why = match session.facts.local_infile {
                true => "the server logs statements (binlog_format)",
                false => "LOAD DATA LOCAL is switched off at the server (local_infile)",
            };
            tracing::info!(
                "{}: {why}: rows go by INSERT, which is slower",
                self.access.place()
            );
        }
        Ok(session)
    }

    /// Whether tables that are not there are to be made: at once where there were none before.
    fn may_make(&mut self) -> bool {
        let since = self.absent_since.get_or_insert_with(Instant::now);
        self.id_base.is_none() || since.elapsed() >= STORE_MAKE_AGAIN
    }

    fn try_open(&mut self) -> Result<Session, Failed> {
        let mut connection = self.access.connect(true)?;
        let has_term = self.ownership.has_term();
        let problems = schema::problems(&mut connection, self.access.database(), has_term)?;
        if lacks_table(&problems) {
            return Err(Failed::Absent(in_words(&problems)));
        }
        if !problems.is_empty() {
            return Err(Failed::Schema(in_words(&problems)));
        }
        Session::begin(connection, &self.node, self.id_base, &mut self.ownership)
    }

    fn explain(&self, failed: Failed) -> StoreError {
        let place = self.access.place();
        let grants = match self.create {
            true => self.access.schema_grants(),
            false => self.access.store_grants(),
        };
        StoreError::Transient(match failed {
            Failed::Position(error) => return error.explain(&place, &self.node),
            Failed::Server(error) | Failed::Refused(Refusal::Server(error)) => {
                format!("{place}: {}", self.access.words(&error, &grants))
            }
            Failed::Partitions(error) => {
                let grants = self.access.partition_grants();
                format!("{place}: {}", self.access.words(&error, &grants))
            }
            Failed::Refused(Refusal::Password(words)) => words,
            Failed::Unstored(error) => unwritable(&error),
            Failed::Absent(words) | Failed::Schema(words) => format!("{place}: {words}"),
        })
    }
}

impl Store for MySqlStore {
    fn position(&mut self) -> Result<Position, StoreError> {
        self.with(|session, ownership, _| session.position(ownership))
    }

    fn apply(&mut self, rows: &Rows, upto: Position) -> Result<Applied, StoreError> {
        let known = self.ownership.position();
        let mut repeats = std::mem::take(&mut self.repeats);
        let applied =
            self.with(
                |session, ownership, unstored| match (known, ownership.position()) {
                    (Some(known), Some(found)) if known != found => {
                        Err(PositionError::WentBack(found).into())
                    }
                    _ => session.write(rows, upto, ownership, unstored, &mut repeats),
                },
            );
        self.repeats = repeats;
        applied
    }

    fn last_sequence(&mut self) -> Result<Option<Sequence>, StoreError> {
        self.with(|session, _, _| Ok(session.last_sequence()?))
    }

    fn remove(&mut self, removal: &Removal) -> Result<Removed, StoreError> {
        self.with(|session, ownership, _| session.remove(removal, ownership))
    }

    fn totals(&mut self) -> Result<Totals, StoreError> {
        self.with(|session, _, _| Ok(session.totals()?))
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.session = None;
        Ok(())
    }
}
