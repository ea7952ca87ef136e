//! The counters: one list, each with its meaning; the same names in `/stats`, `/metrics` and logs.
//!
//! A counter is written with relaxed stores by one agent, or with relaxed adds by several, and read
//! by anybody. The *ledger* counters are special: the scheduler alone writes them, in one go between
//! [`Counters::begin`] and [`Counters::end`], so that a [`Counters::snapshot`] finds promise 1 kept
//! at every moment: received = accepted + duplicates + rejected and accepted = settled + queued +
//! in flight.

use std::sync::atomic::{AtomicU64, Ordering, fence};

use crate::faults::Faults;
use crate::message::Reason;

macro_rules! counters {
    ($($name:ident $label:literal $kind:ident $meaning:literal;)*) => {
        /// What is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[repr(usize)]
        pub enum Counter {
            $(#[doc = $meaning] $name,)*
        }

        impl Counter {
            /// All counters, in the order of the list.
            pub const ALL: &'static [Counter] = &[$(Counter::$name,)*];

            /// The name that users see.
            #[must_use]
            pub fn label(self) -> &'static str {
                match self { $(Counter::$name => $label,)* }
            }

            /// What it counts, in a sentence.
            #[must_use]
            pub fn meaning(self) -> &'static str {
                match self { $(Counter::$name => $meaning,)* }
            }

            /// Whether it goes down as well as up.
            #[must_use]
            pub fn is_gauge(self) -> bool {
                match self { $(Counter::$name => counters!(@gauge $kind),)* }
            }
        }
    };
    (@gauge gauge) => { true };
    (@gauge count) => { false };
}

counters! {
    Received "received" count "Lines whose fate is decided: accepted, duplicate or rejected.";
    Accepted "accepted" count "Messages that were given a sequence.";
    LastSequence "last_sequence" gauge "The sequence of the message that was accepted last.";
    Duplicates "duplicates" count "Lines whose messageId was in the dedup window.";
    Rejected "rejected" count "Lines that broke a rule and were kept in rejected.ndjson.";
    Settled "settled" count "Messages that need no more work.";
    Queued "queued" gauge "Messages that wait for their subscriber.";
    InFlight "in_flight" gauge "Messages handed to delivery and not yet settled.";
    Delivered "delivered" count "Messages settled by delivery, each once.";
    Expired "expired" count "Messages settled because their time had passed; always 0 for now.";
    Dead "dead" count "Messages settled because they were delivered too often in vain; always 0 for now.";
    Cancelled "cancelled" count "Messages settled because their producer took them back; always 0 for now.";
    Purged "purged" count "Messages settled because an operator emptied their queue; always 0 for now.";
    Written "written" count "Frames wholly written to a subscriber's socket, redelivered ones included.";
    Inversions "inversions" count "Urgent messages that had to wait behind a less urgent one in flight.";
    Aged "aged" count "Messages that waited their max_wait and moved up.";
    Redelivered "redelivered" count "Messages taken back from a subscriber that went without settling them.";

    Recovered "recovered" count "Messages taken over from the journal at start; they count as received and accepted too.";
    QueuedCold "queued_cold" gauge "Messages among the queued that wait packed, without a slot: their frames are in the journal only.";
    HeldBackPressure "held_back_pressure" count "Cycles in which all sources waited because no more messages could be held.";
    DedupIds "dedup_ids" gauge "Ids in the dedup window; those whose time has passed count until the next message comes.";
    ChunksUsed "chunks_used" gauge "Chunks of frame memory in use: those being filled, and those with a message that is not settled.";
    ChunksEvicted "chunks_evicted" count "Chunks taken from messages that wait: these are read again from the journal.";
    ReplayFailures "replay_failures" count "Messages that could not be read again from the journal; they are tried again.";
    Fetched "fetched" count "Messages read again from the journal.";

    ClockSteps "clock_steps" count "Times that the system's wall clock was set by a second or more; hours and told times follow it, waits and the dedup window do not.";

    BytesIn "bytes_in" count "Bytes read from sources.";
    SourcesConnected "sources_connected" gauge "Sources connected now, dialled or dialled in.";
    SourceConnects "source_connects" count "Connections to or from sources that were made.";
    SourceDisconnects "source_disconnects" count "Connections to or from sources that ended.";
    SourceConnectFailures "source_connect_failures" count "Dials that failed; they are tried again.";
    PartialLines "partial_lines" count "Lines cut off by the end of their connection: rejected as bad_json, kept as far as they came, and not acknowledged. Lines that were held for max_queued count as one, and are their source's still.";
    Destinations "destinations" gauge "Destinations that there are: configured, and created by messages or subscribers.";
    DestinationsFull "destinations_full" count "Lines and subscriptions for a new destination that were refused because there are max_destinations.";
    DestinationsAtMax "destinations_at_max" gauge "1 while there are max_destinations.";
    DestinationsRetired "destinations_retired" count "Destinations that messages or subscribers created and that went again: nothing waited for them, and nobody had asked for them by name.";
    Reloads "reloads" count "Times that the settings were read anew, and took effect.";
    ReloadFailures "reload_failures" count "Times that they were read anew in vain: they were wrong, or wanted a restart. Nothing was changed.";
    LastReload "last_reload_ms" gauge "When they last took effect, in ms since the epoch; 0: as at the start.";
    DestinationGone "destination_gone" count "Subscribers closed because a reload has taken their destination out of the settings.";
    QueueFullWaits "queue_full_waits" count "Times that a source was read no more because its next line was for a destination with max_queued messages.";
    SourcesHeld "sources_held" gauge "Sources that are not read now for that reason.";
    HeldLost "held_lost" count "Lines that were read, waited for room, and were lost by a clean stop: their sources do not acknowledge.";
    IngestBackPressure "ingest_back_pressure" count "Reads put off because the pipeline was full.";
    LinesFastPath "lines_fast_path" count "Lines parsed by the parser's fast path: their shape was known.";
    LinesFullPath "lines_full_path" count "Lines parsed by simd-json: of a new shape, unusual or wrong, or all of them with parser = simd-json or without AVX2.";
    RejectedWaiting "rejected_waiting" gauge "Rejected lines on their way to rejected.ndjson.";
    RejectedDisk "rejected_disk" gauge "Bytes of rejected.ndjson and its numbered predecessors.";
    RejectedUnwritable "rejected_unwritable" count "Failed writes to rejected.ndjson; sources wait at their next wrong line until one succeeds.";
    RejectedFailing "rejected_failing" gauge "1 while they do.";
    RejectedFull "rejected_full" gauge "1 while sources wait at their next wrong line because rejected.ndjson has reached rejected_max_total, or its disk the room that is left to the journal and the store.";
    RejectedDropped "rejected_dropped" count "Rejected lines of the oldest files, removed at rejected_max_total, or to leave room on the disk.";
    RejectedDroppedBytes "rejected_dropped_bytes" count "Bytes of these files.";
    RejectedWaits "rejected_waits" count "Times that a source was read no more because its next line is wrong and could not be kept.";
    RejectedHeld "rejected_held" gauge "Sources that are not read now for that reason.";
    RejectedPaced "rejected_paced" count "Times that a source was read no more for a moment because its wrong lines took more than their share of the time.";
    DuplicatesPaced "duplicates_paced" count "Times that a source was read no more for a moment because its duplicates took more than their share of the time.";
    RatePaced "rate_paced" count "Times that a producer was read no more for a moment because it was at max_rate.";
    AcksSent "acks_sent" count "Acknowledgement lines written to sources.";
    AcceptFailures "accept_failures" count "Connections that could not be accepted.";
    ListenersFailing "listeners_failing" gauge "Listeners that cannot accept now: no descriptor or no memory is left; they try again.";
    ListenersFull "listeners_full" gauge "Listeners that refuse connections now, for max_connections are open.";
    ConnectionsRefused "connections_refused" count "Connections that were told why they may not stay, and closed.";
    ConnectionsRefusedFull "connections_refused_full" count "Those among them that found max_connections open.";
    ConnectionsRefusedAddress "connections_refused_address" count "Those among them that found max_connections_per_address open from their address.";
    TokensRefused "tokens_refused" count "Producers, subscribers and HTTP requests refused because they showed no token, or one of no user.";
    RightsRefused "rights_refused" count "Those refused because their user has no right to what they asked for. Lines are counted as rejected: forbidden.";
    TlsFailures "tls_failures" count "TLS handshakes that failed, dialled or accepted: a certificate that is not trusted, a peer that does not speak TLS.";
    TlsFailuresCertificate "tls_failures_certificate" count "Those among them in which a certificate was missing, or one side did not trust the other's.";
    TlsFailuresPlain "tls_failures_plain" count "Those among them whose peer spoke no TLS.";
    TlsFailuresTimeout "tls_failures_timeout" count "Those among them that were not over in time, 10 s.";
    GreetingTimeouts "greeting_timeouts" count "Connections closed because they did not say in time what they want.";
    OutcomeWaits "outcome_waits" count "Times that a producer was read no more because it had not read the outcomes of its lines.";
    ProducerErrors "producer_errors" count "Producers ended by an error line, for their greeting was wrong.";
    IdleTimeouts "idle_timeouts" count "Producers closed because they sent nothing for idle_timeout.";
    HttpConnected "http_connected" gauge "HTTP connections now, at `[admin] listen` and `[http] listen`.";
    HttpPublishes "http_publishes" count "POST /publish requests that were answered by line.";
    HttpPublishLines "http_publish_lines" count "Lines of theirs.";
    HttpSubscribers "http_subscribers" gauge "Event streams of GET /subscribe now; they are among subscribers_connected too.";
    HttpResumed "http_resumed" count "Event streams that went on where an earlier one of the same client had ended, by Last-Event-ID.";
    HttpAcks "http_acks" count "POST /ack requests that were taken.";
    HttpBadRequests "http_bad_requests" count "Requests at `[http] listen` that were not understood, or asked for what is not there.";
    HttpHostsRefused "http_hosts_refused" count "Requests refused because they asked for another host's name.";
    HttpOriginsRefused "http_origins_refused" count "Requests of pages refused because `[http] cors` does not name their origin.";
    HttpBodiesTooLong "http_bodies_too_long" count "Bodies of POST /publish not read to their end, for they are longer than max_body or have too many lines.";
    HttpBodiesLate "http_bodies_late" count "Bodies of POST /publish whose rest did not come in time.";
    HttpBodiesCut "http_bodies_cut" count "Bodies of POST /publish that their clients cut off.";

    JournalBytes "journal_bytes" count "Bytes appended to the journal.";
    JournalBatches "journal_batches" count "Batches appended to the journal.";
    JournalRecorded "journal_recorded" gauge "The last sequence whose record was handed to the operating system.";
    JournalSyncs "journal_syncs" count "fdatasync calls that returned.";
    JournalFull "journal_full" count "Tries to append, or to set room aside, that found the disk full, or no descriptor left; they are repeated.";
    JournalWaiting "journal_waiting" gauge "1 while messages wait for that: sources wait as well; settlements go on in the room set aside.";
    JournalStuck "journal_stuck" gauge "1 while not even settlements find room: nothing is handed out.";
    JournalSettled "journal_settled" count "Settlements appended to the journal.";
    JournalTornBytes "journal_torn_bytes" count "Bytes of a torn tail that were cut at start.";
    JournalSegments "journal_segments" gauge "Files that the journal consists of, without free ones.";
    JournalDisk "journal_disk" gauge "Bytes set aside for the journal, free files included, as `[journal] max_bytes` counts them; what is on the disk is disk.journal in /stats.";
    JournalRecycled "journal_recycled" count "Segments written over the file of an earlier one.";
    JournalCarried "journal_carried" count "Messages carried forward, so that the segments which held them can go.";
    JournalLimit "journal_limit" count "Times that the journal reached journal.max_bytes: sources wait until old segments go.";
    JournalBackPressure "journal_back_pressure" count "Cycles in which the scheduler waited for the journal.";

    BytesOut "bytes_out" count "Bytes written to subscribers.";
    SubscribersConnected "subscribers_connected" gauge "Subscriber connections now.";
    SubscriberConnects "subscriber_connects" count "Subscriber connections that were accepted.";
    SubscriberDisconnects "subscriber_disconnects" count "Subscriber connections that ended.";
    SubscriberErrors "subscriber_errors" count "Subscriber connections ended by an error line.";
    UnreadTimeouts "unread_timeouts" count "Subscribers cut because their sockets took nothing for unread_timeout.";
    AckTimeouts "ack_timeouts" count "Subscribers cut because they owed acknowledgements too long.";
    DeliveryBackPressure "delivery_back_pressure" count "Dispatches put off because a delivery ring was full.";

    ClusterActive "cluster_active" gauge "1 while this member serves its group, paused or not; 0: it follows, or there is no group.";
    ClusterPaused "cluster_paused" gauge "1 while it hands out nothing, for its lease has run out: no record was confirmed for three quarters of take_over_after.";
    ClusterReady "cluster_ready" gauge "1 while it serves, or could take over: it has read and written all of the group's stream.";
    ClusterTrouble "cluster_trouble" gauge "1 while something is wrong with the group's servers, its stream or this member's files; /readyz has the words.";
    ClusterConnected "cluster_connected" gauge "1 while one of the servers of `[cluster]` is connected.";
    ClusterEpoch "cluster_epoch" gauge "The number of the group's term: each take-over begins the next.";
    ClusterSequence "cluster_sequence" gauge "The sequence of the last record of the group's stream that this member has.";
    ClusterLag "cluster_lag" gauge "Records of the stream that this member does not have, when it last looked.";
    ClusterLeaseLeft "cluster_lease_left_ms" gauge "How long the active may still hand out messages unless another record is confirmed, in ms.";
    ClusterMembers "cluster_members" gauge "Other members of the group that were heard within the last seconds.";
    ClusterMembersReady "cluster_members_ready" gauge "Those among them that could take over.";
    ClusterTakeOvers "cluster_take_overs" count "Times that this process has become the active.";
    ClusterRecords "cluster_records" count "Records of this process that the stream has confirmed; one a second without load.";
    ClusterRecordBytes "cluster_record_bytes" count "Bytes of the journal in them.";
    ClusterRoundTrip "cluster_round_trip_us" gauge "From the first sending of the last confirmed record to its confirmation, in us.";
    ClusterRoundTrips "cluster_round_trips_us" count "The same of all records together, in us.";
    ClusterVoidRecords "cluster_void_records" count "Messages of the stream that count for nobody, as this process has met them.";
    ClusterLost "cluster_lost" count "Messages of this member's journal that the servers had confirmed and lost: set aside in journal-divergent-TIME.";
    ClusterRedirected "cluster_redirected" count "Connections that came to this member while it did not serve, and were told who does.";
    Unconfirmed "unconfirmed" count "Lines of sources that resend nothing whose record was not confirmed when a term ended: kept in unconfirmed.ndjson.";
    NatsConnected "nats_connected" gauge "Sources and destinations at NATS that work now.";
    NatsFailures "nats_failures" count "Times that one of them could not connect, or ended: a server that is gone, a stream that is missing, credentials.";
    NatsReceived "nats_received" count "Messages taken from streams; they are lines like any other.";
    NatsTerminated "nats_terminated" count "Messages of streams that were rejected, and told to their stream as never to come again.";
    NatsPublished "nats_published" count "Messages published to NATS and settled.";
    NatsDuplicates "nats_duplicates" count "Those among them that their stream had already.";
    NatsPublishFailures "nats_publish_failures" count "Messages that a stream did not take, or not answer for; they are published again.";

    Stored "stored" count "Messages whose row is in the store.";
    StoredSettled "stored_settled" count "Messages whose row says DELIVERED.";
    StorePosition "store_position" gauge "The journal position up to which the store has followed.";
    StoreRetries "store_retries" count "Store batches that failed and were tried again.";
    StoreAheadBytes "store_ahead_bytes" count "Bytes of the journal that the store had followed and a power loss has taken.";
    StoreBatches "store_batches" count "Store transactions committed.";
    StoreBatchRows "store_batch_rows" gauge "Rows and updates of the last store transaction.";
    StoreRowsPerSecond "store_rows_per_second" gauge "Rows and updates that the store wrote in the last second.";
    StoreUnstored "store_unstored" count "Rows that the database refused and that are kept in unstored.ndjson.";
    StoreUnsettled "store_unsettled" count "Settlements that the database refused and that are kept in unstored.ndjson; their rows say INGESTED.";
    StoreLagMessages "store_lag_messages" gauge "Journaled messages that the store has not followed yet.";
    StoreLagSeconds "store_lag_seconds" gauge "How long the oldest message or settlement that the store has not followed has waited.";
    StoreCoreWaitPercent "store_core_wait_percent" gauge "How much of the last ten seconds the store's thread could have gone on and had no core: it has the lowest priority.";
    StoreRowsRemoved "store_rows_removed" count "Rows removed because they were settled longer than store.keep ago; of partitions that were dropped, the server's estimate.";
    StorePartitionsDropped "store_partitions_dropped" count "Partitions of a server's table that were dropped for the same reason.";
    StoreOldestRowSeconds "store_oldest_row_seconds" gauge "Age of the oldest row when the last pass over the old rows began; 0 without store.keep.";
    StoreKeepFailing "store_keep_failing" gauge "1 while old rows cannot be removed: they stay, and it is tried again.";
    StoreFailing "store_failing" gauge "1 while the store's last try has failed, or it has stopped for good.";

    LogLinesLost "log_lines_lost" count "Lines of the log, and blocks of the statistics, that nobody took since the process began: standard error or output is gone, full or unread.";
    LatencyLogLost "latency_log_lost" count "Lines of the interval logs that could not be written; the totals have them.";
}

/// One cell on a cache line of its own: neighbours are written by other cores.
#[repr(align(64))]
#[derive(Debug, Default)]
struct Cell(AtomicU64);

/// Rejected lines by reason; one writer, so its words share cache lines with nothing else.
#[repr(align(64))]
#[derive(Debug, Default)]
struct RejectedByReason([AtomicU64; Reason::ALL.len()]);

/// The counters of one engine.
#[derive(Debug)]
pub struct Counters {
    cells: Vec<Cell>,
    /// What [`Counter::Rejected`] is made of, in the order of [`Reason::ALL`]. Ledger counters too.
    rejected: RejectedByReason,
    /// Odd while the scheduler is writing the ledger counters.
    version: AtomicU64,
    faults: Faults,
}

/// The values of all counters at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    values: Vec<u64>,
    rejected: [u64; Reason::ALL.len()],
}

impl Default for Counters {
    fn default() -> Self {
        let cells = Counter::ALL.iter().map(|_| Cell::default()).collect();
        Self {
            cells,
            rejected: RejectedByReason::default(),
            version: AtomicU64::new(0),
            faults: Faults::default(),
        }
    }
}

impl Counters {
    /// What does not work now, in words.
    #[must_use]
    pub(crate) fn faults(&self) -> &Faults {
        &self.faults
    }

    /// Adds; for counters that several agents write.
    pub fn add(&self, counter: Counter, count: u64) {
        self.cells[counter as usize]
            .0
            .fetch_add(count, Ordering::Relaxed);
    }

    /// Subtracts from a gauge.
    pub fn subtract(&self, counter: Counter, count: u64) {
        self.cells[counter as usize]
            .0
            .fetch_sub(count, Ordering::Relaxed);
    }

    /// Stores; for counters that one agent writes.
    pub fn set(&self, counter: Counter, value: u64) {
        self.cells[counter as usize]
            .0
            .store(value, Ordering::Relaxed);
    }

    /// The value now.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.cells[counter as usize].0.load(Ordering::Relaxed)
    }

    /// Stores how many lines were rejected for one reason. The scheduler alone calls it, between
    /// [`Counters::begin`] and [`Counters::end`], beside [`Counter::Rejected`]: so the reasons add
    /// up to that counter at every moment.
    pub fn set_rejected(&self, reason: Reason, value: u64) {
        self.rejected.0[reason as usize].store(value, Ordering::Relaxed);
    }

    /// The scheduler is about to write the ledger counters.
    pub fn begin(&self) {
        let version = self.version.load(Ordering::Relaxed);
        self.version.store(version + 1, Ordering::Relaxed);
        // Pairs with the acquire fence in `snapshot`: who sees a new value sees the odd version.
        fence(Ordering::Release);
    }

    /// The ledger counters add up again.
    pub fn end(&self) {
        let version = self.version.load(Ordering::Relaxed);
        // Pairs with the acquire load in `snapshot`: who sees the even version sees the values.
        self.version.store(version + 1, Ordering::Release);
    }

    /// All values, with the ledger counters of one moment.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        loop {
            // Pairs with the release store in `end`.
            let before = self.version.load(Ordering::Acquire);
            let values: Vec<u64> = self
                .cells
                .iter()
                .map(|cell| cell.0.load(Ordering::Relaxed))
                .collect();
            let load = |it: &AtomicU64| it.load(Ordering::Relaxed);
            let rejected = self.rejected.0.each_ref().map(load);
            // Pairs with the release fence in `begin`.
            fence(Ordering::Acquire);
            let after = self.version.load(Ordering::Relaxed);
            if before == after && before.is_multiple_of(2) {
                return Snapshot { values, rejected };
            }
            std::thread::yield_now();
        }
    }
}

impl Snapshot {
    /// The value of one counter.
    #[must_use]
    pub fn get(&self, counter: Counter) -> u64 {
        self.values[counter as usize]
    }

    /// How many lines were rejected for one reason.
    #[must_use]
    pub fn rejected(&self, reason: Reason) -> u64 {
        self.rejected[reason as usize]
    }

    /// Every counter with its value, in the order of the list.
    pub fn iter(&self) -> impl Iterator<Item = (Counter, u64)> + '_ {
        Counter::ALL
            .iter()
            .map(|&counter| (counter, self.get(counter)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn labels_are_distinct() {
        let mut labels: Vec<_> = Counter::ALL.iter().map(|it| it.label()).collect();
        labels.sort_unstable();
        labels.dedup();
        assert_eq!(labels.len(), Counter::ALL.len());
    }

    #[test]
    fn the_reasons_add_up_to_rejected_at_every_moment() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let mut rejections = [0; Reason::ALL.len()];
                for value in 1..20_000 {
                    let at = value % Reason::ALL.len();
                    let reason = Reason::ALL[at];
                    rejections[at] += 1;
                    counters.begin();
                    counters.set_rejected(reason, rejections[at]);
                    counters.set(Counter::Rejected, value as u64);
                    counters.end();
                }
            });
            for _ in 0..2_000 {
                let seen = counters.snapshot();
                let sum: u64 = Reason::ALL.iter().map(|&it| seen.rejected(it)).sum();
                assert_eq!(sum, seen.get(Counter::Rejected));
            }
        });
    }

    #[test]
    fn a_snapshot_never_sees_half_an_update() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for value in 1..20_000 {
                    counters.begin();
                    counters.set(Counter::Accepted, value);
                    counters.set(Counter::Received, value);
                    counters.end();
                }
            });
            for _ in 0..2_000 {
                let seen = counters.snapshot();
                assert_eq!(seen.get(Counter::Accepted), seen.get(Counter::Received));
            }
        });
    }
}
