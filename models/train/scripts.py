"""Measure a gesture model on scripts of the synthetic hand: exact poses against labelled intervals.

    palmd's example `synthetic poses SCRIPT > NAME.ndjson`, `synthetic intervals SCRIPT > NAME.json`
    python models/train/scripts.py [--model FILE] [--verbose] NAME ...

Pose lines of the daemon (`palmd pose`) are read in the same way. An event hits an interval of its gesture from
0.1 s before its start to 0.7 s after its end; a second one there is a repeat, any other one is false.
"""

import argparse
import json
import pathlib

import numpy as np

from evaluate import HERE, Model
from sequences import RATE_HZ, picture, runs


def tracks(path):
    """(start in seconds, poses at 15 Hz) of each hand's stay, mirrored to the user's view."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    found = {}
    for line in lines:
        for h in line["hands"][:1]:
            found.setdefault(h["track"], []).append((line["t"], picture(h["landmarks"], line["size"][1] / line["size"][0], mirror=True)))
    for poses in found.values():
        t = np.array([t for t, _ in poses])
        p = np.stack([p for _, p in poses])
        for part in np.split(np.arange(len(t)), np.flatnonzero(np.diff(t) > 0.3) + 1):
            grid = np.arange(t[part[0]], t[part[-1]], 1 / RATE_HZ)
            at = np.interp(grid, t[part], part)
            low = np.floor(at).astype(int)
            w = (at - low)[:, None, None]
            yield t[part[0]], p[low] * (1 - w) + p[np.minimum(low + 1, part[-1])] * w


def score(events, intervals):
    """Hits of each interval, false events and repeats."""
    hit = [None] * len(intervals)
    false, repeats = [], 0
    for time, name in sorted(events):
        same = [i for i, v in enumerate(intervals) if v["gesture"] == name and v["start"] - 0.1 <= time <= v["end"] + 0.7]
        free = [i for i in same if hit[i] is None]
        if free:
            hit[free[0]] = time
        elif same:
            repeats += 1
        else:
            false.append((time, name))
    return hit, false, repeats


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="+", type=pathlib.Path)
    parser.add_argument("--model", type=pathlib.Path, default=HERE.parent / "gestures.onnx")
    parser.add_argument("--verbose", action="store_true", help="name every miss and false event")
    args = parser.parse_args()
    model = Model(args.model)
    hits, misses, wrong = {}, {}, {}
    repeats = minutes = 0
    for name in args.names:
        truth = json.loads(name.with_suffix(".json").read_text())
        events = [(start + t, e) for start, poses in tracks(name.with_suffix(".ndjson")) for t, e in model.events(poses, armed_after=1.0)]
        hit, false, again = score(events, truth["intervals"])
        repeats += again
        minutes += truth["duration"] / 60
        for h, v in zip(hit, truth["intervals"]):
            into = misses if h is None else hits
            into[v["gesture"]] = into.get(v["gesture"], 0) + 1
            if h is None and args.verbose:
                print(f"{name.name}: missed {v['gesture']} at {v['start']:.1f} to {v['end']:.1f}")
        for time, event in false:
            near = min(truth["intervals"], key=lambda v: max(v["start"] - time, time - v["end"], 0))
            key = f"{event} near {near['gesture']} ({'before' if time < near['start'] else 'after'})"
            wrong[key] = wrong.get(key, 0) + 1
            if args.verbose:
                print(f"{name.name}: false {event} at {time:.1f}; {near['gesture']} at {near['start']:.1f} to {near['end']:.1f}")
    for label in model.labels[:-1]:
        n = hits.get(label, 0) + misses.get(label, 0)
        if n:
            print(f"{label:12s} {100 * hits.get(label, 0) / n:5.1f} % of {n}")
    total = sum(hits.values()) + sum(misses.values())
    print(f"all          {100 * sum(hits.values()) / total:5.1f} % of {total}; false {sum(wrong.values()) / minutes:.2f} a minute, {repeats} repeats, {minutes:.1f} min")
    for key, n in sorted(wrong.items(), key=lambda i: -i[1])[:25]:
        print(f"  false {key}: {n}")


if __name__ == "__main__":
    main()
