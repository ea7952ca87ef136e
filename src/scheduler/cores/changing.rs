//! Changing: what a reload changes at the scheduler, between two duty cycles.

use super::Cores;
use crate::scheduler::reload::SchedulerChange;

impl Cores {
    /// Takes what is new. It takes some 100 ns a destination: a millisecond for 10,000.
    pub(in crate::scheduler) fn change(&mut self, change: &mut SchedulerChange) {
        self.intake.take_rules(&mut change.rules, &self.names);
        self.dispatcher.allowances().set_max(&mut change.max_queued);
        for destination in change.configured.indices() {
            self.ensure_destination(destination);
        }
        std::mem::swap(&mut self.configured, &mut change.configured);
        // Names that are closed go in their time, as created ones do.
        self.may_retire = true;
    }
}
