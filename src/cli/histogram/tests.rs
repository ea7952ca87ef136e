//! The command over files: tables, pictures, what is wrong.

use std::time::{Duration, UNIX_EPOCH};

use super::*;
use crate::latency::{HlogEncoder, Interval, Span, Stage, Totals, View, write_hgrm};

fn totals(latencies_us: &[u64]) -> Totals {
    let mut interval = Interval::new(1, 1);
    for value in latencies_us {
        interval.record(Stage::Total, 1, 0, value * 1_000, 1);
    }
    let mut totals = Totals::new(1, 1);
    totals.merge(&interval);
    totals
}

fn hgrm(latencies_us: &[u64]) -> Vec<u8> {
    let histogram = totals(latencies_us).histogram(View::Stage(Stage::Total));
    let mut bytes = Vec::new();
    write_hgrm(&histogram, &mut bytes).expect("a Vec");
    bytes
}

fn hlog(lines: &[(&str, &[u64])]) -> Vec<u8> {
    let mut encoder = HlogEncoder::default();
    let mut text = encoder.header(UNIX_EPOCH);
    let span = Span {
        start: Duration::ZERO,
        length: Duration::from_secs(1),
    };
    for (tag, latencies_us) in lines {
        let histogram = totals(latencies_us).histogram(View::Stage(Stage::Total));
        text.extend(encoder.line(tag, span, &histogram));
    }
    text
}

fn args(files: &[&Path], svg: Option<&Path>) -> HistogramArgs {
    HistogramArgs {
        files: files.iter().map(|&it| it.to_owned()).collect(),
        tags: Vec::new(),
        compare: Vec::new(),
        unit: None,
        svg: svg.map(Path::to_owned),
        title: "Latency".to_owned(),
    }
}

fn folder() -> tempfile::TempDir {
    tempfile::tempdir().expect("a folder")
}

fn put(folder: &tempfile::TempDir, name: &str, bytes: &[u8]) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, bytes).expect("written");
    path
}

fn names(input: &Input) -> Vec<&str> {
    input.curves.iter().map(|(name, _)| name.as_str()).collect()
}

fn cells(table: &str) -> Vec<Vec<&str>> {
    let lines = table.lines();
    lines.map(|it| it.split_whitespace().collect()).collect()
}

#[test]
fn the_table_has_a_line_a_file_and_says_nothing_of_nothing() {
    let parse = |bytes: Vec<u8>| Curve::parse(&String::from_utf8(bytes).expect("text"));
    let curves = [
        (
            "total-level1".to_owned(),
            parse(hgrm(&[1, 2, 3, 1_000])).expect("a curve"),
        ),
        ("idle".to_owned(), parse(hgrm(&[])).expect("a curve")),
    ];
    let table = table::table(&curves);
    let lines = cells(&table);
    let heading = [
        "us", "p50", "p90", "p99", "p99.9", "p99.99", "max", "mean", "count",
    ];
    assert_eq!(lines[0], heading);
    assert_eq!(lines[1][..3], ["total-level1", "2.0", "1003.5"]);
    assert_eq!(lines[1][8], "4");
    assert_eq!(
        lines[2],
        ["idle", "-", "-", "-", "-", "-", "0.0", "0.0", "0"]
    );
    let widths: Vec<_> = table.lines().map(str::len).collect();
    assert!(widths.iter().all(|it| *it == widths[0]), "{table}");
}

#[test]
fn logs_are_added_up_and_shown_by_their_topmost_tags() {
    let folder = folder();
    let one = put(
        &folder,
        "1.hlog",
        &hlog(&[("total", &[1]), ("total-level1", &[1])]),
    );
    let two = put(
        &folder,
        "2.hlog",
        &hlog(&[("total", &[2, 3]), ("queue", &[7])]),
    );
    let files = [one, two];
    let input = Input::read(&files, &[], None).expect("they are read");
    assert_eq!(names(&input), ["queue", "total"]);
    assert_eq!((input.curves[1].1.count(), input.hidden), (3, 1));
    assert!(input.remarks()[0].contains("1 more tags"));
    let all = Input::read(&files, &["*".to_owned()], None).expect("they are read");
    assert_eq!(names(&all), ["queue", "total", "total-level1"]);
    assert!(all.remarks().is_empty());
    let some = Input::read(&files, &["total-*".to_owned()], None).expect("they are read");
    assert_eq!(names(&some), ["total-level1"]);
    let none = Input::read(&files, &["zzz".to_owned()], None).expect_err("no such tag");
    assert_eq!(
        none.to_string(),
        "--tag zzz: there are queue, total, total-level1"
    );
}

#[test]
fn both_kinds_of_file_stand_in_one_table_in_one_unit() {
    let folder = folder();
    let files = [
        put(&folder, "total.hgrm", &hgrm(&[1_000])),
        put(&folder, "any.name", &hlog(&[("total", &[1_000])])),
    ];
    let input = Input::read(&files, &[], None).expect("they are read");
    assert_eq!(names(&input), ["total", "total (logs)"]);
    let maxima: Vec<_> = input.curves.iter().map(|(_, it)| it.max_us()).collect();
    assert_eq!(maxima, [1_003.519, 1_003.519]);
    let input = Input::read(&files[..1], &[], Some(Unit::Ms)).expect("it is read");
    assert!((input.curves[0].1.max_us() - 1_003_519.0).abs() < 1.0);
}

#[test]
fn a_log_that_is_being_written_is_shown_without_its_last_line() {
    let folder = folder();
    let mut bytes = hlog(&[("a", &[1]), ("a", &[2])]);
    bytes.truncate(bytes.len() - 9);
    let file = put(&folder, "live.hlog", &bytes);
    let input = Input::read(&[file], &[], None).expect("it is read");
    assert_eq!(input.curves[0].1.count(), 1);
    assert!(input.remarks()[0].contains("live.hlog: its last line was cut off"));
}

#[test]
fn two_runs_are_compared_by_tag() {
    let folder = folder();
    let new = put(
        &folder,
        "new.hlog",
        &hlog(&[("queue", &[5]), ("total", &[150])]),
    );
    let old = put(
        &folder,
        "old.hlog",
        &hlog(&[("total", &[100]), ("delivery", &[5])]),
    );
    let read = |it: &PathBuf| Input::read(std::slice::from_ref(it), &[], None).expect("read");
    let pairs = pairs::pair(read(&new), read(&old)).expect("one pair");
    let text = table::comparison(&pairs);
    let lines = cells(&text);
    assert_eq!(lines.len(), 4, "{text}");
    assert_eq!(lines[2][..2], ["total", "(compared)"]);
    assert_eq!((lines[3][0], lines[3][8]), ("change", "+0.0%"));
    let percent: f64 = lines[3][1].trim_end_matches('%').parse().expect("a number");
    assert!((percent - 50.0).abs() < 1.0, "{text}");

    let svg = folder.path().join("both.svg");
    let mut wanted = args(&[&new], Some(&svg));
    wanted.compare = vec![old.clone()];
    run(wanted).expect("it is drawn");
    let picture = std::fs::read_to_string(&svg).expect("a picture");
    assert!(picture.contains("total (compared)"), "{picture}");

    let other = put(&folder, "other.hlog", &hlog(&[("x", &[1]), ("y", &[1])]));
    let error = pairs::pair(read(&new), read(&other)).expect_err("no pair");
    assert!(
        error
            .to_string()
            .contains("have queue, total, --compare has x, y")
    );
}

#[test]
fn two_single_curves_are_compared_whatever_they_are_called() {
    let folder = folder();
    let a = put(&folder, "a.hgrm", &hgrm(&[100]));
    let b = put(&folder, "b.hgrm", &hgrm(&[]));
    let read = |it: PathBuf| Input::read(&[it], &[], None).expect("read");
    let text = table::comparison(&pairs::pair(read(a), read(b)).expect("a pair"));
    let lines = cells(&text);
    assert_eq!((lines[1][0], lines[2][0]), ("a", "b"));
    assert!(lines[3][1..].iter().all(|it| *it == "-"), "{text}");
}

#[test]
fn files_become_a_picture() {
    let folder = folder();
    let file = put(&folder, "total.hgrm", &hgrm(&[5, 6, 7, 900]));
    let svg = folder.path().join("out.svg");
    run(args(&[&file], Some(&svg))).expect("it is drawn");
    let picture = std::fs::read_to_string(&svg).expect("a picture");
    assert!(
        picture.contains("<polyline") && picture.contains("total"),
        "{picture}"
    );
}

#[test]
fn what_is_wrong_is_said_with_the_file() {
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    let said = |args| run(args).expect_err("it is wrong").to_string();
    put(&folder, "a.txt", b"hello");
    let wrong = said(args(&[&at("a.txt")], None));
    assert!(wrong.contains("a.txt: this is no HdrHistogram"), "{wrong}");
    assert!(said(args(&[&at("gone.hgrm")], None)).contains("gone.hgrm: No such file"));
    let damaged = [hlog(&[("a", &[1])]), b"noise\n".to_vec()].concat();
    let damaged = put(&folder, "damaged.hlog", &damaged);
    let wrong = said(args(&[&damaged], None));
    assert!(wrong.contains("damaged.hlog: line 7 is no line"), "{wrong}");
    put(&folder, "empty.hgrm", &hgrm(&[]));
    let (empty, svg) = (at("empty.hgrm"), at("x.svg"));
    assert!(said(args(&[&empty], Some(&svg))).contains("nothing to draw"));
    assert!(said(args(&[&empty], Some(&empty))).contains("name another"));
    let mut compared = args(&[&damaged], Some(&empty));
    compared.compare = vec![empty.clone()];
    assert!(said(compared).contains("name another"));
    assert!(!svg.exists() && empty.exists());
}

#[test]
fn names_are_short_unless_two_are_the_same() {
    let files = ["a/total.hgrm", "b/total.hgrm", "a/queue.hgrm"].map(PathBuf::from);
    let names = files.each_ref().map(|it| name(it, &files));
    assert_eq!(names, ["a/total.hgrm", "b/total.hgrm", "queue"]);
}
