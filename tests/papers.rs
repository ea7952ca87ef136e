//! The papers say what is so: commands, counters, settings, lines, limits, files and links that
//! README, ARCHITECTURE and the pages of `docs/` name are held against the engine and the repository.

use std::path::Path;
use std::time::Duration;

use clap::{Command, CommandFactory as _};
use flipped_lb::cli::Cli;
use flipped_lb::config;
use flipped_lb::counters::Counter;
use flipped_lb::limits;
use flipped_lb::message::Reason;

/// Papers beside the pages of `docs/`.
const PAPERS: [&str; 5] = [
    "README.md",
    "ARCHITECTURE.md",
    "CHANGELOG.md",
    "CONTRIBUTING.md",
    "perf/README.md",
];
/// Words of a paper at most, as `wc -w` counts them.
const WORDS_MAX: [(&str, usize); 2] = [("README.md", 1_800), ("ARCHITECTURE.md", 3_500)];
/// Words with an underscore that are names of others: systems, databases, Rust.
const FOREIGN: [&str; 22] = [
    "binlog_format",
    "do_work",
    "duplicate_window",
    "flipped_lb",
    "guest_halt_poll_ns",
    "instead_of",
    "line_base64",
    "local_infile",
    "lost_from",
    "managed_irq",
    "max_payload",
    "mb_per_second",
    "next_sequence",
    "nohz_full",
    "nonvoluntary_ctxt_switches",
    "numa_node",
    "rcu_nocbs",
    "schema_version",
    "segments_below",
    "sql_mode",
    "sync_file_range",
    "sync_interval",
];
/// Files of the data directory with such names.
const FILES: [&str; 1] = ["store_node"];
/// What a run makes.
const MADE: [&str; 1] = ["fuzz/artifacts/"];

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn read(paper: &str) -> String {
    std::fs::read_to_string(root().join(paper)).unwrap_or_else(|error| panic!("{paper}: {error}"))
}

/// The names in a folder of the repository, in their order.
fn names_in(folder: &str) -> Vec<String> {
    let entries = std::fs::read_dir(root().join(folder)).expect("the folder is there");
    let name = |entry: std::io::Result<std::fs::DirEntry>| {
        let name = entry.expect("it can be listed").file_name();
        name.into_string().expect("names are UTF-8")
    };
    let mut names: Vec<String> = entries.map(name).collect();
    names.sort_unstable();
    names
}

/// The pages of `docs/`.
fn pages() -> Vec<String> {
    let names = names_in("docs").into_iter();
    let pages = names.filter(|name| name.ends_with(".md"));
    pages.map(|name| format!("docs/{name}")).collect()
}

fn papers() -> Vec<String> {
    let papers = PAPERS.iter().map(|&paper| paper.to_owned());
    papers.chain(pages()).collect()
}

/// The fenced blocks of a language; "" for those without.
fn blocks(text: &str, language: &str) -> Vec<String> {
    let mut blocks = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        if let Some(found) = line.strip_prefix("```") {
            let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
            if found == language {
                blocks.push(block.join("\n"));
            }
        }
    }
    blocks
}

/// The text without its fenced blocks.
fn prose(text: &str) -> String {
    let parts = text.split("\n```").step_by(2);
    let parts: Vec<&str> = parts.collect();
    parts.join("\n")
}

/// The first cells of the table whose heading begins with `heading`.
fn first_cells(text: &str, heading: &str) -> Vec<String> {
    let start = format!("| {heading} |");
    let rows = text.lines().skip_while(|line| !line.starts_with(&start));
    let rows = rows.skip(2).take_while(|line| line.starts_with('|'));
    let cells: Vec<String> = rows
        .map(|row| row.split('|').nth(1).expect("a cell").trim().to_owned())
        .collect();
    assert!(!cells.is_empty(), "no table of {heading}");
    cells
}

/// What stands between backticks, outside of fenced blocks.
fn quoted(text: &str) -> Vec<String> {
    let text = prose(text);
    let quoted = text.split('`').skip(1).step_by(2);
    quoted.map(str::to_owned).collect()
}

/// Words such as `max_queued` in a text.
fn snake_words(text: &str) -> impl Iterator<Item = &str> {
    let is_part = |it: char| it.is_ascii_lowercase() || it.is_ascii_digit() || it == '_';
    let words = text.split(move |it| !is_part(it));
    words.filter(|word| word.trim_matches('_').contains('_'))
}

#[test]
fn the_table_of_commands_is_the_command_line() {
    let cells = first_cells(&read("docs/operation.md"), "command");
    let mut written: Vec<&str> = cells
        .iter()
        .map(|cell| cell.trim_matches('`').trim_start_matches("flipped-lb "))
        .collect();
    let command = Cli::command();
    let mut real: Vec<&str> = command
        .get_subcommands()
        .map(|command| command.get_name())
        .collect();
    written.sort_unstable();
    real.sort_unstable();
    assert_eq!(written, real);
}

/// The options that `words` give to the command that they begin with.
fn check_command(paper: &str, words: &[&str], command: &Command) {
    let mut command = command;
    for (index, word) in words.iter().enumerate() {
        if let Some(option) = word.strip_prefix("--") {
            let option = option.split('=').next().expect("there is a first part");
            let is_known = command
                .get_arguments()
                .any(|argument| argument.get_long() == Some(option));
            assert!(is_known || option == "help", "{paper}: {words:?}: {word}");
        } else if let Some(below) = command.find_subcommand(word) {
            command = below;
        } else {
            assert!(index > 0, "{paper}: no command {word}");
        }
    }
}

#[test]
fn commands_that_are_named_exist_with_their_options() {
    let command = Cli::command();
    let mut count = 0;
    for paper in papers().iter().filter(|it| *it != "CHANGELOG.md") {
        let text = read(paper);
        let shown = ["", "sh"].map(|language| blocks(&text, language)).concat();
        let lines = shown.iter().flat_map(|block| block.lines());
        let lines = lines.map(|line| line.trim_start_matches("$ ").to_owned());
        for line in lines.chain(quoted(&text)) {
            let line = line.split(['|', '>', '#']).next().unwrap_or_default();
            let words: Vec<&str> = line.split_whitespace().collect();
            let is_ours = |word: &str| word == "flipped-lb" || word.ends_with("release/flipped-lb");
            if words.len() > 1 && is_ours(words[0]) {
                check_command(paper, &words[1..], &command);
                count += 1;
            }
        }
    }
    assert!(count >= 20, "{count}");
}

/// Counters, reasons, and the words of settings and tables.
fn names_with_underscores() -> Vec<String> {
    let counters = Counter::ALL.iter().map(|it| it.label().to_owned());
    let reasons = Reason::ALL.iter().map(|it| it.label().to_owned());
    let mut names: Vec<String> = counters.chain(reasons).collect();
    let mut sources = vec![read("flipped-lb.example.toml")];
    for folder in ["schema/mysql", "schema/sqlite"] {
        let files = names_in(folder);
        sources.extend(files.iter().map(|file| read(&format!("{folder}/{file}"))));
    }
    for source in &sources {
        names.extend(snake_words(source).map(str::to_owned));
    }
    names.extend(FOREIGN.iter().chain(&FILES).map(|&name| name.to_owned()));
    names
}

#[test]
fn counters_and_settings_that_are_named_exist() {
    let real = names_with_underscores();
    let mut unknown = Vec::new();
    let papers = pages().into_iter();
    for paper in papers.chain(["README.md".into(), "ARCHITECTURE.md".into()]) {
        for quoted in quoted(&read(&paper)) {
            // Paths, addresses and names of metrics (tests/monitoring.rs) have tests of their own, or none.
            let is_metric = ["flipped_lb_", "process_"]
                .iter()
                .any(|it| quoted.starts_with(it));
            if is_metric || quoted.contains(['/', '<', '=']) && !quoted.contains(" = ") {
                continue;
            }
            let words = snake_words(&quoted);
            let new = words.filter(|word| !real.iter().any(|name| name == word));
            unknown.extend(new.map(|word| format!("{paper}: {word}")));
        }
    }
    assert!(unknown.is_empty(), "{unknown:#?}");
}

#[test]
fn every_counter_in_the_table_is_counted() {
    let real: Vec<&str> = Counter::ALL.iter().map(|it| it.label()).collect();
    let cells = first_cells(&read("docs/operation.md"), "counter").join(" ");
    for name in quoted(&cells) {
        assert!(real.contains(&name.as_str()), "{name}");
    }
    let ledger = ["received", "accepted", "duplicates", "rejected", "settled"];
    assert!(ledger.iter().all(|name| real.contains(name)));
}

#[test]
fn the_reasons_in_the_protocol_are_all_there_are() {
    let quoted = quoted(&read("docs/protocol.md"));
    for reason in Reason::ALL {
        assert!(
            quoted.iter().any(|word| word == reason.label()),
            "{reason:?}"
        );
    }
}

#[test]
fn the_settings_that_are_shown_are_settings() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut count = 0;
    for paper in papers() {
        for settings in blocks(&read(&paper), "toml") {
            let file = folder.path().join("shown.toml");
            std::fs::write(&file, &settings).expect("written");
            config::load(Some(&file)).unwrap_or_else(|error| panic!("{paper}: {error}"));
            count += 1;
        }
    }
    assert!(count >= 4, "{count}");
}

#[test]
fn the_lines_that_are_shown_are_json() {
    let mut count = 0;
    for paper in ["README.md", "docs/protocol.md"] {
        for block in blocks(&read(paper), "") {
            for line in block.lines().filter(|line| line.starts_with('{')) {
                serde_json::from_str::<serde_json::Value>(line)
                    .unwrap_or_else(|error| panic!("{paper}: {error}: {line}"));
                count += 1;
            }
        }
    }
    assert!(count >= 8, "{count}");
}

/// The paper says these words, and they are so.
fn check_said(paper: &str, said: &[(bool, String)]) {
    let text = read(paper);
    let text: Vec<&str> = text.split_whitespace().collect();
    let text = text.join(" ");
    for (is_so, words) in said {
        assert!(is_so, "{paper}: {words}");
        assert!(text.contains(words), "{paper} does not say {words}");
    }
}

#[test]
fn limits_that_the_protocol_names_are_the_limits() {
    check_said(
        "docs/protocol.md",
        &[
            (
                limits::LINE_LEN_MAX_DEFAULT == 64 << 10,
                "(64 KiB)".to_owned(),
            ),
            (true, format!("at most {} levels", limits::NESTING_MAX)),
            (true, format!("1 to {} bytes", limits::MESSAGE_ID_LEN_MAX)),
            (true, format!("1 to {} bytes", limits::NAME_LEN_MAX)),
            (true, format!("At most {} patterns", limits::PATTERNS_MAX)),
            (
                limits::OUTCOME_LINES_MAX == 4096,
                "no further than 4,096 lines".to_owned(),
            ),
            (
                true,
                format!("names at most {} lines", limits::OUTCOMES_PER_ANSWER),
            ),
        ],
    );
}

#[test]
fn limits_that_operators_read_of_are_the_limits() {
    let seconds = |it: Duration| format!("{} s", it.as_secs());
    check_said(
        "docs/operation.md",
        &[
            (limits::MESSAGES_MAX == 33_554_432, "33,554,432".to_owned()),
            (
                true,
                format!("more than {} tokens", limits::SHAPE_TOKENS_MAX),
            ),
            (true, seconds(limits::STOP_DRAIN_MAX)),
            (true, seconds(limits::STOP_THREADS_MAX)),
            (
                limits::LOG_CONNECTIONS_PER_WINDOW == 10 && limits::LOG_LINES_PER_WINDOW == 5,
                "ten (of connections) or five of a cause in ten seconds".to_owned(),
            ),
            (
                limits::JOURNAL_RESERVE_LEN == 8 << 20,
                "one of 8 MiB".to_owned(),
            ),
        ],
    );
}

#[test]
fn limits_of_journal_and_latencies_are_the_limits() {
    check_said(
        "docs/journal.md",
        &[
            (
                limits::SEGMENT_LEN_DEFAULT == 64 << 20,
                "(64 MiB)".to_owned(),
            ),
            (
                limits::JOURNAL_LEN_MAX_DEFAULT == 64 << 30,
                "(64 GiB)".to_owned(),
            ),
        ],
    );
    let destinations_max = limits::LATENCY_DESTINATIONS_MAX;
    check_said(
        "docs/latency.md",
        &[(true, format!("first {destinations_max} dest"))],
    );
}

#[test]
fn limits_that_the_architecture_names_are_the_limits() {
    check_said(
        "ARCHITECTURE.md",
        &[
            (limits::CHUNK_LEN == 256 << 10, "256 KiB *chunk*".to_owned()),
            (true, format!("{} chunks, 64 MiB", limits::CHUNK_COUNT)),
            (limits::HOT_MAX == 131_072, "131,072 messages".to_owned()),
        ],
    );
}

#[test]
fn links_lead_to_files_and_headings() {
    for paper in papers() {
        let text = read(&paper);
        let folder = root().join(&paper);
        let folder = folder.parent().expect("it is in one");
        let links = text.split("](").skip(1);
        for target in links.filter_map(|rest| rest.split(')').next()) {
            if target.starts_with("http") {
                continue;
            }
            let (file, heading) = target.split_once('#').unwrap_or((target, ""));
            let file = match file {
                "" => root().join(&paper),
                file => folder.join(file),
            };
            assert!(file.exists(), "{paper}: {target}");
            let leads = heading.is_empty() || has_heading(&file, heading);
            assert!(leads, "{paper}: {target}");
        }
    }
}

/// Headings become anchors as on the usual hosts: in lower case, with hyphens, without punctuation.
fn has_heading(file: &Path, anchor: &str) -> bool {
    let text = std::fs::read_to_string(file).expect("it is there");
    let text = prose(&text);
    let mut headings = text.lines().filter(|line| line.starts_with('#'));
    headings.any(|line| {
        let words = line.trim_start_matches('#').trim().to_lowercase();
        let is_kept = |it: &char| it.is_alphanumeric() || matches!(it, ' ' | '-' | '_');
        let words: String = words.chars().filter(is_kept).collect();
        words.replace(' ', "-") == anchor
    })
}

#[test]
fn every_page_is_linked_from_the_readme() {
    let readme = read("README.md");
    for page in pages() {
        assert!(readme.contains(&format!("]({page}")), "{page}");
    }
}

#[test]
fn source_files_that_are_named_are_there() {
    let folders = ["src/", "bench/", "tests/", "simulator/", "schema/", "fuzz/"];
    let mut missing = Vec::new();
    let mut count = 0;
    // The changelog speaks of the past, and perf/README.md of its own folder.
    let is_current = |paper: &&String| *paper != "CHANGELOG.md" && !paper.starts_with("perf");
    for paper in papers().iter().filter(is_current) {
        for name in quoted(&read(paper)) {
            let is_path = folders.iter().any(|folder| name.starts_with(folder));
            // Names in capitals stand for any name, and words behind a path are a command's.
            let is_exact = !name.contains(|it: char| it.is_uppercase() || it == ' ');
            if is_path && is_exact && !MADE.contains(&name.as_str()) {
                count += 1;
                if !root().join(&name).exists() {
                    missing.push(format!("{paper}: {name}"));
                }
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
    assert!(count >= 50, "{count}");
}

#[test]
fn the_table_of_places_has_every_room_of_src() {
    let cells = first_cells(&read("ARCHITECTURE.md"), "place").join(" ");
    let places = quoted(&cells);
    for name in names_in("src").iter().filter(|name| *name != "lib.rs") {
        let path = format!("src/{name}");
        let is_listed = places
            .iter()
            .any(|place| place.trim_end_matches('/') == path);
        assert!(is_listed, "{path} is not in ARCHITECTURE's table");
    }
}

#[test]
fn the_crate_has_the_picture_of_the_architecture() {
    let library = read("src/lib.rs");
    let picture = &blocks(&read("ARCHITECTURE.md"), "")[0];
    for line in picture.lines() {
        assert!(library.contains(&format!("//! {line}\n")), "{line}");
    }
    let header = library.lines().map_while(|line| line.strip_prefix("//!"));
    let header: Vec<&str> = header.map(str::trim_start).collect();
    let paths = quoted(&header.join("\n"));
    for path in paths.iter().filter(|name| name.contains('.')) {
        let is_there = root().join("src").join(path).exists() || root().join(path).exists();
        assert!(is_there, "src/lib.rs: {path}");
    }
}

#[test]
fn papers_that_all_read_are_short() {
    for (paper, words_max) in WORDS_MAX {
        let words = read(paper).split_whitespace().count();
        assert!(
            words <= words_max,
            "{paper}: {words} words, {words_max} at most"
        );
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
