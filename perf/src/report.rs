//! The paper: a Markdown report, the raw data and the pictures, into a folder; chapters also to the
//! screen.
//!
//! The benchmarks give sections and raw rounds; the header is the machine's, commit's and
//! command's. Whoever has only the report knows what was measured and how to do it again.

pub(crate) mod aim;
mod csv;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::{Context, PerfError};
use crate::machine::Fact;
use crate::picture::Picture;
pub(crate) use aim::Aim;

/// A table: its columns, and rows as long.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    /// What stands over the columns.
    pub(crate) columns: Vec<String>,
    /// What stands below, row by row.
    pub(crate) rows: Vec<Vec<String>>,
}

/// What one benchmark has to say.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Section {
    pub(crate) title: String,
    /// The result in a sentence, for who reads no further.
    pub(crate) summary: String,
    /// What is measured, how, and what it is to be compared with.
    pub(crate) text: String,
    pub(crate) table: Table,
    /// The design's aims, beside what was found.
    pub(crate) aims: Vec<Aim>,
    pub(crate) pictures: Vec<Picture>,
    /// What follows from them: the verdict, or what to keep in mind.
    pub(crate) notes: Vec<String>,
    /// Every round, for other programs.
    pub(crate) raw: Value,
    /// False when frames were lost or the target was missed.
    pub(crate) is_good: bool,
}

/// A section, with how it came about.
#[derive(Debug, Clone)]
pub(crate) struct Chapter {
    pub(crate) name: String,
    /// What to type to see it again.
    pub(crate) command: String,
    pub(crate) section: Section,
}

impl Table {
    /// With these columns and no rows.
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|&it| it.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    pub(crate) fn push<const N: usize>(&mut self, row: [String; N]) {
        assert_eq!(N, self.columns.len(), "a row has a cell for every column");
        self.rows.push(row.to_vec());
    }

    /// As Markdown, aligned for eyes that see only the text.
    pub(crate) fn render(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().map(|row| row[column].chars().count());
            let title = self.columns[column].chars().count();
            cells.max().unwrap_or(0).max(title)
        };
        let widths: Vec<usize> = (0..self.columns.len()).map(width).collect();
        let line = |cells: &[String]| {
            let cells = cells.iter().zip(&widths);
            let cells: Vec<String> = cells
                .map(|(cell, &width)| format!("{cell:width$}"))
                .collect();
            format!("| {} |\n", cells.join(" | "))
        };
        let rules: Vec<String> = widths.iter().map(|&width| "-".repeat(width)).collect();
        let mut text = line(&self.columns) + &line(&rules);
        text.extend(self.rows.iter().map(|row| line(row)));
        text
    }
}

impl Section {
    /// Of a benchmark that could not be taken: what stopped it.
    pub(crate) fn not_measured(name: &str, error: &PerfError) -> Self {
        Self {
            title: format!("Not measured: {name}"),
            summary: format!("{name} could not be measured."),
            notes: vec![error.to_string()],
            raw: Value::Array(Vec::new()),
            ..Self::default()
        }
    }
}

impl Chapter {
    pub(crate) fn render(&self) -> String {
        let it = &self.section;
        let mut text = format!("## {}\n\n{}\n", it.title, it.summary);
        if !it.table.rows.is_empty() {
            let _ = write!(text, "\n{}\n\n{}", it.text, it.table.render());
        }
        if !it.aims.is_empty() {
            let _ = write!(text, "\n{}", aim::table(&it.aims).render());
        }
        for note in &it.notes {
            let _ = write!(text, "\n{note}\n");
        }
        for picture in &it.pictures {
            let (title, file) = (&picture.title, self.file_of(picture));
            let _ = write!(text, "\n![{title}]({file})\n");
        }
        let (name, command) = (&self.name, &self.command);
        let _ = write!(
            text,
            "\nAgain: `{command}`. Every round: [{name}.csv]({name}.csv), [raw.json](raw.json).\n"
        );
        text
    }

    fn file_of(&self, picture: &Picture) -> String {
        format!("{}-{}.svg", self.name, picture.name)
    }
}

/// The whole report as Markdown.
pub(crate) fn render(title: &str, facts: &[Fact], chapters: &[Chapter]) -> String {
    let summaries = chapters.iter().map(|it| it.section.summary.as_str());
    let summaries: Vec<&str> = summaries.collect();
    let mut header = Table::new(&["what", "value"]);
    for (name, value) in facts {
        header.push([name.clone(), value.replace('|', "\\|")]);
    }
    let mut text = format!(
        "# {title}\n\n{INTRODUCTION} {}\n\n{}",
        summaries.join(" "),
        header.render()
    );
    for chapter in chapters {
        let _ = write!(text, "\n{}", chapter.render());
    }
    text
}

const INTRODUCTION: &str = "Measured over real sockets between separate processes: sources send \
frames, the engine orders them and hands them to subscribers, who verify every one. All parties \
share the machine named here.";

/// Writes `report.md`, `raw.json`, and for each chapter its rounds and its pictures; returns where
/// the report is.
///
/// # Errors
/// The folder cannot be written to.
pub(crate) fn write(
    folder: &Path,
    title: &str,
    facts: &[Fact],
    chapters: &[Chapter],
) -> Result<PathBuf, PerfError> {
    fs::create_dir_all(folder).context(format!("making {}", folder.display()))?;
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).context(format!("writing {}", path.display()))?;
        Ok(path)
    };
    for chapter in chapters {
        let name = format!("{}.csv", chapter.name);
        put(&name, &csv::render(facts, &chapter.section.raw))?;
        for picture in &chapter.section.pictures {
            put(&chapter.file_of(picture), &picture.svg)?;
        }
    }
    put("raw.json", &raw(title, facts, chapters)?)?;
    put("report.md", &render(title, facts, chapters))
}

fn raw(title: &str, facts: &[Fact], chapters: &[Chapter]) -> Result<String, PerfError> {
    let facts = facts.iter().map(|(name, it)| (name.clone(), json!(it)));
    let chapters = chapters.iter().map(
        |Chapter {
             name,
             command,
             section,
         }| {
            json!({
                "name": name,
                "command": command,
                "title": section.title,
                "good": section.is_good,
                "aims": section.aims,
                "data": section.raw,
            })
        },
    );
    let value = json!({
        "title": title,
        "facts": facts.collect::<serde_json::Map<_, _>>(),
        "sections": chapters.collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&value).context("rendering the raw data")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chapter() -> Chapter {
        let mut table = Table::new(&["subject", "msg/s"]);
        table.push(["engine".into(), "1.25 M".into()]);
        table.push(["relay".into(), "3.30 M".into()]);
        Chapter {
            name: "throughput".into(),
            command: "perf throughput".into(),
            section: Section {
                title: "Throughput".into(),
                summary: "1.25 M msg/s.".into(),
                text: "Flat out.".into(),
                table,
                aims: vec![Aim::new("ratio", "0.4 at least", "0.38", false)],
                pictures: vec![Picture {
                    name: "rate".into(),
                    title: "Messages a second".into(),
                    svg: "<svg></svg>".into(),
                }],
                notes: vec!["Ratio 0.38.".into()],
                raw: json!([{ "rate": 1.0 }]),
                is_good: true,
            },
        }
    }

    #[test]
    fn a_report_has_its_header_its_tables_its_pictures_and_how_to_repeat_it() {
        let facts = [("kernel".to_owned(), "Linux 6 | odd".to_owned())];
        let text = render("Results", &facts, &[chapter()]);
        let want = "# Results\n\n".to_owned()
            + INTRODUCTION
            + " 1.25 M msg/s.\n\n\
            | what   | value          |\n\
            | ------ | -------------- |\n\
            | kernel | Linux 6 \\| odd |\n\n\
            ## Throughput\n\n1.25 M msg/s.\n\nFlat out.\n\n\
            | subject | msg/s  |\n\
            | ------- | ------ |\n\
            | engine  | 1.25 M |\n\
            | relay   | 3.30 M |\n\n\
            | aim   | wanted       | found | verdict     |\n\
            | ----- | ------------ | ----- | ----------- |\n\
            | ratio | 0.4 at least | 0.38  | **not met** |\n\n\
            Ratio 0.38.\n\n\
            ![Messages a second](throughput-rate.svg)\n\n\
            Again: `perf throughput`. Every round: [throughput.csv](throughput.csv), \
            [raw.json](raw.json).\n";
        assert_eq!(text, want);
    }

    #[test]
    fn all_files_are_written_and_the_raw_data_is_json() {
        let folder = tempfile::tempdir().expect("a directory");
        let out = folder.path().join("new/folder");
        let path = write(&out, "Results", &[], &[chapter()]).expect("it is written");
        let report = fs::read_to_string(path).expect("a report");
        assert!(report.contains("1.25 M"));
        let raw = fs::read(out.join("raw.json")).expect("raw data");
        let raw: Value = serde_json::from_slice(&raw).expect("JSON");
        assert_eq!(raw["sections"][0]["data"][0]["rate"], 1.0);
        assert_eq!(raw["sections"][0]["aims"][0]["is_met"], false);
        assert!(out.join("throughput.csv").is_file() && out.join("throughput-rate.svg").is_file());
    }
}
