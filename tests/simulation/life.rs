//! One life of the engine: its real agents, rings and cores, wired as ever, over the simulated
//! world, with the core of its store beside them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use flipped_lb::agent::{Agent, Fatal};
use flipped_lb::clock::Clock;
use flipped_lb::config::Config;
use flipped_lb::counters::Counters;
use flipped_lb::destinations;
use flipped_lb::engine::pipeline::{Common, Signals, World, assemble, recover, rejects};
use flipped_lb::engine::{Names, Wakes};
use flipped_lb::journal::reader::Reader;
use flipped_lb::journal::storage::Name;
use flipped_lb::latency::{self, Collector, Totals};
use flipped_lb::ring::Wake;
use flipped_lb::scheduler::rules::Rules;
use flipped_lb::store::follower::Follower;

use crate::database::Database;
use crate::disk::Disk;
use crate::heap::Account;
use crate::history::{MessageId, Surviving};
use crate::rejected::RejectedDisk;
use crate::script::message_of;
use crate::time::{EngineClock, Machine};
use crate::wire::Wire;

/// Bytes of the ring to the rejects agent: a few wrong lines fill it.
const REJECTS_RING: usize = 8 * 1024;

/// Cycles without work after which an agent that was stopped ends, as its thread would.
const LAST_CYCLES: usize = 4;

/// A running engine.
pub struct Life {
    agents: Vec<Box<dyn Agent>>,
    follower: Follower<Disk, Database>,
    pub counters: Arc<Counters>,
    pub signals: Signals,
    clock: EngineClock,
    collector: Collector,
    totals: Totals,
    account: Account,
    /// What it never gives back, if it leaks.
    leaked: Option<Vec<[u8; 64]>>,
}

/// Who can be given a turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// An agent of the pipeline, in the order the data flows.
    Agent(usize),
    /// The store's core.
    Store,
}

impl Life {
    /// Starts an engine on what the disk holds.
    pub fn start(
        config: &Config,
        (disk, wire, database, rejected): (&Disk, &Wire, &Database, &RejectedDisk),
        machine: &Machine,
        (account, seed, scheduler_ring): (Account, u64, usize),
    ) -> Result<Self, Fatal> {
        let counters = Arc::new(Counters::default());
        let signals = Signals::default();
        let rules = Rules::new(&config.rules, &config.destinations, config.scheduler.levels);
        let names = Names::new(config, &rules);
        let mut storage = disk.clone();
        let (recovered, recovered_state) =
            recover(config, &mut storage, &names, keys(seed), machine.wall_us())?;
        let clock = machine.clock(&recovered.past);
        disk.started();
        let position = recovered.origin.position;
        signals.recorded.store(position, Ordering::Release);
        let destinations_max = names.destinations_max();
        let (recorder, collector) = latency::exchange(config.scheduler.levels, destinations_max);
        let reader = Reader::new(disk.clone(), config.journal.segment, 0);
        let counted = Arc::clone(&counters);
        let follower = Follower::new(reader, database.clone(), counted, &config.store);
        let mut ports = wire.ports(1 + config.delivery.agents).into_iter();
        let world = World {
            ingest_net: ports.next().expect("ingest has one"),
            delivery_nets: ports.collect(),
            storage,
            clock: clock.clone(),
            seed,
            scheduler_ring,
        };
        let wakes = wakes(config.delivery.agents);
        rejected.starting(true);
        let rejects = rejects(config, rejected.clone(), REJECTS_RING, &wakes, &counters)?;
        rejected.starting(false);
        let common = Common {
            counters: Arc::clone(&counters),
            signals: signals.clone(),
            names,
            destinations_max,
            rules,
            recovered_state,
            recorder,
            reporter: destinations::exchange(destinations_max).0,
        };
        let pipeline = assemble(config, world, &wakes, recovered, common, rejects);
        let mut agents = pipeline.into_agents();
        for agent in &mut agents {
            agent.on_start(clock.now())?;
        }
        Ok(Self {
            agents,
            follower,
            counters,
            signals,
            clock,
            collector,
            totals: Totals::new(config.scheduler.levels, destinations_max),
            account,
            leaked: None,
        })
    }

    /// From now on some bytes are kept for good in each turn of use.
    pub fn leak(&mut self) {
        self.leaked = Some(Vec::new());
    }

    /// The monitor collects the latencies of an interval; at the end of a day it begins new totals.
    pub fn collect(&mut self, is_end_of_day: bool) {
        self.account.within(|| {
            self.collector.collect(&mut self.totals);
            if is_end_of_day {
                drop(self.totals.take());
            }
        });
    }

    /// One turn of a part; returns its work count.
    pub fn turn(&mut self, part: Part) -> Result<usize, Fatal> {
        self.account.within(|| {
            let work_count = match part {
                Part::Agent(index) => self.agents[index].do_work(self.clock.now())?,
                Part::Store => self.follow()?,
            };
            if let Some(leaked) = self.leaked.as_mut().filter(|_| work_count > 0) {
                leaked.push([0; 64]);
            }
            Ok(work_count)
        })
    }

    fn follow(&mut self) -> Result<usize, Fatal> {
        let recorded = self.signals.recorded.load(Ordering::Acquire);
        Ok(self.follower.step(recorded, self.clock.now())?)
    }

    /// Ends the agents in an orderly way, sources first, the journal last.
    pub fn finish(&mut self) -> Result<(), Fatal> {
        self.account.within(|| self.finish_agents())
    }

    fn finish_agents(&mut self) -> Result<(), Fatal> {
        let journal = 2;
        let others = (0..self.agents.len()).filter(|&it| it != journal);
        for index in others.chain([journal]) {
            let mut fruitless = 0;
            while fruitless < LAST_CYCLES {
                let work_count = self.agents[index].do_work(self.clock.now())?;
                fruitless = if work_count > 0 { 0 } else { fruitless + 1 };
            }
            self.agents[index].on_close(self.clock.now())?;
        }
        Ok(())
    }
}

/// The dedup window's.
fn keys(seed: u64) -> [u64; 8] {
    let mut random = fastrand::Rng::with_seed(seed);
    std::array::from_fn(|_| random.u64(..))
}

fn wakes(deliveries: usize) -> Wakes {
    let wake = Wake::new().expect("a descriptor");
    let another = || Arc::clone(&wake);
    Wakes {
        ingest: another(),
        scheduler: another(),
        journal: another(),
        replay: another(),
        retention: another(),
        rejects: another(),
        deliveries: (0..deliveries).map(|_| another()).collect(),
    }
}

/// What stood in a file that is about to go, and what of it the journal knows to be settled.
pub fn read_leaving(disk: &Disk, segment_len: u64, name: Name) -> Surviving {
    let segments = match name {
        Name::Segment(number) => number..number + 1,
        Name::Compacted(from, to) => from..to,
        _ => 0..0,
    };
    let mut reader = Reader::new(disk.clone(), segment_len, segments.start * segment_len);
    let mut by_sequence: BTreeMap<u64, MessageId> = BTreeMap::new();
    let mut left = Surviving::default();
    while let Ok(Some(batch)) = reader.next(u64::MAX) {
        if segments.contains(&(batch.position() / segment_len)) {
            for record in batch.records() {
                let message = message_of(&record.message_id().value());
                by_sequence.extend(message.map(|it| (record.sequence, it)));
            }
        }
        for settlement in batch.settlements() {
            left.settled.extend(by_sequence.get(&settlement.sequence));
        }
    }
    left.recorded.extend(by_sequence.values());
    left
}

/// What stands in the journal, as its own reader finds it; adds to what was found before, for what
/// is settled may leave the journal.
pub fn read_journal(disk: &Disk, segment_len: u64, surviving: &mut Surviving) {
    let mut reader = Reader::new(disk.clone(), segment_len, 0);
    let mut by_sequence: BTreeMap<u64, MessageId> = BTreeMap::new();
    while let Ok(Some(batch)) = reader.next(u64::MAX) {
        for record in batch.records() {
            if let Some(message) = message_of(&record.message_id().value()) {
                surviving.recorded.insert(message);
                by_sequence.insert(record.sequence, message);
            }
        }
        for settlement in batch.settlements() {
            surviving
                .settled
                .extend(by_sequence.get(&settlement.sequence));
        }
    }
}
