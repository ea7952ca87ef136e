//! The member and the journal agent of its term: takes its batches, and tells it what is recorded.

use super::Turns;
use crate::cluster::core::{Event, Offer};
use crate::cluster::record::{PLACE_LEN, next_segment, position_of};
use crate::cluster::run::link::{Filled, FromMember};
use crate::limits::BATCH_LEN_MAX;

impl Turns {
    /// Takes what the journal agent has filled, offers it, and asks for more.
    pub(super) fn exchange(&mut self) -> usize {
        let Some(link) = &mut self.link else {
            return 0;
        };
        let mut work_count = 0;
        if self.filled.is_none() {
            self.filled = link.from_agent.poll();
            work_count += usize::from(self.filled.is_some());
        }
        while let Some(&opened) = self.opened.front()
            && let Some(mut permit) = link.to_agent.claim(1)
        {
            permit.send(FromMember::Opened(opened));
            self.opened.pop_front();
            work_count += 1;
        }
        if self.driver.member.wants_batches() {
            if let Some(filled) = self.filled.take() {
                self.offer(filled);
                work_count += 1;
            } else if self.reporter.fits()
                && let Some(buffers) = self.buffers.take_if(|_| link.to_agent.has_room(1))
                && let Some(mut permit) = link.to_agent.claim(1)
            {
                let len_max = self.reporter.record_len_max.min(BATCH_LEN_MAX) - PLACE_LEN;
                permit.send(FromMember::Wanted { buffers, len_max });
            }
        }
        if let Some(link) = &mut self.link {
            link.to_agent.flush();
        }
        work_count
    }

    fn offer(&mut self, filled: Filled) {
        let len = PLACE_LEN + filled.len();
        let end = self.driver.member.end();
        let position = match self.has_begun_segment {
            true => position_of(end, len, self.segment_len),
            false => next_segment(end, self.segment_len),
        };
        self.has_begun_segment = true;
        self.offered.push_back(position);
        let offer = Offer {
            kind: filled.kind,
            position,
            batches: filled.seal(position).into(),
            next_message: filled.next_sequence(),
            time_us: filled.steady_us,
        };
        let mut buffers = filled.buffers;
        buffers.messages.clear();
        buffers.settlements.clear();
        self.buffers = Some(buffers);
        self.on_event(Event::Offer(offer));
    }
}
