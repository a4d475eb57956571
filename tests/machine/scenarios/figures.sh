# Sizes, memory and start-up, to be printed. The guest's clock counts instructions, a nanosecond each.
for file in /usr/bin/palmd /share/palmd.deb; do
    [ ! -e $file ] || echo "figure: $file $(($(stat -c %s $file) / 1000)) kB"
done
plug
start_service
eventually status_is 'Watching'
memory() { sed -n "s/^$1:[[:space:]]*\([0-9]*\) kB/\1/p" /proc/"$(main_pid)"/status; }
resident=$(memory VmRSS)
echo "figure: resident memory $((resident / 1024)) MiB, at most $(($(memory VmHWM) / 1024)) MiB"
ready=$(($(systemctl show palmd -p ActiveEnterTimestampMonotonic --value) -
    $(systemctl show palmd -p ExecMainStartTimestampMonotonic --value)))
echo "figure: up after $((ready / 1000)) million instructions"
[ $resident -lt $((60 * 1024)) ] || fail "palmd keeps $resident KiB in memory"
