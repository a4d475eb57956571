# Sizes, memory and start-up, to be printed.
for file in /usr/bin/palmd /share/palmd.deb; do
    [ ! -e $file ] || echo "figure: $file $(($(stat -c %s $file) / 1000)) kB"
done
plug_grabber
show /share/clips/still.NV12 NV12
echo "camera.format = 'NV12'" >>config
start_service
eventually journal_has '"type":"hand","phase":"appear"'
dark
memory() { sed -n "s/^$1:[[:space:]]*\([0-9]*\) kB/\1/p" /proc/"$(main_pid)"/status; }
resident=$(memory VmRSS)
echo "figure: resident memory $((resident / 1024)) MiB, at most $(($(memory VmHWM) / 1024)) MiB"

# Microseconds of the guest's clock.
started=$(systemctl show palmd -p ExecMainStartTimestampMonotonic --value)
ready=$(systemctl show palmd -p ActiveEnterTimestampMonotonic --value)
hand=$(journalctl -u palmd -o json | grep '\\"appear\\"' |
    sed -n '1 s/.*"__MONOTONIC_TIMESTAMP" *: *"\([0-9]*\)".*/\1/p')
echo "figure: up after $(((ready - started) / 1000)) ms, the first hand after $(((hand - started) / 1000)) ms"
[ $resident -lt $((60 * 1024)) ] || fail "palmd keeps $resident KiB in memory"
