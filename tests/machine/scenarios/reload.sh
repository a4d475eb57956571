# SIGHUP: a configuration that can work is taken over by the same process, which opens the camera anew
# only if its keys have changed; another one is refused.
opened() { journal | grep -c 'camera /dev/video0 (vivid)' || true; }
before=$(opened)
plug
start_service
eventually status_is 'Watching'
first=$(main_pid)

echo "pose.hands = 2" >>/etc/palmd/palmd.toml
systemctl reload palmd
eventually journal_has 'the configuration was read again'
eventually status_is 'Watching'

echo "camera.format = 'YUYV'" >>/etc/palmd/palmd.toml
systemctl reload palmd
eventually journal_has 'camera /dev/video0 (vivid): YUYV'
eventually status_is 'Watching'

echo "camera.format = 'YUVY'" >/etc/palmd/palmd.toml
systemctl reload palmd
eventually journal_has '`camera.format` is "YUVY".*going on with the configuration as it was'
equal 'the process' "$(main_pid)" "$first"
equal 'times that the camera was opened' $(($(opened) - before)) 2
shows ActiveState active
