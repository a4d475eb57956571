# Another program has the camera: said once; it is taken when that one ends.
plug
v4l2-ctl -d /dev/video0 --stream-mmap >/dev/null 2>&1 &
other=$!
busy() { v4l2-ctl -d /dev/video0 --stream-mmap --stream-count=1 2>&1 | grep -q busy; }
eventually busy
watch /dev/video0
eventually has '"phase":"lost"' events
running
kill $other
eventually has '"phase":"found"' events
equal 'the camera' "$(phases)" 'lost found '
equal 'complaints' "$(count 'in use by another program' log)" 1
leave
