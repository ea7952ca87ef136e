//! A MySQL or MariaDB server to measure with: a private one on a free port in a directory of its
//! own, or one that is named by URL.
//!
//! It is spoken to by its own command line client, for that is also the baseline: no code of the
//! engine's is in what the engine is compared with.

use std::fs::File;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use clap::ValueEnum;
use rustix::process::{Pid, Signal, kill_process};
use url::Url;

use crate::child::{Child, checked};
use crate::cleanup::Home;
use crate::testbed::on_path;

const USER: &str = "flipped_lb_perf";
/// The kernel's asynchronous IO is shared by all servers of the machine, and runs out.
const NO_AIO: &str = "--innodb-use-native-aio=OFF";
/// A server of a machine of its own has more; with the default of 128 MiB a million rows do not fit,
/// and the disk is measured. It is durable as by default: its log is synced at each commit.
const OPTIONS: [&str; 6] = [
    "--innodb-buffer-pool-size=1G",
    "--innodb-log-file-size=512M",
    "--innodb-flush-log-at-trx-commit=1",
    "--skip-log-bin",
    "--performance-schema=OFF",
    NO_AIO,
];
const START_TIME_MAX: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(50);

/// A kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// A file.
    Sqlite,
    /// MySQL or MariaDB.
    Server,
}

impl Kind {
    /// Refuses a server's URL where none of these is one.
    pub(crate) fn check_url(of: &[Self], url: Option<&str>) -> Result<()> {
        let is_obeyed = url.is_none() || of.contains(&Self::Server);
        ensure!(is_obeyed, "--mysql-url needs --into server");
        Ok(())
    }
}

/// A server, and a database on it that is ours alone.
#[derive(Debug)]
pub(crate) struct Server {
    /// `None`: somebody else's. Before its home, so that it is gone when that is removed.
    child: Option<Child>,
    _home: Option<Home>,
    /// The command `mariadb` or `mysql`.
    client: PathBuf,
    /// With user, password and our database.
    url: Url,
}

impl Server {
    /// The server that is named; else a private one in this folder, where `mariadbd` is on PATH.
    pub(crate) fn find(named: Option<&str>, folder: &Path) -> Result<Option<Self>> {
        let client = on_path("mariadb").or_else(|| on_path("mysql"));
        match (named, client, on_path("mariadbd")) {
            (Some(named), Some(client), _) => Self::at(named, client).map(Some),
            (Some(_), None, _) => {
                bail!("the command mariadb or mysql is not on PATH: it plays the baseline")
            }
            (None, Some(client), Some(program)) => Self::start(&program, client, folder).map(Some),
            (None, ..) => Ok(None),
        }
    }

    fn at(named: &str, client: PathBuf) -> Result<Self> {
        let url = Url::parse(named).ok();
        let url = url.filter(|it| it.host_str().is_some() && !it.username().is_empty());
        let wrong = "--mysql-url is no address like mysql://user:password@host:3306";
        let mut url = url.context(wrong)?;
        url.set_path(&format!("flipped_lb_perf_{}", std::process::id()));
        let server = Self {
            child: None,
            _home: None,
            client,
            url,
        };
        server.ask("SELECT 1")?;
        Ok(server)
    }

    fn start(program: &Path, client: PathBuf, folder: &Path) -> Result<Self> {
        let home = Home::new(folder)?;
        let password = format!("{:x}", fastrand::u128(..));
        install(home.path(), &password)?;
        let port = free_port()?;
        let option = |name: &str, file: &str| {
            format!("--{name}={}", home.path().join(file).display()).into()
        };
        let mut command: Vec<PathBuf> = vec![
            program.to_owned(),
            "--no-defaults".into(),
            option("datadir", "data"),
            tmpdir(home.path()).into(),
            option("socket", "socket"),
            option("pid-file", "pid"),
            option("init-file", "init.sql"),
            format!("--port={port}").into(),
            "--bind-address=127.0.0.1".into(),
            "--user=root".into(),
        ];
        command.extend(OPTIONS.map(PathBuf::from));
        let child = Child::start_program("mariadbd", command, home.path())?;
        home.note_writer(child.pid());
        let url = format!("mysql://{USER}:{password}@127.0.0.1:{port}/flipped_lb_perf");
        let server = Self {
            child: Some(child),
            _home: Some(home),
            client,
            url: Url::parse(&url).expect("it is made of an address's parts"),
        };
        server.wait_until_it_answers()?;
        Ok(server)
    }

    fn wait_until_it_answers(&self) -> Result<()> {
        let begun = Instant::now();
        while let Err(error) = self.ask("SELECT 1") {
            if begun.elapsed() > START_TIME_MAX {
                return Err(error);
            }
            thread::sleep(LOOK);
        }
        Ok(())
    }

    /// `[store] url` for an engine, with the password.
    pub(crate) fn url(&self) -> &str {
        self.url.as_str()
    }

    /// What it calls itself.
    pub(crate) fn version(&self) -> Result<String> {
        Ok(self.ask("SELECT VERSION()")?.trim().to_owned())
    }

    /// Removes our database.
    pub(crate) fn clear(&self) -> Result<()> {
        self.ask(&format!("DROP DATABASE IF EXISTS {}", self.database()))?;
        Ok(())
    }

    /// Runs a statement in our database, and returns what comes, as lines with tabs.
    pub(crate) fn query(&self, statement: &str) -> Result<String> {
        self.run(&["-D", self.database()], statement, Stdio::piped())
    }

    /// The same, into a file.
    pub(crate) fn query_into(&self, statement: &str, file: File) -> Result<()> {
        self.run(&["-D", self.database()], statement, file.into())?;
        Ok(())
    }

    fn database(&self) -> &str {
        self.url.path().trim_start_matches('/')
    }

    fn ask(&self, statement: &str) -> Result<String> {
        self.run(&[], statement, Stdio::piped())
    }

    fn run(&self, options: &[&str], statement: &str, out: Stdio) -> Result<String> {
        let mut command = self.command();
        command.args(options).args(["-e", statement]).stdout(out);
        let output = command.output().context("running the server's client")?;
        let host = self.url.host_str().unwrap_or("?");
        checked(&output, || {
            format!("the server at {host} failed at {statement}")
        })?;
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    fn command(&self) -> Command {
        let url = &self.url;
        let mut command = Command::new(&self.client);
        command
            .args(["--no-defaults", "--protocol=tcp", "--local-infile=1"])
            .args(["--batch", "--quick", "--skip-column-names"])
            .arg("--default-character-set=utf8mb4")
            .args(["-h", url.host_str().unwrap_or_default()])
            .args(["-P", &url.port().unwrap_or(3306).to_string()])
            .args(["-u", &decoded(url.username())])
            .env("MYSQL_PWD", decoded(url.password().unwrap_or_default()));
        command
    }

    /// Its process, if that is ours to stop.
    pub(crate) fn pid(&self) -> Option<Pid> {
        let pid = i32::try_from(self.child.as_ref()?.pid()).ok()?;
        Pid::from_raw(pid)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if self.child.is_none() {
            // It is not ours to leave something behind on.
            let _ = self.clear();
        }
    }
}

/// Stops a server's process where it stands, as a machine that hangs; or lets it go on.
pub(crate) fn stall(server: Pid, stalls: bool) -> Result<()> {
    let signal = if stalls { Signal::STOP } else { Signal::CONT };
    kill_process(server, signal).context("stopping mariadbd")
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text)
        .decode_utf8_lossy()
        .into_owned()
}

/// A server that starts removes the temporary tables of all others from the directory they share.
fn tmpdir(home: &Path) -> String {
    format!("--tmpdir={}", home.display())
}

/// Makes the system tables, and what makes our user at the start.
fn install(home: &Path, password: &str) -> Result<()> {
    let output = Command::new("mariadb-install-db")
        .arg("--no-defaults")
        .arg(format!("--datadir={}", home.join("data").display()))
        .arg(tmpdir(home))
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        .args(["--skip-name-resolve", "--user=root", NO_AIO])
        .output()
        .context("running mariadb-install-db")?;
    checked(&output, || "mariadb-install-db failed".into())?;
    let user = format!(
        "CREATE USER IF NOT EXISTS {USER}@'%' IDENTIFIED BY '{password}';\n\
         GRANT ALL ON *.* TO {USER}@'%';\n"
    );
    std::fs::write(home.join("init.sql"), user).context("writing the server's first statements")
}

fn free_port() -> Result<u16> {
    let listener = TcpListener::bind("127.0.0.1:0").context("looking for a free port")?;
    let address = listener.local_addr().context("looking for a free port")?;
    Ok(address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wrong_address_is_refused_without_being_repeated() {
        for url in ["nonsense", "mysql://host", "mysql:user:secret"] {
            let error = Server::at(url, "mariadb".into()).expect_err("none");
            assert!(!format!("{error:#}").contains(url), "{error:#}");
        }
    }
}
