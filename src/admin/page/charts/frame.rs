//! A plot with its labels: the picture is stretched to its place, the labels stand beside it and are not.
//!
//! ```text
//! 10 ms |----------|
//!  1 ms |          |    labels are as far from each other as lines: whole decades, whole nines
//! 100us |----------|
//!       0%  90%  99%
//! ```

use maud::{Markup, html};

/// Of the picture's own coordinates.
pub(super) const WIDTH: f64 = 600.0;
pub(super) const HEIGHT: f64 = 240.0;

/// What stands around a picture.
pub(super) struct Frame<'a> {
    /// What it tells, in a sentence, for who does not see it.
    pub(super) words: &'a str,
    /// From the lowest to the highest, at equal distances.
    pub(super) y_labels: Vec<String>,
    /// From the left to the right, at equal distances.
    pub(super) x_labels: Vec<String>,
    /// What the x axis is.
    pub(super) x_title: &'a str,
}

impl Frame<'_> {
    /// Puts a picture into it.
    pub(super) fn around(&self, picture: &Markup) -> Markup {
        let rows = self.y_labels.len().saturating_sub(1).max(1);
        let lines = (0..=rows).map(|it| HEIGHT * it as f64 / rows as f64);
        html! {
            div .plot {
                ol .y aria-hidden="true" {
                    @for label in self.y_labels.iter().rev() { li { (label) } }
                }
                svg viewBox=(format!("0 0 {WIDTH} {HEIGHT}")) preserveAspectRatio="none"
                    role="img" aria-label=(self.words) focusable="false" {
                    @for y in lines {
                        line .grid x1="0" x2=(WIDTH) y1=(format!("{y:.1}")) y2=(format!("{y:.1}")) {}
                    }
                    (picture)
                }
                ol .x aria-hidden="true" {
                    @for label in &self.x_labels { li { (label) } }
                }
                p .title aria-hidden="true" { (self.x_title) }
            }
        }
    }
}
