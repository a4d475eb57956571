# The camera is unplugged in mid-stream and comes back under another number.
plug
watch auto
watching 1
inject disconnect
eventually has '"phase":"lost"' events
unplug
NUMBER=7 plug vid_cap_nr=7
eventually has '"phase":"found"' events
equal 'the camera' "$(phases)" 'lost found '
has 'camera /dev/video7 (vivid)' log || fail 'the new number is not in the log'
equal 'complaints' "$(count 'unplugged' log)" 1
leave
