#!/usr/bin/env bash
# page.sh [ENGINE]: makes docs/page.png, the picture in the README, of a demo that runs: the release
# build, or this engine, at 10,000 messages a second for half a minute. Debian's chromium takes it.
set -euo pipefail
cd "$(dirname "$0")/.."
command -v chromium >/dev/null || { echo "page.sh needs chromium: apt-get install chromium" >&2; exit 1; }

engine=${1:-}
if [ -z "$engine" ]; then
    cargo build --release --locked --bin flipped-lb
    engine=${CARGO_TARGET_DIR:-target}/release/flipped-lb
fi
engine=$(realpath "$engine")
picture=$PWD/docs/page.png
home=$(mktemp -d)
demo=
end() {
    [ -z "$demo" ] || { kill "$demo" 2>/dev/null && wait "$demo" 2>/dev/null; } || true
    rm -rf "$home"
}
trap end EXIT

port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
admin=127.0.0.1:$(port)
cd "$home"
FLIPPED_LB_ADMIN_LISTEN=$admin FLIPPED_LB_DELIVERY_LISTEN=127.0.0.1:0 \
    "$engine" demo --keep --rate 10000 --data-dir "$home/data" >"$home/out" 2>&1 &
demo=$!
# The latencies of three steps of ten seconds have curves; and all is well on a machine that is idle.
good='import json, sys; it = json.load(sys.stdin); print(it["uptime_seconds"] >= 32 and it["readiness"]["degraded"] == [])'
is_good=
for _ in $(seq 900); do
    kill -0 "$demo" 2>/dev/null || { cat "$home/out" >&2; exit 1; }
    is_good=$(curl -sf "http://$admin/stats" | python3 -c "$good" 2>/dev/null || true)
    [ "$is_good" = True ] && break
    sleep 0.1
done
[ "$is_good" = True ] || { echo "page.sh: the demo is not well; is the machine idle?" >&2; exit 1; }
# It is drawn on the server: the first answer has all, and the script needs no time.
timeout 60 chromium --headless --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --hide-scrollbars --user-data-dir="$home/profile" --window-size=1280,840 --timeout=5000 \
    --screenshot="$home/page.png" "http://$admin/" >"$home/chromium" 2>&1 || true
[ -s "$home/page.png" ] || { cat "$home/chromium" >&2; echo "page.sh: no picture was made" >&2; exit 1; }
mv "$home/page.png" "$picture"
file "$picture" 2>/dev/null || ls -l "$picture"
