//! A naive model of the queues: every message in one vector, every answer by looking at all.

use std::cmp::Reverse;

use super::ready::{Group, GroupSet};
use crate::limits::NATIVE_PER_AGED;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lane {
    Requeued,
    Native,
    RequeuedAged,
    Aged,
}

#[derive(Debug, Clone, Copy)]
pub(super) struct Item {
    pub(super) destination: usize,
    pub(super) slot: u32,
    pub(super) own0: usize,
    pub(super) timestamp_ms: u64,
    pub(super) order: u64,
    pub(super) source: usize,
    pub(super) level0: usize,
    lane: Lane,
    /// When it came into its lane.
    entered: u64,
}

impl Item {
    pub(super) fn new(destination: usize, own0: usize, source: usize, timestamp_ms: u64) -> Self {
        Self {
            destination,
            slot: 0,
            own0,
            timestamp_ms,
            order: 0,
            source,
            level0: own0,
            lane: Lane::Native,
            entered: 0,
        }
    }

    /// Its place in its lane.
    fn key(&self) -> (u64, u64) {
        match self.lane {
            Lane::Native => (self.timestamp_ms, self.entered),
            Lane::Aged => (0, self.entered),
            Lane::Requeued | Lane::RequeuedAged => (self.order, self.entered),
        }
    }
}

#[derive(Debug)]
pub(super) struct Model {
    pub(super) items: Vec<Item>,
    /// The group that each destination is served in, if it is open.
    pub(super) open: Vec<Option<Group>>,
    levels: usize,
    wait_ms: Vec<u64>,
    streaks: Vec<u8>,
    cursors: Vec<usize>,
    entered: u64,
}

impl Model {
    pub(super) fn new(levels: usize, destinations: usize, wait_ms: &[u64]) -> Self {
        Self {
            items: Vec::new(),
            open: vec![None; destinations],
            levels,
            wait_ms: wait_ms.to_vec(),
            streaks: vec![0; levels * destinations],
            cursors: vec![0; levels],
            entered: 0,
        }
    }

    pub(super) fn push(&mut self, item: Item) {
        self.entered += 1;
        self.items.push(Item {
            entered: self.entered,
            ..item
        });
    }

    pub(super) fn requeue(&mut self, messages: &[Item], now_ms: u64) {
        let earned = messages.iter().map(|item| self.aged_level0(item, now_ms));
        let (Some(top0), Some(first)) = (earned.min(), messages.first()) else {
            return;
        };
        for at in 0..self.items.len() {
            let item = self.items[at];
            let is_requeued = matches!(item.lane, Lane::Requeued | Lane::RequeuedAged);
            if is_requeued && item.destination == first.destination && item.level0 > top0 {
                self.items[at] = self.requeued_item(item, now_ms);
            }
        }
        for &item in messages {
            let item = self.requeued_item(item, now_ms);
            self.push(item);
        }
    }

    /// A popped message will be requeued.
    pub(super) fn return_turn(&mut self, item: &Item) {
        let streak = &mut self.streaks[item.destination * self.levels + item.level0];
        *streak = if item.level0 == item.own0 {
            streak.saturating_sub(1)
        } else {
            NATIVE_PER_AGED
        };
    }

    fn requeued_item(&self, item: Item, now_ms: u64) -> Item {
        let level0 = self.aged_level0(&item, now_ms);
        let lane = if level0 == item.own0 {
            Lane::Requeued
        } else {
            Lane::RequeuedAged
        };
        Item {
            level0,
            lane,
            ..item
        }
    }

    fn aged_level0(&self, item: &Item, now_ms: u64) -> usize {
        let mut level0 = item.own0;
        while self.is_due(level0, item.timestamp_ms, now_ms) {
            level0 -= 1;
        }
        level0
    }

    fn is_due(&self, level0: usize, timestamp_ms: u64, now_ms: u64) -> bool {
        self.wait_ms[level0] != 0 && timestamp_ms + self.wait_ms[level0] <= now_ms
    }

    /// The first of a lane, as an index of `items`.
    fn first(&self, destination: usize, level0: usize, lane: Lane) -> Option<usize> {
        let is_there = |&at: &usize| {
            let item = &self.items[at];
            (item.destination, item.level0, item.lane) == (destination, level0, lane)
        };
        (0..self.items.len())
            .filter(is_there)
            .min_by_key(|&at| self.items[at].key())
    }

    fn first_of(&self, destination: usize, level0: usize, lanes: [Lane; 2]) -> Option<usize> {
        lanes
            .iter()
            .find_map(|&lane| self.first(destination, level0, lane))
    }

    /// What ageing would take from the cell, and when.
    fn oldest(&self, destination: usize, level0: usize) -> Option<(u64, usize)> {
        let aged = self.first_of(destination, level0, [Lane::RequeuedAged, Lane::Aged]);
        let native = self.first_of(destination, level0, [Lane::Requeued, Lane::Native]);
        let both = aged.into_iter().chain(native);
        let at = both.min_by_key(|&at| self.items[at].timestamp_ms)?;
        Some((self.items[at].timestamp_ms + self.wait_ms[level0], at))
    }

    /// The next message to move up: its time and index.
    pub(super) fn next_due(&self) -> Option<(u64, usize)> {
        let cells = (0..self.streaks.len()).filter(|cell| self.wait_ms[cell % self.levels] != 0);
        let due = cells.filter_map(|cell| {
            let (due_ms, at) = self.oldest(cell / self.levels, cell % self.levels)?;
            Some((due_ms, cell, at))
        });
        due.min().map(|(due_ms, _, at)| (due_ms, at))
    }

    /// Moves up the next message that is due, if there is one.
    pub(super) fn age_one(&mut self, now_ms: u64) -> bool {
        let Some((_, at)) = self.next_due().filter(|&(due_ms, _)| due_ms <= now_ms) else {
            return false;
        };
        self.entered += 1;
        let item = &mut self.items[at];
        item.entered = self.entered;
        item.level0 -= 1;
        item.lane = match item.lane {
            Lane::Requeued | Lane::RequeuedAged => Lane::RequeuedAged,
            Lane::Native | Lane::Aged => Lane::Aged,
        };
        true
    }

    fn pick(&self, destination: usize, level0: usize) -> Option<usize> {
        let aged = self.first_of(destination, level0, [Lane::RequeuedAged, Lane::Aged]);
        let own = self.first_of(destination, level0, [Lane::Requeued, Lane::Native]);
        let has_turn = self.streaks[destination * self.levels + level0] >= NATIVE_PER_AGED;
        let aged_first = if has_turn { aged } else { None };
        aged_first.or(own).or(aged)
    }

    fn top(&self, destination: usize) -> Option<usize> {
        let there = self
            .items
            .iter()
            .filter(|item| item.destination == destination);
        there.map(|item| item.level0).min()
    }

    pub(super) fn peek(&self, destination: usize) -> Option<(u64, u8)> {
        let level0 = self.top(destination)?;
        let at = self.pick(destination, level0)?;
        Some((self.items[at].order, level0 as u8 + 1))
    }

    pub(super) fn pop(&mut self, destination: usize) -> Option<(Item, u8)> {
        let level0 = self.top(destination)?;
        let item = self.items.remove(self.pick(destination, level0)?);
        let has_aged = self
            .first_of(destination, level0, [Lane::RequeuedAged, Lane::Aged])
            .is_some();
        let streak = &mut self.streaks[destination * self.levels + level0];
        *streak = match item.lane {
            Lane::Requeued | Lane::Native if has_aged => *streak + 1,
            _ => 0,
        };
        Some((item, level0 as u8 + 1))
    }

    pub(super) fn has_ready(&self, closed: GroupSet) -> bool {
        let is_served = |group: Group| closed >> group & 1 == 0;
        let is_open = |item: &Item| self.open[item.destination].is_some_and(is_served);
        self.items.iter().any(is_open)
    }

    pub(super) fn pop_ready(&mut self, passed_over: GroupSet) -> Option<(Item, u8)> {
        let is_served = |group: Group| passed_over >> group & 1 == 0;
        let open = (0..self.open.len()).filter(|&it| self.open[it].is_some_and(is_served));
        let tops = open.filter_map(|destination| Some((self.top(destination)?, destination)));
        let (level0, _) = tops.clone().min()?;
        let cursor = self.cursors[level0];
        let at_top = tops
            .filter(|&(top, _)| top == level0)
            .map(|(_, destination)| destination);
        let destination = at_top.min_by_key(|&at| (Reverse(at >= cursor), at))?;
        self.cursors[level0] = destination + 1;
        self.pop(destination)
    }

    pub(super) fn len_at(&self, level0: usize) -> usize {
        self.items
            .iter()
            .filter(|item| item.level0 == level0)
            .count()
    }
}
