//! The JSON schema of the settings' file, for editors: `flipped-lb check --schema`.
//!
//! Made of the list of keys: names, defaults and meanings as they stand there, types and bounds as the
//! setters ask for them ([`super::probe`]). Draft 7, which editors of TOML know. It says what one
//! value may be; what several keys must be together, `flipped-lb check` says.

use serde_json::{Map, Value, json};

use super::Config;
use super::found::Found;
use super::items::{DESTINATIONS, Items, RULES, SOURCES, USERS};
use super::key::{Key, Section, Shown};
use super::keys::SECTIONS;
use super::probe::{Kind, Probe};
use super::units::{duration_pattern, show_duration, show_size, size_pattern};
use crate::limits::{CORES_MAX, NAME_LEN_MAX};

const HEAD: &str = "The settings of the Flipped Load Balancer. Every key has a default.";

/// A schema of all that may stand in a settings' file.
#[must_use]
pub(crate) fn schema() -> Value {
    let mut properties = Map::new();
    for section in &SECTIONS {
        let keys = keys_of(section);
        if section.name.is_empty() {
            properties.extend(keys);
        } else {
            let table = table(section.meaning, keys);
            properties.insert(section.name.to_owned(), table);
        }
    }
    properties.extend([
        item(&SOURCES),
        item(&DESTINATIONS),
        item(&RULES),
        item(&USERS),
    ]);
    let mut schema = table(HEAD, properties);
    schema["$schema"] = "http://json-schema.org/draft-07/schema#".into();
    schema["title"] = "flipped-lb.toml".into();
    schema
}

fn keys_of(section: &Section) -> Map<String, Value> {
    let keys = section.keys.iter();
    keys.map(|key| (key.name.to_owned(), one(key, &mut Config::default())))
        .collect()
}

/// All `[[items]]` of a kind.
fn item<T>(kind: &Items<T>) -> (String, Value) {
    let keys = kind.keys.iter();
    let properties = keys.map(|key| (key.name.to_owned(), one(key, &mut (kind.blank)())));
    let mut one = table("", properties.collect());
    let is_required = |key: &&Key<T>| matches!(key.default, Shown::Required(_));
    let required = kind.keys.iter().filter(is_required).map(|key| key.name);
    one["required"] = required.collect();
    if kind.name == "source" {
        // It is dialled, or read from a stream.
        one["anyOf"] = json!([{ "required": ["address"] }, { "required": ["nats"] }]);
    }
    let all = json!({ "type": "array", "description": kind.meaning, "items": one });
    (kind.name.to_owned(), all)
}

fn table(meaning: &str, properties: Map<String, Value>) -> Value {
    let mut table = json!({
        "type": "object",
        "properties": properties,
        "additionalProperties": false,
    });
    if !meaning.is_empty() {
        table["description"] = meaning.into();
    }
    table
}

fn one<T>(key: &Key<T>, target: &mut T) -> Value {
    let probe = Probe::default();
    // It fails, for there is no value.
    let _ = (key.set)(target, &Found::probing(probe.clone()));
    let kinds = probe.kinds();
    let mut schema = any_of(&kinds);
    let bounds: String = kinds.iter().filter_map(bounds).collect();
    schema["description"] = format!("{}{bounds}", key.meaning).into();
    match key.default {
        Shown::Default(text) => schema["default"] = in_json(text),
        Shown::Absent(text) | Shown::Required(text) | Shown::RequiredWithout(text, _) => {
            schema["examples"] = json!([in_json(text)]);
        }
    }
    schema
}

fn any_of(kinds: &[Kind]) -> Value {
    match kinds {
        [kind] => of(kind),
        kinds => json!({ "anyOf": kinds.iter().map(of).collect::<Vec<_>>() }),
    }
}

fn of(kind: &Kind) -> Value {
    let pattern = |pattern: &str| json!({ "type": "string", "pattern": pattern });
    let core_max = CORES_MAX - 1;
    match kind {
        Kind::Text => json!({ "type": "string" }),
        Kind::Name => json!({ "type": "string", "minLength": 1, "maxLength": NAME_LEN_MAX }),
        Kind::Word(word) => json!({ "const": word }),
        Kind::Boolean => json!({ "type": "boolean" }),
        Kind::Integer(min, max) => json!({ "type": "integer", "minimum": min, "maximum": max }),
        Kind::Size(min, max) => json!({ "anyOf": [
            { "type": "integer", "minimum": min, "maximum": max },
            pattern(&format!("^{}$", size_pattern())),
        ] }),
        Kind::Duration(..) => pattern(&format!("^{}$", duration_pattern())),
        Kind::Choice(words) => json!({ "enum": words }),
        Kind::List(items) => json!({ "type": "array", "items": any_of(&items.kinds()) }),
        Kind::File => json!({ "type": "string", "minLength": 1 }),
        Kind::Core => json!({ "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": core_max },
            { "enum": ["none", ""] },
        ] }),
        Kind::Listen => pattern("^(none|.*:[0-9]{1,5})?$"),
        Kind::HostPort => pattern("^.+:[0-9]{1,5}$"),
        Kind::Hours => pattern(r"^\s*\d\d:\d\d\s*-\s*\d\d:\d\d\s*$"),
        Kind::Rate => {
            let rate = format!("{}\\s*/s", size_pattern());
            json!({ "anyOf": [
                pattern(&format!("^(none|{rate})$")),
                { "type": "array", "maxItems": 2, "items": pattern(&format!("^{rate}$")) },
            ] })
        }
    }
}

/// Bounds that a pattern does not say.
fn bounds(kind: &Kind) -> Option<String> {
    let (min, max) = match kind {
        Kind::Size(min, max) => (show_size(*min), show_size(*max)),
        Kind::Duration(min, max) => (show_duration(*min), show_duration(*max)),
        Kind::List(items) => return items.kinds().iter().find_map(bounds),
        _ => return None,
    };
    Some(format!(" From {min} to {max}."))
}

/// A value of TOML.
fn in_json(text: &str) -> Value {
    let document = format!("value = {text}");
    let mut table: Map<String, Value> =
        toml::from_str(&document).expect("a test reads all defaults");
    table.remove("value").unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Every key of the file with its schema, sections and items alike.
    fn all() -> Vec<(String, Value)> {
        let schema = schema();
        let mut all = Vec::new();
        for (name, it) in schema["properties"].as_object().unwrap() {
            let within = it.get("items").unwrap_or(it);
            match within.get("properties").and_then(Value::as_object) {
                Some(keys) => {
                    let keys = keys.iter();
                    all.extend(keys.map(|(key, it)| (format!("{name}.{key}"), it.clone())));
                }
                None => all.push((name.clone(), it.clone())),
            }
        }
        all
    }

    fn of_key(name: &str) -> Value {
        let found = all().into_iter().find(|(it, _)| it == name);
        found.unwrap_or_else(|| panic!("no {name}")).1
    }

    #[test]
    fn every_key_has_a_type_a_meaning_and_a_default_or_an_example() {
        let keys = SECTIONS.iter().map(|it| it.keys.len()).sum::<usize>();
        let of_items = [
            SOURCES.keys.len(),
            DESTINATIONS.keys.len(),
            RULES.keys.len(),
            USERS.keys.len(),
        ];
        assert_eq!(all().len(), keys + of_items.iter().sum::<usize>());
        for (name, schema) in all() {
            let typed = ["type", "enum", "anyOf", "const"];
            assert!(typed.iter().any(|it| schema.get(it).is_some()), "{name}");
            assert_ne!(
                schema["anyOf"],
                json!([]),
                "{name}'s setter asks for nothing"
            );
            assert!(
                !schema["description"].as_str().unwrap().is_empty(),
                "{name}"
            );
            let shown = ["default", "examples"];
            assert!(shown.iter().any(|it| schema.get(it).is_some()), "{name}");
        }
    }

    #[test]
    fn types_and_bounds_are_those_that_the_setters_ask_for() {
        assert_eq!(of_key("source.ack")["type"], "boolean");
        assert_eq!(of_key("scheduler.levels")["maximum"], 8);
        let durability = of_key("durability");
        assert!(
            durability["enum"]
                .as_array()
                .unwrap()
                .contains(&"synced".into())
        );
        assert_eq!(durability["default"], "written");
        let line = of_key("ingest.max_line");
        assert_eq!(line["anyOf"][0]["type"], "integer");
        assert!(line["description"].as_str().unwrap().ends_with("."));
        let keep = of_key("store.keep");
        assert_eq!(keep["anyOf"][0], json!({ "const": "forever" }));
        assert_eq!(of_key("scheduler.max_wait")["items"]["type"], "string");
        assert_eq!(of_key("threads.ingest_core")["anyOf"][0]["minimum"], 0);
        assert_eq!(
            schema()["properties"]["destination"]["items"]["required"],
            json!(["id"])
        );
    }
}
