#!/bin/sh
# Fetches another architecture's packages into the current folder: `cross/fetch.sh arm64 zlib1g python3.11`.
# They are those that lie beside this machine's own (amd64) on the mirror. To tell apt about the other
# architecture would change the whole system; so apt can't check them, and they come over https.
set -eu
architecture=$1
shift
for package; do
    # In a folder of its own, because no address is printed for a file that is here already.
    uri=$(cd / && apt-get download --print-uris "$package" | cut -d "'" -f 2 | sed "s/^http:/https:/; s/_amd64\.deb$/_$architecture.deb/")
    [ -n "$uri" ] || { echo "cross: apt doesn't know $package; is its list of packages up to date (apt-get update)?" >&2; exit 1; }
    /usr/lib/apt/apt-helper -qq -o APT::Sandbox::User=root download-file "$uri" "$PWD/${package%%=*}_$architecture.deb" >&2 ||
        { echo "cross: $uri could not be fetched; the reason stands above" >&2; exit 1; }
done
