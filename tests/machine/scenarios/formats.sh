# Each raw format: the camera's frames are the known ones byte for byte, and the poses on them are
# those that palmd finds in a recording of the same samples.
clips=/share/clips
frames=3

hands() { sed 's/.*"hands"://' "$1"; }

recorded() {
    palmd pose --fps 30 --source "$clips/still.$1" -o "recorded.$1"
    equal "frames in still.$1" "$(wc -l <"recorded.$1")" $frames
    has '"track":' "recorded.$1" $frames || fail "no hand in each frame of still.$1"
}

plug_grabber
for recording in 420.y4m 422.y4m mono.y4m rgb; do
    recorded $recording
done
for pair in NV12:420.y4m YU12:420.y4m NV21:420.y4m YUYV:422.y4m UYVY:422.y4m \
    GREY:mono.y4m RGB3:rgb BGR3:rgb; do
    format=${pair%:*}
    show $clips/still.$format $format
    seen() {
        v4l2-ctl -d /dev/video0 --set-fmt-video "width=640,height=480,pixelformat=$format" \
            --stream-mmap --stream-count=1 --stream-to=seen
        cmp seen $clips/still.$format
    }
    eventually seen
    echo "camera.format = '$format'" >config
    # palmd ends by itself when nobody reads on.
    palmd pose --config config --source /dev/video0 2>log | head -n $frames >captured
    has "camera /dev/video0 (vivid): $format 640x480" log || fail "$format wasn't taken"
    equal "the poses captured as $format" "$(hands captured)" "$(hands recorded."${pair#*:}")"
    dark
done
