//! The nats-server that tests run, and one that is too old.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::PathBuf;

/// Where `test.sh` puts the server if none is installed.
const INSTALLED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/target/nats-server/bin/nats-server"
);

/// What [`program`] is for whoever does not find it.
pub const WANTED: &str = "nats-server 2.15 or later: test.sh installs it";

pub fn program() -> PathBuf {
    let installed = PathBuf::from(INSTALLED);
    match installed.exists() {
        true => installed,
        false => PathBuf::from("nats-server"),
    }
}

/// Begins as Debian's 2.9.10 does, and says nothing more; its URL.
pub fn old_server() -> String {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = listener.local_addr().expect("it is bound");
    let info = "INFO {\"server_id\":\"x\",\"server_name\":\"x\",\"version\":\"2.9.10\",\"go\":\"go1\",\
                \"host\":\"127.0.0.1\",\"port\":4222,\"headers\":true,\"max_payload\":1048576,\
                \"proto\":1,\"jetstream\":true}\r\n";
    std::thread::spawn(move || {
        for stream in listener.incoming().map_while(Result::ok) {
            std::thread::spawn(move || {
                let mut out = stream.try_clone().expect("a descriptor");
                let _ = out.write_all(info.as_bytes());
                for line in BufReader::new(stream).lines().map_while(Result::ok) {
                    if line.starts_with("PING") && out.write_all(b"PONG\r\n").is_err() {
                        return;
                    }
                }
            });
        }
    });
    format!("nats://{address}")
}
