//! Rounds as a table for spreadsheets: a line a round, a column a figure, the header as comments.
//!
//! Nested figures get the names on the way to them, `received.arrivals.latency.p99`; lists (timelines)
//! are in the JSON only, but for lists of objects, whose elements are numbered.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::machine::Fact;

/// What stands in the JSON alone: packed latencies.
const LEFT_OUT: [&str; 2] = ["histogram", "pieces"];

type Row = BTreeMap<String, String>;

/// The table; a section without rounds is empty but for the header.
pub(super) fn render(facts: &[Fact], rounds: &[Value]) -> String {
    let rows: Vec<Row> = rounds.iter().map(row).collect();
    let columns: BTreeSet<&String> = rows.iter().flat_map(Row::keys).collect();
    let mut text: String = (facts.iter())
        .map(|(name, it)| format!("# {name}: {it}\n"))
        .collect();
    let cells = |row: &Row| {
        let cell = |&name: &&String| row.get(name).cloned().unwrap_or_default();
        columns.iter().map(cell).collect::<Vec<_>>()
    };
    let header = columns.iter().map(|&it| it.clone()).collect();
    text.push_str(&lines([header].into_iter().chain(rows.iter().map(cells))));
    text
}

/// Rows of cells as CSV.
pub(crate) fn lines(rows: impl IntoIterator<Item = Vec<String>>) -> String {
    let mut writer = csv::WriterBuilder::new()
        .flexible(true)
        .from_writer(Vec::new());
    for row in rows {
        writer.write_record(row).expect("a Vec takes everything");
    }
    let bytes = writer.into_inner().expect("a Vec takes everything");
    String::from_utf8(bytes).expect("made of strings")
}

fn row(round: &Value) -> Row {
    let mut row = Row::new();
    flatten(String::new(), round, &mut row);
    row
}

fn flatten(name: String, value: &Value, row: &mut Row) {
    let below = |key: &str| match name.is_empty() {
        true => key.to_owned(),
        false => format!("{name}.{key}"),
    };
    match value {
        Value::Object(fields) => {
            for (key, value) in fields
                .iter()
                .filter(|(key, _)| !LEFT_OUT.contains(&key.as_str()))
            {
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_round_is_a_line_and_every_figure_a_column() {
        let rounds = [
            json!({"rate": 1.5, "sent": {"frames": 2, "timeline": [1]}, "name": "a,\"b\""}),
            json!({"rate": 3, "levels": [{"p99": 7}, {"p99": 8, "histogram": "HIST"}], "settings": null}),
        ];
        let facts = [("commit".to_owned(), "abc".to_owned())];
        let want = "# commit: abc\n\
            levels.1.p99,levels.2.p99,name,rate,sent.frames\n\
            ,,\"a,\"\"b\"\"\",1.5,2\n\
            7,8,,3,\n";
        assert_eq!(render(&facts, &rounds), want);
    }

    #[test]
    fn no_rounds_are_no_lines() {
        assert_eq!(render(&[], &[]).trim_matches(['"', '\n']), "");
    }
}
