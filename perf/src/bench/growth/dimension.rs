//! What can vary between the engines of one benchmark, and what was seen at each value.

use crate::engine::{Durability, Settings, Threads, name_of};
use crate::plan::Plan;
use crate::round::Outcome;
use crate::spread::Spread;

/// A round of long frames sends fewer.
const BYTES_MAX: u64 = 1 << 30;

const DURABILITIES: [Durability; 3] = [Durability::Memory, Durability::Written, Durability::Synced];
/// What can grow.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Dimension {
    /// Message servers.
    Sources,
    /// Customers, with a subscriber each.
    Destinations,
    /// Priorities.
    Levels,
    /// Bytes of a frame.
    Frame,
    /// Messages that wait for somebody else.
    Backlog,
    /// Delivery agents.
    Agents,
    /// What has happened before a message is delivered.
    Durability,
}

/// One place on a curve.
#[derive(Debug, Clone)]
pub(super) struct Point {
    pub(super) plan: Plan,
    pub(super) settings: Settings,
    pub(super) waiting: u64,
}

/// A place, and what was seen there.
pub(super) struct Seen {
    pub(super) value: usize,
    pub(super) flat_out: Vec<Outcome>,
    pub(super) timed: Vec<Outcome>,
}

impl Dimension {
    pub(super) const ALL: [Self; 6] = [
        Self::Sources,
        Self::Destinations,
        Self::Levels,
        Self::Frame,
        Self::Backlog,
        Self::Agents,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Sources => "sources",
            Self::Destinations => "destinations",
            Self::Levels => "levels",
            Self::Frame => "bytes of a frame",
            Self::Backlog => "backlog",
            Self::Agents => "delivery agents",
            Self::Durability => "durability",
        }
    }

    pub(super) fn values(self) -> &'static [usize] {
        match self {
            Self::Sources | Self::Destinations => &[1, 4, 16, 64, 256],
            Self::Levels => &[1, 2, 3, 5, 8],
            Self::Frame => &[0, 390, 1024, 4096, 8192],
            Self::Backlog => &[0, 10_000, 100_000, 1_000_000],
            Self::Agents => &[1, 2, 4],
            Self::Durability => &[0, 1, 2],
        }
    }

    /// A value as people read it; of a frame the length that it has.
    pub(super) fn shown(self, it: &Seen) -> String {
        match self {
            Self::Frame => it.flat_out[0].frame_len.to_string(),
            Self::Durability => name_of(DURABILITIES[it.value]),
            _ => it.value.to_string(),
        }
    }

    /// A plan and settings with this value in their one place.
    pub(super) fn point(self, value: usize, plan: &Plan, settings: &Settings) -> Point {
        let mut point = Point {
            plan: plan.clone(),
            settings: settings.clone(),
            waiting: 0,
        };
        match self {
            Self::Sources => point.plan.sources = value,
            Self::Destinations => point.plan.destinations = value,
            Self::Levels => (point.plan.levels, point.settings.levels) = (value, value),
            Self::Frame => {
                point.plan.frame_len = value;
                let most = BYTES_MAX / value.max(1) as u64;
                point.plan.messages = point.plan.messages.min(most);
            }
            Self::Backlog => point.waiting = value as u64,
            Self::Durability => point.settings.durability = DURABILITIES[value],
            Self::Agents => {
                point.settings.agents = value;
                if value > 1 {
                    // Else they share one thread, and more of them show nothing.
                    point.settings.threads = Threads::Dedicated;
                }
            }
        }
        point
    }
}

impl Seen {
    pub(super) fn rate(&self) -> Spread {
        Spread::of(self.flat_out.iter().map(|it| it.rate))
    }

    pub(super) fn latency(&self, figure: fn(&Outcome) -> f64) -> Spread {
        Spread::of(self.timed.iter().map(figure))
    }

    pub(super) fn outcomes(&self) -> impl Iterator<Item = &Outcome> {
        self.flat_out.iter().chain(&self.timed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::common::FRAME_LEN;

    #[test]
    fn each_dimension_changes_its_own_place_alone() {
        let (plan, settings) = (
            Plan::flat_out(1_000, FRAME_LEN),
            Settings::new(Durability::Written),
        );
        let changed = |dimension: Dimension| {
            let it = dimension.point(7, &plan, &settings);
            [it.plan != plan, it.settings != settings, it.waiting != 0]
        };
        assert_eq!(changed(Dimension::Sources), [true, false, false]);
        assert_eq!(changed(Dimension::Frame), [true, false, false]);
        assert_eq!(changed(Dimension::Levels), [true, true, false]);
        assert_eq!(changed(Dimension::Agents), [false, true, false]);
        assert_eq!(changed(Dimension::Backlog), [false, false, true]);
    }
}
