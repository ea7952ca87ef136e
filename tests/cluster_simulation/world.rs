//! The world: lets time pass, carries messages, and does harm.

mod exchanges;
mod harm;
mod members;
mod network;
mod restoring;

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap, VecDeque};
use std::hash::{DefaultHasher, Hash, Hasher};

use flipped_lb::cluster::core::{Event, Publish, Role};

use crate::checkers::Checkers;
use crate::dice::Dice;
use crate::node::{Cut, Node};
use crate::plan::{Broken, Faults, Plan, SECOND};
use crate::servers::Servers;
use crate::source::Source;

/// A promise that was kept, or which checker says what.
pub type Verdict = Result<(), (&'static str, String)>;

/// After the trouble all must be done within this time.
const CALM_US: u64 = 240 * SECOND;
/// Events that a report shows, unless `FLIPPED_LB_SIMULATION_EVENTS` says otherwise.
const SHOWN: usize = 60;

/// Something that is to happen.
#[derive(Debug)]
enum Next {
    Tick(usize),
    Hear(usize, u64, Event),
    Arrive(usize, u64, Publish),
    /// What one leader has let through, another one stores.
    Store(usize, u64, Publish),
    Ask(usize, u64, u64),
    Look(usize, u64),
    Purge(u64),
    Kill(usize, u64),
    Read(usize, u64),
    Journal(usize, u64),
    Fetch(usize, u64, u64),
    Built(usize, u64),
    Start(usize),
    Source(usize),
    Harm,
    /// The servers go down while this member is cut off.
    Outage(usize),
    /// This member is cut off no more.
    Return(usize),
    /// Somebody looks whether the stream has records.
    MakeAnew,
}

/// What a run leaves.
#[derive(Debug, Default)]
pub struct Outcome {
    pub hash: u64,
    pub met: BTreeMap<&'static str, u64>,
}

impl Outcome {
    pub fn and(mut self, other: Self) -> Self {
        other
            .met
            .into_iter()
            .for_each(|(what, times)| *self.met.entry(what).or_default() += times);
        self
    }
}

pub struct World {
    plan: Plan,
    faults: Faults,
    dice: Dice,
    now_us: u64,
    next: BinaryHeap<Reverse<(u64, u64)>>,
    waiting: BTreeMap<u64, Next>,
    events: u64,
    nodes: Vec<Node>,
    servers: Servers,
    sources: Vec<Source>,
    checkers: Checkers,
    met: BTreeMap<&'static str, u64>,
    hasher: DefaultHasher,
    last: VecDeque<String>,
    shown: usize,
}

impl World {
    pub fn new(plan: Plan) -> Self {
        let nodes = plan.members.iter().enumerate();
        let nodes: Vec<_> = nodes
            .map(|(index, it)| Node::new(index, it, plan.broken))
            .collect();
        let servers = Servers {
            is_broken: plan.broken == Broken::SubjectExpectation,
            ..Servers::default()
        };
        let mut world = Self {
            faults: plan.faults.clone(),
            dice: Dice::new(plan.seed, "world"),
            now_us: 1,
            next: BinaryHeap::new(),
            waiting: BTreeMap::new(),
            events: 0,
            sources: (0..plan.sources)
                .map(|it| Source::new(it, plan.orders))
                .collect(),
            nodes,
            servers,
            checkers: Checkers::new(plan.orders),
            met: BTreeMap::new(),
            hasher: DefaultHasher::new(),
            last: VecDeque::new(),
            shown: crate::setting("EVENTS").map_or(SHOWN, |it| it as usize),
            plan,
        };
        for index in 0..world.nodes.len() {
            let late = world.dice.long(0..=2 * SECOND);
            world.after(late, Next::Start(index));
            world.after(late, Next::Tick(index));
        }
        for index in 0..world.sources.len() {
            world.after(SECOND, Next::Source(index));
        }
        world.after(SECOND, Next::Harm);
        world
    }

    fn after(&mut self, us: u64, next: Next) {
        self.events += 1;
        self.next.push(Reverse((self.now_us + us, self.events)));
        self.waiting.insert(self.events, next);
    }

    fn met(&mut self, what: &'static str) {
        *self.met.entry(what).or_default() += 1;
    }

    fn note(&mut self, what: String) {
        (self.now_us, &what).hash(&mut self.hasher);
        if self.last.len() >= self.shown {
            self.last.pop_front();
        }
        self.last
            .push_back(format!("{:>12.3} s  {what}", self.now_us as f64 / 1e6));
    }

    /// What the seed drew, and the last events.
    pub fn report(&self) -> String {
        let lines: Vec<&str> = self.last.iter().map(String::as_str).collect();
        format!("{:#?}\n{}", self.plan, lines.join("\n"))
    }

    pub fn run(&mut self) -> Result<Outcome, (&'static str, String)> {
        let mut is_calm = false;
        while let Some(Reverse((at, event))) = self.next.pop() {
            self.now_us = at;
            if !is_calm && at > self.plan.trouble_us {
                is_calm = true;
                self.heal();
            }
            if is_calm && self.is_done() {
                break;
            }
            if at > self.plan.trouble_us + CALM_US {
                return Err(("progress", self.words()));
            }
            let next = self.waiting.remove(&event).expect("each comes once");
            self.turn(next)?;
        }
        self.checkers.end(&self.nodes, &self.servers)?;
        Ok(Outcome {
            hash: self.hasher.finish(),
            met: std::mem::take(&mut self.met),
        })
    }

    /// All is acknowledged, and all members have it. Whoever holds a lost record has the same number, and not
    /// the same record: it has yet to notice.
    fn is_done(&self) -> bool {
        let tip = self.servers.last();
        let last = self.nodes[0].journal.last();
        let has_all = |it: &Node| {
            it.journal.is_idle()
                && it.journal.last() == last
                && it.core().is_some_and(|it| it.sequence() == tip)
        };
        self.sources.iter().all(Source::is_done)
            && self.nodes.iter().all(has_all)
            && self.nodes.iter().any(|it| it.role() == Role::Active)
    }

    fn words(&self) -> String {
        let roles: Vec<_> = self
            .nodes
            .iter()
            .map(|it| (it.role(), it.core().map(|it| it.sequence())))
            .collect();
        let done = self.sources.iter().filter(|it| it.is_done()).count();
        format!(
            "{done} sources are done, the stream ends at {}, members: {roles:?}",
            self.servers.last()
        )
    }

    /// The trouble ends.
    fn heal(&mut self) {
        self.note("calm".into());
        self.faults = Faults {
            publish_late_us: SECOND,
            ack_late_us: SECOND,
            copy_late_us: 20_000,
            ..Faults::default()
        };
        self.servers.down_until_us = 0;
        for node in &mut self.nodes {
            node.cut = Cut::default();
        }
    }

    fn turn(&mut self, next: Next) -> Verdict {
        match next {
            Next::Tick(node) => self.tick(node),
            Next::Hear(node, run, event) => self.on_event(node, run, event),
            Next::Arrive(node, run, publish) => self.arrive(node, run, publish),
            Next::Store(node, run, publish) => {
                self.store(node, run, &publish);
                Ok(())
            }
            Next::Ask(node, run, n) => {
                self.answer(node, run, n);
                Ok(())
            }
            Next::Look(node, run) => {
                self.look(node, run);
                Ok(())
            }
            Next::Kill(node, run) => {
                if self.nodes[node].run == run && self.nodes[node].core().is_some() {
                    self.kill(node);
                }
                Ok(())
            }
            Next::Purge(before) => {
                self.purge(before);
                Ok(())
            }
            Next::Read(node, reading) => self.read(node, reading),
            Next::Journal(node, run) => self.sync(node, run),
            Next::Fetch(node, run, asked) => self.fetch(node, run, asked),
            Next::Built(node, run) => {
                self.build(node, run);
                Ok(())
            }
            Next::Start(node) => self.start(node),
            Next::Source(source) => {
                self.source(source);
                Ok(())
            }
            Next::Harm => self.harm(),
            Next::Outage(away) => {
                self.outage_without(away);
                Ok(())
            }
            Next::Return(node) => {
                self.note(format!("node {node} is cut off no more"));
                self.nodes[node].cut = Cut::default();
                Ok(())
            }
            Next::MakeAnew => {
                self.make_anew();
                Ok(())
            }
        }
    }
}
