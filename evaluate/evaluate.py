#!/usr/bin/env python3
"""Measures the gestures of palmd on recorded hands and on rendered video, through the program itself.

    evaluate/evaluate.py [--palmd FILE] [--models A.onnx B.onnx ...] [--scripts N] [--write]

Recordings of other people are looked for in the folder that PALMD_MEDIA names; without it the rendered part remains.
"""

import argparse
import os
import pathlib
import sys
import time

import page
import table
from progress import progress
from program import ROOT, Palmd


def arguments():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", ROOT / "target"))
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("--palmd", type=pathlib.Path, default=target / "release" / "palmd", metavar="FILE", help="the program (default %(default)s)")
    p.add_argument("--models", type=pathlib.Path, nargs="+", default=[], metavar="FILE", help="classifiers, such as several seeds, instead of the one that ships")
    p.add_argument("--folder", type=pathlib.Path, default=ROOT / "models", metavar="DIR", help="of the hand networks, and of the classifier that ships (default %(default)s)")
    p.add_argument("--scripts", type=int, default=200, metavar="N", help="random scripts that are rendered; 0 for none (default %(default)s)")
    p.add_argument("--seed", type=int, default=1, help="of the random scripts (default %(default)s)")
    p.add_argument("--once", action="store_true", help="render for all classifiers at once, and keep the poses for the next time; without it each watches the video itself")
    p.add_argument("--no-recorded", action="store_true", help="rendered video alone")
    p.add_argument("--write", action="store_true", help="write docs/evaluation.md and docs/evaluation.svg")
    return p.parse_args()


def main():
    args = arguments()
    for path, what in ((args.palmd, "build it with `cargo build --release`"), (args.folder, "name it with --folder"), *((model, "--models names classifiers") for model in args.models)):
        if not path.exists():
            sys.exit(f"{path} is not there; {what}")
    palmds = [Palmd(args.palmd, args.folder, model) for model in args.models or [None]]
    media = None if args.no_recorded else recordings()
    tables = [[] for _ in palmds]
    for palmd, rows in zip(palmds, tables if media else []):
        measure_recorded(palmd, media, rows)
    if args.scripts:
        import rendered

        for rows, more in zip(tables, rendered.rows(palmds, args.scripts, args.seed, args.once)):
            rows += more
    figures = table.figures(tables)
    print(page.text(figures))
    if args.write:
        page.write(figures, [palmd.name for palmd in palmds], ROOT / "docs")


def measure_recorded(palmd, media, rows):
    """Adds to `rows` what there are recordings for."""
    import recorded

    began = time.time()
    try:
        for row in recorded.rows(palmd, media):
            rows.append(row)
            progress(f"{palmd.name}: recorded hands, {len(rows)} figures, {time.time() - began:.0f} s")
    except (OSError, ValueError) as error:
        print(f"The rest of the recorded hands is not measured: {error}", file=sys.stderr)
    progress(f"{palmd.name}: recorded hands, {len(rows)} figures, {time.time() - began:.0f} s", last=True)


def recordings():
    """The recordings, or None with a word about what is missing."""
    folder = os.environ.get("PALMD_MEDIA")
    if not folder:
        print("No recorded hands are measured: PALMD_MEDIA is not set. It names a folder with `sequences`, `clips` and `pictures.mediapipe.json`.", file=sys.stderr)
        return None
    missing = [name for name in ("sequences", "clips", "pictures.mediapipe.json") if not (pathlib.Path(folder) / name).exists()]
    if missing:
        print(f"No recorded hands are measured: {folder} (PALMD_MEDIA) has no {' and no '.join(missing)}.", file=sys.stderr)
        return None
    try:
        from sequences import Media
    except ImportError as error:
        print(f"No recorded hands are measured: {error}; `pip install -r evaluate/requirements.txt` mends it.", file=sys.stderr)
        return None
    return Media(folder)


if __name__ == "__main__":
    main()
