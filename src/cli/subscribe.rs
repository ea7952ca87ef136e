//! `flipped-lb subscribe`: reads the messages of destinations.
//!
//! Fed by the engine's delivery; frames go to standard output as they came, the engine's own
//! words to standard error. It does not reconnect: a script that wants to can start it again.

use std::io::{self, BufReader, Read as _, Write};
use std::path::PathBuf;
use std::time::{Duration, Instant};

use clap::Args;
use serde::Deserialize;
use serde::de::IgnoredAny;

use super::Failure;
use super::client::{
    Line, Place, Stream, TlsArgs, dial, end_words, foreign, name, read_line, refused, token,
};
use super::output::Frames;
use crate::config;
use crate::escape::EscapedLines;
use crate::plural::several;

const EXAMPLES: &str = "Examples:
  flipped-lb subscribe table1
  flipped-lb subscribe table1 table2 --ack | my-kitchen-printer
  flipped-lb subscribe 'table*'
  flipped-lb subscribe table1 --count 10 --address 10.0.0.7:9000
  flipped-lb subscribe table1 --address bar.example:9000 --tls-ca ca.pem --token-file table1.token

Each line is a message, byte for byte as its server sent it (on a terminal, characters that would
steer it are spelled \\u001b). With --ack a message is acknowledged
once it was written to standard output; what was not is delivered again to the next subscriber.
Without --ack, --count leaves messages behind that were on their way already.";

/// Frames after which an acknowledgement is due even if more are there already.
const ACK_EVERY: u64 = 1024;

/// How long the last acknowledgement has to arrive.
const GOODBYE: Duration = Duration::from_secs(1);

/// How long the engine may take to answer the subscription: a microsecond's work. One that is still
/// starting answers later, and a port that is not its own never.
const ANSWER: Duration = Duration::from_secs(5);

/// Where it subscribes.
const LISTEN: &str = "[delivery] listen";

/// Bytes of the names in one `subscribe` line; a name is 303 bytes long at most.
const ASKED_LEN_MAX: usize = 60 * 1024;

/// Read the messages of destinations.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub(crate) struct SubscribeArgs {
    /// The destinations whose messages are wanted; * stands for any part of a name.
    #[arg(required = true, value_name = "DEST", value_parser = name)]
    pub(crate) destinations: Vec<String>,
    /// Acknowledge what was written to standard output.
    #[arg(long)]
    pub(crate) ack: bool,
    /// Where the engine delivers; without it `[delivery] listen` of the settings.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) address: Option<String>,
    /// End after this many messages.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(crate) count: Option<u64>,
    /// The file whose first line is the token of a user of the engine.
    #[arg(long, value_name = "FILE")]
    pub(crate) token_file: Option<PathBuf>,
    /// The settings' file, for the address.
    #[arg(long, value_name = "FILE")]
    pub(crate) config: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) tls: TlsArgs,
}

/// Prints frames until there were enough, or the engine goes.
///
/// # Errors
/// The engine is not there, refuses the subscription, or goes.
pub(crate) fn run(args: SubscribeArgs) -> Result<(), Failure> {
    let place = match &args.address {
        Some(address) => Place::given(address),
        None => {
            let config = config::load(args.config.as_deref())?;
            Place::of_listener(config.delivery.listen, &config.tls, &config.delivery.tls)
        }
    };
    let stream = dial(&place, &args.tls)?;
    follow(stream, &args, Frames::to_stdout(64 * 1024), io::stderr())
}

/// One subscription.
struct Session<'a, W: Write, E: Write> {
    args: &'a SubscribeArgs,
    stream: Stream,
    out: W,
    words: E,
    /// The engine has answered: this is where it delivers.
    has_answered: bool,
    frames: u64,
    /// `acknowledged <= frames`.
    acknowledged: u64,
}

/// Subscribes on `stream`; frames go to `out`, the engine's words to `words`.
fn follow(
    stream: Stream,
    args: &SubscribeArgs,
    out: impl Write,
    words: impl Write,
) -> Result<(), Failure> {
    let reading = stream.try_clone().map_err(|e| lost(0, &e.to_string()))?;
    let mut session = Session {
        args,
        stream,
        out,
        words,
        has_answered: false,
        frames: 0,
        acknowledged: 0,
    };
    session.ask()?;
    session.read(&mut BufReader::with_capacity(256 * 1024, reading))?;
    session.part();
    Ok(())
}

impl<W: Write, E: Write> Session<'_, W, E> {
    /// Sends the lines that subscribe, each of a length that any engine takes.
    fn ask(&mut self) -> Result<(), Failure> {
        let token = token(self.args.token_file.as_deref())?;
        let mut rest = &self.args.destinations[..];
        while !rest.is_empty() {
            let mut len = 0;
            let fits = rest.iter().take_while(|it| {
                len += serde_json::json!(it).to_string().len() + 1;
                len <= ASKED_LEN_MAX
            });
            let (asked, later) = rest.split_at(fits.count());
            let mut request = serde_json::json!({ "subscribe": asked });
            if self.args.ack {
                request["ack"] = true.into();
            }
            if let Some(token) = &token {
                request["token"] = token.reveal().into();
            }
            self.say(&format!("{request}\n"))?;
            rest = later;
        }
        Ok(())
    }

    /// Reads until there were enough frames.
    fn read(&mut self, from: &mut BufReader<Stream>) -> Result<(), Failure> {
        let mut line = Vec::new();
        // It fails on a socket that is closed, which reading tells.
        let _ = self.stream.set_read_timeout(Some(ANSWER));
        while self.args.count.is_none_or(|count| self.frames < count) {
            match read_line(from, &mut line) {
                Ok(Line::Whole) => self.take(&line)?,
                Ok(Line::End) => {
                    self.settle()?;
                    return Err(lost(self.frames, "the engine closed the connection"));
                }
                Err(error) if is_timeout(&error) && !self.has_answered => return Err(unanswered()),
                Err(error) => {
                    self.settle()?;
                    return Err(lost(self.frames, &end_words(&error)));
                }
            }
            let due = self.frames - self.acknowledged >= ACK_EVERY;
            if due || memchr::memchr(b'\n', from.buffer()).is_none() {
                self.settle()?;
            }
        }
        self.settle()
    }

    /// The first line tells whether this is where the engine delivers.
    fn note_answer(&mut self, line: &[u8]) -> Result<(), Failure> {
        let is_frame = || serde_json::from_slice::<Word>(line).is_ok_and(|it| it.is_frame());
        if engine_word(line).is_none() && !is_frame() {
            let words = || {
                let line = String::from_utf8_lossy(line);
                let said = line.trim_end();
                Failure::because(format_args!("this is not {LISTEN}: it answers {said:?}"))
            };
            return Err(foreign(line, LISTEN).unwrap_or_else(words));
        }
        self.has_answered = true;
        // As above.
        let _ = self.stream.set_read_timeout(None);
        Ok(())
    }

    /// Takes a frame, or a word of the engine.
    fn take(&mut self, line: &[u8]) -> Result<(), Failure> {
        if !self.has_answered {
            self.note_answer(line)?;
        }
        let Some(word) = engine_word(line) else {
            self.frames += 1;
            return self.out.write_all(line).map_err(Failure::output);
        };
        if let Some(why) = word.error {
            self.settle()?;
            return Err(refused(&why, word.active.as_deref()));
        }
        // Standard error may be closed; frames matter more.
        let line = EscapedLines(String::from_utf8_lossy(line));
        let _ = write!(self.words, "{line}");
        Ok(())
    }

    /// Hands on what was read, and only then acknowledges it.
    fn settle(&mut self) -> Result<(), Failure> {
        self.out.flush().map_err(Failure::output)?;
        if self.args.ack && self.acknowledged < self.frames {
            self.acknowledged = self.frames;
            return self.say(&format!("{{\"ack\":{}}}\n", self.frames));
        }
        self.acknowledged = self.frames;
        Ok(())
    }

    fn say(&mut self, line: &str) -> Result<(), Failure> {
        let said = (&self.stream).write_all(line.as_bytes());
        said.map_err(|error| lost(self.frames, &error.to_string()))
    }

    /// Leaves so that the last acknowledgement arrives: a socket that is closed with bytes unread
    /// resets the connection, which may overtake it.
    fn part(&mut self) {
        if !self.args.ack || self.stream.end().is_err() {
            return;
        }
        let end = Instant::now() + GOODBYE;
        let mut unread = [0; 4096];
        while let left = end.saturating_duration_since(Instant::now())
            && !left.is_zero()
            && self.stream.set_read_timeout(Some(left)).is_ok()
            && self.stream.read(&mut unread).is_ok_and(|len| len > 0)
        {}
    }
}

fn lost(frames: u64, why: &str) -> Failure {
    Failure::Failed(format!(
        "{why}, after {}; start it again to go on",
        several(frames, "message")
    ))
}

fn is_timeout(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut
    )
}

fn unanswered() -> Failure {
    Failure::Failed(format!(
        "no answer within {ANSWER:?}: this is not {LISTEN}, but perhaps [ingest] listen, where \
         subscriptions are not answered; or the engine is still starting"
    ))
}

/// The fields that tell an engine's word from a frame, and what the word says.
#[derive(Debug, Deserialize)]
pub(super) struct Word {
    #[serde(rename = "messageId")]
    message_id: Option<IgnoredAny>,
    error: Option<String>,
    /// Beside the error of a standby: where the active takes subscribers.
    active: Option<String>,
}

impl Word {
    fn is_frame(&self) -> bool {
        self.message_id.is_some()
    }
}

/// The engine's own word, if the line is one: it has no `messageId`.
pub(super) fn engine_word(line: &[u8]) -> Option<Word> {
    // All its words begin so; a frame that does too is told apart by its messageId.
    let starts: [&[u8]; 3] = [b"{\"subscribed\"", b"{\"again\"", b"{\"error\""];
    if !starts.iter().any(|start| line.starts_with(start)) {
        return None;
    }
    // As text: what is ignored of it must be UTF-8 too.
    let word: Word = serde_json::from_str(str::from_utf8(line).ok()?).ok()?;
    (!word.is_frame()).then_some(word)
}

#[cfg(test)]
#[path = "subscribe_tests.rs"]
mod tests;
