# The driver delivers nothing and reports no error: opened anew until frames come again.
plug
watch /dev/video0
watching 1
inject percentage_of_dropped_buffers 100
eventually has '"phase":"lost"' events
running
inject percentage_of_dropped_buffers 0
eventually has '"phase":"found"' events
equal 'the camera' "$(phases)" 'lost found '
equal 'complaints' "$(count 'no frame for 2.0s' log)" 1
leave
