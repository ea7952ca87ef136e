//! The paper: a Markdown report and the raw data, into a folder; sections also to the screen.
//!
//! The benchmarks give sections and raw rounds; the header is the machine's, commit's and
//! command's. Whoever has only the report knows what was measured and how to do it again.

use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::error::{Context, PerfError};
use crate::machine::Fact;

/// A table: its columns, and rows as long.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Table {
    /// What stands over the columns.
    pub(crate) columns: Vec<String>,
    /// What stands below, row by row.
    pub(crate) rows: Vec<Vec<String>>,
}

/// What one benchmark has to say.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Section {
    /// Its heading.
    pub(crate) title: String,
    /// What is measured, how, and what it is to be compared with.
    pub(crate) text: String,
    /// The figures.
    pub(crate) table: Table,
    /// What follows from them: the verdict, or what to keep in mind.
    pub(crate) notes: Vec<String>,
    /// Every round, for other programs.
    pub(crate) raw: Value,
    /// False when frames were lost or a target was missed.
    pub(crate) is_good: bool,
}

impl Table {
    /// With these columns and no rows.
    pub(crate) fn new(columns: &[&str]) -> Self {
        Self {
            columns: columns.iter().map(|&it| it.to_owned()).collect(),
            rows: Vec::new(),
        }
    }

    /// Adds a row.
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
    /// As Markdown.
    pub(crate) fn render(&self) -> String {
        let mut text = format!("## {}\n\n{}\n\n", self.title, self.text);
        text.push_str(&self.table.render());
        for note in &self.notes {
            let _ = write!(text, "\n{note}\n");
        }
        text
    }
}

/// The whole report as Markdown.
pub(crate) fn render(title: &str, facts: &[Fact], sections: &[Section]) -> String {
    let mut header = Table::new(&["what", "value"]);
    for (name, value) in facts {
        header.push([name.clone(), value.replace('|', "\\|")]);
    }
    let mut text = format!("# {title}\n\n{}", header.render());
    for section in sections {
        let _ = write!(text, "\n{}", section.render());
    }
    text
}

/// Writes `report.md` and `raw.json`; returns where the report is.
///
/// # Errors
/// The folder cannot be written to.
pub(crate) fn write(
    folder: &Path,
    title: &str,
    facts: &[Fact],
    sections: &[Section],
) -> Result<PathBuf, PerfError> {
    fs::create_dir_all(folder).context(format!("making {}", folder.display()))?;
    let put = |name: &str, text: String| {
        let path = folder.join(name);
        fs::write(&path, text).context(format!("writing {}", path.display()))?;
        Ok(path)
    };
    put("raw.json", raw(title, facts, sections)?)?;
    put("report.md", render(title, facts, sections))
}

fn raw(title: &str, facts: &[Fact], sections: &[Section]) -> Result<String, PerfError> {
    let facts = facts.iter().map(|(name, it)| (name.clone(), json!(it)));
    let sections = sections
        .iter()
        .map(|it| json!({ "title": it.title, "good": it.is_good, "data": it.raw }));
    let value = json!({
        "title": title,
        "facts": facts.collect::<serde_json::Map<_, _>>(),
        "sections": sections.collect::<Vec<_>>(),
    });
    serde_json::to_string_pretty(&value).context("rendering the raw data")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn section() -> Section {
        let mut table = Table::new(&["subject", "msg/s"]);
        table.push(["engine".into(), "1.25 M".into()]);
        table.push(["relay".into(), "3.30 M".into()]);
        Section {
            title: "Throughput".into(),
            text: "Flat out.".into(),
            table,
            notes: vec!["Ratio 0.38.".into()],
            raw: json!([{ "rate": 1.0 }]),
            is_good: true,
        }
    }

    #[test]
    fn a_report_has_its_header_its_tables_and_its_notes() {
        let facts = [("kernel".to_owned(), "Linux 6 | odd".to_owned())];
        let text = render("Results", &facts, &[section()]);
        let want = "# Results\n\n\
            | what   | value          |\n\
            | ------ | -------------- |\n\
            | kernel | Linux 6 \\| odd |\n\n\
            ## Throughput\n\nFlat out.\n\n\
            | subject | msg/s  |\n\
            | ------- | ------ |\n\
            | engine  | 1.25 M |\n\
            | relay   | 3.30 M |\n\n\
            Ratio 0.38.\n";
        assert_eq!(text, want);
    }

    #[test]
    fn both_files_are_written_and_the_raw_data_is_json() {
        let folder = tempfile::tempdir().expect("a directory");
        let out = folder.path().join("new/folder");
        let path = write(&out, "Results", &[], &[section()]).expect("it is written");
        assert!(
            fs::read_to_string(path)
                .expect("a report")
                .contains("1.25 M")
        );
        let raw = fs::read(out.join("raw.json")).expect("raw data");
        let raw: Value = serde_json::from_slice(&raw).expect("JSON");
        assert_eq!(raw["sections"][0]["data"][0]["rate"], 1.0);
    }
}
