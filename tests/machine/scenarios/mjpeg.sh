# MJPEG, from a program that plays the camera: the poses are those in the same picture, and when the
# program ends and comes back, the camera is lost and found.
picture=/share/clips/still.jpg
modprobe v4l2loopback video_nr=5 exclusive_caps=1 card_label=loopback
eventually test -e /dev/video5

play() { # a write is a frame
    while sleep 0.1; do cat $picture; done >/dev/video5 &
    player=$!
}
stop_playing() {
    kill $player
    wait $player || true
}

v4l2-ctl -d /dev/video5 -c keep_format=1 # when v4l2-ctl ends, which is at once
v4l2-ctl -d /dev/video5 --set-fmt-video-out width=640,height=480,pixelformat=MJPG >/dev/null
play
poses_in $picture >poses
poses_before /dev/video5 >captured
has 'camera /dev/video5 (loopback): MJPG 640x480' log || fail "$(cat log)"
cmp captured poses || fail 'the captured poses are others'

watch /dev/video5
watching 1
stop_playing
eventually has '"phase":"lost"' events
play
eventually has '"phase":"found"' events
leave
stop_playing
