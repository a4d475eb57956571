#!/bin/sh
# Makes ready what building and testing palmd for ARM takes, on Debian 12 (amd64), from Debian's packages
# alone: cross compilers, an emulator, and Rust with the ARM standard libraries, which is unpacked into
# a private folder, so that it is in nobody's way. As root, or as a user with sudo where packages are
# missing. What is there already is not done again.
#
# Prints the folder with Rust. It is under $PALMD_CROSS_CACHE (default: ~/.cache/palmd/cross), 0.7 GB.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cache=${PALMD_CROSS_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/palmd/cross}
rust_needed=$(sed -n 's/^rust-version = "1\.\([0-9]*\).*/\1/p' "$here/../Cargo.toml")

say() { echo "cross: $*" >&2; }
fail() { say "$@"; exit 1; }
installed() { dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null | grep -qx installed; }
as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}
apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -y --no-remove -qq -o Dpkg::Use-Pty=0 "$@" >/dev/null; }

install_packages() {
    wanted=
    for package in gcc-aarch64-linux-gnu libc6-dev-arm64-cross gcc-arm-linux-gnueabihf libc6-dev-armhf-cross qemu-user; do
        installed "$package" || wanted="$wanted $package"
    done
    [ -n "$wanted" ] || return 0
    by_hand="as root, run:
  apt-get update && apt-get install -y --no-install-recommends$wanted"
    [ "$(id -u)" = 0 ] || { command -v sudo >/dev/null && sudo -v; } || fail "$by_hand"
    say "installing$wanted"
    apt_get update || say "the lists of packages are not up to date; going on with those that are here"
    # shellcheck disable=SC2086 # a list of packages
    apt_get install --no-install-recommends $wanted || fail "apt could not install these; the reason stands above"
}

# The newest Rust among Debian's packages: rustc-web is the one that Debian builds its browsers with.
rust_version() {
    apt-cache madison rustc-web | cut -d '|' -f 2 | tr -d ' ' | while read -r version; do
        minor=${version#1.}
        [ "${minor%%.*}" -lt "$rust_needed" ] || echo "$version"
    done | head -n 1
}

unpack_rust() { # version folder
    say "fetching Rust $1 with the ARM standard libraries (165 MB) into $2"
    rm -rf "$2.partial"
    mkdir -p "$2.partial/packages" "$2.partial/bin"
    cd "$2.partial/packages"
    "$here/fetch.sh" arm64 "libstd-rust-web-dev=$1"
    "$here/fetch.sh" armhf "libstd-rust-web-dev=$1"
    compiler="libstd-rust-web-$(echo "$1" | cut -d . -f 1,2)"
    llvm=$(apt-cache depends "$compiler=$1" | sed -n 's/.*Depends: \(libllvm[0-9]*\)$/\1/p')
    apt-get download -qq -o APT::Sandbox::User=root "rustc-web=$1" "$compiler=$1" "libstd-rust-web-dev=$1" "$llvm" >&2 ||
        fail "apt could not fetch Rust; is the list of packages up to date (apt-get update)?"
    for package in *.deb; do dpkg -x "$package" ..; done
    cd ..
    rm -r packages
    cat > bin/rustc <<EOF
#!/bin/sh
LD_LIBRARY_PATH=$2/usr/lib/x86_64-linux-gnu exec $2/usr/bin/rustc "\$@"
EOF
    chmod +x bin/rustc
    cd "$here"
    mv "$2.partial" "$2"
}

command -v apt-get >/dev/null && [ "$(dpkg --print-architecture)" = amd64 ] ||
    fail "this works on Debian for amd64 only; elsewhere use cross (see cross/README.md)"
"$here/../scripts/setup.sh" --quiet # libclang, a host compiler, cargo
install_packages
version=$(rust_version)
[ -n "$version" ] || fail "Debian's package rustc-web is older than 1.$rust_needed here, or apt doesn't know it: is the
  security suite (bookworm-security) among apt's sources, and its list up to date (apt-get update)?"
rust=$cache/rust-$version
[ -x "$rust/bin/rustc" ] || unpack_rust "$version" "$rust"
"$rust/bin/rustc" --version >/dev/null || fail "$rust/bin/rustc doesn't run; the reason stands above"
echo "$rust"
