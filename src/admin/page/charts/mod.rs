//! Small pictures within the page, as SVG without letters or colours: the stylesheet gives these, so that
//! they follow light and dark, and labels stay as large as the reader's letters.

mod curve;
mod frame;
mod heat_map;
mod spark;

pub(super) use curve::{Line, curves};
pub(super) use heat_map::heat_map;
pub(super) use spark::{Scale, spark};
