//! The schema.

use super::*;

/// The table of an older engine: ten columns, a 32-bit id, no two rows with one messageId.
const OLDER: &str = "CREATE TABLE messages (
    id INT AUTO_INCREMENT PRIMARY KEY,
    messageId VARCHAR(255) NOT NULL UNIQUE,
    sourceServerId VARCHAR(50) NOT NULL,
    destinationId VARCHAR(50) NOT NULL,
    messageType VARCHAR(50) NOT NULL,
    priority INT NOT NULL,
    timestamp BIGINT NOT NULL,
    payload TEXT,
    status VARCHAR(20) DEFAULT 'INGESTED',
    created_at TIMESTAMP DEFAULT CURRENT_TIMESTAMP
) DEFAULT CHARACTER SET latin1";

#[test]
fn an_older_table_is_named_by_check_mended_by_apply_and_keeps_its_rows() {
    let server = MariaDb::start();
    let home = home();
    let mut client = server.client();
    client.query_drop(OLDER).expect("a table");
    let row = "INSERT INTO messages (messageId, sourceServerId, destinationId, messageType, priority, \
               timestamp, payload, status, created_at) VALUES ('caf\u{e9}', 's', 'table2', 'lunch', 2, 7, \
               '{\"n\":1}', 'DELIVERED', '2024-01-02 03:04:05')";
    client
        .query_drop("SET time_zone = '+00:00'")
        .expect("a setting");
    client.query_drop(row).expect("a row");

    let checked = schema(&server, &home, "check");
    assert_eq!(checked.status.code(), Some(1));
    let said = words(&checked);
    for part in [
        "column messages.id is int",
        "MODIFY id BIGINT NOT NULL",
        "column messages.sequence is not there",
        "ADD COLUMN delivered_at",
        "latin1",
        "unique",
        "column messages.priority has no index",
    ] {
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(part), "{part}: {said}");
    }

    // An engine that meets it delivers, says what is wrong, and goes on once it is mended.
    let engine = engine(&server, &home, "");
    take_all(&engine, &["table2"]);
    assert!(send(&engine, &frames("new", 50)));
    engine.wait("it is refused", |it| it["store_failing"] == 1);
    engine.wait_for_log("messages.sequence is not there");
    let applied = schema(&server, &home, "apply");
    assert!(applied.status.success(), "{}", words(&applied));
    wait_for_rows(&engine, 50);

    assert_eq!(schema(&server, &home, "check").status.code(), Some(0));
    let again = words(&schema(&server, &home, "apply"));
    assert!(again.contains("as the engine needs it"), "{again}");
    let old = "SELECT id, messageId, payload, CAST(created_at AS CHAR), sequence FROM messages \
               WHERE sequence IS NULL";
    type Old = (i64, String, String, String, Option<u64>);
    let kept = server.ask::<Old>(old);
    let row = (
        1,
        "caf\u{e9}",
        "{\"n\":1}",
        "2024-01-02 03:04:05.000000",
        None,
    );
    let kept: Vec<_> = kept
        .iter()
        .map(|it| (it.0, &*it.1, &*it.2, &*it.3, it.4))
        .collect();
    assert_eq!(kept, [row]);
    assert_eq!(server.count("SELECT COUNT(*) FROM messages"), 51);
    assert_eq!(engine.stop().code, Some(0));
}

#[test]
fn the_schema_is_shown_made_and_found_right() {
    let server = MariaDb::start();
    let home = home();
    let shown = words(&schema(&server, &home, "show"));
    assert!(
        shown.contains("CREATE TABLE IF NOT EXISTS messages"),
        "{shown}"
    );
    let checked = schema(&server, &home, "check");
    assert_eq!(checked.status.code(), Some(1));
    assert!(
        words(&checked).contains("there is no database"),
        "{}",
        words(&checked)
    );
    assert!(schema(&server, &home, "apply").status.success());
    assert_eq!(schema(&server, &home, "check").status.code(), Some(0));
    let columns = "SELECT GROUP_CONCAT(column_name ORDER BY ordinal_position) \
                   FROM information_schema.columns \
                   WHERE table_schema = DATABASE() AND table_name = 'messages'";
    assert_eq!(
        server.ask::<String>(columns),
        [
            "id,messageId,sourceServerId,destinationId,messageType,priority,timestamp,payload,status,\
          created_at,sequence,delivered_at,room"
        ]
    );
    let uncommented = "SELECT COUNT(*) FROM information_schema.columns \
                       WHERE table_schema = DATABASE() AND column_comment = ''";
    assert_eq!(server.count(uncommented), 0);
    for (statement, mend) in [
        (
            "ALTER TABLE messages DROP COLUMN delivered_at",
            "ADD COLUMN delivered_at",
        ),
        ("ALTER TABLE messages MODIFY payload TEXT", "MODIFY payload"),
        (
            "ALTER TABLE messages DROP INDEX messages_timestamp",
            "ADD INDEX messages_timestamp",
        ),
        (
            "ALTER TABLE messages ADD COLUMN theirs INT NOT NULL",
            "MODIFY `theirs` int(11) NULL",
        ),
        ("ALTER TABLE messages ENGINE = MyISAM", "ENGINE = InnoDB"),
    ] {
        server.client().query_drop(statement).expect(statement);
        let said = words(&schema(&server, &home, "check"));
        assert!(said.contains(mend), "{statement}: {said}");
        assert!(
            schema(&server, &home, "apply").status.success(),
            "{statement}"
        );
        assert!(
            schema(&server, &home, "check").status.success(),
            "{statement}"
        );
    }
}
