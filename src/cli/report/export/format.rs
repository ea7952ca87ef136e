//! Rows as lines: JSON objects, or comma-separated values. Pure: cells in, bytes out.

use serde::de::IgnoredAny;

use crate::store::reader::Value;
use crate::store::schema::MESSAGE_COLUMNS;

/// A row as one line of JSON. The payload is JSON, as it came.
pub(super) fn ndjson(row: &[Value], out: &mut Vec<u8>) {
    for (at, (name, cell)) in MESSAGE_COLUMNS.iter().zip(row).enumerate() {
        out.extend_from_slice(if at == 0 { b"{\"" } else { b",\"" });
        out.extend_from_slice(name.as_bytes());
        out.extend_from_slice(b"\":");
        match cell {
            Value::Text(text) if *name == "payload" && is_json(text) => raw(text, out),
            cell => {
                // Numbers and strings are always JSON.
                let _ = serde_json::to_writer(&mut *out, cell);
            }
        }
    }
    out.extend_from_slice(b"}\n");
}

fn is_json(text: &str) -> bool {
    serde_json::from_str::<IgnoredAny>(text).is_ok()
}

/// JSON on one line: a line's end can only stand between its tokens.
fn raw(json: &str, out: &mut Vec<u8>) {
    out.extend(json.bytes().map(|it| match it {
        b'\n' | b'\r' => b' ',
        it => it,
    }));
}

/// The names of the columns.
pub(super) fn csv_head(out: &mut Vec<u8>) {
    out.extend_from_slice(MESSAGE_COLUMNS.join(",").as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// A row, as RFC 4180 has it; what is NULL is empty, and an empty text is quoted.
pub(super) fn csv(row: &[Value], out: &mut Vec<u8>) {
    for (at, cell) in row.iter().enumerate() {
        if at > 0 {
            out.push(b',');
        }
        match cell {
            Value::Null => {}
            Value::Integer(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Value::Real(number) => out.extend_from_slice(number.to_string().as_bytes()),
            Value::Text(text) => field(text, out),
        }
    }
    out.extend_from_slice(b"\r\n");
}

fn field(text: &str, out: &mut Vec<u8>) {
    if !text.is_empty() && !text.contains([',', '"', '\n', '\r']) {
        return out.extend_from_slice(text.as_bytes());
    }
    out.push(b'"');
    out.extend_from_slice(text.replace('"', "\"\"").as_bytes());
    out.push(b'"');
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(message_id: &str, payload: Value) -> Vec<Value> {
        let text = |text: &str| Value::Text(text.to_owned());
        vec![
            Value::Integer(7),
            text(message_id),
            text("server1"),
            text("table1"),
            text("lunch"),
            Value::Integer(2),
            Value::Integer(1_700_000_000_007),
            payload,
            text("DELIVERED"),
            text("2023-11-14 22:13:20.000007"),
            Value::Integer(7),
            text("2023-11-14 22:13:21.000000"),
        ]
    }

    fn line(write: fn(&[Value], &mut Vec<u8>), row: &[Value]) -> String {
        let mut out = Vec::new();
        write(row, &mut out);
        String::from_utf8(out).expect("text")
    }

    #[test]
    fn a_row_is_a_line_of_json_whose_payload_is_json() {
        let payload = Value::Text("{\"a\": [1,\n 2.50]}".to_owned());
        assert_eq!(
            line(ndjson, &row("m \"1\"\n", payload)),
            concat!(
                r#"{"id":7,"messageId":"m \"1\"\n","sourceServerId":"server1","#,
                r#""destinationId":"table1","messageType":"lunch","priority":2,"#,
                r#""timestamp":1700000000007,"payload":{"a": [1,  2.50]},"status":"DELIVERED","#,
                r#""created_at":"2023-11-14 22:13:20.000007","sequence":7,"#,
                r#""delivered_at":"2023-11-14 22:13:21.000000"}"#,
                "\n"
            )
        );
        let without = line(ndjson, &row("m", Value::Null));
        assert!(without.contains(r#""payload":null"#), "{without}");
        let text = line(ndjson, &row("m", Value::Text("no\njson".to_owned())));
        assert!(text.contains(r#""payload":"no\njson""#), "{text}");
    }

    #[test]
    fn a_row_is_a_record_of_comma_separated_values() {
        let payload = Value::Text(r#"{"a":"b, c"}"#.to_owned());
        assert_eq!(
            line(csv, &row("", payload)),
            concat!(
                r#"7,"",server1,table1,lunch,2,1700000000007,"{""a"":""b, c""}",DELIVERED,"#,
                "2023-11-14 22:13:20.000007,7,2023-11-14 22:13:21.000000\r\n"
            )
        );
        let without = line(csv, &row("m", Value::Null));
        assert!(without.contains(",1700000000007,,DELIVERED,"), "{without}");
    }
}
