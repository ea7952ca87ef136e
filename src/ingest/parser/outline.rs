//! The outline of a line: whether it is one JSON object, and where its top-level members meet.
//!
//! The quick way draws it, and reads the members. It looks at brackets, to match them, at the commas
//! of the top level, and at numbers and words, byte by byte; all else the grammar has judged. It
//! never says wrongly that a line is good; of a good one it may say that it does not know: where
//! white space is more than spaces, or members are too many.

use crate::limits::NESTING_MAX;

use super::blocks::{BLOCK_LEN, Block};
use super::grammar::{Grammar, Marks};
use super::scalars;

/// Top-level members that an outline can have.
pub(super) const MEMBERS_MAX: usize = 24;

/// Where a line's top-level members meet; drawn anew for each line.
#[derive(Debug)]
pub(super) struct Outline {
    /// Where the opening brace, the commas of the top level and the closing brace stand.
    joints: [u32; MEMBERS_MAX + 1],
    joint_count: usize,
    /// Strings of the line may contain escapes.
    pub(super) has_backslash: bool,
}

impl Default for Outline {
    fn default() -> Self {
        Self {
            joints: [0; MEMBERS_MAX + 1],
            joint_count: 0,
            has_backslash: false,
        }
    }
}

impl Outline {
    /// Draws the outline of a line in UTF-8; `false`: it is not for sure a JSON object. Escapes are
    /// left to be judged, if there is a backslash.
    #[inline(always)]
    pub(super) fn draw(
        &mut self,
        frame: &[u8],
        block_of: impl Fn(&[u8; BLOCK_LEN]) -> Block,
    ) -> bool {
        self.joint_count = 0;
        let mut grammar = Grammar::default();
        let mut walk = Walk::default();
        let (blocks, rest) = frame.as_chunks::<BLOCK_LEN>();
        for (index, bytes) in blocks.iter().enumerate() {
            let marks = grammar.step(&block_of(bytes));
            if !walk.step(self, frame, index * BLOCK_LEN, &marks) {
                return false;
            }
        }
        if !rest.is_empty() {
            let mut bytes = [b' '; BLOCK_LEN];
            bytes[..rest.len()].copy_from_slice(rest);
            let marks = grammar.step(&block_of(&bytes));
            if !walk.step(self, frame, blocks.len() * BLOCK_LEN, &marks) {
                return false;
            }
        }
        self.has_backslash = grammar.has_backslash;
        grammar.is_kept() && walk.has_ended
    }

    /// Where each member stands: the bytes between two joints.
    pub(super) fn members(&self) -> impl Iterator<Item = (usize, usize)> {
        self.joints[..self.joint_count]
            .windows(2)
            .map(|joints| (joints[0] as usize + 1, joints[1] as usize))
    }

    #[inline]
    fn add_joint(&mut self, at: usize) -> bool {
        let Some(joint) = self.joints.get_mut(self.joint_count) else {
            return false;
        };
        *joint = at as u32;
        self.joint_count += 1;
        true
    }
}

/// The brackets that are open.
#[derive(Debug, Default)]
struct Walk {
    depth: usize,
    /// One bit for each open bracket, the innermost lowest: it is an object's.
    objects: u128,
    has_ended: bool,
}

const _: () = assert!(NESTING_MAX <= u128::BITS as usize);

impl Walk {
    /// The marks of the block that begins at `base`; `false`: the line is not known to be good.
    #[inline(always)]
    fn step(&mut self, outline: &mut Outline, frame: &[u8], base: usize, marks: &Marks) -> bool {
        let mut left = marks.brackets | marks.commas | marks.scalars;
        while left != 0 {
            let at = base + left.trailing_zeros() as usize;
            let mark = left & left.wrapping_neg();
            left ^= mark;
            let good = match frame[at] {
                b',' => self.depth > 1 || outline.add_joint(at),
                b'{' | b'[' => self.open(outline, frame, at, mark, marks),
                b'}' | b']' => self.close(outline, frame, at, mark, marks),
                _ => scalars::is_scalar(frame, at),
            };
            if !good {
                return false;
            }
        }
        true
    }

    #[inline(always)]
    fn open(
        &mut self,
        outline: &mut Outline,
        frame: &[u8],
        at: usize,
        mark: u64,
        marks: &Marks,
    ) -> bool {
        let is_brace = frame[at] == b'{';
        let fits = if self.depth == 0 {
            let is_first = is_brace && scalars::skip_spaces_back(frame, at) == 0;
            is_first && outline.add_joint(at)
        } else {
            mark & self.misfits(marks) == 0 && self.depth < NESTING_MAX
        };
        self.depth += 1;
        self.objects = self.objects << 1 | u128::from(is_brace);
        fits
    }

    #[inline(always)]
    fn close(
        &mut self,
        outline: &mut Outline,
        frame: &[u8],
        at: usize,
        mark: u64,
        marks: &Marks,
    ) -> bool {
        let is_brace = frame[at] == b'}';
        let matches = self.depth > 0 && self.is_in_object() == is_brace;
        if !matches || mark & self.misfits(marks) != 0 && !is_empty_object(frame, at) {
            return false;
        }
        self.depth -= 1;
        self.objects >>= 1;
        if self.depth > 0 {
            return true;
        }
        self.has_ended = scalars::skip_spaces(frame, at + 1) == frame.len();
        self.has_ended && outline.add_joint(at)
    }

    #[inline]
    fn is_in_object(&self) -> bool {
        self.objects & 1 == 1
    }

    /// Brackets that the innermost open bracket cannot have around them.
    #[inline]
    fn misfits(&self, marks: &Marks) -> u64 {
        if self.is_in_object() {
            marks.in_list
        } else {
            marks.in_object
        }
    }
}

/// Whether nothing but space stands before the closing brace at `at` and behind an opening one.
fn is_empty_object(frame: &[u8], at: usize) -> bool {
    let inner_end = scalars::skip_spaces_back(&frame[..at], at);
    frame[at] == b'}' && frame[..inner_end].last() == Some(&b'{')
}
