//! Starts the store. An engine alone follows its journal into its database while it runs. A member of a group
//! follows it into a database of its own always, in standby too; one that the group shares is written by who
//! serves, in its term.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::behind::next_sequence_behind;
use super::error::{StartError, system};
use crate::clock::SystemClock;
use crate::config::Config;
use crate::counters::Counters;
use crate::journal::reader::Reader;
use crate::journal::recovery::Recovered;
use crate::journal::storage::Directory as Segments;
use crate::message::Sequence;
use crate::store::follower::{Follower, WhenAhead};
use crate::store::tenure::Tenure;
use crate::store::thread::StoreThread;
use crate::store::{self, Store};

/// What a follower follows.
pub(super) struct Followed<'a> {
    pub(super) config: &'a Config,
    pub(super) clock: SystemClock,
    pub(super) segments: &'a Segments,
    /// Up to where records are written.
    pub(super) recorded: &'a Arc<AtomicU64>,
    pub(super) counters: &'a Arc<Counters>,
}

impl Followed<'_> {
    /// Follows into the database of an engine without a group; `None`: it has none.
    ///
    /// # Errors
    /// The data directory cannot be written, or the system has no thread left.
    pub(super) fn alone(&self) -> Result<Option<StoreThread>, StartError> {
        self.own(WhenAhead::Stops)
    }

    /// Follows into the database of this member alone, from the beginning of its run on; `None`: it has none.
    /// The same thread goes on when the member serves.
    ///
    /// # Errors
    /// The data directory cannot be written, or the system has no thread left.
    pub(super) fn as_standby(&self) -> Result<Option<StoreThread>, StartError> {
        if store::is_shared(self.config) {
            return Ok(None);
        }
        self.own(WhenAhead::Waits)
    }

    /// Follows into the database that the group shares, while this member serves; `None`: there is none.
    /// Where it has more than `recovered`, that is told, and the term's messages begin behind it.
    ///
    /// # Errors
    /// The data directory cannot be written, or the system has no thread left.
    pub(super) fn in_term(
        &self,
        tenure: &Tenure,
        recovered: &mut Recovered,
    ) -> Result<Option<StoreThread>, StartError> {
        if !store::is_shared(self.config) {
            return Ok(None);
        }
        let open = || store::open(self.config, self.counters, Some(tenure));
        // One of its own: if it does not answer, it is left behind. The term is taken by the other one's thread.
        let last_sequence = open()?.and_then(|asked| next_sequence_behind(asked, recovered));
        open()?
            .map(|it| self.follow(it, WhenAhead::GoesBack, last_sequence))
            .transpose()
    }

    fn own(&self, when_ahead: WhenAhead) -> Result<Option<StoreThread>, StartError> {
        let store = store::open(self.config, self.counters, None)?;
        store
            .map(|it| self.follow(it, when_ahead, None))
            .transpose()
    }

    fn follow(
        &self,
        store: Box<dyn Store>,
        when_ahead: WhenAhead,
        last_sequence: Option<Sequence>,
    ) -> Result<StoreThread, StartError> {
        let (config, recorded) = (self.config, self.recorded);
        let reader = Reader::new(self.segments.clone(), config.journal.segment, 0);
        let follower = Follower::new(reader, store, Arc::clone(self.counters), &config.store)
            .starting_at(recorded.load(Ordering::Acquire))
            .when_ahead(when_ahead)
            .knowing(last_sequence);
        let pause = config.store.batch_time / 4;
        StoreThread::spawn(follower, self.clock.clone(), pause, Arc::clone(recorded))
            .map_err(system("thread"))
    }
}
