//! The command's arguments, and what they mean as [`Options`].
//!
//! `main` parses them; the library checks the result. Nothing is started here.

use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;

use clap::Parser;
use message_server_simulator::limits::MAX_LINE;
use message_server_simulator::{
    Endpoint, Options, Pace, ServerOptions, SimulatorError, TlsFiles, listening, tables,
};

const EXAMPLES: &str = "\
Examples:
  message-server-simulator
      server1 to server4 on 127.0.0.1:8001 to 8004, at a human pace; look with: nc 127.0.0.1 8001
  message-server-simulator --server server1 --port 8001
      one of them
  message-server-simulator --rate 2500
      10,000 lines a second from the four together, each stamped with the time it was due
  message-server-simulator --rate max --count 1000000
      a million frames from each server, as fast as they are taken
  message-server-simulator --rate 1000 --duplicates 1 --malformed 0.5 --disconnect-every 5000 --ack
      trouble of all kinds
  message-server-simulator --dial 127.0.0.1:9001 --ack --rate 2500
      producers that dial in to an engine that listens
  message-server-simulator --tls-cert server.pem --tls-key server.key
      servers that speak TLS, for [[source]] tls = true

A server serves one connection at a time: the newest wins, the older is closed. A peer that ends its
side counts as gone. Ctrl-C stops, prints the totals, and exits with 0.";

/// Plays message servers: writes orders as NDJSON frames to whoever connects.
#[derive(Debug, Parser)]
#[command(version, after_help = EXAMPLES)]
pub(crate) struct Cli {
    /// Play this one server only
    #[arg(long, value_name = "NAME", conflicts_with_all = ["servers", "base_port"])]
    server: Option<String>,

    /// The port of that one server (0: any free one)
    #[arg(long, requires = "server", default_value_t = 8001)]
    port: u16,

    /// Play server1 to serverN
    #[arg(long, value_name = "N", default_value_t = 4)]
    servers: u16,

    /// server1 listens here, the others on the ports after it (0: any free ones)
    #[arg(long, value_name = "PORT", default_value_t = 8001)]
    base_port: u16,

    /// The address to listen on
    #[arg(long, default_value = "127.0.0.1")]
    host: String,

    /// Do not listen: dial an engine that does ([ingest] listen), and dial again when it is gone
    #[arg(long, value_name = "HOST:PORT", conflicts_with_all = ["host", "port", "base_port"])]
    dial: Option<String>,

    /// How many destinations (table1 to tableN), or their ids with commas between
    #[arg(long, value_name = "N|IDS", default_value = "4", value_parser = parse_destinations)]
    destinations: Destinations,

    /// Lines a second and server, or max: as fast as they are taken [default: a human pace]
    ///
    /// The rate is open loop: a line is due when the rate says so, however slow the peer is, and
    /// carries that time as its timestamp. It begins with the first connection and does not pause.
    #[arg(long, value_name = "R|max", value_parser = parse_rate)]
    rate: Option<Rate>,

    /// Valid frames a server; then the connection stays open until the peer closes it
    #[arg(long, value_name = "N")]
    count: Option<u64>,

    /// After --count frames, end the connection, and exit when all servers are done
    #[arg(long, requires = "count")]
    close_at_end: bool,

    /// Lines due at once, at the same mean rate
    #[arg(long, value_name = "N", default_value_t = 1, requires = "rate")]
    burst: u32,

    /// Bytes of a frame [default: 390; at a human pace as the order happens to be]
    #[arg(long, value_name = "BYTES")]
    size: Option<usize>,

    /// Make the same orders again (under new ids)
    #[arg(long)]
    seed: Option<u64>,

    /// The 8 hex digits at the end of each messageId [default: random, so that runs share no id]
    #[arg(long, value_name = "HEX", value_parser = parse_run)]
    run: Option<u32>,

    /// Percent of the lines that repeat an earlier frame
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    duplicates: f64,

    /// Percent of the lines that the engine must reject, for each of its reasons in turn
    #[arg(long, value_name = "PERCENT", default_value_t = 0.0)]
    malformed: f64,

    /// The engine's max_line in bytes: oversize lines are longer
    #[arg(long, value_name = "BYTES", default_value_t = MAX_LINE)]
    max_line: usize,

    /// Drop the connection after so many lines, at times inside the next one, which is sent again
    #[arg(long, value_name = "N")]
    disconnect_every: Option<u64>,

    /// Read {"ack":N} lines, and send again after a reconnect what was not acknowledged
    #[arg(long)]
    ack: bool,

    /// Speak TLS: the file of the certificate, and those that lead to its authority (PEM)
    #[arg(
        long,
        value_name = "FILE",
        requires = "tls_key",
        conflicts_with = "dial"
    )]
    tls_cert: Option<PathBuf>,

    /// The file of that certificate's key (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_key: Option<PathBuf>,

    /// Refuse whoever has no certificate of these authorities (PEM)
    #[arg(long, value_name = "FILE", requires = "tls_cert")]
    tls_client_ca: Option<PathBuf>,

    /// No progress line each second
    #[arg(long, short)]
    quiet: bool,
}

#[derive(Clone, Debug)]
struct Destinations(Vec<String>);

#[derive(Clone, Copy, Debug)]
enum Rate {
    PerSecond(f64),
    Max,
}

impl Cli {
    /// # Errors
    /// A host that does not resolve.
    pub(crate) fn options(&self) -> Result<Options, SimulatorError> {
        Ok(Options {
            servers: self.servers()?,
            destinations: self.destinations.0.clone(),
            pace: self.pace(),
            count: self.count,
            close_at_end: self.close_at_end,
            size: self.size,
            seed: self.seed,
            run: self.run,
            duplicates_percent: self.duplicates,
            malformed_percent: self.malformed,
            max_line: self.max_line,
            disconnect_every: self.disconnect_every,
            ack: self.ack,
            tls: self.tls(),
        })
    }

    fn tls(&self) -> Option<TlsFiles> {
        let (cert, key) = self.tls_cert.clone().zip(self.tls_key.clone())?;
        Some(TlsFiles {
            cert,
            key,
            client_ca: self.tls_client_ca.clone(),
        })
    }

    /// A progress line makes sense under load; at a human pace it would only be in the way.
    pub(crate) fn shows_progress(&self) -> bool {
        self.rate.is_some() && !self.quiet
    }

    pub(crate) fn exits_when_finished(&self) -> bool {
        self.close_at_end
    }

    pub(crate) fn dials(&self) -> bool {
        self.dial.is_some()
    }

    fn pace(&self) -> Pace {
        match self.rate {
            None => Pace::Human,
            Some(Rate::Max) => Pace::FlatOut,
            Some(Rate::PerSecond(per_second)) => Pace::Rate {
                per_second,
                burst: self.burst,
            },
        }
    }

    fn servers(&self) -> Result<Vec<ServerOptions>, SimulatorError> {
        let base_port = if self.server.is_some() {
            self.port
        } else {
            self.base_port
        };
        let last = u32::from(base_port) + u32::from(self.servers.max(1)) - 1;
        if self.server.is_none() && last > u32::from(u16::MAX) {
            let (value, rule) = (last.to_string(), "at most 65535: ask for fewer --servers");
            return Err(SimulatorError::OutOfRange {
                what: "the last port",
                value,
                rule,
            });
        }
        let host = if self.dial.is_some() {
            "127.0.0.1"
        } else {
            &self.host
        };
        let count = if self.server.is_some() {
            1
        } else {
            self.servers
        };
        let mut servers = listening(count, resolve(host, (host, 0))?.ip(), base_port);
        if let (Some(name), [one]) = (&self.server, servers.as_mut_slice()) {
            one.name.clone_from(name);
        }
        if let Some(dial) = &self.dial {
            let endpoint = Endpoint::Dial(resolve(dial, dial.as_str())?);
            servers
                .iter_mut()
                .for_each(|server| server.endpoint = endpoint);
        }
        Ok(servers)
    }
}

fn resolve(host: &str, address: impl ToSocketAddrs) -> Result<SocketAddr, SimulatorError> {
    let refused = |reason: String| SimulatorError::Host {
        host: host.to_owned(),
        reason,
    };
    let mut found = address
        .to_socket_addrs()
        .map_err(|error| refused(error.to_string()))?;
    found
        .next()
        .ok_or_else(|| refused("no address found".into()))
}

fn parse_destinations(text: &str) -> Result<Destinations, String> {
    Ok(Destinations(match text.parse() {
        Ok(count) => tables(count),
        Err(_) => text.split(',').map(|id| id.trim().to_owned()).collect(),
    }))
}

fn parse_rate(text: &str) -> Result<Rate, String> {
    if text == "max" {
        return Ok(Rate::Max);
    }
    match text.replace('_', "").parse::<f64>() {
        Ok(rate) if rate > 0.0 => Ok(Rate::PerSecond(rate)),
        _ => Err("give lines a second, such as 2500 or 0.5, or max for as fast as possible".into()),
    }
}

fn parse_run(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 16).map_err(|_| "give up to 8 hex digits, such as abc12345".into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory as _;

    fn options(arguments: &str) -> Options {
        let words = std::iter::once("simulator").chain(arguments.split_whitespace());
        Cli::try_parse_from(words)
            .expect("good arguments")
            .options()
            .expect("good options")
    }

    #[test]
    fn the_definition_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn without_arguments_it_plays_the_four_of_the_example() {
        assert_eq!(
            format!("{:?}", options("")),
            format!("{:?}", Options::default())
        );
    }

    #[test]
    fn one_server_has_the_name_and_port_given() {
        let servers = options("--server kitchen --port 7000").servers;
        assert_eq!((servers.len(), servers[0].name.as_str()), (1, "kitchen"));
        assert_eq!(
            servers[0].endpoint,
            Endpoint::Listen(([127, 0, 0, 1], 7000).into())
        );
    }

    #[test]
    fn load_and_faults_are_understood() {
        let options =
            options("--rate 2_500 --burst 10 --destinations a,b --dial localhost:9 --ack");
        assert_eq!(
            options.pace,
            Pace::Rate {
                per_second: 2500.0,
                burst: 10
            }
        );
        assert_eq!(options.destinations, ["a", "b"]);
        assert!(matches!(options.servers[3].endpoint, Endpoint::Dial(at) if at.port() == 9));
        assert_eq!(super::tests::options("--rate max").pace, Pace::FlatOut);
    }

    #[test]
    fn a_rate_of_nothing_is_refused_with_what_to_say_instead() {
        for arguments in [["s", "--rate", "0"], ["s", "--rate", "fast"]] {
            let error = Cli::try_parse_from(arguments)
                .expect_err("refused")
                .to_string();
            assert!(error.contains("or max"), "{error}");
        }
    }
}
