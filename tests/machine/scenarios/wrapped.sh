# Numbers and times of frames that run over: nothing happens to the stream.
echo "health.summary-interval = '1s'" >>config
plug
inject wrap_sequence_number # after 128 frames
inject wrap_timestamp
watch /dev/video0
watching 1
eventually more_frames 140
leave
equal 'the camera' "$(phases)" ''
equal 'warnings' "$(count 'WARN' log)" 0
