"""How well gestures are told apart that palmd learns from five examples: one table.

    PALMD_MEDIA=... python evaluate/teaching.py [--model models/gestures.onnx]

The real sequences that PALMD_MEDIA names are written as takes, the way `palmd record` writes them; the example
`teaching` learns and recognises them with palmd's own code (src/gesture/learned). No training saw them.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "evaluate"))

from sequences import RATE_HZ, Media  # noqa: E402

PEOPLE = [0, 1, 4, 6, 8, 10]
"""Of the set hello / thanks / iloveyou those who made all three."""

ENOUGH = 15
"""Poses: shorter stretches are pieces of takes in which the hand was lost."""

GOAL = {"accuracy": 88, "recall_at_1_percent": 85}


def take(piece):
    """A piece's poses on the grid of 15 a second, from the first to the last that was found."""
    found = np.flatnonzero(np.ones(len(piece.poses), bool) if piece.found is None else piece.found)
    t = found / piece.rate_hz
    grid = np.arange(t[0], t[-1] + 1e-6, 1 / RATE_HZ)
    numbers = piece.poses[found].reshape(len(found), -1)
    return np.stack([np.interp(grid, t, column) for column in numbers.T], 1).reshape(-1, 21, 3)


def gestures(media):
    """Sets by name: for each, the takes of each gesture."""
    yield "tobic", {str(i): media.tobic(i) for i in range(8)}
    for name, labels in ("sc0rp10n16", (0, 1, 2, 4, 5, 6, 7, 8)), ("leyna", range(5)), ("wandererr01", range(5)):
        yield name, {str(i): media.mp_data(name, i) for i in labels}
    for person in PEOPLE:
        words = {str(i): media.mp_data("people_hello_thanks_iloveyou_A", i, [person]) for i in range(3)}
        yield f"hello-thanks-iloveyou-{person}", words


def others(media):
    """Other movements: segmented gestures, and continuous streams in pieces of two seconds."""
    for label in range(14):
        yield from map(take, list(media.shrec(label))[::6])
    for label in range(9):
        yield from map(take, list(media.v33to("v33to_seq", label))[::3])
    streams = [*media.sfinge(), *media.clips(), *(s for label in range(3) for s in media.kairess(label))]
    for stream in map(take, streams):
        yield from (stream[at : at + 30] for at in range(0, len(stream), 30))


def write(folder, label, sequences):
    """Takes as `palmd record` writes them, and how many."""
    header = {"format": "palmd takes", "version": 1, "label": label, "rate_hz": 15}
    takes = [s for s in sequences if len(s) >= ENOUGH]
    with open(folder / f"{label}.takes.ndjson", "w") as out:
        for line in [header, *({"hand": "right", "poses": np.round(take, 5).tolist()} for take in takes)]:
            out.write(json.dumps(line, separators=(",", ":")) + "\n")


def write_sets(media, folder):
    """One folder for each set, and those of other movements first, in files that palmd can read."""
    folders = [folder / "others"]
    folders[0].mkdir()
    sequences = list(others(media))
    for i in range(0, len(sequences), 100):
        write(folders[0], str(i), sequences[i : i + 100])
    for name, labels in gestures(media):
        folders.append(folder / name)
        folders[-1].mkdir()
        for label, pieces in labels.items():
            takes = [t for t in map(take, pieces) if len(t) >= ENOUGH]
            write(folders[-1], label, takes[:100])
    return folders


def measure(model, media):
    """A dictionary for each set."""
    with tempfile.TemporaryDirectory() as folder:
        folders = write_sets(media, pathlib.Path(folder))
        command = ["cargo", "run", "--quiet", "--release", "--locked", "--example", "teaching", "--", model, *folders]
        done = subprocess.run(list(map(str, command)), cwd=ROOT, check=True, stdout=subprocess.PIPE)
    measured = [json.loads(line) for line in done.stdout.splitlines()]
    return [{**m, "set": pathlib.Path(m["set"]).name} for m in measured]


def table(measured):
    """As Markdown, with one line for the people of the same three words."""
    people = [m for m in measured if m["set"].startswith("hello")]
    sets = [m for m in measured if m not in people]
    keys = [key for key in measured[0] if key not in ("set", "gestures")]
    mean = lambda rows: {key: float(np.mean([row[key] for row in rows])) for key in keys}
    sets.append({"set": f"hello, thanks, iloveyou ({len(people)} people, each alone)", "gestures": 3, **mean(people)})
    sets.append({"set": "**mean**", "gestures": "", **mean(sets)})
    lines = [f"| set | gestures | {' | '.join(key.replace('_', ' ') for key in keys)} |", "|---" * (len(keys) + 2) + "|"]
    for row in sets:
        lines.append(f"| {row['set']} | {row['gestures']} | " + " | ".join(f"{row[key]:.1f}" for key in keys) + " |")
    return "\n".join(lines), sets[-1]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=ROOT / "models/gestures.onnx", type=pathlib.Path)
    model = parser.parse_args().model.resolve()
    media = os.environ.get("PALMD_MEDIA")
    if not media:
        sys.exit("skipped: PALMD_MEDIA doesn't name the folder of shared sequences")
    text, mean = table(measure(model, Media(media)))
    print(text)
    missed = [f"{key.replace('_', ' ')} {mean[key]:.1f} < {goal}" for key, goal in GOAL.items() if mean[key] < goal]
    sys.exit("missed: " + ", ".join(missed) if missed else 0)


if __name__ == "__main__":
    main()
