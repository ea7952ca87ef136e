//! Members of a group on one MariaDB: who serves writes, and nobody else.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use mysql::prelude::Queryable as _;

use super::schema::MySqlSchema;
use super::{Access, MySqlStore};
use crate::cluster::record::Term;
use crate::config::{self, Server};
use crate::counters::Counters;
use crate::journal::testing::{Memory, TestWriter};
use crate::store::schema::Schema as _;
use crate::store::tenure::Tenure;
use crate::store::testing::{SEGMENT, gather};
use crate::store::unstored::UnstoredLog;
use crate::store::{Store as _, StoreError};

#[allow(unreachable_pub, reason = "shared with tests that are crates")]
#[path = "../../../tests/support/mariadb.rs"]
mod mariadb;
#[path = "../../../tests/support/ports.rs"]
mod ports;

/// What the server's file needs of the tests' support.
mod support {
    pub(super) use super::ports;
    pub(super) const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);
}

use mariadb::MariaDb;

const GROUP: u128 = 0xfeed;
const LONG: Duration = Duration::from_secs(60);

/// A server, and the journal that all members have.
struct World {
    server: MariaDb,
    home: tempfile::TempDir,
    memory: Memory,
    writer: TestWriter<Memory>,
}

impl World {
    fn new() -> Self {
        let memory = Memory::default();
        Self {
            server: MariaDb::start(),
            home: tempfile::tempdir().expect("a temporary directory"),
            writer: TestWriter::new(memory.clone(), SEGMENT),
            memory,
        }
    }

    fn password_file(&self) -> PathBuf {
        let path = self.home.path().join("password");
        std::fs::write(&path, self.server.password()).expect("it is written");
        path
    }

    fn access(&self) -> Access {
        let settings = config::Store {
            password_file: Some(self.password_file()),
            ..config::Store::default()
        };
        Access::new(
            &Server::parse(&self.server.url()).expect("right"),
            &settings,
        )
    }

    /// A member's store, as one that is not told of the group has it.
    fn alone(&self) -> MySqlStore {
        self.store("alone")
    }

    fn member(&self, epoch: u64, random: u64, silence: Duration) -> MySqlStore {
        let tenure = Tenure {
            group_id: GROUP,
            term: Term { epoch, random },
            silence,
        };
        self.store(&tenure.node()).in_term(&tenure)
    }

    fn store(&self, node: &str) -> MySqlStore {
        let unstored = UnstoredLog::new(self.home.path(), Arc::new(Counters::default()));
        MySqlStore::new(self.access(), node, true, unstored)
    }

    /// Follows what the journal has behind the database's position.
    fn follow(&self, store: &mut MySqlStore) -> Result<u64, StoreError> {
        let (rows, upto) = gather(&self.memory, store.position()?);
        Ok(store.apply(&rows, upto)?.inserted)
    }

    fn ids(&self) -> Vec<u64> {
        self.server.ask("SELECT id FROM messages ORDER BY id")
    }
}

/// Why the store has stopped for good.
fn stopped<T: std::fmt::Debug>(done: Result<T, StoreError>) -> String {
    match done.expect_err("another's term") {
        StoreError::TermOver(words) => words,
        other => panic!("{other}"),
    }
}

#[test]
fn members_that_serve_in_turn_write_one_row_a_message() {
    let mut world = World::new();
    let (mut one, mut two) = (world.member(1, 11, LONG), world.member(2, 22, LONG));
    world.writer.plain(1..=3);
    world.follow(&mut one).expect("it serves");
    // The one that serves has gathered more, when the other one takes over.
    world.writer.plain(4..=6);
    let position = one.position().expect("it serves");
    let (late, upto) = gather(&world.memory, position);
    assert_eq!(two.position().expect("it takes over"), position);
    assert_eq!(two.last_sequence().expect("it answers"), Some(3));
    let words = stopped(one.apply(&late, upto));
    assert!(words.contains("term 2-0000000000000016"), "{words}");
    world.follow(&mut two).expect("it serves");
    stopped(one.position());
    stopped(
        one.remove(&crate::store::Removal {
            from: 0,
            before_us: 1,
            rows_max: 10,
        })
        .and_then(|_| one.position()),
    );
    world.writer.settle(1..=6);
    let mut third = world.member(3, 11, LONG);
    world.follow(&mut third).expect("it serves");
    stopped(two.apply(&late, upto));
    assert_eq!(world.ids(), [1, 2, 3, 4, 5, 6]);
    let delivered = "SELECT COUNT(*) FROM messages WHERE status = 'DELIVERED'";
    assert_eq!(world.server.count(delivered), 6);
    let rows: Vec<(String, u64, u64)> = world
        .server
        .ask("SELECT node, epoch, term FROM store_position");
    assert_eq!(rows, [(format!("group-{GROUP:032x}"), 3, 11)]);

    // The database goes back to a backup of an older term: who serves writes on.
    let back = "UPDATE store_position SET epoch = 1, term = 11";
    world
        .server
        .client()
        .query_drop(back)
        .expect("it is written");
    world.writer.plain(7..=7);
    world.follow(&mut third).expect("it serves");
    assert_eq!(world.ids().len(), 7);
    assert_eq!(world.server.count("SELECT epoch FROM store_position"), 3);

    // An engine of its own beside the group has ids and a position of its own.
    let mut alone = world.alone();
    world.follow(&mut alone).expect("it is another one");
    assert_eq!(
        world.ids()[7..],
        [1, 2, 3, 4, 5, 6, 7].map(|it| (1 << 48) + it)
    );
}

#[test]
fn a_member_that_stands_still_inside_a_transaction_is_got_past() {
    let mut world = World::new();
    // What is done while it holds the lock takes less.
    let silence = Duration::from_secs(6);
    let mut one = world.member(1, 11, silence);
    world.writer.plain(1..=3);
    world.follow(&mut one).expect("it serves");
    world.writer.plain(4..=6);
    // It has locked the position's row, and says nothing more: no answer, and no end of the connection.
    let mut session = one.session.take().expect("it is connected");
    session
        .lock(&mut one.ownership)
        .expect("nobody else has it");
    let mut two = world.member(2, 22, silence);
    let first_look = two.last_sequence();
    session
        .connection
        .query_drop("SELECT 1")
        .expect("it still holds the lock");
    assert_eq!(first_look.expect("it waits for no lock"), Some(3));
    assert_eq!(world.follow(&mut two).expect("it takes over"), 3);
    session
        .connection
        .query_drop("COMMIT")
        .expect_err("the server has ended it");
    stopped(one.position());
    assert_eq!(world.ids(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn a_session_that_was_idle_for_longer_than_it_may_be_is_made_anew_without_a_word() {
    let mut world = World::new();
    let mut one = world.member(1, 11, Duration::from_secs(1));
    world.writer.plain(1..=1);
    world.follow(&mut one).expect("it serves");
    let sessions = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'engine'";
    while world.server.count(sessions) > 0 {
        std::thread::sleep(Duration::from_millis(50));
    }
    world.writer.plain(2..=2);
    let (rows, upto) = gather(&world.memory, 0);
    assert_eq!(one.apply(&rows, upto).expect("no error").inserted, 1);
    assert_eq!(world.ids(), [1, 2]);
}

#[test]
fn a_table_of_an_earlier_engine_serves_one_alone_and_gets_its_columns_for_a_group() {
    let mut world = World::new();
    let mut alone = world.alone();
    alone.position().expect("it makes the tables");
    for older in [
        "ALTER TABLE store_position DROP COLUMN epoch, DROP COLUMN term",
        "DELETE FROM schema_version WHERE version = 2",
    ] {
        world.server.client().query_drop(older).expect(older);
    }
    world.writer.plain(1..=2);
    let mut alone = world.alone();
    world.follow(&mut alone).expect("it needs no term");
    let schema = MySqlSchema::new(world.access());
    assert_eq!(schema.check().expect("it answers"), []);
    let mut member = world.member(1, 11, LONG);
    let refused = member.position().expect_err("there is no term").to_string();
    let mend = "ALTER TABLE store_position ADD COLUMN epoch BIGINT UNSIGNED NOT NULL DEFAULT 0";
    assert!(refused.contains(mend), "{refused}");
    let schema = schema.shared_by_group(true);
    assert_eq!(schema.check().expect("it answers").len(), 2);
    let done = schema.apply().expect("it may").join("\n");
    assert!(done.contains("applied schema/mysql/0002"), "{done}");
    assert_eq!(schema.apply().expect("it may"), Vec::<String>::new());
    world.follow(&mut member).expect("it serves");
    world.follow(&mut alone).expect("it goes on");
    assert_eq!(world.ids(), [1, 2, (1 << 48) + 1, (1 << 48) + 2]);
}
