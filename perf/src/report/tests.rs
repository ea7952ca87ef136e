use super::*;
use crate::curve::{self, Curve};
use crate::figure::{Better, P50, P99};
use crate::plan::Plan;
use crate::round::Outcome;
use crate::rounds::Played;
use crate::spread::Unit;
use crate::testbed::Subject;

fn header() -> Header {
    Header {
        title: "Results".into(),
        is_quick: false,
        facts: vec![("kernel".to_owned(), "Linux 6 | odd".to_owned())],
    }
}

fn chapter() -> Chapter {
    let mut table = Table::new(["subject", "msg/s"]);
    table.push(["engine".into(), "1.25 M".into()]);
    table.push(["relay".into(), "3.30 M".into()]);
    Chapter {
        name: "throughput",
        command: "perf throughput".into(),
        section: Section {
            title: "Throughput".into(),
            summary: "1.25 M msg/s.".into(),
            text: "Flat out.".into(),
            tables: vec![table],
            aims: vec![Aim::holds("ratio", "0.4 at least", "0.38", false)],
            pictures: vec![Picture {
                name: "rate".into(),
                title: "Messages a second".into(),
                svg: "<svg></svg>".into(),
            }],
            notes: vec!["Ratio 0.38.".into()],
            raw: vec![json!({ "rate": 1.0 })],
            measures: vec![Measure {
                case: "390 B, 4".into(),
                party: "engine".into(),
                figure: "msg/s".into(),
                unit: Unit::Count,
                better: Better::More,
                value: 2.0,
                rounds: vec![1.0, 2.0, 3.0],
            }],
            latencies: vec![("engine".into(), Vec::new())],
            is_good: true,
        },
    }
}

#[test]
fn a_report_has_its_header_its_tables_its_pictures_and_how_to_repeat_it() {
    let text = render(&header(), &[chapter()]);
    let want = "# Results\n\n".to_owned()
        + INTRODUCTION
        + " 1.25 M msg/s.\n\n\
        | what   | value          |\n\
        |--------|----------------|\n\
        | kernel | Linux 6 \\| odd |\n\n\
        ## Throughput\n\n1.25 M msg/s.\n\nFlat out.\n\n\
        | subject | msg/s  |\n\
        |---------|--------|\n\
        | engine  | 1.25 M |\n\
        | relay   | 3.30 M |\n\n\
        | aim   | wanted       | found (95 % interval) | verdict     |\n\
        |-------|--------------|-----------------------|-------------|\n\
        | ratio | 0.4 at least | 0.38                  | **not met** |\n\n\
        Ratio 0.38.\n\n\
        ![Messages a second](throughput-rate.svg)\n\n\
        Again: `perf throughput`. Every round: [throughput.csv](throughput.csv), \
        [raw.json](raw.json); its latencies: `flipped-lb histogram throughput.hlog`.\n";
    assert_eq!(text, want);
}

#[test]
fn a_quick_run_says_so_at_the_top_of_report_and_screen() {
    let header = Header {
        is_quick: true,
        ..header()
    };
    assert!(render(&header, &[]).starts_with(&format!("# Results\n\n{QUICK}")));
    assert!(show(Format::Md, &header, &[chapter()]).starts_with(QUICK));
}

#[test]
fn all_files_are_written_and_the_raw_data_is_json() {
    let folder = tempfile::tempdir().expect("a directory");
    let out = folder.path().join("new/folder");
    check_new(&out).expect("there is none");
    let path = write(&out, &header(), &[chapter()]).expect("it is written");
    let report = fs::read_to_string(path).expect("a report");
    assert!(report.contains("1.25 M"));
    let raw = fs::read(out.join("raw.json")).expect("raw data");
    let raw: Value = serde_json::from_slice(&raw).expect("JSON");
    assert_eq!(raw["sections"][0]["data"][0]["rate"], 1.0);
    assert_eq!(raw["sections"][0]["aims"][0]["verdict"], "not_met");
    for file in ["throughput.csv", "throughput.hlog", "throughput-rate.svg"] {
        assert!(out.join(file).is_file(), "{file}");
    }
    let error = check_new(&out).expect_err("a report is there");
    assert!(error.to_string().contains("overwritten"), "{error}");
}

#[test]
fn figures_are_lines_and_json_for_other_programs() {
    let csv = show(Format::Csv, &header(), &[chapter()]);
    let want = "benchmark,case,party,figure,unit,value,min,max,low,high,rounds\n\
        throughput,\"390 B, 4\",engine,msg/s,count,2,1,3,1,3,3\n";
    assert_eq!(csv, want);
    let json = show(Format::Json, &header(), &[chapter()]);
    let json: Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!(json["sections"][0]["measures"][0]["rounds"][2], 3.0);
}

#[test]
fn a_party_in_two_tables_has_its_latencies_and_figures_once() {
    let mut outcome = Outcome::nothing(Subject::Engine, &Plan::flat_out(1, 390));
    let mut histogram = curve::histogram();
    histogram.saturating_record(1_000_000);
    outcome.received.arrivals.latency = Some(Curve::new(&histogram));
    let played = [Played {
        case: vec!["390 B".to_owned()],
        name: "engine".to_owned(),
        subject: Subject::Engine,
        outcomes: vec![outcome],
    }];
    let mut section = Section::of_rounds(&["frames"], &played, &[P50], ALONE);
    section.add_rounds(&["frames"], &played, &[P50, P99], ALONE);
    assert_eq!(section.tables.len(), 2);
    assert_eq!(section.latencies.len(), 1);
    for figure in [P50, P99] {
        let of_it = section
            .measures
            .iter()
            .filter(|it| it.figure == figure.name);
        assert_eq!(of_it.count(), 1, "{}", figure.name);
    }
}
