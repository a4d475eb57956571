# The unit: up before the camera is, status, priorities, a user of its own, a clean stop in two seconds.
# No camera has been here since the boot, so the kernel knows nothing of cameras yet.
forgotten() {
    rmmod $(lsmod | awk '/^(videobuf2|videodev|v4l2)/ && $3 == 0 { print $1 }') || true
    ! grep -q video4linux /proc/devices
}
eventually forgotten
override 'TimeoutStopSec=2'
start_service
shows ActiveState active
eventually status_is 'The camera is lost; trying again'
plug
eventually status_is 'Watching'

# systemd.exec(5): users that exist only while their service runs
user=$(stat -c %u /proc/"$(main_pid)")
{ [ "$user" -ge 61184 ] && [ "$user" -le 65519 ]; } || fail "the user is $user"
journal -p warning >warnings
equal 'warnings' "$(count 'no camera' warnings)" 1
equal 'news among the warnings' "$(count 'watching\|frames come again' warnings)" 0
journal_has 'frames come again' || fail 'the good news is not in the journal'
journal_has '"phase":"found"' || fail 'the events are not in the journal'

systemctl stop palmd
shows Result success
shows ExecMainStatus 0
