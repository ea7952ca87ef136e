//! Standard output, for commands that say all they have at once, and for those that pass frames on.

use std::io::{self, BufWriter, IsTerminal as _, StdoutLock, Write};

use super::Failure;
use crate::escape::{EscapedLines, is_harmful};

/// Prints the text, to the last byte.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    print_bytes(EscapedLines(text).to_string().as_bytes())
}

/// Prints JSON, which programs read.
pub(super) fn print_json(text: &str) -> Result<(), Failure> {
    print_bytes(text.as_bytes())
}

/// Prints what another program reads: a page, a script.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    out.write_all(bytes)
        .and_then(|()| out.flush())
        .map_err(Failure::output)
}

/// Frames on their way to standard output: byte for byte, but for a terminal. What would steer that
/// is spelled as JSON spells it, and so still means the same.
#[derive(Debug)]
pub(super) struct Frames<W> {
    out: W,
    spells: bool,
}

impl Frames<BufWriter<StdoutLock<'static>>> {
    /// Through a buffer of this many bytes.
    pub(super) fn to_stdout(buffer_len: usize) -> Self {
        let stdout = io::stdout();
        Self {
            spells: stdout.is_terminal(),
            out: BufWriter::with_capacity(buffer_len, stdout.lock()),
        }
    }

    /// The same for JSON that need not be byte for byte what came: it is spelled wherever it goes.
    pub(super) fn spelled(self) -> Self {
        Self {
            spells: true,
            ..self
        }
    }
}

impl<W: Write> Write for Frames<W> {
    /// Takes whole frames, or whole parts of them.
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let is_plain = |byte: &u8| matches!(byte, b' '..=b'~' | b'\n');
        if !self.spells || bytes.iter().all(is_plain) {
            return self.out.write(bytes);
        }
        let spelled = spell(&String::from_utf8_lossy(bytes));
        self.out.write_all(spelled.as_bytes())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

fn spell(json: &str) -> String {
    let mut spelled = String::with_capacity(json.len());
    for char in json.chars() {
        match char {
            // These stand between values only.
            '\r' | '\t' => spelled.push(' '),
            _ if is_harmful(char) => {
                let units = &mut [0; 2];
                let units = char.encode_utf16(units).iter();
                spelled.extend(units.map(|it| format!("\\u{it:04x}")));
            }
            _ => spelled.push(char),
        }
    }
    spelled
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_on_a_terminal_means_the_same_and_steers_nothing() {
        let frame = "{\"a\":\r\t\"\u{9b}2J\u{7f}\u{202e}\u{e0041} стол\"}\n";
        let mut frames = Frames {
            out: Vec::new(),
            spells: true,
        };
        frames.write_all(frame.as_bytes()).unwrap();
        let shown = String::from_utf8(frames.out).unwrap();
        let spelled = "{\"a\":  \"\\u009b2J\\u007f\\u202e\\udb40\\udc41 стол\"}\n";
        assert_eq!(shown, spelled);
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&shown), value(frame));
    }

    #[test]
    fn elsewhere_a_frame_goes_byte_for_byte() {
        let mut frames = Frames {
            out: Vec::new(),
            spells: false,
        };
        frames.write_all(b"\x1b\xff\n").unwrap();
        assert_eq!(frames.out, b"\x1b\xff\n");
    }
}
