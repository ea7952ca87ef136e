//! A member of a group on this machine: takes the directory, recovers the journal as records, and starts
//! the member's thread as a standby. Each run of a member begins so, whatever it was before.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tracing::{debug, warn};

use super::GroupPath;
use super::error::{StartError, files, system};
use super::group_store::Followed;
use super::lock::DirectoryLock;
use super::past::random_keys;
use super::resources::{journal_folder, take_directory};
use super::term::TermStart;
use crate::clock::{SystemClock, wall_us};
use crate::cluster::addresses::announced;
use crate::cluster::aside;
use crate::cluster::core::Settings;
use crate::cluster::jetstream::{JetStream, Settings as StreamSettings};
use crate::cluster::owner;
use crate::cluster::record::{Announcement, PLACE_LEN};
use crate::cluster::run::files::RecordFiles;
use crate::cluster::run::member::{Activation, MemberParts, MemberThread};
use crate::cluster::status::Handle;
use crate::config::Config;
use crate::counters::{Counter, Counters};
use crate::journal::carried::Body;
use crate::journal::storage::Directory;
use crate::message::layout::record_len;
use crate::ring::Wake;
use crate::store;
use crate::store::thread::StoreThread;

/// One run of a member.
pub(crate) struct MemberRun {
    pub(crate) thread: MemberThread,
    handle: Handle,
    recorded: Arc<AtomicU64>,
    counters: Arc<Counters>,
    /// Follows into the database of this member alone, as standby too.
    store: Option<StoreThread>,
    lock: Arc<DirectoryLock>,
}

impl MemberRun {
    /// Starts as a standby.
    ///
    /// # Errors
    /// The directory cannot be had, or its files are no member's.
    pub(crate) fn start(config: &Config, handle: &Handle) -> Result<Self, StartError> {
        let lock = Arc::new(take_directory(config)?);
        owner::take(&config.data_dir, &config.cluster.group)?;
        if let Some(rest) = aside::finish(config)? {
            warn!("{rest}");
            handle.status.update(|it| it.lost += rest.lost);
        }
        let storage = Directory::at(&journal_folder(config)?).map_err(files("journal/"))?;
        let segment_len = config.journal.segment;
        let counters = Arc::<Counters>::default();
        let (record_files, found) = RecordFiles::open(storage.clone(), segment_len)?;
        let recorded = Arc::new(AtomicU64::new(record_files.end()));
        let store = Followed {
            config,
            clock: SystemClock::start(),
            segments: &storage,
            recorded: &recorded,
            counters: &counters,
        }
        .as_standby()?;
        if found.torn_len > 0 {
            let bytes = found.torn_len;
            counters.add(Counter::JournalTornBytes, bytes);
            warn!(
                bytes,
                "the journal's torn tail was cut: what was confirmed of it is fetched again"
            );
        }
        let wake = Wake::new().map_err(system("event descriptor"))?;
        let settings = settings(config)?;
        handle
            .status
            .update(|it| it.announced = Some(settings.announcement.clone()));
        let mut stream = StreamSettings::from(&config.cluster);
        stream.status = Some(handle.status.clone());
        let log = JetStream::start_waking(stream, Some(Arc::clone(&wake)));
        let thread = MemberThread::start(MemberParts {
            settings,
            log: log.map_err(system("thread"))?,
            files: record_files,
            last: found.last,
            segment_len,
            max_bytes: config.journal.max_bytes,
            recorded: Arc::clone(&recorded),
            followed: store.is_some().then(|| Arc::clone(&counters)),
            shares_store: store::is_shared(config),
            // Of one that is carried: that is longer than a plain one.
            record_len_min: PLACE_LEN + Body::len_of_one(record_len(config.ingest.max_line)),
            status: handle.status.clone(),
            counters: Arc::clone(&counters),
            wake,
        });
        Ok(Self {
            thread: thread.map_err(system("thread"))?,
            handle: handle.clone(),
            recorded,
            counters,
            store,
            lock,
        })
    }

    /// What the engine of a term begins with.
    pub(crate) fn term(&mut self, activation: Activation) -> TermStart {
        TermStart {
            activation,
            path: GroupPath {
                lease: Arc::clone(&self.thread.lease),
                handle: self.thread.handle.clone(),
                low: Arc::clone(&self.thread.low),
            },
            recorded: Arc::clone(&self.recorded),
            counters: Arc::clone(&self.counters),
            handle: self.handle.clone(),
            lock: Arc::clone(&self.lock),
            store: self.store.take(),
        }
    }

    /// Ends the run as a standby: the store is completed for so long, and goes on from there at the next start.
    pub(crate) fn end(mut self, store_timeout: Duration, hurry: &AtomicBool) {
        if let Some(store) = self.store.take() {
            let end = self.recorded.load(Ordering::Acquire);
            let left = store.finish(end, store_timeout, hurry);
            debug!(left, "journal bytes that are not in the store yet");
        }
    }
}

fn settings(config: &Config) -> Result<Settings, StartError> {
    let [random, low, high, ..] = random_keys()?;
    let cluster = &config.cluster;
    let lease_ms = cluster.take_over_after.as_millis();
    Ok(Settings {
        group: cluster.group.as_str().into(),
        announcement: Announcement {
            node: cluster.node.clone(),
            segment_len: config.journal.segment,
            addresses: announced(config),
        },
        lease_ms: u32::try_from(lease_ms).unwrap_or(u32::MAX),
        random,
        group_id: u128::from(low) | u128::from(high) << 64,
        first_time_us: wall_us(),
    })
}
