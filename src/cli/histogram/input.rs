//! Files to curves: percentiles as they are, the intervals of all logs added up by tag.
//!
//! Which of both a file is, its text tells; endings mean nothing here.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use super::period::Period;
use super::unit::Unit;
use super::{Named, name, tags};
use crate::cli::Failure;
use crate::escape::Escaped;
use crate::latency::curve::Curve;
use crate::latency::log_reader::HistogramLog;
use crate::limits::LATENCY_LOG_LEN_CEILING;

/// What of the files is asked for.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Among those of the logs; none: the topmost ones.
    pub(super) tags: Vec<String>,
    pub(super) period: Period,
    /// Of the values in the files; `None`: as the engine writes them.
    pub(super) unit: Option<Unit>,
}

impl Wanted {
    /// Microseconds of a value in a log.
    pub(super) fn unit_us(&self) -> f64 {
        self.unit.unwrap_or(Unit::Ns).us()
    }
}

/// What the files hold, as far as it was asked for.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) curves: Vec<Named>,
    /// Tags that are parts of others and were not asked for.
    pub(super) hidden: usize,
    /// Logs whose last line was cut off.
    pub(super) torn: Vec<PathBuf>,
}

pub(super) enum Kind {
    Percentiles(Curve),
    Log(HistogramLog),
}

impl Input {
    /// Reads all files; a folder stands for the logs in it.
    pub(super) fn read(files: &[PathBuf], wanted: &Wanted) -> Result<Self, Failure> {
        let files = &expanded(files)?;
        let mut input = Self::default();
        let mut logs: Option<HistogramLog> = None;
        for file in files {
            let kind = parse_in(&text(file)?, wanted.period);
            match kind.map_err(|it| failed(file, &it))? {
                Kind::Percentiles(_) if wanted.period.is_bounded() => {
                    return Err(without_times(file));
                }
                Kind::Percentiles(curve) => {
                    let curve = curve.scaled(wanted.unit.unwrap_or(Unit::Us).us());
                    input.curves.push((name(file, files), curve));
                }
                Kind::Log(log) => {
                    if log.is_torn() {
                        input.torn.push(file.clone());
                    }
                    logs.get_or_insert_default()
                        .merge(log)
                        .map_err(|why| failed(file, &why))?;
                }
            }
        }
        if let Some(logs) = logs {
            input.choose(&logs, wanted)?;
        }
        input
            .curves
            .sort_by_cached_key(|(name, _)| tags::order(name));
        Ok(input)
    }

    fn choose(&mut self, logs: &HistogramLog, wanted: &Wanted) -> Result<(), Failure> {
        if let (0, Some(extent), true) = (
            logs.intervals(),
            logs.extent_us(),
            wanted.period.is_bounded(),
        ) {
            return Err(Period::missed(extent));
        }
        let all: Vec<&str> = logs.tags().map(|(tag, _)| tag).collect();
        let chosen = match wanted.tags.is_empty() {
            true => tags::topmost(&all),
            false => tags::chosen(&all, &wanted.tags)?,
        };
        for (tag, histogram) in logs.tags().filter(|(tag, _)| chosen.contains(tag)) {
            let taken = self.curves.iter().any(|(name, _)| name == tag);
            let name = match taken {
                true => format!("{} (logs)", Escaped(tag)),
                false => Escaped(tag).to_string(),
            };
            self.curves
                .push((name, Curve::of(histogram, wanted.unit_us())));
        }
        if wanted.tags.is_empty() {
            self.hidden = all.len() - chosen.len();
        }
        Ok(())
    }

    /// What the user should know beside the table.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<_> = self.torn.iter().map(|it| torn(it)).collect();
        if self.hidden > 0 {
            remarks.push(format!(
                "{} more tags are parts of these; --tag '*' shows all, --tag 'total*' some",
                self.hidden
            ));
        }
        remarks
    }
}

pub(super) fn torn(file: &Path) -> String {
    let file = file.display();
    format!("{file}: its last line was cut off and is left out")
}

pub(super) fn failed(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::because(format_args!("{}: {why}", path.display()))
}

/// Percentiles cannot be shown over time, nor a part of the time.
pub(super) fn without_times(path: &Path) -> Failure {
    let path = Escaped(path.display());
    Failure::Usage(format!(
        "{path} has percentiles, which have no times: --over-time, --since and --until want interval \
         logs (.hlog)"
    ))
}

/// The files themselves, and the logs of folders in the order of their names.
pub(super) fn expanded(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Failure> {
    let mut files = Vec::new();
    for path in paths {
        if !path.is_dir() {
            files.push(path.clone());
            continue;
        }
        let logs = logs_in(path).map_err(|it| failed(path, &it))?;
        if logs.is_empty() {
            let why = "there is no interval log (.hlog) in this folder; the engine writes them to \
                       data_dir/histograms/";
            return Err(failed(path, &why));
        }
        files.extend(logs);
    }
    Ok(files)
}

fn logs_in(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut logs = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let path = entry?.path();
        if path.extension().is_some_and(|it| it == "hlog") {
            logs.push(path);
        }
    }
    logs.sort_unstable();
    Ok(logs)
}

pub(super) fn text(path: &Path) -> Result<String, Failure> {
    let file = File::open(path).map_err(|it| not_opened(path, &it))?;
    let mut bytes = Vec::new();
    let len = file
        .take(LATENCY_LOG_LEN_CEILING + 1)
        .read_to_end(&mut bytes)
        .map_err(|it| failed(path, &it))?;
    if len as u64 > LATENCY_LOG_LEN_CEILING {
        return Err(failed(path, &"this is too long for a latency file"));
    }
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// After a crash there are no percentiles, and the logs have all the same: say how they are read.
fn not_opened(path: &Path, error: &io::Error) -> Failure {
    let is_missing = error.kind() == io::ErrorKind::NotFound;
    let is_hgrm = path.extension().is_some_and(|it| it == "hgrm");
    if !is_missing || !is_hgrm {
        return failed(path, error);
    }
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    let tag = path.file_stem().unwrap_or_default().to_string_lossy();
    let advice = match logs_in(folder).is_ok_and(|it| !it.is_empty()) {
        true => format!(
            "the interval logs beside it have the same, also after a crash: flipped-lb histogram {} \
             --tag '{tag}'",
            folder.display()
        ),
        false => "while the engine runs, take it from /histograms on the admin address".to_owned(),
    };
    let why =
        format!("{error}; the engine writes .hgrm files when it stops in good order; {advice}");
    failed(path, &why)
}

#[cfg(any(test, fuzzing))]
pub(super) fn parse(text: &str) -> Result<Kind, String> {
    parse_in(text, Period::default())
}

fn parse_in(text: &str, period: Period) -> Result<Kind, String> {
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or_default();
    if text.lines().any(Curve::is_heading) {
        let curve = Curve::parse(text).map_err(|it| it.to_string())?;
        return Ok(Kind::Percentiles(curve));
    }
    let log = HistogramLog::parse_some(text, |it| period.includes(it));
    let log = log.map_err(|it| it.to_string());
    match log {
        Ok(log) if log.extent_us().is_some() || first.starts_with("#[") => Ok(Kind::Log(log)),
        Err(why) if first.starts_with('#') || first.starts_with("Tag=") => Err(why),
        _ => Err(
            "this is no HdrHistogram file, neither an interval log nor percentiles; take a .hlog or \
             a .hgrm file from data_dir/histograms/"
                .to_owned(),
        ),
    }
}
