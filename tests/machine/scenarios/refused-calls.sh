# QBUF, REQBUFS and STREAMON refused once (EINVAL): each is one loss, and the camera is found again.
plug
watch /dev/video0
watching 1
inject inject_vidioc_qbuf_error
eventually has '"phase":"lost"' events
inject inject_vidioc_reqbufs_error
eventually has '"phase":"found"' events
inject inject_fatal_streaming_error
eventually has '"phase":"lost"' events 2
inject inject_vidioc_streamon_error
eventually has '"phase":"found"' events 2
equal 'the camera' "$(phases)" 'lost found lost found '
has 'queue a buffer again' log || fail 'the refused QBUF is not in the log'
has 'camera is still lost' log 2 || fail 'the refused REQBUFS and STREAMON are not in the log'
leave
