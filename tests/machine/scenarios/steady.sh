# Seen from outside: with a hand in view and for a minute without one, the hot threads make no call
# for memory and no page fault.
echo "health.summary-interval = '1s'" >>config
echo "camera.format = 'NV12'" >>config
plug_grabber
inject percentage_of_dropped_buffers 90 # of 60 a second; an emulated minute of all takes a quarter of an hour
show /share/clips/still.NV12 NV12
watch /dev/video0
watching 1
eventually more_frames 20

threads=$(grep -l -x -e vision -e classifier /proc/$palmd/task/*/comm | cut -d / -f 5 | tr '\n' ' ')
equal 'the threads' "$(echo $threads | wc -w)" 2
faults() { # proc(5): minflt and majflt
    for thread in $threads; do cut -d ' ' -f 10,12 /proc/$palmd/task/$thread/stat; done
}
# shellcheck disable=SC2046 # a list of options
strace -qq -e trace=%memory -o calls $(printf -- '-p %s ' $threads) &
tracer=$!
eventually grep -q "TracerPid:.$tracer" /proc/$palmd/task/"${threads%% *}"/status
before=$(faults)
seen=$(frames)
eventually more_frames $((seen + 20))
dark
sleep 60
after=$(faults)
kill $tracer
leave
more_frames $((seen + 200)) || fail "there were only $(($(frames) - seen)) frames"
equal 'page faults' "$after" "$before"
equal 'calls for memory' "$(cat calls)" ''
echo "figure: $(($(frames) - seen)) frames without a call for memory or a page fault"
