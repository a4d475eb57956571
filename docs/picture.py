#!/usr/bin/env python3
"""Draws docs/demo.jpg: what palmd sees in pictures of the synthetic hand.

Needs numpy and pillow, and palmd built (`cargo build --examples --bins`); run from the repository's root.
"""

import json
import os
import subprocess
import sys

import numpy
from PIL import Image, ImageDraw

TARGET = os.environ.get("CARGO_TARGET_DIR", "target") + "/debug"
SIZE = (480, 360)
SCENES = [
    ("open-palm", "skin 2; background 1", 25),
    ("victory", "skin 5; background 3; hand left", 25),
    ("thumb-up", "skin 1; background 4", 25),
    ("swipe-left", "skin 4; background 2; wait 1s", 18),
]
FINGERS = [range(1, 5), range(5, 9), range(9, 13), range(13, 17), range(17, 21)]
COLOURS = ["#ffb000", "#fe6100", "#dc267f", "#785ef0", "#648fff"]


def scene(gesture, setting, frame):
    script = f"size {SIZE[0]}x{SIZE[1]}; fps 15; {setting}; {gesture} 1s"
    rgb = subprocess.run([f"{TARGET}/examples/synthetic", "rgb", script], stdout=subprocess.PIPE, check=True).stdout
    frames = numpy.frombuffer(rgb, numpy.uint8).reshape(-1, SIZE[1], SIZE[0], 3)
    lines = subprocess.run(
        [f"{TARGET}/palmd", "pose", "--model", "full", "--source", f"synthetic:{script}"],
        stdout=subprocess.PIPE,
        check=True,
    ).stdout.splitlines()
    frame = min(frame, len(frames) - 1)
    picture = Image.fromarray(frames[frame])
    draw = ImageDraw.Draw(picture)
    for hand in json.loads(lines[frame])["hands"]:
        points = [(x * SIZE[0], y * SIZE[1]) for x, y, _ in hand["landmarks"]]
        draw.line([points[i] for i in (0, 5, 9, 13, 17, 0)], fill="white", width=2)
        for finger, colour in zip(FINGERS, COLOURS):
            draw.line([points[0 if finger[0] == 1 else finger[0]], *(points[i] for i in finger)], fill=colour, width=3)
        for x, y in points:
            draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill="white", outline="black")
    draw.rectangle((0, SIZE[1] - 34, SIZE[0], SIZE[1]), fill="#111111")
    draw.text((12, SIZE[1] - 30), gesture, fill="white", font_size=22)
    return picture


def main():
    sheet = Image.new("RGB", (SIZE[0] * 2, SIZE[1] * 2))
    for i, s in enumerate(SCENES):
        sheet.paste(scene(*s), (i % 2 * SIZE[0], i // 2 * SIZE[1]))
    sheet.save("docs/demo.jpg", quality=85)


if __name__ == "__main__":
    sys.exit(main())
