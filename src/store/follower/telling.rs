//! What the follower's log says of its store: that it works again, and lines that were left out.

use tracing::{info, warn};

use super::Follower;
use crate::clock::Now;
use crate::journal::storage::Storage;
use crate::plural::several;
use crate::store::Store;

impl<S: Storage, D: Store> Follower<S, D> {
    pub(super) fn log_recovery(&mut self, now: Now) {
        if let Some((failures, more)) = self.backoff.succeeded(now) {
            let failures = several(failures, "failure");
            info!("the store works again after {failures}{more}");
        }
    }

    /// Logs how many log lines were left out, where none came since that could say so.
    pub(super) fn log_left_out(&mut self, now: Now) {
        let (failures, recoveries) = self.backoff.left_out(now);
        if let Some(more) = failures {
            let count = more.count;
            warn!(count, "the store has failed again and again");
        }
        if let Some(more) = recoveries {
            let count = more.count;
            info!(count, "the store has worked again and again");
        }
        if let Some(more) = self.log_keep.overdue(now) {
            let count = more.count;
            warn!(
                count,
                "old rows could not be removed ([store] keep), again and again"
            );
        }
    }
}
