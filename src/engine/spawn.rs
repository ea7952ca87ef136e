//! Puts the agents on their threads.
//!
//! The plan says which agent goes where; each thread is told to stop by a flag of its own, and says
//! by health and by a channel how it ended.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;

use tracing::error;

use super::pipeline::{Pipeline, Wakes};
use super::start::{StartError, system};
use super::threads::{Plan, Role};
use super::{Failed, Thread};
use crate::admin::{Health, Waits};
use crate::agent::affinity::PinError;
use crate::agent::pressure::InputPressure;
use crate::agent::relief::{Lodger, Shift, shifts};
use crate::agent::round_trip::RoundTrip;
use crate::agent::runner::Runner;
use crate::agent::{Agent, Fatal};
use crate::clock::SystemClock;
use crate::config::IdleKind;
use crate::ring::Wake;

/// The thread to which ingest may move.
const RELIEF: &str = "relief";

/// Names of the threads that a plan has, as health and logs call them.
pub fn names(plan: &Plan) -> Vec<&'static str> {
    let mut names: Vec<&str> = plan.threads.iter().map(|it| it.name).collect();
    names.dedup();
    names.extend(["replay", "retention", "rejects"]);
    if plan.relief {
        names.push(RELIEF);
    }
    names
}

/// What a thread may wait for: those beside the path read and write files.
fn waits(name: &str) -> Waits {
    match name {
        "journal" => Waits::SourcesToo,
        "replay" | "retention" | "rejects" => Waits::Alone,
        _ => Waits::Never,
    }
}

/// The agents' wake-ups: one a thread, and one for ingest where it may move.
pub fn wakes(plan: &Plan) -> Result<Wakes, StartError> {
    let wake = || Wake::new().map_err(system("event descriptor"));
    let threads = plan.threads.iter().map(|_| wake());
    let threads = threads.collect::<Result<Vec<_>, _>>()?;
    let of = |role: Role| {
        let thread = plan.threads.iter().position(|it| it.roles.contains(&role));
        Arc::clone(&threads[thread.expect("the plan has each agent")])
    };
    let roles = plan.threads.iter().flat_map(|it| &it.roles);
    let deliveries = roles.filter(|role| matches!(role, Role::Delivery(_)));
    Ok(Wakes {
        ingest: if plan.relief {
            wake()?
        } else {
            of(Role::Ingest)
        },
        scheduler: of(Role::Scheduler),
        journal: of(Role::Journal),
        replay: wake()?,
        retention: wake()?,
        rejects: wake()?,
        deliveries: (0..deliveries.count())
            .map(|index| of(Role::Delivery(index)))
            .collect(),
    })
}

/// A thread to be.
struct Seat {
    name: &'static str,
    agents: Vec<Box<dyn Agent>>,
    core: Option<usize>,
    wake: Arc<Wake>,
    shift: Option<Shift>,
    is_background: bool,
}

impl Seat {
    fn new(
        name: &'static str,
        agents: Vec<Box<dyn Agent>>,
        core: Option<usize>,
        wake: &Arc<Wake>,
    ) -> Self {
        Self {
            name,
            agents,
            core,
            wake: Arc::clone(wake),
            shift: None,
            is_background: false,
        }
    }

    /// It does not keep a core from a thread that a message waits for.
    fn in_background(self) -> Self {
        Self {
            is_background: true,
            ..self
        }
    }
}

/// The agents, until each has a thread.
struct Agents {
    ingest: Option<Box<dyn Agent>>,
    scheduler: Option<Box<dyn Agent>>,
    journal: Option<Box<dyn Agent>>,
    deliveries: Vec<Option<Box<dyn Agent>>>,
    replay: Box<dyn Agent>,
    retention: Box<dyn Agent>,
    rejects: Box<dyn Agent>,
    clock: SystemClock,
}

impl Agents {
    fn new(pipeline: Pipeline, clock: SystemClock) -> Self {
        Self {
            ingest: Some(pipeline.ingest),
            scheduler: Some(pipeline.scheduler),
            journal: Some(pipeline.journal),
            deliveries: pipeline.deliveries.into_iter().map(Some).collect(),
            replay: pipeline.replay,
            retention: pipeline.retention,
            rejects: pipeline.rejects,
            clock,
        }
    }

    /// The agents of one thread, in the order of the data. A scheduler and a journal that share it
    /// answer each other in one duty cycle.
    fn take(&mut self, roles: &[Role]) -> Vec<Box<dyn Agent>> {
        let has = |role| roles.contains(&role);
        let (scheduler, journal) = (&mut self.scheduler, &mut self.journal);
        let mut agents: Vec<Box<dyn Agent>> = Vec::new();
        if has(Role::Ingest) {
            agents.extend(self.ingest.take());
        }
        match (has(Role::Scheduler), has(Role::Journal)) {
            (true, true) => {
                let pair = scheduler.take().zip(journal.take());
                agents.extend(pair.map(|(asks, answers)| {
                    Box::new(RoundTrip::new(asks, answers, self.clock.clone())) as Box<dyn Agent>
                }));
            }
            (true, false) => agents.extend(scheduler.take()),
            (false, true) => agents.extend(journal.take()),
            (false, false) => {}
        }
        for (index, agent) in self.deliveries.iter_mut().enumerate() {
            if has(Role::Delivery(index)) {
                agents.extend(agent.take());
            }
        }
        agents
    }
}

/// Has ingest begin at `home`, and makes the thread to which it may move.
fn lend(
    ingest: Option<Box<dyn Agent>>,
    home: &mut Seat,
    wakes: &Wakes,
    pressure: &Arc<InputPressure>,
) -> Result<Seat, StartError> {
    let wake = Wake::new().map_err(system("event descriptor"))?;
    let mut relief = Seat::new(RELIEF, vec![], None, &wake);
    let lodger = Lodger {
        agent: ingest.expect("one thread of the plan has it"),
        wake: Arc::clone(&wakes.ingest),
        pressure: Arc::clone(pressure),
    };
    let (at_home, helping) = shifts(lodger, &home.wake, &wake).map_err(system("descriptor"))?;
    (home.shift, relief.shift) = (Some(at_home), Some(helping));
    Ok(relief)
}

/// Starts threads.
pub struct Spawner<'a> {
    /// Which agent goes where.
    pub plan: &'a Plan,
    /// What threads do without work.
    pub idle: IdleKind,
    /// What ingest's reads find.
    pub pressure: &'a Arc<InputPressure>,
    /// The time.
    pub clock: SystemClock,
    /// Told which threads live.
    pub health: &'a Arc<Health>,
    /// Told why one ended.
    pub failing: &'a Sender<Failed>,
}

impl Spawner<'_> {
    /// Starts all threads; they are in the order in which they are to be stopped.
    pub fn spawn(&self, pipeline: Pipeline, wakes: &Wakes) -> Result<Vec<Thread>, StartError> {
        let seats = self.seats(pipeline, wakes)?;
        seats.into_iter().map(|it| self.spawn_one(it)).collect()
    }

    fn seats(&self, pipeline: Pipeline, wakes: &Wakes) -> Result<Vec<Seat>, StartError> {
        let mut agents = Agents::new(pipeline, self.clock.clone());
        let mut path: Vec<Seat> = Vec::new();
        let mut relief = None;
        for thread in &self.plan.threads {
            let mut roles = &thread.roles[..];
            if self.plan.relief && roles[0] == Role::Ingest {
                roles = &roles[1..];
            }
            let mut seat = Seat::new(
                thread.name,
                agents.take(roles),
                thread.core,
                wakes.of(roles[0]),
            );
            if roles.len() < thread.roles.len() {
                relief = Some(lend(agents.ingest.take(), &mut seat, wakes, self.pressure)?);
            }
            path.push(seat);
        }
        let is_last = |it: &Seat| it.name == "journal";
        let journal = path.pop_if(|it| is_last(it));
        let mut seats: Vec<Seat> = relief.into_iter().chain(path).collect();
        seats.push(Seat::new(
            "replay",
            vec![agents.replay],
            None,
            &wakes.replay,
        ));
        let retention = vec![agents.retention];
        seats.push(Seat::new("retention", retention, None, &wakes.retention));
        let rejects = Seat::new("rejects", vec![agents.rejects], None, &wakes.rejects);
        seats.push(rejects.in_background());
        seats.extend(journal);
        Ok(seats)
    }

    fn spawn_one(&self, seat: Seat) -> Result<Thread, StartError> {
        let Seat { name, wake, .. } = seat;
        let stop = Arc::new(AtomicBool::new(false));
        let runner = Runner {
            name,
            agents: seat.agents,
            core: seat.core,
            idle: self.idle,
            wake: Arc::clone(&wake),
            clock: self.clock.clone(),
            stop: Arc::clone(&stop),
            pulse: self.health.watch(name, waits(name)),
            shift: seat.shift,
            is_background: seat.is_background,
        };
        let guard = self.health.alive(name);
        let failing = self.failing.clone();
        let on_end = move |agent, result: Result<(), Fatal>| {
            if let Err(error) = result {
                error!(agent, %error, "the engine stops");
                // Nobody listens any more where the engine has been stopped meanwhile.
                let _ = failing.send(Failed { agent, error });
            }
            drop(guard);
        };
        let handle = runner.start(on_end).map_err(unstartable)?;
        Ok(Thread {
            name,
            stop,
            wake,
            handle,
        })
    }
}

fn unstartable(source: Fatal) -> StartError {
    match source.downcast::<PinError>() {
        Ok(pin) => StartError::Pin(*pin),
        Err(source) => StartError::System {
            what: "thread",
            source,
        },
    }
}
