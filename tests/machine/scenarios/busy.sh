# Another program has the camera: said once; it is taken when that one ends.
plug
v4l2-ctl -d /dev/video0 --stream-mmap 2>streamed &
other=$!
eventually has '<' streamed # it says so for each frame
watch /dev/video0
eventually has '"phase":"lost"' events
running
kill $other
eventually has '"phase":"found"' events
equal 'the camera' "$(phases)" 'lost found '
equal 'complaints' "$(count 'in use by another program' log)" 1
leave
