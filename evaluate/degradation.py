#!/usr/bin/env python3
"""What bad conditions do to what is seen and understood, on the synthetic hand: prints a table.

The same gestures are made in each condition, by several hands. Everything goes through the program.
"""

import argparse
import concurrent.futures
import json
import pathlib
import statistics
import sys
import tempfile

from program import ROOT, Palmd
from progress import progress
from score import Score

GESTURES = "wait 0.6s; open-palm 1.2s; swipe-left; fist 1.2s; swipe-right; thumb-up 1.2s; wave 1.5s; victory 1.2s; wait 0.8s"
HANDS = ("hand right; skin 2; seed 1", "hand left; skin 4; seed 2", "hand right; skin 6; hand-size 0.85; seed 3")
WIDTH, HEIGHT = 640, 480
CONDITIONS = [
    ("as it should be", ["distance 0.6m"]),
    ("far", [f"distance {metres}m" for metres in (1.0, 1.4, 1.8, 2.2, 2.6, 3.0)]),
    ("near", [f"distance {metres}m" for metres in (0.4, 0.3)]),
    ("dark", [f"light {light}" for light in (0.4, 0.2, 0.1, 0.05)]),
    ("over-exposed", [f"light {light}" for light in (1.5, 2.0)]),
    ("noise", [f"noise {noise}" for noise in (0.05, 0.1, 0.2, 0.3)]),
    ("dark and noisy", ["light 0.2; noise 0.05", "light 0.1; noise 0.1"]),
    ("at the edge", [f"at {x} 0.5" for x in (0.2, 0.1, 0.05, 0.0)] + [f"at 0.5 {y}" for y in (0.8, 0.95)]),
    ("turned camera", [f"roll {degrees}deg" for degrees in (15, 30, 45)]),
    ("camera below", [f"pitch {degrees}deg" for degrees in (15, 30, 45)]),
    ("skin", [f"skin {tone}" for tone in range(1, 7)]),
]


def measure(palmd, settings):
    """Share of frames with a hand, its median size in pixels, and the events' score, over all hands."""
    score, seen, frames, sizes = Score(), 0, 0, []
    for hand in HANDS:
        # The settings come last, so that they hold.
        script = f"size {WIDTH}x{HEIGHT}; fps 15; {hand}; {settings}; {GESTURES}"
        with tempfile.TemporaryDirectory() as folder:
            source, truth = pathlib.Path(folder) / "script.txt", pathlib.Path(folder) / "truth.json"
            source.write_text(script)
            lines = palmd.output("pose", "--source", f"synthetic:{source}", "--smooth", "--truth", truth)
            score.add(palmd.classify_lines(lines), json.loads(truth.read_text()))
        for line in map(json.loads, lines.splitlines()):
            frames += 1
            if line["hands"]:
                seen += 1
                sizes.append(size_px(line["hands"][0]["landmarks"]))
    return 100 * seen / frames, statistics.median(sizes) if sizes else None, score


def size_px(landmarks):
    """The mean of a hand's width and height."""
    spans = [max(p[i] for p in landmarks) - min(p[i] for p in landmarks) for i in (0, 1)]
    return (spans[0] * WIDTH + spans[1] * HEIGHT) / 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--palmd", type=pathlib.Path, default=ROOT / "target" / "release" / "palmd", help="the program")
    parser.add_argument("--models", type=pathlib.Path, default=ROOT / "models", help="folder of its models")
    arguments = parser.parse_args()
    if not arguments.palmd.is_file():
        sys.exit(f"{arguments.palmd} is missing: `make build`, or name another with --palmd")
    palmd = Palmd(arguments.palmd.resolve(), arguments.models.resolve())
    cases = [(condition, settings) for condition, all_settings in CONDITIONS for settings in all_settings]
    rows = ["| condition | script | hand seen | its size | gestures found | false, a minute |", "|---|---|---:|---:|---:|---:|"]
    with concurrent.futures.ThreadPoolExecutor(2) as threads:
        measured = threads.map(lambda case: measure(palmd, case[1]), cases)
        for number, ((condition, settings), (seen, size, score)) in enumerate(zip(cases, measured), 1):
            pixels = f"{size:.0f} px" if size else "-"
            rows.append(f"| {condition} | `{settings}` | {seen:.0f} % | {pixels} | {score.recall:.0f} % | {score.false_a_minute:.1f} |")
            progress(f"{number} of {len(cases)} conditions", last=number == len(cases))
    print("\n".join(rows))


if __name__ == "__main__":
    main()
