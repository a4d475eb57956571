#!/bin/bash
# Runs palmd's scenarios in a virtual machine with a camera; see README.md.
#
#   run.sh [--arch amd64|arm64] [--palmd PROGRAM | --deb PACKAGE] [--synthetic PROGRAM]
#          [--models FOLDER] [--limit TIME] [--part I/N] [SCENARIO...]
#   run.sh [--arch amd64|arm64] --missing       names Debian packages that it needs and aren't there
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
release=${CARGO_TARGET_DIR:-$top/target}/release
cache=$here/.cache

arch=amd64 palmd=$release/palmd deb='' synthetic=$release/examples/synthetic
models=${PALMD_MODELS:-$top/models} limit=1h part='' asked=''
while [ $# -gt 0 ]; do
    case $1 in
    --missing) asked=yes; shift; continue ;;
    --arch) arch=$2 ;;
    --palmd) palmd=$2 ;;
    --deb) deb=$2 ;;
    --synthetic) synthetic=$2 ;;
    --models) models=$2 ;;
    --limit) limit=$2 ;; # of the guest's run
    --part) part=$2 ;; # one of N runs, at the same time if one likes, which share the scenarios
    -*) echo "machine: unknown option $1; see the head of $0" >&2; exit 64 ;;
    *) break ;;
    esac
    shift 2
done
scenarios=("$@")
[ $# -gt 0 ] || mapfile -t scenarios < <(grep -v '^#' "$here/scenarios/order")
if [ -n "$part" ]; then
    mapfile -t scenarios < <(printf '%s\n' "${scenarios[@]}" | awk -v i="${part%/*}" -v n="${part#*/}" 'NR % n == i % n')
fi
name=$arch${part:+-${part%/*}}

say() { echo "machine: $*" >&2; }

# need FILE PACKAGE: a program that a Debian package would bring.
missing=''
need() { PATH=$PATH:/usr/sbin:/sbin command -v "$1" >/dev/null || missing+=" $2"; }
need mmdebstrap mmdebstrap
need mke2fs e2fsprogs
need depmod kmod
need cpio cpio
need make make
need bzip2 bzip2
[ "$(id -u)" = 0 ] || need fakeroot fakeroot
case $arch in
amd64) need qemu-system-x86_64 qemu-system-x86; need gcc gcc ;;
arm64)
    need qemu-system-aarch64 qemu-system-arm
    need qemu-aarch64-static qemu-user-static
    need aarch64-linux-gnu-gcc gcc-aarch64-linux-gnu
    ;;
esac
if [ -n "$asked" ]; then
    echo "$missing"
    exit
fi
if [ -n "$missing" ]; then
    say "these packages are missing; as root, run: apt-get install --no-install-recommends$missing"
    exit 69
fi

for file in "${deb:-$palmd}" "$synthetic"; do
    [ -e "$file" ] || { say "there is no $file; \`make deb\` and \`cargo build --release --example synthetic\` build it"; exit 66; }
done

# The guest and the clips are made anew only when what makes them has changed.
made_from() { cat "$@" | sha256sum; }
fresh() { [ "$(cat "$1/made-from" 2>/dev/null)" = "$2" ]; }

mkdir -p "$cache"
exec 9>"$cache/lock" # as another run may need them at the same time
flock 9
guest=$cache/$arch
from=$(find "$here/guest" -type f ! -name boot.sh | sort | xargs cat | made_from)
if ! fresh "$guest" "$from"; then
    say "building the $arch guest (a minute or two)"
    rm -rf "$guest"
    "$here/guest/build.sh" "$arch" "$guest"
    echo "$from" >"$guest/made-from"
fi
clips=$cache/clips
from=$(made_from "$here/clips.py" "$synthetic")
if ! fresh "$clips" "$from"; then
    say 'drawing clips'
    rm -rf "$clips"
    "$here/clips.py" "$synthetic" "$clips"
    echo "$from" >"$clips/made-from"
fi
exec 9>&-

# What the guest sees as /share.
share=$cache/share-$name
rm -rf "$share"
mkdir -p "$share/results"
cp -r "$here/scenarios" "$share/scenarios"
cp -rl "$clips" "$share/clips"
if [ -n "$deb" ]; then
    cp "$deb" "$share/palmd.deb"
else
    mkdir "$share/palmd"
    cp "$palmd" "$top/systemd/palmd.service" "$share/palmd/"
    cp "$top/models/gestures.onnx" "$models"/{palm_detection,hand_landmark}_lite.onnx "$share/palmd/"
fi
mv "$share/scenarios/start.sh" "$share/start.sh"
printf '%s\n' "${scenarios[@]}" >"$share/order"

say "booting the $name guest for ${#scenarios[@]} scenarios"
# What counts is what the guest says before it ends, however it ends.
timeout --kill-after=10s "$limit" "$here/guest/boot.sh" "$arch" "$guest" "$share" 2>&1 |
    sed -u 's/\r$//' | tee "$share/results/console" | sed -u "s/^/$name: /" || true

passed=$(grep -c '^ok    ' "$share/results/console" || true)
say "$passed of ${#scenarios[@]} scenarios passed on $name; results are in $share/results"
[ "$passed" = "${#scenarios[@]}" ]
