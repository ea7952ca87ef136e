//! Puts the agents on their threads.
//!
//! The plan says which agent goes where. Each thread has a stop flag of its own, and reports by health
//! and by a channel how it ended.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::Sender;

use tracing::error;

use super::error::{StartError, system};
use super::pipeline::{Pipeline, Remotes};
use super::threads::{Plan, Role, ThreadPlan};
use super::wakes::Wakes;
use super::{Failed, Thread};
use crate::admin::{Health, Waits};
use crate::agent::feedback::{Feedback, FeedbackPair};
use crate::agent::pressure::InputPressure;
use crate::agent::relief::{Handover, MovableAgent, handovers};
use crate::agent::runner::Runner;
use crate::agent::{Agent, Fatal};
use crate::clock::SystemClock;
use crate::config::IdleKind;
use crate::ring::Wake;
use crate::sources;

/// The thread to which ingest may move.
const RELIEF: &str = "relief";

/// Names of the threads that a plan has, as health and logs call them.
pub(crate) fn names(plan: &Plan) -> Vec<&'static str> {
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

/// A thread before it is started.
struct ThreadSpec {
    name: &'static str,
    agents: Vec<Box<dyn Agent>>,
    core: Option<usize>,
    idle: IdleKind,
    wake: Arc<Wake>,
    handover: Option<Handover>,
    is_background: bool,
}

impl ThreadSpec {
    /// A thread on no core of its own, which parks.
    fn new(name: &'static str, agents: Vec<Box<dyn Agent>>, wake: &Arc<Wake>) -> Self {
        Self {
            name,
            agents,
            core: None,
            idle: IdleKind::Backoff,
            wake: Arc::clone(wake),
            handover: None,
            is_background: false,
        }
    }

    /// A thread of the path: on its core, with its idle strategy.
    fn planned(self, plan: &ThreadPlan) -> Self {
        let ThreadPlan { core, idle, .. } = *plan;
        Self { core, idle, ..self }
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
    scheduler: Option<Box<dyn Feedback>>,
    journal: Option<Box<dyn Agent>>,
    deliveries: Vec<Option<Box<dyn Agent>>>,
    replay: Box<dyn Agent>,
    retention: Box<dyn Agent>,
    rejects: Box<dyn Agent>,
    clock: SystemClock,
}

impl Agents {
    fn new(pipeline: Pipeline, clock: SystemClock) -> (Self, Remotes, sources::Collector) {
        let agents = Self {
            ingest: Some(pipeline.ingest),
            scheduler: Some(pipeline.scheduler),
            journal: Some(pipeline.journal),
            deliveries: pipeline.deliveries.into_iter().map(Some).collect(),
            replay: pipeline.replay,
            retention: pipeline.retention,
            rejects: pipeline.rejects,
            clock,
        };
        (agents, pipeline.remotes, pipeline.source_reports)
    }

    /// The agents of one thread, in the order of the data. A scheduler and a journal that share it are
    /// a feedback pair.
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
                agents.extend(pair.map(|(scheduler, journal)| {
                    let pair = FeedbackPair::new(scheduler, journal, self.clock.clone());
                    Box::new(pair) as Box<dyn Agent>
                }));
            }
            (true, false) => agents.extend(scheduler.take().map(|it| it as Box<dyn Agent>)),
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

/// Has ingest start at `home`, and makes the thread to which it may move.
fn add_relief(
    ingest: Option<Box<dyn Agent>>,
    home: &mut ThreadSpec,
    wakes: &Wakes,
    pressure: &Arc<InputPressure>,
) -> Result<ThreadSpec, StartError> {
    let wake = Wake::new().map_err(system("event descriptor"))?;
    let mut relief = ThreadSpec::new(RELIEF, vec![], &wake);
    let movable = MovableAgent {
        agent: ingest.expect("one thread of the plan has it"),
        wake: Arc::clone(&wakes.ingest),
        pressure: Arc::clone(pressure),
    };
    let sides = handovers(movable, &home.wake, &wake).map_err(system("descriptor"))?;
    (home.handover, relief.handover) = (Some(sides.0), Some(sides.1));
    Ok(relief)
}

pub(crate) struct Spawner<'a> {
    /// Which agent goes where.
    pub(crate) plan: &'a Plan,
    /// What ingest's reads find.
    pub(crate) pressure: &'a Arc<InputPressure>,
    pub(crate) clock: SystemClock,
    /// Knows which threads are alive.
    pub(crate) health: &'a Arc<Health>,
    /// Takes the reason why one ended.
    pub(crate) failing: &'a Sender<Failed>,
}

impl Spawner<'_> {
    /// Starts all threads; they are in the order in which they are to be stopped. Returns by what a
    /// reload reaches their agents, and what ingest tells of each source, too.
    pub(crate) fn spawn(
        &self,
        pipeline: Pipeline,
        wakes: &Wakes,
    ) -> Result<(Vec<Thread>, Remotes, sources::Collector), StartError> {
        let (agents, remotes, source_reports) = Agents::new(pipeline, self.clock.clone());
        let specs = self.specs(agents, wakes)?.into_iter();
        let threads = specs.map(|it| self.spawn_one(it)).collect::<Result<_, _>>();
        Ok((threads?, remotes, source_reports))
    }

    fn specs(&self, mut agents: Agents, wakes: &Wakes) -> Result<Vec<ThreadSpec>, StartError> {
        let mut path: Vec<ThreadSpec> = Vec::new();
        let mut relief = None;
        for thread in &self.plan.threads {
            let mut roles = &thread.roles[..];
            if self.plan.relief && roles[0] == Role::Ingest {
                roles = &roles[1..];
            }
            let taken = agents.take(roles);
            let spec = ThreadSpec::new(thread.name, taken, wakes.of(roles[0]));
            let mut spec = spec.planned(thread);
            if roles.len() < thread.roles.len() {
                relief = Some(add_relief(
                    agents.ingest.take(),
                    &mut spec,
                    wakes,
                    self.pressure,
                )?);
            }
            path.push(spec);
        }
        let is_last = |it: &ThreadSpec| it.name == "journal";
        let journal = path.pop_if(|it| is_last(it));
        let mut specs: Vec<ThreadSpec> = relief.into_iter().chain(path).collect();
        specs.push(ThreadSpec::new(
            "replay",
            vec![agents.replay],
            &wakes.replay,
        ));
        let retention = vec![agents.retention];
        specs.push(ThreadSpec::new("retention", retention, &wakes.retention));
        let rejects = ThreadSpec::new("rejects", vec![agents.rejects], &wakes.rejects);
        specs.push(rejects.in_background());
        specs.extend(journal);
        Ok(specs)
    }

    fn spawn_one(&self, spec: ThreadSpec) -> Result<Thread, StartError> {
        let ThreadSpec { name, wake, .. } = spec;
        let stop = Arc::new(AtomicBool::new(false));
        let runner = Runner {
            name,
            agents: spec.agents,
            core: spec.core,
            idle: spec.idle,
            wake: Arc::clone(&wake),
            clock: self.clock.clone(),
            stop: Arc::clone(&stop),
            heartbeat: self.health.watch(name, waits(name)),
            handover: spec.handover,
            is_background: spec.is_background,
        };
        let guard = self.health.alive(name);
        let failing = self.failing.clone();
        let on_end = move |agent, result: Result<(), Fatal>| {
            if let Err(error) = result {
                error!(agent, %error, "the engine stops");
                // The receiver is gone where the engine has been stopped meanwhile.
                let _ = failing.send(Failed { agent, error });
            }
            drop(guard);
        };
        let handle = runner.start(on_end).map_err(StartError::of_thread)?;
        Ok(Thread {
            name,
            stop,
            wake,
            handle,
        })
    }
}
