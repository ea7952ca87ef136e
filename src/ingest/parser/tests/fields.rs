//! What each field may be.

use super::*;

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
    assert!(parse(&mut Parser::new(8), line.as_bytes()).is_ok());
    assert_eq!(
        parse(&mut Parser::new(7), line.as_bytes()),
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
