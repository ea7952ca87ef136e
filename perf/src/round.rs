//! One round: sources, the engine or the relay, subscribers; connected, told to go, measured.
//!
//! ```text
//!  1 sources listen    2 engine or relay dials them    3 sink subscribes    4 go
//!  5 all sent          6 all received, or waited for in vain    7 usage read, all killed
//! ```

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::Serialize;

use crate::child::Child;
use crate::cleanup::Home;
use crate::curve::Curve;
use crate::engine::Settings;
use crate::error::{Context, PerfError};
use crate::frames::FrameBook;
use crate::parts::{Event, SinkReport, SourceReport};
use crate::plan::Plan;
use crate::process::Usage;

const SECOND_NS: f64 = 1e9;
/// A round that takes longer than its plan by this much has hung.
const OVERTIME: Duration = Duration::from_secs(600);

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Subject {
    /// The engine.
    Engine,
    /// The baseline.
    Relay,
}

/// What every round of a run shares.
#[derive(Debug)]
pub(crate) struct Lab {
    /// The engine's program.
    pub(crate) engine: PathBuf,
    /// Where the engine's data lives during a round.
    pub(crate) data: PathBuf,
}

/// What a round showed.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Outcome {
    /// What was measured.
    pub(crate) subject: Subject,
    /// With what.
    pub(crate) plan: Plan,
    /// The engine's settings.
    pub(crate) settings: Option<Settings>,
    /// Bytes of each frame, without its newline.
    pub(crate) frame_len: usize,
    /// From the start of the plan to the last frame's arrival.
    pub(crate) seconds: f64,
    /// Frames a second over that time.
    pub(crate) rate: f64,
    /// What was sent.
    pub(crate) sent: SourceReport,
    /// What arrived.
    pub(crate) received: SinkReport,
    /// The engine's or relay's processor time and waits during the round; its memory at the end.
    pub(crate) usage: Usage,
}

impl Outcome {
    /// Every frame sent arrived once, in order, unchanged, and nothing else did.
    pub(crate) fn is_exact(&self) -> bool {
        let SinkReport { missing, wrong, .. } = self.received;
        missing == 0 && wrong == 0 && self.sent.sent == self.plan.messages
    }

    /// The latencies; empty flat out.
    pub(crate) fn latency(&self) -> Curve {
        self.received.latency.clone().unwrap_or_default()
    }

    /// In a few words: exact, or what was not.
    pub(crate) fn verdict(&self) -> String {
        let SinkReport {
            frames,
            missing,
            wrong,
            first_wrong,
            ..
        } = &self.received;
        match (self.is_exact(), first_wrong) {
            (true, _) => "exact".into(),
            (false, None) => format!("NOT EXACT: {frames} right, {missing} missing"),
            (false, Some(first)) => {
                format!("NOT EXACT: {frames} right, {missing} missing, {wrong} wrong; {first}")
            }
        }
    }
}

/// The engine or the relay, running.
#[derive(Debug)]
pub(crate) struct Running {
    /// The process. Before its home, so that it is gone when that is removed.
    pub(crate) child: Child,
    /// Where subscribers connect.
    pub(crate) address: SocketAddr,
    _home: Option<Home>,
}

impl Lab {
    /// Plays a round.
    ///
    /// # Errors
    /// A process failed. Frames lost or wrong are no error but an outcome.
    pub(crate) fn play(
        &self,
        subject: Subject,
        plan: &Plan,
        settings: &Settings,
    ) -> Result<Outcome, PerfError> {
        let (mut source, addresses) = start_sources(plan)?;
        let running = self.start(subject, plan, settings, &addresses)?;
        let sink = start_sink(plan, running.address, false)?;
        expect_connected(&source)?;
        let before = running.child.usage()?;
        source.go()?;
        let time = OVERTIME + planned_time(plan);
        let sent = match source.event_within(time)? {
            Event::Sent(sent) => sent,
            other => return Err(source.failed(&format!("said {other:?} instead of what it sent"))),
        };
        let received = match sink.event_within(time)? {
            Event::Received(received) => received,
            other => return Err(sink.failed(&format!("said {other:?} instead of its end"))),
        };
        let after = running.child.usage();
        let after = after.map_err(|_| running.child.failed("ended in the middle of a round"))?;
        let settings = (subject == Subject::Engine).then(|| settings.clone());
        let usage = difference(before, after);
        outcome(subject, plan, settings, sent, received, usage)
    }

    /// Starts the engine or the relay between these sources and the subscribers to come.
    ///
    /// # Errors
    /// It does not run.
    pub(crate) fn start(
        &self,
        subject: Subject,
        plan: &Plan,
        settings: &Settings,
        sources: &[SocketAddr],
    ) -> Result<Running, PerfError> {
        let (child, home) = match subject {
            Subject::Engine => {
                let (child, home) = self.start_engine(plan, settings, sources)?;
                (child, Some(home))
            }
            Subject::Relay => (start_relay(plan, sources)?, None),
        };
        let line = child.logged_after("running: ")?;
        let address = address_after(&line, "subscribers on ");
        Ok(Running {
            address: address.ok_or_else(|| child.failed("does not say where it listens"))?,
            child,
            _home: home,
        })
    }

    fn start_engine(
        &self,
        plan: &Plan,
        settings: &Settings,
        sources: &[SocketAddr],
    ) -> Result<(Child, Home), PerfError> {
        let home = Home::new(&self.data)?;
        let file = home.path().join("flipped-lb.toml");
        let text = settings.file(&home.path().join("data"), sources, plan.destinations);
        std::fs::write(&file, text).context("writing the engine's settings")?;
        let words = ["engine", &self.engine.to_string_lossy(), "run", "--config"];
        let mut arguments = words.map(str::to_owned).to_vec();
        arguments.push(file.to_string_lossy().into_owned());
        let child = Child::start_with("engine", &arguments, |it| it.current_dir(home.path()))?;
        home.note_writer(child.pid());
        Ok((child, home))
    }
}

fn start_relay(plan: &Plan, sources: &[SocketAddr]) -> Result<Child, PerfError> {
    let mut arguments = vec!["relay".to_owned(), plan.destinations.to_string()];
    arguments.extend(sources.iter().map(SocketAddr::to_string));
    Child::start("relay", &arguments)
}

/// Starts the message servers; they listen at these addresses.
///
/// # Errors
/// They do not.
pub(crate) fn start_sources(plan: &Plan) -> Result<(Child, Vec<SocketAddr>), PerfError> {
    let source = Child::start("source", &["source".into(), json(plan)?])?;
    match source.event()? {
        Event::Listening { addresses } => Ok((source, addresses)),
        other => Err(source.failed(&format!("said {other:?} instead of where it listens"))),
    }
}

/// Waits until every source has its connection.
///
/// # Errors
/// They have not.
pub(crate) fn expect_connected(source: &Child) -> Result<(), PerfError> {
    match source.event()? {
        Event::Connected => Ok(()),
        other => Err(source.failed(&format!("said {other:?} instead of being connected"))),
    }
}

/// Starts the subscribers and waits until all are subscribed.
///
/// # Errors
/// They are not.
pub(crate) fn start_sink(
    plan: &Plan,
    address: SocketAddr,
    silent: bool,
) -> Result<Child, PerfError> {
    let mut arguments = vec!["sink".to_owned(), json(plan)?, address.to_string()];
    arguments.extend(silent.then(|| "--silent".to_owned()));
    let sink = Child::start("sink", &arguments)?;
    match sink.event()? {
        Event::Subscribed => Ok(sink),
        other => Err(sink.failed(&format!("said {other:?} instead of being subscribed"))),
    }
}

fn json(plan: &Plan) -> Result<String, PerfError> {
    serde_json::to_string(plan).context("rendering the plan")
}

fn planned_time(plan: &Plan) -> Duration {
    Duration::from_secs(plan.rate.map_or(0, |rate| plan.messages / rate))
}

#[expect(
    clippy::cast_precision_loss,
    reason = "frames and ns of a round fit 52 bits"
)]
fn outcome(
    subject: Subject,
    plan: &Plan,
    settings: Option<Settings>,
    sent: SourceReport,
    received: SinkReport,
    usage: Usage,
) -> Result<Outcome, PerfError> {
    let ns = received.last_ns.saturating_sub(sent.start_ns).max(1);
    let seconds = ns as f64 / SECOND_NS;
    Ok(Outcome {
        subject,
        plan: plan.clone(),
        settings,
        frame_len: FrameBook::new(plan)?.line_len() - 1,
        seconds,
        rate: received.frames as f64 / seconds,
        sent,
        received,
        usage,
    })
}

/// What was used between two looks; memory is that of the second.
pub(crate) fn difference(before: Usage, after: Usage) -> Usage {
    Usage {
        cpu_seconds: after.cpu_seconds - before.cpu_seconds,
        waits: after.waits.saturating_sub(before.waits),
        ..after
    }
}

fn address_after(text: &str, mark: &str) -> Option<SocketAddr> {
    let (_, rest) = text.split_once(mark)?;
    let end = rest.find([',', '/', ' ']).unwrap_or(rest.len());
    rest[..end].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_engines_and_the_relays_line_say_where_subscribers_connect() {
        let engine = "4 sources, subscribers on 127.0.0.1:901, data in x, http://127.0.0.1:7/stats";
        for line in [engine, "4 sources, subscribers on 127.0.0.1:901"] {
            let address = address_after(line, "subscribers on ");
            assert_eq!(address, Some(([127, 0, 0, 1], 901).into()));
        }
    }
}
