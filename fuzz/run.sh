#!/bin/bash
# Fuzzes what strangers can hand to palmd: run.sh [--keep] [SECONDS] [TARGET...]
#
# Each target runs for SECONDS (20), beginning with what corpus/TARGET holds. What a run finds new is thrown
# away, or with --keep added to the corpus, which is made as small as it can be afterwards. Fails at the first input
# that crashes, hangs or takes too much memory, and keeps it in artifacts/TARGET.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
top=$(dirname "$here")
target=$(realpath -m "${CARGO_TARGET_DIR:-$top/target}")
tool=0.13.2 # cargo-fuzz's version
export PATH="$HOME/.cargo/bin:$target/tools/bin:$PATH"

keep='' seconds=20
if [ "${1:-}" = --keep ]; then keep=yes; shift; fi
case ${1:-} in
[0-9]*) seconds=$1; shift ;;
esac
targets=("$@")
[ $# -gt 0 ] || mapfile -t targets < <(sed -n 's/^name = "\(.*\)"/\1/p' "$here/Cargo.toml" | tail -n +2)

if ! command -v cargo-fuzz >/dev/null; then
    echo "fuzz: installing cargo-fuzz into $target/tools" >&2
    cargo install --quiet --locked --root "$target/tools" --version $tool cargo-fuzz
fi
# Sanitizers are no part of a stable compiler, unless it is asked like this.
export RUSTC_BOOTSTRAP=1 CARGO_TARGET_DIR="$target/fuzz"
cd "$top"
cargo fuzz build --fuzz-dir "$here"

log=$(mktemp -d)
trap 'rm -rf "$log"' EXIT
for name in "${targets[@]}"; do
    corpus=$here/corpus/$name
    found=$log/$name.found
    [ -z "$keep" ] || found=$corpus
    mkdir -p "$corpus" "$found"
    folders=("$found")
    [ -n "$keep" ] || folders+=("$corpus")
    if ! cargo fuzz run --fuzz-dir "$here" "$name" "${folders[@]}" -- -max_total_time="$seconds" \
        -timeout=60 -rss_limit_mb=3072 -print_final_stats=1 -verbosity=1 >"$log/$name" 2>&1; then
        tail -n 60 "$log/$name" >&2
        echo "fuzz: $name FAILED" >&2
        exit 1
    fi
    executions=$(sed -n 's/^stat::number_of_executed_units: *//p' "$log/$name")
    memory=$(sed -n 's/^stat::peak_rss_mb: *//p' "$log/$name")
    echo "fuzz: $name: $executions inputs in $seconds s, none crashed, hung or took too much; at most $memory MB" >&2
    [ -z "$keep" ] || cargo fuzz cmin --fuzz-dir "$here" "$name" "$corpus" >"$log/$name" 2>&1
done
