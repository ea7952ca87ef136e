//! Which lines go the quick way, and that it sees what is rare wherever that stands.

use super::super::blocks::BitByBit;
use super::super::verdict::is_quick;
use super::*;

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
