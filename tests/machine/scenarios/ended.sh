# SIGTERM is an end, SIGKILL is not, and a configuration that can't work is not tried again.
plug
start_service
eventually status_is 'Watching'
kill -KILL "$(main_pid)"
eventually restarted 1
eventually status_is 'Watching'

kill -TERM "$(main_pid)"
inactive() { [ "$(systemctl is-active palmd)" = "$1" ]; }
eventually inactive inactive
shows Result success
sleep 10
shows ActiveState inactive

echo 'camera.widht = 640' >>/etc/palmd/palmd.toml
systemctl start palmd || true
eventually inactive failed
shows ExecMainStatus 78
shows NRestarts 0
journal -p err | grep -q 'unknown key' || fail 'the reason is no error in the journal'
