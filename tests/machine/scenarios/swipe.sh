# A swipe before the camera is a swipe in the events, and nothing else is.
plug_grabber
show /share/clips/swipe.YU12 YU12
echo "camera.format = 'YU12'" >config
watch /dev/video0
eventually has '"phase":"start","gesture":"swipe-left"' events
leave
equal 'other movements' "$(grep '"type":"gesture"' events | grep -c -v '"gesture":"swipe-left"')" 0
