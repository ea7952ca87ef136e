#!/usr/bin/env bash
# Runs everything that must be green: format, lints, docs, tests, benches once in small.
# Installs what the tests need where it is missing (as root), or says what to install.
set -euo pipefail
cd "$(dirname "$0")"

need_package() { # command, Debian package
    command -v "$1" >/dev/null 2>&1 && return 0
    if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null 2>&1; then
        echo "installing $2 (for $1)"
        apt-get install -y -qq "$2" >/dev/null 2>&1 ||
            { apt-get update -qq && apt-get install -y -qq "$2" >/dev/null; }
    else
        echo "test.sh needs '$1': install the Debian package '$2' (apt-get install $2)" >&2
        exit 1
    fi
}

need_idle_server() { # command, Debian package: installed, but not started as a service
    local policy=/usr/sbin/policy-rc.d status=0
    command -v "$1" >/dev/null 2>&1 && return 0
    if [ "$(id -u)" = 0 ] && [ ! -e "$policy" ]; then
        printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy"
        (need_package "$1" "$2") || status=$?
        rm -f "$policy"
        return "$status"
    fi
    need_package "$1" "$2"
}

PATH="$PATH:/usr/sbin"        # where servers are, also for who is not root
need_package gcc gcc          # the bundled SQLite is built from C
need_package python3 python3  # an independent message server and subscriber
need_package openssl openssl  # certificates of servers that the tests start
need_package faketime faketime # engines whose clocks are wrong, or are set
need_package systemd-analyze systemd # judges the unit that packages install
need_idle_server mariadbd mariadb-server # the tests of the store start servers of their own
if ! cargo nextest --version >/dev/null 2>&1; then
    echo "installing cargo-nextest (the test runner) from the crates registry"
    cargo install --locked cargo-nextest
fi
for component in rustfmt clippy; do
    cargo "${component/rust/}" --version >/dev/null 2>&1 ||
        { echo "test.sh needs $component: rustup component add $component" >&2; exit 1; }
done

echo "== format" && cargo fmt --all --check
echo "== lints" && cargo clippy --workspace --all-targets --quiet -- -D warnings
echo "== docs" && RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --quiet
echo "== doc tests" && cargo test --workspace --doc --quiet
echo "== benches, once in small" && cargo bench --workspace --quiet --profile dev --bench '*' -- --test
echo "== tests" && cargo nextest run --workspace --no-fail-fast
