//! Files to curves: percentiles as they are, the intervals of all logs added up by tag.
//!
//! Which of both a file is, its text tells; endings mean nothing here.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::{Named, Unit, name};
use crate::cli::Failure;
use crate::escape::Escaped;
use crate::latency::curve::Curve;
use crate::latency::log_reader::HistogramLog;
use crate::limits::LATENCY_LOG_LEN_CEILING;

/// Tags that an error names.
const TAGS_TOLD_MAX: usize = 12;

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
    /// Reads all files; `tags` chooses among those of the logs.
    pub(super) fn read(
        files: &[PathBuf],
        tags: &[String],
        unit: Option<Unit>,
    ) -> Result<Self, Failure> {
        let mut input = Self::default();
        let mut logs: Option<HistogramLog> = None;
        for file in files {
            match read(file)? {
                Kind::Percentiles(curve) => {
                    let curve = curve.scaled(unit.unwrap_or(Unit::Us).us());
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
            input.choose(&logs, tags, unit.unwrap_or(Unit::Ns).us())?;
        }
        Ok(input)
    }

    fn choose(&mut self, logs: &HistogramLog, tags: &[String], us: f64) -> Result<(), Failure> {
        let all: Vec<&str> = logs.tags().map(|(tag, _)| tag).collect();
        let chosen = |tag: &str| match tags {
            [] => !all.iter().any(|it| is_part_of(tag, it)),
            tags => tags.iter().any(|it| fits(it, tag)),
        };
        if let Some(none) = tags.iter().find(|it| !all.iter().any(|tag| fits(it, tag))) {
            let told: Vec<_> = all.iter().take(TAGS_TOLD_MAX).copied().collect();
            let more = match all.len().saturating_sub(TAGS_TOLD_MAX) {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            let words = format!("--tag {none}: there are {}{more}", told.join(", "));
            return Err(Failure::Usage(Escaped(words).to_string()));
        }
        for (tag, histogram) in logs.tags().filter(|(tag, _)| chosen(tag)) {
            let taken = self.curves.iter().any(|(name, _)| name == tag);
            let name = match taken {
                true => format!("{} (logs)", Escaped(tag)),
                false => Escaped(tag).to_string(),
            };
            self.curves.push((name, Curve::of(histogram, us)));
        }
        if tags.is_empty() {
            self.hidden = all.iter().filter(|tag| !chosen(tag)).count();
        }
        Ok(())
    }

    /// What the user should know beside the table.
    pub(super) fn remarks(&self) -> Vec<String> {
        let mut remarks: Vec<_> = self
            .torn
            .iter()
            .map(|file| {
                let file = file.display();
                format!("{file}: its last line was cut off and is left out")
            })
            .collect();
        if self.hidden > 0 {
            remarks.push(format!(
                "{} more tags are parts of these; --tag '*' shows all, --tag 'total*' some",
                self.hidden
            ));
        }
        remarks
    }
}

fn failed(path: &Path, why: &dyn std::fmt::Display) -> Failure {
    Failure::because(format_args!("{}: {why}", path.display()))
}

fn read(path: &Path) -> Result<Kind, Failure> {
    let file = File::open(path).map_err(|it| failed(path, &it))?;
    let mut bytes = Vec::new();
    let len = file
        .take(LATENCY_LOG_LEN_CEILING + 1)
        .read_to_end(&mut bytes)
        .map_err(|it| failed(path, &it))?;
    if len as u64 > LATENCY_LOG_LEN_CEILING {
        return Err(failed(path, &"this is too long for a latency file"));
    }
    parse(&String::from_utf8_lossy(&bytes)).map_err(|it| failed(path, &it))
}

pub(super) fn parse(text: &str) -> Result<Kind, String> {
    let text = text.trim_start_matches('\u{feff}');
    let first = text.lines().next().unwrap_or_default();
    if text.lines().any(Curve::is_heading) {
        let curve = Curve::parse(text).map_err(|it| it.to_string())?;
        return Ok(Kind::Percentiles(curve));
    }
    let log = HistogramLog::parse(text).map_err(|it| it.to_string());
    match log {
        Ok(log) if log.intervals() > 0 || first.starts_with("#[") => Ok(Kind::Log(log)),
        Err(why) if first.starts_with('#') || first.starts_with("Tag=") => Err(why),
        _ => Err(
            "this is no HdrHistogram file, neither an interval log nor percentiles; take a .hlog or \
             a .hgrm file from data_dir/histograms/"
                .to_owned(),
        ),
    }
}

/// Whether a tag is a part of another: `total-level1` of `total`.
fn is_part_of(tag: &str, whole: &str) -> bool {
    let rest = tag.strip_prefix(whole);
    rest.is_some_and(|it| it.starts_with(['-', '.']))
}

/// Whether a text is of a pattern, in which `*` stands for any text.
fn fits(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let Some(mut rest) = pieces.next().and_then(|first| text.strip_prefix(first)) else {
        return false;
    };
    let mut pieces: Vec<_> = pieces.collect();
    let Some(last) = pieces.pop() else {
        return rest.is_empty();
    };
    for piece in pieces {
        match rest.split_once(piece) {
            Some((_, behind)) => rest = behind,
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stand_for_anything() {
        for (pattern, text, fit) in [
            ("total", "total", true),
            ("total", "total-level1", false),
            ("total*", "total", true),
            ("total*", "subtotal", false),
            ("*", "", true),
            ("*level1*", "total-level1-a", true),
            ("*level1*", "total-level2", false),
            ("a*b*c", "a-b-b-c", true),
            ("a*b*c", "a-c-b", false),
            ("a*a", "a", false),
        ] {
            assert_eq!(fits(pattern, text), fit, "{pattern} {text}");
        }
    }

    #[test]
    fn parts_are_told_by_what_divides_names() {
        assert!(is_part_of("total-level1", "total"));
        assert!(is_part_of("total-level1.others", "total-level1"));
        assert!(!is_part_of("totals", "total") && !is_part_of("total", "total"));
    }
}
