#!/bin/sh
# Makes a Debian package of the release build that is there: packaging/deb.sh [aarch64|armv7]
# Without an argument of the one for this machine, otherwise of what `make cross` built. The package
# lies in target/debian afterwards.
set -eu
cd "$(dirname "$0")/.."
tool=3.8.0 # cargo-deb's version
top=$(realpath -m "${CARGO_TARGET_DIR:-target}")
PATH="$HOME/.cargo/bin:$top/tools/bin:$PATH"

say() { echo "deb: $*" >&2; }
fail() { say "$@"; exit 1; }

case ${1:-} in
    '') target=$(rustc -vV | sed -n 's/^host: //p') place=$top cargo=cargo variant= make='make build' ;;
    aarch64) target=aarch64-unknown-linux-gnu ;;
    armv7) target=armv7-unknown-linux-gnueabihf ;;
    *) fail "usage: packaging/deb.sh [aarch64|armv7]" ;;
esac
[ $# = 0 ] || { place=$top/cross/$target cargo="cross/cargo.sh $1" variant=--variant=cross make='make cross'; }

[ -x "$place/release/palmd" ] || fail "$place/release/palmd isn't there; run \`$make\`"
for model in palm_detection_lite hand_landmark_lite; do
    [ -f models/$model.onnx ] || fail "models/$model.onnx isn't there; run \`make models\`"
done
command -v dpkg-shlibdeps >/dev/null || fail "as root, run: apt-get install dpkg-dev"
if ! command -v cargo-deb >/dev/null; then
    say "installing cargo-deb into $top/tools"
    cargo install --quiet --locked --root "$top/tools" --version $tool cargo-deb
fi

version=$(dpkg-parsechangelog -l packaging/changelog -S Version)
crate=$(sed -n '/^version = /{s/.*"\(.*\)"/\1/p;q}' Cargo.toml)
[ "${version%-*}" = "$crate" ] || fail "packaging/changelog is at $version, Cargo.toml at $crate: add an entry to the former"

package=$place/release/package # what the assets in Cargo.toml name
rm -rf "$package"
$cargo run --quiet --release --locked --example manual -- "$package"
packaging/licences.py "$target" > "$package/licences"
gzip -9n "$package"/man/*.1 "$package/licences"
# Not before: build scripts that know it would have their crates built anew.
SOURCE_DATE_EPOCH=$(dpkg-parsechangelog -l packaging/changelog -S Timestamp)
export SOURCE_DATE_EPOCH
$cargo deb $variant --quiet --no-build --locked --deb-version "$version" --output "$top/debian/"
