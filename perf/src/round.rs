//! One round of one lane: connected, told to go, measured, killed.

use serde::Serialize;

use crate::engine::Settings;
use crate::error::PerfError;
use crate::frames::FrameBook;
use crate::lane::{Harness, Lane};
use crate::parts::{SinkReport, SourceReport};
use crate::plan::Plan;
use crate::process::Usage;
use crate::testbed::{Running, Subject, Testbed};
use crate::wire::Wire;

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
}

impl Outcome {
    /// Of a lane that has sent and received all.
    ///
    /// # Errors
    /// A process is gone.
    #[expect(
        clippy::cast_precision_loss,
        reason = "frames and ns of a round fit 52 bits"
    )]
    pub(crate) fn of(
        subject: Subject,
        lane: &Lane,
        settings: &Settings,
        sent: SourceReport,
        received: SinkReport,
        usage: Usage,
    ) -> Result<Self, PerfError> {
        let ns = received.arrivals.last_ns.saturating_sub(sent.start_ns);
        let seconds = ns.max(1) as f64 / SECOND_NS;
        Ok(Self {
            subject,
            plan: lane.plan.clone(),
            settings: (subject == Subject::Engine).then(|| settings.clone()),
            frame_len: FrameBook::new(&lane.plan, Wire::Bare)?.line_len() - 1,
            seconds,
            rate: received.frames as f64 / seconds,
            sent,
            received,
            usage,
            harness: lane.harness()?,
            fast_path: None,
        })
    }

    /// Every frame sent arrived once, in order, unchanged, and nothing else did.
    pub(crate) fn is_exact(&self) -> bool {
        let SinkReport { missing, wrong, .. } = self.received;
        missing == 0 && wrong == 0 && self.sent.sent == self.plan.messages
    }

    /// In a few words: exact, or what was not.
    pub(crate) fn verdict(&self) -> String {
        let SinkReport {
            frames,
            missing,
            wrong,
            first_wrong,
            ..
        } = &self.received;
        match (self.is_exact(), first_wrong) {
            (true, _) => "exact".into(),
            (false, None) => format!("NOT EXACT: {frames} right, {missing} missing"),
            (false, Some(first)) => {
                format!("NOT EXACT: {frames} right, {missing} missing, {wrong} wrong; {first}")
            }
        }
    }
}

impl Testbed {
    /// Plays a round.
    ///
    /// # Errors
    /// A process failed. Frames lost or wrong are no error but an outcome.
    pub(crate) fn play(
        &self,
        subject: Subject,
        plan: &Plan,
        settings: &Settings,
    ) -> Result<Outcome, PerfError> {
        let (running, lane) = self.connect(subject, plan, settings)?;
        finish(subject, &running, lane, settings)
    }

    /// Everything connected and subscribed, so that only go is to be said.
    ///
    /// # Errors
    /// A process failed.
    pub(crate) fn connect(
        &self,
        subject: Subject,
        plan: &Plan,
        settings: &Settings,
    ) -> Result<(Running, Lane), PerfError> {
        plan.check()?;
        if subject == Subject::Nats {
            let running = self.start_nats()?;
            let mut lane = Lane::publishing(plan.clone(), running.address)?;
            lane.subscribe(running.address, &["--nats"])?;
            lane.expect_connected()?;
            return Ok((running, lane));
        }
        let (mut lane, addresses) = Lane::listening(plan.clone())?;
        let running = match subject {
            Subject::Relay => Running::relay(&addresses, plan.destinations)?,
            _ => self.start_engine(settings, &addresses, &plan.destination_names())?,
        };
        lane.subscribe(running.address, &[])?;
        lane.expect_connected()?;
        Ok((running, lane))
    }
}

/// From go to the end.
///
/// # Errors
/// A process failed.
pub(crate) fn finish(
    subject: Subject,
    running: &Running,
    mut lane: Lane,
    settings: &Settings,
) -> Result<Outcome, PerfError> {
    let before = running.child.usage()?;
    lane.go()?;
    let sent = lane.sent()?;
    let received = lane.received()?;
    let after = running.child.usage();
    let after = after.map_err(|_| running.child.failed("ended in the middle of a round"))?;
    let usage = after.since(before);
    let mut outcome = Outcome::of(subject, &lane, settings, sent, received, usage)?;
    if subject == Subject::Engine {
        outcome.fast_path = fast_path(running);
    }
    Ok(outcome)
}

/// Which part of all lines the parser's fast path took; `None`: an older engine does not say.
#[expect(clippy::cast_precision_loss, reason = "lines of a round fit 52 bits")]
fn fast_path(engine: &Running) -> Option<f64> {
    let fast = engine.counter("lines_fast_path").ok()?;
    let full = engine.counter("lines_full_path").ok()?;
    Some(fast as f64 / (fast + full).max(1) as f64)
}
