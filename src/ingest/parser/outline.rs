//! The outline of a line: whether it is one JSON object, and where its top-level members meet.
//!
//! The quick way draws it, and reads the members. It looks at brackets, to match them, at the commas
//! of the top level, and at numbers and words, byte by byte; all else the grammar has judged. It
//! never says wrongly that a line is good; of a good one it may say that it does not know: where
//! white space is more than spaces, or members are too many.

use crate::limits::{LINE_LEN_MAX, NESTING_MAX};

use super::blocks::{BLOCK_LEN, Block};
use super::grammar::{Grammar, Marks};
use super::scalars;

/// Braces have this bit, square brackets have not.
const BRACE_BIT: u8 = 0x20;

/// Top-level members that an outline can have.
pub(super) const MEMBERS_MAX: usize = 24;

/// Where a line's top-level members meet; drawn anew for each line.
pub(super) struct Outline {
    /// The first stage's marks, a block each, and one that may be empty.
    marks: Box<[Marks]>,
    /// Where the opening brace, the commas of the top level and the closing brace stand.
    joints: [u32; MEMBERS_MAX + 1],
    joint_count: usize,
    /// Strings of the line may contain escapes.
    pub(super) has_backslash: bool,
}

impl Default for Outline {
    fn default() -> Self {
        Self {
            marks: vec![Marks::default(); LINE_LEN_MAX / BLOCK_LEN + 1].into(),
            joints: [0; MEMBERS_MAX + 1],
            joint_count: 0,
            has_backslash: false,
        }
    }
}

impl Outline {
    /// Draws the outline of a line; `false`: it is not for sure a JSON object. Escapes and
    /// UTF-8 are left to be judged.
    #[inline(always)]
    pub(super) fn draw(
        &mut self,
        frame: &[u8],
        block_of: impl Fn(&[u8; BLOCK_LEN]) -> Block,
    ) -> bool {
        if frame.len() > LINE_LEN_MAX {
            return false;
        }
        let mut grammar = Grammar::default();
        let (blocks, rest) = frame.as_chunks::<BLOCK_LEN>();
        let (marks, last) = self.marks.split_at_mut(blocks.len());
        for (bytes, marks) in blocks.iter().zip(marks) {
            *marks = grammar.step(&block_of(bytes));
        }
        let mut bytes = [b' '; BLOCK_LEN];
        bytes[..rest.len()].copy_from_slice(rest);
        last[0] = grammar.step(&block_of(&bytes));
        self.has_backslash = grammar.has_backslash;
        grammar.is_kept() && self.walk(frame, blocks.len() + 1)
    }

    /// The second stage: whatever is marked in so many blocks.
    #[inline(always)]
    fn walk(&mut self, frame: &[u8], block_count: usize) -> bool {
        let mut walk = Walk {
            frame,
            joints: &mut self.joints,
            joint_count: 0,
            depth: 0,
            objects: 0,
            has_ended: false,
        };
        for (index, marks) in self.marks[..block_count].iter().enumerate() {
            if !walk.step(index * BLOCK_LEN, marks) {
                return false;
            }
        }
        self.joint_count = walk.joint_count;
        walk.has_ended
    }

    /// Where each member stands: the bytes between two joints.
    pub(super) fn members(&self) -> impl Iterator<Item = (usize, usize)> {
        self.joints[..self.joint_count]
            .windows(2)
            .map(|joints| (joints[0] as usize + 1, joints[1] as usize))
    }
}

/// The walk over a line's marks.
struct Walk<'w> {
    frame: &'w [u8],
    joints: &'w mut [u32; MEMBERS_MAX + 1],
    joint_count: usize,
    /// How many brackets are open.
    depth: usize,
    /// One bit for each open bracket, the innermost lowest: it is an object's.
    objects: u128,
    has_ended: bool,
}

const _: () = assert!(NESTING_MAX <= u128::BITS as usize);

impl Walk<'_> {
    /// The marks of the block that begins at `base`; `false`: the line is not known to be good.
    #[inline(always)]
    fn step(&mut self, base: usize, marks: &Marks) -> bool {
        let is_scalar = |at| scalars::is_scalar(self.frame, base + at);
        if !places(marks.scalars).all(is_scalar) {
            return false;
        }
        let mut left = marks.brackets;
        let mut behind = u64::MAX;
        loop {
            let bracket = left & left.wrapping_neg();
            let before = bracket.wrapping_sub(1);
            if self.depth == 1 && !self.add_joints(base, marks.commas & behind & before) {
                return false;
            }
            if bracket == 0 {
                return true;
            }
            behind = !before;
            left ^= bracket;
            let at = base + bracket.trailing_zeros() as usize;
            let is_brace = self.frame[at] & BRACE_BIT != 0;
            let misfits = match self.objects & 1 {
                0 => marks.in_object & bracket != 0,
                _ => marks.in_list & bracket != 0,
            };
            let good = if marks.open & bracket != 0 {
                self.open(at, is_brace, misfits)
            } else {
                self.close(at, is_brace, misfits)
            };
            if !good {
                return false;
            }
        }
    }

    /// An opening bracket, which the bracket around it may or may not have there.
    #[inline(always)]
    fn open(&mut self, at: usize, is_brace: bool, misfits: bool) -> bool {
        let depth = self.depth;
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(is_brace);
        match depth {
            0 => is_brace && scalars::skip_spaces(self.frame, 0) == at && self.add_joint(at),
            _ => !misfits && depth < NESTING_MAX,
        }
    }

    #[inline(always)]
    fn close(&mut self, at: usize, is_brace: bool, misfits: bool) -> bool {
        let matches = self.depth > 0 && (self.objects & 1 == 1) == is_brace;
        if !matches || misfits && !is_empty_object(self.frame, at) {
            return false;
        }
        self.depth -= 1;
        self.objects >>= 1;
        if self.depth > 0 {
            return true;
        }
        self.has_ended = scalars::skip_spaces(self.frame, at + 1) == self.frame.len();
        self.has_ended && self.add_joint(at)
    }

    #[inline(always)]
    fn add_joints(&mut self, base: usize, mask: u64) -> bool {
        places(mask).all(|at| self.add_joint(base + at))
    }

    #[inline(always)]
    fn add_joint(&mut self, at: usize) -> bool {
        let Some(joint) = self.joints.get_mut(self.joint_count) else {
            return false;
        };
        *joint = at as u32;
        self.joint_count += 1;
        true
    }
}

/// Where the ones of a mask are, in order.
#[inline(always)]
fn places(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        let place = mask.trailing_zeros() as usize;
        let is_there = mask != 0;
        mask &= mask.wrapping_sub(1);
        is_there.then_some(place)
    })
}

/// Whether nothing but space stands before the closing brace at `at` and behind an opening one.
#[inline]
fn is_empty_object(frame: &[u8], at: usize) -> bool {
    let inner_end = scalars::skip_spaces_back(frame, at);
    frame[at] == b'}' && inner_end > 0 && frame[inner_end - 1] == b'{'
}
