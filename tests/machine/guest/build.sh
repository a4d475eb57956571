#!/bin/bash
# Builds a guest: build.sh amd64|arm64 FOLDER. Leaves vmlinuz, initrd.gz and root.ext4 in FOLDER.
#
# Debian 12 with systemd, v4l-utils and, of its kernel's modules, those that the scenarios need;
# v4l2loopback is compiled here. mmdebstrap may run as any user; nothing is installed on the host.
set -euo pipefail
arch=$1
folder=$2
here=$(cd "$(dirname "$0")" && pwd)
PATH=$PATH:/usr/sbin:/sbin

export modules='vivid v4l2loopback uvcvideo uinput evdev autofs4 virtio_pci virtio_blk virtio_rng ext4 9p 9pnet_virtio crc32c_generic'
case $arch in
amd64) export build='ARCH=x86' ;;
arm64) export build='ARCH=arm64 CROSS_COMPILE=aarch64-linux-gnu-' ;;
esac
export initrd_modules='virtio_pci virtio_mmio virtio_blk crc32c_generic ext4'

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
chmod 755 "$work" # mmdebstrap may run as another user
mkdir -p "$folder"

# The other architecture's programs run by qemu-user. A kernel that doesn't know that is told so,
# for as long as it takes.
if [ "$arch" = arm64 ] && [ "$(uname -m)" != aarch64 ]; then
    formats=/proc/sys/fs/binfmt_misc
    [ -e $formats/register ] || mount -t binfmt_misc none $formats
    if [ ! -e $formats/qemu-aarch64 ]; then
        magic='\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00'
        mask='\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff'
        # F: the emulator is opened now, and works in a chroot that hasn't got it
        printf %s ":qemu-aarch64:M::$magic:$mask:$(command -v qemu-aarch64-static):F" >$formats/register
        trap 'echo -1 >$formats/qemu-aarch64; rm -rf "$work"' EXIT
    fi
fi

# The kernel's packages are unpacked, not installed: that would make an initrd of 30 MB under
# emulation. The lists of packages are the guest's, the programs the host's, and so is kbuild.
cat >"$work/unpack-kernel" <<'S'
set -eu
mkdir "$1/kernel"
cd "$1/kernel"
export APT_CONFIG="$MMDEBSTRAP_APT_CONFIG"
kernel=$(apt-cache depends linux-image-$ARCH | sed -n 's/.*Depends: \(linux-image-[0-9][^ :]*\).*/\1/p' | head -n 1)
headers=linux-headers-${kernel#linux-image-}
common=$(apt-cache depends "$headers" | sed -n 's/.*Depends: \(linux-headers-.*-common\).*/\1/p' | head -n 1)
kbuild=$(apt-cache depends "$headers" | sed -n 's/.*Depends: \(linux-kbuild-[0-9.]*\).*/\1/p' | head -n 1)
apt-get -q -o APT::Sandbox::User=root download "$kernel" "$headers" "$common" "$kbuild:$HOST" \
    v4l2loopback-source busybox-static
for package in *.deb; do dpkg-deb -x "$package" .; done
rm ./*.deb
S
host=$(dpkg --print-architecture)
architectures=$arch
[ "$arch" = "$host" ] || architectures+=,$host
ARCH=$arch HOST=$host mmdebstrap --quiet --variant=minbase --architectures="$architectures" --skip=check/qemu \
    --include=systemd,systemd-sysv,dbus,udev,kmod,procps,v4l-utils,strace \
    --aptopt='Acquire::Languages "none"' --dpkgopt=force-unsafe-io \
    --customize-hook="sh '$work/unpack-kernel' \"\$1\"" \
    --customize-hook="copy-in '$here/files/etc' /" \
    bookworm "$work/root.tar"

# Everything belongs to root in the image, whoever builds it.
cat >"$work/image" <<'S'
set -euo pipefail
root=$work/root
mkdir "$root"
tar -C "$root" -xf "$work/root.tar" --exclude='./dev/*'
mv "$root/kernel" "$work/kernel"
version=$(ls "$work/kernel/lib/modules")

sources=$work/kernel/usr/src
headers=$sources/linux-headers-$version
sed -i "s#include /usr/src/#include $sources/#" "$headers/Makefile"
tar -C "$work" -xf "$sources/v4l2loopback.tar.bz2"
make --silent -C "$headers" M="$work/modules/v4l2loopback" $build modules
install -D -m 644 "$work/modules/v4l2loopback/v4l2loopback.ko" \
    "$work/kernel/lib/modules/$version/extra/v4l2loopback.ko"
depmod -b "$work/kernel" "$version"
cp "$work/kernel/boot/vmlinuz-$version" "$folder/vmlinuz"

needs() { # the files of modules and of what they depend on, in the order of loading
    for module in "$@"; do
        modprobe -d "$work/kernel" -S "$version" --show-depends "$module" 2>/dev/null
    done | awk '$1 == "insmod" && !seen[$2]++ { print $2 }'
}

to=$root/lib/modules/$version
mkdir -p "$to"
cp "$work/kernel/lib/modules/$version"/modules.{builtin,builtin.modinfo,order} "$to"
needs $modules | while read -r file; do
    install -D -m 644 "$file" "$root/${file#"$work/kernel/"}"
done
depmod -b "$root" "$version"
sed -i 's/^root:[^:]*:/root::/' "$root/etc/passwd"
mkdir -p "$root/share"
ln -s ../machine-test.service "$root/etc/systemd/system/multi-user.target.wants/"
# Not a first boot, which would make databases and presets.
echo 0123456789abcdef0123456789abcdef >"$root/etc/machine-id"
touch "$root/etc/.updated" "$root/var/.updated"
for unit in apt-daily.timer apt-daily-upgrade.timer dpkg-db-backup.timer e2scrub_all.timer \
    e2scrub_reap.service fstrim.timer systemd-timesyncd.service getty@.service serial-getty@.service \
    systemd-logind.service systemd-user-sessions.service systemd-update-utmp.service \
    systemd-update-utmp-runlevel.service systemd-repart.service systemd-pcrphase.service \
    systemd-pcrphase-sysinit.service systemd-binfmt.service kmod-static-nodes.service; do
    ln -sf /dev/null "$root/etc/systemd/system/$unit"
done

initrd=$work/initrd
mkdir -p "$initrd"/{bin,proc,sys,dev,mnt,modules}
cp "$work/kernel/bin/busybox" "$initrd/bin/"
needs $initrd_modules | while read -r file; do
    cp "$file" "$initrd/modules/"
    basename "$file"
done >"$initrd/modules/order"
install -m 755 "$here/init" "$initrd/init"
(cd "$initrd" && find . | cpio --quiet -o -H newc | gzip -1) >"$folder/initrd.gz"

mke2fs -q -t ext4 -m 0 -d "$root" "$folder/root.ext4" 700M
S
export work folder here
if [ "$(id -u)" = 0 ]; then bash "$work/image"; else fakeroot bash "$work/image"; fi
