#!/bin/sh
# What the guest runs when it is up: installs palmd, then the scenarios.
set -eu

if [ -e /usr/bin/palmd ]; then
    : # done before this boot
elif [ -e /share/palmd.deb ]; then
    dpkg --install /share/palmd.deb
else # loose files, where the package would put them
    install -D /share/palmd/palmd /usr/bin/palmd
    install -D -m 644 /share/palmd/palmd.service /lib/systemd/system/palmd.service
    mkdir -p /usr/share/palmd/models /etc/palmd
    cp /share/palmd/*.onnx /usr/share/palmd/models
    systemctl daemon-reload
fi

# shellcheck disable=SC2046 # a list of names
exec sh /share/scenarios/suite.sh /share/results $(cat /share/order)
