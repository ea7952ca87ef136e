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
use super::threads::Plan;
use super::{Failed, Thread};
use crate::admin::{Health, Waits};
use crate::agent::affinity::PinError;
use crate::agent::relief::{Lodger, Shift, shifts};
use crate::agent::round_trip::RoundTrip;
use crate::agent::runner::Runner;
use crate::agent::{Agent, Fatal};
use crate::clock::SystemClock;
use crate::config::{IdleKind, ThreadingMode};
use crate::ring::Wake;

/// Names of the threads that a plan may have, as health and logs call them.
pub fn names(plan: &Plan) -> &'static [&'static str] {
    match plan.mode {
        ThreadingMode::Shared => &["relief", "path", "replay", "retention", "journal"],
        _ => &[
            "ingest",
            "scheduler",
            "delivery",
            "replay",
            "retention",
            "journal",
        ],
    }
}

/// What a thread may wait for: those beside the path read and write files.
fn waits(name: &str) -> Waits {
    match name {
        "journal" => Waits::SourcesToo,
        "replay" | "retention" => Waits::Alone,
        _ => Waits::Never,
    }
}

/// The agents' wake-ups: one a thread, and in `shared` mode one for ingest, which may move.
pub fn wakes(plan: &Plan, syncs: bool) -> Result<Wakes, StartError> {
    let wake = || Wake::new().map_err(system("event descriptor"));
    let deliveries = plan.deliveries.len();
    if plan.mode == ThreadingMode::Shared {
        let path = wake()?;
        let same = || Arc::clone(&path);
        return Ok(Wakes {
            ingest: if plan.relief { wake()? } else { same() },
            scheduler: same(),
            journal: if syncs { wake()? } else { same() },
            replay: wake()?,
            retention: wake()?,
            deliveries: (0..deliveries).map(|_| same()).collect(),
        });
    }
    Ok(Wakes {
        ingest: wake()?,
        scheduler: wake()?,
        journal: wake()?,
        replay: wake()?,
        retention: wake()?,
        deliveries: (0..deliveries).map(|_| wake()).collect::<Result<_, _>>()?,
    })
}

/// A thread to be.
struct Seat {
    name: &'static str,
    agents: Vec<Box<dyn Agent>>,
    core: Option<usize>,
    wake: Arc<Wake>,
    shift: Option<Shift>,
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
        }
    }
}

/// Starts threads.
pub struct Spawner<'a> {
    /// Which agent goes where.
    pub plan: &'a Plan,
    /// What threads do without work.
    pub idle: IdleKind,
    /// Whether the journal waits for the disk, and so has a thread of its own in any mode.
    pub syncs: bool,
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
        let seats = match self.plan.mode {
            ThreadingMode::Shared => self.shared(pipeline, wakes)?,
            _ => self.dedicated(pipeline, wakes),
        };
        seats.into_iter().map(|it| self.spawn_one(it)).collect()
    }

    fn shared(&self, pipeline: Pipeline, wakes: &Wakes) -> Result<Vec<Seat>, StartError> {
        let plan = self.plan;
        let mut path = Seat::new("path", vec![], plan.ingest, &wakes.scheduler);
        let mut seats = Vec::new();
        if plan.relief {
            let relief_wake = Wake::new().map_err(system("event descriptor"))?;
            let mut relief = Seat::new("relief", vec![], None, &relief_wake);
            let lodger = Lodger {
                agent: pipeline.ingest,
                wake: Arc::clone(&wakes.ingest),
            };
            let (at_home, helping) =
                shifts(lodger, &path.wake, &relief_wake).map_err(system("descriptor"))?;
            (path.shift, relief.shift) = (Some(at_home), Some(helping));
            seats.push(relief);
        } else {
            path.agents.push(pipeline.ingest);
        }
        let replay = Seat::new("replay", vec![pipeline.replay], None, &wakes.replay);
        let retention = vec![pipeline.retention];
        let retention = Seat::new("retention", retention, None, &wakes.retention);
        let mut journal = None;
        path.agents.push(if self.syncs {
            let agents = vec![pipeline.journal];
            journal = Some(Seat::new("journal", agents, plan.journal, &wakes.journal));
            pipeline.scheduler
        } else {
            let (scheduler, journal) = (pipeline.scheduler, pipeline.journal);
            Box::new(RoundTrip::new(scheduler, journal, self.clock))
        });
        path.agents.extend(pipeline.deliveries);
        seats.extend([path, replay, retention]);
        seats.extend(journal);
        Ok(seats)
    }

    fn dedicated(&self, pipeline: Pipeline, wakes: &Wakes) -> Vec<Seat> {
        let plan = self.plan;
        let seat = |name, agent, core, wake| Seat::new(name, vec![agent], core, wake);
        let mut seats = vec![
            seat("ingest", pipeline.ingest, plan.ingest, &wakes.ingest),
            seat(
                "scheduler",
                pipeline.scheduler,
                plan.scheduler,
                &wakes.scheduler,
            ),
        ];
        let places = plan.deliveries.iter().zip(&wakes.deliveries);
        for (agent, (&core, wake)) in pipeline.deliveries.into_iter().zip(places) {
            seats.push(seat("delivery", agent, core, wake));
        }
        seats.push(seat("replay", pipeline.replay, None, &wakes.replay));
        seats.push(seat(
            "retention",
            pipeline.retention,
            None,
            &wakes.retention,
        ));
        seats.push(seat(
            "journal",
            pipeline.journal,
            plan.journal,
            &wakes.journal,
        ));
        seats
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
            clock: self.clock,
            stop: Arc::clone(&stop),
            pulse: self.health.watch(name, waits(name)),
            shift: seat.shift,
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
