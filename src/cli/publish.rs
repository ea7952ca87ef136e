//! `flipped-lb publish`: sends messages to the engine, as a producer that dials in.
//!
//! Fed by standard input or by its own options; feeds the engine's `[ingest] listen`. It parses
//! nothing: what becomes of a line is the engine's to say, and it asks for that.

use std::io::{self, BufReader, BufWriter, Read, Write};
use std::path::PathBuf;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;
use serde::Serialize;

use super::Failure;
use super::client::{Line, Place, Stream, TlsArgs, dial, name, read_line, token};
use super::publish_answers::{Answers, Tally};
use super::publish_journal::JournalLines;
use crate::config;
use crate::limits::LEVELS_MAX;
use crate::plural::several;

const EXAMPLES: &str = "Examples:
  flipped-lb publish --destination table1 --count 10
  flipped-lb publish --destination table1 --type breakfast --payload '{\"dish\":\"tea\"}'
  flipped-lb publish --ack < messages.ndjson
  flipped-lb publish --from-journal flipped-lb-data/journal-divergent-20260131T070000
  flipped-lb publish --address kitchen.example:9001 --tls-ca ca.pem --token-file kitchen.token < m.ndjson

Without --destination the lines of standard input are sent as they are, blank ones left out. With
--from-journal the messages of a directory are sent that a group has set aside, without those that
were delivered there; what the engine knows by its messageId it does not take again. It waits until the engine has taken responsibility for all of them - journaled, recognised as
duplicates, or kept as rejected - and says what they were, and which were not accepted (the first
few by number). Exit code 1 if any was rejected. The settings need [ingest] listen, which is none by
default.";

/// How long the engine may take to answer the greeting: a microsecond's work.
const ANSWER: Duration = Duration::from_secs(5);

/// How long it waits for the next acknowledgement.
const ACK_TIMEOUT: Duration = Duration::from_secs(30);

/// Send messages to the engine.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct PublishArgs {
    /// Where the engine takes producers; without it `[ingest] listen` of the settings.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) address: Option<String>,
    /// Make messages for this destination; without it lines come from standard input.
    #[arg(long, value_name = "DEST", value_parser = name)]
    pub(crate) destination: Option<String>,
    /// How many messages to make.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "destination")]
    pub(crate) count: u64,
    /// Their messageType.
    #[arg(long = "type", value_name = "TYPE", default_value = "order", value_parser = name,
        requires = "destination")]
    pub(crate) message_type: String,
    /// Their priority, 1 = most urgent.
    #[arg(long, value_name = "P", default_value_t = 1, requires = "destination",
        value_parser = clap::value_parser!(u8).range(1..=LEVELS_MAX as i64))]
    pub(crate) priority: u8,
    /// Their sourceServerId.
    #[arg(long, value_name = "NAME", default_value = "publish", value_parser = name,
        requires = "destination")]
    pub(crate) source: String,
    /// Their payload, a JSON object.
    #[arg(long, value_name = "JSON", default_value = "{}", value_parser = payload,
        requires = "destination")]
    pub(crate) payload: serde_json::Value,
    /// Send what is in the files of a journal: of a journal-divergent directory, or of any other.
    #[arg(long, value_name = "DIR", conflicts_with = "destination")]
    pub(crate) from_journal: Option<PathBuf>,
    /// Also what was delivered there.
    #[arg(long, requires = "from_journal")]
    pub(crate) settled: bool,
    /// Wait until the engine has acknowledged all; it always does now, and scripts may go on saying so.
    #[arg(long)]
    pub(crate) ack: bool,
    /// The file whose first line is the token of a user of the engine.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The settings' file, for the address.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

fn payload(text: &str) -> Result<serde_json::Value, String> {
    match serde_json::from_str(text) {
        Ok(value @ serde_json::Value::Object(_)) => Ok(value),
        Ok(_) => Err("this is JSON, but no object; write {…}".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

/// Sends the messages and says how many they were.
///
/// # Errors
/// The engine is not there, goes, or does not acknowledge.
pub(crate) fn run(args: PublishArgs) -> Result<(), Failure> {
    // Before the engine is asked for anything.
    let journal = args.from_journal.as_deref();
    let mut journal = journal
        .map(|it| JournalLines::of(it, args.settled))
        .transpose()?;
    let stream = dial(&place(&args)?, &args.tls)?;
    let patience = [ANSWER, ACK_TIMEOUT];
    let (sent, tally) = match &mut journal {
        Some(lines) => send_all(stream, &args, (lines, io::stderr()), patience),
        None => send_all(stream, &args, (io::stdin(), io::stderr()), patience),
    }?;
    let left_out = journal.map_or(0, |it| it.left_out());
    let report = match left_out {
        0 => report(sent, &tally),
        count => format!(
            "{}; {count} more had been delivered and were not sent (--settled sends them too)",
            report(sent, &tally)
        ),
    };
    writeln!(io::stdout(), "{report}").map_err(Failure::output)?;
    match tally.rejected() {
        0 => Ok(()),
        count => Err(Failure::Failed(format!(
            "{count} of {} rejected; the engine keeps each in rejected.ndjson of its data_dir, with the \
             reason: mend them and send them again",
            several(sent, "message")
        ))),
    }
}

fn report(sent: u64, tally: &Tally) -> String {
    let (acknowledged, words) = (tally.acknowledged(), tally.words());
    format!(
        "sent {}, {acknowledged} acknowledged: {words}",
        several(sent, "message")
    )
}

fn place(args: &PublishArgs) -> Result<Place, Failure> {
    if let Some(address) = &args.address {
        return Ok(Place::given(address));
    }
    let config = config::load(args.config.as_deref())?;
    let place = |listen| Place::of_listener(listen, &config.tls, &config.ingest.tls);
    config.ingest.listen.map(place).ok_or_else(|| {
        Failure::Usage(
            "by these settings producers may not dial in; set [ingest] listen for the engine, or \
             say where one listens with --address HOST:PORT"
                .to_owned(),
        )
    })
}

/// Sends everything on `stream` and waits for the answers; gives how many lines were sent and what
/// became of them. The lines that were not accepted are named in `words`.
fn send_all(
    stream: Stream,
    args: &PublishArgs,
    (input, words): (impl Read, impl Write + Send + 'static),
    [answer, timeout]: [Duration; 2],
) -> Result<(u64, Tally), Failure> {
    let greeting = greeting(args)?;
    let answers = Answers::watch(&stream, words).map_err(|error| gone(0, &error))?;
    // A port that is not the engine's gets the greeting and nothing else.
    let greeted = (&stream).write_all(&greeting);
    answers.wait_for_first(answer)?;
    greeted.map_err(|error| gone(0, &error))?;
    let mut sender = Sender {
        out: BufWriter::with_capacity(64 * 1024, &stream),
        sent: 0,
    };
    let sending = sender.all(args, input);
    let sent = sender.sent;
    match sending {
        Ok(()) => {}
        Err(Broken::Input(error)) => return Err(unreadable(args, sent, &error)),
        Err(Broken::Engine(error)) => {
            // What the engine said last explains best why it went.
            return Err(answers.complaint().unwrap_or_else(|| gone(sent, &error)));
        }
    }
    let tally = answers.wait_for(sent, timeout)?;
    // All is answered: a peer that has gone by now takes nothing away.
    let _ = stream.end();
    Ok((sent, tally))
}

/// The first line: what the producer wants, and who it is.
fn greeting(args: &PublishArgs) -> Result<Vec<u8>, Failure> {
    let mut producer = serde_json::json!({ "ack": true, "outcomes": true });
    if let Some(token) = token(args.token_file.as_deref())? {
        producer["token"] = token.reveal().into();
    }
    let line = serde_json::json!({ "producer": producer });
    Ok(format!("{line}\n").into_bytes())
}

fn gone(sent: u64, error: &io::Error) -> Failure {
    Failure::Failed(format!(
        "the connection to the engine broke after {}: {error}; it is safe to send the same lines \
         again, for the engine knows what it has by the messageId",
        several(sent, "message")
    ))
}

fn unreadable(args: &PublishArgs, sent: u64, error: &io::Error) -> Failure {
    let input = match &args.from_journal {
        Some(directory) => directory.display().to_string(),
        None => "standard input".to_owned(),
    };
    Failure::Failed(format!(
        "{input}, after {}: {error}",
        several(sent, "message")
    ))
}

/// Which side of the sender broke.
enum Broken {
    /// What is to be sent cannot be read.
    Input(io::Error),
    /// The engine cannot be written to.
    Engine(io::Error),
}

impl From<io::Error> for Broken {
    fn from(error: io::Error) -> Broken {
        Broken::Engine(error)
    }
}

/// Writes lines and counts them.
struct Sender<'a> {
    out: BufWriter<&'a Stream>,
    /// Lines, without the greeting.
    sent: u64,
}

impl Sender<'_> {
    fn all(&mut self, args: &PublishArgs, input: impl Read) -> Result<(), Broken> {
        match &args.destination {
            Some(destination) => self.made(args, destination)?,
            None => self.lines(input)?,
        }
        Ok(self.out.flush()?)
    }

    /// Messages made from the options.
    fn made(&mut self, args: &PublishArgs, destination: &str) -> Result<(), Broken> {
        let stem = format!(
            "{}-{}-{}",
            args.source,
            since_epoch().as_micros(),
            std::process::id()
        );
        for number in 1..=args.count {
            let message = Message {
                message_id: format!("{stem}-{number}"),
                source_server_id: &args.source,
                destination_id: destination,
                message_type: &args.message_type,
                priority: args.priority,
                timestamp: since_epoch().as_millis() as u64,
                payload: &args.payload,
            };
            let line = serde_json::to_vec(&message).map_err(io::Error::from)?;
            self.line(&line)?;
        }
        Ok(())
    }

    /// The lines of the input; they leave at once where no other one is there yet.
    fn lines(&mut self, input: impl Read) -> Result<(), Broken> {
        let mut input = BufReader::with_capacity(64 * 1024, input);
        let mut line = Vec::new();
        loop {
            let read = read_line(&mut input, &mut line).map_err(Broken::Input)?;
            let text = line.trim_ascii_end();
            if !text.trim_ascii_start().is_empty() {
                self.line(text)?;
            }
            if read == Line::End {
                return Ok(());
            }
            if memchr::memchr(b'\n', input.buffer()).is_none() {
                self.out.flush()?;
            }
        }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Broken> {
        self.out.write_all(line)?;
        self.out.write_all(b"\n")?;
        self.sent += 1;
        Ok(())
    }
}

/// A message on the wire, its fields in the order of the contract.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Message<'a> {
    message_id: String,
    source_server_id: &'a str,
    destination_id: &'a str,
    message_type: &'a str,
    priority: u8,
    timestamp: u64,
    payload: &'a serde_json::Value,
}

fn since_epoch() -> Duration {
    // A clock before 1970 gives 0, which the engine clamps as it does any wrong clock.
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

#[cfg(test)]
#[path = "publish_tests.rs"]
mod tests;
