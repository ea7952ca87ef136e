//! Rounds as a table for spreadsheets: a line a round, a column a figure, the header as comments.
//!
//! Nested figures get the names on the way to them, `received.arrivals.latency.p99`; lists (curves,
//! timelines) are in the JSON only, but for lists of objects, whose elements are numbered.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::machine::Fact;

/// The table; a section without rounds is empty but for the header.
pub(super) fn render(facts: &[Fact], raw: &Value) -> String {
    let rounds = raw.as_array().map_or(&[][..], Vec::as_slice);
    let rows: Vec<BTreeMap<String, String>> = rounds.iter().map(row).collect();
    let mut columns: Vec<&str> = Vec::new();
    for name in rows.iter().flat_map(BTreeMap::keys) {
        if let Err(place) = columns.binary_search(&name.as_str()) {
            columns.insert(place, name);
        }
    }
    let comment = |(name, value): &Fact| format!("# {name}: {value}\n");
    let mut text: String = facts.iter().map(comment).collect();
    text.push_str(&line(columns.iter().map(|&it| it.to_owned())));
    for row in &rows {
        let cell = |name: &&str| row.get(*name).cloned().unwrap_or_default();
        text.push_str(&line(columns.iter().map(cell)));
    }
    text
}

fn row(round: &Value) -> BTreeMap<String, String> {
    let mut row = BTreeMap::new();
    flatten(String::new(), round, &mut row);
    row
}

fn flatten(name: String, value: &Value, row: &mut BTreeMap<String, String>) {
    let below = |key: &str| match name.is_empty() {
        true => key.to_owned(),
        false => format!("{name}.{key}"),
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields {
                flatten(below(key), value, row);
            }
        }
        Value::Array(values) => {
            let objects = values.iter().enumerate().filter(|(_, it)| it.is_object());
            objects.for_each(|(index, it)| flatten(below(&(index + 1).to_string()), it, row));
        }
        Value::Null => {}
        Value::String(text) => _ = row.insert(name, text.clone()),
        other => _ = row.insert(name, other.to_string()),
    }
}

fn line(cells: impl Iterator<Item = String>) -> String {
    let quoted = |cell: String| match cell.contains([',', '"', '\n']) {
        true => format!("\"{}\"", cell.replace('"', "\"\"")),
        false => cell,
    };
    let cells: Vec<String> = cells.map(quoted).collect();
    cells.join(",") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_round_is_a_line_and_every_figure_a_column() {
        let rounds = json!([
            {"rate": 1.5, "sent": {"frames": 2, "curve": [[0.5, 1]]}, "name": "a,\"b\""},
            {"rate": 3, "levels": [{"p99": 7}, {"p99": 8}], "settings": null},
        ]);
        let facts = [("commit".to_owned(), "abc".to_owned())];
        let want = "# commit: abc\n\
            levels.1.p99,levels.2.p99,name,rate,sent.frames\n\
            ,,\"a,\"\"b\"\"\",1.5,2\n\
            7,8,,3,\n";
        assert_eq!(render(&facts, &rounds), want);
    }

    #[test]
    fn no_rounds_are_no_lines() {
        assert_eq!(render(&[], &Value::Null), "\n");
    }
}
