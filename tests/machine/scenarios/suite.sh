#!/bin/sh
# Runs scenarios in the guest: suite.sh RESULTS SCENARIO[.ARGUMENT]... Prints a line for each; keeps
# its output, and the journal where it failed, in RESULTS. After a boot it goes on where it was.
set -u
here=$(cd "$(dirname "$0")" && pwd)
results=$1
shift

# Whatever a scenario left behind.
clean_up() {
    systemctl stop palmd 2>/dev/null
    rm -rf /etc/systemd/system/palmd.service.d /etc/palmd/palmd.toml
    systemctl daemon-reload
    systemctl reset-failed palmd 2>/dev/null
    pkill -KILL -x palmd
    pkill -KILL -x v4l2-ctl
    modprobe -r vivid
    modprobe -r v4l2loopback
}

for name in "$@"; do
    [ ! -e "$results/$name.done" ] || continue
    if [ -e "$results/$name.txt" ] && [ ! -e "$results/$name.goes-on" ]; then
        echo "FAIL  $name: the guest came down"
        touch "$results/$name.done"
        continue
    fi
    folder=$(mktemp -d)
    began=$(journalctl -n 0 --show-cursor --quiet | sed -n 's/^-- cursor: //p')
    output=$results/$name.txt
    if (cd "$folder" && sh -euxc '. "$1/prelude.sh"; . "$1/$2.sh"' - "$here" "${name%%.*}" "${name#*.}") \
        >"$output" 2>&1; then
        echo "ok    $name"
        sed -n 's/^figure: /      /p' "$output"
    else
        echo "FAIL  $name: $(grep '^failed: ' "$output" | tail -n 1)"
        journalctl --after-cursor="$began" --no-pager -o short-precise >"$results/$name.journal"
        for file in "$folder"/events "$folder"/log; do
            [ ! -e "$file" ] || cp "$file" "$results/$name.$(basename "$file")"
        done
    fi
    touch "$results/$name.done"
    clean_up >/dev/null 2>&1
    rm -rf "$folder"
done
