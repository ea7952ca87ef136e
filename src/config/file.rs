//! Walks the parsed TOML against the list of keys, and knows the line of everything.
//!
//! Fed by `load` with the text of the file; fills the draft. It checks names and single values;
//! what holds between values is the business of `checks`.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Config;
use super::draft::{Draft, Given, label};
use super::found::Found;
use super::items::{DESTINATIONS, ITEM_NAMES, Items, RULES, SOURCES, USERS};
use super::key::{Key, Section, Shown};
use super::keys::SECTIONS;
use super::nearest::{nearest, suggest};
use super::problem::{Place, Problem, Spot};

/// Reads the file's text into the draft; what is wrong goes to the draft's problems.
pub(super) fn read(draft: &mut Draft, name: &str, text: &str) {
    let mut reader = Reader {
        given: &mut draft.given,
        problems: &mut draft.problems,
        name,
        text,
    };
    match DeTable::parse(text) {
        Ok(document) => reader.top(&mut draft.config, document.get_ref()),
        Err(error) => {
            let span = error.span().unwrap_or_default();
            let why = not_toml(error.message());
            reader.problem(&span, why);
        }
    }
}

/// What the parser says, with the mistake that is made most.
fn not_toml(message: &str) -> String {
    let message = message.replace('\n', " ");
    match message.contains("duplicate") {
        true => format!("{message}; remove one of the two"),
        false => format!(
            "this is not TOML: {message}; texts, and values with a unit such as \"64KiB\", stand \
             in quotes"
        ),
    }
}

/// One file on its way into the draft.
struct Reader<'a> {
    given: &'a mut Given,
    problems: &'a mut Vec<Problem>,
    name: &'a str,
    text: &'a str,
}

type Name<'i> = Spanned<Cow<'i, str>>;
type Value<'i> = Spanned<DeValue<'i>>;

impl Reader<'_> {
    fn place(&self, span: &Range<usize>) -> Place {
        Place::File(self.name.to_owned(), Spot::at(self.text, span.start))
    }

    fn problem(&mut self, span: &Range<usize>, text: impl Into<String>) {
        let place = self.place(span);
        self.problems.push(Problem::new(place, text));
    }

    /// The top of the file: its own keys, sections and items.
    fn top(&mut self, config: &mut Config, table: &DeTable<'_>) {
        for (name, value) in table {
            match name.get_ref().as_ref() {
                "source" => {
                    self.items(&SOURCES, value, &mut config.sources, |g| &mut g.sources);
                }
                "destination" => {
                    let items = &mut config.destinations;
                    self.items(&DESTINATIONS, value, items, |g| &mut g.destinations);
                }
                "rule" => self.items(&RULES, value, &mut config.rules, |g| &mut g.rules),
                "user" => self.items(&USERS, value, &mut config.users, |g| &mut g.users),
                other => match SECTIONS[1..].iter().find(|s| s.name == other) {
                    Some(section) => self.section(config, section, value),
                    None => self.setting(config, &SECTIONS[0], name, value),
                },
            }
        }
    }

    /// A `[section]`.
    fn section(&mut self, config: &mut Config, section: &Section, value: &Value<'_>) {
        let Some(table) = value.get_ref().as_table() else {
            let name = section.name;
            let why = format!("\"{name}\" is a section; write [{name}] and its keys below");
            return self.problem(&value.span(), why);
        };
        for (name, value) in table {
            self.setting(config, section, name, value);
        }
    }

    /// One key of a section or of the top.
    fn setting(&mut self, config: &mut Config, section: &Section, name: &Name, value: &Value) {
        let Some(key) = section.keys.iter().find(|k| k.name == name.get_ref()) else {
            return self.unknown(section, name, value);
        };
        let place = self.place(&value.span());
        self.given.keys.insert((section.name, key.name), place);
        self.take(section.name, key, config, value);
    }

    /// Takes one value, or notes what is wrong with it.
    fn take<T>(&mut self, section: &str, key: &Key<T>, target: &mut T, value: &Value) -> bool {
        let found = Found::in_file(value, self.text);
        let taken = (key.set)(target, &found);
        if let Err(why) = &taken {
            self.problem(
                &value.span(),
                format!("{}: {why}", label(section, key.name)),
            );
        }
        taken.is_ok()
    }

    /// All `[[items]]` of a kind; they replace the defaults.
    fn items<T>(
        &mut self,
        kind: &Items<T>,
        value: &Value,
        items: &mut Vec<T>,
        places: fn(&mut Given) -> &mut Vec<Place>,
    ) {
        let name = kind.name;
        let Some(values) = value.get_ref().as_array() else {
            let why = format!("there may be many; write [[{name}]] in double brackets for each");
            return self.problem(&value.span(), why);
        };
        items.clear();
        places(self.given).clear();
        for value in values {
            match value.get_ref().as_table() {
                Some(table) => {
                    if let Some(item) = self.item(kind, table, &value.span()) {
                        items.push(item);
                        let place = self.place(&value.span());
                        places(self.given).push(place);
                    }
                }
                None => {
                    let why = format!("found a plain value; write [[{name}]] and its keys below");
                    self.problem(&value.span(), why);
                }
            }
        }
    }

    /// One `[[item]]`, or `None` where something is wrong with it.
    fn item<T>(&mut self, kind: &Items<T>, table: &DeTable, span: &Range<usize>) -> Option<T> {
        let section = format!("[{}]", kind.name);
        let mut item = (kind.blank)();
        let mut right = true;
        for (name, value) in table {
            match kind.keys.iter().find(|k| k.name == name.get_ref()) {
                Some(key) => right &= self.take(&section, key, &mut item, value),
                None => {
                    right = false;
                    let names: Vec<&str> = kind.keys.iter().map(|k| k.name).collect();
                    let (typed, meant) = (name.get_ref(), meant(name.get_ref(), &names));
                    let why = format!("unknown key \"{typed}\" in [{section}]; {meant}");
                    self.problem(&name.span(), why);
                }
            }
        }
        right &= self.complete(kind, table, span);
        right.then_some(item)
    }

    /// Whether all that an item needs is there.
    fn complete<T>(&mut self, kind: &Items<T>, table: &DeTable, span: &Range<usize>) -> bool {
        let mut complete = true;
        let has = |key: &str| table.keys().any(|name| name.get_ref() == key);
        for key in kind.keys {
            let (example, or) = match key.default {
                Shown::Required(example) => (example, None),
                Shown::RequiredWithout(example, other) if !has(other) => (example, Some(other)),
                _ => continue,
            };
            if !has(key.name) {
                complete = false;
                let (kind, key) = (kind.name, key.name);
                let or = or.map_or(String::new(), |other| format!(", or {other}"));
                let why = format!("[[{kind}]] has no {key}; add {key} = {example}{or}");
                self.problem(span, why);
            }
        }
        complete
    }

    /// A key or section that is on no list, with the name that was likely meant.
    fn unknown(&mut self, section: &Section, name: &Name, value: &Value) {
        let typed = name.get_ref();
        let is_table = match value.get_ref() {
            DeValue::Table(_) => true,
            DeValue::Array(items) => items.iter().any(|i| i.get_ref().is_table()),
            _ => false,
        };
        let text = if section.name.is_empty() && is_table {
            format!("unknown section [{typed}]; {}", section_meant(typed))
        } else {
            unknown_key(section, typed)
        };
        self.problem(&name.span(), text);
    }
}

/// `did you mean [scheduler]?`
fn section_meant(typed: &str) -> String {
    let sections = SECTIONS[1..].iter().map(|s| s.name);
    let names: Vec<&str> = sections.chain(ITEM_NAMES).collect();
    match nearest(typed, names.iter().copied()) {
        Some(name) if ITEM_NAMES.contains(&name) => format!("did you mean [[{name}]]?"),
        Some(name) => format!("did you mean [{name}]?"),
        None => format!("there are {}", names.join(", ")),
    }
}

/// `unknown key "x" in [y]; did you mean "z"?`, or where else there is such a key.
fn unknown_key(section: &Section, typed: &str) -> String {
    let place = match section.name {
        "" => "at the top of the file".to_owned(),
        name => format!("in [{name}]"),
    };
    let names: Vec<&str> = section.keys.iter().map(|k| k.name).collect();
    format!("unknown key \"{typed}\" {place}; {}", meant(typed, &names))
}

/// The nearest of the section's own names, or else of all others; or all the section's names.
fn meant(typed: &str, names: &[&str]) -> String {
    let elsewhere = match nearest(typed, names.iter().copied()) {
        Some(_) => None,
        None => elsewhere(typed),
    };
    elsewhere.unwrap_or_else(|| suggest(typed, names))
}

/// Where there is a key of this name, or nearly so.
fn elsewhere(typed: &str) -> Option<String> {
    let keys = || {
        SECTIONS
            .iter()
            .flat_map(|s| s.keys.iter().map(|k| (s.name, k.name)))
    };
    let near = nearest(typed, keys().map(|(_, key)| key))?;
    let (section, key) = keys().find(|(_, key)| *key == near)?;
    Some(match section {
        "" => format!(
            "did you mean \"{key}\"? It stands at the top of the file, before the first [section]"
        ),
        _ => format!("did you mean {}?", label(section, key)),
    })
}
