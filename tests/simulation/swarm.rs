//! Many seeds, one after the other; the first that fails ends it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::{Duration, Instant};

use crate::failure::Failure;
use crate::plan::{Month, Plan};
use crate::tally::{EXPECTED, Tally};
use crate::world::{Outcome, World};

/// What a swarm has seen.
#[derive(Debug, Default)]
pub struct Summary {
    pub seeds: u64,
    pub lives: usize,
    pub handed: usize,
    pub turns: usize,
}

/// Runs a seed. A panic of the engine is a failure like any other.
pub fn run(seed: u64) -> Result<Outcome, Box<Failure>> {
    run_counted(seed, Tally::default())
}

/// Runs a month.
pub fn run_month(seed: u64, month: Month) -> Result<Outcome, Box<Failure>> {
    let mut world = World::new(Plan::month(seed, month), Tally::default());
    caught(&mut world, World::run_month)
}

fn run_counted(seed: u64, tally: Tally) -> Result<Outcome, Box<Failure>> {
    let mut world = World::new(Plan::draw(seed), tally);
    caught(&mut world, World::run)
}

fn caught(
    world: &mut World,
    run: impl FnOnce(&mut World) -> Result<Outcome, Failure>,
) -> Result<Outcome, Box<Failure>> {
    match catch_unwind(AssertUnwindSafe(|| run(world))) {
        Ok(result) => result.map_err(Box::new),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|&it| it.to_owned()));
            let what = format!("a panic: {}", text.unwrap_or_default());
            Err(Box::new(world.failure("panic", what)))
        }
    }
}

/// What a census has found.
pub struct Census {
    /// Seeds that failed, by checker.
    pub failures: BTreeMap<&'static str, Vec<u64>>,
    /// Faults that no seed has met.
    pub missing: Vec<&'static str>,
}

/// Runs so many seeds from `first` on, all of them, or those with small disks, and counts by checker
/// what fails, and what was met.
pub fn census(first: u64, count: u64, only_small_disks: bool) -> Census {
    let (tally, begun) = (Tally::default(), Instant::now());
    let mut failures: BTreeMap<&'static str, Vec<u64>> = BTreeMap::new();
    for seed in first..first + count {
        if only_small_disks && !Plan::draw(seed).has_small_disk() {
            continue;
        }
        if let Err(failure) = run_counted(seed, tally.clone()) {
            println!("{seed}: {}: {}", failure.checker, failure.what);
            failures.entry(failure.checker).or_default().push(seed);
        }
    }
    for (checker, seeds) in &failures {
        println!(
            "{checker}: {} of {count} seeds, {} first",
            seeds.len(),
            seeds[0]
        );
    }
    let met = tally.all();
    met.iter()
        .for_each(|(what, times)| println!("met: {what}: {times} times"));
    println!(
        "{count} seeds from {first} on in {:.1} s",
        begun.elapsed().as_secs_f64()
    );
    let is_missing = |it: &&str| !met.contains_key(*it);
    Census {
        failures,
        missing: EXPECTED.iter().copied().filter(is_missing).collect(),
    }
}

/// Runs seeds from `first` on: so many, or for so long.
pub fn swarm(first: u64, count: u64, time: Option<Duration>) -> Summary {
    let begun = Instant::now();
    let mut summary = Summary::default();
    while match time {
        Some(time) => begun.elapsed() < time,
        None => summary.seeds < count,
    } {
        let outcome = run(first.wrapping_add(summary.seeds)).unwrap_or_else(|it| panic!("{it}"));
        summary.seeds += 1;
        summary.lives += outcome.lives;
        summary.handed += outcome.handed;
        summary.turns += outcome.turns;
    }
    println!("{summary:?} in {:.1} s", begun.elapsed().as_secs_f64());
    summary
}
