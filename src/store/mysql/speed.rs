//! How fast the store follows into a server, beside one client's LOAD DATA LOCAL INFILE of the same
//! rows into the same table: printed, not asserted, for it is the server's figure as well.
//!
//! Passed over without a server. For figures:
//! `FLIPPED_LB_TEST_MYSQL_URL=mysql://USER:PASSWORD@HOST:PORT FLIPPED_LB_TEST_ROWS=1000000 cargo test
//! --release --lib store::mysql::speed -- --nocapture`, with the command `mariadb` on the PATH.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Instant;

use mysql::prelude::Queryable as _;

use super::text::{COLUMNS, Form, Writer};
use super::{Access, MySqlStore};
use crate::clock::{Clock as _, SystemClock};
use crate::config::{self, Server};
use crate::counters::Counters;
use crate::journal::reader::Reader;
use crate::journal::storage::Directory;
use crate::limits::SEGMENT_LEN_DEFAULT;
use crate::store::Store as _;
use crate::store::follower::Follower;
use crate::store::rows::Rows;
use crate::store::speed::{rows, write};
use crate::store::testing::settings;
use crate::store::unstored::UnstoredLog;

/// A server, and a database on it for the figures alone.
struct World {
    server: Server,
    home: tempfile::TempDir,
}

impl World {
    fn new() -> Option<Self> {
        let url = std::env::var("FLIPPED_LB_TEST_MYSQL_URL").ok()?;
        let mut server = Server::parse(&url).expect("an address");
        server.database = format!("flb_speed_{}", std::process::id());
        let home = tempfile::tempdir().expect("a temporary directory");
        Some(Self { server, home })
    }

    fn access(&self) -> Access {
        Access::new(&self.server, &config::Store::default())
    }

    fn ask(&self, statement: &str) {
        let mut connection = self.access().connect(true).expect("it answers");
        connection.query_drop(statement).expect(statement);
    }

    fn reader(&self, journal: &Path) -> Reader<Directory> {
        let storage = Directory::at(journal).expect("a directory");
        Reader::new(storage, SEGMENT_LEN_DEFAULT, 0)
    }

    /// Follows a journal to its end, and returns rows a second.
    fn follow(&self, journal: &Path, end: u64) -> f64 {
        let counters = Arc::new(Counters::default());
        let unstored = UnstoredLog::new(self.home.path(), Arc::clone(&counters));
        let node = format!("{:x}", fastrand::u64(..));
        let mut store = MySqlStore::new(self.access(), &node, true, unstored);
        store.position().expect("it answers");
        let reader = self.reader(journal);
        let mut follower = Follower::new(reader, store, counters, &settings(5_000, 100));
        follower.stop_batching();
        let clock = SystemClock::start();
        let begun = Instant::now();
        while !follower.is_through(end) {
            follower.step(end, clock.now()).expect("nothing is wrong");
        }
        rows() as f64 / begun.elapsed().as_secs_f64()
    }

    /// All rows of a journal, as a client's file.
    fn file(&self, journal: &Path) -> std::path::PathBuf {
        let mut reader = self.reader(journal);
        let mut rows = Rows::default();
        while let Some(batch) = reader.next(u64::MAX).expect("whole") {
            rows.take(&batch);
        }
        let mut writer = Writer::new(Form::Line, Vec::new(), 0);
        rows.iter().for_each(|it| writer.row(&it));
        let path = self.home.path().join("rows.tsv");
        std::fs::write(&path, writer.finish()).expect("it is written");
        path
    }

    /// One client's load of the file, in rows a second.
    fn load(&self, file: &Path) -> f64 {
        let server = &self.server;
        let statement = format!(
            "LOAD DATA LOCAL INFILE '{}' INTO TABLE messages CHARACTER SET utf8mb4 ({COLUMNS})",
            file.display()
        );
        let password = server.password.as_ref().map_or("", |it| it.reveal());
        let begun = Instant::now();
        let status = Command::new("mariadb")
            .args(["--no-defaults", "--local-infile=1", "--protocol=tcp"])
            .args(["-h", &server.host, "-P", &server.port.to_string()])
            .args(["-u", &server.user, "-D", &server.database, "-e", &statement])
            .env("MYSQL_PWD", password)
            .status();
        assert!(status.expect("the command mariadb").success());
        rows() as f64 / begun.elapsed().as_secs_f64()
    }
}

#[test]
fn rows_a_second_beside_one_load() {
    let Some(world) = World::new() else {
        return println!("passed over: FLIPPED_LB_TEST_MYSQL_URL names no server");
    };
    let journals = [Some(0), Some(20)].map(|behind| {
        let journal = tempfile::tempdir().expect("a temporary directory");
        let end = write(journal.path(), behind);
        (journal, end)
    });
    world.follow(journals[0].0.path(), journals[0].1);
    let file = world.file(journals[0].0.path());
    for _ in 0..3 {
        let [at_once, later] = journals.each_ref().map(|(journal, end)| {
            world.ask("TRUNCATE messages");
            world.follow(journal.path(), *end)
        });
        world.ask("TRUNCATE messages");
        let bare = world.load(&file);
        println!(
            "{} rows: one load {bare:.0} rows/s; settled with its row {at_once:.0} ({:.2} of it), \
             settled twenty journal batches later {later:.0} ({:.2})",
            rows(),
            at_once / bare,
            later / bare
        );
    }
    world.ask(&format!("DROP DATABASE {}", world.server.database));
}
