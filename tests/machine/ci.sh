#!/bin/bash
# What CI has the time for: installs what is missing, boots the amd64 guest (built at the first time)
# and captures really. Where that isn't possible it says SKIPPED, and why, and passes.
#
#   ci.sh [OPTION of run.sh...]     by default with the release build, else with the one for tests
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
target=${CARGO_TARGET_DIR:-$here/../../target}
scenarios=(devices-and-check format.NV12 unplugged)

skip() {
    echo "machine: SKIPPED, because $*" >&2
    exit 0
}

missing=$("$here/run.sh" --missing)
if [ -n "$missing" ]; then
    command -v apt-get >/dev/null || skip "there is no apt-get to install$missing"
    [ "$(id -u)" = 0 ] || skip "only root can install$missing"
    apt() { DEBIAN_FRONTEND=noninteractive timeout 10m apt-get -y --no-remove -qq -o Dpkg::Use-Pty=0 "$@"; }
    # shellcheck disable=SC2086 # a list of packages
    { apt update && apt install --no-install-recommends $missing; } >&2 || skip "apt-get can't install$missing"
fi
if [ ! -e "$here/.cache/amd64/made-from" ]; then
    place=$(mktemp -d)
    trap 'rm -r "$place"' EXIT
    # Any package of the mirror that this machine itself uses.
    uri=$(cd / && apt-get download --print-uris hostname | cut -d "'" -f 2)
    timeout 2m /usr/lib/apt/apt-helper download-file "$uri" "$place/package" >/dev/null 2>&1 ||
        skip "the guest isn't built yet and Debian's mirror can't be reached"
fi

build=$target/release
[ -e "$build/palmd" ] || build=$target/debug
"$here/run.sh" --limit 25m --palmd "$build/palmd" --synthetic "$build/examples/synthetic" "$@" "${scenarios[@]}"
