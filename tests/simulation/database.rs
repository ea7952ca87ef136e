//! The simulated database: rows and position in transactions that are whole or not at all, behind a
//! connection that fails.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use flipped_lb::journal::format::Position;
use flipped_lb::store::rows::Rows;
use flipped_lb::store::{Applied, Store, StoreError, Totals};

use crate::dice::Dice;
use crate::heap::{Outside, outside};
use crate::history::{Event, MessageId};
use crate::plan::Faults;
use crate::script::message_of;
use crate::tally::Tally;
use crate::time::Time;

/// A database that went down is back after this long at most, in ns.
const DOWN_NS_MAX: u64 = 3_000_000_000;

/// One row.
#[derive(Debug, Clone, Copy)]
pub struct Row {
    pub message: MessageId,
    pub is_delivered: bool,
}

#[derive(Debug)]
struct State {
    time: Time,
    faults: Faults,
    dice: Dice,
    tally: Tally,
    rows: BTreeMap<u64, Row>,
    position: Position,
    down_until_ns: u64,
    /// Transactions until the engine dies within one.
    dies_in: Option<usize>,
    is_dead: bool,
    events: Vec<Event>,
}

/// The database; clones share it.
#[derive(Debug, Clone)]
pub struct Database(Arc<Mutex<State>>);

impl Database {
    /// An empty one.
    pub fn new(time: Time, faults: Faults, dice: Dice, tally: Tally) -> Self {
        Self(Arc::new(Mutex::new(State {
            time,
            faults,
            dice,
            tally,
            rows: BTreeMap::new(),
            position: 0,
            down_until_ns: 0,
            dies_in: None,
            is_dead: false,
            events: Vec::new(),
        })))
    }

    fn state(&self) -> Outside<MutexGuard<'_, State>> {
        outside(self.0.lock().expect("one thread, and no panic in here"))
    }

    /// From now on these things go wrong.
    pub fn trouble(&self, faults: Faults) {
        self.state().faults = faults;
    }

    /// From now on nothing goes wrong.
    pub fn calm(&self) {
        let state = &mut *self.state();
        state.faults = Faults::default();
        state.dies_in = None;
        state.down_until_ns = 0;
    }

    /// The engine dies within one of the next transactions.
    pub fn die_soon(&self) {
        let state = &mut *self.state();
        state.dies_in = Some(state.dice.skewed(16));
    }

    /// Whether the engine died within a transaction.
    pub fn is_dead(&self) -> bool {
        self.state().is_dead
    }

    /// A new engine connects.
    pub fn restart(&self) {
        let state = &mut *self.state();
        state.is_dead = false;
        state.dies_in = None;
    }

    /// What was committed since it was asked last.
    pub fn events(&self) -> Vec<Event> {
        std::mem::take(&mut self.state().events)
    }

    /// All rows.
    pub fn rows(&self) -> Vec<Row> {
        self.state().rows.values().copied().collect()
    }
}

impl State {
    fn ask(&mut self) -> Result<(), StoreError> {
        let now_ns = self.time.ns();
        if self.dice.chance(self.faults.database_down) {
            self.down_until_ns = now_ns + self.dice.long(0..=DOWN_NS_MAX);
        }
        if self.is_dead || now_ns < self.down_until_ns {
            self.tally.met("database down");
            return Err(StoreError::Transient("no connection".to_owned()));
        }
        Ok(())
    }

    fn apply(&mut self, rows: &Rows, upto: Position) -> Result<Applied, StoreError> {
        self.ask()?;
        if let Some(left) = &mut self.dies_in {
            *left -= 1;
            self.is_dead = *left == 0;
        }
        let lost = || StoreError::Transient("the connection was lost".to_owned());
        // Between rows and position the database takes all of it back.
        if self.is_dead && self.dice.flip() {
            return Err(lost());
        }
        let applied = self.commit(rows, upto);
        if self.is_dead || self.dice.chance(self.faults.answer_lost) {
            self.tally.met("database answer lost");
            return Err(lost());
        }
        Ok(applied)
    }

    fn commit(&mut self, rows: &Rows, upto: Position) -> Applied {
        let mut applied = Applied::default();
        for row in rows.iter() {
            let id = row.record.message_id().value();
            let Some(message) = message_of(&id) else {
                let what = format!("row {} has no message", row.sequence);
                self.events.push(Event::Nonsense(what));
                continue;
            };
            let sequence = row.sequence;
            let is_delivered = row.settled_us.is_some();
            let row = Row {
                message,
                is_delivered,
            };
            self.rows.insert(sequence, row);
            self.events.push(Event::Row { sequence, message });
            applied.inserted += 1;
            if is_delivered {
                applied.settled += 1;
                self.events.push(Event::RowDelivered { sequence });
            }
        }
        for update in rows.updates() {
            let sequence = update.sequence;
            self.events.push(Event::RowDelivered { sequence });
            if let Some(row) = self.rows.get_mut(&sequence) {
                applied.settled += u64::from(!row.is_delivered);
                row.is_delivered = true;
            }
        }
        self.position = upto;
        applied
    }
}

impl Store for Database {
    fn position(&mut self) -> Result<Position, StoreError> {
        let state = &mut *self.state();
        state.ask()?;
        Ok(state.position)
    }

    fn apply(&mut self, rows: &Rows, upto: Position) -> Result<Applied, StoreError> {
        self.state().apply(rows, upto)
    }

    fn totals(&mut self) -> Result<Totals, StoreError> {
        let state = self.state();
        Ok(Totals {
            rows: state.rows.len() as u64,
            delivered: state.rows.values().filter(|it| it.is_delivered).count() as u64,
        })
    }

    fn close(&mut self) -> Result<(), StoreError> {
        Ok(())
    }
}
