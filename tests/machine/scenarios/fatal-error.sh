# The driver gives up (DQBUF: EIO): said once, opened anew, found again.
plug
watch /dev/video0
watching 1
inject inject_fatal_streaming_error
eventually has '"phase":"found"' events
equal 'the camera' "$(phases)" 'lost found '
equal 'complaints' "$(count 'take a frame' log)" 1
leave
