//! The end of a run in a group: lines that are not confirmed, and that no source sends again.

use super::Cores;
use crate::message::Record;
use crate::ring::Receiver;
use crate::scheduler::protocol::FromIngest;

impl Cores {
    /// Gives out what waits for a confirmation that does not come any more, and what ingest has accepted
    /// and is not looked at yet, of sources that do not wait for acknowledgements.
    pub(in crate::scheduler) fn keep_unconfirmed(&mut self, ingest: &mut Receiver<FromIngest>) {
        if !self.lease.is_in_group() {
            return;
        }
        for index in self.gate.messages() {
            if self.messages.get(index).line.number == 0 {
                let lease = &self.lease;
                self.messages
                    .with_frame(index, |frame| lease.keep_unconfirmed(frame));
            }
        }
        while let Some(event) = ingest.poll() {
            if let FromIngest::Arrived(arrival) = event
                && arrival.line == 0
                && let Some(record) = Record::parse(self.messages.record(&arrival.frame))
            {
                self.lease.keep_unconfirmed(record.frame());
            }
        }
    }
}
