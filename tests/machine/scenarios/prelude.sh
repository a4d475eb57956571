# What the scenarios share; POSIX sh, run by suite.sh with -eu in a folder of the scenario's own.
# Time means nothing on an emulated machine: a scenario waits for something to be so, and a wait
# that ends without it is a failure.

fail() {
    echo "failed: $*" >&2
    exit 1
}

# eventually COMMAND...: tries until it succeeds.
eventually() {
    tries=0
    until "$@" 2>/dev/null; do
        tries=$((tries + 1))
        [ $tries -lt 240 ] || fail "it never came to: $*"
        sleep 0.5
    done
}

# count PATTERN FILE: lines that match.
count() { grep -c -e "$1" "$2" || true; }

has() { [ "$(count "$1" "$2")" -ge "${3:-1}" ]; }

# equal WHAT IS WANTED
equal() { [ "$2" = "$3" ] || fail "$1 is '$2' instead of '$3'"; }

# The camera: vivid as a webcam, or as an HDMI grabber that sees what another node shows.
plug() {
    modprobe vivid node_types=0x1 num_inputs=1 input_types=0x0 no_error_inj=0 "$@"
    eventually test -e /dev/video"${NUMBER:-0}"
    v4l2-ctl -d /dev/video"${NUMBER:-0}" --set-parm 5 >/dev/null
}

unplug() { eventually modprobe -r vivid; }

# inject CONTROL [VALUE]: lets vivid do something wrong.
inject() { v4l2-ctl -d /dev/video"${NUMBER:-0}" -c "$1=${2:-1}"; }

plug_grabber() {
    modprobe vivid node_types=0x101 num_inputs=1 input_types=0x3 num_outputs=1 output_types=0x1
    eventually test -e /dev/video1
    v4l2-ctl -d /dev/video0 --set-dv-bt-timings index=0 >/dev/null
    v4l2-ctl -d /dev/video1 --set-dv-bt-timings index=0 >/dev/null
    v4l2-ctl -d /dev/video0 -c loop_video=1,osd_text_mode=2
}

# show FILE FOURCC: the grabber sees the raw frames of FILE, over and over, until `dark`.
show() {
    cp "$1" /dev/shm/shown # the host's answers take their time
    v4l2-ctl -d /dev/video1 --set-fmt-video-out "width=640,height=480,pixelformat=$2" >/dev/null
    v4l2-ctl -d /dev/video1 --stream-out-mmap --stream-loop --stream-from /dev/shm/shown >/dev/null 2>&1 &
    shower=$!
}

dark() {
    kill $shower
    wait $shower || true
}

# Looking for a hand is what costs most, so it is done once a minute where none is to be found.
cat >config <<'TOML'
pose.search-interval = '1m'
pose.idle-interval = '1m'
TOML

# poses_in PICTURE, poses_before CAMERA: the poses in its first frame.
hands() { sed -n '1 s/.*"hands"://p' "$1" | grep '"track":' || fail "no hand in the first frame"; }
poses_in() {
    palmd pose --source "$1" -o pose-lines 2>log
    hands pose-lines
}
poses_before() {
    palmd pose --config config --source "$1" >pose-lines 2>log &
    palmd=$!
    eventually has '"hands":' pose-lines
    kill -KILL $palmd
    wait $palmd || true
    hands pose-lines
}

# watch SOURCE: the daemon in the background, with its events and its log in files.
watch() {
    RUST_LOG=palmd=debug palmd run --format json --config config --source "$1" >events 2>log &
    palmd=$!
}

# watching COUNT: the daemon has opened a camera so often.
watching() { eventually has 'camera /dev/video' log "$1"; }

# leave: the daemon ends, and all of the camera's buffers are back.
leave() {
    kill -TERM $palmd
    wait $palmd || fail "palmd ended with $?"
    has 'buffers held 0 ' log || fail "the last summary doesn't say that no buffer is held"
}

running() { kill -0 $palmd 2>/dev/null || fail "palmd is gone"; }

frames() { sed -n 's/^.*frames \([0-9]*\) (skipped.*/\1/p' log | tail -n 1; }
more_frames() { [ "$(frames)" -gt "$1" ]; }

phases() { sed -n 's/.*"type":"camera".*"phase":"\([a-z]*\)".*/\1/p' events | tr '\n' ' '; }

# The service: as the unit starts it, without a terminal.
shows() { equal "the unit's $1" "$(systemctl show palmd -p "$1" --value)" "$2"; }
status_is() { [ "$(systemctl show palmd -p StatusText --value)" = "$1" ]; }
restarted() { [ "$(systemctl show palmd -p NRestarts --value)" = "$1" ]; }
start_service() {
    mkdir -p /etc/palmd
    cp config /etc/palmd/palmd.toml
    systemctl start palmd
}
journal() { journalctl -u palmd --no-pager -o cat "$@"; }
journal_has() { journal | grep -q -e "$1"; }
main_pid() { systemctl show palmd -p MainPID --value; }

# override LINES: a drop-in for the unit's [Service].
override() {
    mkdir -p /etc/systemd/system/palmd.service.d
    printf '[Service]\n%s\n' "$1" >/etc/systemd/system/palmd.service.d/scenario.conf
    systemctl daemon-reload
}
