# Each raw format: the camera's frames are the known ones byte for byte, and the poses on them are
# those that palmd finds in a picture of the same samples.
clips=/share/clips

plug_grabber
for picture in 420.y4m 422.y4m mono.y4m png; do
    poses_in $clips/still.$picture >"poses.$picture"
done
for pair in NV12:420.y4m YU12:420.y4m NV21:420.y4m YUYV:422.y4m UYVY:422.y4m \
    GREY:mono.y4m RGB3:png BGR3:png; do
    format=${pair%:*}
    show $clips/still.$format $format
    seen() {
        v4l2-ctl -d /dev/video0 --set-fmt-video "width=640,height=480,pixelformat=$format" \
            --stream-mmap --stream-count=1 --stream-to=seen
        cmp seen $clips/still.$format
    }
    eventually seen
    echo "camera.format = '$format'" >config
    poses_before /dev/video0 >captured
    has "camera /dev/video0 (vivid): $format 640x480" log || fail "$format wasn't taken"
    cmp captured "poses.${pair#*:}" || fail "the poses captured as $format are others"
    dark
done
