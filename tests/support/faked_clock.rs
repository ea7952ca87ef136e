//! Processes whose wall clock is wrong: `libfaketime` moves it, and leaves the monotonic one alone.

#![allow(
    dead_code,
    unreachable_pub,
    reason = "each test file uses its own part"
)]

use std::path::{Path, PathBuf};
use std::process::Command;

/// Where Debian and its like put it.
fn faketime() -> PathBuf {
    let folders = [
        "/usr/lib/x86_64-linux-gnu",
        "/usr/lib/aarch64-linux-gnu",
        "/usr/lib64",
        "/usr/lib",
    ];
    let file = |folder: &&str| Path::new(folder).join("faketime/libfaketime.so.1");
    let found = folders.iter().map(file).find(|it| it.exists());
    found.expect("libfaketime: install the Debian package faketime")
}

/// The wall clock of what this command runs can be moved.
pub fn faked(command: &mut Command) -> &mut Command {
    command
        .env("LD_PRELOAD", faketime())
        .env("DONT_FAKE_MONOTONIC", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("NO_FAKE_STAT", "1")
}

/// It is off by this, as libfaketime writes it: `+20m`.
pub fn off_by<'a>(command: &'a mut Command, offset: &str) -> &'a mut Command {
    faked(command).env("FAKETIME", offset)
}
