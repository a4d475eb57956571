#!/bin/sh
# cargo for an ARM target: `cross/cargo.sh aarch64 build --release`, `cross/cargo.sh armv7 test`.
# What is built lies in its own folder, target/cross; tests and programs run under an emulator.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
PATH="$HOME/.cargo/bin:$PATH"

architecture=${1:-}
case $architecture in
    aarch64) target=aarch64-unknown-linux-gnu gnu=aarch64-linux-gnu qemu=qemu-aarch64 ;;
    armv7) target=armv7-unknown-linux-gnueabihf gnu=arm-linux-gnueabihf qemu=qemu-arm ;;
    *) echo "usage: cross/cargo.sh aarch64|armv7 CARGO-COMMAND [ARGUMENT]..." >&2; exit 64 ;;
esac
[ $# -ge 2 ] || exec "$0"
command=$2
shift 2

rust=$("$here/setup.sh")
export RUSTC="$rust/bin/rustc"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$here/../target}/cross" # never shared with another compiler
name=$(echo "$target" | tr a-z- A-Z_)
export "CARGO_TARGET_${name}_LINKER=$gnu-gcc"
export PALMD_TEST_RUNNER="$qemu -L /usr/$gnu" # for the tests that start the program
export PALMD_TEST_CC=$gnu-gcc # for what the tests load into it
export "CARGO_TARGET_${name}_RUNNER=$PALMD_TEST_RUNNER"
exec cargo "$command" --target "$target" "$@"
