//! A member's snapshot as counters, so that `/stats`, `/metrics` and alerts have them under the names of the
//! catalogue, on a standby as on the active.

use super::core::Role;
use super::status::Snapshot;
use crate::counters::{Counter, Counters};

/// Sets the counters of the cluster to what a member tells of itself. HTTP does so before it answers: the
/// figures of one process go on over its runs, and each run has counters of its own.
pub(crate) fn show(it: &Snapshot, counters: &Counters) {
    let micros = |time: std::time::Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    for (counter, value) in [
        (Counter::ClusterActive, u64::from(it.is_active())),
        (Counter::ClusterPaused, u64::from(it.role == Role::Paused)),
        (Counter::ClusterReady, u64::from(it.could_serve())),
        (Counter::ClusterTrouble, u64::from(it.trouble.is_some())),
        (Counter::ClusterConnected, u64::from(it.server.is_some())),
        (Counter::ClusterEpoch, it.epoch),
        (Counter::ClusterSequence, it.sequence),
        (Counter::ClusterLag, it.lag()),
        (Counter::ClusterLeaseLeft, micros(it.lease_left) / 1_000),
        (Counter::ClusterMembers, it.present().count() as u64),
        (
            Counter::ClusterMembersReady,
            it.present().filter(|it| it.is_ready).count() as u64,
        ),
        (Counter::ClusterTakeOvers, it.take_overs),
        (Counter::ClusterRecords, it.records),
        (Counter::ClusterRecordBytes, it.batch_bytes),
        (Counter::ClusterRoundTrip, micros(it.round_trip)),
        (Counter::ClusterRoundTrips, micros(it.round_trips)),
        (Counter::ClusterVoidRecords, it.void_records),
        (Counter::ClusterLost, it.lost),
        (Counter::Unconfirmed, it.unconfirmed),
    ] {
        counters.set(counter, value);
    }
}
