//! Pictures of latencies, as SVG: curves by percentile, figures over time, a heat map; and any of them
//! as PNG.
//!
//! The `histogram` command feeds it and writes what comes out to a file; the admin's HTTP sends it.
//! Pure: curves and steps in, text or bytes out. It needs no fonts of the system: an SVG names a
//! family, and a PNG is written with letters of this folder.

mod axes;
mod figures;
mod heat_map;
mod over_time;
mod percentiles;
mod png;
mod style;

use std::error::Error;

pub(crate) use axes::{decade_label, decades, log_us, percent_label};
pub(crate) use heat_map::plot_heat_map;
pub(crate) use over_time::{Drawn as DrawnSteps, plot_over_time};
pub(crate) use percentiles::{Drawn, plot, plot_drawn};
pub(crate) use png::png;
pub(crate) use style::Look;

/// A latency that so many per cent of the messages should not exceed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Limit {
    /// As the user wrote it.
    pub(crate) text: String,
    /// 100: all of them.
    pub(crate) percent: f64,
    pub(crate) us: f64,
}

/// The picture could not be made.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PlotError {
    /// Only empty histograms.
    #[error("there is nothing to draw: all these histograms are empty")]
    Empty,
    /// The drawing library refused.
    #[error("the picture cannot be drawn: {0}")]
    Draw(String),
}

impl PlotError {
    fn draw(error: Box<dyn Error>) -> Self {
        Self::Draw(error.to_string())
    }
}
