# An absent camera is no reason to start palmd again; a vision thread that is stuck is one.
override 'WatchdogSec=10'
start_service
eventually status_is 'The camera is lost; trying again'
sleep 25
shows NRestarts 0

plug
eventually status_is 'Watching'
vision=$(grep -l -x vision /proc/"$(main_pid)"/task/*/comm | cut -d / -f 5)
# Its next system call takes a quarter of an hour; a thread that is traced can't end, either.
strace -p "$vision" -o /dev/null -e inject=all:delay_enter=900000000 2>/dev/null &
tracer=$!
eventually journal_has 'Watchdog timeout'
kill -KILL $tracer
eventually restarted 1
eventually status_is 'Watching'
