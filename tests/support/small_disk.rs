//! A file system of a test's own that is small, and full when the test wants it.
//!
//! It is mounted in a namespace that a process of the test's holds, so that neither root nor the
//! machine's own mounts are needed.
#![allow(
    dead_code,
    unreachable_pub,
    missing_docs,
    reason = "each test file uses its own part"
)]

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;

use super::support::{ENGINE, Engine};

/// A file system of so many bytes at `data` in a home directory, for as long as it lives.
pub struct SmallDisk {
    pub home: Arc<tempfile::TempDir>,
    holder: Child,
}

impl SmallDisk {
    pub fn new(mib: u32) -> Self {
        let home = Arc::new(tempfile::tempdir().expect("a temporary directory"));
        let data = home.path().join("data");
        std::fs::create_dir(&data).expect("a directory");
        let mount = format!(
            "mount -t tmpfs -o size={mib}m tmpfs {} && echo mounted && exec sleep infinity",
            data.display()
        );
        let mut holder = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "sh", "-c", &mount])
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare, of util-linux");
        let mut said = String::new();
        let stdout = holder.stdout.take().expect("it is piped");
        let _ = BufReader::new(stdout).read_line(&mut said);
        assert_eq!(said, "mounted\n", "user namespaces are allowed here");
        Self { home, holder }
    }

    /// A command that sees the file system.
    pub fn command(&self, program: &str) -> Command {
        let mut command = Command::new("nsenter");
        let holder = self.holder.id().to_string();
        command.args(["--preserve-credentials", "--user", "--mount", "-t"]);
        command.args([&holder, program]);
        command
    }

    pub fn start(&self, settings: &str) -> Engine {
        Engine::start_by(self.command(ENGINE), Arc::clone(&self.home), settings)
    }

    pub fn shell(&self, words: &str) {
        let mut shell = self.command("sh");
        let _ = shell.args(["-c", words]).status().expect("a shell");
    }

    /// Somebody else takes all room that there is.
    pub fn fill(&self) {
        let filler = self.filler();
        self.shell(&format!("dd if=/dev/zero of={filler} bs=4k 2>/dev/null"));
    }

    /// And gives it back.
    pub fn give_back(&self) {
        self.shell(&format!("rm {}", self.filler()));
    }

    pub fn filler(&self) -> String {
        self.home.path().join("data/filler").display().to_string()
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
