//! One value as it was found, in the file or in the environment, and its readings.
//!
//! Fed by the readers of the file and of the environment; the setters of the catalogue take a
//! reading from it. Each reading that fails says what was found and what to write instead. It
//! knows neither the key nor the place; the reader adds these.

use std::fmt::Display;
use std::io;
use std::net::{SocketAddr, ToSocketAddrs};
use std::path::PathBuf;
use std::time::Duration;

use toml::Spanned;
use toml::de::DeValue;

use super::MaxRate;
use super::nearest::suggest;
use super::probe::{Kind, Probe};
use super::units::{parse_duration, parse_hours, parse_size, show_duration, show_size};
use crate::limits::NAME_LEN_MAX;

/// Characters of a value that an error repeats.
const SHOWN_LEN_MAX: usize = 60;

/// A value and how it was written.
#[derive(Debug, Clone)]
pub(super) struct Found {
    raw: Raw,
    shown: String,
}

/// A value's type, as far as settings have types.
#[derive(Debug, Clone)]
enum Raw {
    Text(String),
    /// `None`: it does not fit.
    Integer(Option<i128>),
    Boolean(bool),
    List(Vec<Found>),
    /// An environment variable: it has no type until it is read.
    Variable(String),
    /// A type that no setting has.
    Other,
    /// No value: it notes what is asked for.
    Probe(Probe),
}

type Reading<T> = Result<T, String>;

impl Found {
    /// A value of the TOML document `text`.
    pub(super) fn in_file(value: &Spanned<DeValue<'_>>, text: &str) -> Found {
        let raw = match value.get_ref() {
            DeValue::String(text) => Raw::Text(text.to_string()),
            DeValue::Integer(number) => {
                Raw::Integer(i128::from_str_radix(number.as_str(), number.radix()).ok())
            }
            DeValue::Boolean(truth) => Raw::Boolean(*truth),
            DeValue::Array(items) => {
                Raw::List(items.iter().map(|i| Found::in_file(i, text)).collect())
            }
            _ => Raw::Other,
        };
        let written = text.get(value.span()).unwrap_or_default();
        Found {
            raw,
            shown: shorten(written),
        }
    }

    /// The value of an environment variable.
    pub(super) fn in_environment(text: &str) -> Found {
        Found {
            raw: Raw::Variable(text.to_owned()),
            shown: shorten(&format!("\"{text}\"")),
        }
    }

    /// No value: each reading is noted, and fails.
    pub(super) fn probing(probe: Probe) -> Found {
        Found {
            raw: Raw::Probe(probe),
            shown: String::new(),
        }
    }

    /// Every reading begins with it.
    fn asked(&self, kind: impl FnOnce() -> Kind) -> Reading<()> {
        match &self.raw {
            Raw::Probe(probe) => {
                probe.note(kind());
                Err("there is no value".to_owned())
            }
            _ => Ok(()),
        }
    }

    /// `found X; write Y`.
    fn wrong<T>(&self, right: impl Display) -> Reading<T> {
        Err(format!("found {}; {right}", self.shown))
    }

    /// A text.
    pub(super) fn text(&self) -> Reading<&str> {
        self.asked(|| Kind::Text)?;
        match &self.raw {
            Raw::Text(text) | Raw::Variable(text) => Ok(text),
            _ => self.wrong("write a text in quotes"),
        }
    }

    /// Whether it is this word, where something else may stand too.
    pub(super) fn is_word(&self, word: &'static str) -> bool {
        match &self.raw {
            Raw::Text(text) | Raw::Variable(text) => text == word,
            _ => self.asked(|| Kind::Word(word)).is_ok_and(|()| false),
        }
    }

    /// A text that must not be repeated in an error.
    pub(super) fn secret_text(&self) -> Reading<&str> {
        self.text()
            .map_err(|_| "found no text; write a text in quotes".to_owned())
    }

    /// A list of which nothing must be repeated in an error.
    pub(super) fn secret_list(&self) -> Reading<Vec<Found>> {
        let list = self.list();
        list.map_err(|_| "found no list; write a list: [ … ]".to_owned())
    }

    /// A name as messages carry it: 1 to 50 bytes.
    pub(super) fn name(&self) -> Reading<String> {
        self.asked(|| Kind::Name)?;
        let text = self.text()?;
        if text.is_empty() || text.len() > NAME_LEN_MAX {
            let len = text.len();
            return self.wrong(format!(
                "these are {len} bytes, and a name has 1 to {NAME_LEN_MAX}"
            ));
        }
        if text.chars().any(char::is_control) {
            return self.wrong("a name has no control characters");
        }
        Ok(text.to_owned())
    }

    /// A whole number within bounds.
    pub(super) fn integer(&self, min: u64, max: u64) -> Reading<u64> {
        self.asked(|| Kind::Integer(min, max))?;
        let number = match &self.raw {
            Raw::Integer(number) => number.and_then(|n| u64::try_from(n).ok()),
            Raw::Variable(text) => text.trim().replace('_', "").parse().ok(),
            _ => None,
        };
        match number {
            Some(number) if (min..=max).contains(&number) => Ok(number),
            _ => self.wrong(format!("write a whole number from {min} to {max}")),
        }
    }

    /// As [`Found::integer`], for what counts things in memory.
    pub(super) fn count(&self, min: usize, max: usize) -> Reading<usize> {
        let number = self.integer(min as u64, max as u64)?;
        usize::try_from(number).map_err(|_| "too large for this machine".to_owned())
    }

    /// A size in bytes within bounds.
    pub(super) fn size(&self, min: u64, max: u64) -> Reading<u64> {
        self.asked(|| Kind::Size(min, max))?;
        let size = match &self.raw {
            Raw::Integer(Some(number)) => u64::try_from(*number).ok(),
            Raw::Text(text) | Raw::Variable(text) => {
                Some(parse_size(text).or_else(|why| self.wrong(why))?)
            }
            _ => None,
        };
        match size {
            Some(size) if (min..=max).contains(&size) => Ok(size),
            _ => self.wrong(format!(
                "write a size from \"{}\" to \"{}\"",
                show_size(min),
                show_size(max)
            )),
        }
    }

    /// A duration within bounds.
    pub(super) fn duration(&self, min: Duration, max: Duration) -> Reading<Duration> {
        self.asked(|| Kind::Duration(min, max))?;
        let duration = match &self.raw {
            Raw::Text(text) | Raw::Variable(text) => {
                parse_duration(text).or_else(|why| self.wrong(why))?
            }
            Raw::Integer(Some(number)) => {
                return self.wrong(format!("write it with a unit, in quotes: \"{number}s\""));
            }
            _ => return self.wrong("write a duration in quotes, such as \"10s\""),
        };
        if (min..=max).contains(&duration) {
            return Ok(duration);
        }
        let (min, max) = (show_duration(min), show_duration(max));
        self.wrong(format!("write a duration from \"{min}\" to \"{max}\""))
    }

    /// Lines or bytes a second, or a list of both.
    pub(super) fn rate(&self) -> Reading<MaxRate> {
        self.asked(|| Kind::Rate)?;
        let parts = match &self.raw {
            Raw::Text(text) | Raw::Variable(text) if text == "none" => {
                return Ok(MaxRate::default());
            }
            Raw::Text(_) => vec![self.clone()],
            _ => self.list()?,
        };
        let mut rate = MaxRate::default();
        for part in &parts {
            let count = part.text().ok().and_then(|it| it.strip_suffix("/s"));
            let wrong = || part.wrong("write lines or bytes a second: \"5000/s\", \"10MiB/s\"");
            let Some(count) = count.map(str::trim) else {
                return wrong();
            };
            let (field, value) = match count.replace('_', "").parse() {
                Ok(lines) => (&mut rate.lines, lines),
                Err(_) => match parse_size(count) {
                    Ok(bytes) => (&mut rate.bytes, bytes),
                    Err(_) => return wrong(),
                },
            };
            if value == 0 || field.replace(value).is_some() {
                return self.wrong("write each once, and 1/s at least; none is no limit");
            }
        }
        Ok(rate)
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Reading<bool> {
        self.asked(|| Kind::Boolean)?;
        match &self.raw {
            Raw::Boolean(truth) => Ok(*truth),
            Raw::Variable(text) if text == "true" => Ok(true),
            Raw::Variable(text) if text == "false" => Ok(false),
            _ => self.wrong("write true or false, without quotes"),
        }
    }

    /// One of these words.
    pub(super) fn choice<T: Copy>(&self, choices: &[(&str, T)]) -> Reading<T> {
        let words = || choices.iter().map(|(word, _)| (*word).to_owned());
        self.asked(|| Kind::Choice(words().collect()))?;
        let text = self.text()?;
        match choices.iter().find(|(word, _)| *word == text) {
            Some((_, choice)) => Ok(*choice),
            None => {
                let words: Vec<&str> = choices.iter().map(|(word, _)| *word).collect();
                let near = suggest(text, &words);
                let all = words.join("\", \"");
                self.wrong(format!("write one of \"{all}\"; {near}"))
            }
        }
    }

    /// A list; in the environment its items stand between commas.
    pub(super) fn list(&self) -> Reading<Vec<Found>> {
        match &self.raw {
            Raw::List(items) => Ok(items.clone()),
            Raw::Probe(probe) => {
                let items = Probe::default();
                probe.note(Kind::List(items.clone()));
                Ok(vec![Found::probing(items)])
            }
            Raw::Variable(text) if text.trim().is_empty() => Ok(Vec::new()),
            Raw::Variable(text) => Ok(text
                .split(',')
                .map(|item| Found::in_environment(item.trim()))
                .collect()),
            _ => self.wrong("write a list: [ … ]"),
        }
    }

    /// Hours of the day, in minutes since midnight.
    pub(super) fn hours(&self) -> Reading<(u16, u16)> {
        self.asked(|| Kind::Hours)?;
        let text = self.text()?;
        parse_hours(text).map_err(|why| format!("found \"{text}\"; {why}"))
    }

    /// A file, or `None` for "none".
    pub(super) fn file(&self) -> Reading<Option<PathBuf>> {
        self.asked(|| Kind::File)?;
        match self.text()? {
            "none" => Ok(None),
            "" => self.wrong("write a file, or none"),
            path => Ok(Some(PathBuf::from(path))),
        }
    }

    /// A core's number, or `None` for "none".
    pub(super) fn core(&self) -> Reading<Option<usize>> {
        self.asked(|| Kind::Core)?;
        match self.text() {
            Ok("none" | "") => Ok(None),
            _ => self.count(0, crate::limits::CORES_MAX - 1).map(Some),
        }
    }

    /// Where to listen, or `None` for "none".
    pub(super) fn listen(&self) -> Reading<Option<SocketAddr>> {
        self.asked(|| Kind::Listen)?;
        let text = match self.text() {
            Ok("none" | "") => return Ok(None),
            Ok(text) => text,
            Err(_) => return self.wrong("write an address in quotes: \"127.0.0.1:9000\""),
        };
        let hint = "write an address and a port of this machine, such as \"127.0.0.1:9000\"";
        let all = look_up(text).or_else(|_| self.wrong(hint))?;
        let first = all.iter().find(|a| a.is_ipv4()).or(all.first()).copied();
        first.map_or_else(|| self.wrong(hint), |address| Ok(Some(address)))
    }

    /// `host:port` to dial. The host is not looked up here: it may not be there yet.
    pub(super) fn host_port(&self) -> Reading<String> {
        self.asked(|| Kind::HostPort)?;
        host_port(self.text()?).or_else(|right| self.wrong(right))
    }
}

/// Whether a text is an address as `host:port`, and the text.
///
/// # Errors
/// It is not: what to write instead.
pub(crate) fn host_port(text: &str) -> Result<String, &'static str> {
    let hint = "write host:port, such as \"127.0.0.1:8001\"";
    let (host, port) = text.rsplit_once(':').ok_or(hint)?;
    let bare_v6 = host.contains(':') && !(host.starts_with('[') && host.ends_with(']'));
    let odd = |c: char| c.is_whitespace() || c.is_control() || "/@,".contains(c);
    if host.is_empty() || host.contains(odd) || bare_v6 {
        return Err(hint);
    }
    match port.parse::<u16>() {
        Ok(port) if port > 0 => Ok(text.to_owned()),
        _ => Err("the port is a number from 1 to 65535"),
    }
}

/// The addresses of a host and a port. Fuzzing asks no resolver.
fn look_up(text: &str) -> io::Result<Vec<SocketAddr>> {
    match cfg!(fuzzing) {
        true => text.parse().map(|it| vec![it]).map_err(io::Error::other),
        false => Ok(text.to_socket_addrs()?.collect()),
    }
}

/// The first line of what was written, cut where it is long.
fn shorten(written: &str) -> String {
    let line = written.lines().next().unwrap_or_default();
    if line.chars().count() <= SHOWN_LEN_MAX && line.len() == written.len() {
        return line.to_owned();
    }
    let mut cut: String = line.chars().take(SHOWN_LEN_MAX).collect();
    cut.push('…');
    cut
}
