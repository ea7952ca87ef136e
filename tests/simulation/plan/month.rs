//! What a month is like: shifts in which messages come, some with trouble, and hours between them in
//! which nothing happens.
//!
//! ```text
//! day 1   [shift]....idle....[shift, trouble, calm]....idle....[shift]....idle....| looked at
//! ```

use std::time::Duration;

use flipped_lb::config::{Durability, KeptWhenFull};
use flipped_lb::limits::{BATCH_LEN_MAX, SCHEDULER_RING};

use super::{CustomerPlan, Faults, Plan, RejectedPlan, SourcePlan};
use crate::dice::Dice;
use crate::log::LogPlan;

/// Shifts of a day.
pub const SHIFTS: usize = 4;
/// From the beginning of a shift to that of the next, in ns.
pub const SHIFT_NS: u64 = 24 * 3600 * 1_000_000_000 / SHIFTS as u64;
/// Lines of a source in a shift: of all sources, a quarter of a segment.
const SHIFT_LINES: usize = 30;
/// Bytes of a payload.
const FILL_LEN: usize = 2_000;
/// Bytes of a file of rejected lines, about, and of all of them.
pub const REJECTED_FILE_LEN: usize = 4_096;
pub const REJECTED_TOTAL_LEN: usize = 64 * 1024;
/// Longest part of a shift in which things go wrong, in ns.
const TROUBLE_NS: u64 = 2_000_000_000;

/// See the module.
#[derive(Debug, Clone, Copy)]
pub struct Month {
    pub days: usize,
    /// Lives end in it; otherwise one life lasts for all of it.
    pub has_ends: bool,
    /// Something is never given back: who looks for growth must find it.
    pub leak: Option<Leak>,
}

/// What is never given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leak {
    /// An engine keeps some bytes in each turn that was of use.
    Memory,
    /// A file of the journal that was opened stays open.
    Descriptor,
    /// Connections that the engine closes stay open.
    Connection,
    /// Ids are remembered for a week.
    Window,
    /// Files of rejected lines have no bound.
    Rejected,
}

impl Month {
    /// Lines of a source up to the end of a shift, counted from 0.
    pub fn lines_until(shift: usize) -> usize {
        (shift + 1) * SHIFT_LINES
    }

    /// Whether this line of a source is the first one of a shift.
    pub fn is_first(line: usize) -> bool {
        line.is_multiple_of(SHIFT_LINES)
    }
}

impl Plan {
    /// The plan of a month.
    pub fn month(seed: u64, month: Month) -> Self {
        let mut plan = Self::draw(seed);
        let dice = &mut Dice::new(seed, "month");
        plan.durability = dice.of(&[Durability::Written, Durability::Synced]);
        (plan.levels, plan.destinations) = (3, 4);
        plan.max_wait_ms = vec![0, 1_000, 5_000];
        (plan.is_heavy, plan.fill_max) = (true, FILL_LEN);
        plan.segment = BATCH_LEN_MAX as u64 + 4_096;
        (plan.disk_len, plan.writes_in_place) = (usize::MAX, true);
        (plan.standstill, plan.crowd, plan.configured) = (None, None, None);
        (plan.scheduler_ring, plan.log) = (SCHEDULER_RING, LogPlan::Read);
        (plan.window_ms, plan.window_messages) = (600_000, 10_000);
        (plan.trouble_ns, plan.ends) = (TROUBLE_NS, 0);
        plan.rejected = RejectedPlan {
            file_len_max: REJECTED_FILE_LEN,
            total_len_max: REJECTED_TOTAL_LEN,
            when_full: KeptWhenFull::DropOldest,
            room: 1 << 30,
            is_stuck: false,
            ..plan.rejected
        };
        plan.sources = (0..4).map(|it| month_source(it, month.days)).collect();
        plan.customers = (0..4).map(month_customer).collect();
        plan.faults = Faults {
            delay_ns: plan.faults.delay_ns,
            stall: plan.faults.stall,
            ..Faults::default()
        };
        match month.leak {
            Some(Leak::Window) => {
                plan.window_ms = Duration::from_secs(7 * 24 * 3600).as_millis() as u64;
            }
            Some(Leak::Rejected) => plan.rejected.total_len_max = 1 << 30,
            _ => {}
        }
        plan.month = Some(month);
        plan
    }
}

/// What goes wrong in a shift with trouble.
pub fn trouble(month: Month, durability: Durability, dice: &mut Dice) -> Faults {
    let mut faults = Faults::draw(dice, durability);
    faults.silent = dice.of(&[0, 0, 200]);
    faults.unknown_name = dice.of(&[0, 0, 300]);
    faults.slow_name = dice.of(&[0, 0, 300]);
    faults.half_close = dice.of(&[0, 0, 50]);
    faults.descriptors = dice.of(&[0, 0, 20]);
    faults.clock_set = dice.of(&[0, 0, 10]);
    if !month.has_ends {
        // These end a life.
        (faults.write_fails, faults.sync_fails, faults.read_fails) = (0, 0, 0);
    }
    faults
}

fn month_source(number: usize, days: usize) -> SourcePlan {
    SourcePlan {
        dials_in: number % 2 == 1,
        acks: number < 2,
        lines: Month::lines_until(days * SHIFTS - 1),
        burst: 8,
        pause_ns: TROUBLE_NS / 4,
        duplicates: 50,
        wrong: 50,
    }
}

fn month_customer(number: usize) -> CustomerPlan {
    CustomerPlan {
        destinations: vec![number],
        by_pattern: false,
        acks: number < 2,
        speed: 20_000,
        ack_every: 4,
    }
}
