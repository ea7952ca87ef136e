//! Ready destinations: those that may be served and have a message, by level.
//!
//! Destinations are served in groups, so that many of them can be opened, closed or passed over at
//! once: the small subscribers of a delivery agent are a group, and each subscriber of very many
//! destinations is one. The queues feed it and ask whose turn is next. It knows no messages.
//!
//! ```text
//! level   all    [1..11..1......1]    the fast path, while no group is closed or passed over
//!         group 0 [1...1.........1]    agent 0
//!         group 1 [...1...........]    agent 1          next = the first behind the cursor of all
//!         group 2 [......1........]    a large subscriber        groups that may be served
//! ```

use crate::limits::{AGENTS_MAX, LEVELS_MAX};
use crate::scheduler::bitmap::Bitmap;

/// A serving group. The first ones are the delivery agents'.
pub(crate) type Group = u8;

/// A set of groups, one bit each.
pub(crate) type GroupSet = u128;

/// Groups at most: the agents', and as many large subscribers. Further ones are served as small
/// ones.
pub(super) const GROUPS_MAX: usize = GroupSet::BITS as usize;

const _: () = assert!(AGENTS_MAX * 2 <= GROUPS_MAX);

/// The ready destinations of one level.
#[derive(Debug)]
struct ReadyAt {
    all: Bitmap,
    /// The same by group. Empty while there is a single group.
    by_group: Vec<Bitmap>,
    /// Where the next turn begins.
    cursor: usize,
}

impl ReadyAt {
    /// The destination whose turn is next, of the groups that are not in `passed_over`.
    fn next_except(&self, passed_over: GroupSet) -> Option<usize> {
        let groups = self.by_group.iter().enumerate();
        let served = groups.filter(|(group, _)| passed_over >> group & 1 == 0);
        let firsts = served.filter_map(|(_, ready)| ready.next_cyclic(self.cursor));
        firsts.min_by_key(|&destination| (destination < self.cursor, destination))
    }
}

/// All of them.
#[derive(Debug)]
pub(super) struct Ready {
    levels: Vec<ReadyAt>,
    /// Levels with a ready destination, one bit each.
    occupied: u8,
    /// Groups that may not be served now.
    closed: GroupSet,
    /// The groups of each delivery agent.
    of_agent: Vec<GroupSet>,
    destinations: usize,
}

impl Ready {
    pub(super) fn new(levels: usize) -> Self {
        let level = |_| ReadyAt {
            all: Bitmap::new(0),
            by_group: Vec::new(),
            cursor: 0,
        };
        Self {
            levels: (0..levels).map(level).collect(),
            occupied: 0,
            closed: 0,
            of_agent: vec![1],
            destinations: 0,
        }
    }

    /// There are so many delivery agents, and nothing is ready yet.
    pub(super) fn set_agents(&mut self, agents: usize) {
        self.of_agent = (0..agents).map(|agent| 1 << agent).collect();
        let groups = if agents > 1 { agents } else { 0 };
        for level in &mut self.levels {
            level.by_group = vec![Bitmap::new(self.destinations); groups];
        }
    }

    pub(super) fn grow(&mut self, destinations: usize) {
        self.destinations = destinations;
        for level in &mut self.levels {
            level.all.grow(destinations);
            (level.by_group.iter_mut()).for_each(|it| it.grow(destinations));
        }
    }

    /// The groups of a delivery agent.
    pub(super) fn groups_of(&self, agent: u16) -> GroupSet {
        self.of_agent[usize::from(agent)]
    }

    /// A group of its own for a subscriber of this delivery agent; closed, and without
    /// destinations. `None`: all are in use.
    pub(super) fn take_group(&mut self, agent: u16) -> Option<Group> {
        let used = self.of_agent.iter().fold(0, |used, groups| used | groups);
        let group = (!used).trailing_zeros() as usize;
        if group == GROUPS_MAX {
            return None;
        }
        for level in &mut self.levels {
            if level.by_group.is_empty() {
                // So far there was a single group.
                level.by_group.push(level.all.clone());
            }
            let count = level.by_group.len().max(group + 1);
            let empty = || Bitmap::new(self.destinations);
            level.by_group.resize_with(count, empty);
        }
        self.of_agent[usize::from(agent)] |= 1 << group;
        self.closed |= 1 << group;
        Some(group as Group)
    }

    /// Takes back a group, of whose destinations none is open any more.
    pub(super) fn give_back_group(&mut self, group: Group) {
        let bit = 1 << group;
        self.of_agent.iter_mut().for_each(|groups| *groups &= !bit);
        self.closed &= !bit;
    }

    /// Lets the destinations of a group be served, or not: constant time, however many they are.
    pub(super) fn set_group_open(&mut self, group: Group, open: bool) {
        let bit = 1 << group;
        if open {
            self.closed &= !bit;
        } else {
            self.closed |= bit;
        }
    }

    #[inline]
    pub(super) fn set(&mut self, destination: usize, level0: usize, group: Group) {
        let level = &mut self.levels[level0];
        level.all.set(destination);
        if let Some(of_group) = level.by_group.get_mut(usize::from(group)) {
            of_group.set(destination);
        }
        self.occupied |= 1 << level0;
    }

    #[inline]
    pub(super) fn clear(&mut self, destination: usize, level0: usize, group: Group) {
        let level = &mut self.levels[level0];
        level.all.clear(destination);
        if let Some(of_group) = level.by_group.get_mut(usize::from(group)) {
            of_group.clear(destination);
        }
        if level.all.is_empty() {
            self.occupied &= !(1 << level0);
        }
    }

    /// Whether a destination may be served.
    pub(super) fn has_any(&self) -> bool {
        self.occupied != 0 && (self.closed == 0 || self.next_except(self.closed).is_some())
    }

    /// The most urgent level with a destination that may be served, and the destination whose turn
    /// is next there, without those of the groups in `passed_over`.
    #[inline]
    pub(super) fn next(&self, passed_over: GroupSet) -> Option<(usize, usize)> {
        if self.occupied == 0 {
            return None;
        }
        let passed_over = passed_over | self.closed;
        if passed_over != 0 {
            return self.next_except(passed_over);
        }
        let level0 = self.occupied.trailing_zeros() as usize;
        let level = &self.levels[level0];
        Some((level0, level.all.next_cyclic(level.cursor)?))
    }

    /// The destination has its turn at this level.
    #[inline]
    pub(super) fn serve(&mut self, destination: usize, level0: usize) {
        self.levels[level0].cursor = destination + 1;
    }

    fn next_except(&self, passed_over: GroupSet) -> Option<(usize, usize)> {
        let mut levels = (0..LEVELS_MAX).filter(|level0| self.occupied >> level0 & 1 == 1);
        levels.find_map(|level0| {
            let destination = self.levels[level0].next_except(passed_over)?;
            Some((level0, destination))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes turns at the only level, so many of them.
    fn turns(ready: &mut Ready, passed_over: GroupSet, count: usize) -> Vec<usize> {
        let mut turn = || {
            let (level0, destination) = ready.next(passed_over)?;
            ready.serve(destination, level0);
            Some(destination)
        };
        (0..count).map_while(|_| turn()).collect()
    }

    #[test]
    fn a_single_agent_is_split_into_groups_when_the_first_large_subscriber_comes() {
        let mut ready = Ready::new(1);
        ready.grow(100);
        (0..10).for_each(|destination| ready.set(destination, 0, 0));
        assert_eq!(turns(&mut ready, 0, 4), [0, 1, 2, 3]);
        let large = ready.take_group(0).expect("there are many");
        (10..20).for_each(|destination| ready.set(destination, 0, large));
        assert_eq!(
            turns(&mut ready, 0, 7),
            [4, 5, 6, 7, 8, 9, 0],
            "it is closed"
        );
        ready.set_group_open(large, true);
        assert_eq!(
            turns(&mut ready, 0, 11),
            [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]
        );
        ready.set_group_open(large, false);
        (0..10).for_each(|destination| ready.clear(destination, 0, 0));
        assert!(!ready.has_any());
        ready.set_group_open(large, true);
        assert!(ready.has_any());
        assert_eq!(turns(&mut ready, 0, 3), [12, 13, 14]);
    }

    #[test]
    fn an_agent_is_passed_over_with_its_large_subscribers() {
        let mut ready = Ready::new(1);
        ready.set_agents(2);
        ready.grow(10);
        let large = ready.take_group(1).expect("there are many");
        ready.set_group_open(large, true);
        for (destination, group) in [(0, 0), (1, 1), (2, large), (3, 0)] {
            ready.set(destination, 0, group);
        }
        let (of_0, of_1) = (ready.groups_of(0), ready.groups_of(1));
        assert_eq!(turns(&mut ready, of_1, 3), [0, 3, 0]);
        assert_eq!(turns(&mut ready, of_0, 3), [1, 2, 1]);
        assert_eq!(turns(&mut ready, 0, 4), [2, 3, 0, 1]);
    }

    #[test]
    fn groups_are_used_again_and_bounded() {
        let mut ready = Ready::new(2);
        ready.grow(10);
        let groups: Vec<_> = std::iter::from_fn(|| ready.take_group(0)).collect();
        assert_eq!(groups.len(), GROUPS_MAX - 1);
        ready.give_back_group(groups[7]);
        assert_eq!(ready.take_group(0), Some(groups[7]));
        assert_eq!(ready.take_group(0), None);
    }

    #[test]
    fn an_urgent_message_of_a_closed_group_delays_no_other_group() {
        let mut ready = Ready::new(3);
        ready.grow(10);
        let large = ready.take_group(0).expect("there are many");
        ready.set(1, 0, large);
        ready.set(2, 2, 0);
        assert_eq!(ready.next(0), Some((2, 2)));
        ready.set_group_open(large, true);
        assert_eq!(ready.next(0), Some((0, 1)));
    }
}
