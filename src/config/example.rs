//! Prints the example file: each key with its default and a comment.
//!
//! Fed by the list of keys; feeds `flipped-lb check --example` and `flipped-lb.example.toml` at
//! the root of the repository, which a test holds against this.

use std::fmt::Write as _;

use super::Config;
use super::items::{DESTINATIONS, Items, RULES, SOURCES, USERS};
use super::key::{Key, Section, Shown};
use super::keys::SECTIONS;

/// Widest line of the file.
const WIDTH: usize = 96;

const HEAD: &str = "The settings of the Flipped Load Balancer: every key with its default. A file \
    needs only the keys that it changes. Sizes have the units B, KB, KiB, MB, MiB, GB, GiB; \
    durations us, ms, s, m, h. An environment variable FLIPPED_LB_<SECTION>_<KEY> overrides its \
    key (FLIPPED_LB_DATA_DIR, FLIPPED_LB_INGEST_MAX_LINE; lists with commas; FLIPPED_LB_SOURCES \
    and FLIPPED_LB_DESTINATIONS take addresses and ids). `flipped-lb check` says what \
    a file means.";

/// The text of the example file: it parses to the defaults, and shows every key.
#[must_use]
pub fn example() -> String {
    let mut out = String::new();
    let defaults = Config::default();
    comment(&mut out, HEAD);
    for (index, section) in SECTIONS.iter().enumerate() {
        print_section(&mut out, section);
        // The top's own keys end at the first bracket, so items may follow it, not precede.
        if index == 0 {
            let sources = defaults.sources.iter();
            let sources = sources.map(|s| {
                vec![
                    quoted(&s.address),
                    s.ack.to_string(),
                    s.tls.is_on.to_string(),
                ]
            });
            print_items(&mut out, &SOURCES, &sources.collect::<Vec<_>>());
            let destinations = defaults.destinations.iter();
            let destinations = destinations.map(|d| vec![quoted(&d.id), d.vip.to_string()]);
            print_items(&mut out, &DESTINATIONS, &destinations.collect::<Vec<_>>());
            print_absent(&mut out, &RULES);
            print_absent(&mut out, &USERS);
        }
    }
    out
}

fn print_section(out: &mut String, section: &Section) {
    out.push('\n');
    if !section.name.is_empty() {
        comment(out, section.meaning);
        line(out, format_args!("[{}]", section.name));
    }
    for key in section.keys {
        comment(out, key.meaning);
        line(out, format_args!("{} = {}", key.name, shown(key.default)));
    }
}

/// The items that there are by default; the first one explains the keys.
fn print_items<T>(out: &mut String, kind: &Items<T>, items: &[Vec<String>]) {
    out.push('\n');
    comment(out, kind.meaning);
    for (index, values) in items.iter().enumerate() {
        if index > 0 {
            out.push('\n');
        }
        line(out, format_args!("[[{}]]", kind.name));
        for (key, value) in kind.keys.iter().zip(values) {
            if index == 0 {
                comment(out, key.meaning);
            }
            line(out, format_args!("{} = {value}", key.name));
        }
        for key in kind.keys.iter().skip(values.len()).filter(|_| index == 0) {
            comment(out, key.meaning);
            line(out, format_args!("# {} = {}", key.name, shown(key.default)));
        }
    }
}

/// An item that is commented out, since there are none by default.
fn print_absent<T>(out: &mut String, kind: &Items<T>) {
    out.push('\n');
    comment(out, kind.meaning);
    line(out, format_args!("# [[{}]]", kind.name));
    let fits = |key: &&Key<T>| width(key) + "# ".len() + "  # ".len() + key.meaning.len() <= WIDTH;
    let column = kind.keys.iter().filter(fits).map(width).max();
    let column = column.unwrap_or_default();
    for key in kind.keys {
        let setting = format!("{} = {}", key.name, shown(key.default));
        if fits(&key) {
            line(out, format_args!("# {setting:column$}  # {}", key.meaning));
        } else {
            comment(out, &format!("# {}", key.meaning));
            line(out, format_args!("# {setting}"));
        }
    }
}

fn width<T>(key: &Key<T>) -> usize {
    key.name.len() + " = ".len() + shown(key.default).len()
}

fn shown(default: Shown) -> &'static str {
    match default {
        Shown::Default(text)
        | Shown::Absent(text)
        | Shown::Required(text)
        | Shown::RequiredWithout(text, _) => text,
    }
}

fn quoted(text: &str) -> String {
    format!("\"{text}\"")
}

/// A comment, wrapped at words.
fn comment(out: &mut String, text: &str) {
    let mut row = String::from("#");
    for word in text.split_whitespace() {
        if row.len() + 1 + word.len() > WIDTH {
            line(out, format_args!("{row}"));
            row = String::from("#");
        }
        row.push(' ');
        row.push_str(word);
    }
    line(out, format_args!("{row}"));
}

fn line(out: &mut String, text: std::fmt::Arguments<'_>) {
    // Writing to a String cannot fail.
    let _ = writeln!(out, "{text}");
}
