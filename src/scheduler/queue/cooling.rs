//! Cooling and warming: how messages go into the cellar and come out of it.
//!
//! The part of [`Queues`] that knows what may go: the front of a lane, in its order, as far as no
//! message can be put before it any more. Nothing here changes what goes next.

use super::cold::{Cellar, ColdMessage, Holder, Kind};
use super::lane::window_start;
use super::links::Node;
use super::{Pick, Queues, bits};
use crate::message::DestinationIndex;

/// Hot messages in front of a cold one that ages: so many of them are chilled for it at once.
const CHILLED_PER_MOVE: usize = 2;

impl Queues {
    /// Moves what waits for a destination into the cellar, at most `limit` messages: those that are
    /// older than the window of timestamps, and whose holder lets them go. Returns their number.
    pub fn chill(
        &mut self,
        destination: DestinationIndex,
        now_ms: u64,
        limit: usize,
        holder: &mut impl Holder,
    ) -> usize {
        self.now_ms = self.now_ms.max(now_ms);
        let mut left = limit;
        for level0 in bits(self.destinations[destination as usize].occupied) {
            for kind in [Kind::Native, Kind::Aged] {
                left -= self.chill_lane(destination, level0, kind, left, holder);
            }
        }
        limit - left
    }

    /// Takes over what recovery has put into a cellar, in place of the empty one.
    ///
    /// # Panics
    /// Something is in the present one.
    pub fn adopt(&mut self, cellar: Cellar, now_ms: u64) {
        assert!(
            self.cellar.is_empty(),
            "a cellar is taken over before all else"
        );
        self.now_ms = self.now_ms.max(now_ms);
        self.cellar = cellar;
        self.cellar.grow(self.cells.len());
        for destination in 0..self.destinations.len() as DestinationIndex {
            for level0 in 0..self.levels {
                self.note_adopted(destination, level0);
            }
        }
    }

    fn note_adopted(&mut self, destination: DestinationIndex, level0: usize) {
        let at = self.cell_at(destination, level0);
        let count = self.cellar.len_of(at, Kind::Native) + self.cellar.len_of(at, Kind::Aged);
        if count == 0 {
            return;
        }
        let entry = &mut self.destinations[destination as usize];
        entry.cold |= 1 << level0;
        entry.len += count as u32;
        self.enter(destination, level0);
        self.len_at[level0] += count - 1;
        self.retime(destination, level0);
    }

    fn chill_lane(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        kind: Kind,
        limit: usize,
        holder: &mut impl Holder,
    ) -> usize {
        let at = self.cell_at(destination, level0);
        let floor_ms = window_start(self.now_ms);
        let mut count = 0;
        while count < limit {
            let head = match kind {
                Kind::Native => self.cells[at].native.head,
                Kind::Aged => self.cells[at].aged.head,
            };
            if head == super::NONE {
                break;
            }
            let node = *self.links.node(head);
            if kind == Kind::Native && node.timestamp_ms() >= floor_ms {
                break;
            }
            let Some(message) = holder.chill(head) else {
                break;
            };
            match kind {
                Kind::Native => self.cells[at].native.pop(&self.links, &mut self.tables),
                Kind::Aged => self.cells[at].aged.pop_front(&self.links),
            };
            let message = ColdMessage {
                timestamp_ms: node.timestamp_ms(),
                level0: node.level0() as u8,
                ..message
            };
            self.put_cold(destination, level0, kind, message);
            count += 1;
        }
        count
    }

    /// Puts a cold message behind all that aged into a cell. Hot ones in front of it are chilled, as
    /// far as they may be; behind others it must become hot itself.
    pub(super) fn append_aged(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        message: ColdMessage,
        holder: &mut impl Holder,
    ) {
        let at = self.cell_at(destination, level0);
        if !self.cells[at].aged.is_empty() {
            self.chill_lane(destination, level0, Kind::Aged, CHILLED_PER_MOVE, holder);
        }
        if self.cells[at].aged.is_empty() {
            self.put_cold(destination, level0, Kind::Aged, message);
        } else {
            let slot = self.warm(destination, &message, holder);
            self.cells[at].aged.push_back(&mut self.links, slot);
        }
    }

    fn put_cold(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        kind: Kind,
        message: ColdMessage,
    ) {
        let at = self.cell_at(destination, level0);
        self.cellar.push(at, kind, message);
        self.destinations[destination as usize].cold |= 1 << level0;
    }

    /// Takes the first of a lane's cold part, if it has one, and no note of it.
    #[cold]
    pub(super) fn take_cold(
        &mut self,
        destination: DestinationIndex,
        level0: usize,
        pick: Pick,
    ) -> Option<ColdMessage> {
        let at = self.cell_at(destination, level0);
        let kind = match pick {
            Pick::Native => Kind::Native,
            Pick::Aged => Kind::Aged,
            Pick::Again | Pick::AgedAgain => return None,
        };
        let message = self.cellar.pop(at, kind);
        if self.cellar.is_warm(at) {
            self.destinations[destination as usize].cold &= !(1 << level0);
        }
        message
    }

    /// Gives a cold message a slot.
    pub(super) fn warm(
        &mut self,
        destination: DestinationIndex,
        message: &ColdMessage,
        holder: &mut impl Holder,
    ) -> u32 {
        let slot = holder.warm(destination, message);
        let level0 = usize::from(message.level0);
        self.links
            .put(slot, Node::new(message.timestamp_ms, level0));
        slot
    }

    /// Whether a cell has a cold message.
    #[inline]
    pub(super) fn is_cold(&self, destination: DestinationIndex, level0: usize) -> bool {
        self.destinations[destination as usize].cold >> level0 & 1 == 1
    }
}
