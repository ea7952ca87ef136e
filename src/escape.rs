//! Text from outside - names, addresses, a server's words, file names - on its way to a log line, a
//! terminal or the statistics: nothing in it may begin a line, move the cursor or turn the direction
//! of writing.
//!
//! ```text
//! table1<newline>ERROR disk full   is shown as   table1\nERROR disk full
//! ```

use std::fmt::{self, Display, Write};

/// Shows a value with each harmful character as an escape of printable ones. Showing it twice is the
/// same as showing it once.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Escaped<T>(pub T);

impl<T: Display> Display for Escaped<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Escaping {
            out: f,
            is_harmful: |it| matches!(it, '\n' | '\t') || is_harmful(it),
        };
        write!(out, "{}", self.0)
    }
}

/// The same for a text of several lines: its line ends and tabs stay. Values within it are to be
/// [`Escaped`].
#[derive(Debug, Clone, Copy)]
pub(crate) struct EscapedLines<T>(pub T);

impl<T: Display> Display for EscapedLines<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut out = Escaping { out: f, is_harmful };
        write!(out, "{}", self.0)
    }
}

/// Passes text on, harmful characters escaped.
struct Escaping<'a, 'b> {
    out: &'a mut fmt::Formatter<'b>,
    is_harmful: fn(char) -> bool,
}

impl Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        let mut rest = text;
        while let Some(at) = rest.find(self.is_harmful) {
            let (plain, harmful) = rest.split_at(at);
            self.out.write_str(plain)?;
            let mut chars = harmful.chars();
            if let Some(char) = chars.next() {
                write!(self.out, "{}", char.escape_default())?;
            }
            rest = chars.as_str();
        }
        self.out.write_str(rest)
    }
}

/// Whether a terminal acts on the character, or does not show it where it stands; line end and tab
/// aside, which [`EscapedLines`] lets through.
#[must_use]
pub(crate) fn is_harmful(char: char) -> bool {
    match char {
        '\n' | '\t' | ' '..='~' => false,
        // Soft hyphen, Arabic letter mark, Mongolian vowel separator.
        '\u{ad}' | '\u{61c}' | '\u{180e}' => true,
        // Zero width, marks of direction, line and paragraph ends, embeddings and overrides.
        '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' => true,
        // Invisible operators, isolates, byte order mark, annotations, tags.
        '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' => true,
        '\u{e0000}'..='\u{e007f}' => true,
        _ => char.is_control(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_cannot_begin_a_line_nor_speak_to_the_terminal() {
        for (text, shown) in [
            ("table1", "table1"),
            ("стол 1 🍜 don't \"x\" a\\b", "стол 1 🍜 don't \"x\" a\\b"),
            ("a\nERROR b\r\tc", "a\\nERROR b\\r\\tc"),
            ("\u{1b}[2J\u{9b}31m\u{7f}", "\\u{1b}[2J\\u{9b}31m\\u{7f}"),
            ("x\u{202e}gpj.exe", "x\\u{202e}gpj.exe"),
            ("\u{2066}\u{feff}\u{2028}", "\\u{2066}\\u{feff}\\u{2028}"),
            ("", ""),
        ] {
            assert_eq!(Escaped(text).to_string(), shown);
            assert_eq!(Escaped(Escaped(text)).to_string(), shown, "twice");
        }
    }

    #[test]
    fn a_text_of_lines_keeps_its_lines() {
        let text = "one\n\ttwo\u{1b}[0m\r\n";
        let shown = "one\n\ttwo\\u{1b}[0m\\r\n";
        assert_eq!(EscapedLines(text).to_string(), shown);
    }
}
