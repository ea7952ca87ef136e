//! A MariaDB server of a test's own: in a temporary directory, on a free port, gone with the test.
//!
//! `FLIPPED_LB_TEST_MYSQL_URL=mysql://root:password@host:3306` has the tests use that server instead:
//! each makes a database of its own there and drops it. Tests that kill or stop the server are then
//! passed over, with a word.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::net::TcpListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use mysql::prelude::{FromRow, Queryable};
use mysql::{Conn, Opts, OptsBuilder};

use super::support::PATIENCE;

/// The variable with the address of another server.
pub const URL_VARIABLE: &str = "FLIPPED_LB_TEST_MYSQL_URL";
/// The kernel's asynchronous IO is shared by all servers of the machine, and runs out.
const NO_AIO: &str = "--innodb-use-native-aio=OFF";
/// The password of the private server's users.
pub const PASSWORD: &str = "s3cret'\\pass";

/// A server, and a database on it.
pub struct MariaDb {
    home: Option<tempfile::TempDir>,
    child: Option<Child>,
    options: Vec<String>,
    port: u16,
    host: String,
    /// As whom engines connect.
    user: String,
    /// As whom tests do.
    admin: String,
    password: Option<String>,
    pub database: String,
}

impl MariaDb {
    /// A private server, or the one that the variable names.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with options of `mariadbd`; a server that the variable names does not have them.
    pub fn start_with(options: &[&str]) -> Self {
        let database = format!("flb_test_{:x}", std::process::id());
        if let Ok(url) = std::env::var(URL_VARIABLE) {
            return Self::elsewhere(&url, database);
        }
        let home = tempfile::tempdir().expect("a temporary directory");
        install(&home.path().join("data"));
        let mut this = Self {
            home: Some(home),
            child: None,
            options: options.iter().map(|&it| it.to_owned()).collect(),
            port: free_port(),
            host: "127.0.0.1".to_owned(),
            user: "engine".to_owned(),
            admin: "admin".to_owned(),
            password: Some(PASSWORD.to_owned()),
            database,
        };
        this.resume();
        this
    }

    fn elsewhere(url: &str, database: String) -> Self {
        let options = Opts::from_url(url).expect("an address");
        Self {
            home: None,
            child: None,
            options: Vec::new(),
            port: options.get_tcp_port(),
            host: options.get_ip_or_hostname().into_owned(),
            user: options.get_user().expect("a user").to_owned(),
            admin: options.get_user().expect("a user").to_owned(),
            password: options.get_pass().map(str::to_owned),
            database,
        }
    }

    /// Whether it can be killed and started: not if it is somebody else's.
    pub fn is_private(&self) -> bool {
        self.home.is_some()
    }

    /// From its next start on it has these options besides.
    pub fn set_options(&mut self, options: &[&str]) {
        self.options = options.iter().map(|&it| it.to_owned()).collect();
    }

    /// Starts the server again, and waits until it answers.
    pub fn resume(&mut self) {
        let Some(home) = &self.home else { return };
        let path = |name: &str| home.path().join(name).display().to_string();
        let log = std::fs::File::options()
            .create(true)
            .append(true)
            .open(path("log"));
        let child = Command::new("mariadbd")
            .arg("--no-defaults")
            .arg(format!("--datadir={}", path("data")))
            .arg(format!("--socket={}", path("socket")))
            .arg(format!("--pid-file={}", path("pid")))
            .arg(format!("--init-file={}", path("init.sql")))
            .arg(format!("--port={}", self.port))
            .args(["--bind-address=127.0.0.1", "--user=root", "--skip-log-bin"])
            .args([
                "--innodb-buffer-pool-size=32M",
                "--innodb-flush-log-at-trx-commit=1",
            ])
            .args([NO_AIO, "--performance-schema=OFF", "--max-connections=20"])
            .args(&self.options)
            .stdout(Stdio::null())
            .stderr(log.expect("a log"))
            .spawn()
            .expect("mariadbd: install the Debian package mariadb-server");
        self.child = Some(child);
        let begun = Instant::now();
        while self.connect(None).is_err() {
            assert!(
                begun.elapsed() < PATIENCE,
                "the server does not answer:\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// What the server logged.
    pub fn log(&self) -> String {
        let home = self.home.as_ref().map(|it| it.path().join("log"));
        home.and_then(|it| std::fs::read_to_string(it).ok())
            .unwrap_or_default()
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().expect("it runs");
            let _ = child.wait();
        }
    }

    /// Sends the server's process a signal by name.
    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().map(|it| it.id().to_string());
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}"))
            .arg(pid.expect("a private server"));
        assert!(kill.status().expect("the command kill").success());
    }

    /// The address of its database for `[store] url`, without the password.
    pub fn url(&self) -> String {
        format!(
            "mysql://{}@{}:{}/{}",
            self.user, self.host, self.port, self.database
        )
    }

    /// The password for the engine.
    pub fn password(&self) -> &str {
        self.password.as_deref().unwrap_or_default()
    }

    /// `[store]` of an engine that makes its tables.
    pub fn settings(&self, rest: &str) -> String {
        format!(
            "[store]\nurl = \"{}\"\ncreate = true\nbatch_time = \"20ms\"\n{rest}\n",
            self.url()
        )
    }

    /// Another connection.
    pub fn connect(&self, database: Option<&str>) -> mysql::Result<Conn> {
        let options = OptsBuilder::new()
            .ip_or_hostname(Some(self.host.as_str()))
            .tcp_port(self.port)
            .user(Some(self.admin.as_str()))
            .pass(self.password.clone())
            .db_name(database)
            .prefer_socket(false);
        Conn::new(options)
    }

    /// A connection to the database; it is made if it is not there.
    pub fn client(&self) -> Conn {
        let mut server = self.connect(None).expect("it answers");
        let create = format!("CREATE DATABASE IF NOT EXISTS {}", self.database);
        server.query_drop(create).expect("a database");
        self.connect(Some(&self.database)).expect("it answers")
    }

    /// The rows of a query.
    pub fn ask<T: FromRow>(&self, query: &str) -> Vec<T> {
        self.client()
            .query(query)
            .unwrap_or_else(|it| panic!("{query}: {it}"))
    }

    /// The one value of a query.
    pub fn count(&self, query: &str) -> u64 {
        self.ask::<u64>(query)[0]
    }
}

impl Drop for MariaDb {
    fn drop(&mut self) {
        match &mut self.child {
            Some(child) => {
                let _ = child.kill();
                let _ = child.wait();
            }
            None => {
                if let (None, Ok(mut server)) = (&self.home, self.connect(None)) {
                    let _ = server.query_drop(format!("DROP DATABASE {}", self.database));
                }
            }
        }
    }
}

/// Makes the system tables, and what makes the users at each start. A server that is short of
/// something for a moment fails at it now and then; it has three tries.
fn install(data: &Path) {
    let mut said = String::new();
    let is_made = (0..3).any(|_| {
        let _ = std::fs::remove_dir_all(data);
        try_install(data).map_err(|it| said.push_str(&it)).is_ok()
    });
    assert!(is_made, "{said}");
    // The engine's user has what an engine needs, and nothing that lets it past a read-only server.
    let users = "CREATE USER IF NOT EXISTS engine@'%' IDENTIFIED BY 's3cret''\\\\pass';\n\
                 CREATE USER IF NOT EXISTS admin@'%' IDENTIFIED BY 's3cret''\\\\pass';\n\
                 GRANT ALL ON `flb\\_%`.* TO engine@'%';\n\
                 GRANT ALL ON *.* TO admin@'%' WITH GRANT OPTION;\n";
    std::fs::write(data.with_file_name("init.sql"), users).expect("it is written");
}

/// Makes the system tables; else what the program said.
fn try_install(data: &Path) -> Result<(), String> {
    let output = Command::new("mariadb-install-db")
        .arg("--no-defaults")
        .arg(format!("--datadir={}", data.display()))
        .args([
            "--auth-root-authentication-method=normal",
            "--skip-test-db",
            "--user=root",
        ])
        .args([
            NO_AIO,
            "--innodb-buffer-pool-size=16M",
            "--skip-name-resolve",
        ])
        .output()
        .expect("mariadb-install-db: install the Debian package mariadb-server");
    match output.status.success() {
        true => Ok(()),
        false => {
            let said = [output.stdout, output.stderr].concat();
            Err(String::from_utf8_lossy(&said).into_owned())
        }
    }
}

/// A port that nobody listens on. The system hands those from 32,768 on to whoever asks for any, also
/// while a server is down that means to come back; and each test process begins at ports of its own,
/// for else two servers would be told the same one, and one test's engine would go to the other's.
fn free_port() -> u16 {
    const PORTS: std::ops::Range<u32> = 12_000..32_000;
    const STRIDE: u32 = 8;
    static STEPS: AtomicU32 = AtomicU32::new(0);
    let begin = std::process::id().wrapping_mul(STRIDE) % (PORTS.end - PORTS.start);
    let steps = (0..STRIDE).map(|_| STEPS.fetch_add(1, Ordering::Relaxed) % STRIDE);
    let ports = steps.map(|step| PORTS.start + begin + step);
    let mut ports = ports.filter_map(|port| u16::try_from(port).ok());
    let is_free = |port: &u16| TcpListener::bind(("127.0.0.1", *port)).is_ok();
    ports.find(is_free).expect("a port")
}
