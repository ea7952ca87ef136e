//! Values as they are stored.

use super::*;

/// Strings that a careless statement would cut, end or change.
const STRANGE: [&str; 8] = [
    "plain",
    "it's \"quoted\" `so`",
    "back\\slash\\",
    "tab\tnewline\ncr\r",
    "nul\0end",
    "\\N",
    "🍜 ü 漢字",
    "'); DROP TABLE messages; --",
];

fn strange_frame(at: usize) -> Value {
    let text = STRANGE[at % STRANGE.len()];
    let large = "x\\'\n🍜".repeat(if at == 3 { 5_000 } else { 1 });
    let mut frame = json!({
        "messageId": format!("{text}-{at}"),
        "sourceServerId": format!("s {text}"),
        "destinationId": "table2",
        "messageType": format!("t {text}"),
        "priority": 1 + at % 3,
        "timestamp": 1_700_000_000_000_u64 + at as u64,
        "payload": { "text": text, "large": large, "n": at },
    });
    if at == 5 {
        frame.as_object_mut().expect("an object").remove("payload");
    }
    frame
}

type StoredRow = (String, String, String, u8, u64, Option<String>, String);

fn assert_values(server: &MariaDb, sent: &[Value]) {
    let query = "SELECT messageId, sourceServerId, messageType, priority, `timestamp`, payload, \
                 status FROM messages";
    let rows: BTreeMap<String, StoredRow> = server
        .ask::<StoredRow>(query)
        .into_iter()
        .map(|it| (it.0.clone(), it))
        .collect();
    assert_eq!(rows.len(), sent.len());
    for frame in sent {
        let text = |name: &str| frame[name].as_str().expect("text");
        let row = &rows[text("messageId")];
        assert_eq!(
            (&*row.1, &*row.2),
            (text("sourceServerId"), text("messageType"))
        );
        assert_eq!(
            json!([row.3, row.4]),
            json!([frame["priority"], frame["timestamp"]])
        );
        let payload = row
            .5
            .as_ref()
            .map(|it| serde_json::from_str::<Value>(it).expect("JSON"));
        assert_eq!(payload.as_ref(), frame.get("payload"));
        assert_eq!(row.6, "DELIVERED");
    }
}

#[test]
fn strings_arrive_whole_by_load_and_by_insert_and_the_password_is_nowhere() {
    let server = MariaDb::start();
    let mut sent = Vec::new();
    for (local, name) in [(1, "load"), (0, "insert")] {
        if !server.is_private() && local == 0 {
            break;
        }
        if server.is_private() {
            let set = format!("SET GLOBAL local_infile = {local}");
            server.client().query_drop(set).expect("a setting");
        }
        let home = home();
        let engine = engine(&server, &home, "");
        take_all(&engine, &["table2"]);
        let new: Vec<Value> = (0..64)
            .map(|at| {
                let mut frame = strange_frame(at);
                let id = format!("{name} {}", frame["messageId"].as_str().expect("text"));
                frame["messageId"] = id.into();
                frame
            })
            .collect();
        let lines: Vec<String> = new.iter().map(Value::to_string).collect();
        assert!(send(&engine, &lines));
        sent.extend(new);
        wait_for_rows(&engine, 64);
        assert_values(&server, &sent);
        let (_, stats) = engine.get("/stats");
        let ended = engine.stop();
        assert_eq!(ended.code, Some(0), "{}", ended.log);
        assert_eq!(
            ended.log.contains("rows go by INSERT"),
            local == 0,
            "{}",
            ended.log
        );
        let said = format!("{}{}{stats}", ended.log, ended.stdout);
        assert!(!said.contains(server.password()), "{said}");
    }
    let distinct = "SELECT COUNT(DISTINCT id) FROM messages";
    assert_eq!(server.count(distinct), sent.len() as u64);
}

#[test]
fn rows_are_updated_when_their_messages_are_settled_later() {
    let server = MariaDb::start();
    let home = home();
    let engine = engine(&server, &home, "batch_rows = 50");
    assert!(send(&engine, &frames("early", 500)));
    engine.wait("all is stored", |it| it["stored"] == 500);
    let waiting =
        "SELECT COUNT(*) FROM messages WHERE status = 'INGESTED' AND delivered_at IS NULL";
    assert_eq!(server.count(waiting), 500);
    take_all(&engine, &["table2"]);
    wait_for_rows(&engine, 500);
    assert_all_delivered(&server, 500);
    let (_, metrics) = engine.get("/metrics");
    assert!(
        metrics.contains("flipped_lb_store_lag_messages 0"),
        "{metrics}"
    );
    let (status, ready) = engine.get("/readyz");
    assert_eq!(status, 200, "{ready}");
}
