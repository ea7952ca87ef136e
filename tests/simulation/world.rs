//! The world of one seed: gives everybody turns in an order that the seed decides, lets time pass,
//! ends lives of the engine and starts new ones, and has the checkers look on.
//!
//! ```text
//! trouble:  turns, faults, lives that end   |  calm: nothing goes wrong any more, and all that was
//!                                           |  promised must come to pass
//! ```

mod lives;
mod month;

use std::rc::Rc;
use std::sync::Arc;

use flipped_lb::config::Config;
use flipped_lb::counters::{Counter, Snapshot};

use crate::checkers::{self, Checker, Facts, Remains};
use crate::crowd::Crowd;
use crate::customer::Customer;
use crate::database::Database;
use crate::dice::Dice;
use crate::disk::Disk;
use crate::failure::Failure;
use crate::growth::Growth;
use crate::heap::Account;
use crate::history::{Event, Surviving};
use crate::life::{Life, Part, read_leaving};
use crate::log::{self, LogPlan};
use crate::plan::{Faults, Plan};
use crate::rejected::RejectedDisk;
use crate::script::Script;
use crate::source::Source;
use crate::tally::Tally;
use crate::time::{Machine, Time};
use crate::trace::Trace;
use crate::turns::{Actor, Turns};
use crate::wire::{LinkId, Peer, Wire};

/// Calm lasts this long at most, in ns: back-off, time-outs of acknowledgements and all. It is half a dedup
/// window, so that a full disk has to heal without its end.
const CALM_NS_MAX: u64 = 300_000_000_000;
/// Nothing may happen for this long, in ns, before all is believed to be done: a store that failed
/// rests for up to five seconds.
const QUIET_NS: u64 = 12_000_000_000;

/// The second delivery agent.
const STANDS_STILL: Part = Part::Agent(7);

/// Ids that come again when the window has passed, and turns in which all of them are read.
const REUSED: usize = 8;
const REUSE_TURNS: usize = 2_000;

/// What is to become of the present life.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It ends at this time.
    Until(u64),
    /// It dies within an operation, or at this time.
    Doomed(u64),
    /// It was told to stop, and is killed at this time.
    Stopping(u64),
}

/// What a run was like.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Of everything that happened.
    pub hash: u64,
    /// Lives of the engine.
    pub lives: usize,
    /// Frames handed over.
    pub handed: usize,
    /// Turns given.
    pub turns: usize,
}

/// See the module.
pub struct World {
    plan: Rc<Plan>,
    script: Arc<Script>,
    config: Config,
    dice: Dice,
    /// When the operator looks after the files of rejected lines.
    operator: Dice,
    time: Time,
    machine: Machine,
    /// Thrown for the wall clock.
    clock_dice: Dice,
    /// The run is over, but for a last look: nothing is checked any more.
    is_over: bool,
    wire: Wire,
    disk: Disk,
    database: Database,
    rejected: RejectedDisk,
    sources: Vec<Source>,
    customers: Vec<Customer>,
    crowd: Crowd,
    tally: Tally,
    turns: Turns,
    life: Option<Life>,
    /// The subscribers' connections when a delivery agent came to stand still.
    seats: Option<Vec<Option<LinkId>>>,
    fate: Fate,
    faults: Faults,
    ends_left: usize,
    starts_ns: u64,
    calm_since_ns: Option<u64>,
    /// Since then the disk of rejected lines takes nothing, and all else is calm.
    stuck_since_ns: Option<u64>,
    /// When something happened last that is to be seen from outside.
    happened_ns: u64,
    surviving: Surviving,
    /// What of it no power loss takes: an engine has started on it.
    certain: Surviving,
    counters: Snapshot,
    checkers: Vec<Box<dyn Checker>>,
    /// What the engines have of the heap, and whether that grows.
    account: Account,
    growth: Growth,
    month_dice: Dice,
    trace: Trace,
    outcome: Outcome,
}

fn make_sources(plan: &Plan, script: &Arc<Script>, wire: &Wire, time: &Time) -> Vec<Source> {
    let make = |(number, it)| {
        Source::new(
            number,
            (it, plan.crowd.is_some()),
            Arc::clone(script),
            wire.clone(),
            time.clone(),
            Dice::new(plan.seed, &format!("source {number}")),
        )
    };
    plan.sources.iter().enumerate().map(make).collect()
}

fn make_customers(plan: &Plan, script: &Arc<Script>, wire: &Wire, time: &Time) -> Vec<Customer> {
    let make = |(number, it)| {
        Customer::new(
            number,
            it,
            Arc::clone(script),
            wire.clone(),
            time.clone(),
            Dice::new(plan.seed, &format!("customer {number}")),
        )
    };
    plan.customers.iter().enumerate().map(make).collect()
}

impl World {
    /// The world of this plan, before it begins; it counts what it meets.
    pub fn new(plan: Plan, tally: Tally) -> Self {
        let (seed, plan) = (plan.seed, Rc::new(plan));
        // What has randomness of its own takes it from this thread's.
        fastrand::seed(seed);
        log::open(plan.log);
        let script = Arc::new(Script::draw(&plan));
        let (time, faults) = (Time::default(), plan.faults);
        let dice = |part: &str| Dice::new(seed, part);
        let wire = Wire::new(
            time.clone(),
            &plan,
            dice("wire"),
            Arc::clone(&script),
            tally.clone(),
        );
        let room = (plan.disk_len, plan.writes_in_place);
        let disk = Disk::new(time.clone(), faults, dice("drive"), room, tally.clone());
        let database = Database::new(time.clone(), faults, dice("database"), tally.clone());
        let kept_dice = dice("rejected");
        let rejected = RejectedDisk::new(
            disk.clone(),
            (plan.rejected, plan.segment),
            kept_dice,
            tally.clone(),
        );
        let crowd = Crowd::new(plan.crowd, wire.clone(), time.clone(), dice("crowd"));
        let sources = make_sources(&plan, &script, &wire, &time);
        let customers = make_customers(&plan, &script, &wire, &time);
        let facts = Facts::new(&plan, &script);
        Self {
            config: plan.config(),
            script,
            dice: dice("world"),
            operator: dice("operator"),
            machine: time.boot(1),
            clock_dice: dice("clock"),
            is_over: false,
            time,
            wire,
            disk,
            database,
            rejected,
            sources,
            customers,
            crowd,
            tally,
            turns: Turns::new(&plan, dice("turns")),
            life: None,
            seats: None,
            fate: Fate::Until(0),
            faults,
            ends_left: plan.ends,
            starts_ns: 0,
            calm_since_ns: None,
            stuck_since_ns: None,
            happened_ns: 0,
            surviving: Surviving::default(),
            certain: Surviving::default(),
            counters: flipped_lb::counters::Counters::default().snapshot(),
            checkers: checkers::all(&facts),
            account: Account::open(),
            growth: Growth::default(),
            month_dice: dice("month"),
            trace: Trace::new(),
            outcome: Outcome::default(),
            plan,
        }
    }

    /// Runs it to its end.
    pub fn run(&mut self) -> Result<Outcome, Failure> {
        while self.time.ns() < self.plan.trouble_ns {
            self.step()?;
        }
        self.calm();
        self.get_done(false)?;
        self.finish_run()
    }

    /// Goes on until all is done that can be done, but for messages to who is away.
    fn get_done(&mut self, is_somebody_away: bool) -> Result<(), Failure> {
        let since_ns = self.time.ns();
        loop {
            self.step()?;
            let moved_ns = self.happened_ns.max(since_ns);
            let is_quiet = self.time.ns() > moved_ns + QUIET_NS && self.stuck_since_ns.is_none();
            if is_quiet && self.is_done(is_somebody_away) {
                return Ok(());
            }
            if self.time.ns() > since_ns + CALM_NS_MAX {
                return Err(self.failure("progress", self.stuck()));
            }
        }
    }

    /// The last looks.
    fn finish_run(&mut self) -> Result<Outcome, Failure> {
        let remains = Remains {
            rows: self.database.rows(),
            rejected: self.rejected.kept(),
            rejected_dropped: self.rejected.dropped(),
            counters: self.counters.clone(),
        };
        self.ask(|it| it.end(&remains))?;
        self.reuse_ids()?;
        match self.plan.log {
            LogPlan::Unread if log::has_lines() => self.tally.met("log not taken"),
            LogPlan::Gone if log::has_lines() => self.tally.met("log stream gone"),
            _ => {}
        }
        self.outcome.hash = self.trace.hash();
        self.outcome.turns = self.turns.count();
        Ok(self.outcome)
    }

    /// One turn of somebody.
    fn step(&mut self) -> Result<(), Failure> {
        self.look_after_rejected()?;
        self.time.pass(self.turns.pause_ns());
        self.set_clock();
        self.wire.fly();
        self.crowd.turn();
        if self.life.is_none() && self.time.ns() >= self.starts_ns {
            self.start()?;
        }
        let actor = self.turns.next(self.calm_since_ns.is_some());
        let worked = !self.stands_still(actor)? && self.turn(actor)?;
        self.trace.step((actor, worked, self.time.ns()));
        self.turns.note(worked);
        self.look_at_fate()
    }

    /// Whether this is the agent that stands still now. When that ends, it is said who was spared.
    fn stands_still(&mut self, actor: Actor) -> Result<bool, Failure> {
        let Some((begin_ns, end_ns)) = self.plan.standstill else {
            return Ok(false);
        };
        let is_now = (begin_ns..end_ns).contains(&self.time.ns());
        match (is_now, self.seats.is_some()) {
            (true, false) => self.seats = Some(self.seats()),
            (false, true) => {
                let before = self.seats.take().unwrap_or_default();
                let spared = self.spared(&before, &self.seats());
                self.tally.met("stood still");
                self.note(vec![Event::StoodStill { spared }])?;
            }
            _ => {}
        }
        Ok(is_now && actor == Actor::Engine(STANDS_STILL))
    }

    fn seats(&self) -> Vec<Option<LinkId>> {
        self.customers.iter().map(|it| it.seat().0).collect()
    }

    /// The destinations whose subscribers were with the other agent all the time.
    fn spared(&self, before: &[Option<LinkId>], after: &[Option<LinkId>]) -> Vec<usize> {
        let is_with_other = |link: LinkId| self.wire.agent_of(link) == Some(1);
        let seats = self.customers.iter().zip(before.iter().zip(after));
        let spared = seats
            .filter(|(_, (before, after))| before == after && before.is_some_and(is_with_other));
        spared.flat_map(|(it, _)| it.seat().1.to_vec()).collect()
    }

    fn turn(&mut self, actor: Actor) -> Result<bool, Failure> {
        let mut events = Vec::new();
        let worked = match actor {
            Actor::Source(it) => self.sources[it].turn(&self.faults, &mut events),
            Actor::Customer(it) => self.customers[it].turn(&self.faults, &mut events),
            Actor::Engine(part) => return self.turn_engine(part),
        };
        self.note(events)?;
        Ok(worked)
    }

    fn turn_engine(&mut self, part: Part) -> Result<bool, Failure> {
        let Some(life) = &mut self.life else {
            return Ok(false);
        };
        let result = life.turn(part);
        let is_scheduler = part == Part::Agent(1);
        let counters = is_scheduler.then(|| life.counters.snapshot());
        let mut events = self.wire.events();
        events.extend(self.database.events());
        events.extend(self.rejected.events());
        events.extend(log::turn());
        events.extend(self.crowded());
        self.note_leaving();
        self.note(events)?;
        if let Some(counters) = counters {
            let recorded = |it: &Snapshot| it.get(Counter::JournalRecorded);
            if recorded(&counters) != recorded(&self.counters) {
                self.happened_ns = self.time.ns();
            }
            self.note_shortages(&counters);
            self.counters = counters;
            let counters = self.counters.clone();
            self.ask(|it| it.look(&counters))?;
        }
        if self.disk.is_dead() || self.database.is_dead() {
            self.end(None)?;
            return Ok(true);
        }
        match result {
            Ok(work_count) => Ok(work_count > 0),
            Err(error) if part == Part::Store => {
                self.note(vec![Event::StoreStopped(error.to_string())])?;
                Ok(true)
            }
            Err(error) => {
                let (error, has_reason) = (error.to_string(), self.disk.has_failed());
                self.note(vec![Event::Failed { error, has_reason }])?;
                self.end(None)?;
                Ok(true)
            }
        }
    }

    /// Whether a listener has more connections than it may have.
    fn crowded(&self) -> Option<Event> {
        let limit = self.plan.crowd?.limit;
        let held = self.wire.held().into_iter().max()?;
        (held > limit).then_some(Event::Crowded { held, limit })
    }

    /// Shortages that have come since the counters were looked at last.
    fn note_shortages(&self, counters: &Snapshot) {
        for (counter, what) in [
            (Counter::JournalWaiting, "messages waited for room"),
            (Counter::JournalStuck, "settlements waited for room"),
            (Counter::DestinationsRetired, "created name went"),
            (
                Counter::ConnectionsRefused,
                "connection refused at its limit",
            ),
        ] {
            if counters.get(counter) > self.counters.get(counter) {
                self.tally.met(what);
            }
        }
    }

    /// Somebody sets the wall clock, now and then.
    fn set_clock(&mut self) {
        let dice = &mut self.clock_dice;
        if dice.chance(self.faults.clock_set) && dice.chance(10) {
            let max = self.faults.wrong_clock_us;
            let by_us = dice.long(0..=2 * max as u64) as i64 - max;
            self.machine.set_wrong(by_us);
            self.tally.met("wall clock set");
        }
    }

    /// "Once. A messageId is accepted once within the dedup window": when the window has passed, what
    /// was accepted before is a new message, whatever the clocks of earlier lives said.
    fn reuse_ids(&mut self) -> Result<(), Failure> {
        self.is_over = true;
        let window = self.config.dedup.window;
        self.time
            .pass((window + window / 200).as_nanos() as u64 + 1_000_000_000);
        let lines = self.script.messages_once(REUSED);
        let before = self.counters.clone();
        let link = self.wire.connect(Peer::Source(0));
        let mut unsent: Vec<u8> = lines.concat();
        for _ in 0..REUSE_TURNS {
            let sent = self.wire.send(link, &unsent).unwrap_or(0);
            unsent.drain(..sent);
            self.step()?;
        }
        let grown = |counter| self.counters.get(counter) - before.get(counter);
        let (accepted, duplicates) = (grown(Counter::Accepted), grown(Counter::Duplicates));
        if (accepted, duplicates) == (lines.len() as u64, 0) {
            return Ok(());
        }
        let what = format!(
            "of {} ids that came again behind the window {accepted} were accepted, {duplicates} were \
             taken for duplicates",
            lines.len()
        );
        Err(self.failure("twice", what))
    }

    /// The operator comes by now and then; the disk of rejected lines works again when sources without
    /// wrong lines, or one that they have cut off, are done: these wait for nobody's.
    fn look_after_rejected(&mut self) -> Result<(), Failure> {
        if let Some(since_ns) = self.stuck_since_ns {
            let mut right = self.plan.sources.iter().zip(&self.sources);
            if right.all(|(plan, it)| plan.wrong > 0 || it.has_cut() || it.is_done()) {
                self.stuck_since_ns = None;
                self.rejected.calm(false);
            } else if self.time.ns() > since_ns + CALM_NS_MAX / 3 {
                let what = format!("right lines wait for wrong ones; {}", self.stuck());
                return Err(self.failure("isolation", what));
            }
        } else if self.plan.month.is_none() && self.operator.chance(2) {
            self.rejected.tidy();
        }
        Ok(())
    }

    /// What stood in files that go is known from now on.
    fn note_leaving(&mut self) {
        for (name, look) in self.disk.leaving() {
            let of_file = read_leaving(&look, self.plan.segment, name);
            for known in [&mut self.surviving, &mut self.certain] {
                known.recorded.extend(&of_file.recorded);
                known.settled.extend(&of_file.settled);
            }
        }
    }

    // ---- the end of trouble ----

    fn calm(&mut self) {
        self.calm_since_ns = Some(self.time.ns());
        self.faults = Faults::default();
        self.ends_left = 0;
        if let Fate::Until(_) = self.fate {
            self.fate = Fate::Until(u64::MAX);
        }
        self.wire.calm();
        self.disk.calm();
        self.database.calm();
        self.rejected.calm(self.plan.rejected.is_stuck);
        self.stuck_since_ns = self.plan.rejected.is_stuck.then(|| self.time.ns());
        self.customers.iter_mut().for_each(Customer::calm);
        self.crowd.calm();
    }

    fn is_done(&self, is_somebody_away: bool) -> bool {
        let waits = [Counter::Queued, Counter::InFlight].map(|it| self.counters.get(it));
        // With `memory`, what is delivered may wait for the journal.
        let of = |it| self.counters.get(it);
        let is_recorded = of(Counter::LastSequence) <= of(Counter::JournalRecorded);
        self.life.is_some()
            && is_recorded
            && self.sources.iter().all(Source::is_done)
            && self.wire.is_read()
            && (is_somebody_away || waits == [0, 0])
    }

    fn stuck(&self) -> String {
        let mut lines = vec!["the faults are over, and not everything gets done".to_owned()];
        lines.extend(self.sources.iter().map(Source::state));
        lines.extend(self.customers.iter().map(Customer::state));
        let of = |it: &Counter| format!("{}: {}", it.label(), self.counters.get(*it));
        lines.push(Counter::ALL.iter().map(of).collect::<Vec<_>>().join(", "));
        lines.push(format!("the disk: {}", self.disk.listing()));
        lines.push(format!("an engine runs: {}", self.life.is_some()));
        lines.join("\n  ")
    }

    // ---- the checkers ----

    fn note(&mut self, events: Vec<Event>) -> Result<(), Failure> {
        let now_ns = self.time.ns();
        for event in events {
            self.happened_ns = now_ns;
            self.outcome.handed += usize::from(matches!(event, Event::Handed { .. }));
            self.trace.note(now_ns, event.clone());
            self.ask(|it| it.note(&event, now_ns))?;
        }
        Ok(())
    }

    fn ask(
        &mut self,
        mut question: impl FnMut(&mut dyn Checker) -> checkers::Verdict,
    ) -> Result<(), Failure> {
        if self.is_over {
            return Ok(());
        }
        for checker in &mut self.checkers {
            if let Err(what) = question(checker.as_mut()) {
                let name = checker.name();
                return Err(self.failure(name, what));
            }
        }
        Ok(())
    }

    /// A failure that shows what happened last.
    pub fn failure(&self, checker: &'static str, what: String) -> Failure {
        Failure {
            seed: self.plan.seed,
            checker,
            what,
            plan: format!("{:#?}", self.plan),
            trace: self.trace.tail(),
            again: match self.plan.month {
                None => "cargo nextest run --test simulation one_seed".to_owned(),
                Some(it) => format!(
                    "FLIPPED_LB_SIMULATION_DAYS={} cargo nextest run --test simulation nothing_grows",
                    it.days
                ),
            },
        }
    }
}
