//! How many messages took how long, over the last ten minutes: a column a step, a row a tenth of a decade.

use std::fmt::Write as _;

use maud::{Markup, html};

use super::curve::label;
use super::frame::{Frame, HEIGHT, WIDTH};
use crate::latency::{RecentStep, Stage};
use crate::limits::RECENT_STEPS;

/// Shades that the stylesheet has, from few messages to many.
const SHADES: usize = 7;

/// Rows of a decade.
const ROWS: i32 = crate::latency::ROWS_PER_DECADE;

/// The rows of a step, and how many messages are in each.
type Column = Vec<(i32, u64)>;

/// Draws the steps of a stage, the newest at the right; `None`: there is nothing.
pub(in crate::admin::page) fn heat_map<'a>(
    words: &str,
    steps: impl Iterator<Item = &'a RecentStep>,
    stage: Stage,
) -> Option<Markup> {
    let columns: Vec<Column> = steps.map(|it| it.rows(stage).to_vec()).collect();
    let columns = &columns[columns.len().saturating_sub(RECENT_STEPS)..];
    let rows = || columns.iter().flatten().map(|(row, _)| *row);
    let low = rows().min()?.div_euclid(ROWS);
    let high = rows().max()?.div_euclid(ROWS) + 1;
    let frame = Frame {
        words,
        y_labels: (low..=high).map(|it| label(f64::from(it))).collect(),
        x_labels: ["−10 min", "−5 min", "now"].map(str::to_owned).to_vec(),
        x_title: "time; the darker, the more messages",
    };
    let picture = html! {
        @for (shade, path) in (0..).zip(paths(columns, low, high)) {
            @if !path.is_empty() { path .heat .(format!("h{shade}")) d=(path) {} }
        }
    };
    Some(frame.around(&picture))
}

/// A path a shade.
fn paths(columns: &[Column], low: i32, high: i32) -> [String; SHADES] {
    let most = columns.iter().flatten().map(|(_, count)| *count).max();
    let range = (most.unwrap_or(1) as f64).ln().max(f64::MIN_POSITIVE);
    let width = WIDTH / RECENT_STEPS as f64;
    let height = HEIGHT / f64::from((high - low) * ROWS);
    let first = RECENT_STEPS - columns.len();
    let mut paths: [String; SHADES] = Default::default();
    for (place, column) in (first..).zip(columns) {
        for (row, count) in column {
            let part = (*count as f64).ln() / range;
            let shade = ((part * SHADES as f64) as usize).min(SHADES - 1);
            let x = place as f64 * width;
            let y = HEIGHT - f64::from(row + 1 - low * ROWS) * height;
            write!(
                paths[shade],
                "M{x:.0} {y:.1}h{width:.0}v{height:.1}h-{width:.0}z"
            )
            .expect("a string takes everything");
        }
    }
    paths
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_are_dark_and_few_are_light() {
        let columns = vec![vec![(20, 1), (21, 1_000)], vec![], vec![(29, 30)]];
        let paths = paths(&columns, 2, 3);
        assert_eq!(paths[0], "M570 216.0h10v24.0h-10z");
        assert_eq!(paths[SHADES - 1], "M570 192.0h10v24.0h-10z");
        assert_eq!(paths[3], "M590 0.0h10v24.0h-10z");
        assert!(paths[1].is_empty());
    }

    #[test]
    fn one_message_is_no_division_by_nothing() {
        let paths = paths(&[vec![(-9, 1)]], -1, 0);
        assert_eq!(paths[0], "M590 192.0h10v24.0h-10z");
    }
}
