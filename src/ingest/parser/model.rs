//! A naive parser of lines, for tests: reads JSON character by character, as RFC 8259 puts it, and
//! applies the table of the design word by word. It shares nothing with the parser but the limits.

use std::ops::Range;

use crate::limits::{MESSAGE_ID_LEN_MAX, NAME_LEN_MAX, NESTING_MAX};
use crate::message::Reason;

/// What the parser should say of an acceptable line.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Expected {
    /// id, source, destination, type.
    pub(crate) texts: [String; 4],
    /// The same, raw, and the payload.
    pub(crate) spans: [Range<usize>; 5],
    pub(crate) priority: u8,
    pub(crate) timestamp_ms: Option<i64>,
}

#[derive(Debug)]
enum Value {
    Text(String),
    Number(String),
    Array,
    Object(Vec<Member>),
    Literal,
}

#[derive(Debug)]
struct Member {
    key: String,
    value: Value,
    range: Range<usize>,
}

pub(crate) fn parse(line: &[u8], levels: u8) -> Result<Expected, Reason> {
    let text = std::str::from_utf8(line).map_err(|_| Reason::BadUtf8)?;
    let members = match document(text).ok_or(Reason::BadJson)? {
        Value::Object(members) => members,
        _ => return Err(Reason::NotAnObject),
    };
    let mut keys: Vec<&str> = members.iter().map(|member| member.key.as_str()).collect();
    keys.sort_unstable();
    if keys.windows(2).any(|pair| pair[0] == pair[1]) {
        return Err(Reason::DuplicateField);
    }
    let find = |key: &str| members.iter().find(|member| member.key == key);
    let required = [
        "messageId",
        "sourceServerId",
        "destinationId",
        "messageType",
        "priority",
    ];
    if required.iter().any(|key| find(key).is_none()) {
        return Err(Reason::MissingField);
    }
    fields(find, levels).ok_or(Reason::BadField)
}

fn fields<'a>(find: impl Fn(&str) -> Option<&'a Member>, levels: u8) -> Option<Expected> {
    let text = |key: &str, len_max: usize| match find(key) {
        Some(Member {
            value: Value::Text(text),
            range,
            ..
        }) if (1..=len_max).contains(&text.len()) => {
            Some((text.clone(), range.start + 1..range.end - 1))
        }
        _ => None,
    };
    let integer = |key: &str| match find(key) {
        Some(Member {
            value: Value::Number(digits),
            ..
        }) => {
            let plain = digits.bytes().all(|digit| digit.is_ascii_digit());
            plain.then(|| digits.parse::<i64>().ok()).flatten()
        }
        _ => None,
    };
    let (id, id_span) = text("messageId", MESSAGE_ID_LEN_MAX)?;
    let (source, source_span) = text("sourceServerId", NAME_LEN_MAX)?;
    let (destination, destination_span) = text("destinationId", NAME_LEN_MAX)?;
    let (message_type, type_span) = text("messageType", NAME_LEN_MAX)?;
    let payload_span = match find("payload") {
        None => 0..0,
        Some(Member {
            value: Value::Object(_),
            range,
            ..
        }) => range.clone(),
        Some(_) => return None,
    };
    let timestamp_ms = match find("timestamp") {
        None => None,
        Some(_) => Some(integer("timestamp")?),
    };
    let priority = u8::try_from(integer("priority")?).ok()?;
    (1..=levels).contains(&priority).then_some(Expected {
        texts: [id, source, destination, message_type],
        spans: [
            id_span,
            source_span,
            destination_span,
            type_span,
            payload_span,
        ],
        priority,
        timestamp_ms,
    })
}

fn document(text: &str) -> Option<Value> {
    let mut reader = Reader { text, at: 0 };
    reader.space();
    let value = reader.value(1)?;
    reader.space();
    (reader.at == text.len()).then_some(value)
}

struct Reader<'t> {
    text: &'t str,
    at: usize,
}

impl Reader<'_> {
    fn peek(&self) -> Option<char> {
        self.text[self.at..].chars().next()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += next.len_utf8();
        Some(next)
    }

    fn take(&mut self, expected: char) -> bool {
        let taken = self.peek() == Some(expected);
        self.at += if taken { 1 } else { 0 };
        taken
    }

    fn space(&mut self) {
        while matches!(self.peek(), Some(' ' | '\t' | '\r' | '\n')) {
            self.at += 1;
        }
    }

    fn value(&mut self, depth: usize) -> Option<Value> {
        match self.peek()? {
            '{' => self.object(depth),
            '[' => self.array(depth),
            '"' => Some(Value::Text(self.string()?)),
            '-' | '0'..='9' => self.number(),
            _ => {
                let rest = &self.text[self.at..];
                let words = ["true", "false", "null"];
                self.at += words.iter().find(|word| rest.starts_with(**word))?.len();
                Some(Value::Literal)
            }
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        let mut members = Vec::new();
        self.next();
        self.space();
        if depth > NESTING_MAX || self.take('}') {
            return (depth <= NESTING_MAX).then_some(Value::Object(members));
        }
        loop {
            self.space();
            let key = self.string()?;
            self.space();
            if !self.take(':') {
                return None;
            }
            self.space();
            let start = self.at;
            let value = self.value(depth + 1)?;
            members.push(Member {
                key,
                value,
                range: start..self.at,
            });
            self.space();
            if self.take('}') {
                return Some(Value::Object(members));
            }
            if !self.take(',') {
                return None;
            }
        }
    }

    fn array(&mut self, depth: usize) -> Option<Value> {
        self.next();
        self.space();
        if depth > NESTING_MAX || self.take(']') {
            return (depth <= NESTING_MAX).then_some(Value::Array);
        }
        loop {
            self.space();
            self.value(depth + 1)?;
            self.space();
            if self.take(']') {
                return Some(Value::Array);
            }
            if !self.take(',') {
                return None;
            }
        }
    }

    fn string(&mut self) -> Option<String> {
        let mut text = String::new();
        if !self.take('"') {
            return None;
        }
        loop {
            match self.next()? {
                '"' => return Some(text),
                '\\' => text.push(self.escape()?),
                '\0'..='\x1f' => return None,
                plain => text.push(plain),
            }
        }
    }

    fn escape(&mut self) -> Option<char> {
        match self.next()? {
            plain @ ('"' | '\\' | '/') => Some(plain),
            'b' => Some('\x08'),
            'f' => Some('\x0c'),
            'n' => Some('\n'),
            'r' => Some('\r'),
            't' => Some('\t'),
            'u' => self.unicode(),
            _ => None,
        }
    }

    fn unicode(&mut self) -> Option<char> {
        let first = self.code_unit()?;
        if !(0xd800..0xdc00).contains(&first) {
            return char::from_u32(first);
        }
        if !(self.take('\\') && self.take('u')) {
            return None;
        }
        let second = self.code_unit()?.checked_sub(0xdc00)?;
        (second < 0x400).then_some(())?;
        char::from_u32(0x10000 + ((first - 0xd800) << 10) + second)
    }

    fn code_unit(&mut self) -> Option<u32> {
        (0..4).try_fold(0, |unit, _| Some(unit * 16 + self.next()?.to_digit(16)?))
    }

    fn number(&mut self) -> Option<Value> {
        let start = self.at;
        self.take('-');
        if !self.take('0') {
            self.digits()?;
        }
        if self.take('.') {
            self.digits()?;
        }
        if self.take('e') || self.take('E') {
            let _ = self.take('+') || self.take('-');
            self.digits()?;
        }
        Some(Value::Number(self.text[start..self.at].to_owned()))
    }

    fn digits(&mut self) -> Option<()> {
        let start = self.at;
        while matches!(self.peek(), Some('0'..='9')) {
            self.at += 1;
        }
        (self.at > start).then_some(())
    }
}
