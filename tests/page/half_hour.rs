//! The page open for half an hour beside 10,000 messages a second: neither the engine nor the browser grows.
//! It is run by hand, and prints a line a minute:
//! `cargo nextest run --release --test page --run-ignored only --no-capture half_an_hour`.

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::browser::ARGUMENTS;
use crate::support::Engine;
use crate::{SETTINGS, Traffic, address};

const MINUTES: usize = 30;
/// Caches fill up in the first of them.
const FIRST_MINUTES: usize = 10;
/// Every 20 ms.
const LINES: usize = 200;
/// What garbage collection may leave.
const GROWTH_MAX: f64 = 1.1;

/// A browser that nobody drives: a driver would keep what the page is sent.
struct Alone {
    child: Child,
    _profile: tempfile::TempDir,
}

impl Alone {
    fn open(url: &str) -> Self {
        let profile = tempfile::tempdir().expect("a directory");
        let child = Command::new("chromium")
            .args(ARGUMENTS)
            .arg("--remote-debugging-port=0")
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .arg(url)
            .process_group(0)
            .stderr(Stdio::null())
            .spawn()
            .expect("test.sh installs the Debian package chromium");
        Self {
            child,
            _profile: profile,
        }
    }

    /// What all its processes hold, in KiB: what they share is counted once.
    fn resident_kib(&self) -> u64 {
        let processes = fs::read_dir("/proc").expect("Linux");
        let processes = processes.filter_map(|it| it.ok()?.file_name().into_string().ok());
        let own = processes.filter(|it| {
            let stat = fs::read_to_string(format!("/proc/{it}/stat")).unwrap_or_default();
            // Behind the name, which may hold anything: state, parent, group.
            let group = stat.rsplit(')').next().and_then(|it| it.split(' ').nth(3));
            group.is_some_and(|it| it == self.child.id().to_string())
        });
        own.map(|it| {
            let sizes = fs::read_to_string(format!("/proc/{it}/smaps_rollup")).unwrap_or_default();
            let size = sizes.lines().find_map(|it| it.strip_prefix("Pss:"));
            let kib = size.and_then(|it| it.trim().trim_end_matches(" kB").parse::<u64>().ok());
            kib.unwrap_or(0)
        })
        .sum()
    }
}

impl Drop for Alone {
    fn drop(&mut self) {
        let group = format!("-{}", self.child.id());
        let _ = Command::new("kill").args(["-KILL", "--", &group]).status();
        let _ = self.child.wait();
    }
}

fn median(values: &[u64]) -> f64 {
    let mut values = values.to_vec();
    values.sort_unstable();
    values[values.len() / 2] as f64
}

#[test]
#[ignore = "it takes half an hour"]
fn open_for_half_an_hour_nothing_grows() {
    let engine = Engine::start(SETTINGS);
    let mut traffic = Traffic::of(&engine, LINES, &["table1", "table2", "table3", "table4"]);
    let browser = Alone::open(&address(&engine));
    let begun = Instant::now();
    let (mut of_engine, mut of_browser) = (Vec::new(), Vec::new());
    for minute in 1..=MINUTES {
        let due = begun + Duration::from_secs(60) * minute as u32;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        // The page is followed, and this asks.
        let stats = engine.wait("the page", |it| it["http_connected"].as_u64() >= Some(2));
        of_engine.push(engine.resident_kib());
        of_browser.push(browser.resident_kib());
        println!(
            "minute {minute}: engine {} KiB, browser {} KiB, received {}, {} a second",
            of_engine[minute - 1],
            of_browser[minute - 1],
            stats["received"],
            stats["rates"]["received"]
        );
    }
    traffic.end();
    for (name, seen) in [("engine", of_engine), ("browser", of_browser)] {
        let (before, after) = seen[FIRST_MINUTES..].split_at((MINUTES - FIRST_MINUTES) / 2);
        let growth = median(after) / median(before);
        println!("{name}: {growth:.3} of what it was");
        assert!(growth < GROWTH_MAX, "{name}: {seen:?}");
    }
}
