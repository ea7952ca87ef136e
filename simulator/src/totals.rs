//! What was sent, counted: plain totals for the core, and their shared copy for whoever watches.
//!
//! `outbox` and `stream` count into [`Totals`]; the server's thread publishes them after each
//! write; [`crate::Handle`] and the command read them. A line counts once it is wholly in the
//! socket.

use std::ops::AddAssign;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use crate::malformed::Reason;
use crate::orders::LineKind;

/// What one server, or all of them, sent. Lines, unless said otherwise.
///
/// `valid + duplicates + malformed_total() + resent = lines()`: all lines written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Valid frames with distinct ids, each at its first sending.
    pub valid: u64,
    /// Deliberate repetitions of earlier frames.
    pub duplicates: u64,
    /// Deliberately malformed lines at their first sending, in the order of [`Reason::ALL`].
    pub malformed: [u64; Reason::COUNT],
    /// Lines sent again after a reconnect because they were not acknowledged; of any kind.
    pub resent: u64,
    /// How many of the lines sent again are malformed: the engine may have counted them twice.
    pub resent_malformed: u64,
    /// Lines that the peer acknowledged, each once.
    pub acknowledged: u64,
    /// Acknowledgements of more lines than were sent on that connection: the peer is wrong.
    pub wrong_acknowledgements: u64,
    /// Connections served; all but each server's first are reconnects.
    pub connections: u64,
    /// Connections after a server's first.
    pub reconnects: u64,
    /// Connections that this side dropped on purpose.
    pub cuts: u64,
    /// Bytes written, torn lines included.
    pub bytes: u64,
}

impl Totals {
    /// Malformed lines of one reason.
    #[must_use]
    pub fn malformed(&self, reason: Reason) -> u64 {
        self.malformed[reason as usize]
    }

    /// Malformed lines of all reasons.
    #[must_use]
    pub fn malformed_total(&self) -> u64 {
        self.malformed.iter().sum()
    }

    /// All lines wholly written.
    #[must_use]
    pub fn lines(&self) -> u64 {
        self.valid + self.duplicates + self.malformed_total() + self.resent
    }

    #[inline]
    pub(crate) fn count_first(&mut self, kind: LineKind) {
        match kind {
            LineKind::Valid => self.valid += 1,
            LineKind::Duplicate => self.duplicates += 1,
            LineKind::Malformed(reason) => self.malformed[reason as usize] += 1,
        }
    }

    pub(crate) fn count_again(&mut self, kind: LineKind) {
        self.resent += 1;
        self.resent_malformed += u64::from(matches!(kind, LineKind::Malformed(_)));
    }

    pub(crate) fn count_connection(&mut self) {
        self.reconnects += u64::from(self.connections > 0);
        self.connections += 1;
    }

    fn to_array(self) -> [u64; FIELDS] {
        let mut array = [0; FIELDS];
        let (malformed, rest) = array.split_at_mut(Reason::COUNT);
        malformed.copy_from_slice(&self.malformed);
        rest.copy_from_slice(&[
            self.valid,
            self.duplicates,
            self.resent,
            self.resent_malformed,
            self.acknowledged,
            self.wrong_acknowledgements,
            self.connections,
            self.reconnects,
            self.cuts,
            self.bytes,
        ]);
        array
    }

    fn from_array(array: [u64; FIELDS]) -> Self {
        let [
            m0,
            m1,
            m2,
            m3,
            m4,
            m5,
            m6,
            m7,
            valid,
            duplicates,
            resent,
            resent_malformed,
            rest @ ..,
        ] = array;
        let [
            acknowledged,
            wrong_acknowledgements,
            connections,
            reconnects,
            cuts,
            bytes,
        ] = rest;
        Self {
            valid,
            duplicates,
            malformed: [m0, m1, m2, m3, m4, m5, m6, m7],
            resent,
            resent_malformed,
            acknowledged,
            wrong_acknowledgements,
            connections,
            reconnects,
            cuts,
            bytes,
        }
    }
}

const FIELDS: usize = Reason::COUNT + 10;

impl AddAssign for Totals {
    fn add_assign(&mut self, other: Self) {
        let mut sums = self.to_array();
        for (sum, value) in sums.iter_mut().zip(other.to_array()) {
            *sum += value;
        }
        *self = Self::from_array(sums);
    }
}

/// One server's totals as other threads see them.
#[derive(Debug, Default)]
pub(crate) struct Published {
    fields: [AtomicU64; FIELDS],
    connected: AtomicBool,
    finished: AtomicBool,
}

impl Published {
    /// Called by the server's thread only. Each field is exact; together they are exact once the
    /// server has finished or stopped.
    pub(crate) fn publish(&self, totals: &Totals, connected: bool) {
        for (field, value) in self.fields.iter().zip(totals.to_array()) {
            field.store(value, Ordering::Relaxed);
        }
        self.connected.store(connected, Ordering::Relaxed);
    }

    /// All that was to be sent has been sent (and acknowledged, where that is asked for).
    pub(crate) fn finish(&self) {
        // Release: pairs with the Acquire in `is_finished`, so that totals read after it are final.
        self.finished.store(true, Ordering::Release);
    }

    pub(crate) fn is_finished(&self) -> bool {
        // Acquire: pairs with the Release in `finish`.
        self.finished.load(Ordering::Acquire)
    }

    pub(crate) fn is_connected(&self) -> bool {
        self.connected.load(Ordering::Relaxed)
    }

    pub(crate) fn snapshot(&self) -> Totals {
        let mut array = [0; FIELDS];
        for (value, field) in array.iter_mut().zip(&self.fields) {
            *value = field.load(Ordering::Relaxed);
        }
        Totals::from_array(array)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_snapshot_gives_back_what_was_published_and_sums_add_each_field() {
        let mut array = [0; FIELDS];
        array
            .iter_mut()
            .enumerate()
            .for_each(|(n, value)| *value = n as u64 + 1);
        let totals = Totals::from_array(array);
        let published = Published::default();
        published.publish(&totals, true);
        assert_eq!(published.snapshot(), totals);
        let mut double = totals;
        double += totals;
        assert_eq!(double.to_array(), array.map(|value| 2 * value));
    }
}
