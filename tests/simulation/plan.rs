//! What a seed draws: the settings of the engine, who takes part, and which faults there are.
//!
//! Each seed switches on a part of the faults only, each at a rate of its own: faults that are
//! always all there hide each other, and the rare states lie behind few of them.

mod month;

use std::time::Duration;

pub use self::month::{
    Leak, Month, REJECTED_FILE_LEN, REJECTED_TOTAL_LEN, SHIFT_NS, SHIFTS, trouble,
};

use flipped_lb::config::{self, Config, Durability, KeptWhenFull};
use flipped_lb::limits::{BATCH_LEN_MAX, SCHEDULER_RING};

use crate::dice::Dice;
use crate::log::LogPlan;
use crate::script::LINE_LEN_MAX;

/// Strangers may keep their places for so long.
const GREETING_TIMEOUT: Duration = Duration::from_secs(3);

/// The port of the first source that is dialled.
pub const FIRST_PORT: u16 = 8001;

/// Everything that a seed decides before the run.
#[derive(Debug)]
pub struct Plan {
    pub seed: u64,
    pub durability: Durability,
    pub levels: u8,
    /// Destinations that there are; the first one may be a VIP.
    pub destinations: usize,
    pub has_vip: bool,
    /// Bytes of a payload at most.
    pub fill_max: usize,
    /// All payloads are that long, and there are many: segments are filled.
    pub is_heavy: bool,
    pub max_wait_ms: Vec<u64>,
    pub credit: usize,
    pub segment: u64,
    pub rejected: RejectedPlan,
    /// Bytes of the disk: few, and the journal has to make do with what it frees, or no end of them.
    pub disk_len: usize,
    /// It writes in place: what has its room can be written over on a full disk.
    pub writes_in_place: bool,
    /// An id is remembered for so long, and for so many later messages.
    pub window_ms: u64,
    pub window_messages: usize,
    pub agents: usize,
    /// Entries of the rings between the agents.
    pub scheduler_ring: usize,
    /// The second delivery agent's thread stands still from the first time to the second, in ns.
    pub standstill: Option<(u64, u64)>,
    pub ack_timeout_ms: u64,
    pub batch_rows: usize,
    pub batch_ms: u64,
    pub sources: Vec<SourcePlan>,
    pub customers: Vec<CustomerPlan>,
    pub faults: Faults,
    /// How long there are faults, in ns.
    pub trouble_ns: u64,
    /// Lives of the engine that end before the last one.
    pub ends: usize,
    /// Sources that are dialled have names that must be looked up.
    pub has_names: bool,
    pub log: LogPlan,
    pub crowd: Option<CrowdPlan>,
    /// Of the destinations the settings name the first so many; messages and subscribers create the
    /// others, which go when nothing is left of them.
    pub configured: Option<usize>,
    /// It is a month, not some minutes.
    pub month: Option<Month>,
}

/// Strangers that connect and say nothing.
#[derive(Debug, Clone, Copy)]
pub struct CrowdPlan {
    pub strangers: usize,
    /// Connections that each listener takes.
    pub limit: usize,
}

/// The files of rejected lines, and what goes wrong with them, per mille of the occasions.
#[derive(Debug, Clone, Copy)]
pub struct RejectedPlan {
    /// Bytes of a file, about.
    pub file_len_max: usize,
    /// Bytes of all files.
    pub total_len_max: usize,
    pub when_full: KeptWhenFull,
    /// Bytes of their disk; where they are few, half of them stay free.
    pub room: usize,
    /// A write, a read, or a change of a name fails.
    pub fails: u32,
    pub sync_fails: u32,
    /// No file can be opened.
    pub no_descriptor: u32,
    /// A write takes a part only.
    pub short: u32,
    /// The disk takes nothing when all else is calm, until sources without wrong lines are done.
    pub is_stuck: bool,
}

impl RejectedPlan {
    fn draw(dice: &mut Dice) -> Self {
        let file_len_max = dice.of(&[4_096, 1 << 26]);
        let mut rate = |max: usize| match dice.flip() {
            true => dice.skewed(max) as u32,
            false => 0,
        };
        let (fails, sync_fails) = (rate(800), rate(200));
        let (no_descriptor, short) = (rate(900), rate(500));
        Self {
            file_len_max,
            total_len_max: dice.of(&[24 * 1024, 64 * 1024, 1 << 30]),
            when_full: dice.of(&[KeptWhenFull::Hold, KeptWhenFull::DropOldest]),
            room: dice.of(&[32 * 1024, 80 * 1024, 1 << 30, 1 << 30]),
            fails,
            sync_fails,
            no_descriptor,
            short,
            is_stuck: dice.chance(300),
        }
    }
}

/// One source.
#[derive(Debug)]
pub struct SourcePlan {
    /// It connects to the engine; otherwise the engine connects to it.
    pub dials_in: bool,
    /// It is acknowledged, and sends again what was not.
    pub acks: bool,
    pub lines: usize,
    /// Lines sent at once, at most.
    pub burst: usize,
    /// Between two bursts at most, in ns.
    pub pause_ns: u64,
    /// Copies of messages, per mille.
    pub duplicates: u32,
    /// Lines that break a rule, per mille.
    pub wrong: u32,
}

/// One subscriber.
#[derive(Debug)]
pub struct CustomerPlan {
    pub destinations: Vec<usize>,
    /// It asks for all of them by a pattern.
    pub by_pattern: bool,
    pub acks: bool,
    /// Bytes that it reads in a turn at most.
    pub speed: usize,
    /// Frames that it receives before it acknowledges.
    pub ack_every: usize,
}

/// How often things go wrong: per mille of the occasions, or nanoseconds.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// A read or a write of a socket takes a part only.
    pub short: u32,
    /// A socket that could be used says that it would block.
    pub would_block: u32,
    /// A connection is reset, of a peer's turns.
    pub reset: u32,
    /// A source ends its side behind what it says, and its last line has no newline.
    pub half_close: u32,
    /// Bytes are on their way for so long at most.
    pub delay_ns: u64,
    /// Connections are accepted in any order, and some not at once.
    pub accept: u32,
    /// A source cannot be reached, of the dials.
    pub refuse: u32,
    /// A source does not answer, of the dials.
    pub silent: u32,
    /// The name of a source is unknown, of the look-ups.
    pub unknown_name: u32,
    /// It takes seconds to look it up.
    pub slow_name: u32,
    /// A customer stops reading for a while, of its turns.
    pub pause: u32,
    /// A write to the journal takes a part only.
    pub short_write: u32,
    /// Others take what is free on the disk for a while, of the writes that need room.
    pub full: u32,
    /// A write fails.
    pub write_fails: u32,
    /// A sync fails.
    pub sync_fails: u32,
    /// A read of the journal fails.
    pub read_fails: u32,
    /// No descriptor is left for a while, of the files that are opened.
    pub descriptors: u32,
    /// A life ends by a power loss rather than by a kill.
    pub power: u32,
    /// A life ends in an orderly way.
    pub orderly: u32,
    /// A life ends within an operation of the storage or the database, not between two steps.
    pub within: u32,
    /// The database goes down, of its transactions.
    pub database_down: u32,
    /// The answer of a commit is lost.
    pub answer_lost: u32,
    /// The wall clock is wrong by so much at most in a new life, in us: seconds to years.
    pub wrong_clock_us: i64,
    /// The wall clock is set while an engine runs, of a hundredth of the turns.
    pub clock_set: u32,
    /// Agents stand still for a while.
    pub stall: u32,
}

impl Faults {
    fn draw(dice: &mut Dice, durability: Durability) -> Self {
        let power = dice.of(&[0, 300, 1_000]);
        let within = dice.of(&[0, 300, 1_000]);
        let mut rate = |max: usize| match dice.flip() {
            true => dice.skewed(max) as u32,
            false => 0,
        };
        let is_synced = durability == Durability::Synced;
        Self {
            short: rate(900),
            would_block: rate(300),
            reset: rate(8),
            half_close: 0,
            silent: 0,
            unknown_name: 0,
            slow_name: 0,
            delay_ns: 1_000 + u64::from(rate(100_000)) * 1_000,
            accept: rate(300),
            refuse: rate(500),
            pause: rate(10),
            short_write: rate(500),
            full: rate(20),
            write_fails: rate(4),
            sync_fails: rate(8),
            read_fails: rate(4),
            // Drawn apart, so that older seeds play what they played.
            descriptors: 0,
            power: if is_synced { power } else { 0 },
            orderly: rate(500),
            within,
            database_down: rate(200),
            answer_lost: rate(200),
            wrong_clock_us: i64::from(rate(10_000_000)),
            clock_set: 0,
            stall: rate(500),
        }
    }
}

impl Plan {
    /// What this seed decides.
    pub fn draw(seed: u64) -> Self {
        let dice = &mut Dice::new(seed, "plan");
        let rejected = RejectedPlan::draw(&mut Dice::new(seed, "rejected plan"));
        let durability = draw_durability(dice);
        let levels = dice.pick(1..=4) as u8;
        let destinations = dice.pick(1..=4);
        let is_heavy = dice.chance(150);
        let fill_max = match is_heavy {
            true => LINE_LEN_MAX - 512,
            false => dice.of(&[64, 64, 400, LINE_LEN_MAX - 512]),
        };
        let trouble_ns = dice.long(200..=20_000) * 1_000_000;
        let lines = match is_heavy {
            true => 600,
            false => dice.skewed(400).max(5),
        };
        let mut plan = Self {
            seed,
            durability,
            levels,
            destinations,
            has_vip: dice.flip(),
            fill_max,
            is_heavy,
            max_wait_ms: draw_waits(levels, dice),
            credit: dice.of(&[4 * 1024, 4 * 1024, 16 * 1024, 256 * 1024]),
            segment: BATCH_LEN_MAX as u64 + dice.of(&[4_096, 65_536, 1 << 20]),
            rejected,
            disk_len: usize::MAX,
            writes_in_place: true,
            window_ms: 600_000,
            window_messages: 10_000,
            agents: dice.pick(1..=2),
            scheduler_ring: Dice::new(seed, "rings").of(&[64, 64, 256, SCHEDULER_RING]),
            standstill: None,
            ack_timeout_ms: dice.of(&[300, 3_000, 30_000]),
            batch_rows: dice.skewed(1_000),
            batch_ms: dice.of(&[1, 10, 100]),
            sources: (0..dice.pick(1..=4))
                .map(|_| draw_source(lines, trouble_ns, dice))
                .collect(),
            customers: draw_customers(destinations, dice),
            faults: Faults::draw(dice, durability),
            trouble_ns,
            ends: dice.of(&[0, 1, 1, 2, 3, 6]),
            has_names: false,
            log: Dice::new(seed, "log").of(&[LogPlan::Read, LogPlan::Unread, LogPlan::Gone]),
            crowd: None,
            configured: None,
            month: None,
        };
        plan.draw_late_faults();
        plan.draw_special_course();
        plan
    }

    /// Faults that came later. They have dice of their own, so that older seeds play what they played.
    fn draw_late_faults(&mut self) {
        let seed = self.seed;
        let dice = &mut Dice::new(seed, "names");
        self.has_names = dice.flip();
        self.faults.silent = dice.of(&[0, 0, 200]);
        self.faults.unknown_name = dice.of(&[0, 0, 300]);
        self.faults.slow_name = dice.of(&[0, 0, 300]);
        self.faults.half_close = Dice::new(seed, "half close").of(&[0, 0, 50, 300]);
        let dice = &mut Dice::new(seed, "descriptors");
        self.faults.descriptors = dice.of(&[0, 0, 20, 200]);
        let dice = &mut Dice::new(seed, "clocks");
        // Ten seconds, three hours, three years.
        self.faults.wrong_clock_us *= dice.of(&[1, 1_000, 10_000_000]);
        self.faults.clock_set = dice.of(&[0, 0, 10, 300]);
    }

    /// Some seeds play one thing: a rush, a standstill, a small disk, and so on.
    fn draw_special_course(&mut self) {
        let seed = self.seed;
        let dice = &mut Dice::new(seed, "rush");
        if dice.chance(150) {
            self.rush(dice);
        }
        let dice = &mut Dice::new(seed, "standstill");
        if dice.chance(100) {
            self.stand_still(dice);
        }
        let dice = &mut Dice::new(seed, "small disk");
        if self.standstill.is_none() && dice.chance(200) {
            self.starve(dice);
        }
        if self.standstill.is_some() || self.has_small_disk() {
            return;
        }
        let dice = &mut Dice::new(seed, "recycling");
        if dice.chance(120) {
            self.recycle(dice);
        }
        if Dice::new(seed, "copies on write").chance(150) {
            self.writes_in_place = false;
            self.faults.full = self.faults.full.max(2);
        }
        let dice = &mut Dice::new(seed, "crowd");
        if dice.chance(120) {
            self.draw_crowd(dice);
        }
        let dice = &mut Dice::new(seed, "created names");
        if !self.is_heavy && self.crowd.is_none() && self.destinations > 1 && dice.chance(250) {
            self.create_names(dice);
        }
    }

    /// Names come and go: there is room for all of them, and those that are not used go where it is
    /// half full. Some subscribers ask for them by name, and keep them; some by a pattern.
    fn create_names(&mut self, dice: &mut Dice) {
        self.destinations = dice.pick(3..=9);
        self.configured = Some(dice.pick(1..=2));
        self.trouble_ns = self.trouble_ns.max(2_000_000_000);
        self.customers = draw_customers(self.destinations, dice);
        for customer in &mut self.customers {
            let takes_all = customer.destinations.len() == self.destinations;
            customer.by_pattern = takes_all && dice.chance(700);
        }
        // Messages come far enough apart for a name to go between two of them.
        for source in &mut self.sources {
            source.burst = source.burst.min(8);
            let bursts = (source.lines / source.burst + 1) as u64;
            source.pause_ns = self.trouble_ns / bursts;
        }
        self.faults.reset = self.faults.reset.max(dice.of(&[0, 2, 10]));
    }

    /// Whether this is never given back.
    pub fn leaks(&self, what: Leak) -> bool {
        self.month.is_some_and(|it| it.leak == Some(what))
    }

    /// Whether more comes than the disk has room for.
    pub fn has_small_disk(&self) -> bool {
        self.disk_len < usize::MAX
    }

    /// Segments go while lives end, and their files come again: ids are soon forgotten. So nothing is
    /// sent again long after it was sent first.
    fn recycle(&mut self, dice: &mut Dice) {
        (self.is_heavy, self.fill_max) = (true, LINE_LEN_MAX - 512);
        self.segment = BATCH_LEN_MAX as u64 + 4_096;
        self.window_messages = 400;
        self.trouble_ns = dice.long(4_000..=20_000) * 1_000_000;
        self.ends = dice.of(&[2, 3, 6]);
        if self.durability == Durability::Synced {
            self.faults.power = 1_000;
        }
        // What the journal takes only after a while would be sent again behind the window.
        (self.faults.reset, self.faults.descriptors, self.faults.full) = (0, 0, 0);
        self.sources.truncate(1);
        for source in &mut self.sources {
            (source.lines, source.burst) = (2_000, 16);
            (source.duplicates, source.wrong) = (0, 0);
            source.pause_ns = self.trouble_ns / 125;
        }
        for customer in &mut self.customers {
            (customer.speed, customer.ack_every) = (100_000, 4);
        }
    }

    /// There are as many places as customers or sources, and one more.
    fn draw_crowd(&mut self, dice: &mut Dice) {
        let limit = self.sources.len().max(self.customers.len()) + 1;
        let strangers = 2 * dice.pick(limit..=2 * limit);
        self.crowd = Some(CrowdPlan { strangers, limit });
        // Some are sent away while the rings are full.
        self.scheduler_ring = 64;
        self.faults.stall = self.faults.stall.max(300);
        // Who is closed because it says nothing is told no acknowledgement any more.
        self.faults.half_close = 0;
    }

    /// One of two delivery agents stands still for a while, and nothing else goes wrong.
    fn stand_still(&mut self, dice: &mut Dice) {
        let second = 1_000_000_000;
        self.trouble_ns = 20 * second;
        self.standstill = Some((5 * second, 15 * second));
        (self.agents, self.scheduler_ring, self.ends) = (2, 64, 0);
        self.faults = Faults {
            delay_ns: self.faults.delay_ns,
            ..Faults::default()
        };
        (self.fill_max, self.is_heavy, self.credit) = (64, false, 256 * 1024);
        let destinations = 0..self.destinations.max(3);
        self.destinations = destinations.end;
        self.customers = destinations
            .map(|it| CustomerPlan {
                destinations: vec![it],
                by_pattern: false,
                acks: dice.flip(),
                speed: 100_000,
                ack_every: 1,
            })
            .collect();
        for source in &mut self.sources {
            // One with wrong lines waits for their room, with all that it has for others.
            (source.lines, source.burst, source.wrong) = (400, 8, 0);
            source.pause_ns = 2 * self.trouble_ns / 50;
        }
    }

    /// More comes than the disk has room for at once. Half a segment is set aside for settlements,
    /// three eighths for a compacted file. What is settled makes room before its ids are forgotten, for the
    /// world gives it half a dedup window.
    fn starve(&mut self, dice: &mut Dice) {
        self.is_heavy = true;
        self.fill_max = LINE_LEN_MAX - 512;
        self.segment = BATCH_LEN_MAX as u64 + dice.of(&[4_096, 65_536]);
        self.disk_len = dice.pick(2..=4) * self.segment as usize + dice.skewed(1 << 18);
        self.rejected.is_stuck = false;
        let lines = 1_500 / self.sources.len();
        for source in &mut self.sources {
            source.lines = source.lines.max(lines);
            (source.pause_ns, source.wrong) = (1_000, 0);
        }
    }

    /// More comes for one destination, all the time, than its customers take; and none of it waits
    /// long before it is among the most urgent.
    fn rush(&mut self, dice: &mut Dice) {
        self.destinations = 1;
        self.has_vip = false;
        self.levels = self.levels.max(2);
        self.credit = 4 * 1024;
        self.max_wait_ms = vec![0];
        let waits = (1..self.levels).map(|_| dice.of(&[1, 1, 5]));
        self.max_wait_ms.extend(waits);
        let lines = 400 / self.sources.len();
        for source in &mut self.sources {
            source.lines = source.lines.max(lines);
            source.pause_ns = 1_000;
        }
        for customer in &mut self.customers {
            customer.destinations = vec![0];
            customer.speed = dice.of(&[100, 400, 2_000]);
        }
    }

    /// The engine's settings.
    pub fn config(&self) -> Config {
        let mut config = config::parse("simulation", &self.settings(), &[]).expect("good settings");
        // Smaller than users may have them, so that they are filled.
        config.journal.segment = self.segment;
        config.ingest.rejected_max_bytes = self.rejected.file_len_max as u64;
        config.ingest.rejected_max_total = self.rejected.total_len_max as u64;
        config.ingest.rejected_when_full = self.rejected.when_full;
        if let Some(crowd) = self.crowd {
            config.ingest.connections.max = crowd.limit;
            config.delivery.connections.max = crowd.limit;
            config.ingest.greeting_timeout = GREETING_TIMEOUT;
            config.delivery.greeting_timeout = GREETING_TIMEOUT;
        }
        config
    }

    /// As a user would write them.
    fn settings(&self) -> String {
        let durability = match self.durability {
            Durability::Memory => "memory",
            Durability::Written => "written",
            Durability::Synced => "synced",
            Durability::Replicated => "replicated",
        };
        let waits = self.max_wait_ms.iter().map(|it| format!("\"{it}ms\""));
        let unknown = match self.configured {
            Some(_) => "create",
            None => "reject",
        };
        format!(
            "durability = \"{durability}\"\n\
             source = [{}]\ndestination = [{}]\n\
             [ingest]\nmax_line = {LINE_LEN_MAX}\nlisten = \"127.0.0.1:0\"\n\
             [scheduler]\nlevels = {}\nmax_wait = [{}]\n\
             unknown_destinations = \"{unknown}\"\nmax_destinations = {}\n\
             [dedup]\nwindow_messages = {}\nwindow = \"{}ms\"\n\
             [delivery]\nagents = {}\nack_timeout = \"{}ms\"\ncredit = {}\n\
             [store]\nbatch_rows = {}\nbatch_time = \"{}ms\"\n",
            self.source_settings().join(", "),
            self.destination_settings().join(", "),
            self.levels,
            waits.collect::<Vec<_>>().join(", "),
            self.destinations,
            self.window_messages,
            self.window_ms,
            self.agents,
            self.ack_timeout_ms,
            self.credit,
            self.batch_rows,
            self.batch_ms,
        )
    }

    /// The sources that are dialled.
    fn source_settings(&self) -> Vec<String> {
        let host = if self.has_names {
            "kitchen"
        } else {
            "127.0.0.1"
        };
        let dialled = (FIRST_PORT..).zip(&self.sources);
        let dialled = dialled.filter(|(_, it)| !it.dials_in);
        dialled
            .map(|(port, it)| format!("{{ address = \"{host}:{port}\", ack = {} }}", it.acks))
            .collect()
    }

    fn destination_settings(&self) -> Vec<String> {
        let configured = self.configured.unwrap_or(self.destinations);
        (0..configured)
            .map(|it| {
                let vip = self.has_vip && it == 0;
                format!("{{ id = \"table{it}\", vip = {vip} }}")
            })
            .collect()
    }
}

fn draw_durability(dice: &mut Dice) -> Durability {
    dice.of(&[
        Durability::Written,
        Durability::Synced,
        Durability::Synced,
        Durability::Written,
        Durability::Memory,
    ])
}

fn draw_waits(levels: u8, dice: &mut Dice) -> Vec<u64> {
    let waits = [0, 0, 5, 50, 1_000];
    let mut drawn = vec![0];
    drawn.extend((1..levels).map(|_| dice.of(&waits)));
    drawn
}

fn draw_source(lines: usize, trouble_ns: u64, dice: &mut Dice) -> SourcePlan {
    let lines = dice.pick(1..=lines);
    let burst = dice.skewed(64);
    let bursts = (lines / burst + 1) as u64;
    SourcePlan {
        dials_in: dice.flip(),
        acks: !dice.chance(300),
        lines,
        burst,
        pause_ns: if dice.flip() {
            trouble_ns / bursts
        } else {
            1_000
        },
        duplicates: dice.of(&[0, 0, 50, 400]),
        wrong: dice.of(&[0, 0, 50, 300]),
    }
}

/// Each destination has somebody; some have others who stand by.
fn draw_customers(destinations: usize, dice: &mut Dice) -> Vec<CustomerPlan> {
    let mut rows: Vec<Vec<usize>> = Vec::new();
    if dice.flip() {
        rows.push((0..destinations).collect());
    } else {
        rows.extend((0..destinations).map(|it| vec![it]));
    }
    for _ in 0..dice.pick(0..=2) {
        let first = dice.pick(0..=destinations - 1);
        rows.push((first..destinations).collect());
    }
    let all_ack = dice.of(&[Some(true), Some(false), None]);
    rows.into_iter()
        .map(|destinations| CustomerPlan {
            destinations,
            by_pattern: false,
            acks: all_ack.unwrap_or_else(|| dice.flip()),
            speed: dice.of(&[100, 2_000, 100_000]),
            ack_every: dice.skewed(40),
        })
        .collect()
}
