#!/bin/sh
# Has systemd check the unit, alone and with each of the examples: that it knows every directive, and
# that the unit's exposure is at most 1.0 of 10. Without systemd-analyze, says so and passes.
set -eu
cd "$(dirname "$0")"
most=10 # tenths

if ! command -v systemd-analyze >/dev/null; then
    echo "systemd: SKIPPED, because there is no systemd-analyze here (package systemd)" >&2
    exit 0
fi
place=$(mktemp -d)
trap 'rm -r "$place"' EXIT

check() { # unit example...
    rm -rf "${place:?}"/*
    unit=$place/$1
    shift
    mkdir "$unit.d"
    # Programs need not be installed for this.
    for file in palmd.service "$@"; do
        [ "$file" = palmd.service ] && to=$unit || to=$unit.d/$(basename "$file")
        sed 's,^\(ExecStart=\)/usr/bin/[a-z]*,\1/bin/true,' "$file" > "$to"
    done
    said=$(systemd-analyze verify --man=no "$unit" 2>&1) || true # it merely warns of most mistakes
    [ -z "$said" ] || { echo "systemd: FAILED $*: $said" >&2; exit 1; }
    exposure=$(systemd-analyze security --offline=true --no-pager "$unit" | sed -n 's/.*exposure level[^0-9]*: \([0-9.]*\).*/\1/p')
    echo "systemd: exposure $exposure ${*:-as it is}"
}

for example in examples/*.conf; do
    case $example in
        */two-cameras.conf) check palmd@left.service "$example" ;;
        *) check palmd.service "$example" ;;
    esac
done
check palmd.service
systemd-analyze security --offline=true --no-pager --threshold=$most "$place/palmd.service" >/dev/null ||
    { echo "systemd: FAILED: an exposure above $((most / 10)).$((most % 10))" >&2; exit 1; }
