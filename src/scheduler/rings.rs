//! The scheduler's ends of all its rings.
//!
//! The agent polls the inputs; the cores write to the outputs through permits, which the agent claims
//! before it polls what they answer.

use super::protocol::{
    Fetch, FromDelivery, FromIngest, FromJournal, FromReplay, FromRetention, ToDelivery, ToIngest,
    ToJournal,
};
use super::reload::SchedulerChange;
use crate::agent::control::Control;
use crate::arena::Writer;
use crate::limits::{AGENTS_MAX, ANSWERS_RESERVED, DISPATCHES_PER_CYCLE};
use crate::ring::{Permit, Receiver, Sender};

/// The rings that the scheduler polls.
pub(crate) struct Inputs {
    pub(super) ingest: Receiver<FromIngest>,
    pub(super) journal: Receiver<FromJournal>,
    pub(super) replay: Receiver<FromReplay>,
    pub(super) retention: Receiver<FromRetention>,
    /// By delivery agent.
    pub(super) deliveries: Vec<Receiver<FromDelivery>>,
    /// What reloads change.
    pub(super) control: Control<SchedulerChange>,
}

/// The rings that the scheduler fills.
pub(crate) struct Outputs {
    pub(super) ingest: Sender<ToIngest>,
    pub(super) journal: Sender<ToJournal>,
    pub(super) replay: Sender<Fetch>,
    /// Chunks for the replay agent.
    pub(super) replay_chunks: Sender<Writer>,
    /// By delivery agent.
    pub(super) deliveries: Vec<Sender<ToDelivery>>,
}

impl Outputs {
    /// Room for what the dispatcher sends.
    pub(super) fn dispatch(&mut self) -> DispatchOutput<'_> {
        let agents = self.deliveries.len() as u16;
        let mut frames = [const { None }; AGENTS_MAX];
        for (permit, sender) in frames.iter_mut().zip(&mut self.deliveries) {
            let claimed = sender.claim_up_to(DISPATCHES_PER_CYCLE + ANSWERS_RESERVED);
            *permit = Some(claimed.without(ANSWERS_RESERVED));
        }
        DispatchOutput {
            frames,
            agents,
            replay: &mut self.replay,
        }
    }

    /// Ends a duty cycle: wakes the receivers that have something to take.
    pub(super) fn flush(&mut self) {
        self.ingest.flush();
        self.journal.flush();
        self.replay.flush();
        self.replay_chunks.flush();
        self.deliveries.iter_mut().for_each(Sender::flush);
    }
}

/// Room in the rings to delivery, as far as there was some when the dispatcher began, and the ring
/// to the replay agent. Answers find room behind the frames, so subscribers come and go though
/// frames fill a ring.
pub(crate) struct DispatchOutput<'a> {
    /// By delivery agent.
    frames: [Option<Permit<'a, ToDelivery>>; AGENTS_MAX],
    pub(super) agents: u16,
    pub(super) replay: &'a mut Sender<Fetch>,
}

impl<'a> DispatchOutput<'a> {
    /// The permit for frames to this delivery agent; `None`: its ring is full.
    #[inline]
    pub(super) fn frames_to(&mut self, agent: u16) -> Option<&mut Permit<'a, ToDelivery>> {
        let permit = self.frames[usize::from(agent)].as_mut();
        permit.filter(|permit| permit.left() > 0)
    }
}
