#!/bin/sh
# Builds the release program twice and compares: packaging/reproduce.sh [COMMIT]
# The two builds of COMMIT (HEAD by default) are made in folders of different names and depths, in another
# language, time zone, order and number of jobs. The program lies in target/reproduced afterwards, with its
# SHA-256. Takes twice as long as `make build`.
set -eu
cd "$(dirname "$0")/.."
commit=$(git rev-parse --verify "${1:-HEAD}^{commit}")
top=$(realpath -m "${CARGO_TARGET_DIR:-target}")
out=$top/reproduced
work=$(mktemp -d "${TMPDIR:-/tmp}/palmd-reproduce.XXXXXX")
trap 'rm -rf "$work"' EXIT
PATH="$HOME/.cargo/bin:$PATH"
cargo_home=$(realpath "${CARGO_HOME:-$HOME/.cargo}")
# As in the package, so that no tool has to take the time of the build.
SOURCE_DATE_EPOCH=$(git show -s --format=%ct "$commit")
export SOURCE_DATE_EPOCH

say() { echo "reproduce: $*" >&2; }

# Folders get names of their own in the program. A wrapper gives the flags, because flags in RUSTFLAGS
# would become part of every crate's hash.
wrapper=$work/rustc
cat > "$wrapper" <<'END'
#!/bin/sh
rustc=$1
shift
exec "$rustc" "$@" --remap-path-prefix="$PALMD_CARGO_HOME=/cargo" --remap-path-prefix="$PALMD_SYSROOT=/rust" \
    --remap-path-prefix="$PALMD_SOURCE=/palmd" --remap-path-prefix="$PALMD_TARGET=/target"
END
chmod +x "$wrapper"

build() { # FOLDER JOBS PROGRAM
    source=$work/$1
    mkdir -p "$source"
    git archive "$commit" | tar -x -C "$source"
    say "building in $source, $2 at a time"
    PALMD_SOURCE=$source PALMD_TARGET=$source/target PALMD_CARGO_HOME=$cargo_home
    PALMD_SYSROOT=$(rustc --print sysroot)
    flags="-ffile-prefix-map=$source/target=/target -ffile-prefix-map=$source=/palmd -ffile-prefix-map=$cargo_home=/cargo"
    export PALMD_SOURCE PALMD_TARGET PALMD_CARGO_HOME PALMD_SYSROOT
    (
        cd "$source"
        unset RUSTFLAGS CARGO_ENCODED_RUSTFLAGS CARGO_BUILD_TARGET
        CARGO_TARGET_DIR=$source/target CARGO_INCREMENTAL=0 RUSTC_WRAPPER=$wrapper CFLAGS="${CFLAGS:-} $flags" \
            cargo build --quiet --release --locked --bin palmd --jobs "$2"
    )
    cp "$source/target/release/palmd" "$work/$3"
    rm -rf "$source"
}

(LC_ALL=C TZ=UTC; export LC_ALL TZ; build one "$(nproc)" first)
(LC_ALL=C.UTF-8 TZ=Pacific/Auckland; export LC_ALL TZ; umask 077; build a/longer/path/to/two 1 second)

if ! cmp "$work/first" "$work/second" >&2; then
    rm -rf "$out"
    mkdir -p "$out"
    mv "$work/first" "$work/second" "$out"
    say "the two programs differ; both are in $out (diffoscope tells in what)"
    exit 1
fi
# What is left of a folder's name would differ elsewhere.
if grep -aqF -e "$cargo_home/" -e "$work" "$work/first"; then
    say "the two programs are the same, but hold the names of folders of this machine"
    exit 1
fi
rm -rf "$out"
mkdir -p "$out"
mv "$work/first" "$out/palmd"
rustc --version > "$out/rustc"
(cd "$out" && sha256sum palmd | tee palmd.sha256)
say "$commit: two builds, the same $(stat -c %s "$out/palmd") bytes, in $out"
