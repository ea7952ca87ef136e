//! An engine that was killed with a long journal: how long until it is there again.

use std::time::Instant;

use super::prelude::*;

const ROUNDS: u32 = 2;
const MESSAGES: [u64; 2] = [10_000_000, 100_000];
/// "Ten million records in seconds": not more than ten of them.
const SECONDS_A_MESSAGE_MAX: f64 = 10.0 / 10_000_000.0;

const READY: Figure = extra("ready after", "ready_seconds", Unit::Seconds);
const RECORDS: Figure = extra("records a second", "records_a_second", Unit::Count);
const READY_CPU: Figure = extra("CPU until then", "ready_cpu_seconds", Unit::Seconds);
const READY_RESIDENT: Figure = extra("resident then", "ready_resident", Unit::Bytes);
const READY_RESIDENT_MAX: Figure = extra("at most until then", "ready_resident_max", Unit::Bytes);

const TEXT: &str = "Four sources send to a customer who is absent; when the engine has accepted \
all, it is killed as by `kill -9` and started again. Ready is when it says that it runs: it has \
read its journal, knows every message that waits and every id of the dedup window. Then the \
customer comes, and checks that each message is there exactly once, in order. The journal is in \
the system's cache, and partly not yet on the disk, as after a crash of the engine alone. CPU a \
message is that of reading the journal and delivering.";

#[derive(Debug, Clone, Args)]
pub(crate) struct RecoveryArgs {
    /// Messages in the journal [default: 10000000].
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    messages: Option<u64>,
}

impl Bench for RecoveryArgs {
    fn run(&self, stage: &Stage<'_>) -> Result<Section> {
        let testbed = stage.testbed;
        let messages = stage.pick(self.messages, MESSAGES);
        say(format!("recovery: {messages} messages in the journal"));
        let plan = Plan {
            destinations: 1,
            ..Plan::flat_out(messages, FRAME_LEN)
        };
        let side = Contestant::new(Subject::Engine, &plan, &stage.settings())
            .playing(|it| killed_and_ready(testbed, it));
        let played = stage.play(&[side], ROUNDS)?;
        let ready = Unit::Seconds.show(played[0].spread(&READY).mid);
        let limit = (SECONDS_A_MESSAGE_MAX * messages as f64).max(1.0);
        let rounds = &played[0].outcomes;
        let names: Vec<String> = (1..=rounds.len()).map(|it| format!("round {it}")).collect();
        let values = rounds.iter().map(|it| Spread::at(READY.of(it))).collect();
        let title = format!("Recovery of {messages} messages");
        let aims = [(format!("aim: {limit:.1} s"), limit)];
        let y = Axis::linear("ready after", Unit::Seconds);
        let sheet = Sheet::new("ready", &title).with_aims(&aims);
        let figures = [
            READY,
            RECORDS,
            READY_CPU,
            READY_RESIDENT,
            READY_RESIDENT_MAX,
        ];
        Ok(Section {
            title: format!("Recovery: a journal of {messages} messages, no store"),
            summary: format!(
                "Killed with {messages} messages in its journal, it is ready again after {ready}."
            ),
            text: TEXT.into(),
            aims: vec![played[0].aim_at_most("ready after", &READY, limit)],
            pictures: vec![sheet.bars(y, &names, &[("engine".to_owned(), values)])?],
            ..Section::of_rounds(&[], &played, &figures, ALONE)
        })
    }
}

/// One life after another.
fn killed_and_ready(testbed: &Testbed, it: &Contestant<'_>) -> Result<Outcome> {
    let messages = it.plan.messages;
    let (engine, mut lane) = testbed.filled(&it.settings, &it.plan)?;
    let sent = lane.sent()?;
    let home = engine.kill().expect("an engine has a home");
    let begun = Instant::now();
    let engine = testbed.start_engine_in(home, &it.settings)?;
    let seconds = begun.elapsed().as_secs_f64();
    let ready = engine.child.usage()?;
    lane.subscribe(engine.address, &[])?;
    let reports = (sent, lane.received()?);
    let usage = engine.child.usage()?;
    let bytes = |kib: u64| kib as f64 * 1024.0;
    let outcome = Outcome::of(&engine, &lane, reports, usage)?;
    Ok(outcome
        .with(&READY, seconds)
        .with(&RECORDS, messages as f64 / seconds)
        .with(&READY_CPU, ready.cpu_seconds)
        .with(&READY_RESIDENT, bytes(ready.resident_kib))
        .with(&READY_RESIDENT_MAX, bytes(ready.resident_max_kib)))
}
