//! The parser against the naive model, over random lines, mutated lines and noise.

use message_server_simulator::{FrameMaker, FrameSpec, tables};
use proptest::prelude::*;

use super::verdict::{agrees_with_others, is_fast, verdict};

/// Text as it stands between quotes.
fn raw_text() -> impl Strategy<Value = String> {
    let pieces = [
        "a",
        "1",
        "table",
        " ",
        "\u{e9}",
        "\u{1f600}",
        "\\n",
        "\\\"",
        "\\\\",
        "\\/",
        "\\u0041",
        "{",
        "}",
        "[",
        ",",
        ":",
        "\\u00e9",
        "\\ud83d\\ude00",
        "priority",
        "payload",
        "1e400",
        "\\ud800",
    ];
    // The last piece makes bad JSON, so it is rare.
    let piece = prop_oneof![40 => 0..pieces.len() - 1, 1 => Just(pieces.len() - 1)];
    proptest::collection::vec(piece, 0..5)
        .prop_map(move |picks| picks.iter().map(|pick| pieces[*pick]).collect())
}

fn space() -> impl Strategy<Value = &'static str> {
    prop_oneof![6 => Just(""), 2 => Just(" "), 1 => Just("\t"), 1 => Just(" \r\t ")]
}

fn raw_value() -> impl Strategy<Value = String> {
    let numbers = proptest::sample::select(vec![
        "0",
        "1",
        "2",
        "3",
        "-1",
        "1.0",
        "1e0",
        "1e400",
        "-0",
        "1693123456789",
        "9223372036854775808",
        "123456789012345678901234567890",
        "1e-999",
        "01",
        "null",
        "true",
        "false",
    ]);
    let leaf = prop_oneof![
        2 => numbers.prop_map(str::to_owned),
        1 => raw_text().prop_map(|text| format!("\"{text}\"")),
    ];
    leaf.prop_recursive(3, 12, 4, |inner| {
        let key = prop_oneof![
            raw_text(),
            Just("payload".to_owned()),
            Just("priority".to_owned())
        ];
        prop_oneof![
            (
                space(),
                proptest::collection::vec(inner.clone(), 0..4),
                space()
            )
                .prop_map(|(before, items, after)| {
                    format!("[{before}{}{after}]", items.join(","))
                }),
            (
                space(),
                proptest::collection::vec((key, space(), inner), 0..4),
                space()
            )
                .prop_map(|(before, members, after)| {
                    let members: Vec<String> = members
                        .iter()
                        .map(|(key, gap, value)| format!("\"{key}\":{gap}{value}{gap}"))
                        .collect();
                    format!("{{{before}{}{after}}}", members.join(","))
                }),
        ]
    })
}

fn member() -> impl Strategy<Value = (String, String)> {
    let text = || {
        prop_oneof![9 => raw_text(), 1 => "[a-z]{45,60}", 1 => "[a-z]{250,260}"]
            .prop_map(|text| format!("\"x{text}\""))
    };
    let keys = |names: &[&str]| {
        proptest::sample::select(
            names
                .iter()
                .map(|name| (*name).to_owned())
                .collect::<Vec<_>>(),
        )
    };
    let names = [
        "sourceServerId",
        "destinationId",
        "messageType",
        "message\\u0054ype",
    ];
    let object = raw_value().prop_map(|value| format!("{{\"messageId\":{value}}}"));
    prop_oneof![
        1 => (keys(&["messageId"]), text()),
        1 => (keys(&names), text()),
        1 => (keys(&["payload", "payload", "payl\\u006fad"]), object),
        1 => (keys(&["x", "extra", "", "priority", "timestamp", "payload"]), raw_value()),
    ]
}

/// Lines that are acceptable or nearly so: required members, others among them, in any order.
fn line() -> impl Strategy<Value = String> {
    let required = (raw_text(), raw_text(), raw_text(), raw_text(), 1..5_u8).prop_map(
        |(id, source, destination, kind, priority)| {
            vec![
                ("messageId".to_owned(), format!("\"m{id}\"")),
                ("sourceServerId".to_owned(), format!("\"s{source}\"")),
                ("destinationId".to_owned(), format!("\"{destination}d\"")),
                ("messageType".to_owned(), format!("\"{kind}t\"")),
                ("priority".to_owned(), priority.to_string()),
            ]
        },
    );
    let others = prop_oneof![
        2 => raw_value().prop_map(|value| {
            vec![("payload".to_owned(), format!("{{\"p\":{value}}}"))]
        }),
        1 => proptest::collection::vec(member(), 0..4),
    ];
    let members = (required, others).prop_map(|(mut members, others)| {
        members.extend(others);
        members
    });
    (
        members.prop_shuffle(),
        proptest::collection::vec(space(), 4),
    )
        .prop_map(|(members, gaps)| {
            let members: Vec<String> = members
                .iter()
                .map(|(key, value)| format!("{}\"{key}\"{}:{value}{}", gaps[0], gaps[1], gaps[2]))
                .collect();
            format!("{}{{{}}}{}", gaps[3], members.join(","), gaps[3])
        })
}

#[derive(Debug, Clone)]
enum Mutation {
    Set(usize, u8),
    Insert(usize, u8),
    Remove(usize),
    Cut(usize),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let telling = b"\"\\{}[]:,0123456789.eE+-u \t\r\ntfn\0\x1f\x7f\x80\xc3\xed\xff/b".to_vec();
    let byte = prop_oneof![3 => proptest::sample::select(telling), 1 => any::<u8>()];
    (0..4_usize, 0..400_usize, byte).prop_map(|(kind, at, byte)| match kind {
        0 => Mutation::Set(at, byte),
        1 => Mutation::Insert(at, byte),
        2 => Mutation::Remove(at),
        _ => Mutation::Cut(at),
    })
}

fn mutate(line: &mut Vec<u8>, mutation: &Mutation) {
    let len = line.len().max(1);
    match *mutation {
        Mutation::Set(at, byte) if !line.is_empty() => line[at % len] = byte,
        Mutation::Insert(at, byte) => line.insert(at.min(line.len()), byte),
        Mutation::Remove(at) if !line.is_empty() => drop(line.remove(at % len)),
        Mutation::Cut(at) if at % 4 == 0 => line.truncate(at),
        _ => {}
    }
}

/// An order as the simulator makes it.
fn order(seed: u64) -> Vec<u8> {
    let spec = FrameSpec {
        server: "server1".to_owned(),
        destinations: tables(4),
        len: None,
        fresh: true,
        seed,
        run: 7,
    };
    let mut line = Vec::new();
    let mut maker = FrameMaker::new(spec).expect("a good order of orders");
    maker.append(&mut line, 1_693_123_456_789);
    line.pop();
    line
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn lines_get_the_verdict_and_the_spans_of_the_model(line in line()) {
        agrees_with_others(line.as_bytes(), &verdict(&line));
    }

    #[test]
    fn mutated_lines_get_the_verdict_of_the_model(
        line in line(),
        mutations in proptest::collection::vec(mutation(), 1..4),
    ) {
        let mut line = line.into_bytes();
        mutations.iter().for_each(|one| mutate(&mut line, one));
        agrees_with_others(&line, &verdict(&line));
    }

    #[test]
    fn mutated_orders_get_the_verdict_of_the_model(
        seed in any::<u64>(),
        mutations in proptest::collection::vec(mutation(), 1..4),
    ) {
        let mut line = order(seed);
        prop_assert!(is_fast(&line), "usual lines take the fast path");
        mutations.iter().for_each(|one| mutate(&mut line, one));
        let _ = verdict(&line);
    }

    #[test]
    fn noise_gets_the_verdict_of_the_model(
        line in proptest::collection::vec(
            proptest::sample::select(b"\"\"\\{{}}[],::01.e-au ".to_vec()), 0..40),
    ) {
        let _ = verdict(&line);
    }
}
