//! The parser against the table of the design, line by line; every verdict is the model's too.

use super::blocks::BitByBit;
use super::model;
use super::verdict::{LEVELS, is_quick, judge, verdict};
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
    let judged = verdict(line).expect("it is good");
    assert_eq!(
        judged.texts,
        ["a/1", "server1", "table1", "br\u{e9}akfast"].map(str::to_owned)
    );
    let raw = |index: usize| &line[judged.spans[index].clone()];
    assert_eq!((raw(0), raw(3)), ("a/1", r"br\u00e9akfast"));
    assert_eq!(raw(4), r#"{ "priority":9,"payload":{"a":"}\"{"} }"#);
    assert_eq!(
        (judged.priority, judged.timestamp_ms),
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
    let judged = verdict(line).expect("it is good");
    assert_eq!((judged.timestamp_ms, judged.spans[4].clone()), (None, 0..0));
}

#[test]
fn escaped_keys_are_the_keys_they_mean() {
    let judged = verdict(line_with(r#""pri\u006frity":3,"payl\u006fad" : {"a":1} "#));
    assert_eq!(judged.expect("it is good").priority, 3);
    let twice = r#""priority":3,"\u0070riority":3"#;
    assert_eq!(reason(line_with(twice)), Reason::DuplicateField);
}

#[test]
fn usual_lines_go_the_quick_way() {
    let contents = [
        "{}",
        r#"{ "a" : { } , "b" : [ ] }"#,
        r#"{"a":{"b":[{"c":1.5e-3},[2,[]],"x",true,null,{"d":{}}]},"e":false}"#,
        r#"{"text":"a, b: {c} [d] \"e\" \\"}"#,
        r#"{"text":"\\\\","more":"\u00e9 \ud83d\ude00 \n"}"#,
        "{\"text\":\"caf\u{e9} \u{1f600}\"}",
        r#"{"key \" , : { [":1,"":2}"#,
    ];
    for content in contents {
        for indent in 0..130 {
            // Each byte stands at each place of a block, once.
            let line = " ".repeat(indent) + &payload(content);
            assert!(is_quick(&line), "{line}");
            assert!(verdict(&line).is_ok(), "{line}");
        }
    }
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(is_quick(payload(&nested(NESTING_MAX - 2))));
    assert!(!is_quick(payload(&nested(NESTING_MAX - 1))));
    let others: Vec<String> = (0..19).map(|key| format!(",\"x{key}\":[{key}]")).collect();
    assert!(is_quick(line_with(&format!(
        "\"priority\":1{}",
        others.concat()
    ))));
    assert!(is_quick(line_with(
        r#""more":1, "priority" : 1 , "timestamp" : 999999999999999999  "#
    )));
}

#[test]
fn lines_of_one_shape_are_quick_whatever_is_between_their_tokens() {
    let bare = payload(r#"{"a":[1,{"b":2.5}],"c":"d"}"#);
    let spaced = bare.replace(':', " : ").replace(',', " , ");
    let orders = [
        bare.clone(),
        bare.replace(':', ": "),
        bare.replace(':', ":  ").replace(',', ",  "),
        bare.replace(':', " :"),
        bare.replace(',', " ,"),
        spaced,
        // The same tokens, other members.
        bare.replace("messageId", "M")
            .replace("messageType", "messageId")
            .replace("\"M\"", "\"messageType\""),
        bare.replace("\"payload\"", "\"other\""),
        bare.replace("\"payload\"", "\"one that is too long to be remembered\""),
        // A value so near to the line's end that the bytes before it are compared by themselves.
        line_with("\"priority\":1"),
        line_with("\"priority\": 1"),
        line_with("\"priority\":1  "),
        line_with("\"priority\":  1 "),
        line_with("\"timestamp\":7, \"priority\":1"),
    ];
    let mut parser = Parser::new(LEVELS);
    for before in &orders {
        for line in &orders {
            for line in [before, line] {
                let quick = parser.quick.parse(line.as_bytes());
                let fresh = Quick::new(LEVELS).parse_by(BitByBit, line.as_bytes());
                assert!(quick.is_some(), "{line} behind {before}");
                assert_eq!(quick, fresh, "{line} behind {before}");
            }
        }
    }
}

#[test]
fn lines_of_any_number_of_tokens_and_members_are_quick() {
    let mut parser = Parser::new(LEVELS);
    for count in 0..200 {
        let list = vec!["1"; count].join(",");
        let line = payload(&format!("{{\"a\":[{list}]}}"));
        for line in [line.clone() + &" ".repeat(200), line] {
            assert!(is_quick(&line), "{count}");
            for _ in 0..2 {
                assert!(judge(&mut parser, line.as_bytes()).is_ok(), "{count}");
            }
        }
    }
    for count in 0..19 {
        let others: Vec<String> = (0..count)
            .map(|key| format!("\"x{key}\":[{key}],"))
            .collect();
        let line = line_with(&format!("{}\"priority\":1", others.concat()));
        for _ in 0..2 {
            assert!(parser.quick.parse(line.as_bytes()).is_some(), "{count}");
            assert!(judge(&mut parser, line.as_bytes()).is_ok(), "{count}");
        }
        if count > 1 {
            let twice = line.replace("x0", "x1");
            assert_eq!(
                judge(&mut parser, twice.as_bytes()),
                Err(Reason::DuplicateField)
            );
        }
    }
}

#[test]
fn a_control_character_is_seen_wherever_it_stands() {
    // Among them those that are a quote, a space, or an operator but for one bit.
    let controls = b"\0\x01\x02\x0c\x1a\x1f\t";
    let contents = [
        r#"{"a":[1,{"b":2.5}],"c":"caf\u00e9"}"#,
        "{\"a\":\"caf\u{e9}\"}",
    ];
    for line in contents.map(payload) {
        for (at, control) in (0..line.len()).flat_map(|at| controls.map(|it| (at, it))) {
            let mut line = line.clone().into_bytes();
            line[at] = control;
            assert!(!is_quick(&line), "{control} at {at}");
            let _ = verdict(&line);
            line.insert(at, b' ');
            let _ = verdict(&line);
        }
    }
}

#[test]
fn a_character_beyond_ascii_is_seen_wherever_it_stands() {
    for len in 0..200 {
        let text = "x".repeat(len) + "\u{e9}" + &"x".repeat(200 - len);
        let line = payload(&format!("{{\"a\":\"{text}\"}}"));
        assert!(is_quick(&line), "{len}");
        assert!(verdict(&line).is_ok(), "{len}");
        let mut cut = line.into_bytes();
        cut.retain(|byte| *byte != 0xa9);
        assert!(!is_quick(&cut), "{len}");
        assert_eq!(reason(&cut), Reason::BadUtf8, "{len}");
    }
}

#[test]
fn backslashes_escape_over_the_borders_of_blocks() {
    for len in 0..130 {
        for count in 0..5 {
            let text = "x".repeat(len) + &"\\".repeat(count);
            for behind in ["n", "\"", ",", "x"] {
                let _ = verdict(payload(&format!("{{\"a\":\"{text}{behind}\",\"b\":1}}")));
                let _ = verdict(payload(&format!("{{\"a\":\"{text}{behind},\"b\":1}}")));
            }
        }
    }
}

#[test]
fn numbers_are_judged_over_the_borders_of_blocks() {
    for indent in 0..70 {
        for number in [
            "1234567.12345",
            "-0.5e-7",
            "12.",
            "1.2.3",
            "007",
            "1 2",
            "1.5",
        ] {
            let content = format!("{{\"a\":{}{number}}}", " ".repeat(indent));
            let _ = verdict(payload(&content));
            let _ = verdict(payload(&format!("{content}  ")));
        }
    }
}

#[test]
fn what_is_rare_goes_the_long_way() {
    let many: String = (0..20).map(|key| format!(",\"x{key}\":0")).collect();
    for more in [
        r#""priority":1,"pa\u0079load":{}"#,
        r#""priority":1,"x\n":{}"#,
        "\"priority\":1,\"payload\":{\t}",
        "\"priority\":1\r",
        r#""priority":1,"timestamp":1693123456789012345"#,
        &format!("\"priority\":1{many}"),
    ] {
        let line = line_with(more);
        assert!(!is_quick(&line), "{line}");
        assert!(verdict(&line).is_ok(), "{line}");
    }
}

#[test]
fn what_is_not_json_is_bad_json() {
    let cases = [
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
    for case in cases {
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
fn thousands_of_unknown_keys_cost_no_square() {
    let members: Vec<String> = (0..8_000).map(|key| format!("\"{key:04}\":0")).collect();
    let line = |last: &str| {
        line_with(&format!(
            "{},\"priority\":1{last}",
            members[..7_000].join(",")
        ))
    };
    let mut parser = Parser::new(LEVELS);
    let started = std::time::Instant::now();
    for _ in 0..10 {
        assert!(judge(&mut parser, line("").as_bytes()).is_ok());
        let twice = judge(&mut parser, line(",\"3500\":1").as_bytes());
        assert_eq!(twice, Err(Reason::DuplicateField));
    }
    let elapsed = started.elapsed();
    assert!(elapsed.as_secs() < 5, "40 lines took {elapsed:?}");
}

#[test]
fn absent_fields_are_missing_and_null_ones_are_bad() {
    for absent in [
        "messageId",
        "sourceServerId",
        "destinationId",
        "messageType",
        "priority",
    ] {
        let whole = line_with(r#""priority":1"#);
        assert_eq!(
            reason(whole.replace(absent, "other")),
            Reason::MissingField,
            "{absent}"
        );
        let null = format!(
            "{{\"{absent}\":null,{}",
            &whole.replace(absent, "other")[1..]
        );
        assert_eq!(reason(null), Reason::BadField, "{absent}");
    }
    assert_eq!(reason("{}"), Reason::MissingField);
    assert_eq!(
        reason(r#"{"priority":"high","payload":3}"#),
        Reason::MissingField,
        "goes first"
    );
}

#[test]
fn texts_are_measured_in_bytes_of_their_value() {
    let with = |key: &str, text: &str| {
        let other = line_with(r#""priority":1"#).replace(key, "other");
        verdict(format!("{{\"{key}\":\"{text}\",{}", &other[1..]))
    };
    for (key, len_max) in [
        ("messageId", 255),
        ("sourceServerId", 50),
        ("destinationId", 50),
        ("messageType", 50),
    ] {
        assert!(with(key, &"x".repeat(len_max)).is_ok());
        assert!(with(key, &"\\u0061".repeat(len_max)).is_ok());
        assert!(with(key, &"\\\"".repeat(len_max)).is_ok());
        assert!(with(key, "\\u0000").is_ok());
        for long in ["x".repeat(len_max + 1), "\u{e9}".repeat(len_max / 2 + 1)] {
            assert_eq!(with(key, &long), Err(Reason::BadField));
        }
        assert_eq!(
            with(key, &"\\u00e9".repeat(len_max / 2 + 1)),
            Err(Reason::BadField)
        );
        assert_eq!(with(key, ""), Err(Reason::BadField));
    }
}

#[test]
fn priority_is_a_plain_integer_of_a_level() {
    for good in ["1", "2", "3"] {
        assert!(verdict(line_with(&format!("\"priority\":{good}"))).is_ok());
    }
    for bad in [
        "0",
        "4",
        "-1",
        "-0",
        "1.0",
        "1e0",
        "1E0",
        "\"1\"",
        "null",
        "true",
        "false",
        "[1]",
        "{}",
        "1e400",
        "-1e400",
        "99999999999999999999999",
        "18446744073709551617",
        "1.5",
        "257",
        "1e-400",
    ] {
        let line = line_with(&format!("\"priority\":{bad}"));
        assert_eq!(reason(line), Reason::BadField, "{bad}");
    }
    let line = line_with("\"priority\":8");
    assert!(judge(&mut Parser::new(8), line.as_bytes()).is_ok());
    assert_eq!(
        judge(&mut Parser::new(7), line.as_bytes()),
        Err(Reason::BadField)
    );
}

#[test]
fn timestamp_is_an_integer_from_zero_to_the_greatest_i64() {
    let with = |value: &str| verdict(line_with(&format!("\"priority\":1,\"timestamp\":{value}")));
    for good in [
        "0",
        "1",
        "1693123456789",
        "999999999999999999",
        "9223372036854775807",
    ] {
        assert_eq!(with(good).map(|it| it.timestamp_ms), Ok(good.parse().ok()));
    }
    for bad in [
        "-1",
        "1.0",
        "1e0",
        "\"1\"",
        "null",
        "true",
        "9223372036854775808",
        "18446744073709551616",
        "99999999999999999999999",
        "1e400",
        "-9223372036854775808",
        "{}",
        "[]",
        "0.0",
        "-0",
    ] {
        assert_eq!(with(bad), Err(Reason::BadField), "{bad}");
    }
}

#[test]
fn payload_is_an_object_or_absent() {
    for bad in ["null", "[]", "\"{}\"", "1", "true", "1e999"] {
        assert_eq!(reason(payload(bad)), Reason::BadField, "{bad}");
    }
    for good in ["{}", "{ }", r#"{"a":{}}"#] {
        assert!(verdict(payload(good)).is_ok(), "{good}");
    }
}

#[test]
fn numbers_of_any_size_are_the_customers_business() {
    let long = "9".repeat(5_000);
    for number in [
        "123456789012345678901234567890",
        "-18446744073709551616",
        "1e400",
        "-1e400",
        "1E+999999",
        "1e-400",
        "0e99999999999999999999",
        "1.7976931348623159e308",
        &long,
        "0.1e1",
        "-0",
        "-0.0",
    ] {
        let line = payload(&format!(r#"{{"n":[{number}, {number}],"s":"\"1e400"}}"#));
        assert!(verdict(&line).is_ok(), "{number}");
        let line = line.replace("\"m1\"", r#""m\u0031\" 1e400""#);
        assert_eq!(
            verdict(&line).map(|it| it.texts[0].clone()),
            Ok("m1\" 1e400".to_owned())
        );
    }
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
        let expected = model::judge(other.as_bytes(), LEVELS);
        assert_eq!(judge(&mut parser, other.as_bytes()), expected);
        assert!(judge(&mut parser, good.as_bytes()).is_ok());
    }
}
