# A swipe before the camera is a key stroke for whoever reads keyboards, and no key stays down.
modprobe uinput
modprobe evdev
plug_grabber
show /share/clips/swipe.YU12 YU12
cat >config <<'TOML'
camera.format = 'YU12'
outputs.keys.gesture.swipe-left = 'ctrl+right'
TOML
palmd check --config config --source /dev/video0 >checked || true
has '^ok .*/dev/uinput can be written' checked

keyboard() { grep -l '^palmd$' /sys/devices/virtual/input/input*/name; }

# Codes with + for down and - for up. An event has a time of 16 bytes, a type, a code and a value.
strokes() {
    od -An -v -w24 -t u2 strokes | awk '$9 == 1 { printf "%s%s ", ($11 ? "+" : "-"), $10 }'
}
typed() { strokes | grep -q -F -e '+29 +106 -106 -29'; }

watch /dev/video0
eventually keyboard
node=$(ls -d "$(dirname "$(keyboard)")"/event*)
eventually test -e "/dev/input/${node##*/}"
cat "/dev/input/${node##*/}" >strokes 2>/dev/null &
reader=$!
eventually typed
leave
wait $reader || true
equal 'what is left of whole strokes' "$(strokes | sed 's/+29 +106 -106 -29 //g')" ''
keyboard && fail 'the keyboard is still there'
true
