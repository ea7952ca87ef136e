#!/usr/bin/env bash
# test-package.sh [DEB RPM]: builds the packages, or takes these, and lives with each in a fresh Debian
# root, as root: install, run as its user, publish, subscribe, reload, install again over the data, remove
# (data kept); of the Debian package purge (nothing left).
set -euo pipefail
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || { echo "test-package.sh needs root, for debootstrap and chroot" >&2; exit 1; }
for tool in debootstrap rpm; do
    command -v "$tool" >/dev/null || apt-get install -y -qq "$tool" >/dev/null
done

package=${1:-} rpm=${2:-}
if [ -z "$package" ]; then
    ops/package.sh
    package=$(ls -t target/debian/*.deb | head -1) rpm=$(ls -t target/generate-rpm/*.rpm | head -1)
fi
[ -n "$rpm" ] || { echo "usage: test-package.sh [DEB RPM]" >&2; exit 1; }
root=$(mktemp -d)
chmod 755 "$root"
engine_pid=
end() {
    [ -z "$engine_pid" ] || kill "$engine_pid" 2>/dev/null || true
    mountpoint -q "$root/proc" && umount "$root/proc"
    rm -rf "$root"
}
trap end EXIT

step() { echo "== $*"; }
fail() { echo "test-package.sh: $*" >&2; exit 1; }
# Its words are shown where it fails.
quietly() { "$@" >"$root/tmp/words" 2>&1 || { cat "$root/tmp/words"; fail "$*"; }; }
inside() { chroot "$root" /usr/bin/env DEBIAN_FRONTEND=noninteractive LC_ALL=C "$@"; }
as_its_user() { chroot --userspec=flipped-lb:flipped-lb "$root" /usr/bin/env "${ports[@]}" "$@"; }
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

start() {
    # No function: its process would be the shell's, and not get the signal.
    chroot --userspec=flipped-lb:flipped-lb "$root" /usr/bin/env "${ports[@]}" \
        flipped-lb run --config /etc/flipped-lb/flipped-lb.toml >"$root/tmp/out" 2>"$root/tmp/log" &
    engine_pid=$!
    for _ in $(seq 100); do
        grep -q 'running: ' "$root/tmp/log" && return
        kill -0 "$engine_pid" 2>/dev/null || break
        sleep 0.1
    done
    cat "$root/tmp/log"
    fail "the engine does not run"
}
stop() {
    kill "$engine_pid"
    wait "$engine_pid" || fail "the engine ended with $?: $(cat "$root/tmp/log")"
    engine_pid=
}

step "a fresh root"
debootstrap --variant=minbase --include=adduser bookworm "$root" >"$root.log" 2>&1 || { tail -5 "$root.log"; fail "debootstrap"; }
rm -f "$root.log"
mount -t proc proc "$root/proc"
# No service is started in a root that has not booted.
printf '#!/bin/sh\nexit 101\n' >"$root/usr/sbin/policy-rc.d" && chmod +x "$root/usr/sbin/policy-rc.d"
delivery=$(free_port) ingest=$(free_port) admin=$(free_port)
ports=("FLIPPED_LB_DELIVERY_LISTEN=127.0.0.1:$delivery" "FLIPPED_LB_INGEST_LISTEN=127.0.0.1:$ingest"
    "FLIPPED_LB_ADMIN_LISTEN=127.0.0.1:$admin" FLIPPED_LB_LOG=info)

step "install"
cp "$package" "$root/tmp/flipped-lb.deb"
quietly inside apt-get install -y -qq /tmp/flipped-lb.deb
inside flipped-lb --version
[ "$(inside stat -c '%U %a' /var/lib/flipped-lb)" = "flipped-lb 700" ] || fail "the data directory"
[ "$(inside stat -c '%U %G %a' /etc/flipped-lb/flipped-lb.toml)" = "root flipped-lb 640" ] || fail "the settings file"
for file in lib/systemd/system/flipped-lb.service usr/share/man/man1/flipped-lb-run.1.gz \
    usr/share/bash-completion/completions/flipped-lb; do
    [ -e "$root/$file" ] || [ -e "$root/usr/$file" ] || fail "$file is missing"
done
as_its_user flipped-lb check --config /etc/flipped-lb/flipped-lb.toml >/dev/null

publish_and_subscribe() {
    step "publish and subscribe as its user"
    start
    as_its_user flipped-lb publish --address "127.0.0.1:$ingest" --destination table1 --count 3 --ack
    as_its_user flipped-lb subscribe --address "127.0.0.1:$delivery" --count 2 --ack table1 >"$root/tmp/frames"
    [ "$(wc -l <"$root/tmp/frames")" = 2 ] || fail "$(cat "$root/tmp/frames")"
}
reload() {
    step "reload, by the command and by the unit's signal"
    said=$(as_its_user flipped-lb reload --admin "127.0.0.1:$admin")
    [ "$said" = "reloaded: nothing has changed" ] || fail "$said"
    grep -q '^ExecReload=/bin/kill -HUP' "$root"/usr/lib/systemd/system/flipped-lb.service || fail "the unit does not reload"
    kill -HUP "$engine_pid"
    for _ in $(seq 100); do grep -q 'by="SIGHUP"' "$root/tmp/log" && break; sleep 0.1; done
    grep -q 'by="SIGHUP"' "$root/tmp/log" || fail "SIGHUP does not reload: $(cat "$root/tmp/log")"
    stop
}
# "$@" installs the package that is there already.
again_over_its_data() {
    step "install again over its data, with changed settings"
    echo '# mine' >>"$root/etc/flipped-lb/flipped-lb.toml"
    quietly "$@"
    grep -q '# mine' "$root/etc/flipped-lb/flipped-lb.toml" || fail "the settings were replaced"
    start
    as_its_user flipped-lb subscribe --address "127.0.0.1:$delivery" --count 1 --ack table1 >"$root/tmp/frames"
    [ "$(wc -l <"$root/tmp/frames")" = 1 ] || fail "the message that waited is gone"
    stop
}
removed() {
    [ ! -e "$root/usr/bin/flipped-lb" ] || fail "the program is still there"
    [ -d "$root/var/lib/flipped-lb/journal" ] || fail "the journal went with the package"
}

publish_and_subscribe
reload
again_over_its_data inside dpkg --force-confold -i /tmp/flipped-lb.deb

step "remove: settings and data stay"
quietly inside apt-get remove -y -qq flipped-lb
removed
[ -e "$root/etc/flipped-lb/flipped-lb.toml" ] || fail "the settings went with the package"

step "purge: nothing stays"
quietly inside apt-get purge -y -qq flipped-lb
[ ! -e "$root/var/lib/flipped-lb" ] && [ ! -e "$root/etc/flipped-lb" ] || fail "something is left"
! inside getent passwd flipped-lb || fail "its user is left"

# The root is Debian's: what the package requires of a system with RPM is not there by that name.
rpm_in_root() { rpm --root "$root" --force-debian --nodeps "$@"; }

step "the RPM: install"
quietly rpm_in_root -i "$rpm"
[ "$(inside stat -c '%U %a' /var/lib/flipped-lb)" = "flipped-lb 700" ] || fail "the data directory"
[ "$(inside stat -c '%G %a' /etc/flipped-lb)" = "flipped-lb 750" ] || fail "the settings' folder"
[ "$(inside stat -c '%U %G %a' /etc/flipped-lb/flipped-lb.toml)" = "root flipped-lb 640" ] || fail "the settings file"
for file in usr/lib/systemd/system/flipped-lb.service usr/lib/sysusers.d/flipped-lb.conf usr/share/man/man1/flipped-lb-run.1; do
    [ -e "$root/$file" ] || fail "$file is missing"
done
publish_and_subscribe
reload
again_over_its_data rpm_in_root -U --replacepkgs "$rpm"

step "the RPM: remove: changed settings and data stay"
quietly rpm_in_root -e flipped-lb
removed
grep -q '# mine' "$root/etc/flipped-lb/flipped-lb.toml.rpmsave" || fail "the changed settings went with the package"
echo "the packages are good: $package $rpm"
