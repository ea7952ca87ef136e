//! What stands for a frame that may come again and is done with: 128 bits of its bytes, randomly keyed.
//!
//! Subscribers that acknowledge from the first frame on keep the marks of what they were done with beyond
//! that, so that what a lost connection brings again is not passed on twice. Values only.

use std::collections::HashMap;

use ahash::RandomState;

/// What stands for a frame.
pub(crate) type FrameMark = [u64; 2];

/// Makes marks; clones make the same ones.
#[derive(Debug, Clone, Default)]
pub(crate) struct FrameMarker([RandomState; 2]);

impl FrameMarker {
    pub(crate) fn mark(&self, frame: &[u8]) -> FrameMark {
        self.0.each_ref().map(|it| it.hash_one(frame))
    }
}

/// Frames that are done with, and how often each may come again.
#[derive(Debug, Clone, Default)]
pub(crate) struct FrameMarks(HashMap<FrameMark, u32>);

impl FrameMarks {
    pub(crate) fn add(&mut self, mark: FrameMark) {
        *self.0.entry(mark).or_default() += 1;
    }

    /// Whether the frame was done with; it counts once for each time that it was added.
    pub(crate) fn take(&mut self, mark: FrameMark) -> bool {
        let Some(count) = self.0.get_mut(&mark) else {
            return false;
        };
        *count -= 1;
        if *count == 0 {
            self.0.remove(&mark);
        }
        true
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_is_known_as_often_as_it_was_added() {
        let (marker, mut marks) = (FrameMarker::default(), FrameMarks::default());
        let mark = |frame: &str| marker.clone().mark(frame.as_bytes());
        for frame in ["a", "b", "a"] {
            marks.add(mark(frame));
        }
        assert_eq!(marks.len(), 2);
        assert!(!marks.take(mark("c")));
        assert_eq!(
            ["a", "a", "a"].map(|it| marks.take(mark(it))),
            [true, true, false]
        );
        assert!(!marks.is_empty());
        marks.clear();
        assert!(!marks.take(mark("b")) && marks.is_empty());
    }
}
