# There is no camera yet: said once; it is taken when it comes.
watch /dev/video0
eventually has '"phase":"lost"' events
running
plug
eventually has '"phase":"found"' events
equal 'the camera' "$(phases)" 'lost found '
equal 'complaints' "$(count 'no such device' log)" 1
leave
