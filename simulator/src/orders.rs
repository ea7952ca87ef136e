//! The lines of one server: valid frames, and the faults asked for between them.
//!
//! `stream` asks for one line at a time, with its timestamp, and is told what it got. Pure: no
//! clock, no socket; the same options give the same bytes.

use crate::error::SimulatorError;
use crate::frame::{FrameMaker, FrameSpec};
use crate::limits::{REMEMBER_EVERY, REMEMBERED_MAX};
use crate::malformed::{Breaker, Reason};

/// What a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LineKind {
    /// A valid frame with an id of its own.
    Valid,
    /// An earlier valid frame again, byte for byte.
    Duplicate,
    /// To be rejected, for this reason.
    Malformed(Reason),
}

/// How many faults there are.
#[derive(Clone, Copy, Debug)]
pub struct Faults {
    /// Percent of the lines that repeat an earlier frame.
    pub duplicates_percent: f64,
    /// Percent of the lines that the engine must reject.
    pub malformed_percent: f64,
    /// The engine's `max_line`: oversize lines are longer.
    pub max_line: usize,
}

/// Makes one server's lines.
#[derive(Debug)]
pub struct Orders {
    frames: FrameMaker,
    /// Of 2^32: below it, the line is malformed.
    malformed_below: u64,
    /// Of 2^32: below it and not malformed, the line is a duplicate.
    duplicate_below: u64,
    breaker: Breaker,
    remembered: Remembered,
    scratch: Vec<u8>,
    rng: fastrand::Rng,
}

impl Orders {
    /// # Errors
    /// What [`FrameMaker::new`] refuses.
    pub fn new(spec: FrameSpec, faults: &Faults) -> Result<Self, SimulatorError> {
        let malformed_below = of_u32(faults.malformed_percent);
        Ok(Self {
            // Its own generator: faults must not change which frames are made.
            rng: fastrand::Rng::with_seed(spec.seed ^ 0x7472_6f75_626c_6500),
            frames: FrameMaker::new(spec)?,
            malformed_below,
            duplicate_below: malformed_below + of_u32(faults.duplicates_percent),
            breaker: Breaker::new(faults.max_line),
            remembered: Remembered::default(),
            scratch: Vec::new(),
        })
    }

    /// Appends one line, newline included.
    #[inline]
    pub fn append(&mut self, out: &mut Vec<u8>, timestamp_ms: u64) -> LineKind {
        if self.duplicate_below == 0 {
            self.frames.append(out, timestamp_ms);
            return LineKind::Valid;
        }
        self.append_faulty(out, timestamp_ms)
    }

    fn append_faulty(&mut self, out: &mut Vec<u8>, timestamp_ms: u64) -> LineKind {
        let draw = u64::from(self.rng.u32(..));
        if draw < self.malformed_below {
            return self.append_malformed(out, timestamp_ms);
        }
        if draw < self.duplicate_below
            && let Some(frame) = self.remembered.pick(&mut self.rng)
        {
            out.extend_from_slice(frame);
            return LineKind::Duplicate;
        }
        let start = out.len();
        self.frames.append(out, timestamp_ms);
        if self.duplicate_below > self.malformed_below {
            self.remembered.see(&out[start..]);
        }
        LineKind::Valid
    }

    /// The frame that is broken has an id of its own, so that one wrongly accepted shows.
    fn append_malformed(&mut self, out: &mut Vec<u8>, timestamp_ms: u64) -> LineKind {
        self.scratch.clear();
        self.frames.append(&mut self.scratch, timestamp_ms);
        self.scratch.pop();
        let reason = self.breaker.break_frame(&mut self.scratch);
        out.extend_from_slice(&self.scratch);
        out.push(b'\n');
        LineKind::Malformed(reason)
    }
}

/// A percentage as a share of 2^32.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "0 to 100 percent"
)]
fn of_u32(percent: f64) -> u64 {
    (percent / 100.0 * 4_294_967_296.0) as u64
}

/// Some of the latest valid lines, to be repeated.
#[derive(Debug, Default)]
struct Remembered {
    lines: Vec<Vec<u8>>,
    oldest: usize,
    seen: u64,
}

impl Remembered {
    fn see(&mut self, line: &[u8]) {
        if self.seen.is_multiple_of(REMEMBER_EVERY) {
            if self.lines.len() < REMEMBERED_MAX {
                self.lines.push(line.to_vec());
            } else {
                let slot = &mut self.lines[self.oldest];
                slot.clear();
                slot.extend_from_slice(line);
                self.oldest = (self.oldest + 1) % REMEMBERED_MAX;
            }
        }
        self.seen += 1;
    }

    fn pick(&self, rng: &mut fastrand::Rng) -> Option<&[u8]> {
        if self.lines.is_empty() {
            return None;
        }
        Some(&self.lines[rng.usize(..self.lines.len())])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    fn orders(duplicates_percent: f64, malformed_percent: f64) -> Orders {
        let spec = FrameSpec {
            server: "server1".into(),
            destinations: vec!["table1".into(), "table2".into()],
            len: Some(390),
            fresh: false,
            seed: 3,
            run: 1,
        };
        let faults = Faults {
            duplicates_percent,
            malformed_percent,
            max_line: 2_000,
        };
        Orders::new(spec, &faults).expect("a good spec")
    }

    fn made(orders: &mut Orders, count: usize) -> Vec<(LineKind, Vec<u8>)> {
        let mut out = Vec::new();
        let mut one = || {
            out.clear();
            let kind = orders.append(&mut out, 1_693_123_456_789);
            (kind, out.clone())
        };
        (0..count).map(|_| one()).collect()
    }

    #[test]
    fn without_faults_every_line_is_valid_and_new() {
        let lines = made(&mut orders(0.0, 0.0), 2_000);
        assert!(lines.iter().all(|(kind, _)| *kind == LineKind::Valid));
        assert_eq!(
            lines
                .iter()
                .map(|(_, line)| line)
                .collect::<HashSet<_>>()
                .len(),
            2_000
        );
    }

    #[test]
    fn duplicates_repeat_an_earlier_valid_line_in_about_the_share_asked_for() {
        let mut earlier = HashSet::new();
        let mut duplicates = 0;
        for (kind, line) in made(&mut orders(10.0, 5.0), 10_000) {
            match kind {
                LineKind::Valid => assert!(earlier.insert(line)),
                LineKind::Duplicate => {
                    assert!(earlier.contains(&line));
                    duplicates += 1;
                }
                LineKind::Malformed(_) => assert!(!earlier.contains(&line)),
            }
        }
        assert!((850..1_150).contains(&duplicates), "{duplicates} of 10,000");
    }

    #[test]
    fn malformed_lines_take_every_reason_in_turn() {
        let lines = made(&mut orders(0.0, 2.0), 10_000);
        let reasons: Vec<Reason> = lines
            .iter()
            .filter_map(|(kind, _)| match kind {
                LineKind::Malformed(reason) => Some(*reason),
                _ => None,
            })
            .collect();
        assert!(
            (140..260).contains(&reasons.len()),
            "{} of 10,000",
            reasons.len()
        );
        assert!(
            reasons
                .iter()
                .zip(Reason::ALL.iter().cycle())
                .all(|(made, due)| made == due)
        );
    }

    #[test]
    fn every_line_ends_with_its_only_newline() {
        for (_, line) in made(&mut orders(10.0, 30.0), 3_000) {
            assert_eq!(memchr::memchr(b'\n', &line), Some(line.len() - 1));
        }
    }
}
