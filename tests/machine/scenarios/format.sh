# A raw format (the argument): the camera's frames are the known ones byte for byte, and the poses on them are
# those that palmd finds in a picture of the same samples.
format=$3
clips=/share/clips
case $format in
NV12 | NV21 | YU12) picture=still.420.y4m ;;
YUYV | UYVY) picture=still.422.y4m ;;
GREY) picture=still.mono.y4m ;;
RGB3 | BGR3) picture=still.png ;;
esac

plug_grabber
poses_in $clips/$picture >poses
show "$clips/still.$format" "$format"
seen() {
    v4l2-ctl -d /dev/video0 --set-fmt-video "width=640,height=480,pixelformat=$format" \
        --stream-mmap --stream-count=1 --stream-to=seen
    cmp seen "$clips/still.$format"
}
eventually seen
echo "camera.format = '$format'" >config
poses_before /dev/video0 >captured
has "camera /dev/video0 (vivid): $format 640x480" log || fail "$format wasn't taken"
cmp captured poses || fail 'the poses are others'
dark
