#!/bin/sh
# Installs what building palmd needs and is missing on Debian 12 or 13: a C compiler, libclang (for
# bindgen), Python's venv and Rust. As root, or as a user with sudo; otherwise says what to run.
# Nothing that is installed is ever removed. `--quiet` says nothing where nothing is missing; `--tests`
# also installs an MQTT broker, without which the tests that want one are skipped; `--page` a browser,
# without which the page's are.
set -eu
cd "$(dirname "$0")/.."

rust_needed=$(sed -n 's/^rust-version = "1\.\([0-9]*\).*/\1/p' Cargo.toml)
debian_rust='rustc-web cargo-web rustfmt-web rust-web-clippy' # the Rust that Debian builds its browsers with
rustup_command="curl --proto '=https' --tlsv1.2 -sSf https://sh.rustup.rs | sh"

say() { echo "setup: $*" >&2; }
fail() { say "$@"; exit 1; }
have() { command -v "$1" >/dev/null; }
found() { [ -e "$1" ]; } # of a pattern's matches, where there are any

have_c() { have cc && [ -e /usr/include/stdio.h ] && [ -e /usr/include/linux/videodev2.h ]; }

# The library, and the headers of its own (stddef.h) that come in another package.
have_libclang() {
    [ -n "${LIBCLANG_PATH:-}" ] ||
        { found /usr/lib/llvm-*/lib/libclang.so* && found /usr/lib/llvm-*/lib/clang/*/include/stddef.h; }
}

have_venv() { python3 -c 'import ensurepip, venv' 2>/dev/null; }
have_certificates() { [ -s /etc/ssl/certs/ca-certificates.crt ]; }

recent() { [ "${1:-0}" -ge "$rust_needed" ]; }
minor() { "$@" --version 2>/dev/null | sed -n 's/^[a-z]* 1\.\([0-9]*\)\..*/\1/p'; } # the 95 of "cargo 1.95.0 (...)"
have_rust() { recent "$(minor cargo)" && recent "$(minor rustc)"; }
have_lints() { cargo fmt --version && cargo clippy --version; } >/dev/null 2>&1

candidate() { # the minor version of a package of Rust that apt would install
    apt-cache policy "$1" 2>/dev/null | sed -n 's/^ *Candidate: 1\.\([0-9]*\)\..*/\1/p'
}
have_package_lists() { [ -n "$(apt-cache madison libc6-dev)" ]; }
debian_rust_is_recent() { recent "$(candidate rustc-web)" && recent "$(candidate cargo-web)"; }

can_be_root() { [ "$(id -u)" = 0 ] || { have sudo && sudo -v; }; }
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

ask_for_root() { # says what root would have to run, as far as it is known without fresh lists of packages
    wanted=$packages
    if [ -z "$needs_rust" ] || have rustup; then :
    elif debian_rust_is_recent || ! have_package_lists; then wanted="$wanted $debian_rust"
    else say "as yourself, for Rust 1.$rust_needed or later, run:
  $rustup_command"
    fi
    [ -z "$wanted" ] || say "as root, run:
  apt-get update && apt-get install -y --no-install-recommends$wanted"
    fail "then try again"
}

apt_get() { # says what it does on a terminal, only what is wrong elsewhere
    if [ -t 2 ]; then as_root env DEBIAN_FRONTEND=noninteractive apt-get -y --no-remove "$@" >&2
    else as_root env DEBIAN_FRONTEND=noninteractive apt-get -y --no-remove -qq -o Dpkg::Use-Pty=0 "$@" >/dev/null
    fi
}

use_rustup() {
    if have_rust; then
        rustup component add clippy rustfmt
    else
        say "installing Rust by rustup"
        rustup toolchain install stable --profile minimal --component clippy --component rustfmt
        rustup default >/dev/null 2>&1 || rustup default stable
    fi
}

PATH="$HOME/.cargo/bin:$PATH"

quiet= tests= page=
for option; do
    case $option in
        --quiet) quiet=yes ;;
        --tests) tests=yes ;;
        --page) page=yes ;;
        *) fail "usage: scripts/setup.sh [--quiet] [--tests] [--page]" ;;
    esac
done

packages=
have_c || packages="$packages gcc libc6-dev"
have_libclang || packages="$packages libclang-dev"
have_venv || packages="$packages python3-venv"
have_certificates || packages="$packages ca-certificates"
[ -z "$tests" ] || have mosquitto_sub || ! can_be_root || packages="$packages mosquitto mosquitto-clients"
[ -z "$page" ] || have chromium-headless-shell || packages="$packages chromium-headless-shell"
needs_rust=
{ have_rust && have_lints; } || needs_rust=yes

if [ -z "$packages$needs_rust" ]; then
    [ -n "$quiet" ] || say "everything is there"
    exit 0
fi

if ! have apt-get; then
    say "this is no Debian, so nothing is installed. palmd needs a C compiler, libclang with its headers (or
  LIBCLANG_PATH), python3 with venv, and Rust 1.$rust_needed or later with clippy and rustfmt.
  Not found where Debian has it:$packages${needs_rust:+ Rust}"
    have_rust || fail "Rust by rustup:  $rustup_command"
    exit 0
fi

if [ -n "$packages" ] || { [ -n "$needs_rust" ] && ! have rustup; }; then
    can_be_root || ask_for_root
    apt_get update || say "the lists of packages are not up to date; going on with those that are here"
    if [ -n "$needs_rust" ] && ! have rustup; then
        if debian_rust_is_recent; then
            packages="$packages $debian_rust"
        elif [ -n "$(apt-cache madison rustup)" ]; then
            packages="$packages rustup"
        fi
    fi
    [ -z "$packages" ] || say "installing$packages (this takes a minute or two)"
    # shellcheck disable=SC2086 # a list of packages
    [ -z "$packages" ] || apt_get install --no-install-recommends $packages || fail "apt could not install these; the reason stands above.
  Where an older Rust of Debian's is in the way, remove it (apt-get remove cargo rustc), or use rustup:
    $rustup_command"
fi

if ! { have_rust && have_lints; } && have rustup; then use_rustup; fi

{ have_rust && have_lints; } || fail "Rust 1.$rust_needed or later with clippy and rustfmt is needed; here is $(rustc --version 2>/dev/null || echo none).
  Install it by rustup (then, where another toolchain is the default: rustup default stable), and try again:
    $rustup_command"
say "$(cargo --version), $(rustc --version)"
