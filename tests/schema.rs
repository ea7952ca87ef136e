//! `flipped-lb check --schema` is a schema by which right files pass and wrong ones fail.
//!
//! Python's `jsonschema` is the judge, and its `tomllib` reads the files: what editors do.

mod support;

use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

use support::ENGINE;

/// For each settings file of a JSON list: `right`, or the path of the first wrong value.
const JUDGE: &str = "
import json, sys, tomllib, jsonschema
schema = json.load(open(sys.argv[1]))
judge = jsonschema.Draft7Validator(schema)
judge.check_schema(schema)
def judged(settings):
    errors = sorted(judge.iter_errors(tomllib.loads(settings)), key=str)
    return '/'.join(map(str, errors[0].absolute_path)) + ': ' + errors[0].message if errors else 'right'
print(json.dumps([judged(it) for it in json.load(sys.stdin)]))
";

fn schema() -> tempfile::NamedTempFile {
    let output = Command::new(ENGINE).args(["check", "--schema"]).output();
    let output = output.expect("the engine's binary");
    assert!(output.status.success(), "{output:?}");
    let mut file = tempfile::NamedTempFile::new().expect("a file");
    file.write_all(&output.stdout).expect("room");
    file
}

fn judged(schema: &Path, settings: &[&str]) -> Vec<String> {
    let mut judge = Command::new("python3")
        .args(["-c", JUDGE])
        .arg(schema)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("python3");
    let mut stdin = judge.stdin.take().expect("it is piped");
    serde_json::to_writer(&mut stdin, settings).expect("it reads");
    drop(stdin);
    let output = judge.wait_with_output().expect("it ends");
    assert!(output.status.success(), "python3 has jsonschema");
    serde_json::from_slice(&output.stdout).expect("a list")
}

/// What `check` says of them: right, or wrong settings.
fn checked(settings: &str) -> bool {
    let home = tempfile::tempdir().expect("a directory");
    let file = home.path().join("flipped-lb.toml");
    std::fs::write(&file, settings).expect("a file");
    let output = Command::new(ENGINE)
        .args(["check", "--config"])
        .arg(&file)
        .current_dir(home.path())
        .output()
        .expect("the engine's binary");
    output.status.success()
}

#[test]
fn the_files_that_come_with_it_are_right() {
    let schema = schema();
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    for file in ["flipped-lb.example.toml", "ops/flipped-lb.toml"] {
        let settings = std::fs::read_to_string(root.join(file)).expect("it is there");
        assert_eq!(judged(schema.path(), &[&settings]), ["right"], "{file}");
    }
}

/// By themselves, and for `check`.
const RIGHT: [&str; 8] = [
    "",
    "source = []",
    "[[source]]\naddress = \"[::1]:8001\"\nack = true",
    "[ingest]\nmax_line = 65536\nmax_rate = [\"5000/s\", \"10 MiB/s\"]\nidle_timeout = \"1h\"",
    "[ingest]\nmax_line = \"64 kib\"\nlisten = \"none\"\nmax_rate = \"none\"",
    "[store]\nkeep = \"forever\"\n[threads]\ningest_core = \"none\"\ndelivery_cores = []",
    "[store]\nkeep = \"30d\"\nurl = \"none\"\n[scheduler]\nmax_wait = [\"0s\", \"1s\", \"1_000ms\"]",
    "[[rule]]\nhours = \"22:00-02:00\"\npriority = 1",
];

/// With the place of what is wrong.
const WRONG: [(&str, &str); 14] = [
    ("durabilty = \"synced\"", ""),
    ("durability = \"fsync\"", "durability"),
    ("[ingest]\nmax_lin = 1", "ingest"),
    ("[ingest]\nmax_line = \"64 kb/s\"", "ingest/max_line"),
    ("[ingest]\nmax_rate = \"5000\"", "ingest/max_rate"),
    ("[scheduler]\nlevels = 9", "scheduler/levels"),
    ("[scheduler]\nmax_wait = [\"1.5s\"]", "scheduler/max_wait/0"),
    ("[[source]]\nack = true", "source/0"),
    ("[[source]]\naddress = \"nowhere\"", "source/0/address"),
    ("[source]\naddress = \"a:1\"", "source"),
    ("[[rule]]\nhours = \"7-11\"\npriority = 1", "rule/0/hours"),
    ("[delivery]\nlisten = 9000", "delivery/listen"),
    ("[threads]\ningest_core = 1024", "threads/ingest_core"),
    ("[store]\nkeep = \"never\"", "store/keep"),
];

#[test]
fn right_files_pass_and_wrong_ones_fail_where_check_refuses_them_too() {
    let schema = schema();
    for (settings, said) in RIGHT.iter().zip(judged(schema.path(), &RIGHT)) {
        assert_eq!(said, "right", "{settings}");
        assert!(checked(settings), "{settings}");
    }
    let wrong = WRONG.map(|(settings, _)| settings);
    for ((settings, place), said) in WRONG.into_iter().zip(judged(schema.path(), &wrong)) {
        assert!(
            said.starts_with(&format!("{place}: ")),
            "{settings}: {said}"
        );
        assert!(!checked(settings), "{settings}");
    }
}
