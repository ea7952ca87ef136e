//! The command as a shell sees it: exit codes, what goes where, pipes that break.
//!
//! Real processes; what the commands do with an engine has tests of its own.

use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The command in an empty directory, without settings from outside.
fn command(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_flipped-lb"));
    command.current_dir(directory).stdin(Stdio::null());
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("FLIPPED_LB_") {
            command.env_remove(name);
        }
    }
    command
}

fn directory() -> tempfile::TempDir {
    tempfile::tempdir().expect("a directory")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn check(directory: &Path, variables: &[(&str, &str)]) -> Output {
    let mut command = command(directory);
    command.arg("check").envs(variables.iter().copied());
    command.output().expect("it starts")
}

#[test]
fn check_explains_the_defaults_where_there_is_no_file() {
    let here = directory();
    let output = check(here.path(), &[]);
    assert_eq!(output.status.code(), Some(0));
    let said = text(&output.stdout);
    assert!(said.starts_with("Settings: the defaults"), "{said}");
    assert!(said.contains("table1, VIP"), "{said}");
    assert_eq!(text(&output.stderr), "");
}

#[test]
fn check_reads_the_file_in_the_current_directory_and_the_environment() {
    let here = directory();
    let file = here.path().join("flipped-lb.toml");
    std::fs::write(&file, "[[destination]]\nid = \"bar\"\n").expect("written");
    let output = check(here.path(), &[("FLIPPED_LB_DURABILITY", "synced")]);
    let said = text(&output.stdout);
    assert!(said.starts_with("Settings: flipped-lb.toml, and FLIPPED_LB_DURABILITY\n"));
    assert!(
        said.contains("bar\n") && said.contains("synced: "),
        "{said}"
    );
}

#[test]
fn wrong_settings_exit_2_with_a_line_for_each_problem_on_standard_error() {
    let here = directory();
    let file = here.path().join("flipped-lb.toml");
    std::fs::write(&file, "\n[scheduler]\nmax_wiat = []\nlevels = 9\n").expect("written");
    let output = check(here.path(), &[("FLIPPED_LB_SCHEDULER_LEVEL", "3")]);
    assert_eq!(output.status.code(), Some(2));
    assert_eq!(text(&output.stdout), "");
    let said = text(&output.stderr);
    for line in [
        "flipped-lb.toml:3:1: unknown key \"max_wiat\" in [scheduler]; did you mean \"max_wait\"?",
        "flipped-lb.toml:4:10: [scheduler] levels: found 9;",
        "FLIPPED_LB_SCHEDULER_LEVEL: no such setting; did you mean FLIPPED_LB_SCHEDULER_LEVELS?",
    ] {
        assert!(said.contains(line), "{line}\n{said}");
    }
}

#[test]
fn the_printed_example_is_a_settings_file() {
    let here = directory();
    let mut example = command(here.path());
    let example = example
        .args(["check", "--example"])
        .output()
        .expect("it starts");
    std::fs::write(here.path().join("flipped-lb.toml"), &example.stdout).expect("written");
    assert_eq!(check(here.path(), &[]).status.code(), Some(0));
}

#[test]
fn a_reader_that_has_gone_is_no_panic() {
    let here = directory();
    for arguments in [&["check"][..], &["check", "--example"], &["--help"]] {
        let (reader, writer) = std::io::pipe().expect("a pipe");
        drop(reader);
        let mut command = command(here.path());
        let output = command
            .args(arguments)
            .stdout(writer)
            .output()
            .expect("it starts");
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        assert_eq!(text(&output.stderr), "", "{arguments:?}");
    }
}

#[test]
fn a_log_level_that_does_not_exist_is_wrong_usage() {
    let here = directory();
    let output = check(here.path(), &[("FLIPPED_LB_LOG", "loud")]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("FLIPPED_LB_LOG: found \"loud\""));
}

#[test]
fn usage_help_and_version_have_their_exit_codes() {
    let here = directory();
    for (arguments, code) in [
        (&["--help"][..], 0),
        (&["--version"], 0),
        (&["help", "publish"], 0),
        (&[], 2),
        (&["chekc"], 2),
        (&["subscribe"], 2),
        (&["publish"], 2),
        (&["subscribe", "t", "--address", "127.0.0.1:1"], 1),
    ] {
        let output = command(here.path())
            .args(arguments)
            .output()
            .expect("it starts");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
}

#[test]
fn doctor_examines_this_machine_and_says_what_is_bad_by_its_exit_code() {
    let here = directory();
    let doctor = |settings: &str| {
        std::fs::write(here.path().join("flipped-lb.toml"), settings).expect("written");
        let output = command(here.path())
            .args(["doctor", "--json", "--seconds", "1"])
            .output();
        let output = output.expect("it starts");
        let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
        (output.status.code(), report)
    };
    let verdicts = |report: &serde_json::Value| -> Vec<(String, String)> {
        let list = report["findings"].as_array().expect("a list").iter();
        list.map(|it| (it["subject"].to_string(), it["verdict"].to_string()))
            .collect()
    };
    let (code, report) = doctor("");
    let found = verdicts(&report);
    assert!(found.len() >= 17, "{report:#}");
    let is_bad = found.iter().any(|(_, verdict)| verdict == "\"bad\"");
    assert_eq!(code, Some(i32::from(is_bad)), "{report:#}");

    let (code, report) = doctor("[threads]\nmode = \"dedicated\"\ningest_core = 1000\n");
    let core = ("\"named cores\"".to_owned(), "\"bad\"".to_owned());
    assert!(verdicts(&report).contains(&core), "{report:#}");
    assert_eq!(code, Some(1));
    let left = std::fs::read_dir(here.path()).expect("it is there").count();
    assert_eq!(left, 1, "the settings alone");
}

#[test]
fn doctor_measures_quiet_and_gives_each_finding_a_verdict() {
    let here = directory();
    let mut doctor = command(here.path());
    let doctor = doctor.args(["doctor", "--format", "json", "--seconds", "1"]);
    let output = doctor.output().expect("it starts");
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let findings = report["findings"].as_array().expect("a list");
    for finding in findings {
        let verdict = finding["verdict"].as_str().expect("a word");
        assert!(["good", "fair", "bad", "unknown"].contains(&verdict));
        assert!(!finding["found"].as_str().expect("words").is_empty());
        let has_advice = finding["advice"].is_string();
        assert_eq!(has_advice, ["fair", "bad"].contains(&verdict), "{finding}");
        assert!(finding["commands"].is_array());
    }
    for subject in [
        "interrupts",
        "irqbalance",
        "hiccups",
        "steal time",
        "disk lasts",
    ] {
        let has = findings.iter().any(|it| it["subject"] == subject);
        assert!(has, "{subject}: {report:#}");
    }
    let hiccups = report["hiccups"].as_array().expect("a list");
    assert!(!hiccups.is_empty(), "{report:#}");
    for core in hiccups {
        assert!(core["core"].is_u64() && core["longest_us"].is_number());
        assert_eq!(core["buckets"].as_array().map(Vec::len), Some(5));
    }
}

#[test]
fn doctor_prints_commands_and_changes_nothing_unless_it_is_told_to() {
    let here = directory();
    let fix = |arguments: &[&str]| {
        let mut doctor = command(here.path());
        let doctor = doctor.args(["doctor", "--seconds", "0"]).args(arguments);
        doctor.output().expect("it starts")
    };
    let output = fix(&["--fix"]);
    assert_eq!(output.status.code(), Some(0));
    let script = text(&output.stdout);
    assert!(script.starts_with("#!/bin/sh\n"), "{script}");
    let is_command = |it: &str| it.is_empty() || it.starts_with('#') || it.starts_with("echo '");
    assert!(script.lines().all(is_command), "{script}");
    assert_eq!(fix(&["--apply"]).status.code(), Some(2), "it needs --fix");
    let left = std::fs::read_dir(here.path()).expect("it is there").count();
    assert_eq!(left, 0);
}

#[test]
fn check_doctor_and_run_say_the_same_of_cores() {
    let here = directory();
    let settings = "[threads]\nmode = \"dedicated\"\nidle = \"spin\"\ningest_core = 1000\n";
    std::fs::write(here.path().join("flipped-lb.toml"), settings).expect("written");
    let what = "core 1000 is not available to this process";
    for (arguments, code) in [
        (&["check"][..], 2),
        (&["doctor", "--seconds", "0"], 1),
        (&["run"], 1),
    ] {
        let output = command(here.path()).args(arguments).output();
        let output = output.expect("it starts");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        let said = text(&[output.stdout, output.stderr].concat());
        assert!(said.contains(what), "{arguments:?}: {said}");
    }
}

#[test]
fn a_store_that_does_not_answer_is_told_as_it_is_and_not_as_the_follower_would() {
    let here = directory();
    for action in ["check", "apply"] {
        let mut command = command(here.path());
        command.env("FLIPPED_LB_STORE_URL", "mysql://me:swordfish@127.0.0.1:1/x");
        let output = command
            .args(["schema", action])
            .output()
            .expect("it starts");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{said}");
        assert!(
            said.starts_with("flipped-lb: mysql://me@127.0.0.1:1/x: "),
            "{said}"
        );
        assert!(
            !said.contains("tried again") && !said.contains("swordfish"),
            "{said}"
        );
    }
}

#[test]
fn the_demo_delivers_all_and_ends_with_commands_that_work_as_they_stand() {
    let here = directory();
    let mut demo = command(here.path());
    demo.args(["demo", "--seconds", "1", "--rate", "200"])
        .env("FLIPPED_LB_ADMIN_LISTEN", "127.0.0.1:0")
        .env("FLIPPED_LB_DELIVERY_LISTEN", "127.0.0.1:0");
    let output = demo.output().expect("it starts");
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(text(&output.stdout).contains("=== DELIVERY STATISTICS ==="));
    let hint = |what: &str| {
        let begin = format!("flipped-lb: demo: {what}: ");
        let line = said.lines().find_map(|it| it.strip_prefix(&*begin));
        line.unwrap_or_else(|| panic!("no {what}: {said}"))
            .to_owned()
    };
    for what in ["latencies", "rows"] {
        let mut shell = Command::new("/bin/sh");
        // No `flipped-lb` is on PATH, as under `cargo run`.
        shell
            .args(["-c", &hint(what)])
            .current_dir(here.path())
            .env("PATH", "/nowhere");
        let ran = shell.output().expect("it starts");
        assert!(ran.status.success(), "{what}: {}", text(&ran.stderr));
    }
    let picture = std::fs::read_to_string(here.path().join("latency.svg"));
    assert!(picture.expect("it is drawn").starts_with("<svg"));
}
