//! `--over-time`: interval logs as the figures of each step.
//!
//! Two passes over the files: the first looks which tags and times there are, without unpacking a
//! histogram; the second adds up the tags that are shown, in steps that fit what shows them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::input::{self, Wanted};
use super::period::Period;
use super::tags;
use crate::cli::Failure;
use crate::escape::Escaped;
use crate::latency::curve::Curve;
use crate::latency::log_reader::each_entry;
use crate::latency::timeline::{Step, Timeline, step_for};

/// Lines of a tag in the table: two screens.
const TABLE_STEPS_MAX: u64 = 60;
/// Steps in a picture: three pixels each.
pub(super) const PICTURE_STEPS_MAX: u64 = 300;

/// Tags that are shown where the user names none, as far as they are there.
const DEFAULT_TAGS: [&str; 2] = ["total", "waiting"];

/// The steps of a tag.
#[derive(Debug)]
pub(super) struct Series {
    pub(super) name: String,
    pub(super) steps: Vec<Step>,
    /// Of all steps together.
    pub(super) curve: Curve,
    /// Microseconds of a value's unit.
    pub(super) unit_us: f64,
}

impl Series {
    /// `None`: there is nothing of this step.
    pub(super) fn curve_of(&self, step: &Step) -> Option<Curve> {
        let histogram = step.histogram.as_ref()?;
        Some(Curve::of(histogram, self.unit_us))
    }
}

/// All that the logs have over time, for a table and, in shorter steps, for a picture.
#[derive(Debug)]
pub(super) struct OverTime {
    pub(super) table: Vec<Series>,
    pub(super) picture: Vec<Series>,
    /// What the user should know beside the table.
    pub(super) remarks: Vec<String>,
}

/// What the first pass finds of a tag.
#[derive(Debug, Clone, Copy)]
struct Extent {
    lines: u64,
    start_us: u64,
    end_us: u64,
    interval_us: u64,
}

pub(super) fn read(
    files: &[PathBuf],
    wanted: &Wanted,
    step_us: Option<u64>,
) -> Result<OverTime, Failure> {
    let files = input::expanded(files)?;
    let mut remarks = Vec::new();
    let found = find(&files, wanted.period, &mut remarks)?;
    let names: Vec<&str> = found.keys().map(String::as_str).collect();
    let chosen: Vec<&str> = match wanted.tags.is_empty() {
        true => default_tags(&names),
        false => tags::chosen(&names, &wanted.tags)?,
    };
    let shown = || chosen.iter().filter_map(|it| found.get(*it));
    let start_us = shown().map(|it| it.start_us).min().unwrap_or(0);
    let extent_us = shown().map(|it| it.end_us).max().unwrap_or(0) - start_us;
    let interval_us = shown().map(|it| it.interval_us).max().unwrap_or(0);
    let lines = shown().map(|it| it.lines).max().unwrap_or(0);
    let step = |max: u64| match step_us {
        Some(step_us) => Some(step_us),
        None if lines <= max => None,
        None => Some(step_for(extent_us, interval_us, max)),
    };
    let mut timeline = Timeline::new(step(PICTURE_STEPS_MAX));
    for file in &files {
        let added = each_entry(&input::text(file)?, |entry| {
            match wanted.period.includes(entry) && chosen.contains(&entry.tag) {
                true => timeline.add(entry),
                false => Ok(()),
            }
        });
        added.map_err(|it| input::failed(file, &it))?;
    }
    let unit_us = wanted.unit_us();
    let table = match step(TABLE_STEPS_MAX).filter(|_| step_us.is_none()) {
        Some(step_us) => series(
            &timeline.in_steps_of(step_us).map_err(Failure::because)?,
            unit_us,
        )?,
        None => series(&timeline, unit_us)?,
    };
    if wanted.tags.is_empty() && found.len() > chosen.len() {
        let more = found.len() - chosen.len();
        remarks.push(format!(
            "{more} more tags; --tag '*' shows all, --tag 'total-*' some"
        ));
    }
    Ok(OverTime {
        table,
        picture: series(&timeline, unit_us)?,
        remarks,
    })
}

fn default_tags<'a>(all: &[&'a str]) -> Vec<&'a str> {
    let usual = all.iter().copied().filter(|it| DEFAULT_TAGS.contains(it));
    let usual: Vec<_> = usual.collect();
    match usual.is_empty() {
        true => tags::topmost(all),
        false => usual,
    }
}

/// The first pass: which tags there are in that time.
fn find(
    files: &[PathBuf],
    period: Period,
    remarks: &mut Vec<String>,
) -> Result<BTreeMap<String, Extent>, Failure> {
    let mut found = BTreeMap::new();
    let mut all: Option<(u64, u64)> = None;
    for file in files {
        let text = input::text(file)?;
        refuse_percentiles(file, &text)?;
        let torn = each_entry(&text, |entry| {
            let (start_us, end_us) = (entry.start_us, entry.end_us());
            let (start, end) = all.unwrap_or((start_us, end_us));
            all = Some((start.min(start_us), end.max(end_us)));
            if period.includes(entry) {
                let none = Extent {
                    lines: 0,
                    start_us,
                    end_us,
                    interval_us: 0,
                };
                if !found.contains_key(entry.tag) {
                    found.insert(entry.tag.to_owned(), none);
                }
                let tag = found.entry(entry.tag.to_owned()).or_insert(none);
                tag.lines += 1;
                tag.start_us = tag.start_us.min(start_us);
                tag.end_us = tag.end_us.max(end_us);
                tag.interval_us = tag.interval_us.max(entry.length_us);
            }
            Ok(())
        });
        if torn.map_err(|it| input::failed(file, &it))? {
            remarks.push(input::torn(file));
        }
    }
    match (found.is_empty(), all) {
        (false, _) => Ok(found),
        (true, Some(extent)) => Err(Period::missed(extent)),
        (true, None) => Err(Failure::Failed("the logs have no intervals yet".to_owned())),
    }
}

fn refuse_percentiles(file: &Path, text: &str) -> Result<(), Failure> {
    match text.lines().any(Curve::is_heading) {
        false => Ok(()),
        true => Err(input::without_times(file)),
    }
}

fn series(timeline: &Timeline, unit_us: f64) -> Result<Vec<Series>, Failure> {
    let mut all = Vec::new();
    for (tag, steps) in timeline.tags() {
        let mut sum: Option<hdrhistogram::Histogram<u64>> = None;
        for histogram in steps.iter().filter_map(|it| it.histogram.as_ref()) {
            match &mut sum {
                Some(sum) => sum.add(histogram).map_err(Failure::because)?,
                None => sum = Some(histogram.clone()),
            }
        }
        all.extend(sum.map(|sum| Series {
            name: Escaped(tag).to_string(),
            steps,
            curve: Curve::of(&sum, unit_us),
            unit_us,
        }));
    }
    all.sort_by_cached_key(|it| tags::order(&it.name));
    Ok(all)
}
