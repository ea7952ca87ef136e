//! The papers say what is so: commands, counters, settings, lines, files and links that README and
//! its siblings name are held against the engine and the repository.

use std::path::{Path, PathBuf};

use clap::CommandFactory as _;
use flipped_lb::cli::Cli;
use flipped_lb::config;
use flipped_lb::counters::Counter;
use flipped_lb::limits::{
    CHUNK_COUNT, CHUNK_LEN, LINE_LEN_MAX_DEFAULT, MAX_QUEUED_DEFAULT, MESSAGES_MAX,
};

const PAPERS: [&str; 7] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "perf/README.md",
    "docs/dedicated-hardware.md",
    "docs/store.md",
];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(paper: &str) -> String {
    std::fs::read_to_string(root().join(paper)).unwrap_or_else(|it| panic!("{paper}: {it}"))
}

/// The fenced blocks of a language; "" for those without.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(found) = line.strip_prefix("```") {
            let block: Vec<_> = lines.by_ref().take_while(|it| *it != "```").collect();
            if found == language {
                blocks.push(block.join("\n"));
            }
        }
    }
    blocks
}

/// The first cells of the table whose heading begins with `heading`.
fn first_cells(text: &str, heading: &str) -> Vec<String> {
    let start = format!("| {heading} |");
    let rows = text.lines().skip_while(|it| !it.starts_with(&start));
    let rows = rows.skip(2).take_while(|it| it.starts_with('|'));
    let cells: Vec<_> = rows
        .map(|it| it.split('|').nth(1).expect("a cell").trim().to_owned())
        .collect();
    assert!(!cells.is_empty(), "no table of {heading}");
    cells
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.split('`').skip(1).step_by(2)
}

#[test]
fn the_table_of_commands_is_the_command_line() {
    let cells = first_cells(&read("README.md"), "command");
    let mut written: Vec<_> = cells
        .iter()
        .map(|it| it.trim_matches('`').trim_start_matches("flipped-lb "))
        .collect();
    let command = Cli::command();
    let mut real: Vec<_> = command.get_subcommands().map(|it| it.get_name()).collect();
    written.sort_unstable();
    real.sort_unstable();
    assert_eq!(written, real);
}

#[test]
fn every_counter_that_is_named_is_counted() {
    let real: Vec<_> = Counter::ALL.iter().map(|it| it.label()).collect();
    let cells = first_cells(&read("README.md"), "counter").join(" ");
    for name in quoted(&cells) {
        assert!(real.contains(&name), "{name}");
    }
    let ledger = ["received", "accepted", "duplicates", "rejected", "settled"];
    assert!(ledger.iter().all(|it| real.contains(it)));
}

#[test]
fn the_settings_that_are_shown_are_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    let papers = ["README.md", "docs/dedicated-hardware.md"];
    let shown = papers.map(|it| blocks(&read(it), "toml"));
    assert!(shown.iter().all(|it| !it.is_empty()));
    for settings in shown.into_iter().flatten() {
        let file = folder.path().join("shown.toml");
        std::fs::write(&file, &settings).expect("written");
        config::load(Some(&file)).unwrap_or_else(|it| panic!("{it}\n{settings}"));
    }
}

#[test]
fn the_lines_that_are_shown_are_json() {
    let mut count = 0;
    for block in blocks(&read("README.md"), "") {
        for line in block.lines().filter(|it| it.starts_with('{')) {
            serde_json::from_str::<serde_json::Value>(line)
                .unwrap_or_else(|it| panic!("{it}: {line}"));
            count += 1;
        }
    }
    assert!(count >= 5, "{count}");
}

#[test]
fn limits_that_are_told_are_the_limits() {
    assert_eq!(
        (LINE_LEN_MAX_DEFAULT, MESSAGES_MAX),
        (64 * 1024, 33_554_432)
    );
    assert_eq!(MAX_QUEUED_DEFAULT, 16_000_000);
    assert_eq!((CHUNK_LEN, CHUNK_COUNT), (256 * 1024, 256));
}

#[test]
fn links_lead_to_files_and_headings() {
    for paper in PAPERS {
        let text = read(paper);
        let folder = root()
            .join(paper)
            .parent()
            .expect("it is in one")
            .to_owned();
        for target in text
            .split("](")
            .skip(1)
            .filter_map(|it| it.split(')').next())
        {
            if target.starts_with("http") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => root().join(paper),
                file => folder.join(file),
            };
            assert!(file.exists(), "{paper}: {target}");
            assert!(
                heading.is_empty() || has_heading(&file, heading),
                "{paper}: {target}"
            );
        }
    }
}

fn has_heading(file: &Path, anchor: &str) -> bool {
    let text = std::fs::read_to_string(file).expect("it is there");
    text.lines().filter(|it| it.starts_with('#')).any(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        words.replace(' ', "-").replace(['`', ','], "") == anchor
    })
}

#[test]
fn source_files_that_are_named_are_there() {
    let folders = ["src/", "bench/", "tests/", "perf/", "simulator/", "schema/"];
    for paper in PAPERS.iter().filter(|it| !it.starts_with("perf")) {
        let text = read(paper);
        for name in quoted(&text).filter(|it| folders.iter().any(|folder| it.starts_with(folder))) {
            let path: PathBuf = root().join(name);
            assert!(path.exists(), "{paper}: {name}");
        }
    }
}

#[test]
fn the_picture_is_small_and_has_its_curves() {
    let picture = read("docs/latency.svg");
    assert!(picture.len() < 100_000);
    for label in ["total", "delivery", "journal", "queue", "99.9%"] {
        assert!(picture.contains(label), "{label}");
    }
}
