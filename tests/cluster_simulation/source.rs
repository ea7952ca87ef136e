//! A source: sends its orders in their order to whoever serves, and again what was not acknowledged.

use crate::batches::{Order, order};

/// Orders that a source has under way at most.
const WINDOW: u64 = 6;

/// A connection: the member, its run, and how often it had closed all.
pub type Connection = (usize, u64, u64);

#[derive(Debug)]
pub struct Source {
    index: usize,
    count: u64,
    pub connection: Option<Connection>,
    sent: u64,
    acknowledged: u64,
}

impl Source {
    pub fn new(index: usize, count: u64) -> Self {
        Self {
            index,
            count,
            connection: None,
            sent: 0,
            acknowledged: 0,
        }
    }

    /// A new connection: what is not acknowledged is sent again.
    pub fn connect(&mut self, connection: Connection) {
        self.connection = Some(connection);
        self.sent = self.acknowledged;
    }

    /// The next order to be sent.
    pub fn next(&mut self) -> Option<Order> {
        let may_send = self.sent < self.count.min(self.acknowledged + WINDOW);
        may_send.then(|| {
            self.sent += 1;
            order(self.index, self.sent - 1)
        })
    }

    /// The order that is to be acknowledged next.
    pub fn awaited(&self) -> Option<Order> {
        (self.acknowledged < self.sent).then(|| order(self.index, self.acknowledged))
    }

    pub fn acknowledge(&mut self) {
        self.acknowledged += 1;
    }

    pub fn is_done(&self) -> bool {
        self.acknowledged == self.count
    }
}
