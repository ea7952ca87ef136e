//! The parser against the table of the design, line by line; every verdict is the model's too.

mod fields;
mod paths;

use super::model;
use super::verdict::{LEVELS, parse, verdict};
use super::*;
use crate::limits::{LINE_LEN_MAX, NESTING_MAX};

/// A valid line with `more` members behind the required ones.
fn line_with(more: &str) -> String {
    format!(
        "{{\"messageId\":\"m1\",\"sourceServerId\":\"s\",\"destinationId\":\"table1\",\
         \"messageType\":\"b\",{more}}}"
    )
}

fn reason(line: impl AsRef<[u8]>) -> Reason {
    verdict(line).expect_err("it should be rejected")
}

fn payload(content: &str) -> String {
    line_with(&format!(r#""priority":1,"payload":{content}"#))
}

#[test]
fn the_fields_of_a_good_line_are_found_wherever_they_stand() {
    let line = concat!(
        " { \"payload\" :\t{ \"priority\":9,\"payload\":{\"a\":\"}\\\"{\"} } ",
        ", \"timestamp\":1693123456789",
        ",\"priority\": 2 ,\"messageType\":\"br\\u00e9akfast\"\t,\"more\":[1,{\"x\":null}],",
        "\"destinationId\":\"table1\",\"sourceServerId\": \"server1\" , \"messageId\":\"a/1\"} \t"
    );
    let parsed = verdict(line).expect("it is good");
    assert_eq!(
        parsed.texts,
        ["a/1", "server1", "table1", "br\u{e9}akfast"].map(str::to_owned)
    );
    let raw = |index: usize| &line[parsed.spans[index].clone()];
    assert_eq!((raw(0), raw(3)), ("a/1", r"br\u00e9akfast"));
    assert_eq!(raw(4), r#"{ "priority":9,"payload":{"a":"}\"{"} }"#);
    assert_eq!(
        (parsed.priority, parsed.timestamp_ms),
        (2, Some(1_693_123_456_789))
    );
}

#[test]
fn the_shortest_line_needs_neither_timestamp_nor_payload() {
    let line = concat!(
        r#"{"messageId":"a","sourceServerId":"b","destinationId":"c","#,
        r#""messageType":"d","priority":1}"#
    );
    assert!(line.len() >= crate::limits::LINE_LEN_MIN);
    let parsed = verdict(line).expect("it is good");
    assert_eq!((parsed.timestamp_ms, parsed.spans[4].clone()), (None, 0..0));
}

#[test]
fn escaped_keys_are_the_keys_they_mean() {
    let parsed = verdict(line_with(r#""pri\u006frity":3,"payl\u006fad" : {"a":1} "#));
    assert_eq!(parsed.expect("it is good").priority, 3);
    let twice = r#""priority":3,"\u0070riority":3"#;
    assert_eq!(reason(line_with(twice)), Reason::DuplicateField);
}

const NOT_JSON: &[&str] = &[
    "",
    "x",
    "{",
    "}",
    "{]",
    r#"{"a":1"#,
    r#"{"a":1}{"b":2}"#,
    r#"{"a":1} x"#,
    r#"{"a":1},"#,
    r#"{"a" 1}"#,
    r#"{"a":}"#,
    r#"{a:1}"#,
    r#"{'a':1}"#,
    r#"{"a":1,}"#,
    "[1,]",
    "[1 2]",
    r#"{"a":tru}"#,
    r#"{"a":truex}"#,
    r#"{"a":nulll}"#,
    r#"{1:2}"#,
    r#"{"a":1 "b":2}"#,
    r#"{"a":"b"c}"#,
    r#"{"a":"b""c"}"#,
    r#"{"a":[}"#,
    r#"{"a":"\x"}"#,
    r#"{"a":"\u12g4"}"#,
    r#"{"a":"\u+123"}"#,
    r#"{"a":"\ud800"}"#,
    r#"{"a":"\udc00"}"#,
    r#"{"a":"\ud800\u0041"}"#,
    r#"{"a":"\"}"#,
    r#"{"a\":1}"#,
    "{\"a\":\"\t\"}",
    "{\"a\":\"\0\"}",
    "{\"a\":\"\x1f\"}",
    "{\"a\0\":1}",
    "\u{feff}{}",
    "{}\0",
    "\x0c{}",
    "{\x0b}",
    "\\",
    "{\\}",
    r#"{"a":/**/1}"#,
    r#"{"a":\u0031}"#,
    "\"",
    "{\"a",
    "tru",
    "nul",
];

#[test]
fn what_is_not_json_is_bad_json() {
    for case in NOT_JSON {
        assert_eq!(reason(case), Reason::BadJson, "{case:?}");
    }
    for number in [
        "01", "+1", ".5", "1.", "-", "-01", "1e", "1e+", "0x1", "1.e1", "1_0", "00",
    ] {
        assert_eq!(
            reason(payload(&format!("{{\"n\":{number}}}"))),
            Reason::BadJson,
            "{number}"
        );
    }
    for word in ["NaN", "Infinity", "-Infinity", "nan", "True", "undefined"] {
        assert_eq!(
            reason(payload(&format!("{{\"n\":{word}}}"))),
            Reason::BadJson,
            "{word}"
        );
    }
}

#[test]
fn json_that_is_no_object_is_not_an_object() {
    for case in [
        "1", "-1.5e3", "\"a\"", "null", " true ", "[]", "[{}]", "1e400", "[1e400]",
    ] {
        assert_eq!(reason(case), Reason::NotAnObject, "{case}");
    }
}

#[test]
fn bad_utf8_goes_before_bad_json() {
    assert_eq!(reason(b"{\xff"), Reason::BadUtf8);
    assert_eq!(reason(b"\xc3\x28"), Reason::BadUtf8);
    assert_eq!(
        reason([payload("{").as_bytes(), b"\"\xed\xa0\x80\"}"].concat()),
        Reason::BadUtf8
    );
    assert_eq!(
        reason([&b"\x01".repeat(200)[..], b"\xf8"].concat()),
        Reason::BadUtf8
    );
}

#[test]
fn a_key_that_stands_twice_is_refused_before_anything_is_missing() {
    assert_eq!(reason(r#"{"x":1,"x":2}"#), Reason::DuplicateField);
    assert_eq!(
        reason(r#"{"messageId":null,"messageId":1}"#),
        Reason::DuplicateField
    );
    assert_eq!(reason(r#"{"":1,"":2}"#), Reason::DuplicateField);
    assert_eq!(
        reason(r#"{"a":{"b":1,"b":1},"c":0}"#),
        Reason::MissingField,
        "top level only"
    );
    assert_eq!(reason(r#"{"a":1e400,"a":2}"#), Reason::DuplicateField);
}

#[test]
fn one_key_of_thousands_that_stands_twice_is_found() {
    let members: Vec<String> = (0..8_000).map(|key| format!("\"{key:04}\":0")).collect();
    let line = |last: &str| {
        line_with(&format!(
            "{},\"priority\":1{last}",
            members[..7_000].join(",")
        ))
    };
    let mut parser = Parser::new(LEVELS);
    assert!(parse(&mut parser, line("").as_bytes()).is_ok());
    let twice = parse(&mut parser, line(",\"3500\":1").as_bytes());
    assert_eq!(twice, Err(Reason::DuplicateField));
}

#[test]
fn nesting_is_bounded_and_never_overflows_the_stack() {
    let nested = |open: &str, close: &str, depth: usize| {
        payload(&format!(
            "{{\"a\":{}1{}}}",
            open.repeat(depth),
            close.repeat(depth)
        ))
    };
    let fits = NESTING_MAX - 2;
    for (open, close) in [("[", "]"), ("{\"a\":", "}")] {
        assert!(verdict(nested(open, close, fits)).is_ok());
        assert_eq!(reason(nested(open, close, fits + 1)), Reason::BadJson);
    }
    let huge = payload(&format!(
        "{{\"n\":1e400,\"a\":{}{}}}",
        "[".repeat(fits),
        "]".repeat(fits)
    ));
    assert!(verdict(&huge).is_ok());
    assert_eq!(reason(huge.replace("[]", "[[]]")), Reason::BadJson);
    for depth in [1_000, 10_000, 30_000] {
        assert_eq!(reason(nested("[", "]", depth)), Reason::BadJson);
        assert_eq!(reason("[".repeat(depth)), Reason::BadJson);
        assert_eq!(reason("{\"a\":".repeat(depth / 3)), Reason::BadJson);
    }
}

#[test]
fn the_longest_line_has_its_spans() {
    let fill = |len: usize| payload(&format!("{{\"a\":\"{}\"}}", "x".repeat(len)));
    let line = fill(LINE_LEN_MAX - fill(0).len());
    assert_eq!(line.len(), LINE_LEN_MAX);
    assert_eq!(
        verdict(&line).expect("it is good").spans[4].end,
        LINE_LEN_MAX - 1
    );
    let front = line
        .replace("\"messageId\":\"m1\",", "")
        .replace("}}", "},\"messageId\":\"m1\"}");
    assert_eq!(
        verdict(&front).expect("it is good").spans[0].end,
        LINE_LEN_MAX - 2
    );
}

#[test]
fn one_parser_serves_many_lines_of_any_kind() {
    let mut parser = Parser::new(LEVELS);
    let good = payload(r#"{"a":1}"#);
    for other in [
        "{",
        "[]",
        "\u{0}",
        &payload("{\"n\":1e400}"),
        &payload("null"),
        "",
    ] {
        let expected = model::parse(other.as_bytes(), LEVELS);
        assert_eq!(parse(&mut parser, other.as_bytes()), expected);
        assert!(parse(&mut parser, good.as_bytes()).is_ok());
    }
}
