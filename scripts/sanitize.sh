#!/bin/bash
# The kernels' tests under AddressSanitizer: they read and write memory by pointers.
set -euo pipefail
cd "$(dirname "$0")/.."
export PATH="$HOME/.cargo/bin:$PATH"

host=$(rustc -vV | sed -n 's/^host: //p')
if ! ls "$(rustc --print sysroot)/lib/rustlib/$host/lib/"*rt.asan.* >/dev/null 2>&1; then
    echo "sanitize: SKIPPED, because this Rust (Debian's own?) comes without AddressSanitizer; rustup's has it" >&2
    exit 0
fi
# Sanitizers are no part of a stable compiler, unless it is asked like this.
export RUSTC_BOOTSTRAP=1 RUSTFLAGS='-Zsanitizer=address' RUSTDOCFLAGS='-Zsanitizer=address'
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-target}/sanitized"
# What the tests leave to the end of the program is no leak that anybody has.
export ASAN_OPTIONS=detect_leaks=0
cargo test --locked --target "$host" -p palmd-kernels
