#!/bin/bash
# Boots a guest: boot.sh amd64|arm64 FOLDER SHARE. Its console is standard output; it sees SHARE as
# /share and runs start.sh there, then powers off. The image stays as it is.
#
# The guest's clock counts instructions (-icount): one that finds itself on a busy host, or on a
# slow one, sees a machine of the same speed all the same; and where it idles it doesn't wait.
# To be fast enough for movements, it is told that its clock ticks four times as fast as it does, so that
# it does four instructions in what it takes for a nanosecond. Emulating a fused multiply-add takes longer
# than a multiplication and an addition, so the PC has none.
set -eu
arch=$1
folder=$2
share=$3

case $arch in
amd64)
    machine=(qemu-system-x86_64 -M q35 -cpu max,fma=off)
    kernel='console=ttyS0 tsc_early_khz=4000000 tsc=reliable clocksource=tsc'
    ;;
arm64)
    machine=(qemu-system-aarch64 -M virt -cpu cortex-a72,cntfrq=4000000000)
    kernel='console=ttyAMA0'
    ;;
*) echo "no such architecture: $arch" >&2; exit 64 ;;
esac

exec "${machine[@]}" -accel tcg,thread=single -icount shift=0,sleep=off -smp 1 -m 1536 \
    -display none -monitor none -serial stdio -nic none \
    -drive "file=$folder/root.ext4,if=none,id=root,format=raw,snapshot=on,cache=unsafe" \
    -device virtio-blk-pci,drive=root -device virtio-rng-pci \
    -fsdev "local,id=share,path=$share,security_model=none" \
    -device virtio-9p-pci,fsdev=share,mount_tag=host \
    -kernel "$folder/vmlinuz" -initrd "$folder/initrd.gz" \
    -append "$kernel root=/dev/vda rw panic=-1 quiet loglevel=4 systemd.show_status=0 mitigations=off" </dev/null
