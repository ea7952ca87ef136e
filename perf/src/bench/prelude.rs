//! The words that all benchmarks are written in: plans and contestants, figures, what a report is made of.

pub(in crate::bench) use anyhow::{Context as _, Result};
pub(in crate::bench) use clap::Args;

pub(in crate::bench) use crate::common::{Bench, FRAME_LEN, Stage, messages_max};
pub(in crate::bench) use crate::engine::{Settings, name_of};
pub(in crate::bench) use crate::figure::*;
pub(in crate::bench) use crate::picture::{Axis, LATENCY, Picture, Series, Sheet};
pub(in crate::bench) use crate::picture::{several_rounds, together};
pub(in crate::bench) use crate::plan::Plan;
pub(in crate::bench) use crate::progress::say;
pub(in crate::bench) use crate::report::{ALONE, Aim, Section, Table, base_of};
pub(in crate::bench) use crate::round::{Outcome, ended, finish};
pub(in crate::bench) use crate::rounds::{Contestant, Played, curves};
pub(in crate::bench) use crate::spread::{Spread, Unit, time};
pub(in crate::bench) use crate::testbed::{Running, Subject, TAKEN, TAKING, Testbed};
