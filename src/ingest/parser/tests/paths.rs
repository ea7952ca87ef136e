//! Which lines take the fast path, and that it sees what is rare wherever that stands.

use super::super::verdict::is_fast;
use super::*;

#[test]
fn usual_lines_take_the_fast_path() {
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
            assert!(is_fast(&line), "{line}");
            assert!(verdict(&line).is_ok(), "{line}");
        }
    }
    let nested = |depth: usize| format!("{{\"a\":{}{}}}", "[".repeat(depth), "]".repeat(depth));
    assert!(is_fast(payload(&nested(49))));
    assert!(!is_fast(payload(&nested(50))), "too many tokens");
    let others: Vec<String> = (0..19).map(|key| format!(",\"x{key}\":{key}")).collect();
    assert!(is_fast(line_with(&format!(
        "\"priority\":1{}",
        others.concat()
    ))));
    assert!(is_fast(line_with(
        r#""more":1, "priority" : 1 , "timestamp" : 999999999999999999  "#
    )));
}

#[test]
fn lines_of_the_same_tokens_take_the_fast_path_once_what_is_between_them_was_seen() {
    let bare = payload(r#"{"a":[1,{"b":2.5}],"c":"d"}"#);
    let spaced = bare.replace(':', " : ").replace(',', " , ");
    let layouts = [
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
    for before in &layouts {
        for line in &layouts {
            for line in [before, line, before, line] {
                assert!(
                    parse(&mut parser, line.as_bytes()).is_ok(),
                    "{line} behind {before}"
                );
            }
            let _ = parser.take_counts();
            for line in [before, line] {
                assert!(parser.parse(line.as_bytes()).is_ok());
            }
            let is_long = |line: &str| usize::from(line.contains("too long"));
            let full = (is_long(before) + is_long(line)) as u64;
            let counts = PathCounts {
                fast: 2 - full,
                full,
            };
            assert_eq!(parser.take_counts(), counts, "{line} behind {before}");
        }
    }
}

#[test]
fn lines_of_many_tokens_or_members_take_the_fast_path_up_to_a_bound() {
    let mut parser = Parser::new(LEVELS);
    for count in 0..200 {
        let list = vec!["1"; count].join(",");
        let line = payload(&format!("{{\"a\":[{list}]}}"));
        // The braces; three tokens and a comma for each member; what else is in the payload.
        let tokens = 2 + 6 * 4 - 1 + 5 + (2_usize * count).saturating_sub(1);
        let is_known = tokens <= crate::limits::SHAPE_TOKENS_MAX;
        for line in [line.clone() + &" ".repeat(200), line] {
            assert_eq!(is_fast(&line), is_known, "{count}");
            for _ in 0..2 {
                assert!(parse(&mut parser, line.as_bytes()).is_ok(), "{count}");
            }
        }
    }
    for count in 0..30 {
        let others: Vec<String> = (0..count).map(|key| format!("\"x{key}\":{key},")).collect();
        let line = line_with(&format!("{}\"priority\":1", others.concat()));
        assert_eq!(is_fast(&line), 5 + count <= 24, "{count}");
        for _ in 0..2 {
            assert!(parse(&mut parser, line.as_bytes()).is_ok(), "{count}");
        }
        if count > 1 {
            let twice = line.replace("x0", "x1");
            let parsed = parse(&mut parser, twice.as_bytes());
            assert_eq!(parsed, Err(Reason::DuplicateField));
        }
    }
}

#[test]
fn without_the_fast_path_every_line_takes_the_full_one() {
    let mut parser = Parser::configured(LEVELS, LineParser::SimdJson);
    let line = payload("{}");
    for _ in 0..3 {
        assert!(parser.parse(line.as_bytes()).is_ok());
    }
    assert!(parser.parse(b"wrong").is_err());
    assert_eq!(parser.take_counts(), PathCounts { fast: 0, full: 4 });
    let mut parser = Parser::configured(LEVELS, LineParser::Auto);
    for _ in 0..3 {
        assert!(parser.parse(line.as_bytes()).is_ok());
    }
    assert_eq!(parser.take_counts(), PathCounts { fast: 2, full: 1 });
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
            assert!(!is_fast(&line), "{control} at {at}");
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
        assert!(is_fast(&line), "{len}");
        assert!(verdict(&line).is_ok(), "{len}");
        let mut cut = line.into_bytes();
        cut.retain(|byte| *byte != 0xa9);
        assert!(!is_fast(&cut), "{len}");
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
fn numbers_are_validated_over_the_borders_of_blocks() {
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
fn what_is_rare_takes_the_full_path() {
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
        assert!(!is_fast(&line), "{line}");
        assert!(verdict(&line).is_ok(), "{line}");
    }
}
