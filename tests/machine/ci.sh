#!/bin/bash
# What CI has the time for: installs what is missing, boots a guest of each architecture (built at the
# first time) and captures really. Where that isn't possible it says SKIPPED, and why, and passes.
#
# For amd64 the program is the one that `cargo test` has built; for arm64 one is built here.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(cd "$here/../.." && pwd)
target=${CARGO_TARGET_DIR:-$top/target}
scenarios=(format.NV12 unplugged)

skip() {
    echo "machine: SKIPPED, because $*" >&2
    exit 0
}

apt() { DEBIAN_FRONTEND=noninteractive timeout 10m apt-get -y --no-remove -qq -o Dpkg::Use-Pty=0 "$@" >&2; }

# The mirror that this machine uses itself, by the address of any package.
package=$(cd / && apt-get download --print-uris hostname 2>/dev/null | cut -d "'" -f 2) ||
    skip "there is no apt-get, or it knows no mirror"

# A machine with some of QEMU from Debian's backports can't have the rest from elsewhere.
install_from_backports() {
    local suite place
    # shellcheck disable=SC1091 # not ours
    suite=$(. /etc/os-release && echo "$VERSION_CODENAME")-backports
    place=$(mktemp -d)
    cp -r /etc/apt/sources.list.d/. "$place"
    echo "deb ${package%%/pool/*} $suite main" >"$place/backports.list"
    apt -o Dir::Etc::SourceParts="$place" -o APT::Get::List-Cleanup=false update
    apt -o Dir::Etc::SourceParts="$place" install --no-install-recommends -t "$suite" "$@"
    local code=$?
    rm -r "$place"
    return $code
}

missing=$({ "$here/run.sh" --arch amd64 --missing; "$here/run.sh" --arch arm64 --missing; } | xargs -n 1 | sort -u | xargs)
if [ -n "$missing" ]; then
    [ "$(id -u)" = 0 ] || skip "only root can install $missing"
    mapfile -t emulators < <(xargs -n 1 <<<"$missing" | grep '^qemu')
    mapfile -t others < <(xargs -n 1 <<<"$missing" | grep -v '^qemu')
    apt update || true # with the lists that are here
    apt install --no-install-recommends "${others[@]}" || skip "apt-get can't install $missing"
    apt install --no-install-recommends "${emulators[@]}" || install_from_backports "${emulators[@]}" ||
        skip "apt-get can't install $missing"
fi
if [ ! -e "$here/.cache/amd64/made-from" ] || [ ! -e "$here/.cache/arm64/made-from" ]; then
    probe=$(mktemp -d)
    timeout 2m /usr/lib/apt/apt-helper download-file "$package" "$probe/package" >/dev/null 2>&1 ||
        skip "the guests aren't built yet and Debian's mirror can't be reached"
    rm -r "$probe"
fi

build=''
if "$top/cross/setup.sh" >/dev/null; then
    "$top/cross/cargo.sh" aarch64 build --quiet --locked --bins --profile machine &
    build=$!
    trap 'kill $build 2>/dev/null || true' EXIT
fi
synthetic=$target/debug/examples/synthetic
"$here/run.sh" --limit 25m --palmd "$target/debug/palmd" --synthetic "$synthetic" "${scenarios[@]}"
[ -n "$build" ] || skip "palmd can't be built for arm64, for the reason above"
wait $build
"$here/run.sh" --arch arm64 --limit 25m --palmd "$target/cross/aarch64-unknown-linux-gnu/machine/palmd" \
    --synthetic "$synthetic" "${scenarios[@]}"
