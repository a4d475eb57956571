# A full disk: the daemon goes on and recovers from what happens; a command that writes says so.
plug
start_service
eventually status_is 'Watching'
fallocate -l "$(df -k --output=avail / | tail -n 1)K" /filling || true
dd if=/dev/zero of=/filling-rest 2>/dev/null || true
inject inject_fatal_streaming_error
eventually journal_has '"phase":"found"'
shows NRestarts 0

# What it says is on the full disk, too, or it can be read.
for log in log /dev/shm/log; do
    code=0
    palmd pose --source 'synthetic:size 160x120; fps 2; wait 1s' -o /poses 2>$log || code=$?
    equal 'the exit code' $code 74
done
rm /filling /filling-rest
has '/poses: No space left on device' /dev/shm/log || fail "$(cat /dev/shm/log)"
rm /poses /dev/shm/log
