//! The agents of the journal's files, with the rings among them and to the scheduler.
//!
//! ```text
//!   [ scheduler ] == ToJournal ==> [ journal ] -- ToRetention --> [ retention ] ====== Moved ====> [ replay ]
//!                 <= FromJournal =             <-- free files --                <== Switched ===
//!   [ scheduler ] == Fetch, chunks ==> [ replay ]        [ retention ] -- FromRetention --> [ scheduler ]
//!                 <== FromReplay =====
//! ```

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use super::shared::Common;
use super::wakes::Wakes;
use crate::agent::Agent;
use crate::arena::Ledger;
use crate::clock::BootTie;
use crate::cluster::run::link::{AgentLink, MemberLink};
use crate::config::{Config, Durability, StoreUrl};
use crate::journal::offering::{OfferingAgent, OfferingParts};
use crate::journal::protocol::{
    FromJournal, FromRetention, Moved, Switched, ToJournal, ToRetention,
};
use crate::journal::recovery::Recovered;
use crate::journal::replay::{ReplayAgent, ReplayParts};
use crate::journal::retention::window::Window;
use crate::journal::retention::{CoreParts, RetentionAgent, RetentionParts};
use crate::journal::storage::Storage;
use crate::journal::writer::{JournalAgent, JournalParts};
use crate::limits::{CHUNKS_AT_REPLAY, FREE_FILES_MAX, MEMBER_RING, RETENTION_RING};
use crate::ring::{Receiver, Sender, ring};
use crate::scheduler::ReplayLink;

/// What the agents begin with.
pub(super) struct JournalWiring<'a, S> {
    pub(super) config: &'a Config,
    pub(super) wakes: &'a Wakes,
    pub(super) ledger: &'a Ledger,
    pub(super) common: &'a Common,
    pub(super) storage: S,
    pub(super) scheduler_ring: usize,
    pub(super) boot_tie: BootTie,
    pub(super) recovered: Recovered,
}

/// The agents.
pub(super) struct JournalAgents {
    pub(super) journal: Box<dyn Agent>,
    pub(super) replay: Box<dyn Agent>,
    pub(super) retention: Box<dyn Agent>,
}

/// The scheduler's ends of the rings to them.
pub(super) struct JournalLinks {
    pub(super) to_journal: Sender<ToJournal>,
    pub(super) from_journal: Receiver<FromJournal>,
    pub(super) replay: ReplayLink,
    pub(super) from_retention: Receiver<FromRetention>,
}

/// Retention's ends of the rings to journal and replay.
struct RetentionEnds {
    from_journal: Receiver<ToRetention>,
    free_files: Sender<u64>,
    to_replay: Sender<Moved>,
    from_replay: Receiver<Switched>,
}

impl<S: Storage + Clone + 'static> JournalWiring<'_, S> {
    /// Makes the agents and the rings.
    pub(super) fn wire(mut self) -> (JournalAgents, JournalLinks) {
        let wakes = self.wakes;
        let (to_replay, moved) = ring(RETENTION_RING, &wakes.replay);
        let (switched, from_replay) = ring(RETENTION_RING, &wakes.retention);
        let (to_retention, from_journal) = ring(RETENTION_RING, &wakes.retention);
        let (free_files, freed) = ring(FREE_FILES_MAX, &wakes.journal);
        let (replay, replay_link) = self.replay(moved, switched);
        let ends = RetentionEnds {
            from_journal,
            free_files,
            to_replay,
            from_replay,
        };
        let may_compact = Arc::new(AtomicBool::new(self.recovered.may_compact));
        let (retention, from_retention) = self.retention(ends, Arc::clone(&may_compact));
        let (to_journal, from_scheduler) = ring(self.scheduler_ring, &wakes.journal);
        let (to_scheduler, from_journal) = ring(self.scheduler_ring, &wakes.scheduler);
        let journal = self.journal(
            (from_scheduler, to_scheduler),
            (to_retention, freed),
            may_compact,
        );
        let agents = JournalAgents {
            journal,
            replay: Box::new(replay),
            retention: Box::new(retention),
        };
        let links = JournalLinks {
            to_journal,
            from_journal,
            replay: replay_link,
            from_retention,
        };
        (agents, links)
    }

    fn replay(
        &self,
        from_retention: Receiver<Moved>,
        to_retention: Sender<Switched>,
    ) -> (ReplayAgent<S>, ReplayLink) {
        let (to, from_scheduler) = ring(self.scheduler_ring, &self.wakes.replay);
        let (to_chunks, chunks) = ring(CHUNKS_AT_REPLAY, &self.wakes.replay);
        let (to_scheduler, from) = ring(self.scheduler_ring, &self.wakes.scheduler);
        let agent = ReplayAgent::new(ReplayParts {
            from_scheduler,
            chunks,
            to_scheduler,
            from_retention,
            to_retention,
            compacted: self.recovered.compacted.clone(),
            storage: self.storage.clone(),
            segment_len: self.config.journal.segment,
            counters: Arc::clone(&self.common.counters),
        });
        let link = ReplayLink {
            to,
            to_chunks,
            from,
        };
        (agent, link)
    }

    fn retention(
        &mut self,
        ends: RetentionEnds,
        may_compact: Arc<AtomicBool>,
    ) -> (RetentionAgent<S>, Receiver<FromRetention>) {
        let (config, signals) = (self.config, &self.common.signals);
        let (to_scheduler, from_retention) = ring(RETENTION_RING, &self.wakes.scheduler);
        let agent = RetentionAgent::new(RetentionParts {
            from_journal: ends.from_journal,
            to_scheduler,
            free_files: ends.free_files,
            to_replay: ends.to_replay,
            from_replay: ends.from_replay,
            core: CoreParts {
                storage: self.storage.clone(),
                segment_len: config.journal.segment,
                segments: std::mem::take(&mut self.recovered.segments),
                compacted: self.recovered.compacted.clone(),
                reserve: self.recovered.reserve,
                next_segment: self.recovered.origin.position / config.journal.segment,
                window: Window::new(config.dedup.window_messages, config.dedup.window),
                max_bytes: config.journal.max_bytes,
                group: signals.group.as_ref().map(|it| Arc::clone(&it.low)),
                carried: self.recovered.carried,
            },
            draining: Arc::clone(&signals.draining),
            may_compact,
            has_store: config.store.url != StoreUrl::None,
            counters: Arc::clone(&self.common.counters),
        });
        (agent, from_retention)
    }

    fn journal(
        self,
        (from_scheduler, to_scheduler): (Receiver<ToJournal>, Sender<FromJournal>),
        (to_retention, free_files): (Sender<ToRetention>, Receiver<u64>),
        may_compact: Arc<AtomicBool>,
    ) -> Box<dyn Agent> {
        let origin = self.recovered.origin;
        if let Some(group) = &self.common.signals.group {
            let (to_agent, from_member) = ring(MEMBER_RING, &self.wakes.journal);
            let (to_member, from_agent) = ring(MEMBER_RING, &group.handle.wake);
            group.handle.attach(MemberLink {
                to_agent,
                from_agent,
                free_files,
            });
            return Box::new(OfferingAgent::new(OfferingParts {
                from_scheduler,
                to_scheduler,
                to_retention,
                link: AgentLink {
                    from_member,
                    to_member,
                },
                view: self.ledger.view(),
                next_sequence: origin.next_sequence,
                counters: Arc::clone(&self.common.counters),
            }));
        }
        Box::new(JournalAgent::new(JournalParts {
            from_scheduler,
            to_scheduler,
            to_retention,
            free_files,
            reserve: self.recovered.reserve,
            may_compact,
            view: self.ledger.view(),
            storage: self.storage,
            segment_len: self.config.journal.segment,
            position: origin.position,
            next_sequence: origin.next_sequence,
            shares_disk: matches!(self.config.store.url, StoreUrl::Sqlite(_)),
            synced: self.config.durability == Durability::Synced,
            recorded: Arc::clone(&self.common.signals.recorded),
            tie: self.boot_tie,
            counters: Arc::clone(&self.common.counters),
        }))
    }
}
