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
//! settlements into a table of this connection, then one UPDATE by primary key
//! ```
//!
//! The position's row is locked first: whatever an earlier connection left under way has ended when
//! the lock is given, and what it committed is seen. `id` is the engine's own base plus the
//! sequence, so that several engines share one table and a settlement finds its row by primary key.

mod connection;
mod fault;
mod load;
mod reader;
mod schema;
mod session;
mod text;

#[cfg(test)]
mod speed;

use std::fmt;
use std::time::Duration;

use mysql::Error;

use super::rows::Rows;
use super::schema::{Schema as _, in_words};
use super::unstored::UnstoredLog;
use super::{Applied, Store, StoreError, Totals};
use crate::journal::record::Position;
use crate::limits::STORE_SERVER_REST_US;
use crate::message::Sequence;

pub use connection::{Access, PASSWORD_VARIABLE};
pub use reader::MySqlReader;
pub use schema::MySqlSchema;

use connection::Refusal;
use session::Session;

/// Between two pieces of a transaction.
const REST: Duration = Duration::from_micros(STORE_SERVER_REST_US);

/// A database at a server.
pub struct MySqlStore {
    access: Access,
    /// Whose position this store keeps.
    node: String,
    /// Whether database and tables are made where they are not there.
    create: bool,
    unstored: UnstoredLog,
    session: Option<Session>,
    /// Where this store left the position, or found it; `None`: not known.
    known: Option<Position>,
    /// It was told that the bulk load is not allowed.
    has_told_insert: bool,
}

impl fmt::Debug for MySqlStore {
    // The driver's connection would print its options, and with them the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MySqlStore")
            .field("access", &self.access)
            .field("node", &self.node)
            .field("known", &self.known)
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
    /// Somebody else moved the position, or an earlier try of ours has arrived after all.
    Moved(Position),
    /// What the server refuses cannot be kept aside.
    Unstored(std::io::Error),
    /// The tables are not as they should be.
    Schema(String),
}

impl From<Error> for Failed {
    fn from(error: Error) -> Self {
        Self::Server(error)
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
    pub fn new(access: Access, node: &str, create: bool, unstored: UnstoredLog) -> Self {
        Self {
            access,
            node: node.to_owned(),
            create,
            unstored,
            session: None,
            known: None,
            has_told_insert: false,
        }
    }

    /// Does a piece of work on a connection; after an error that is dropped, and with it the
    /// transaction.
    fn with<T>(
        &mut self,
        work: impl FnOnce(&mut Session, &mut UnstoredLog) -> Result<T, Failed>,
    ) -> Result<T, StoreError> {
        let mut session = match self.session.take() {
            Some(session) => session,
            None => self.open().map_err(|it| self.explain(it))?,
        };
        let done = work(&mut session, &mut self.unstored).map_err(|it| self.explain(it))?;
        self.session = Some(session);
        Ok(done)
    }

    fn open(&mut self) -> Result<Session, Failed> {
        let session = match self.try_open() {
            Err(Failed::Server(error)) if self.create && fault::is_absent(&error) => {
                let done = MySqlSchema::new(self.access.clone())
                    .apply()
                    .map_err(|it| Failed::Schema(it.to_string()))?;
                for line in done {
                    tracing::info!("{}: {line}", self.access.place());
                }
                self.try_open()
            }
            opened => opened,
        }?;
        if !session.loads() && !self.has_told_insert {
            self.has_told_insert = true;
            tracing::info!(
                "{}: LOAD DATA LOCAL is switched off at the server (local_infile): rows go by \
                 INSERT, which is slower",
                self.access.place()
            );
        }
        Ok(session)
    }

    fn try_open(&self) -> Result<Session, Failed> {
        let mut connection = self.access.connect(true)?;
        let problems = schema::problems(&mut connection, self.access.database())?;
        let is_new = problems
            .iter()
            .any(|it| it.what.contains("no table messages"));
        if is_new && self.create {
            let absent = mysql::MySqlError {
                state: "42S02".to_owned(),
                message: "there is no table messages".to_owned(),
                code: 1146,
            };
            return Err(Error::MySqlError(absent).into());
        }
        if !problems.is_empty() {
            return Err(Failed::Schema(in_words(&problems)));
        }
        Ok(Session::begin(connection, &self.node)?)
    }

    fn explain(&self, failed: Failed) -> StoreError {
        let place = self.access.place();
        match failed {
            Failed::Server(error) if fault::is_repeated(&error) => StoreError::Permanent(format!(
                "{place}: {error}; it holds other messages under these ids, so it followed another \
                 journal as \"{}\": set [store] node to a new name",
                self.node
            )),
            Failed::Server(error) | Failed::Refused(Refusal::Server(error)) => {
                StoreError::Transient(format!("{place}: {}", fault::words(&error)))
            }
            Failed::Refused(Refusal::Password(words)) => StoreError::Transient(words),
            Failed::Moved(found) => StoreError::Transient(format!(
                "{place}: the position of \"{}\" was moved to {found} meanwhile",
                self.node
            )),
            Failed::Unstored(error) => StoreError::Transient(format!(
                "{} in the data directory cannot be written: {error}; check its disk",
                super::unstored::UNSTORED_FILE
            )),
            Failed::Schema(words) => StoreError::Transient(format!("{place}: {words}")),
        }
    }
}

impl Store for MySqlStore {
    fn position(&mut self) -> Result<Position, StoreError> {
        let position = self.with(|session, _| Ok(session.position()?))?;
        self.known = Some(position);
        Ok(position)
    }

    fn apply(&mut self, rows: &Rows, upto: Position) -> Result<Applied, StoreError> {
        let known = self.known;
        let applied = self.with(|session, unstored| {
            let mut applied = session.write(rows, known, unstored)?;
            applied.settled += session.settle(rows.updates(), rows.pace())?;
            session.commit(upto)?;
            Ok(applied)
        })?;
        self.known = Some(upto);
        Ok(applied)
    }

    fn last_sequence(&mut self) -> Result<Option<Sequence>, StoreError> {
        self.with(|session, _| Ok(Some(session.last_sequence()?)))
    }

    fn totals(&mut self) -> Result<Totals, StoreError> {
        self.with(|session, _| Ok(session.totals()?))
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.session = None;
        Ok(())
    }
}
