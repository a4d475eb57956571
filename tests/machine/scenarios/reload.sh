# SIGHUP: a configuration that can work is taken over by the same process, another one is refused.
plug
start_service
eventually status_is 'Watching'
first=$(main_pid)

echo "camera.format = 'YUYV'" >>/etc/palmd/palmd.toml
systemctl reload palmd
eventually journal_has 'the configuration was read again'
eventually journal_has 'camera /dev/video0 (vivid): YUYV'
eventually status_is 'Watching'

echo "camera.format = 'YUVY'" >/etc/palmd/palmd.toml
systemctl reload palmd
eventually journal_has '`camera.format` is "YUVY".*going on with the configuration as it was'
equal 'the process' "$(main_pid)" "$first"
shows ActiveState active
