#!/bin/sh
# Tries a package out: packaging/try.sh PACKAGE.deb
# lintian, then in a Debian of its own: install, run, upgrade, remove, purge. Needs root, and mmdebstrap
# and lintian; it changes nothing on this machine but target/packaging, where that Debian is kept.
# SUITE names another release of Debian than bookworm.
set -eu

say() { echo "try: $*"; }
fail() { say "FAILED: $*" >&2; exit 1; }

[ $# = 1 ] && [ -f "$1" ] || { echo "usage: packaging/try.sh PACKAGE.deb" >&2; exit 64; }
package=$(realpath "$1")
cd "$(dirname "$0")/.."
[ "$(id -u)" = 0 ] || fail "only root can do this: run it with sudo"
for tool in mmdebstrap lintian dpkg-deb unshare; do
    command -v $tool >/dev/null || fail "$tool is missing: apt-get install mmdebstrap lintian dpkg util-linux"
done
architecture=$(dpkg-deb -f "$package" Architecture)
[ "$architecture" = "$(dpkg --print-architecture)" ] ||
    fail "$package is for $architecture, this machine is $(dpkg --print-architecture)"
# Mounts are made in a namespace that ends with this script.
[ -n "${TRY_IN_NAMESPACE:-}" ] || exec env TRY_IN_NAMESPACE=1 unshare --mount "$0" "$package"

suite=${SUITE:-bookworm}
place=$(realpath -m "${CARGO_TARGET_DIR:-target}")/packaging
debian=$place/$suite-$architecture.tar
root=$place/root
old=$place/old.deb
configuration=/etc/palmd/palmd.toml
largest=12000000 # bytes, of the package

in_root() { chroot "$root" /usr/bin/env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin DEBIAN_FRONTEND=noninteractive "$@"; }
# Where a configuration was edited, dpkg keeps it, as a user does who presses return.
install() { in_root dpkg --force-confdef --force-confold -i "/tmp/$1" >"$place/dpkg.log" 2>&1 || { cat "$place/dpkg.log"; fail "dpkg -i $1"; }; }
passed() { say "passed: $*"; }
present() { for path; do [ -e "$root$path" ] || fail "$path is not there"; done; }
absent() { for path; do [ ! -e "$root$path" ] || fail "$path is still there"; done; }
enabled() { [ "$(in_root systemctl is-enabled palmd.service 2>/dev/null)" = "$1" ] || fail "palmd.service is not $1"; }
# All files, but for what dpkg and apt write for themselves.
listing() {
    find "$root" -xdev \( -path "$root/proc" -o -path "$root/tmp" -o -path "$root/var/lib/dpkg" -o -path "$root/var/log" \
        -o -path "$root/var/cache" -o -path "$root/run" \) -prune -o -print | sort
}

mkdir -p "$place"
if [ ! -f "$debian" ]; then
    say "making a minimal Debian $suite (kept as $debian)"
    mmdebstrap --quiet --variant=minbase --include=systemd "$suite" "$debian.partial.tar"
    mv "$debian.partial.tar" "$debian"
fi
rm -rf --one-file-system "$root"
mkdir "$root"
trap 'umount "$root/proc" || true; rm -rf --one-file-system "$root" "$place/old" "$old"' EXIT
tar -C "$root" -xf "$debian"
mount -t proc proc "$root/proc"

# An older version with another default in its configuration.
rm -rf "$place/old"
dpkg-deb -R "$package" "$place/old"
sed -i 's/^Version: .*/Version: 0.0.1-1/' "$place/old/DEBIAN/control"
sed -i 's/^fps = .*/fps = 25.0/' "$place/old$configuration"
dpkg-deb --root-owner-group -Znone -b "$place/old" "$old" >/dev/null
cp "$package" "$root/tmp/new.deb"
cp "$old" "$root/tmp/old.deb"

size=$(stat -c %s "$package")
[ "$size" -le $largest ] || fail "$package has $size bytes, more than $largest"
passed "$(basename "$package") has $size bytes, installed $(dpkg-deb -f "$package" Installed-Size) KiB; Depends: $(dpkg-deb -f "$package" Depends)"

lintian --display-info --fail-on error,warning,info "$package" || fail "lintian has found something"
passed "lintian finds nothing"

listing > "$place/before"
install new.deb
present /usr/bin/palmd $configuration /usr/share/man/man1/palmd.1.gz /usr/share/man/man1/palmd-run.1.gz \
    /usr/share/bash-completion/completions/palmd /usr/lib/systemd/system/palmd.service
enabled disabled
in_root palmd run --fast --source 'synthetic:wait 1s; victory 2s; wait 1s' > "$place/events" 2> "$place/log" ||
    fail "palmd doesn't run as it was installed: $(cat "$place/log")"
grep -q '"phase":"start","gesture":"victory"' "$place/events" || fail "no gesture is recognised: $(cat "$place/events")"
in_root systemd-analyze verify --man=no /usr/lib/systemd/system/palmd.service || fail "systemd-analyze has found something"
passed "install: a gesture is recognised with the package's own models, the unit is in order and not enabled"

in_root dpkg --purge palmd >/dev/null 2>&1 || fail "dpkg --purge"
listing | diff "$place/before" - || fail "the files above are left, or missing, after purge"
passed "purge leaves nothing"

install old.deb
install new.deb
grep -q '^fps = 30.0' "$root$configuration" || fail "a configuration that nobody changed was not renewed"
passed "upgrade renews a configuration that nobody changed"

in_root dpkg --purge palmd >/dev/null 2>&1
install old.deb
in_root systemctl enable palmd.service 2>/dev/null
sed -i 's/^hands = .*/hands = 2/' "$root$configuration"
mkdir -p "$root/var/lib/palmd/gestures"
echo taught > "$root/var/lib/palmd/gestures/star"
install new.deb
grep -q '^hands = 2' "$root$configuration" && grep -q '^fps = 25.0' "$root$configuration" || fail "a changed configuration was not kept"
enabled enabled
present $configuration.dpkg-dist /var/lib/palmd/gestures/star
passed "upgrade keeps a changed configuration, what was taught, and the service enabled"

in_root dpkg --remove palmd >/dev/null 2>&1 || fail "dpkg --remove"
absent /usr/bin/palmd /usr/share/palmd /usr/lib/systemd/system/palmd.service
present $configuration /var/lib/palmd/gestures/star
install new.deb
grep -q '^hands = 2' "$root$configuration" || fail "the configuration was lost by removing and installing"
enabled enabled
passed "remove keeps the configuration and what was taught, and installing again finds them"

in_root dpkg --remove palmd >/dev/null 2>&1
in_root dpkg --purge palmd >/dev/null 2>&1 || fail "dpkg --purge"
listing | diff "$place/before" - || fail "the files above are left, or missing, after purge"
passed "remove and purge leave nothing"
