#!/bin/sh
# Installs what building palmd needs on Debian 12 and 13 and is missing: a C compiler, libclang (for
# bindgen), Python's venv, and Rust. As root, or as a user with sudo; otherwise says what to run.
# `--quiet` says nothing where nothing is missing.
set -eu

RUST_NEEDED=91 # 1.91, tract's minimum

say() { echo "setup: $*" >&2; }
fail() { say "$@"; exit 1; }

minor() { # the 95 of "cargo 1.95.0 (...)", nothing where there is no such command
    "$@" --version 2>/dev/null | sed -n 's/^[a-z]* 1\.\([0-9]*\)\..*/\1/p'
}

recent() { [ "${1:-0}" -ge $RUST_NEEDED ]; }

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"
    elif command -v sudo >/dev/null && sudo -v; then sudo "$@"
    else fail "run this as root, then try again:  $*"
    fi
}

installed() { dpkg-query -W -f '${Status}' "$1" 2>/dev/null | grep -q 'ok installed'; }

apt_updated=
apt_update() {
    [ -n "$apt_updated" ] || as_root apt-get update -qq
    apt_updated=yes
}

apt_install() {
    apt_update
    say "installing $*"
    as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$@" >/dev/null
}

candidate() { # the minor version of a package of Rust that apt would install
    apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: 1\.\([0-9]*\)\..*/\1/p'
}

find_libclang() {
    ls /usr/lib/llvm-*/lib/libclang*.so* /usr/lib/*/libclang*.so* >/dev/null 2>&1 ||
        [ -n "${LIBCLANG_PATH:-}" ]
}

if ! command -v dpkg-query >/dev/null; then
    say "this is no Debian; you need: a C compiler, libclang, python3 with venv, Rust 1.$RUST_NEEDED"
    command -v cargo >/dev/null || exit 1
    exit 0
fi

missing=
command -v cc >/dev/null || missing="$missing gcc libc6-dev"
find_libclang || missing="$missing libclang-dev"
python3 -c 'import ensurepip, venv' 2>/dev/null || missing="$missing python3-venv"
installed ca-certificates || missing="$missing ca-certificates"
# shellcheck disable=SC2086 # a list of packages
[ -z "$missing" ] || apt_install $missing

PATH="$HOME/.cargo/bin:$PATH"
if ! recent "$(minor cargo)" || ! recent "$(minor rustc)"; then
    apt_update
    if recent "$(candidate rustc-web)" && recent "$(candidate cargo-web)" && ! command -v rustup >/dev/null; then
        apt_install rustc-web cargo-web rustfmt-web
    elif command -v rustup >/dev/null; then
        say "updating Rust by rustup"
        rustup toolchain install stable --profile minimal -c clippy -c rustfmt && rustup default stable
    elif apt-cache policy rustup 2>/dev/null | grep -q 'Candidate: [0-9]'; then
        apt_install rustup
        rustup default stable
    fi
    recent "$(minor cargo)" && recent "$(minor rustc)" || fail "Rust 1.$RUST_NEEDED or later is needed.
  Debian's own is older; install it by https://rustup.rs, then try again:
    curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"
    say "$(cargo --version), $(rustc --version)"
fi
[ "${1:-}" = --quiet ] || say "everything is there"
