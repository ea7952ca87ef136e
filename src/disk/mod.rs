//! The disk under the data directory: what each part takes, how fast it grows, how long there is room.
//!
//! `doctor` takes two samples; in an engine the monitor has a [`Forecast`] that takes one now and then,
//! for `/stats`. It reads sizes of files and nothing else, and never on the path.

mod forecast;
mod pace;
mod sizes;

#[cfg(test)]
pub(crate) use forecast::Pace;
pub(crate) use forecast::{Forecast, Outlook};
pub(crate) use pace::{Limits, Paces};
pub(crate) use sizes::Sizes;
#[cfg(test)]
pub(crate) use sizes::testing;
