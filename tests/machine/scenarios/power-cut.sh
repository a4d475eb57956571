# The power goes in mid-run: at the next boot the service is up and watches. (The suite goes on here
# after the boot.)
if [ ! -e /share/results/power-cut.goes-on ]; then
    plug
    start_service
    eventually status_is 'Watching'
    systemctl enable palmd
    sync
    touch /share/results/power-cut.goes-on
    echo b >/proc/sysrq-trigger
    sleep 60
    fail 'the power is still on'
fi
systemctl disable palmd # for what comes after
eventually status_is 'The camera is lost; trying again'
plug
eventually status_is 'Watching'
shows NRestarts 0
