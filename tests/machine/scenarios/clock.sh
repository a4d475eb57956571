# The clock is set a year ahead, then a day back: nothing happens to the stream.
echo "health.summary-interval = '1s'" >>config
plug
watch /dev/video0
watching 1
eventually more_frames 0
for jump in '+1 year' '-1 day'; do
    before=$(frames)
    date -s "$jump" >/dev/null
    eventually more_frames $((before + 3))
done
leave
equal 'the camera' "$(phases)" ''
