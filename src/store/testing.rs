//! For tests only: a journal in memory, and a database that fails when told to.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use rustix::process::getpriority_process;

use super::rows::Rows;
use super::sqlite::SqliteStore;
use super::{Applied, Removal, Removed, Store, StoreError, Totals};
use crate::config;
use crate::journal::format::Position;
use crate::journal::reader::Reader;
use crate::journal::testing::Memory;

/// Small segments, so that tests roll them.
pub(crate) const SEGMENT: u64 = 8 * 1024;

pub(crate) fn settings(batch_rows: usize, batch_ms: u64) -> config::Store {
    config::Store {
        url: config::StoreUrl::Sqlite(None),
        batch_rows,
        batch_time: Duration::from_millis(batch_ms),
        ..config::Store::default()
    }
}

pub(crate) fn reader(memory: &Memory) -> Reader<Memory> {
    Reader::new(memory.clone(), SEGMENT, 0)
}

/// All that stands in the journal from a position on, as one transaction, and where it ends.
pub(crate) fn gather(memory: &Memory, from: Position) -> (Rows, Position) {
    let mut reader = Reader::new(memory.clone(), SEGMENT, from);
    let mut rows = Rows::default();
    while let Some(batch) = reader.next(Position::MAX).expect("a whole journal") {
        rows.take(&batch);
    }
    (rows, reader.position())
}

/// What happens to the next transactions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The database does not answer.
    Down,
    /// It commits, but the answer is lost.
    AnswerLost,
    /// It says no for good.
    Refused,
    /// Another member of the group writes there.
    TermOver,
    /// It takes rows, and removes none.
    NoDelete,
    /// Its disk has room for so many rows and updates at once.
    RoomFor(usize),
}

/// A SQLite database behind a connection that fails as it is told to.
#[derive(Debug, Clone)]
pub(crate) struct Faulty {
    pub(crate) inner: Arc<Mutex<SqliteStore>>,
    pub(crate) fault: Arc<Mutex<Option<Fault>>>,
    /// Priorities of the threads that asked for its position first, and wrote last.
    pub(crate) priorities: Arc<Mutex<(Option<i32>, Option<i32>)>>,
}

impl Faulty {
    pub(crate) fn new(inner: SqliteStore) -> Self {
        Self {
            inner: Arc::new(Mutex::new(inner)),
            fault: Arc::default(),
            priorities: Arc::default(),
        }
    }

    pub(crate) fn set(&self, fault: Option<Fault>) {
        *self.fault.lock().expect("no panic under the lock") = fault;
    }

    fn fault(&self) -> Option<Fault> {
        *self.fault.lock().expect("no panic under the lock")
    }

    fn fail(&self) -> Result<(), StoreError> {
        match self.fault() {
            Some(Fault::Down) => Err(StoreError::Transient("down".to_owned())),
            Some(Fault::TermOver) => Err(StoreError::TermOver("over".to_owned())),
            Some(Fault::Refused) => Err(StoreError::Permanent("no".to_owned())),
            Some(Fault::AnswerLost | Fault::NoDelete | Fault::RoomFor(_)) | None => Ok(()),
        }
    }
}

impl Store for Faulty {
    fn position(&mut self) -> Result<Position, StoreError> {
        self.fail()?;
        let mut priorities = self.priorities.lock().expect("no panic under the lock");
        priorities.0 = priorities.0.or(getpriority_process(None).ok());
        drop(priorities);
        self.inner
            .lock()
            .expect("no panic under the lock")
            .position()
    }

    fn apply(&mut self, rows: &Rows, upto: Position) -> Result<Applied, StoreError> {
        self.fail()?;
        if matches!(self.fault(), Some(Fault::RoomFor(count)) if rows.len() > count) {
            return Err(StoreError::NoRoom("no room".to_owned()));
        }
        let mut priorities = self.priorities.lock().expect("no panic under the lock");
        priorities.1 = getpriority_process(None).ok();
        drop(priorities);
        let applied = self
            .inner
            .lock()
            .expect("no panic under the lock")
            .apply(rows, upto)?;
        match self.fault() {
            Some(Fault::AnswerLost) => Err(StoreError::Transient("connection lost".to_owned())),
            _ => Ok(applied),
        }
    }

    fn remove(&mut self, removal: &Removal) -> Result<Removed, StoreError> {
        self.fail()?;
        match self.fault() {
            Some(Fault::NoDelete) => Err(StoreError::Transient("DELETE denied".to_owned())),
            _ => self
                .inner
                .lock()
                .expect("no panic under the lock")
                .remove(removal),
        }
    }

    fn totals(&mut self) -> Result<Totals, StoreError> {
        self.inner.lock().expect("no panic under the lock").totals()
    }

    fn close(&mut self) -> Result<(), StoreError> {
        self.inner.lock().expect("no panic under the lock").close()
    }
}
