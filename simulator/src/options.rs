//! What to simulate, and whether that makes sense.
//!
//! The command's arguments and the tests of other crates fill it in; `simulation` turns it into
//! servers.

use std::collections::HashSet;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use crate::error::SimulatorError;
use crate::frame::{FrameSpec, len_min};
use crate::limits::{FRAME_LEN_DEFAULT, MAX_LINE, MAX_LINE_MAX, MAX_LINE_MIN, NAME_LEN_MAX};
use crate::orders::Faults;
use crate::schedule::Pace;
use crate::stream::StreamSpec;
use crate::tls::TlsFiles;

/// Which side opens the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// The engine dials this server, which listens here. Port 0: any free port, see
    /// [`crate::Handle::addresses`].
    Listen(SocketAddr),
    /// This server dials an engine that listens there, again and again.
    Dial(SocketAddr),
}

/// One message server.
#[derive(Clone, Debug)]
pub struct ServerOptions {
    /// Its `sourceServerId`.
    pub name: String,
    /// Where it meets the engine.
    pub endpoint: Endpoint,
}

/// What to simulate. The default: server1 to server4 on 127.0.0.1:8001 to 8004 at a human pace.
#[derive(Clone, Debug)]
pub struct Options {
    /// The servers; their names differ.
    pub servers: Vec<ServerOptions>,
    /// The `destinationId`s; they differ.
    pub destinations: Vec<String>,
    /// How fast each server makes lines (faulty ones included).
    pub pace: Pace,
    /// Valid, distinct frames a server makes; duplicates and malformed lines come on top.
    pub count: Option<u64>,
    /// After `count` frames, end the connection; else it stays open until the peer closes it.
    pub close_at_end: bool,
    /// Bytes of a frame without newline. `None`: as the order happens to be at a human pace, else
    /// [`FRAME_LEN_DEFAULT`], or the shortest possible where names are longer than that allows.
    pub size: Option<usize>,
    /// Makes the same orders, pauses and faults again. `None`: chosen at random.
    pub seed: Option<u64>,
    /// The end of each `messageId`. `None`: chosen at random, so that no two runs share an id.
    pub run: Option<u32>,
    /// Percent of the lines that repeat an earlier frame.
    pub duplicates_percent: f64,
    /// Percent of the lines that are malformed.
    pub malformed_percent: f64,
    /// The engine's `max_line`: oversize lines are longer.
    pub max_line: usize,
    /// Drop the connection after so many lines (lines sent again do not count), every other time in
    /// the middle of the next line.
    pub disconnect_every: Option<u64>,
    /// Read acknowledgements, and send again after a reconnect what was not acknowledged.
    pub ack: bool,
    /// The listening servers speak TLS, and show this certificate.
    pub tls: Option<TlsFiles>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            servers: listening(4, IpAddr::V4(Ipv4Addr::LOCALHOST), 8001),
            destinations: tables(4),
            pace: Pace::Human,
            count: None,
            close_at_end: false,
            size: None,
            seed: None,
            run: None,
            duplicates_percent: 0.0,
            malformed_percent: 0.0,
            max_line: MAX_LINE,
            disconnect_every: None,
            ack: false,
            tls: None,
        }
    }
}

/// server1 to serverN, listening on ports one after another; base port 0: any free ports.
#[must_use]
pub fn listening(servers: u16, host: IpAddr, base_port: u16) -> Vec<ServerOptions> {
    let port = |n: u16| {
        if base_port == 0 {
            0
        } else {
            base_port.saturating_add(n)
        }
    };
    let endpoint = |n| Endpoint::Listen(SocketAddr::new(host, port(n)));
    (0..servers)
        .map(|n| ServerOptions {
            name: format!("server{}", u32::from(n) + 1),
            endpoint: endpoint(n),
        })
        .collect()
}

/// table1 to tableN.
#[must_use]
pub fn tables(destinations: usize) -> Vec<String> {
    (1..=destinations).map(|n| format!("table{n}")).collect()
}

impl Options {
    /// # Errors
    /// The first thing that makes no sense.
    pub(crate) fn check(&self) -> Result<(), SimulatorError> {
        check_names(
            "server",
            self.servers.iter().map(|server| server.name.as_str()),
        )?;
        check_names("destination", self.destinations.iter().map(String::as_str))?;
        self.check_pace()?;
        let percents = [self.duplicates_percent, self.malformed_percent];
        if percents
            .iter()
            .any(|percent| !(0.0..=100.0).contains(percent))
            || percents.iter().sum::<f64>() > 90.0
        {
            let value = format!("{} and {}", percents[0], percents[1]);
            return out_of_range(
                "--duplicates and --malformed",
                value,
                "at most 90 % together",
            );
        }
        if self.disconnect_every == Some(0) {
            return out_of_range("--disconnect-every", "0".into(), "1 or more");
        }
        if !(MAX_LINE_MIN..=MAX_LINE_MAX).contains(&self.max_line) {
            return out_of_range("--max-line", self.max_line.to_string(), "1 KiB to 16 MiB");
        }
        if self.size.is_some_and(|size| size > self.max_line) {
            let value = self.size.unwrap_or(0).to_string();
            return out_of_range("--size", value, "no longer than --max-line");
        }
        Ok(())
    }

    fn check_pace(&self) -> Result<(), SimulatorError> {
        let Pace::Rate { per_second, burst } = self.pace else {
            return Ok(());
        };
        if !(0.001..=1e9).contains(&per_second) {
            return out_of_range(
                "--rate",
                per_second.to_string(),
                "0.001 to 1000000000, or max",
            );
        }
        if burst == 0 {
            return out_of_range("--burst", "0".into(), "1 or more");
        }
        Ok(())
    }

    /// What the frames of the server at `index` are like.
    pub(crate) fn frame_spec(&self, index: usize, seed: u64, run: u32) -> FrameSpec {
        let human = self.pace == Pace::Human;
        let mut spec = FrameSpec {
            server: self.servers[index].name.clone(),
            destinations: self.destinations.clone(),
            len: self.size,
            fresh: human,
            seed,
            run,
        };
        if self.size.is_none() && !human {
            spec.len = Some(FRAME_LEN_DEFAULT.max(len_min(&spec)));
        }
        spec
    }

    pub(crate) fn faults(&self) -> Faults {
        Faults {
            duplicates_percent: self.duplicates_percent,
            malformed_percent: self.malformed_percent,
            max_line: self.max_line,
        }
    }

    pub(crate) fn stream_spec(&self, seed: u64) -> StreamSpec {
        StreamSpec {
            pace: self.pace,
            count: self.count,
            disconnect_every: self.disconnect_every,
            ack: self.ack,
            seed,
        }
    }
}

fn out_of_range(
    what: &'static str,
    value: String,
    rule: &'static str,
) -> Result<(), SimulatorError> {
    Err(SimulatorError::OutOfRange { what, value, rule })
}

fn check_names<'a>(
    what: &'static str,
    names: impl Iterator<Item = &'a str>,
) -> Result<(), SimulatorError> {
    let mut seen = HashSet::new();
    for name in names {
        let plain = !name.contains(['"', '\\']) && !name.contains(char::is_control);
        if !plain || name.is_empty() || name.len() > NAME_LEN_MAX {
            return Err(SimulatorError::Name {
                what,
                name: name.into(),
            });
        }
        if !seen.insert(name) {
            return Err(SimulatorError::NamedTwice {
                what,
                name: name.into(),
            });
        }
    }
    if seen.is_empty() {
        Err(SimulatorError::None { what })
    } else {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(change: impl FnOnce(&mut Options)) -> String {
        let mut options = Options::default();
        change(&mut options);
        options.check().expect_err("refused").to_string()
    }

    #[test]
    fn the_default_is_the_four_servers_of_the_example() {
        let options = Options::default();
        options.check().expect("the default makes sense");
        let last = &options.servers[3];
        assert_eq!(last.name, "server4");
        assert_eq!(
            last.endpoint,
            Endpoint::Listen(([127, 0, 0, 1], 8004).into())
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_what_to_do() {
        assert!(refusal(|o| o.servers.clear()).contains("name at least one"));
        assert!(refusal(|o| o.servers[1].name = "server1".into()).contains("twice"));
        assert!(refusal(|o| o.destinations[0] = "a\"b".into()).contains("without quotes"));
        assert!(refusal(|o| o.destinations[0] = "x".repeat(51)).contains("1 to 50"));
        assert!(refusal(|o| o.malformed_percent = 101.0).contains("--malformed"));
        assert!(refusal(|o| o.disconnect_every = Some(0)).contains("1 or more"));
        assert!(refusal(|o| o.size = Some(70_000)).contains("--max-line"));
        let rate = |per_second, burst| Pace::Rate { per_second, burst };
        assert!(refusal(|o| o.pace = rate(0.0, 1)).contains("max"));
        assert!(refusal(|o| o.pace = rate(1.0, 0)).contains("--burst"));
    }

    #[test]
    fn long_names_lengthen_the_default_frame() {
        let mut options = Options {
            pace: Pace::FlatOut,
            ..Options::default()
        };
        assert_eq!(options.frame_spec(0, 1, 1).len, Some(FRAME_LEN_DEFAULT));
        options.destinations = vec!["x".repeat(50)];
        options.servers[0].name = "y".repeat(50);
        let spec = options.frame_spec(0, 1, 1);
        assert!(spec.len >= Some(len_min(&spec)));
    }
}
