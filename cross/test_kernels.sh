#!/bin/sh
# Tests the kernels for ARM, 64 and 32 bit, under an emulator. They are built without tract, which
# makes it a matter of a minute or two (kernels). Where the tools can't be installed, says so and
# passes: the tests of everything, ARM's included, are `make test-arm`.
set -eu
here=$(cd "$(dirname "$0")" && pwd)

if ! "$here/setup.sh" >/dev/null; then
    echo "cross: SKIPPED the kernels' tests for ARM, for the reason above" >&2
    exit 0
fi
for architecture in aarch64 armv7; do
    "$here/cargo.sh" "$architecture" test --quiet --locked --tests --package palmd-kernels
done
