//! What of an engine matters to its group: it accepts orders once, journals them through its core, and
//! tells its sources when the gate has opened.

use std::collections::{BTreeSet, VecDeque};

use flipped_lb::cluster::core::{Member, Offer};
use flipped_lb::cluster::record::{Kind, PLACE_LEN, next_segment, position_of};

use crate::batches::{self, Order};
use crate::plan::SEGMENT;

/// Orders of one record at most.
const BATCH: usize = 5;

#[derive(Debug, Default)]
pub struct Engine {
    /// The state is there: it serves, if it may.
    pub is_built: bool,
    /// All connections were closed so many times.
    pub closings: u64,
    /// Ids that are remembered.
    known: BTreeSet<Order>,
    /// Those of them that the gate holds back.
    held: BTreeSet<Order>,
    staged: VecDeque<Order>,
    /// What was offered: the end of its record, and its orders.
    offered: VecDeque<(u64, Vec<Order>)>,
    has_begun_segment: bool,
    carrying: Option<Carrying>,
    /// Nobody needs what is below this segment: what holds it is carried.
    carried_low: u64,
    /// Whose turn it is: what is carried, or what is staged.
    carries_next: bool,
}

/// Orders on their way to be carried.
#[derive(Debug)]
struct Carrying {
    to: u64,
    left: VecDeque<Order>,
    /// Where the last of their records ends.
    end: u64,
}

impl Engine {
    /// The state of an active, from its files.
    pub fn build(&mut self, recorded: Vec<Order>) {
        self.known.extend(recorded);
        self.is_built = true;
        self.has_begun_segment = false;
    }

    /// The run is over; a new one knows nothing but its files.
    pub fn end(&mut self, remembers: bool) {
        let known = std::mem::take(&mut self.known);
        let closings = self.closings + 1;
        *self = Self {
            closings,
            ..Self::default()
        };
        if remembers {
            self.known = known;
        }
    }

    /// A line came.
    pub fn accept(&mut self, order: Order) {
        if self.known.insert(order) {
            self.held.insert(order);
            self.staged.push_back(order);
        }
    }

    /// Whether a source is told that its line was taken.
    pub fn has_taken(&self, order: Order) -> bool {
        self.known.contains(&order) && !self.held.contains(&order)
    }

    /// These orders hold the segments below `to`: they are carried, some a record.
    pub fn carry(&mut self, to: u64, orders: BTreeSet<Order>) {
        self.carrying = Some(Carrying {
            to,
            left: orders.into_iter().collect(),
            end: 0,
        });
    }

    pub fn is_carrying(&self) -> bool {
        self.carrying.is_some()
    }

    /// Nobody needs what is below this segment, for all is carried that holds it; without a safeguard, or is
    /// about to be.
    pub fn carried_low(&self, is_early: bool) -> u64 {
        let early = self.carrying.as_ref().filter(|_| is_early);
        early.map_or(self.carried_low, |it| it.to)
    }

    /// What is carried or staged goes to the core, if that wants it.
    pub fn offer(
        &mut self,
        core: &Member,
        is_settled: impl Fn(Order) -> bool,
        time_us: u64,
    ) -> Option<Offer> {
        if !self.is_built || !core.wants_batches() {
            return None;
        }
        self.carries_next = !self.carries_next;
        if self.carries_next
            && let Some(carrying) = &mut self.carrying
        {
            carrying.left.retain(|it| !is_settled(*it));
            let count = carrying.left.len().min(BATCH);
            let orders: Vec<Order> = carrying.left.drain(..count).collect();
            if !orders.is_empty() {
                let batches = batches::carry(&orders);
                let position = self.place(core, batches.len());
                let end = position + (PLACE_LEN + batches.len()) as u64;
                self.carrying.as_mut()?.end = end;
                return Some(Offer {
                    kind: Kind::Carried,
                    position,
                    batches: batches.into(),
                    next_message: 1,
                    time_us,
                });
            }
        }
        if self.staged.is_empty() {
            return None;
        }
        let count = self.staged.len().min(BATCH);
        let orders: Vec<Order> = self.staged.drain(..count).collect();
        let len = PLACE_LEN + batches::len_of(count);
        let position = self.place(core, batches::len_of(count));
        let batches = batches::encode(position, &orders).into();
        self.offered.push_back((position + len as u64, orders));
        Some(Offer {
            kind: Kind::Batches,
            position,
            batches,
            next_message: 1,
            time_us,
        })
    }

    /// Where a record stands with so many bytes of batches.
    fn place(&mut self, core: &Member, batches_len: usize) -> u64 {
        let has_begun = std::mem::replace(&mut self.has_begun_segment, true);
        match has_begun {
            true => position_of(core.end(), PLACE_LEN + batches_len, SEGMENT),
            false => next_segment(core.end(), SEGMENT),
        }
    }

    /// The gate opens; returns whether all is carried with that.
    pub fn open(&mut self, position: u64) -> bool {
        while self.offered.front().is_some_and(|it| it.0 <= position) {
            let (_, orders) = self.offered.pop_front().expect("there is one");
            orders.iter().for_each(|it| {
                self.held.remove(it);
            });
        }
        let is_whole = |it: &mut Carrying| it.left.is_empty() && it.end <= position;
        let whole = self.carrying.take_if(is_whole);
        if let Some(whole) = &whole {
            self.carried_low = whole.to;
        }
        whole.is_some()
    }
}
