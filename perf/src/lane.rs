//! A lane: the sources and the subscribers of one plan, a process each. A round has one or more.
//!
//! ```text
//!  1 sources listen    2 engine or relay dials them    3 sink subscribes    4 go
//!  5 all sent          6 all received, or waited for in vain
//! ```

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Error, Result};
use serde::Serialize;

use crate::child::Child;
use crate::parts::{Event, SinkReport, SourceReport};
use crate::plan::Plan;
use crate::process::Usage;
use crate::testbed::Running;

/// A round that takes longer than its plan by this much has hung.
const OVERTIME: Duration = Duration::from_secs(600);

/// The sources and, once they subscribed, the subscribers of a plan.
#[derive(Debug)]
pub(crate) struct Lane {
    /// What they send and expect.
    pub(crate) plan: Plan,
    source: Child,
    sink: Option<Child>,
    before: [Usage; 2],
}

/// What sources and subscribers themselves used from go to the end.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub(crate) struct Harness {
    pub(crate) source: Usage,
    pub(crate) sink: Usage,
}

impl Lane {
    /// Starts the sources; they listen at these addresses.
    pub(crate) fn listening(plan: Plan) -> Result<(Self, Vec<SocketAddr>)> {
        let lane = Self::start(plan, &[])?;
        match lane.source.event()? {
            Event::Listening { addresses } => Ok((lane, addresses)),
            other => Err(unexpected(&lane.source, &other)),
        }
    }

    /// Starts the sources, which publish to the nats-server there.
    pub(crate) fn publishing(plan: Plan, nats: SocketAddr) -> Result<Self> {
        Self::start(plan, &["--nats".to_owned(), nats.to_string()])
    }

    fn start(plan: Plan, more: &[String]) -> Result<Self> {
        let arguments = [&["source".to_owned(), json(&plan)?], more].concat();
        Ok(Self {
            source: Child::start("source", &arguments)?,
            plan,
            sink: None,
            before: [Usage::default(); 2],
        })
    }

    /// Starts the subscribers and waits until all are subscribed there; with `--silent` they read
    /// nothing.
    pub(crate) fn subscribe(&mut self, to: SocketAddr, flags: &[&str]) -> Result<()> {
        let mut arguments = vec!["sink".to_owned(), json(&self.plan)?, to.to_string()];
        arguments.extend(flags.iter().map(|&it| it.to_owned()));
        let sink = Child::start("sink", &arguments)?;
        match sink.event()? {
            Event::Subscribed => self.before[1] = sink.usage()?,
            other => return Err(unexpected(&sink, &other)),
        }
        self.sink = Some(sink);
        Ok(())
    }

    /// Starts the subscribers, and waits until all parties are connected.
    pub(crate) fn join(&mut self, to: &Running) -> Result<()> {
        self.subscribe(to.address, &[])?;
        self.expect_connected()
    }

    /// Waits until every source has its connection.
    pub(crate) fn expect_connected(&self) -> Result<()> {
        match self.source.event()? {
            Event::Connected => Ok(()),
            other => Err(unexpected(&self.source, &other)),
        }
    }

    /// The sources begin.
    pub(crate) fn go(&mut self) -> Result<()> {
        self.before[0] = self.source.usage()?;
        self.source.go()
    }

    /// What the sources sent, once they have sent all.
    pub(crate) fn sent(&self) -> Result<SourceReport> {
        match self.source.event_within(self.time_max())? {
            Event::Sent(sent) => Ok(sent),
            other => Err(unexpected(&self.source, &other)),
        }
    }

    /// What the subscribers received, once they have all or wait no longer.
    pub(crate) fn received(&self) -> Result<SinkReport> {
        let sink = self.sink.as_ref().expect("somebody subscribed");
        match sink.event_within(self.time_max())? {
            Event::Received(received) => Ok(received),
            other => Err(unexpected(sink, &other)),
        }
    }

    /// What the harness itself used since go.
    pub(crate) fn harness(&self) -> Result<Harness> {
        let sink = match &self.sink {
            Some(sink) => sink.usage()?.since(self.before[1]),
            None => Usage::default(),
        };
        Ok(Harness {
            source: self.source.usage()?.since(self.before[0]),
            sink,
        })
    }

    fn time_max(&self) -> Duration {
        let slowest = [self.plan.rate, self.plan.reader_rate]
            .into_iter()
            .flatten()
            .min();
        let planned = slowest.map_or(0, |rate| self.plan.messages / rate.max(1));
        OVERTIME + Duration::from_secs(planned)
    }
}

fn unexpected(child: &Child, event: &Event) -> Error {
    child.failed(&format!("said {event:?} instead of what comes next"))
}

fn json(plan: &Plan) -> Result<String> {
    serde_json::to_string(plan).context("rendering the plan")
}
