#!/usr/bin/env bash
# container-root.sh BINARY DIR: makes in DIR all that a container of the engine has: the program, the libraries that it is linked with, zones
# for rules by hours, authorities for TLS, a user, settings, and the place of its data. ops/Containerfile copies DIR into an empty image.
set -euo pipefail
cd "$(dirname "$0")/.."
[ $# = 2 ] || { echo "usage: ops/container-root.sh BINARY DIR" >&2; exit 2; }
binary=$1 root=$2
uid=10001

install -D -m 755 "$binary" "$root/usr/bin/flipped-lb"
# Each library under its own path, the loader too; the lines of ldd are NAME => PATH (ADDRESS), or PATH (ADDRESS).
ldd "$binary" | grep -o '/[^ )]*' | sort -u | while read -r library; do
    install -D -m 755 "$(readlink -f "$library")" "$root$library"
done
for needed in /usr/share/zoneinfo /etc/ssl/certs/ca-certificates.crt; do
    [ -e "$needed" ] || { echo "container-root.sh needs $needed: install tzdata and ca-certificates" >&2; exit 1; }
    mkdir -p "$root$(dirname "$needed")"
    cp -rL "$needed" "$root$needed"
done
# The same zones twice more, with and without leap seconds.
rm -rf "$root/usr/share/zoneinfo/posix" "$root/usr/share/zoneinfo/right"
mkdir -p "$root/etc" "$root/tmp"
chmod 1777 "$root/tmp"
printf 'root:x:0:0::/:/nologin\nflipped-lb:x:%d:%d::/var/lib/flipped-lb:/nologin\n' $uid $uid >"$root/etc/passwd"
printf 'root:x:0:\nflipped-lb:x:%d:\n' $uid >"$root/etc/group"
printf 'hosts: files dns\n' >"$root/etc/nsswitch.conf"
install -D -m 644 ops/container.toml "$root/etc/flipped-lb/flipped-lb.toml"
install -d -m 700 "$root/var/lib/flipped-lb"
if [ "$(id -u)" = 0 ]; then chown $uid:$uid "$root/var/lib/flipped-lb"; fi
