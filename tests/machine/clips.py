#!/usr/bin/env python3
"""Draws the synthetic hand for the virtual camera: clips.py SYNTHETIC FOLDER

SYNTHETIC is the program `examples/synthetic`. Written are
  still.YUYV ... still.BGR3     a picture in each raw format, as V4L2 lays it out
  still.420.y4m ... still.png   the same samples as recordings that palmd reads
  still.jpg                     the picture as a camera with MJPEG sends it
  swipe.YU12                    a swipe, at the virtual camera's 60 frames a second
"""

import os
import struct
import subprocess
import sys
import zlib

WIDTH, HEIGHT = 640, 480
FRAME = WIDTH * HEIGHT * 3  # bytes
STILL = f"size {WIDTH}x{HEIGHT}; fps 10; seed 3; hand right; open-palm 1s"
# Drawn at 20 frames a second, each shown three times.
SWIPE = f"size {WIDTH}x{HEIGHT}; fps 20; seed 3; hand right; wait 1.6s; swipe-left; wait 0.6s"
SHOWN = 3


def drawn(synthetic, form, script):
    """What `synthetic` writes."""
    program = subprocess.run([synthetic, form, script], stdout=subprocess.PIPE, check=False)
    if program.returncode:
        sys.exit(f"{synthetic} ended with {program.returncode}")
    return program.stdout


def frames(synthetic, script):
    """The frames of a script, as R G B bytes."""
    pictures = drawn(synthetic, "rgb", script)
    return [pictures[at : at + FRAME] for at in range(0, len(pictures), FRAME)]


def jpegs(synthetic, script):
    """The frames of a script, as JPEGs."""
    start = b"\xff\xd8\xff"
    return [start + rest for rest in drawn(synthetic, "mjpeg", script).split(start)[1:]]


def luma(rgb):
    """BT.601, limited range."""
    pixels = zip(rgb[0::3], rgb[1::3], rgb[2::3])
    return bytes([((66 * r + 129 * g + 25 * b + 128) >> 8) + 16 for r, g, b in pixels])


def chroma(rgb):
    pixels = list(zip(rgb[0::3], rgb[1::3], rgb[2::3]))
    u = bytes([((-38 * r - 74 * g + 112 * b + 128) >> 8) + 128 for r, g, b in pixels])
    v = bytes([((112 * r - 94 * g - 18 * b + 128) >> 8) + 128 for r, g, b in pixels])
    return u, v


def every_second(rgb, rows):
    """Every second pixel of each row, or of every second row."""
    row = WIDTH * 3
    lines = (rgb[y * row : (y + 1) * row] for y in range(0, HEIGHT, rows))
    pixels = (b"".join(line[x : x + 3] for x in range(0, row, 6)) for line in lines)
    return b"".join(pixels)


def woven(*parts):
    """Bytes of the parts in turn."""
    out = bytearray(len(parts) * len(parts[0]))
    for at, part in enumerate(parts):
        out[at :: len(parts)] = part
    return bytes(out)


def yu12(rgb):
    return luma(rgb) + b"".join(chroma(every_second(rgb, 2)))


def y4m(colour, picture):
    head = f"YUV4MPEG2 W{WIDTH} H{HEIGHT} F30:1 Ip A1:1 C{colour}\n".encode()
    return head + b"FRAME\n" + picture


def png(rgb):
    def chunk(kind, data):
        checksum = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)

    row = WIDTH * 3
    rows = b"".join(b"\0" + rgb[y * row : (y + 1) * row] for y in range(HEIGHT))
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, 8, 2, 0, 0, 0)
    parts = chunk(b"IHDR", head), chunk(b"IDAT", zlib.compress(rows, 1)), chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def stills(rgb):
    """Files by name."""
    y = luma(rgb)
    u2, v2 = chroma(every_second(rgb, 1))
    u4, v4 = chroma(every_second(rgb, 2))
    return {
        "still.YUYV": woven(y[0::2], u2, y[1::2], v2),
        "still.UYVY": woven(u2, y[0::2], v2, y[1::2]),
        "still.NV12": y + woven(u4, v4),
        "still.NV21": y + woven(v4, u4),
        "still.YU12": y + u4 + v4,
        "still.GREY": y,
        "still.RGB3": rgb,
        "still.BGR3": woven(rgb[2::3], rgb[1::3], rgb[0::3]),
        "still.422.y4m": y4m("422", y + u2 + v2),
        "still.420.y4m": y4m("420", y + u4 + v4),
        "still.mono.y4m": y4m("mono", y),
        "still.png": png(rgb),
    }


def main():
    synthetic, folder = sys.argv[1:]
    os.makedirs(folder, exist_ok=True)
    number = 5
    files = stills(frames(synthetic, STILL)[number])
    files["still.jpg"] = jpegs(synthetic, STILL)[number]
    for name, content in files.items():
        with open(f"{folder}/{name}", "wb") as file:
            file.write(content)
    with open(f"{folder}/swipe.YU12", "wb") as file:
        for frame in frames(synthetic, SWIPE):
            file.write(SHOWN * yu12(frame))


if __name__ == "__main__":
    main()
