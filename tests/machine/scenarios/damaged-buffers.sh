# A buffer with the error flag, and buffers that are dropped: passed over, the camera is not lost.
echo "health.summary-interval = '1s'" >>config
plug
watch /dev/video0
watching 1
inject inject_v4l2_buf_flag_error
eventually has 'frames .* bad 1)' log
inject percentage_of_dropped_buffers 50
summaries=$(count 'buffers held' log)
eventually has 'buffers held' log $((summaries + 5))
leave
equal 'the camera' "$(phases)" ''
equal 'warnings' "$(count 'WARN' log)" 0
