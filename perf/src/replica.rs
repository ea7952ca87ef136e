//! The nats-server to whose stream an engine with `durability = "replicated"` publishes: beside the engine, in
//! its home, on a port of its own.
//!
//! The testbed starts it before the engine, again behind a crash, and ends it with the engine.

use std::net::TcpListener;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};

use crate::child::Child;

/// What the settings say of it; a port is chosen, and noted in the home.
pub(crate) fn section(home: &Path) -> Result<String> {
    let free = TcpListener::bind("127.0.0.1:0").and_then(|it| it.local_addr());
    let port = free.context("finding a port for nats-server")?.port();
    std::fs::write(note(home), port.to_string()).context("noting the port of nats-server")?;
    Ok(format!(
        "[cluster]\nservers = [\"nats://127.0.0.1:{port}\"]\ngroup = \"perf\"\nnode = \"perf\"\nreplicas = 1\n"
    ))
}

/// Starts the server of this home, with the stream that an earlier one has left; `None`: it needs none.
pub(crate) fn start(program: Option<&Path>, home: &Path) -> Result<Option<Child>> {
    let Ok(port) = std::fs::read_to_string(note(home)) else {
        return Ok(None);
    };
    let program = program.context(
        "--durability replicated takes a nats-server, and none is on PATH: name one by \
         --nats-server FILE",
    )?;
    let store = home.join("nats");
    let options = ["--addr", "127.0.0.1", "--port", &port, "-js", "--store_dir"].map(Path::new);
    let command = [&[program], &options[..], &[&*store]].concat();
    let child = Child::start_program("nats-server", command, home)?;
    child.logged_after("Server is ready")?;
    Ok(Some(child))
}

fn note(home: &Path) -> PathBuf {
    home.join("nats-port")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_engine_of_another_durability_has_no_server_and_one_without_a_program_says_what_to_do() {
        let home = tempfile::tempdir().expect("a folder");
        let home = home.path();
        assert!(start(None, home).expect("none is needed").is_none());
        let text = section(home).expect("a port");
        let port = std::fs::read_to_string(note(home)).expect("it is noted");
        assert!(text.contains(&format!("nats://127.0.0.1:{port}")), "{text}");
        let words = start(None, home)
            .expect_err("there is no program")
            .to_string();
        assert!(words.contains("--nats-server"), "{words}");
    }
}
