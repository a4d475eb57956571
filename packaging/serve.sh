#!/bin/sh
# Starts the service of a package under a systemd of its own: packaging/serve.sh PACKAGE.deb
# It has namespaces of this machine's kernel to itself, so everything in the unit counts, at full speed; there is no
# camera, but the drawn hand. Needs root, and the Debian that packaging/try.sh has made.
set -eu

say() { echo "serve: $*"; }
fail() { say "FAILED: $*" >&2; exit 1; }

[ $# = 1 ] && [ -f "$1" ] || { echo "usage: packaging/serve.sh PACKAGE.deb" >&2; exit 64; }
package=$(realpath "$1")
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || fail "only root can do this: run it with sudo"
place=$(realpath -m "${CARGO_TARGET_DIR:-target}")/packaging
debian=$place/${SUITE:-bookworm}-$(dpkg --print-architecture).tar
[ -f "$debian" ] || fail "$debian isn't there; run packaging/try.sh first"
groups=$(findmnt -n -o TARGET -t cgroup2 | head -n 1)
[ -n "$groups" ] || fail "no cgroup2 file system is mounted, which systemd works with"
root=$place/served
group=$groups/palmd-serve-$$
init=

clean() {
    [ -z "$init" ] || kill -KILL "$init" 2>/dev/null || true
    for _ in 1 2 3 4 5; do # its processes take a moment to end
        find "$group" -depth -type d -exec rmdir {} \; 2>/dev/null || true
        [ -d "$group" ] || break
        sleep 1
    done
    rm -rf --one-file-system "$root"
}
trap clean EXIT

rm -rf --one-file-system "$root"
mkdir "$root"
tar -C "$root" --exclude=./dev -xf "$debian"
mkdir -p "$root/dev" "$root/old"
dpkg-deb -x "$package" "$root"
cat > "$root/etc/palmd/palmd.toml" <<'END'
[camera]
source = "synthetic:wait 1s; victory 3s; wait 1h"
END
ln -s /usr/lib/systemd/system/palmd.service "$root/etc/systemd/system/multi-user.target.wants/palmd.service"
# What a machine has before its systemd starts.
cat > "$root/start" <<'END'
set -e
mount --make-rprivate /
mount --bind "$1" "$1"
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs run
mount -t tmpfs -o mode=755 tmpfs dev
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=666 devpts dev/pts
mount -t tmpfs tmpfs dev/shm
for node in null:3 zero:5 full:7 random:8 urandom:9; do mknod -m 666 "dev/${node%:*}" c 1 "${node#*:}"; done
pivot_root . old
umount -l /old
mount --make-rshared /
exec env -i container=palmd PATH=/usr/sbin:/usr/bin /usr/lib/systemd/systemd --log-target=null
END
mkdir "$group"
sh -c 'echo $$ > "$1/cgroup.procs"; exec unshare --cgroup --mount --pid --uts --ipc --net --fork --kill-child sh "$2/start" "$2"' \
    sh "$group" "$root" > "$place/boot.log" 2>&1 &
init=$!

# Its journal, read from outside.
journal() { journalctl --no-pager --root "$root" -u palmd "$@" 2>/dev/null; }
for _ in $(seq 60); do
    sleep 1
    kill -0 $init 2>/dev/null || fail "systemd doesn't start: $(cat "$place/boot.log")"
    if journal | grep -q '"phase":"start","gesture":"victory"'; then
        say "passed: a gesture is recognised in the unit's sandbox"
        exit 0
    fi
done
fail "no gesture within a minute: $(journal -n 20)"
