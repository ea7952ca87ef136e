//! The paper: a Markdown report, the raw data and the pictures, into a folder; chapters also to the
//! screen.
//!
//! The benchmarks give sections; the header is the machine's, the engine's and the command's.
//! Whoever has only the report knows what was measured and how to do it again.

mod aim;
mod csv;
mod hlog;
mod section;
mod table;

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use clap::ValueEnum;
use serde_json::{Value, json};

use crate::machine::Fact;
use crate::picture::Picture;
use crate::spread::Spread;
pub(crate) use aim::{Aim, Verdict};
pub(crate) use csv::lines as csv_lines;
pub(crate) use section::{ALONE, Measure, Section, base_of};
pub(crate) use table::Table;

/// How the result stands on standard output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Markdown, for people.
    Md,
    /// Every figure of every party, round by round.
    Json,
    /// The same, a line a figure.
    Csv,
}

/// A section, with how it came about.
#[derive(Debug, Clone)]
pub(crate) struct Chapter {
    pub(crate) name: &'static str,
    /// What to type to see it again.
    pub(crate) command: String,
    pub(crate) section: Section,
}

/// What all chapters share.
#[derive(Debug, Clone)]
pub(crate) struct Header {
    pub(crate) title: String,
    /// Whether the rounds are too short for figures.
    pub(crate) is_quick: bool,
    pub(crate) facts: Vec<Fact>,
}

const INTRODUCTION: &str = "Measured over real sockets between separate processes: sources send \
frames, the engine orders them and hands them to subscribers, who verify every one. All parties \
share the machine named here. Percentiles are those of all rounds' values together, other figures \
the median of the rounds; in parentheses the least and the most of a round.";

const QUICK: &str = "> **QUICK RUN: its figures mean nothing.** The rounds are too short and too \
few; it shows that everything works.";

impl Chapter {
    pub(crate) fn render(&self) -> String {
        let it = &self.section;
        let mut text = format!("## {}\n\n{}\n", it.title, it.summary);
        let tables = it
            .tables
            .iter()
            .map(Table::render)
            .filter(|it| !it.is_empty());
        let tables: Vec<String> = tables.collect();
        if !tables.is_empty() {
            let _ = write!(text, "\n{}\n\n{}", it.text, tables.join("\n"));
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
            "\nAgain: `{command}`. Every round: [{name}.csv]({name}.csv), [raw.json](raw.json)"
        );
        if !it.latencies.is_empty() {
            let _ = write!(text, "; its latencies: `flipped-lb histogram {name}.hlog`");
        }
        text + ".\n"
    }

    fn file_of(&self, picture: &Picture) -> String {
        format!("{}-{}.svg", self.name, picture.name)
    }

    fn json(&self) -> Value {
        let it = &self.section;
        json!({
            "name": self.name,
            "command": self.command,
            "title": it.title,
            "good": it.is_good,
            "aims": it.aims,
            "measures": it.measures,
        })
    }
}

/// The whole report as Markdown.
pub(crate) fn render(header: &Header, chapters: &[Chapter]) -> String {
    let summaries: Vec<&str> = (chapters.iter())
        .map(|it| it.section.summary.as_str())
        .collect();
    let mut facts = Table::new(["what", "value"]);
    for (name, value) in &header.facts {
        facts.push([name.clone(), value.clone()]);
    }
    let mut text = format!("# {}\n\n", header.title);
    if header.is_quick {
        let _ = write!(text, "{QUICK}\n\n");
    }
    let _ = write!(
        text,
        "{INTRODUCTION} {}\n\n{}",
        summaries.join(" "),
        facts.render()
    );
    for chapter in chapters {
        let _ = write!(text, "\n{}", chapter.render());
    }
    text
}

/// The figures of all chapters, or their text.
pub(crate) fn show(format: Format, header: &Header, chapters: &[Chapter]) -> String {
    match format {
        Format::Md => {
            let chapters: Vec<String> = chapters.iter().map(Chapter::render).collect();
            let banner = if header.is_quick {
                format!("{QUICK}\n\n")
            } else {
                String::new()
            };
            banner + &chapters.join("\n")
        }
        Format::Json => {
            let chapters: Vec<Value> = chapters.iter().map(Chapter::json).collect();
            format!(
                "{:#}\n",
                json!({ "facts": facts(header), "sections": chapters })
            )
        }
        Format::Csv => {
            let columns = "benchmark,case,party,figure,unit,value,min,max,low,high,rounds";
            let columns = columns.split(',').map(str::to_owned).collect();
            let row = |chapter: &Chapter, it: &Measure| {
                let Spread {
                    mid,
                    min,
                    max,
                    low,
                    high,
                } = it.spread();
                let unit = json!(it.unit).as_str().unwrap_or_default().to_owned();
                let words = [chapter.name, &it.case, &it.party, &it.figure, &unit];
                let figures = [mid, min, max, low, high].map(|it| it.to_string());
                let rounds = it.rounds.len().to_string();
                let words = words.into_iter().map(str::to_owned);
                words.chain(figures).chain([rounds]).collect()
            };
            let rows = chapters.iter().flat_map(|chapter| {
                let measures = chapter.section.measures.iter();
                measures.map(move |it| row(chapter, it))
            });
            csv::lines([columns].into_iter().chain(rows))
        }
    }
}

fn facts(header: &Header) -> Value {
    let facts = header
        .facts
        .iter()
        .map(|(name, it)| (name.clone(), json!(it)));
    Value::Object(facts.collect())
}

/// Refuses a folder that has a report already.
pub(crate) fn check_new(folder: &Path) -> Result<()> {
    ensure!(
        !folder.join("report.md").exists(),
        "{} has a report already, and none is overwritten: name another folder with --out",
        folder.display()
    );
    Ok(())
}

/// Writes `report.md`, `raw.json`, and for each chapter its rounds, latencies and pictures; returns
/// where the report is.
pub(crate) fn write(folder: &Path, header: &Header, chapters: &[Chapter]) -> Result<PathBuf> {
    fs::create_dir_all(folder).context(format!("making {}", folder.display()))?;
    let put = |name: &str, text: &str| {
        let path = folder.join(name);
        fs::write(&path, text).context(format!("writing {}", path.display()))?;
        Ok(path)
    };
    for chapter in chapters {
        let (name, section) = (&chapter.name, &chapter.section);
        put(
            &format!("{name}.csv"),
            &csv::render(&header.facts, &section.raw),
        )?;
        if !section.latencies.is_empty() {
            put(&format!("{name}.hlog"), &hlog::render(&section.latencies))?;
        }
        for picture in &section.pictures {
            put(&chapter.file_of(picture), &picture.svg)?;
        }
    }
    put("raw.json", &raw(header, chapters)?)?;
    put("report.md", &render(header, chapters))
}

/// Adds a text to the report that is there.
pub(crate) fn append(folder: &Path, text: &str) -> Result<()> {
    let path = folder.join("report.md");
    let report = fs::read_to_string(&path).context(format!("reading {}", path.display()))?;
    fs::write(&path, format!("{report}\n{text}")).context(format!("writing {}", path.display()))
}

fn raw(header: &Header, chapters: &[Chapter]) -> Result<String> {
    let sections: Vec<Value> = chapters
        .iter()
        .map(|chapter| {
            let mut value = chapter.json();
            value["data"] = json!(chapter.section.raw);
            value
        })
        .collect();
    let (title, quick) = (&header.title, header.is_quick);
    let value =
        json!({ "title": title, "quick": quick, "facts": facts(header), "sections": sections });
    serde_json::to_string_pretty(&value).context("rendering the raw data")
}

#[cfg(test)]
mod tests;
