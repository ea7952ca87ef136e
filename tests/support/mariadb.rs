//! A MariaDB server of a test's own: in a temporary directory, on a free port, gone with the test.
//!
//! `FLIPPED_LB_TEST_MYSQL_URL=mysql://root:password@host:3306` has the tests use that server instead:
//! each makes a database of its own there and drops it. Tests that kill or stop the server are then
//! passed over, with a word.
#![allow(dead_code, reason = "each test file uses its own part")]

use std::os::unix::process::ExitStatusExt as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use mysql::prelude::{FromRow, Queryable};
use mysql::{Conn, Opts, OptsBuilder};

use super::support::PATIENCE;
use super::support::ports::free_port;

/// The variable with the address of another server.
pub const URL_VARIABLE: &str = "FLIPPED_LB_TEST_MYSQL_URL";
/// The kernel's asynchronous IO is shared by all servers of the machine, and runs out.
const NO_AIO: &str = "--innodb-use-native-aio=OFF";
/// The password of the private server's users.
pub const PASSWORD: &str = "s3cret'\\pass";

/// A server, and a database on it.
pub struct MariaDb {
    home: Option<tempfile::TempDir>,
    server: Option<Server>,
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
            server: None,
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
            server: None,
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
        let mut command = Command::new("mariadbd");
        command
            .arg("--no-defaults")
            .arg(format!("--datadir={}", path("data")))
            .arg(tmpdir(home.path()))
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
            .stderr(log.expect("a log"));
        self.server = None;
        self.server = Some(Server::start(command));
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
        self.server = None;
    }

    /// Sends the server's process a signal by name.
    pub fn signal(&self, name: &str) {
        let server = self.server.as_ref().expect("a private server");
        let mut kill = Command::new("kill");
        kill.arg(format!("-{name}")).arg(server.pid().to_string());
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
        if let (None, Ok(mut server)) = (&self.home, self.connect(None)) {
            let _ = server.query_drop(format!("DROP DATABASE {}", self.database));
        }
    }
}

/// A running `mariadbd`. One that crashes by itself is started again, as `mariadbd-safe` does: 10.11 has
/// been seen to read a null pointer when a client leaves. SIGKILL is the tests' own, and is left alone.
struct Server {
    child: Arc<Mutex<Child>>,
    is_wanted: Arc<AtomicBool>,
    watch: Option<JoinHandle<()>>,
}

impl Server {
    fn start(mut command: Command) -> Self {
        let mut spawn = move || {
            let child = command.spawn();
            child.expect("mariadbd: install the Debian package mariadb-server")
        };
        let child = Arc::new(Mutex::new(spawn()));
        let is_wanted = Arc::new(AtomicBool::new(true));
        let (watched, goes_on) = (Arc::clone(&child), Arc::clone(&is_wanted));
        let watch = std::thread::spawn(move || {
            while goes_on.load(Ordering::Relaxed) {
                let mut child = watched.lock().expect("no panic");
                let signal = child.try_wait().ok().flatten().and_then(|it| it.signal());
                if signal.is_some_and(|it| [libc::SIGSEGV, libc::SIGABRT].contains(&it)) {
                    eprintln!("mariadbd crashed by signal {signal:?}; it is started again");
                    *child = spawn();
                }
                drop(child);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        Self {
            child,
            is_wanted,
            watch: Some(watch),
        }
    }

    fn pid(&self) -> u32 {
        self.child.lock().expect("no panic").id()
    }
}

/// SIGKILL.
impl Drop for Server {
    fn drop(&mut self) {
        self.is_wanted.store(false, Ordering::Relaxed);
        if let Some(watch) = self.watch.take() {
            let _ = watch.join();
        }
        let mut child = self.child.lock().expect("no panic");
        let _ = child.kill();
        let _ = child.wait();
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

/// A server that starts removes the temporary tables of all others from the directory they share.
fn tmpdir(home: &Path) -> String {
    format!("--tmpdir={}", home.display())
}

/// Makes the system tables; else what the program said.
fn try_install(data: &Path) -> Result<(), String> {
    let output = Command::new("mariadb-install-db")
        .arg("--no-defaults")
        .arg(format!("--datadir={}", data.display()))
        .arg(tmpdir(data.parent().expect("a home")))
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
