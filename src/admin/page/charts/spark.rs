//! A line of one word's height: the last ten minutes, the newest at the right.

use std::fmt::Write as _;

use maud::{Markup, html};

use crate::limits::RECENT_STEPS;

const HEIGHT: f64 = 20.0;
/// Left free above and below, for the width of the line.
const EDGE: f64 = 1.5;
/// Between two steps.
const STEP: usize = 2;
const WIDTH: usize = (RECENT_STEPS - 1) * STEP;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::admin::page) enum Scale {
    /// From 0.
    Linear,
    /// From the least to the most, a factor of two at least: what hardly differs is in the middle.
    Logarithmic,
}

/// Draws a value a step; `None`: nothing was measured then, and the line is broken.
pub(in crate::admin::page) fn spark(values: &[Option<f64>], scale: Scale) -> Markup {
    let path = path(values, scale);
    html! {
        svg .spark viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none"
            aria-hidden="true" focusable="false" {
            path d=(path) {}
        }
    }
}

fn path(values: &[Option<f64>], scale: Scale) -> String {
    let values = &values[values.len().saturating_sub(RECENT_STEPS)..];
    let known = || values.iter().flatten().copied();
    let most = known().fold(f64::MIN_POSITIVE, f64::max);
    let least = known().fold(most, f64::min).max(f64::MIN_POSITIVE);
    let part = |value: f64| match scale {
        Scale::Linear => value / most,
        Scale::Logarithmic => {
            let range = (most.ln() - least.ln()).max(std::f64::consts::LN_2);
            let middle = f64::midpoint(most.ln(), least.ln());
            0.5 + (value.max(least).ln() - middle) / range
        }
    };
    let first = RECENT_STEPS - values.len();
    let (mut path, mut is_drawing) = (String::new(), false);
    for (place, value) in (first..).zip(values) {
        let Some(value) = value else {
            is_drawing = false;
            continue;
        };
        let (x, y) = (
            place * STEP,
            EDGE + (HEIGHT - 2.0 * EDGE) * (1.0 - part(*value)),
        );
        let word = if is_drawing { 'L' } else { 'M' };
        write!(path, "{word}{x} {y:.1}").expect("a string takes everything");
        if !is_drawing {
            // A point alone is a dot.
            path.push_str("h.1");
        }
        is_drawing = true;
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_is_at_the_right_and_gaps_break_the_line() {
        let values = [Some(5.0), None, Some(0.0), Some(10.0)];
        assert_eq!(
            path(&values, Scale::Linear),
            "M112 10.0h.1M116 18.5h.1L118 1.5"
        );
        assert_eq!(path(&[], Scale::Linear), "");
        assert_eq!(path(&[None; 99], Scale::Logarithmic), "");
        let many: Vec<_> = (0..99).map(|it| Some(f64::from(it))).collect();
        assert!(path(&many, Scale::Linear).starts_with("M0 "));
    }

    #[test]
    fn what_hardly_differs_looks_so() {
        let values = [Some(100.0), Some(101.0)];
        let path = path(&values, Scale::Logarithmic);
        let last: Vec<_> = path.split(['L', ' ']).collect();
        assert_eq!(last.last(), Some(&"9.9"), "{path}");
        assert!(path.starts_with("M116 10.1"), "{path}");
        for values in [[Some(0.0); 2], [Some(f64::MAX); 2]] {
            for scale in [Scale::Linear, Scale::Logarithmic] {
                assert!(!super::path(&values, scale).contains("NaN"));
            }
        }
    }
}
