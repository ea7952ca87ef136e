//! One round of one lane: connected, told to go, measured, killed.

use std::collections::BTreeMap;

use anyhow::Result;
use serde::Serialize;

use crate::curve::Curve;
use crate::engine::Settings;
use crate::figure::{Figure, Of};
use crate::frames::frame_len;
use crate::lane::{Harness, Lane};
use crate::parts::{SinkReport, SourceReport};
use crate::plan::Plan;
use crate::process::Usage;
use crate::testbed::{Running, Subject, TAKEN, TAKING, Testbed};

const SECOND_NS: f64 = 1e9;

#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    pub(crate) subject: Subject,
    pub(crate) plan: Plan,
    pub(crate) settings: Option<Settings>,
    /// Bytes of each frame, without its newline.
    pub(crate) frame_len: usize,
    /// From the start of the plan to the last frame's arrival.
    pub(crate) seconds: f64,
    /// Frames a second over that time.
    pub(crate) rate: f64,
    pub(crate) sent: SourceReport,
    pub(crate) received: SinkReport,
    /// What the subject used during the round; its memory at the end.
    pub(crate) usage: Usage,
    /// What sources and subscribers used.
    pub(crate) harness: Harness,
    /// Which part of the lines the engine's parser knew the shape of, where it was asked.
    pub(crate) fast_path: Option<f64>,
    /// What one benchmark alone measures.
    #[serde(flatten)]
    pub(crate) extra: BTreeMap<String, f64>,
}

impl Outcome {
    /// Of a lane that has sent and received all.
    pub(crate) fn of(
        running: &Running,
        lane: &Lane,
        (sent, received): (SourceReport, SinkReport),
        usage: Usage,
    ) -> Result<Self> {
        let ns = received.arrivals.last_ns.saturating_sub(sent.start_ns);
        let seconds = ns.max(1) as f64 / SECOND_NS;
        Ok(Self {
            settings: running.settings.clone(),
            frame_len: frame_len(&lane.plan)?,
            seconds,
            rate: received.frames as f64 / seconds,
            sent,
            received,
            usage,
            harness: lane.harness()?,
            ..Self::nothing(running.subject, &lane.plan)
        })
    }

    /// Nothing sent and nothing received.
    pub(crate) fn nothing(subject: Subject, plan: &Plan) -> Self {
        Self {
            subject,
            plan: plan.clone(),
            settings: None,
            frame_len: plan.frame_len,
            seconds: 0.0,
            rate: 0.0,
            sent: SourceReport::default(),
            received: SinkReport::default(),
            usage: Usage::default(),
            harness: Harness::default(),
            fast_path: None,
            extra: BTreeMap::new(),
        }
    }

    /// With a figure that one benchmark alone measures.
    pub(crate) fn with(mut self, figure: &Figure, value: f64) -> Self {
        let Of::Extra(key) = figure.of else {
            unreachable!("{} is every round's", figure.name)
        };
        self.extra.insert(key.to_owned(), value);
        self
    }

    /// Every frame sent arrived once, in order, unchanged, and nothing else did.
    pub(crate) fn is_exact(&self) -> bool {
        let SinkReport { missing, wrong, .. } = self.received;
        missing == 0 && wrong == 0 && self.sent.sent == self.plan.messages
    }

    /// In a few words: exact, or what was not.
    pub(crate) fn verdict(&self) -> String {
        if self.is_exact() {
            return "exact".into();
        }
        let it = &self.received;
        let (frames, missing, wrong) = (it.frames, it.missing, it.wrong);
        match &it.first_wrong {
            None => format!("NOT EXACT: {frames} right, {missing} missing"),
            Some(first) => {
                format!("NOT EXACT: {frames} right, {missing} missing, {wrong} wrong; {first}")
            }
        }
    }

    /// How late the sources were.
    pub(crate) fn late(&self) -> Curve {
        self.sent.late.clone().unwrap_or_default()
    }

    /// Processor time for a message, in ns.
    pub(crate) fn cpu_ns(&self, seconds: f64) -> f64 {
        seconds * SECOND_NS / self.plan.messages.max(1) as f64
    }
}

impl Testbed {
    /// Plays a round. Frames lost or wrong are no error but an outcome.
    pub(crate) fn play(
        &self,
        subject: Subject,
        plan: &Plan,
        settings: &Settings,
    ) -> Result<Outcome> {
        let (running, lane) = self.connect(subject, plan, settings)?;
        finish(&running, lane)
    }

    /// Everything connected and subscribed, so that only go is to be said.
    pub(crate) fn connect(
        &self,
        subject: Subject,
        plan: &Plan,
        settings: &Settings,
    ) -> Result<(Running, Lane)> {
        plan.check()?;
        let (running, mut lane, flags) = match subject {
            Subject::Engine => {
                let (running, [lane]) = self.open(settings, [plan.clone()])?;
                (running, lane, &[][..])
            }
            Subject::Relay => {
                let (lane, addresses) = Lane::listening(plan.clone())?;
                (
                    Running::relay(&addresses, plan.destinations)?,
                    lane,
                    &[][..],
                )
            }
            Subject::Nats => {
                let running = self.start_nats()?;
                let lane = Lane::publishing(plan.clone(), running.address)?;
                (running, lane, &["--nats"][..])
            }
        };
        lane.subscribe(running.address, flags)?;
        lane.expect_connected()?;
        Ok((running, lane))
    }

    /// An engine that has all messages of a plan, whose subscribers are still to come.
    pub(crate) fn filled(&self, settings: &Settings, plan: &Plan) -> Result<(Running, Lane)> {
        let (engine, [mut lane]) = self.open(settings, [plan.clone()])?;
        lane.expect_connected()?;
        lane.go()?;
        engine.expect(TAKEN, plan.messages, TAKING)?;
        Ok((engine, lane))
    }

    /// The engine with the sources of these plans, whose subscribers are still to come.
    pub(crate) fn open<const N: usize>(
        &self,
        settings: &Settings,
        plans: [Plan; N],
    ) -> Result<(Running, [Lane; N])> {
        let (mut lanes, mut addresses, mut names) = (Vec::new(), Vec::new(), Vec::new());
        for plan in plans {
            plan.check()?;
            names.extend(plan.destination_names());
            let (lane, listening) = Lane::listening(plan)?;
            addresses.extend(listening);
            lanes.push(lane);
        }
        let engine = self.start_engine(settings, &addresses, &names)?;
        Ok((engine, lanes.try_into().expect("a lane for each plan")))
    }
}

/// From go to the end.
pub(crate) fn finish(running: &Running, mut lane: Lane) -> Result<Outcome> {
    let before = running.child.usage()?;
    lane.go()?;
    let outcome = ended(running, &lane, before)?;
    let fast_path = (running.subject == Subject::Engine).then(|| fast_path(running));
    Ok(Outcome {
        fast_path: fast_path.flatten(),
        ..outcome
    })
}

/// The outcome of a lane that was told to go, once it is over.
pub(crate) fn ended(running: &Running, lane: &Lane, before: Usage) -> Result<Outcome> {
    let reports = (lane.sent()?, lane.received()?);
    let after = running.child.usage();
    let after = after.map_err(|_| running.child.failed("ended in the middle of a round"))?;
    Outcome::of(running, lane, reports, after.since(before))
}

/// Which part of all lines the parser's fast path took; `None`: an older engine does not say.
fn fast_path(engine: &Running) -> Option<f64> {
    let fast = engine.counter("lines_fast_path").ok()?;
    let full = engine.counter("lines_full_path").ok()?;
    Some(fast as f64 / (fast + full).max(1) as f64)
}
