#!/usr/bin/env bash
# Builds the Debian and RPM packages into target/debian and target/generate-rpm.
set -euo pipefail
cd "$(dirname "$0")/.."

for tool in cargo-deb cargo-generate-rpm; do
    command -v "$tool" >/dev/null 2>&1 || cargo install --locked "$tool"
done
cargo build --release --locked
made=target/package
rm -rf "$made" && mkdir -p "$made"
engine=target/release/flipped-lb
"$engine" man --out "$made/man"
"$engine" completions bash >"$made/flipped-lb.bash"
"$engine" completions zsh >"$made/_flipped-lb"
"$engine" completions fish >"$made/flipped-lb.fish"
cargo deb --locked --no-build
cargo generate-rpm
ls -l target/debian/*.deb target/generate-rpm/*.rpm
