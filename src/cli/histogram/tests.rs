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
        since: None,
        until: None,
        over_time: false,
        step: None,
        heat_map: false,
        compare: Vec::new(),
        slo: Vec::new(),
        input_unit: None,
        unit: None,
        format: Format::Table,
        out: svg.map(Path::to_owned),
        title: None,
    }
}

fn tagged(tags: &[&str]) -> Wanted {
    Wanted {
        tags: tags.iter().map(|&it| it.to_owned()).collect(),
        ..Wanted::default()
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
    let table = table::table(&curves, Some(Unit::Us));
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
    let input = Input::read(&files, &tagged(&[])).expect("they are read");
    assert_eq!(names(&input), ["queue", "total"]);
    assert_eq!((input.curves[1].1.count(), input.hidden), (3, 1));
    assert!(input.remarks()[0].contains("1 more tags"));
    let all = Input::read(&files, &tagged(&["*"])).expect("they are read");
    assert_eq!(names(&all), ["queue", "total", "total-level1"]);
    assert!(all.remarks().is_empty());
    let some = Input::read(&files, &tagged(&["total-*"])).expect("they are read");
    assert_eq!(names(&some), ["total-level1"]);
    let none = Input::read(&files, &tagged(&["zzz"])).expect_err("no such tag");
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
    let input = Input::read(&files, &tagged(&[])).expect("they are read");
    assert_eq!(names(&input), ["total", "total (logs)"]);
    let maxima: Vec<_> = input.curves.iter().map(|(_, it)| it.max_us()).collect();
    assert_eq!(maxima, [1_003.519, 1_003.519]);
    let unit = Some(Unit::Ms);
    let in_ms = Wanted {
        unit,
        ..Wanted::default()
    };
    let input = Input::read(&files[..1], &in_ms).expect("it is read");
    assert!((input.curves[0].1.max_us() - 1_003_519.0).abs() < 1.0);
}

#[test]
fn a_log_that_is_being_written_is_shown_without_its_last_line() {
    let folder = folder();
    let mut bytes = hlog(&[("a", &[1]), ("a", &[2])]);
    bytes.truncate(bytes.len() - 9);
    let file = put(&folder, "live.hlog", &bytes);
    let input = Input::read(&[file], &tagged(&[])).expect("it is read");
    assert_eq!(input.curves[0].1.count(), 1);
    assert!(input.remarks()[0].contains("live.hlog: its last line was cut off"));
}

#[test]
fn a_change_of_ten_times_and_more_is_a_factor() {
    let shown = [-99.9, 0.0, 899.9, 900.0, 11_118.0, 78_436_686.6].map(table::change_shown);
    let words = ["-99.9%", "+0.0%", "+899.9%", "x10.0", "x112.2", "x784368"];
    assert_eq!(shown, words);
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
    let read = |it: &PathBuf| Input::read(std::slice::from_ref(it), &tagged(&[])).expect("read");
    let paired = pair(read(&new), read(&old)).expect("one pair");
    let only = [
        "only in the files, not compared: queue",
        "only in --compare, not compared: delivery",
    ];
    assert_eq!(paired.remarks(), only);
    let text = table::comparison(&paired.pairs, None);
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
    let error = pair(read(&new), read(&other)).expect_err("no pair");
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
    let read = |it: PathBuf| Input::read(&[it], &tagged(&[])).expect("read");
    let text = table::comparison(&pair(read(a), read(b)).expect("a pair").pairs, None);
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

/// A log of a line a second from 2023-11-14T22:13:20Z on, of one latency each; 0: none.
fn seconds(latencies_us: &[u64]) -> Vec<u8> {
    let mut encoder = HlogEncoder::default();
    let mut text = encoder.header(UNIX_EPOCH + Duration::from_secs(1_700_000_000));
    for (second, latency_us) in (0..).zip(latencies_us).filter(|(_, it)| **it > 0) {
        let span = Span {
            start: Duration::from_secs(second),
            length: Duration::from_secs(1),
        };
        let histogram = totals(&[*latency_us]).histogram(View::Stage(Stage::Total));
        for tag in ["total", "total-level1"] {
            text.extend(encoder.line(tag, span, &histogram));
        }
    }
    text
}

#[test]
fn a_log_is_shown_over_time_with_its_gaps() {
    let folder = folder();
    let file = put(&folder, "a.hlog", &seconds(&[100, 100, 0, 0, 9_000]));
    let found = over_time::read(&[file], &tagged(&[]), None).expect("it is read");
    let text = table::over_time(&found.table, None);
    let lines = cells(&text);
    assert_eq!(lines[0], ["total", "p50", "p99", "max", "count"]);
    let starts: Vec<_> = lines[1..].iter().map(|it| it[0]).collect();
    let expected = ["20", "21", "22", "24"].map(|it| format!("2023-11-14T22:13:{it}Z"));
    assert_eq!(starts, expected);
    assert_eq!(lines[1][1..], ["100us", "100us", "100us", "1"]);
    assert_eq!(lines[3][1..], ["-", "-", "-", "0"]);
    assert_eq!(lines[4][4], "1");
    assert!(
        found.remarks[0].starts_with("1 more tags"),
        "{:?}",
        found.remarks
    );
}

#[test]
fn a_long_log_is_shown_in_steps_of_round_length() {
    let folder = folder();
    let file = put(&folder, "a.hlog", &seconds(&[100; 900]));
    let found = over_time::read(std::slice::from_ref(&file), &tagged(&[]), None).expect("read");
    let shown = |series: &[over_time::Series]| {
        let lengths = series[0].steps.iter().map(|it| it.length_us / 1_000_000);
        (series[0].steps.len(), lengths.max())
    };
    // 1,700,000,000 is a multiple of 20, and not of 30.
    assert_eq!(shown(&found.table), (45, Some(20)));
    assert_eq!(shown(&found.picture), (180, Some(5)));
    let found = over_time::read(&[file], &tagged(&["*level1"]), Some(300_000_000)).expect("read");
    assert_eq!(found.table[0].name, "total-level1");
    let counts = found.table[0].steps.iter().map(|it| {
        let histogram = it.histogram.as_ref().expect("no gap");
        histogram.len()
    });
    assert_eq!(counts.collect::<Vec<_>>(), [100, 300, 300, 200]);
}

#[test]
fn a_part_of_the_time_is_chosen() {
    let folder = folder();
    let file = put(&folder, "a.hlog", &seconds(&[100; 10]));
    let files = [file];
    let wanted = |since: &str, until: &str| Wanted {
        period: Period::parse(Some(since), Some(until), Timestamp::now()).expect("times"),
        ..Wanted::default()
    };
    let some = wanted("2023-11-14T22:13:22.5Z", "2023-11-14T22:13:25Z");
    let input = Input::read(&files, &some).expect("it is read");
    assert_eq!(input.curves[0].1.count(), 3);
    let found = over_time::read(&files, &some, None).expect("it is read");
    assert_eq!(found.table[0].steps.len(), 3);
    let none = wanted("2024-01-01", "2024-01-02");
    let why = Input::read(&files, &none).expect_err("nothing").to_string();
    let extent = "they go from 2023-11-14T22:13:20Z to 2023-11-14T22:13:30Z";
    assert!(why.contains(extent), "{why}");
    let again = over_time::read(&files, &none, None).expect_err("nothing");
    assert_eq!(again.to_string(), why);
    let percentiles = [put(&folder, "total.hgrm", &hgrm(&[1]))];
    for failure in [
        Input::read(&percentiles, &some).expect_err("no times"),
        over_time::read(&percentiles, &tagged(&[]), None).expect_err("no times"),
    ] {
        assert_eq!(failure.exit_code(), 2);
        assert!(
            failure.to_string().contains("total.hgrm has percentiles"),
            "{failure}"
        );
    }
}

#[test]
fn a_folder_stands_for_its_logs() {
    let folder = folder();
    put(&folder, "latency-000001.hlog", &hlog(&[("total", &[1])]));
    put(&folder, "latency-000002.hlog", &hlog(&[("total", &[2])]));
    put(&folder, "total.hgrm", &hgrm(&[3]));
    let input = Input::read(&[folder.path().to_owned()], &tagged(&[])).expect("read");
    assert_eq!(
        (names(&input), input.curves[0].1.count()),
        (vec!["total"], 2)
    );
}

#[test]
fn percentiles_that_a_crash_left_unwritten_are_found_in_the_logs() {
    let folder = folder();
    let missing = folder.path().join("total-level1.hgrm");
    let said = || {
        run(args(&[&missing], None))
            .expect_err("missing")
            .to_string()
    };
    assert!(
        said().contains("/histograms on the admin address"),
        "{}",
        said()
    );
    put(&folder, "latency-000001.hlog", &hlog(&[("total", &[1])]));
    let command = format!(
        "flipped-lb histogram {} --tag 'total-level1'",
        folder.path().display()
    );
    assert!(said().contains(&command), "{}", said());
}

#[test]
fn pictures_are_svg_or_png() {
    let folder = folder();
    let log = put(&folder, "a.hlog", &seconds(&[100, 200, 0, 300]));
    for (name, heat_map) in [("a.svg", false), ("b.png", false), ("c.PNG", true)] {
        let out = folder.path().join(name);
        let mut wanted = args(&[&log], Some(&out));
        (wanted.over_time, wanted.heat_map) = (!heat_map, heat_map);
        run(wanted).expect("it is drawn");
        let picture = std::fs::read(&out).expect("a picture");
        match name {
            "a.svg" => assert!(picture.starts_with(b"<svg")),
            _ => assert_eq!(picture[1..4], *b"PNG"),
        }
    }
    let wrong = run(args(&[&log], Some(&folder.path().join("a.jpg")))).expect_err("no such kind");
    assert!(wrong.to_string().contains(".svg or .png"), "{wrong}");
}

#[test]
fn objectives_that_are_not_met_are_a_failure() {
    let folder = folder();
    let file = put(&folder, "total.hgrm", &hgrm(&[100; 2_000]));
    let mut wanted = args(&[&file], None);
    wanted.slo = vec!["p99=200us".parse().expect("an objective")];
    run(wanted.clone()).expect("it is met");
    wanted.slo.push("p50=50us".parse().expect("an objective"));
    let failure = run(wanted).expect_err("it is not met");
    assert_eq!(failure.exit_code(), 1);
    assert_eq!(failure.to_string(), "1 of 2 objectives (--slo) not met");
}

#[test]
fn programs_get_json_csv_and_percentiles() {
    let parse = |bytes: Vec<u8>| Curve::parse(&String::from_utf8(bytes).expect("text"));
    let curves = [("a,b".to_owned(), parse(hgrm(&[100, 100])).expect("a curve"))];
    let verdicts = slo::judge(&[], &curves, false);
    let json: serde_json::Value =
        serde_json::from_str(&export::curves_json(&curves, &verdicts, Unit::Ms)).expect("JSON");
    assert_eq!(
        (&json["unit"], &json["histograms"][0]["count"]),
        (&"ms".into(), &2.into())
    );
    let p999 = json["histograms"][0]["p99.9"].as_f64().expect("a number");
    assert!((p999 - 0.1).abs() < 0.001, "{json}");
    let csv = export::curves_csv(&curves, Unit::Us);
    let heading = "name,p50_us,p90_us,p99_us,p99.9_us,p99.99_us,max_us,mean_us,count\n";
    assert!(
        csv.starts_with(heading) && csv.contains("\n\"a,b\",100."),
        "{csv}"
    );
    let again = export::hgrm(&curves, Unit::Us).expect("one");
    assert_eq!(Curve::parse(&again).expect("a curve").count(), 2);
    let two = [curves[0].clone(), curves[0].clone()];
    assert!(export::hgrm(&two, Unit::Us).is_err());

    let folder = folder();
    let file = put(&folder, "a.hlog", &seconds(&[100, 0, 100]));
    let found = over_time::read(&[file], &tagged(&["total"]), None).expect("it is read");
    let csv = export::series_csv(&found.table, Unit::Us);
    let lines: Vec<_> = csv.lines().collect();
    assert_eq!(lines[0], "name,start,seconds,p50_us,p99_us,max_us,count");
    assert_eq!(lines[2], "total,2023-11-14T22:13:21.000Z,1,,,,0");
    let json = export::series_json(&found.table, &[], Unit::Us);
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(
        json["over_time"][0]["steps"][0]["start"],
        "2023-11-14T22:13:20.000Z"
    );
}

#[test]
fn names_are_short_unless_two_are_the_same() {
    let files = ["a/total.hgrm", "b/total.hgrm", "a/queue.hgrm"].map(PathBuf::from);
    let names = files.each_ref().map(|it| name(it, &files));
    assert_eq!(names, ["a/total.hgrm", "b/total.hgrm", "queue"]);
}

#[test]
fn more_curves_than_a_picture_tells_apart_are_refused_and_the_table_has_them_all() {
    let folder = folder();
    let tags: Vec<String> = (0..57).map(|it| format!("customer{it:02}")).collect();
    let lines: Vec<(&str, &[u64])> = tags.iter().map(|it| (it.as_str(), &[7_u64][..])).collect();
    let file = put(&folder, "many.hlog", &hlog(&lines));
    let svg = folder.path().join("out.svg");
    let failure = run(args(&[&file], Some(&svg))).expect_err("57 curves");
    let words = failure.to_string();
    assert!(
        words.contains("57 curves, and a picture tells 56 apart"),
        "{words}"
    );
    assert_eq!(failure.exit_code(), 2);
    assert!(!svg.exists());
    let some = HistogramArgs {
        tags: vec!["customer0*".to_owned()],
        ..args(&[&file], Some(&svg))
    };
    assert!(run(some).is_ok() && svg.exists());
    assert!(run(args(&[&file], None)).is_ok());
}
