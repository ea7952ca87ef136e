#!/usr/bin/env bash
# test-container.sh [BINARY]: makes the root of the container in a directory, and lives there as its user, as root: refused while it is open to all,
# health, publish, subscribe, SIGTERM, the data kept for the next one. No builder and no daemon are needed.
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "test-container.sh needs root, for chroot" >&2; exit 1; }
binary=${1:-}
if [ -z "$binary" ]; then
    cargo build --release --locked
    binary=target/release/flipped-lb
fi
root=$(mktemp -d)
chmod 755 "$root"
engine_pid=
end() {
    [ -z "$engine_pid" ] || kill -9 "$engine_pid" 2>/dev/null || true
    mountpoint -q "$root/proc" && umount "$root/proc"
    rm -rf "$root" "$root.log"
}
trap end EXIT
step() { echo "== $*"; }
fail() { echo "test-container.sh: $*" >&2; exit 1; }
# As ENTRYPOINT, USER and the container's own /proc have it. No function where the process gets a signal.
chroot=$(command -v chroot)
inside=(env -i "$chroot" --userspec=10001:10001 "$root" /usr/bin/flipped-lb)
settings=/etc/flipped-lb/flipped-lb.toml
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

step "its root"
ops/container-root.sh "$binary" "$root"
mkdir "$root/proc" && mount -t proc proc "$root/proc"
for needless in bin/sh usr/bin/env usr/bin/apt; do
    [ ! -e "$root/$needless" ] || fail "/$needless is there"
done
"${inside[@]}" --version

step "open to all, it is refused in words that say both ways out"
said=$("${inside[@]}" run --config $settings 2>&1) && fail "it started"
[[ $said == *user* && $said == *anonymous* ]] || fail "it said: $said"

step "it runs as its user, on a root that it cannot write"
delivery=$(free_port) ingest=$(free_port) admin=$(free_port)
ports=("FLIPPED_LB_DELIVERY_LISTEN=0.0.0.0:$delivery" "FLIPPED_LB_INGEST_LISTEN=0.0.0.0:$ingest"
    "FLIPPED_LB_ADMIN_LISTEN=0.0.0.0:$admin" FLIPPED_LB_SECURITY_ANONYMOUS=allow TZ=Europe/Berlin)
inside=(env -i "${ports[@]}" "$chroot" --userspec=10001:10001 "$root" /usr/bin/flipped-lb)
start() {
    "${inside[@]}" run --config $settings >/dev/null 2>"$root.log" &
    engine_pid=$!
    for _ in $(seq 300); do
        grep -q 'running: ' "$root.log" && return
        kill -0 "$engine_pid" 2>/dev/null || break
        sleep 0.1
    done
    fail "the engine does not run: $(cat "$root.log")"
}
stop() {
    kill "$engine_pid"
    wait "$engine_pid" || fail "the engine ended with $?: $(cat "$root.log")"
    engine_pid=
}
start
[ "$(stat -c %u "/proc/$engine_pid")" = 10001 ] || fail "it runs as another user"
"${inside[@]}" health --config $settings || fail "it is not healthy: $(cat "$root.log")"
"${inside[@]}" health --ready --config $settings || fail "it is not ready"

step "messages go in, SIGTERM ends it, and the next one delivers them"
"${inside[@]}" publish --config $settings --count 3 --destination table2
stop
[ -d "$root/var/lib/flipped-lb/journal" ] || fail "there is no journal in the volume"
start
got=$("${inside[@]}" subscribe --config $settings --count 3 table2 | wc -l)
[ "$got" = 3 ] || fail "$got of 3 messages came"
stop

step "where there is no engine, health says so"
said=$("${inside[@]}" health --config $settings 2>&1) && fail "it is healthy without an engine"
[[ $said == *"$admin"* ]] || fail "it said: $said"
echo "the container is right"
